package org.nasvlp.train;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.model.NasModel;

/** The metrics that a program has added: asked on rank 0, known on all. */
final class OwnMetrics {
  private final Map<String, Metric> metrics;
  private final Ranks ranks;
  private final Consumer<String> warnings;

  /**
   * @param metrics by name
   * @param warnings told of values that are none
   */
  OwnMetrics(Map<String, Metric> metrics, Ranks ranks, Consumer<String> warnings) {
    this.metrics = metrics;
    this.ranks = ranks;
    this.warnings = warnings;
  }

  boolean isEmpty() {
    return metrics.isEmpty();
  }

  /**
   * Each metric's value, NaN where it is not finite. A collective.
   *
   * @param step steps done
   * @throws TrainingException if a metric failed, with its name
   */
  Map<String, Double> of(NasModel model, int step) {
    Map<String, Double> values = new LinkedHashMap<>();
    if (metrics.isEmpty()) {
      return values;
    }
    double[] own = new double[metrics.size()];
    if (ranks.isFirst()) {
      int next = 0;
      for (Map.Entry<String, Metric> metric : metrics.entrySet()) {
        own[next++] = value(metric.getKey(), metric.getValue(), model, step);
      }
    }
    double[] first = ranks.gatherByRank(own)[0];
    int next = 0;
    for (String name : metrics.keySet()) {
      values.put(name, first[next++]);
    }
    return values;
  }

  private double value(String name, Metric metric, NasModel model, int step) {
    double value;
    try {
      value = metric.of(model);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failure(name, step, e);
    } catch (Exception e) {
      throw failure(name, step, e);
    }
    if (!Double.isFinite(value)) {
      warnings.accept(
          "the metric '%s' is %s after step %d: it counts as no value, and as no best"
              .formatted(name, value, step));
      return Double.NaN;
    }
    return value;
  }

  private static TrainingException failure(String name, int step, Exception cause) {
    return new TrainingException(
        "the metric '%s' failed after step %d: %s".formatted(name, step, cause), cause);
  }
}
