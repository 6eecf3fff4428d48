package org.nasvlp.scoring;

import java.util.List;
import org.nasvlp.data.image.RgbImage;

/** Says how well captions fit images: all that an evaluation needs to know of a model. */
@FunctionalInterface
public interface ImageTextScorer {
  /**
   * Scores image-caption combinations. Higher means a better fit; only the order of the scores
   * matters. NaN is refused by the evaluations.
   *
   * @param images distinct images
   * @param captions distinct captions
   * @param imageIndex for each combination, the index of its image
   * @param captionIndex for each combination, the index of its caption; as long as {@code
   *     imageIndex}
   * @return one score for each combination, in the same order
   */
  double[] score(
      List<RgbImage> images, List<String> captions, int[] imageIndex, int[] captionIndex);
}
