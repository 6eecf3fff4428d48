package org.nasvlp.kernels.internal;

import java.util.Arrays;
import org.nasvlp.kernels.Rows;

/** Distances and what is nearest by them, on the Java heap. */
public final class JavaDistances {
  private static final int BLOCK_ROWS = 16;
  private static final int LONG_BLOCK_ROWS = 512;

  /** Of squared distances, and a little more than 4. */
  private static final double FARTHER = 4 * (1 + 1e-9);

  private JavaDistances() {}

  /** The nearest codeword of every row, and D to it as float32. */
  static void nearest(
      float[] x, int rows, float[] e, int size, int width, int[] nearest, float[] distances) {
    int blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    Parallel.run(
        blocks,
        Libraries.threads(),
        block -> {
          int end = Math.min(rows, (block + 1) * BLOCK_ROWS);
          for (int i = block * BLOCK_ROWS; i < end; i++) {
            double best = Double.POSITIVE_INFINITY;
            int index = 0;
            for (int j = 0; j < size; j++) {
              double distance = distance(x, i * width, e, j * width, width, best);
              if (distance < best) {
                best = distance;
                index = j;
              }
            }
            nearest[i] = index;
            distances[i] = (float) best;
          }
        });
  }

  /**
   * Lowers each row's distance to the nearest of some vectors by one more vector.
   *
   * <p>By the triangle inequality a row whose nearest vector is v has none nearer in the new one w
   * if ‖v − w‖ ≥ 2‖x − v‖. Computed squares are within 1e-12 of the true ones, relatively: a sum of
   * at most {@link org.nasvlp.kernels.Codebook#MAX_WIDTH} squares has fewer than 600 roundings of
   * 2⁻⁵³. So {@link #FARTHER} makes sure that D(x, w) as computed is not below D(x, v).
   *
   * @param vectors the vectors so far, row by row
   * @param count how many there are; the last one is the new one
   * @param nearest in and out, for each row D to the nearest vector so far
   * @param owners in and out, for each row which one that is
   */
  public static void lower(
      Rows x, float[] vectors, int width, int count, double[] nearest, int[] owners) {
    int last = count - 1;
    double[] apart = new double[count];
    for (int v = 0; v < last; v++) {
      apart[v] =
          distance(vectors, v * width, vectors, last * width, width, Double.POSITIVE_INFINITY);
    }
    int blocks = Math.ceilDiv(nearest.length, LONG_BLOCK_ROWS);
    Parallel.run(
        blocks,
        Libraries.threads(),
        block -> {
          float[] row = new float[width];
          int end = (int) Math.min(nearest.length, (block + 1L) * LONG_BLOCK_ROWS);
          for (int i = block * LONG_BLOCK_ROWS; i < end; i++) {
            if (nearest[i] == 0 || apart[owners[i]] >= FARTHER * nearest[i]) {
              continue;
            }
            Segments.widen(x, i, row);
            double distance = distance(row, 0, vectors, last * width, width, nearest[i]);
            if (distance < nearest[i]) {
              nearest[i] = distance;
              owners[i] = last;
            }
          }
        });
  }

  /**
   * D(x, y), or any value that is at least bound if D is. Every partial sum grows monotonically, in
   * floating point too, so a partial result at or above the bound settles it.
   */
  private static double distance(float[] x, int xo, float[] y, int yo, int width, double bound) {
    double a0 = 0;
    double a1 = 0;
    double a2 = 0;
    double a3 = 0;
    double a4 = 0;
    double a5 = 0;
    double a6 = 0;
    double a7 = 0;
    int t = 0;
    int whole = width & -8;
    while (t < whole) {
      int end = Math.min(whole, t + 64);
      for (; t < end; t += 8) {
        double t0 = (double) x[xo + t] - (double) y[yo + t];
        double t1 = (double) x[xo + t + 1] - (double) y[yo + t + 1];
        double t2 = (double) x[xo + t + 2] - (double) y[yo + t + 2];
        double t3 = (double) x[xo + t + 3] - (double) y[yo + t + 3];
        double t4 = (double) x[xo + t + 4] - (double) y[yo + t + 4];
        double t5 = (double) x[xo + t + 5] - (double) y[yo + t + 5];
        double t6 = (double) x[xo + t + 6] - (double) y[yo + t + 6];
        double t7 = (double) x[xo + t + 7] - (double) y[yo + t + 7];
        a0 += t0 * t0;
        a1 += t1 * t1;
        a2 += t2 * t2;
        a3 += t3 * t3;
        a4 += t4 * t4;
        a5 += t5 * t5;
        a6 += t6 * t6;
        a7 += t7 * t7;
      }
      double partial = ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
      if (partial >= bound) {
        return partial;
      }
    }
    for (int lane = 0; t < width; t++, lane++) {
      double difference = (double) x[xo + t] - (double) y[yo + t];
      double square = difference * difference;
      switch (lane) {
        case 0 -> a0 += square;
        case 1 -> a1 += square;
        case 2 -> a2 += square;
        case 3 -> a3 += square;
        case 4 -> a4 += square;
        case 5 -> a5 += square;
        default -> a6 += square;
      }
    }
    return ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
  }

  /** The lists of all codes, each as long as there are live codes for it. */
  static int[][] neighbours(float[] codewords, int size, int width, int most, byte[] alive) {
    int[][] lists = new int[size][];
    Parallel.run(
        size,
        Libraries.threads(),
        j -> lists[j] = neighboursOf(j, Math.min(most, size - 1), alive, codewords, size, width));
    return lists;
  }

  /** Insertion into a short sorted list; equal distances stay in ascending order of code. */
  private static int[] neighboursOf(
      int j, int capacity, byte[] alive, float[] codewords, int size, int width) {
    int[] codes = new int[capacity];
    double[] distances = new double[capacity];
    int count = 0;
    for (int l = 0; l < size && capacity > 0; l++) {
      if (l == j || alive[l] == 0) {
        continue;
      }
      double bound = count < capacity ? Double.POSITIVE_INFINITY : distances[count - 1];
      double distance = distance(codewords, j * width, codewords, l * width, width, bound);
      if (!(distance < bound)) {
        continue;
      }
      int at = count < capacity ? count++ : count - 1;
      for (; at > 0 && distances[at - 1] > distance; at--) {
        distances[at] = distances[at - 1];
        codes[at] = codes[at - 1];
      }
      distances[at] = distance;
      codes[at] = l;
    }
    return Arrays.copyOf(codes, count);
  }
}
