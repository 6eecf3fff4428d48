package org.nasvlp.config;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): hard negative images made by swapping the
 * codes of the tokens that matter most to the caption, and by mirroring where tokens stand. The
 * values are this library's defaults; the paper does not publish its own, and does not mirror.
 *
 * @param enabled whether hard negative images are made by swapping codes
 * @param imageShare share of the images that can have a hard negative whose hard negative is
 *     compared: those whose caption contrast is least sure of, against the hard negative caption
 *     where there is one
 * @param ratio share rho of an image's tokens that are chosen
 * @param neighbours R: substitutes are taken among the R live codes nearest to the one replaced
 * @param textWeight lambda: weight of the similarity to the caption's class token against that to
 *     the image's
 * @param similarity features that these similarities compare
 * @param choose which tokens are swapped
 * @param substitute which of the R codes takes a token's place
 * @param donor what is written there
 * @param control pairs that hold a swapped image and still match
 * @param weight weight of the loss
 * @param startShare share of the run before the loss begins
 * @param rampShare share of the run over which the weight then rises from 0
 * @param loss form of the loss, and of that of mirrored images
 * @param mirrorWeight weight of the loss of mirrored images: where a caption and its hard negative
 *     differ in a direction, the image's tokens in mirrored places are the hard negative image; 0
 *     for none. It sets in with hard negative captions, by {@code nta.startShare} and {@code
 *     nta.rampShare}
 */
@ConfigSection
public record NvaConfig(
    boolean enabled,
    double imageShare,
    double ratio,
    int neighbours,
    double textWeight,
    Similarity similarity,
    Choose choose,
    Substitute substitute,
    Donor donor,
    Control control,
    double weight,
    double startShare,
    double rampShare,
    HardNegativeLoss loss,
    double mirrorWeight) {

  /** Features whose cosines to the class tokens score the patch tokens. */
  public enum Similarity {
    /** The contrastive projections of both. */
    PROJECTED,
    /** The encoders' outputs, which have the same width. */
    RAW
  }

  /** Which tokens of an image are swapped. */
  public enum Choose {
    /** Those most similar to the class tokens of the image and the caption. */
    RELEVANCE,
    /**
     * Those whose substitute gains most evidence for the word that the caption's hard negative puts
     * in, against the word it takes out. Needs hard negative captions; images without one get no
     * swap.
     */
    GAIN
  }

  /** Which code stands in for another one. */
  public enum Substitute {
    /** A uniform seeded draw among the nearest codes. */
    DRAW,
    /**
     * That one of the nearest codes that has most evidence for the word that the caption's hard
     * negative puts in, against the word it takes out, by how often codes and words occur together.
     * Needs hard negative captions; images without one get no swap.
     */
    EVIDENCE
  }

  /** What is written at a swapped position. */
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
     * caption alone tell nothing. Needs {@link Substitute#EVIDENCE}.
     */
    CROSSED,
    /**
     * The same image with the same tokens swapped towards the word of its own caption, as a
     * matching pair, and both images with the hard negative caption, which fits the other one:
     * pairs that differ in nothing but the direction of the swap. The positive is not compared.
     * Needs {@link Substitute#EVIDENCE}.
     */
    MATCHED
  }

  /** Checks ranges. */
  public NvaConfig {
    ConfigCheck.that(
        imageShare > 0 && imageShare <= 1, "nva.imageShare", imageShare, "must lie in (0, 1]");
    ConfigCheck.that(ratio > 0 && ratio <= 1, "nva.ratio", ratio, "must lie in (0, 1]");
    ConfigCheck.range("nva.neighbours", neighbours, 1, 1024);
    ConfigCheck.range("nva.textWeight", textWeight, 0, 1);
    ConfigCheck.present("nva.similarity", similarity);
    ConfigCheck.present("nva.choose", choose);
    ConfigCheck.present("nva.substitute", substitute);
    ConfigCheck.present("nva.donor", donor);
    ConfigCheck.present("nva.control", control);
    ConfigCheck.that(
        (control != Control.CROSSED && control != Control.MATCHED)
            || substitute == Substitute.EVIDENCE,
        "nva.control",
        control,
        "must be NONE or IRRELEVANT where nva.substitute is not EVIDENCE");
    ConfigCheck.range("nva.weight", weight, 0, 100);
    ConfigCheck.range("nva.startShare", startShare, 0, 1);
    ConfigCheck.range("nva.rampShare", rampShare, 0, 1);
    ConfigCheck.present("nva.loss", loss);
    ConfigCheck.range("nva.mirrorWeight", mirrorWeight, 0, 100);
  }

  /**
   * The library's defaults: tokens are swapped towards a word and, for comparison, the other way,
   * once the dictionary has had a quarter of the run to learn what codes go with words.
   */
  public static NvaConfig defaults() {
    return NvaConfigBuilder.builder()
        .enabled(true)
        .imageShare(1)
        .ratio(0.5)
        .neighbours(32)
        .textWeight(0.5)
        .similarity(Similarity.PROJECTED)
        .choose(Choose.GAIN)
        .substitute(Substitute.EVIDENCE)
        .donor(Donor.CODEWORD)
        .control(Control.MATCHED)
        .weight(1)
        .startShare(0.25)
        .rampShare(0.15)
        .loss(HardNegativeLoss.PAIRWISE)
        .mirrorWeight(0)
        .build();
  }

  /** The loss weight at a step of a run: 0 before the start, then a linear ramp. */
  public double weightAt(long step, long steps) {
    return enabled ? ConfigCheck.ramp(weight, startShare, rampShare, step, steps) : 0;
  }

  /** Whether tokens or substitutes are chosen by the words of hard negative captions. */
  public boolean usesWords() {
    return enabled && (choose == Choose.GAIN || substitute == Substitute.EVIDENCE);
  }

  /** A builder that begins with these values. */
  public NvaConfigBuilder toBuilder() {
    return NvaConfigBuilder.builder(this);
  }
}
