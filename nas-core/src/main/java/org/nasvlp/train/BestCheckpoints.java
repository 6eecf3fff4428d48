package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.nasvlp.checkpoint.Checkpoints;

/** Keeps, for each metric of a run's evaluations, the checkpoint of the best one so far. */
final class BestCheckpoints {
  /** Gives the checkpoint of the model that was evaluated. */
  @FunctionalInterface
  interface Current {
    Path checkpoint() throws IOException;
  }

  private final Path output;
  private final Map<String, Double> best = new TreeMap<>();

  BestCheckpoints(Path output) {
    this.output = output;
  }

  /** The best values so far by metric, for a checkpoint; a view. */
  Map<String, Double> values() {
    return Collections.unmodifiableMap(best);
  }

  /** Goes on from what {@link #values} gave. */
  void restore(Map<String, Double> values) {
    best.clear();
    best.putAll(values);
  }

  /**
   * Keeps the current checkpoint as {@code best-METRIC} for each metric that is higher than ever
   * before; a tie keeps the earlier one, NaN is never best.
   *
   * @param metrics of the current model
   * @param current asked once, and only if a metric was beaten; {@link #values} are the new ones
   */
  void keep(Map<String, Double> metrics, Current current) throws IOException {
    List<String> beaten = new ArrayList<>();
    metrics.forEach(
        (metric, value) -> {
          if (value > best.getOrDefault(metric, Double.NEGATIVE_INFINITY)) {
            best.put(metric, value);
            beaten.add(metric);
          }
        });
    if (!beaten.isEmpty()) {
      Path checkpoint = current.checkpoint();
      for (String metric : beaten) {
        Checkpoints.keepAs(output, "best-" + metric, checkpoint);
      }
    }
  }
}
