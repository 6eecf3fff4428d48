package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;

/** Keeps, for each metric of a run's evaluations, the checkpoint of the best one so far. */
final class BestCheckpoints {
  /** Writes a checkpoint of the model that was evaluated, in the place of one that there is. */
  @FunctionalInterface
  interface Current {
    Path write() throws IOException;
  }

  private final Path output;
  private final Map<String, Double> best = new TreeMap<>();
  private final Map<String, Integer> steps = new TreeMap<>();

  BestCheckpoints(Path output) {
    this.output = output;
  }

  /** The best values so far by metric, for a checkpoint; a view. */
  Map<String, Double> values() {
    return Collections.unmodifiableMap(best);
  }

  /** The steps that they were found at, by metric; a view. */
  Map<String, Integer> steps() {
    return Collections.unmodifiableMap(steps);
  }

  /**
   * Goes on from what {@link #values} and {@link #steps} gave, and keeps anew what a kill may have
   * come before: the checkpoint under the names of the metrics that it is best by.
   *
   * @param values by metric
   * @param foundAt by metric
   * @param step of the checkpoint that knows them
   * @param checkpoint its folder; null if there is none yet
   */
  void restore(
      Map<String, Double> values, Map<String, Integer> foundAt, int step, @Nullable Path checkpoint)
      throws IOException {
    best.clear();
    best.putAll(values);
    steps.clear();
    steps.putAll(foundAt);
    for (var metric : steps.entrySet()) {
      if (checkpoint != null && metric.getValue() == step) {
        keepAs(metric.getKey(), checkpoint);
      }
    }
  }

  /**
   * Keeps the current checkpoint as {@code best-METRIC} for each metric that is higher than ever
   * before; a tie keeps the earlier one, NaN is never best.
   *
   * @param step steps done
   * @param metrics of the current model
   * @param current asked once, and only if a metric was beaten; {@link #values} are the new ones
   */
  void keep(int step, Map<String, Double> metrics, Current current) throws IOException {
    List<String> beaten = new ArrayList<>();
    metrics.forEach(
        (metric, value) -> {
          if (value > best.getOrDefault(metric, Double.NEGATIVE_INFINITY)) {
            best.put(metric, value);
            steps.put(metric, step);
            beaten.add(metric);
          }
        });
    if (!beaten.isEmpty()) {
      Path checkpoint = current.write();
      for (String metric : beaten) {
        keepAs(metric, checkpoint);
      }
    }
  }

  private void keepAs(String metric, Path checkpoint) throws IOException {
    Checkpoints.keepAs(output, "best-" + metric, checkpoint);
  }
}
