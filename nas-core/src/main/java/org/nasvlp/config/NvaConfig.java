package org.nasvlp.config;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): hard negative images made by swapping the
 * codes of the tokens that matter most to the caption. The values are this library's defaults; the
 * paper does not publish its own.
 *
 * @param enabled whether hard negative images are made at all
 * @param ratio share rho of an image's tokens that are chosen
 * @param radius R: substitutes are taken among the R live codes nearest to the one replaced
 * @param textWeight lambda: weight of the similarity to the caption's class token against that to
 *     the image's
 * @param similarity features that these similarities compare
 * @param substitute which of the R codes is taken
 * @param donor what stands at a swapped position
 * @param control pairs that hold a swapped image and still match
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
    Similarity similarity,
    Substitute substitute,
    Donor donor,
    Control control,
    double weight,
    double startShare,
    double rampShare,
    HardNegativeLoss loss) {

  /** Features whose cosines to the class tokens score the patch tokens. */
  public enum Similarity {
    /** The contrastive projections of both. */
    PROJECTED,
    /** The encoders' outputs, which have the same width. */
    RAW
  }

  /** Which code stands in for another one. */
  public enum Substitute {
    /** A uniform seeded draw among the R nearest codes. */
    NEIGHBOUR,
    /**
     * The one that speaks most for the word that the caption's hard negative puts in, against the
     * word it takes out, by how often codes and words occur together; the tokens where that gains
     * most are the chosen ones. Needs hard negative captions; images without one get no swap.
     */
    WORD
  }

  /** What a swapped token is made of. */
  public enum Donor {
    /** The substitute's codeword (with the token's own residual where the fusion input has it). */
    CODEWORD,
    /** A token of another image of the batch whose code is the substitute, if there is one. */
    TOKEN
  }

  /** What keeps the match head from judging a pair by whether tokens were swapped. */
  public enum Control {
    /** Nothing: every swapped image is half of a mismatching pair. */
    NONE,
    /** The same image with as many of its least relevant tokens swapped, as a matching pair. */
    IRRELEVANT,
    /**
     * The swapped image with the hard negative caption as a matching pair, so that image and
     * caption alone tell nothing. Needs {@link Substitute#WORD}.
     */
    CROSSED,
    /**
     * The same image with the same tokens swapped towards the word of its own caption, as a
     * matching pair, and both images with the hard negative caption, which fits the other one:
     * pairs that differ in nothing but the direction of the swap. The positive is not compared.
     * Needs {@link Substitute#WORD}.
     */
    MATCHED
  }

  /** Checks ranges. */
  public NvaConfig {
    ConfigCheck.that(ratio > 0 && ratio <= 1, "nva.ratio", ratio, "must lie in (0, 1]");
    ConfigCheck.range("nva.radius", radius, 1, 1024);
    ConfigCheck.range("nva.textWeight", textWeight, 0, 1);
    ConfigCheck.present("nva.similarity", similarity);
    ConfigCheck.present("nva.substitute", substitute);
    ConfigCheck.present("nva.donor", donor);
    ConfigCheck.present("nva.control", control);
    ConfigCheck.that(
        (control != Control.CROSSED && control != Control.MATCHED) || substitute == Substitute.WORD,
        "nva.control",
        control,
        "needs nva.substitute WORD");
    ConfigCheck.range("nva.weight", weight, 0, 100);
    ConfigCheck.range("nva.startShare", startShare, 0, 1);
    ConfigCheck.range("nva.rampShare", rampShare, 0, 1);
    ConfigCheck.present("nva.loss", loss);
  }

  /**
   * The library's defaults: tokens are swapped towards a word and, for comparison, the other way,
   * once the dictionary has had a quarter of the run to learn what codes go with words.
   */
  public static NvaConfig defaults() {
    return new NvaConfig(
        true,
        0.5,
        32,
        0.5,
        Similarity.PROJECTED,
        Substitute.WORD,
        Donor.CODEWORD,
        Control.MATCHED,
        1,
        0.25,
        0.15,
        HardNegativeLoss.PAIRWISE);
  }

  /** The loss weight at a step of a run: 0 before the start, then a linear ramp. */
  public double weightAt(long step, long steps) {
    return enabled ? ConfigCheck.ramp(weight, startShare, rampShare, step, steps) : 0;
  }

  /** Whether substitutes are chosen by the words of hard negative captions. */
  public boolean usesWords() {
    return enabled && substitute == Substitute.WORD;
  }
}
