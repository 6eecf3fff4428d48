package org.nasvlp.ablation;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A value measured with several seeds.
 *
 * @param count values
 * @param mean arithmetic mean
 * @param deviation sample standard deviation, with n - 1; null for one value
 */
record Statistic(int count, double mean, @Nullable Double deviation) {
  /** Of one value or more. */
  static Statistic of(List<Double> values) {
    double mean = values.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
    if (values.size() == 1) {
      return new Statistic(1, mean, null);
    }
    double squares = values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
    return new Statistic(values.size(), mean, Math.sqrt(squares / (values.size() - 1)));
  }

  /** Whether the intervals mean ± deviation share a point; null where one has no deviation. */
  @Nullable Boolean overlaps(Statistic other) {
    if (deviation == null || other.deviation == null) {
      return null;
    }
    return Math.abs(mean - other.mean) <= deviation + other.deviation;
  }
}
