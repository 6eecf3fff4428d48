package org.nasvlp.train;

import java.util.Map;

/**
 * What a fine-tuning may lose: a metric that must not fall by more than so much below its value at
 * the start.
 *
 * @param metric one of {@link Evaluation#metrics}
 * @param drop 0 or more, in the metric's unit
 */
record Guard(String metric, double drop) {
  Guard {
    if (!(drop >= 0 && Double.isFinite(drop))) {
      throw new IllegalArgumentException(
          "the guard's drop is " + drop + ": it must be 0 or more, and finite");
    }
  }

  /**
   * The metric's value.
   *
   * @throws TrainingException if it is not among the metrics, or none at the start
   */
  double of(Map<String, Double> metrics) {
    Double value = metrics.get(metric);
    if (value == null) {
      throw new TrainingException(
          "the guard watches '%s', which this run's evaluations do not have; they have %s"
              .formatted(metric, metrics.keySet()));
    }
    return value;
  }

  /** Whether a value is too low; one that is none is not. */
  boolean isBroken(double start, double value) {
    return value < start - drop;
  }
}
