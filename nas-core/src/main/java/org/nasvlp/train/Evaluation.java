package org.nasvlp.train;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;

/**
 * What one evaluation of a run found.
 *
 * @param report on the fine-grained benchmark; null without one
 * @param benchmarks on published ones: by the name they were given and by way of scoring, {@code
 *     itc} and {@code itm}; empty without such
 * @param ownMetrics of {@link NasTrainerBuilder#metric}, by name; NaN where one had no value
 */
public record Evaluation(
    @Nullable EvaluationReport report,
    Map<String, Map<String, BenchmarkReport>> benchmarks,
    Map<String, Double> ownMetrics) {
  static final Evaluation NONE = new Evaluation(null, Map.of());

  /**
   * Copies the maps.
   *
   * @param report on the fine-grained benchmark; null without one
   * @param benchmarks on published ones
   * @param ownMetrics of the program
   */
  public Evaluation {
    benchmarks = Collections.unmodifiableMap(new LinkedHashMap<>(benchmarks));
    ownMetrics = Collections.unmodifiableMap(new LinkedHashMap<>(ownMetrics));
  }

  /**
   * Without metrics of the program's own.
   *
   * @param report on the fine-grained benchmark; null without one
   * @param benchmarks on published ones
   */
  public Evaluation(
      @Nullable EvaluationReport report, Map<String, Map<String, BenchmarkReport>> benchmarks) {
    this(report, benchmarks, Map.of());
  }

  /** The same with metrics of the program's own. */
  Evaluation with(Map<String, Double> metrics) {
    return new Evaluation(report, benchmarks, metrics);
  }

  /**
   * What the best checkpoints are chosen by.
   *
   * @return {@link EvaluationReport#metrics}, and {@link BenchmarkReport#headline} as {@code
   *     NAME-itc} and {@code NAME-itm}, and {@link #ownMetrics} by their names
   */
  public Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    if (report != null) {
      metrics.putAll(report.metrics());
    }
    benchmarks.forEach(
        (name, byWay) -> byWay.forEach((way, of) -> metrics.put(name + "-" + way, of.headline())));
    metrics.putAll(ownMetrics);
    return metrics;
  }
}
