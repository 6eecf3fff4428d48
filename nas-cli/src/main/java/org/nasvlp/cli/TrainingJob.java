package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;

/**
 * What a training needs.
 *
 * @param benchmarks published ones, evaluated with the other
 * @param initialWeights what a fresh run starts from
 * @param captionEdits where the captions' edits may lie already
 * @param cluster the processes that train together
 * @param profiled whether waiting for other ranks is timed
 * @param tuning what a fine-tuning measures; null for any other training
 */
record TrainingJob(
    NasConfig config,
    ImageTextDataset dataset,
    CaptionTokenizer tokenizer,
    @Nullable FineGrainedBenchmark benchmark,
    List<NamedBenchmark> benchmarks,
    PretrainedWeights initialWeights,
    Path captionEdits,
    Path output,
    boolean resume,
    int threads,
    Cluster cluster,
    boolean profiled,
    @Nullable FineTuning tuning) {

  /** A published benchmark, what it is called in the log, and where its images are. */
  record NamedBenchmark(String name, PublishedBenchmark items, Path images) {}

  /** A training about to run: the trainer's two methods that the commands use. */
  interface Run {
    TrainingResult run();

    void stop();
  }

  /** Makes runs. */
  interface Factory {
    Run create(TrainingJob job, List<TrainingListener> listeners);

    /** The library's trainer. */
    static Run trainer(TrainingJob job, List<TrainingListener> listeners) {
      var builder =
          NasTrainer.builder()
              .config(job.config())
              .dataset(job.dataset())
              .tokenizer(job.tokenizer())
              .initialWeights(job.initialWeights())
              .captionEdits(job.captionEdits())
              .output(job.output())
              .resume(job.resume())
              .threads(job.threads());
      listeners.forEach(builder::listener);
      if (job.benchmark() != null) {
        builder.benchmark(job.benchmark());
      }
      if (!job.cluster().isAlone()) {
        builder.cluster(job.cluster());
      }
      if (job.profiled()) {
        builder.timeWaiting();
      }
      job.benchmarks().forEach(of -> builder.benchmark(of.name(), of.items(), of.images()));
      if (job.tuning() != null) {
        job.tuning().apply(builder);
      }
      NasTrainer trainer = builder.build();
      return new Run() {
        @Override
        public TrainingResult run() {
          return trainer.run();
        }

        @Override
        public void stop() {
          trainer.stop();
        }
      };
    }
  }
}
