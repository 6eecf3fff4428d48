package org.nasvlp.train;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;

/**
 * Told of a run's progress, on the thread that runs it and one event after another. What the run's
 * log keeps of an event is on its way to the disk by then. Listeners are told in the order in which
 * they were added; an exception from one ends the run.
 *
 * <p>A step gives {@link #onStep}, {@link #onNvaTrace}, {@link #onEpoch} and {@link
 * #onCodewordUse}; an evaluation after it {@link #onEvaluated}, {@link #onArtefactProbe}, {@link
 * #onEvaluation} and {@link #onBenchmark}; then come checkpoints.
 */
public interface TrainingListener {
  /**
   * After published weights were loaded, before {@link #onStart}.
   *
   * @param report what became of every tensor and every parameter
   */
  default void onWeights(WeightReport report) {}

  /**
   * Before the first step.
   *
   * @param start what the run begins with
   */
  default void onStart(TrainingStart start) {}

  /**
   * Before {@link #onStart}, where hard negative captions are made.
   *
   * @param preparation what was found
   */
  default void onCaptionEdits(NegativeTextAugmentation.Preparation preparation) {}

  /**
   * After every step.
   *
   * @param report of the step
   */
  default void onStep(StepReport report) {}

  /**
   * After every step that was to be traced and had a hard negative image: see {@link
   * NasTrainerBuilder#traceEvery}.
   *
   * @param step steps done
   * @param trace how the image came about
   */
  default void onNvaTrace(long step, NvaTrace trace) {}

  /**
   * After every step with which the data set has been gone through once more.
   *
   * @param step steps done
   * @param perplexity of the codes' use in that epoch, between 1 and the number of codewords
   */
  default void onEpoch(long step, double perplexity) {}

  /**
   * How the codewords are used, from the first step on ever farther apart, {@code 2^m + i 2^m / 8}
   * steps of each octave m; of dictionaries of more than 2,048 codewords at fewer of them.
   *
   * @param step steps done
   * @param shares K: of the patch tokens that each code has lately; the sum is 1
   */
  default void onCodewordUse(long step, double[] shares) {}

  /**
   * After every evaluation: all that it found. {@link #onEvaluation} and {@link #onBenchmark} give
   * it in parts, after this.
   *
   * @param step steps done
   * @param evaluation reports on all benchmarks
   */
  default void onEvaluated(long step, Evaluation evaluation) {}

  /**
   * After every evaluation on the fine-grained benchmark.
   *
   * @param step steps done
   * @param report what was reached
   */
  default void onEvaluation(long step, EvaluationReport report) {}

  /**
   * After every evaluation on a published benchmark.
   *
   * @param step steps done
   * @param name of the benchmark, as the builder was given it
   * @param byWay what was reached, by way of scoring
   */
  default void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {}

  /**
   * After an evaluation with enough hard negative images in the steps before: how well they can be
   * told by their looks.
   *
   * @param step steps done
   * @param result the probe's accuracy
   */
  default void onArtefactProbe(long step, ArtefactProbe.Result result) {}

  /**
   * After an evaluation that found the metric of {@link NasTrainerBuilder#guard} too low; the run
   * ends.
   *
   * @param step steps done
   * @param metric its name
   * @param start its value before the first step
   * @param value its value now
   */
  default void onGuard(long step, String metric, double start, double value) {}

  /**
   * After a checkpoint was written.
   *
   * @param step steps done
   * @param directory of the checkpoint, complete
   */
  default void onCheckpoint(long step, Path directory) {}

  /**
   * Something the user should know that does not end the run; at any time, before {@link #onStart}
   * too.
   *
   * @param message what happened and, where there is one, the remedy
   */
  default void onWarning(String message) {}

  /**
   * After the last step, the final checkpoint and the final evaluation.
   *
   * @param result how the run ended
   */
  default void onEnd(TrainingResult result) {}

  /**
   * Asked after every step and every evaluation, when all listeners have been told of it. One that
   * says so ends the run as {@link NasTrainer#stop} does.
   *
   * @return whether to stop
   */
  default boolean wantsStop() {
    return false;
  }

  /**
   * A listener that prints how a run goes: a line for every ten seconds of steps, for every
   * evaluation, checkpoint and warning, and for its beginning and its end.
   *
   * @param out where it prints
   * @return for one run
   */
  static TrainingListener console(PrintStream out) {
    return new ConsoleListener(out);
  }
}
