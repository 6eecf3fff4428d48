package org.nasvlp.config;

/**
 * Length of the run, seed, evaluation, checkpoints, and where and how precisely it computes.
 *
 * @param seed decides every random choice of the run
 * @param steps optimiser steps; with {@code minutes} or {@code stepMinutes} above 0, the most that
 *     are planned
 * @param minutes wall-clock budget; 0 for none; above 0 the number of steps is planned to fit it,
 *     from the time that the first steps take, and kept in the checkpoint
 * @param stepMinutes wall-clock budget of the steps alone, waiting for their data included,
 *     start-up, evaluations and checkpoints not; 0 for none; above 0 the number of steps is planned
 *     to use it up, with the pace of later phases tried out before the first step
 * @param evaluateEvery steps between evaluations; 0 for one at the end only
 * @param checkpointEvery steps between checkpoints; 0 for one at the end only
 * @param keepCheckpoints most recent checkpoints that are kept
 * @param keepBest whether the checkpoint of the best evaluation so far is kept besides, for each
 *     metric of {@link org.nasvlp.eval.EvaluationReport#metrics}
 * @param evaluateAverage whether the moving average of all parameters is evaluated in place of the
 *     parameters themselves: that of the momentum encoders, which is kept for it where there are
 *     none (decay {@code objective.encoderMomentum}). {@code nas export --average} writes it
 * @param gradientCheckpointing whether the image encoder's layers are computed again for the
 *     gradient rather than kept: about a third more time, much less memory, the same result
 * @param shardedOptimizer whether each of several ranks keeps AdamW's moments of its share of the
 *     parameters alone (ZeRO, arXiv 1910.02054, stage 1): of 8 bytes a parameter a rank holds 8 /
 *     R, and the updated parameters are exchanged in each step; the same result to the bit
 * @param gradientExchange what ranks send gradients to each other as; BFLOAT16 halves the bytes,
 *     and the sum over R ranks has R - 1 roundings to 8 bits
 * @param device where the run computes: {@code cpu}; {@code cuda} or {@code cuda:N}, an NVIDIA GPU,
 *     which must be usable; or {@code auto}, the first GPU if it is usable, else the CPU
 * @param precision arithmetic of the encoders
 */
@ConfigSection
public record TrainingConfig(
    long seed,
    int steps,
    double minutes,
    double stepMinutes,
    int evaluateEvery,
    int checkpointEvery,
    int keepCheckpoints,
    boolean keepBest,
    boolean evaluateAverage,
    boolean gradientCheckpointing,
    boolean shardedOptimizer,
    Precision gradientExchange,
    String device,
    Precision precision) {

  /** Checks ranges. */
  public TrainingConfig {
    ConfigCheck.range("training.steps", steps, 1, 1_000_000_000);
    ConfigCheck.range("training.minutes", minutes, 0, 1_000_000);
    ConfigCheck.range("training.stepMinutes", stepMinutes, 0, 1_000_000);
    ConfigCheck.that(
        minutes == 0 || stepMinutes == 0,
        "training.stepMinutes",
        stepMinutes,
        "must be 0 where training.minutes is above 0");
    ConfigCheck.range("training.evaluateEvery", evaluateEvery, 0, 1_000_000_000);
    ConfigCheck.range("training.checkpointEvery", checkpointEvery, 0, 1_000_000_000);
    ConfigCheck.range("training.keepCheckpoints", keepCheckpoints, 1, 1000);
    ConfigCheck.present("training.gradientExchange", gradientExchange);
    ConfigCheck.present("training.device", device);
    ConfigCheck.that(
        isDevice(device), "training.device", device, "must be cpu, cuda, cuda:N or auto");
    ConfigCheck.present("training.precision", precision);
  }

  /** The library's defaults for a run of that many steps. */
  public static TrainingConfig defaults(int steps) {
    return TrainingConfigBuilder.builder()
        .seed(1)
        .steps(steps)
        .minutes(0)
        .stepMinutes(0)
        .evaluateEvery(Math.max(1, steps / 5))
        .checkpointEvery(Math.max(1, steps / 10))
        .keepCheckpoints(2)
        .keepBest(true)
        .evaluateAverage(false)
        .gradientCheckpointing(false)
        .shardedOptimizer(false)
        .gradientExchange(Precision.FLOAT32)
        .device("cpu")
        .precision(Precision.FLOAT32)
        .build();
  }

  /** Whether it is the name of a device: cpu, cuda, cuda:N or auto. */
  public static boolean isDevice(String name) {
    return name.matches("cpu|auto|cuda(:[0-9]{1,2})?");
  }

  /** A builder that begins with these values. */
  public TrainingConfigBuilder toBuilder() {
    return TrainingConfigBuilder.builder(this);
  }
}
