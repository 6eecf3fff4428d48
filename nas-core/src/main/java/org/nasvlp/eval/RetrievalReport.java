package org.nasvlp.eval;

/**
 * Retrieval over a whole test set, both ways. Recall is a share in [0, 1]; a wrong candidate that
 * ties with the right one ranks before it.
 *
 * @param images distinct images
 * @param captions captions that were queries and candidates
 * @param textRecall image to text: recall at each of {@link #ranks}
 * @param imageRecall text to image: recall at each of {@link #ranks}
 * @param textChance image to text: what a random order reaches on average, given how many captions
 *     are right for each image
 * @param imageChance the same of text to image
 */
public record RetrievalReport(
    int images,
    int captions,
    double[] textRecall,
    double[] imageRecall,
    double[] textChance,
    double[] imageChance) {

  /** Copies the arrays. */
  public RetrievalReport {
    if (textRecall.length != ranks().length || imageRecall.length != ranks().length) {
      throw new IllegalArgumentException(
          "recall has %d and %d values: it must have %d, one for each of R@1, R@5 and R@10"
              .formatted(textRecall.length, imageRecall.length, ranks().length));
    }
    if (textChance.length != ranks().length || imageChance.length != ranks().length) {
      throw new IllegalArgumentException(
          "chance has %d and %d values: it must have %d"
              .formatted(textChance.length, imageChance.length, ranks().length));
    }
    textRecall = textRecall.clone();
    imageRecall = imageRecall.clone();
    textChance = textChance.clone();
    imageChance = imageChance.clone();
  }

  /** A copy of the image-to-text recalls. */
  @Override
  public double[] textRecall() {
    return textRecall.clone();
  }

  /** A copy of the text-to-image recalls. */
  @Override
  public double[] imageRecall() {
    return imageRecall.clone();
  }

  /** A copy of the image-to-text recalls of a random order. */
  @Override
  public double[] textChance() {
    return textChance.clone();
  }

  /** A copy of the text-to-image recalls of a random order. */
  @Override
  public double[] imageChance() {
    return imageChance.clone();
  }

  /** The k of R@k: 1, 5, 10. */
  public static int[] ranks() {
    return new int[] {1, 5, 10};
  }
}
