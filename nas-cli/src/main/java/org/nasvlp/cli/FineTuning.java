package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.eval.RetrievalBenchmark;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.Metric;
import org.nasvlp.train.NasTrainerBuilder;
import org.nasvlp.train.TrainingListener;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What a fine-tuning measures as it goes, and what it must not lose. */
final class FineTuning implements AutoCloseable {
  /** R@1 of pairs like those that are trained on. */
  static final String OWN = "data-r1";

  /** R@1 of pairs that the model is to be good at still. */
  static final String KEPT = "kept-r1";

  private static final double PERCENT = 100;

  private final List<ImageTextDataset> open = new ArrayList<>();
  private final Map<String, Metric> metrics = new LinkedHashMap<>();
  private final Map<Long, Map<String, Double>> evaluations = new TreeMap<>();
  private @Nullable String aim;
  private @Nullable String guard;
  private double drop;
  private @Nullable String broken;
  private Consumer<String> told = line -> {};

  /** Measures retrieval of held-out pairs, which it closes; the first are what is aimed at. */
  void retrieval(String name, ImageTextDataset pairs) {
    open.add(pairs);
    RetrievalBenchmark benchmark = RetrievalBenchmark.of(pairs);
    metrics.put(
        name,
        model -> {
          RetrievalReport report =
              benchmark.evaluate(model.embedder(), null, 0, 1, done -> {}).itc();
          return (report.textRecall()[0] + report.imageRecall()[0]) / 2;
        });
  }

  /** The metric by which the best checkpoint is chosen. */
  void aim(String metric) {
    aim = metric;
  }

  /**
   * The metric that must not fall by more than so many points.
   *
   * @param points 0 or more
   */
  void guard(String metric, double points) {
    guard = metric;
    drop = points / PERCENT;
  }

  /** What is guarded, for the user. */
  String guarded() {
    return guard == null
        ? "none: nothing is held out"
        : String.format(Locale.ROOT, "%s may fall by %.1f points", guard, PERCENT * drop);
  }

  /** Tells each evaluation's metrics. */
  void tell(Consumer<String> lines) {
    told = lines;
  }

  /** Gives a trainer the metrics and the guard. */
  void apply(NasTrainerBuilder builder) {
    metrics.forEach(builder::metric);
    if (guard != null) {
      builder.guard(guard, drop);
    }
    builder.listener(listener());
  }

  /** Keeps what the evaluations find. */
  TrainingListener listener() {
    return new TrainingListener() {
      @Override
      public void onEvaluated(long step, Evaluation evaluation) {
        evaluations.put(step, evaluation.metrics());
        told.accept(
            "step %d: %s"
                .formatted(
                    step,
                    evaluation.metrics().entrySet().stream()
                        .map(of -> of.getKey() + " " + percent(of.getValue()))
                        .collect(Collectors.joining(", "))));
      }

      @Override
      public void onGuard(long step, String metric, double start, double value) {
        broken =
            String.format(
                Locale.ROOT,
                "the guard has ended the training after step %d: %s fell from %.1f to %.1f",
                step,
                metric,
                PERCENT * start,
                PERCENT * value);
      }
    };
  }

  /** Why the guard has ended the training; null if it has not. */
  @Nullable String broken() {
    return broken;
  }

  /**
   * The metrics of the start, the end and the best checkpoint, in percent, and which to use.
   *
   * @param last the last checkpoint, of which the state is read
   * @param average whether the metrics are those of the parameters' average
   */
  String table(OutputFolder output, Path last, boolean average) throws IOException {
    JsonNode state = JsonMapper.shared().readTree(Files.readString(last.resolve("state.json")));
    JsonNode start = state.path("startMetrics");
    if (start.isMissingNode() || start.isNull() || evaluations.isEmpty()) {
      return "Nothing was held out, so nothing tells whether the model has become better: give"
          + " --held-out PATH\n";
    }
    Map<String, Double> end = new LinkedHashMap<>(evaluations.values().stream().toList().getLast());
    JsonNode bestStep = state.path("bestSteps").path(String.valueOf(aim));
    JsonNode bestValue = state.path("best").path(String.valueOf(aim));
    Map<String, Double> best =
        bestStep.isNumber() ? evaluations.getOrDefault(bestStep.asLong(), Map.of()) : Map.of();
    StringBuilder text = new StringBuilder();
    text.append(String.format(Locale.ROOT, "%-18s %8s %8s", "Metric", "start", "end"));
    text.append(best.isEmpty() ? "\n" : "   step %d%n".formatted(bestStep.asLong()));
    end.forEach(
        (metric, value) -> {
          text.append(
              String.format(
                  Locale.ROOT,
                  "%-18s %8s %8s",
                  metric,
                  percent(start.path(metric).asDouble(Double.NaN)),
                  percent(value)));
          text.append(
              best.isEmpty()
                  ? "\n"
                  : String.format(
                      Locale.ROOT, " %8s%n", percent(best.getOrDefault(metric, Double.NaN))));
        });
    boolean better =
        bestValue.isNumber() && bestValue.asDouble() > start.path(String.valueOf(aim)).asDouble();
    text.append(
        better
            ? "Use         %s: the best %s%n"
                .formatted(output.path().resolve("checkpoints").resolve("best-" + aim), aim)
            : "No evaluation that the guard allows was better than the start in %s: keep the start%n"
                .formatted(aim));
    if (better && average) {
      text.append("            by the average of its parameters: nas export --average writes it\n");
    }
    return text.toString();
  }

  private static String percent(double share) {
    return Double.isNaN(share) ? "-" : String.format(Locale.ROOT, "%.1f", PERCENT * share);
  }

  @Override
  public void close() {
    open.forEach(ImageTextDataset::close);
  }
}
