package org.nasvlp.train;

import java.nio.file.Path;
import java.util.Map;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;

/**
 * Told of a run's progress, on the thread that runs it. An exception from a listener ends the run.
 */
public interface TrainingListener {
  /** After published weights were loaded, before {@link #onStart}. */
  default void onWeights(WeightReport report) {}

  /** Before the first step. */
  default void onStart(TrainingStart start) {}

  /** Before the first step, where hard negative captions are made: what was found. */
  default void onCaptionEdits(NegativeTextAugmentation.Preparation preparation) {}

  /** After every step. */
  default void onStep(StepReport report) {}

  /**
   * After every step that was to be traced and had a hard negative image: see {@link
   * NasTrainer.Builder#traceEvery}.
   */
  default void onNvaTrace(long step, NvaTrace trace) {}

  /** After every evaluation; {@code step} steps are done. */
  default void onEvaluation(long step, EvaluationReport report) {}

  /**
   * After every evaluation on a published benchmark.
   *
   * @param step steps done
   * @param name of the benchmark, as the builder was given it
   * @param byWay what was reached, by way of scoring
   */
  default void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {}

  /** After an evaluation: how well hard negative images before it can be told by their looks. */
  default void onArtefactProbe(long step, ArtefactProbe.Result result) {}

  /** After a checkpoint was written. */
  default void onCheckpoint(long step, Path directory) {}

  /** Something the user should know that does not end the run. */
  default void onWarning(String message) {}

  /** After the last step, the final evaluation and the final checkpoint. */
  default void onEnd(TrainingResult result) {}
}
