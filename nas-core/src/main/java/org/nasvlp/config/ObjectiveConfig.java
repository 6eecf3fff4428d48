package org.nasvlp.config;

/**
 * The losses of ALBEF (arXiv 2107.07651): image-text contrast (ITC), image-text matching (ITM) with
 * sampled hard negatives, masked language modelling (MLM); and masked visual modelling (MVM) of
 * SOHO (arXiv 2104.03135).
 *
 * @param itcWeight weight of ITC (ALBEF: 1)
 * @param itcOverAccumulation whether ITC contrasts the pairs of all {@code optimizer.accumulation}
 *     batches of a step with each other, as one batch of them all would, rather than each batch's
 *     among themselves: the encoders run twice, and the memory stays that of one batch (GradCache,
 *     arXiv 2101.06983); without influence where the accumulation is 1
 * @param itmWeight weight of ITM (ALBEF: 1)
 * @param itmShare share of a batch's images, and of its captions, that are also matched with a hard
 *     negative of the batch: those that contrast is least sure of (ALBEF: 1)
 * @param itmAcrossRanks whether the hard negatives of ITM are drawn from the pairs of all ranks, as
 *     one rank would draw them, or from each rank's own, which has no captions to exchange; without
 *     influence on a training of one rank
 * @param mlmWeight weight of MLM; 0 leaves its forward pass out (ALBEF: 1)
 * @param mvmWeight weight of MVM: in each image all positions of one of its codes are masked, and
 *     the fusion class token of the caption and the rest tells which; 0 leaves its head, its mask
 *     token and its forward pass out
 * @param temperature starting value of the learned temperature of ITC (ALBEF: 0.07)
 * @param minTemperature lower clamp of the temperature (ALBEF: 0.001)
 * @param maxTemperature upper clamp of the temperature (ALBEF: 0.5)
 * @param queue momentum features kept as further contrastive negatives (ALBEF: 65536)
 * @param encoderMomentum m of the momentum encoders; used where {@code queue} or {@code
 *     softTargets} is above 0 (ALBEF: 0.995)
 * @param softTargets alpha: share of the momentum encoders' distribution in the targets of ITC and
 *     MLM (ALBEF: 0.4)
 * @param softTargetRamp epochs over which alpha rises linearly from 0 (ALBEF: 1)
 * @param itmFocus gamma of the focal loss (Lin et al., arXiv 1708.02002) in matching: a pair's
 *     cross-entropy counts (1 - p)^gamma, p being the probability of its true label, so that pairs
 *     which are told surely count less; 0 for the cross-entropy itself
 * @param maskRatio share of a caption's tokens that MLM masks (ALBEF: 0.15)
 * @param distillWeight weight of distillation from the model that the run starts with: contrast is
 *     to compare images and captions as that one does (learning without forgetting, arXiv
 *     1606.09282). 0 leaves that model out of memory and checkpoints; above 0 the run needs weights
 *     to start from
 */
@ConfigSection
public record ObjectiveConfig(
    double itcWeight,
    boolean itcOverAccumulation,
    double itmWeight,
    double itmShare,
    boolean itmAcrossRanks,
    double mlmWeight,
    double mvmWeight,
    double temperature,
    double minTemperature,
    double maxTemperature,
    int queue,
    double encoderMomentum,
    double softTargets,
    double softTargetRamp,
    double itmFocus,
    double maskRatio,
    double distillWeight) {

  /** Checks ranges. */
  public ObjectiveConfig {
    ConfigCheck.range("objective.itcWeight", itcWeight, 0, 100);
    ConfigCheck.range("objective.itmWeight", itmWeight, 0, 100);
    ConfigCheck.range("objective.itmShare", itmShare, 0, 1);
    ConfigCheck.range("objective.mlmWeight", mlmWeight, 0, 100);
    ConfigCheck.range("objective.mvmWeight", mvmWeight, 0, 100);
    ConfigCheck.range("objective.minTemperature", minTemperature, 1e-4, 1);
    ConfigCheck.range("objective.maxTemperature", maxTemperature, minTemperature, 10);
    ConfigCheck.range("objective.temperature", temperature, minTemperature, maxTemperature);
    ConfigCheck.range("objective.queue", queue, 0, 16_777_216);
    ConfigCheck.range("objective.encoderMomentum", encoderMomentum, 0, 1);
    ConfigCheck.range("objective.softTargets", softTargets, 0, 1);
    ConfigCheck.range("objective.softTargetRamp", softTargetRamp, 0, 1000);
    ConfigCheck.range("objective.itmFocus", itmFocus, 0, 10);
    // Between them the gradient of a pair that is told quite surely is not finite.
    ConfigCheck.that(
        itmFocus == 0 || itmFocus >= 1, "objective.itmFocus", itmFocus, "must be 0, or 1 or more");
    ConfigCheck.range("objective.maskRatio", maskRatio, 0, 0.9);
    ConfigCheck.range("objective.distillWeight", distillWeight, 0, 100);
  }

  /** The library's defaults with a queue of that length. */
  public static ObjectiveConfig defaults(int queue) {
    return ObjectiveConfigBuilder.builder()
        .itcWeight(1)
        .itcOverAccumulation(false)
        .itmWeight(1)
        .itmShare(1)
        .itmAcrossRanks(true)
        .mlmWeight(1)
        .mvmWeight(0)
        .temperature(0.07)
        .minTemperature(0.001)
        .maxTemperature(0.5)
        .queue(queue)
        .encoderMomentum(0.995)
        .softTargets(0.4)
        .softTargetRamp(1)
        .itmFocus(0)
        .maskRatio(0.15)
        .distillWeight(0)
        .build();
  }

  /** Whether the losses need momentum copies of the encoders. */
  public boolean usesMomentumEncoders() {
    return queue > 0 || softTargets > 0;
  }

  /** Alpha at a step of a run with that many steps an epoch. */
  public double softTargetsAt(long step, double stepsPerEpoch) {
    return softTargetRamp == 0
        ? softTargets
        : softTargets * Math.min(1, step / (softTargetRamp * stepsPerEpoch));
  }

  /** A builder that begins with these values. */
  public ObjectiveConfigBuilder toBuilder() {
    return ObjectiveConfigBuilder.builder(this);
  }
}
