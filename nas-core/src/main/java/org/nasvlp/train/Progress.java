package org.nasvlp.train;

import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.LoaderState;

/**
 * How far a run has come: what a checkpoint keeps besides model and tensors.
 *
 * @param step steps done
 * @param plannedSteps length that was fitted to a time budget; 0 for none
 * @param seconds that the run took
 * @param stepSeconds that the steps took, waiting for their data included
 * @param samples what the loader has counted; null if nothing
 * @param best highest value of each metric in evaluations so far
 * @param bestSteps the steps that they were found at; none if an earlier version wrote them
 * @param startMetrics each metric's value before the first step; none in a run without a guard
 */
record Progress(
    int step,
    long plannedSteps,
    double seconds,
    double stepSeconds,
    @Nullable LoaderState samples,
    Map<String, Double> best,
    Map<String, Integer> bestSteps,
    Map<String, Double> startMetrics) {
  /** Of a run that has not begun. */
  static final Progress NONE = new Progress(0, 0, 0, 0, null, Map.of(), Map.of(), Map.of());

  Progress {
    best = new TreeMap<>(best);
    bestSteps = new TreeMap<>(bestSteps);
    startMetrics = new TreeMap<>(startMetrics);
  }
}
