package org.nasvlp.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;

/**
 * How a run ended.
 *
 * @param step steps done in all, earlier runs that were resumed included
 * @param steps planned length
 * @param stopped whether it was asked to stop before the planned end
 * @param checkpoint the last checkpoint's directory
 * @param evaluation the final evaluation; null without a benchmark or when stopped
 * @param benchmarks what the final evaluation gave on published benchmarks: by the name they were
 *     given and by way of scoring, {@code itc} and {@code itm}; empty without such or when stopped
 * @param ownMetrics what the final evaluation gave by {@link NasTrainerBuilder#metric}, by name;
 *     empty without such or when stopped
 * @param dictionary use of the codes at the end
 * @param losses the last step's losses by name
 * @param seconds wall-clock time of this run, earlier ones not included
 * @param skippedSamples distinct bad samples that were skipped
 * @param skippedExamples the first of them, as "sample: reason"
 * @param truncatedCaptions captions cut to the model's text length, each time one was read
 */
public record TrainingResult(
    long step,
    long steps,
    boolean stopped,
    Path checkpoint,
    @Nullable EvaluationReport evaluation,
    Map<String, Map<String, BenchmarkReport>> benchmarks,
    Map<String, Double> ownMetrics,
    DictionaryHealth dictionary,
    Map<String, Double> losses,
    double seconds,
    long skippedSamples,
    List<String> skippedExamples,
    long truncatedCaptions) {}
