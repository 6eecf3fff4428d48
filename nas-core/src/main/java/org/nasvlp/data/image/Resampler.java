package org.nasvlp.data.image;

import java.util.Arrays;

/**
 * Antialiased bicubic resampling of a window of an image: a separable convolution with Keys' cubic
 * kernel (a = −0.5), widened by the scale when shrinking, weights normalised at the borders. The
 * same definition as Pillow's {@code BICUBIC} and LibTorch's {@code _upsample_bicubic2d_aa}, here
 * in plain Java so that it gives the same bits on every machine and starts no threads.
 */
final class Resampler {
  private Resampler() {}

  /** The weights of every output position along one axis. */
  private static final class Axis {
    final int[] first;
    final float[][] weights;
    final int low;
    final int high;

    /**
     * For the output positions start … start + count − 1 of an axis of {@code in} samples resized
     * to {@code out}.
     */
    Axis(int in, long out, long start, int count) {
      double scale = in / (double) out;
      double widening = Math.max(scale, 1);
      double support = 2 * widening;
      first = new int[count];
      weights = new float[count][];
      int lowest = in;
      int highest = 0;
      for (int i = 0; i < count; i++) {
        double centre = scale * (start + i + 0.5);
        int from = Math.max((int) (centre - support + 0.5), 0);
        int to = Math.min((int) (centre + support + 0.5), in);
        double[] exact = new double[to - from];
        double sum = 0;
        for (int j = 0; j < exact.length; j++) {
          exact[j] = cubic((from + j + 0.5 - centre) / widening);
          sum += exact[j];
        }
        weights[i] = new float[exact.length];
        for (int j = 0; j < exact.length; j++) {
          weights[i][j] = (float) (exact[j] / sum);
        }
        first[i] = from;
        lowest = Math.min(lowest, from);
        highest = Math.max(highest, to);
      }
      low = lowest;
      high = highest;
    }

    /** The most samples that one output position is made of. */
    int longest() {
      int longest = 0;
      for (float[] of : weights) {
        longest = Math.max(longest, of.length);
      }
      return longest;
    }
  }

  private static double cubic(double x) {
    double a = -0.5;
    double t = Math.abs(x);
    if (t < 1) {
      return ((a + 2) * t - (a + 3)) * t * t + 1;
    }
    return t < 2 ? ((t - 5) * t + 8) * t * a - 4 * a : 0;
  }

  /**
   * Resizes the region of {@code width × height} pixels at (left, top) to {@code outWidth ×
   * outHeight} and gives the {@code size × size} window of that at (windowLeft, windowTop).
   *
   * @return 3 × size × size floats, channel by channel; may lie somewhat outside 0 to 255
   */
  static float[] resample(
      RgbImage image,
      int left,
      int top,
      int width,
      int height,
      long outWidth,
      long outHeight,
      long windowLeft,
      long windowTop,
      int size) {
    byte[] pixels = image.pixels();
    int stride = image.width() * 3;
    float[] out = new float[3 * size * size];
    if (width == outWidth && height == outHeight) {
      int from = (int) (top + windowTop) * stride + (int) (left + windowLeft) * 3;
      for (int c = 0; c < 3; c++) {
        for (int y = 0; y < size; y++) {
          for (int x = 0; x < size; x++) {
            out[(c * size + y) * size + x] = pixels[from + y * stride + x * 3 + c] & 0xFF;
          }
        }
      }
      return out;
    }
    Axis columns = new Axis(width, outWidth, windowLeft, size);
    Axis rows = new Axis(height, outHeight, windowTop, size);
    // First down, over whole lines of neighbouring samples, which the compiler takes several at a
    // time; then across, over what is left of them.
    int length = (columns.high - columns.low) * 3;
    float[][] lines = new float[rows.longest()][length];
    float[] first = new float[length];
    float[] second = new float[length];
    int read = rows.low;
    for (int y = 0; y < size; y += 2) {
      int both = Math.min(2, size - y);
      for (int i = 0; i < both; i++) {
        int end = rows.first[y + i] + rows.weights[y + i].length;
        for (; read < end; read++) {
          toFloats(
              pixels, (top + read) * stride + (left + columns.low) * 3, lines[read % lines.length]);
        }
        sum(lines, rows.first[y + i], rows.weights[y + i], i == 0 ? first : second);
      }
      across(columns, first, second, out, y * size, size, both == 2);
    }
    return out;
  }

  private static void toFloats(byte[] pixels, int from, float[] line) {
    for (int i = 0; i < line.length; i++) {
      line[i] = pixels[from + i] & 0xFF;
    }
  }

  private static void sum(float[][] lines, int from, float[] weights, float[] out) {
    Arrays.fill(out, 0);
    for (int t = 0; t < weights.length; t++) {
      float[] line = lines[(from + t) % lines.length];
      float weight = weights[t];
      for (int i = 0; i < out.length; i++) {
        out[i] += weight * line[i];
      }
    }
  }

  /** Two output lines at a time, since the sums of one would wait for themselves. */
  private static void across(
      Axis columns, float[] first, float[] second, float[] out, int at, int size, boolean both) {
    int plane = size * size;
    for (int x = 0; x < size; x++) {
      int from = (columns.first[x] - columns.low) * 3;
      float red = 0;
      float green = 0;
      float blue = 0;
      float red2 = 0;
      float green2 = 0;
      float blue2 = 0;
      for (float weight : columns.weights[x]) {
        red += weight * first[from];
        green += weight * first[from + 1];
        blue += weight * first[from + 2];
        red2 += weight * second[from];
        green2 += weight * second[from + 1];
        blue2 += weight * second[from + 2];
        from += 3;
      }
      int to = at + x;
      out[to] = red;
      out[to + plane] = green;
      out[to + 2 * plane] = blue;
      if (both) {
        out[to + size] = red2;
        out[to + size + plane] = green2;
        out[to + size + 2 * plane] = blue2;
      }
    }
  }
}
