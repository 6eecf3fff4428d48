package org.nasvlp.eval;

import org.jspecify.annotations.Nullable;
import org.nasvlp.data.image.RgbImage;

/**
 * A pair (a, b) of a fine-grained benchmark, and how a model scored it.
 *
 * @param attribute the type of the difference
 * @param imageA image of a
 * @param captionA its caption
 * @param imageB image of b
 * @param captionB its caption
 * @param itc scores by image-text contrast
 * @param itm scores by image-text matching; null where no such scorer was given
 */
public record ScoredPair(
    String attribute,
    RgbImage imageA,
    String captionA,
    RgbImage imageB,
    String captionB,
    Scores itc,
    @Nullable Scores itm) {

  /**
   * The four scores of a pair, as the scorer gives them; higher is a better fit.
   *
   * @param aa image a with caption a
   * @param ab image a with caption b
   * @param ba image b with caption a
   * @param bb image b with caption b
   */
  public record Scores(double aa, double ab, double ba, double bb) {
    /**
     * By how much the own caption leads the other one, for the image where it leads by less: above
     * 0 exactly if both caption choices are right.
     */
    public double captionMargin() {
      return Math.min(aa - ab, bb - ba);
    }
  }

  /** {@link Scores#captionMargin} by matching where there is it, else by contrast. */
  public double captionMargin() {
    return (itm != null ? itm : itc).captionMargin();
  }
}
