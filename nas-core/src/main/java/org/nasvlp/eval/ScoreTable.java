package org.nasvlp.eval;

import java.util.Arrays;
import java.util.List;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.ImageTextScorer;

/** Scores of the image-caption combinations that were asked for, each computed once. */
final class ScoreTable {
  /** Combinations in one call of a scorer, so that a large test set needs no giant index arrays. */
  private static final int MOST_IN_ONE_CALL = 1 << 22;

  private final long[] combinations;
  private final double[] scores;

  private ScoreTable(long[] combinations, double[] scores) {
    this.combinations = combinations;
    this.scores = scores;
  }

  static long combination(int image, int caption) {
    return ((long) image << 32) | caption;
  }

  /**
   * Scores combinations; the array is sorted in place and may hold duplicates.
   *
   * @throws IllegalStateException if the scorer gives NaN or a wrong number of scores
   */
  static ScoreTable of(
      String scorerName,
      ImageTextScorer scorer,
      List<RgbImage> images,
      List<String> captions,
      long[] combinations) {
    Arrays.sort(combinations);
    int distinct = 0;
    for (int i = 0; i < combinations.length; i++) {
      if (i == 0 || combinations[i] != combinations[i - 1]) {
        combinations[distinct++] = combinations[i];
      }
    }
    long[] keys = Arrays.copyOf(combinations, distinct);
    double[] scores = new double[distinct];
    for (int from = 0; from < distinct; from += MOST_IN_ONE_CALL) {
      int to = Math.min(distinct, from + MOST_IN_ONE_CALL);
      int[] image = new int[to - from];
      int[] caption = new int[to - from];
      for (int i = from; i < to; i++) {
        image[i - from] = (int) (keys[i] >>> 32);
        caption[i - from] = (int) keys[i];
      }
      double[] part = scorer.score(images, captions, image, caption);
      if (part.length != to - from) {
        throw new IllegalStateException(
            "the %s scorer gave %d scores for %d combinations"
                .formatted(scorerName, part.length, to - from));
      }
      for (int i = 0; i < part.length; i++) {
        if (Double.isNaN(part[i])) {
          throw new IllegalStateException(
              ("the %s scorer gave NaN for image %d with caption '%s': the model's parameters or"
                      + " features are not finite")
                  .formatted(scorerName, image[i], captions.get(caption[i])));
        }
      }
      System.arraycopy(part, 0, scores, from, part.length);
    }
    return new ScoreTable(keys, scores);
  }

  /** The score of a combination that was asked for. */
  double at(int image, int caption) {
    int place = Arrays.binarySearch(combinations, combination(image, caption));
    if (place < 0) {
      throw new IllegalArgumentException(
          "image " + image + " with caption " + caption + " was not scored");
    }
    return scores[place];
  }
}
