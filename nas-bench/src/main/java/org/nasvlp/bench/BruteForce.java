package org.nasvlp.bench;

/**
 * Nearest codewords by the definition of {@code include/nas_kernels.h}, in float64 and independent
 * of the kernels: every distance is computed, in eight lanes and with the sums in the stated order.
 */
final class BruteForce {
  /** Vectors taken at once: their lanes stay in the first-level cache. */
  private static final int BLOCK = 128;

  private final double[] lanes = new double[8 * BLOCK];
  private double[] transposed = new double[0];

  /** Writes the index and the distance of the nearest codeword of every row. */
  void lookup(
      float[] codewords,
      int size,
      int width,
      float[] x,
      int rows,
      int[] indices,
      float[] distances) {
    double[] best = new double[rows];
    java.util.Arrays.fill(best, Double.POSITIVE_INFINITY);
    /* The inner loop runs over the side with more vectors; (x - e)² is (e - x)² bit for bit. */
    if (rows >= size || rows >= BLOCK) {
      for (int from = 0; from < rows; from += BLOCK) {
        int count = Math.min(BLOCK, rows - from);
        transpose(x, from, count, width);
        for (int j = 0; j < size; j++) {
          distances(codewords, j * width, width, count);
          for (int r = 0; r < count; r++) {
            if (lanes[r] < best[from + r]) {
              best[from + r] = lanes[r];
              indices[from + r] = j;
            }
          }
        }
      }
    } else {
      for (int from = 0; from < size; from += BLOCK) {
        int count = Math.min(BLOCK, size - from);
        transpose(codewords, from, count, width);
        for (int i = 0; i < rows; i++) {
          distances(x, i * width, width, count);
          for (int c = 0; c < count; c++) {
            if (lanes[c] < best[i]) {
              best[i] = lanes[c];
              indices[i] = from + c;
            }
          }
        }
      }
    }
    for (int i = 0; i < rows; i++) {
      distances[i] = (float) best[i];
    }
  }

  private void transpose(float[] vectors, int from, int count, int width) {
    if (transposed.length < width * BLOCK) {
      transposed = new double[width * BLOCK];
    }
    for (int r = 0; r < count; r++) {
      int at = (from + r) * width;
      for (int t = 0; t < width; t++) {
        transposed[t * BLOCK + r] = vectors[at + t];
      }
    }
  }

  /** lanes[r] = D(vector, transposed r). */
  private void distances(float[] vector, int at, int width, int count) {
    double[] sums = lanes;
    java.util.Arrays.fill(sums, 0.0);
    for (int t = 0; t < width; t++) {
      add(transposed, t * BLOCK, vector[at + t], sums, t % 8 * BLOCK, count);
    }
    for (int r = 0; r < count; r++) {
      double even = (sums[r] + sums[4 * BLOCK + r]) + (sums[2 * BLOCK + r] + sums[6 * BLOCK + r]);
      double odd =
          (sums[BLOCK + r] + sums[5 * BLOCK + r]) + (sums[3 * BLOCK + r] + sums[7 * BLOCK + r]);
      sums[r] = even + odd;
    }
  }

  private static void add(
      double[] values, int from, double value, double[] sums, int to, int count) {
    for (int r = 0; r < count; r++) {
      double t = value - values[from + r];
      sums[to + r] += t * t;
    }
  }
}
