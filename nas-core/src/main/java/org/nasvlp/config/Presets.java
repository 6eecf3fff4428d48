package org.nasvlp.config;

import java.util.List;
import java.util.Map;
import org.nasvlp.internal.Excerpt;

/** The presets' values. */
final class Presets {
  static final List<String> NAMES = List.of("tiny", "emoji", "scenes", "base");

  private Presets() {}

  static NasConfig of(String name) {
    return switch (name) {
      case "tiny" -> tiny();
      case "emoji" -> emoji();
      case "scenes" -> scenes();
      case "base" -> base();
      default ->
          throw new IllegalArgumentException(
              "unknown preset '"
                  + Excerpt.of(name)
                  + "': the presets are "
                  + String.join(", ", NAMES));
    };
  }

  private static NasConfig base() {
    return new NasConfig(
        ModelConfigBuilder.builder()
            .imageSize(256)
            .patchSize(16)
            .stem(ModelConfig.Stem.PATCH)
            .width(768)
            .heads(12)
            .imageLayers(12)
            .textLayers(6)
            .fusionLayers(6)
            .projection(256)
            .textTokens(30)
            .imageNormEps(1e-6)
            .textNormEps(1e-12)
            .fusionInput(ModelConfig.FusionInput.RESIDUAL)
            .fusionPositions(ModelConfig.FusionPositions.SINE_COSINE)
            .build(),
        DictionaryConfig.defaults(2048),
        NvaConfig.defaults(),
        NtaConfig.defaults(),
        ObjectiveConfig.defaults(65_536),
        OptimizerConfigBuilder.builder()
            .learningRate(1e-4)
            .finalLearningRate(1e-5)
            .warmupShare(0)
            .warmupSteps(2000)
            .weightDecay(0.02)
            .beta1(0.9)
            .beta2(0.999)
            .epsilon(1e-8)
            .accumulation(1)
            .clipNorm(1)
            .freeze(List.of())
            .layerDecay(1)
            .build(),
        DataConfig.defaults(64),
        TrainingConfig.defaults(100_000));
  }

  private static NasConfig tiny() {
    return base().toBuilder()
        .model(
            model ->
                model
                    .imageSize(64)
                    .patchSize(8)
                    .width(192)
                    .heads(3)
                    .imageLayers(6)
                    .textLayers(3)
                    .fusionLayers(3)
                    .projection(96))
        .dictionary(dictionary -> dictionary.codewords(512))
        .objective(objective -> objective.queue(2048))
        .optimizer(optimizer -> optimizer.warmupShare(0.05).warmupSteps(0))
        .training(TrainingConfig.defaults(1000))
        .build();
  }

  /**
   * For 64 x 64 pictures on a few CPU cores: a convolution stem, which learns from a few thousand
   * pictures, and two million parameters, so that two cores take over a thousand pairs a minute
   * through every loss.
   */
  private static NasConfig emoji() {
    return tiny().toBuilder()
        .model(
            model ->
                model
                    .stem(ModelConfig.Stem.CONVOLUTION)
                    .width(128)
                    .heads(4)
                    .imageLayers(4)
                    .textLayers(2)
                    .fusionLayers(2))
        // The first features are all alike, and move fast: codes that they leave behind are
        // restarted within some thirty steps, or the run would be half over with ten in use.
        .dictionary(
            dictionary ->
                dictionary.codewords(256).deadThreshold(0.8).deadSteps(10).neighbourRefreshSteps(5))
        .nta(nta -> nta.exactLabels(true))
        .objective(objective -> objective.queue(0).softTargets(0).softTargetRamp(0).maskRatio(0.25))
        .optimizer(optimizer -> optimizer.learningRate(1e-3).warmupShare(0.08).weightDecay(0.05))
        // No mirroring: a caption that names no direction still stands beside one that does.
        .data(data -> data.minCropScale(0.6).flip(false).colorJitter(0))
        .build();
  }

  /**
   * {@link #emoji} for composed scenes: larger patches, whole pictures, and hard negative captions
   * that the model is to rank, from which it learns who is where. It begins with captions that name
   * one thing.
   */
  private static NasConfig scenes() {
    return emoji().toBuilder()
        .model(model -> model.patchSize(16))
        .nva(nva -> nva.enabled(false).mirrorWeight(1))
        .nta(
            nta ->
                nta.weight(2)
                    .loss(HardNegativeLoss.COMBINED)
                    .inContrast(true)
                    .seenPairs(true)
                    .typeWeights(
                        Map.of(
                            EditType.COLOR, 0.5,
                            EditType.NOUN, 0.3,
                            EditType.DIRECTION, 2.0,
                            EditType.RELATION, 2.0,
                            EditType.ROLE_SWAP, 3.0,
                            EditType.ADJECTIVE_SWAP, 2.0)))
        // Twice, or the hard negatives' gradient takes from retrieval.
        .objective(objective -> objective.mlmWeight(0).itcWeight(2))
        // Not a share: the plan of a run with a time budget changes most while it warms up.
        .optimizer(optimizer -> optimizer.warmupShare(0).warmupSteps(100))
        .data(data -> data.minCropScale(1).singleThingSteps(300))
        .training(TrainingConfig.defaults(2000))
        .build();
  }
}
