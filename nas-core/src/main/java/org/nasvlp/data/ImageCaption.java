package org.nasvlp.data;

import java.util.Objects;

/**
 * A caption without its picture.
 *
 * @param imageId equal for captions of the same picture
 * @param caption the caption as the data set gives it
 */
public record ImageCaption(long imageId, String caption) {
  /** Checks that there is a caption. */
  public ImageCaption {
    Objects.requireNonNull(caption, "caption");
  }
}
