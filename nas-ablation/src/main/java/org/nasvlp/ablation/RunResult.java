package org.nasvlp.ablation;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.EvaluationReport;

/**
 * What one finished run of an arm reached and took.
 *
 * @param arm name of the arm
 * @param seed seed of the run
 * @param steps optimiser steps
 * @param batchSize pairs in a batch
 * @param threads threads of LibTorch and the kernels
 * @param kernels backend and tier of the dictionary kernels
 * @param parameters trained parameters
 * @param evaluation at the end
 * @param curve every evaluation, the one at the end included, by step
 * @param medianStepSeconds median wall-clock seconds of a step; null for runs too short to tell
 * @param peakMebibytes most resident memory of the run's process, in MiB; null where the system
 *     does not tell
 * @param skippedSamples distinct bad samples that were skipped
 */
public record RunResult(
    String arm,
    long seed,
    long steps,
    int batchSize,
    int threads,
    String kernels,
    long parameters,
    EvaluationReport evaluation,
    List<CurvePoint> curve,
    @Nullable Double medianStepSeconds,
    @Nullable Long peakMebibytes,
    long skippedSamples) {

  /** Copies the list. */
  public RunResult {
    curve = List.copyOf(curve);
  }
}
