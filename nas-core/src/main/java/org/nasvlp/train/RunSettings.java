package org.nasvlp.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.objective.Objective;

/** What a {@link NasTrainerBuilder} was given; see there. */
record RunSettings(
    NasConfig config,
    ImageTextDataset dataset,
    CaptionTokenizer tokenizer,
    @Nullable FineGrainedBenchmark benchmark,
    Map<String, Evaluator.Published> published,
    Map<String, Metric> metrics,
    @Nullable Guard guard,
    Path output,
    PretrainedWeights initialWeights,
    boolean resume,
    int threads,
    int traceEvery,
    TextEditor.@Nullable Factory textEditor,
    @Nullable Path captionEdits,
    List<Objective> objectives,
    List<TrainingListener> listeners,
    Cluster cluster,
    boolean timesWaiting) {

  /** The same with another configuration. */
  RunSettings with(NasConfig value) {
    return new RunSettings(
        value,
        dataset,
        tokenizer,
        benchmark,
        published,
        metrics,
        guard,
        output,
        initialWeights,
        resume,
        threads,
        traceEvery,
        textEditor,
        captionEdits,
        objectives,
        listeners,
        cluster,
        timesWaiting);
  }
}
