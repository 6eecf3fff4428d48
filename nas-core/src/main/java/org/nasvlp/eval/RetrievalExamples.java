package org.nasvlp.eval;

import java.util.List;
import org.nasvlp.data.image.RgbImage;

/**
 * Queries of a retrieval both ways.
 *
 * @param images found for captions
 * @param captions found for images
 */
public record RetrievalExamples(
    List<RetrievalExample<String, RgbImage>> images,
    List<RetrievalExample<RgbImage, String>> captions) {
  /** Copies the lists. */
  public RetrievalExamples {
    images = List.copyOf(images);
    captions = List.copyOf(captions);
  }
}
