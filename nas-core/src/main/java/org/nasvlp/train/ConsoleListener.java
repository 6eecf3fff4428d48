package org.nasvlp.train;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;

/** {@link TrainingListener#console}. */
final class ConsoleListener implements TrainingListener {
  private static final long NANOS_BETWEEN = 10_000_000_000L;

  private final PrintStream out;
  private long printed;

  ConsoleListener(PrintStream out) {
    this.out = out;
  }

  @SuppressWarnings("AnnotateFormatMethod")
  private void line(String format, Object... values) {
    out.println(String.format(Locale.ROOT, format, values));
  }

  @Override
  public void onWeights(WeightReport report) {
    report
        .sources()
        .forEach(
            source ->
                line("weights of %s: %d parameters loaded", source.file(), source.loaded().size()));
  }

  @Override
  public void onCaptionEdits(NegativeTextAugmentation.Preparation edits) {
    line(
        "hard negative captions for %,d of %,d captions",
        edits.captions() - edits.withoutEdit(), edits.captions());
  }

  @Override
  public void onStart(TrainingStart start) {
    line(
        "%s step %,d of %,d: %,d pairs, %,d parameters, %s; kernels: %s",
        start.firstStep() == 0 ? "begins with" : "goes on behind",
        start.firstStep() == 0 ? 1 : start.firstStep(),
        start.steps(),
        start.pairs(),
        start.parameters(),
        start.device(),
        start.kernels());
    printed = System.nanoTime();
  }

  @Override
  public void onStep(StepReport report) {
    long now = System.nanoTime();
    if (now - printed < NANOS_BETWEEN && report.step() != report.steps()) {
      return;
    }
    printed = now;
    line(
        "step %,d of %,d, %.0f pairs/s, loss %s (%s)",
        report.step(),
        report.steps(),
        report.pairsPerSecond(),
        number(report.loss()),
        numbers(report.losses()));
  }

  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    line("step %,d: evaluation: %s", step, numbers(evaluation.metrics()));
  }

  @Override
  public void onCheckpoint(long step, Path directory) {
    line("step %,d: checkpoint %s", step, directory);
  }

  @Override
  public void onGuard(long step, String metric, double start, double value) {
    line("step %,d: the guard ends the run: %s fell from %.4f to %.4f", step, metric, start, value);
  }

  @Override
  public void onWarning(String message) {
    line("warning: %s", message);
  }

  @Override
  public void onEnd(TrainingResult result) {
    line(
        "%s at step %,d of %,d after %,.0f s; %,d bad samples skipped",
        result.stopped() ? "stopped" : "ended",
        result.step(),
        result.steps(),
        result.seconds(),
        result.skippedSamples());
  }

  private static String numbers(Map<String, Double> values) {
    return values.entrySet().stream()
        .map(value -> value.getKey() + " " + number(value.getValue()))
        .collect(Collectors.joining(", "));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }
}
