package org.nasvlp.eval;

import java.util.Arrays;
import java.util.List;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.ImageTextScorer;

/** Scores of the image-caption combinations that were asked for, each computed once. */
final class ScoreTable {
  /** Combinations in one call of a scorer, so that a large test set needs no giant index arrays. */
  private static final int MOST_IN_ONE_CALL = 1 << 22;

  /** Scores of all images with all captions at most: 2 GiB. */
  private static final int MOST_IN_ALL = 1 << 28;

  /**
   * Images come in multiples of what a scorer encodes at once, or the last of each would be few.
   */
  private static final int CHUNK = 64;

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
    long[] keys = distinct(combinations);
    double[] scores = new double[keys.length];
    for (int from = 0; from < keys.length; from += MOST_IN_ONE_CALL) {
      int to = Math.min(keys.length, from + MOST_IN_ONE_CALL);
      int[] image = new int[to - from];
      int[] caption = new int[to - from];
      for (int i = from; i < to; i++) {
        image[i - from] = (int) (keys[i] >>> 32);
        caption[i - from] = (int) keys[i];
      }
      double[] part = scores(scorerName, scorer, images, 0, captions, image, caption);
      System.arraycopy(part, 0, scores, from, part.length);
    }
    return new ScoreTable(keys, scores);
  }

  /**
   * Scores each image with each caption, some images at a time.
   *
   * @param combinations those that the table keeps; sorted in place, and may hold duplicates
   * @param all images x some number of captions, the first ones: filled
   * @throws IllegalStateException if the scorer gives NaN or a wrong number of scores, or there are
   *     too many to keep
   */
  static ScoreTable ofAll(
      String scorerName,
      ImageTextScorer scorer,
      List<RgbImage> images,
      List<String> captions,
      long[] combinations,
      double[][] all) {
    return ofAll(scorerName, scorer, images, captions, combinations, all, MOST_IN_ONE_CALL);
  }

  /** The same with about so many combinations in a call. */
  static ScoreTable ofAll(
      String scorerName,
      ImageTextScorer scorer,
      List<RgbImage> images,
      List<String> captions,
      long[] combinations,
      double[][] all,
      int mostInOneCall) {
    long count = (long) images.size() * captions.size();
    if (count > MOST_IN_ALL) {
      throw new IllegalStateException(
          "retrieval over %d images and %d captions needs %d scores, more than %d: use a smaller test"
                  .formatted(images.size(), captions.size(), count, MOST_IN_ALL)
              + " set or evaluate without retrieval");
    }
    long[] keys = distinct(combinations);
    double[] scores = new double[keys.length];
    int rows = Math.max(1, mostInOneCall / captions.size() / CHUNK) * CHUNK;
    int next = 0;
    for (int from = 0; from < images.size(); from += rows) {
      List<RgbImage> some = images.subList(from, Math.min(images.size(), from + rows));
      int[] image = new int[some.size() * captions.size()];
      int[] caption = new int[image.length];
      for (int i = 0; i < image.length; i++) {
        image[i] = i / captions.size();
        caption[i] = i % captions.size();
      }
      double[] part = scores(scorerName, scorer, some, from, captions, image, caption);
      for (int i = 0; i < some.size(); i++) {
        double[] row = all[from + i];
        System.arraycopy(part, i * captions.size(), row, 0, row.length);
      }
      for (; next < keys.length && (int) (keys[next] >>> 32) < from + some.size(); next++) {
        int row = (int) (keys[next] >>> 32) - from;
        scores[next] = part[row * captions.size() + (int) keys[next]];
      }
    }
    return new ScoreTable(keys, scores);
  }

  private static long[] distinct(long[] combinations) {
    Arrays.sort(combinations);
    int distinct = 0;
    for (int i = 0; i < combinations.length; i++) {
      if (i == 0 || combinations[i] != combinations[i - 1]) {
        combinations[distinct++] = combinations[i];
      }
    }
    return Arrays.copyOf(combinations, distinct);
  }

  /**
   * A scorer's scores, all there and none of them NaN.
   *
   * @param first which of all images the first is
   */
  private static double[] scores(
      String scorerName,
      ImageTextScorer scorer,
      List<RgbImage> images,
      int first,
      List<String> captions,
      int[] image,
      int[] caption) {
    double[] scores = scorer.score(images, captions, image, caption);
    if (scores.length != image.length) {
      throw new IllegalStateException(
          "the %s scorer gave %d scores for %d combinations"
              .formatted(scorerName, scores.length, image.length));
    }
    for (int i = 0; i < scores.length; i++) {
      if (Double.isNaN(scores[i])) {
        throw new IllegalStateException(
            ("the %s scorer gave NaN for image %d with caption '%s': the model's parameters or"
                    + " features are not finite")
                .formatted(scorerName, first + image[i], captions.get(caption[i])));
      }
    }
    return scores;
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
