package org.nasvlp.ablation;

import java.math.BigDecimal;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.EvaluationReport;

/**
 * What one finished run of an arm reached and took.
 *
 * @param arm name of the arm
 * @param seed seed of the run
 * @param steps optimiser steps
 * @param minutes that the steps were given; null for a run of so many steps
 * @param batchSize pairs in a batch
 * @param threads threads of LibTorch and the kernels
 * @param parallel runs at a time; null if not known
 * @param processors of the machine; null if not known
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
    @Nullable Double minutes,
    int batchSize,
    int threads,
    @Nullable Integer parallel,
    @Nullable Integer processors,
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

  /**
   * What runs have to share to be compared, in words: length, batch and threads.
   *
   * @param steps of a run; not told where there are minutes, since those decide
   */
  static String setting(long steps, @Nullable Double minutes, int batchSize, int threads) {
    return "%s of batch %d, %d thread%s"
        .formatted(
            minutes == null
                ? steps + " steps"
                : new BigDecimal(minutes.toString()).stripTrailingZeros().toPlainString()
                    + " minutes of steps",
            batchSize,
            threads,
            threads == 1 ? "" : "s");
  }

  String setting() {
    return setting(steps, minutes, batchSize, threads);
  }

  /** Whether the runs at a time had more threads than the machine has processors. */
  boolean sharedProcessors() {
    return parallel != null && processors != null && parallel * threads > processors;
  }
}
