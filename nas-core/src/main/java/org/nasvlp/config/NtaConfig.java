package org.nasvlp.config;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * Negative Textual Augmentation (NAS, arXiv 2412.10029): hard negative captions that differ from
 * the true one in one word or one swap, as in NegCLIP (arXiv 2210.01936) and CE-CLIP (arXiv
 * 2306.08832). The values are this library's defaults; the paper does not publish its own.
 *
 * @param enabled whether hard negative captions are made at all
 * @param weight weight of the loss
 * @param startShare share of the run before the loss begins
 * @param rampShare share of the run over which the weight then rises from 0
 * @param loss form of the loss, as for hard negative images
 * @param inContrast whether hard negative captions are also further columns of the contrastive
 *     loss, each in its own image's row only
 * @param share share of a batch's captions that get a hard negative, drawn anew in every step; each
 *     costs an encoding of text and a pass of the fusion encoder
 * @param wordShare share of the captions with a hard negative whose edit is a word that the
 *     masked-language head proposes
 * @param maskShare share of the captions that have a hard negative of which masked language
 *     modelling masks the words that the negative changes, in place of a random draw
 * @param exactLabels whether captions are labels that name every person and colour exactly, as
 *     those of pictograms do, so that "person" is false of a man and "blue" of a light blue thing;
 *     in free captions they are not, and such edits are not made
 * @param seenPairs whether edits that put two words side by side which never stand so in the
 *     captions are left out, as language alone would tell them; for captions in set forms, of which
 *     enough edits are left then
 * @param typeWeights how often an edit type is drawn against the others that a caption has; types
 *     left out weigh 1, types of weight 0 are never drawn. {@link EditType#WORD} is drawn by {@code
 *     wordShare} instead and has no weight here
 */
@ConfigSection
public record NtaConfig(
    boolean enabled,
    double weight,
    double startShare,
    double rampShare,
    HardNegativeLoss loss,
    boolean inContrast,
    double share,
    double wordShare,
    double maskShare,
    boolean exactLabels,
    boolean seenPairs,
    Map<EditType, Double> typeWeights) {

  /** Checks ranges. */
  public NtaConfig {
    ConfigCheck.range("nta.weight", weight, 0, 100);
    ConfigCheck.range("nta.startShare", startShare, 0, 1);
    ConfigCheck.range("nta.rampShare", rampShare, 0, 1);
    ConfigCheck.present("nta.loss", loss);
    ConfigCheck.range("nta.share", share, 0, 1);
    ConfigCheck.range("nta.wordShare", wordShare, 0, 1);
    ConfigCheck.range("nta.maskShare", maskShare, 0, 1);
    ConfigCheck.present("nta.typeWeights", typeWeights);
    EnumMap<EditType, Double> weights = new EnumMap<>(EditType.class);
    for (EditType type : EditType.values()) {
      if (type != EditType.WORD) {
        weights.put(type, 1.0);
      }
    }
    for (Map.Entry<EditType, Double> entry : typeWeights.entrySet()) {
      ConfigCheck.present("nta.typeWeights." + entry.getKey(), entry.getValue());
      ConfigCheck.that(
          entry.getKey() != EditType.WORD,
          "nta.typeWeights.WORD",
          entry.getValue(),
          "must be left out, as nta.wordShare sets how often such edits are made");
      ConfigCheck.range("nta.typeWeights." + entry.getKey(), entry.getValue(), 0, 1000);
      weights.put(entry.getKey(), entry.getValue());
    }
    ConfigCheck.that(
        !enabled || wordShare == 1 || weights.values().stream().anyMatch(w -> w > 0),
        "nta.typeWeights",
        weights,
        "must leave one type with a weight above 0");
    typeWeights = Collections.unmodifiableMap(weights);
  }

  /** The library's defaults. */
  public static NtaConfig defaults() {
    return NtaConfigBuilder.builder()
        .enabled(true)
        .weight(1)
        .startShare(0)
        .rampShare(0)
        .loss(HardNegativeLoss.BALANCED)
        .inContrast(false)
        .share(1)
        .wordShare(0)
        .maskShare(0)
        .exactLabels(false)
        .seenPairs(false)
        .typeWeights(Map.of())
        .build();
  }

  /** The loss weight at a step of a run: 0 before the start, then a linear ramp. */
  public double weightAt(long step, long steps) {
    return rampAt(weight, step, steps);
  }

  /** Another loss's weight that sets in with hard negative captions. */
  public double rampAt(double ofLoss, long step, long steps) {
    return enabled ? ConfigCheck.ramp(ofLoss, startShare, rampShare, step, steps) : 0;
  }

  /** A builder that begins with these values. */
  public NtaConfigBuilder toBuilder() {
    return NtaConfigBuilder.builder(this);
  }
}
