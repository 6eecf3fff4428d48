package org.nasvlp.train;

import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NvaTrace;

/**
 * A pair with the hard negatives that training makes of it, and what the model makes of them.
 *
 * @param pair the pair itself
 * @param match probability that its image matches its caption
 * @param edit its hard negative caption; null without one
 * @param editMatch probability that the image matches that caption; NaN without one
 * @param swap its hard negative image; null without one
 * @param mirrored its mirrored image; null without one
 */
public record HardNegativeExample(
    ImageTextPair pair,
    double match,
    @Nullable CaptionEdit edit,
    double editMatch,
    @Nullable NvaTrace swap,
    @Nullable Mirrored mirrored) {
  /**
   * The image's own patch tokens in mirrored places, of which the hard negative caption is true.
   *
   * @param mirror how they are mirrored
   * @param side patches in a row
   * @param match probability that it matches the pair's caption
   * @param editMatch probability that it matches the hard negative caption
   */
  public record Mirrored(Mirror mirror, int side, double match, double editMatch) {}
}
