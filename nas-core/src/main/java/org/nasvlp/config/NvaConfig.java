package org.nasvlp.config;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): hard negative images made by swapping the
 * codes of the tokens that matter most to the caption. The values are this library's defaults; the
 * paper does not publish its own.
 *
 * @param enabled whether hard negative images are made at all
 * @param ratio share rho of an image's tokens that are chosen
 * @param radius R: substitutes are drawn among the R live codes nearest to the one replaced
 * @param textWeight lambda: weight of the similarity to the caption's class token against that to
 *     the image's
 * @param weight weight of the loss
 * @param startShare share of the run before the loss begins
 * @param rampShare share of the run over which the weight then rises from 0
 * @param loss form of the loss
 */
public record NvaConfig(
    boolean enabled,
    double ratio,
    int radius,
    double textWeight,
    double weight,
    double startShare,
    double rampShare,
    Loss loss) {

  /** Form of the loss over the match logits of a positive and its hard negative. */
  public enum Loss {
    /** Mean of two cross-entropies: positive to match, negative to mismatch. */
    BALANCED,
    /** -log softmax of the positive's match logit over both. */
    PAIRWISE
  }

  /** Checks ranges. */
  public NvaConfig {
    ConfigCheck.that(ratio > 0 && ratio <= 1, "nva.ratio", ratio, "must lie in (0, 1]");
    ConfigCheck.range("nva.radius", radius, 1, 1024);
    ConfigCheck.range("nva.textWeight", textWeight, 0, 1);
    ConfigCheck.range("nva.weight", weight, 0, 100);
    ConfigCheck.range("nva.startShare", startShare, 0, 1);
    ConfigCheck.range("nva.rampShare", rampShare, 0, 1);
    ConfigCheck.present("nva.loss", loss);
  }

  /** The library's defaults. */
  public static NvaConfig defaults() {
    return new NvaConfig(true, 0.15, 32, 0.5, 1, 0, 0, Loss.BALANCED);
  }
}
