package org.nasvlp.dictionary;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.random.Draws;

/**
 * Codewords to start from: the seeding of k-means++ (Arthur and Vassilvitskii, SODA 2007), which
 * takes each next one with a probability in proportion to its squared distance to the nearest so
 * far.
 */
final class KMeansPlusPlus {
  private KMeansPlusPlus() {}

  /**
   * Chooses rows.
   *
   * @param features rows x width, row-major
   * @param size K, at most rows
   * @return size x width
   */
  static float[] choose(float[] features, int rows, int width, int size, long seed) {
    float[] codewords = new float[size * width];
    double[] nearest = new double[rows];
    Arrays.fill(nearest, Double.POSITIVE_INFINITY);
    int chosen = Draws.uniform(Draws.draw(seed, 0, 0, 0), rows);
    for (int j = 0; ; j++) {
      System.arraycopy(features, chosen * width, codewords, j * width, width);
      if (j == size - 1) {
        return codewords;
      }
      int last = chosen;
      IntStream all = IntStream.range(0, rows);
      (Kernels.threads() > 1 ? all.parallel() : all)
          .forEach(
              i -> nearest[i] = Math.min(nearest[i], squaredDistance(features, i, last, width)));
      double total = 0; // in the order of the rows: the same bits however many threads there are
      for (int i = 0; i < rows; i++) {
        total += nearest[i];
      }
      long draw = Draws.draw(seed, 0, 0, j + 1);
      if (total == 0) {
        chosen = Draws.uniform(draw, rows);
        continue;
      }
      double target = Draws.unit(draw) * total;
      int next = -1;
      for (int i = 0; i < rows; i++) {
        if (nearest[i] > 0) {
          next = i;
          target -= nearest[i];
          if (target < 0) {
            break;
          }
        }
      }
      chosen = next;
    }
  }

  private static float squaredDistance(float[] features, int a, int b, int width) {
    float sum = 0;
    for (int t = 0; t < width; t++) {
      float difference = features[a * width + t] - features[b * width + t];
      sum += difference * difference;
    }
    return sum;
  }
}
