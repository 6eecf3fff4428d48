package org.nasvlp.config;

import java.util.List;

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) with linear warm-up and cosine decay.
 *
 * @param learningRate peak learning rate (ALBEF: 1e-4)
 * @param finalLearningRate learning rate at the last step (ALBEF: 1e-5)
 * @param warmupShare share of the run that warms up; used where {@code warmupSteps} is 0
 * @param warmupSteps steps that warm up
 * @param weightDecay decay of matrices; biases, norms, embeddings of position and class, and the
 *     temperature are not decayed (ALBEF: 0.02)
 * @param beta1 decay of the first moment (AdamW: 0.9)
 * @param beta2 decay of the second moment (AdamW: 0.999)
 * @param epsilon added to the root of the second moment (AdamW: 1e-8)
 * @param accumulation batches whose gradients are averaged for a step; each of them has its own
 *     contrast, and moves the dictionary, unless {@code objective.itcOverAccumulation} makes them
 *     one batch for both
 * @param clipNorm largest Euclidean norm of all gradients together; 0 for no clipping
 * @param freeze parameters that stay as they are, by the names under which they are exported:
 *     {@code *} stands for any characters, {@code ?} for one, as in {@code image_encoder.*}. They
 *     have no gradient, no moments and no weight decay
 * @param layerDecay what the learning rate of an encoder's layer is multiplied by for each layer
 *     above it, and once more: heads have the whole rate, embeddings the lowest (ELECTRA, arXiv
 *     2003.10555; BEiT, arXiv 2106.08254); 1 for one rate
 */
@ConfigSection
public record OptimizerConfig(
    double learningRate,
    double finalLearningRate,
    double warmupShare,
    int warmupSteps,
    double weightDecay,
    double beta1,
    double beta2,
    double epsilon,
    int accumulation,
    double clipNorm,
    List<String> freeze,
    double layerDecay) {

  /** Checks ranges. */
  public OptimizerConfig {
    ConfigCheck.that(
        learningRate > 0 && learningRate <= 10,
        "optimizer.learningRate",
        learningRate,
        "must lie in (0, 10]");
    ConfigCheck.range("optimizer.finalLearningRate", finalLearningRate, 0, learningRate);
    ConfigCheck.range("optimizer.warmupShare", warmupShare, 0, 1);
    ConfigCheck.range("optimizer.warmupSteps", warmupSteps, 0, 10_000_000);
    ConfigCheck.range("optimizer.weightDecay", weightDecay, 0, 10);
    ConfigCheck.range("optimizer.beta1", beta1, 0, 0.999999);
    ConfigCheck.range("optimizer.beta2", beta2, 0, 0.999999);
    ConfigCheck.range("optimizer.epsilon", epsilon, 1e-15, 1);
    ConfigCheck.range("optimizer.accumulation", accumulation, 1, 65_536);
    ConfigCheck.range("optimizer.clipNorm", clipNorm, 0, 1e6);
    ConfigCheck.present("optimizer.freeze", freeze);
    ConfigCheck.that(
        freeze.stream().noneMatch(pattern -> pattern == null || pattern.isBlank()),
        "optimizer.freeze",
        freeze,
        "must be names of parameters, or patterns of them");
    freeze = List.copyOf(freeze);
    ConfigCheck.that(
        layerDecay > 0 && layerDecay <= 1,
        "optimizer.layerDecay",
        layerDecay,
        "must lie in (0, 1]");
  }

  /** Learning rate of step {@code step} (0-based) in a run of {@code steps}. */
  public double learningRate(long step, long steps) {
    double warmup = warmupSteps > 0 ? warmupSteps : Math.floor(warmupShare * steps);
    if (step < warmup) {
      return learningRate * (step + 1) / warmup;
    }
    double progress = Math.min(1, (step - warmup) / Math.max(1, steps - 1 - warmup));
    return finalLearningRate
        + 0.5 * (learningRate - finalLearningRate) * (1 + Math.cos(Math.PI * progress));
  }

  /** A builder that begins with these values. */
  public OptimizerConfigBuilder toBuilder() {
    return OptimizerConfigBuilder.builder(this);
  }
}
