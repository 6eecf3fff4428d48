package org.nasvlp.eval;

/**
 * What a scorer achieves on pairs of image-caption pairs (a, b) that differ in one attribute. All
 * scores are shares in [0, 1]; a tie counts as wrong.
 *
 * @param pairs pairs (a, b) counted; each gives two caption choices and two image choices
 * @param captionChoice given an image, its own caption scores higher than the other; chance 1/2
 * @param imageChoice given a caption, its own image scores higher than the other; chance 1/2
 * @param text both caption choices of a pair are right (Winoground's text score, arXiv 2204.03162);
 *     chance 1/4
 * @param image both image choices of a pair are right (Winoground's image score); chance 1/4
 * @param group all four choices of a pair are right (Winoground's group score); chance 1/6
 */
public record AttributeScores(
    int pairs, double captionChoice, double imageChoice, double text, double image, double group) {

  /** What random scores reach on average; its {@code pairs} is 0. */
  public static AttributeScores chance() {
    return new AttributeScores(0, 0.5, 0.5, 0.25, 0.25, 1.0 / 6);
  }
}
