package org.nasvlp.data;

import java.util.Objects;
import org.nasvlp.data.image.RgbImage;

/**
 * An image and one caption that is true of it.
 *
 * @param key the pair's name in its data set
 * @param imageId equal for pairs of the same picture, so that none of them serves as another's
 *     negative
 * @param image the picture
 * @param caption the caption, not empty
 */
public record ImageTextPair(String key, long imageId, RgbImage image, String caption) {
  /** Checks that nothing is null. */
  public ImageTextPair {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(image, "image");
    Objects.requireNonNull(caption, "caption");
  }
}
