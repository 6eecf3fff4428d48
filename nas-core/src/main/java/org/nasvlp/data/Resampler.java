package org.nasvlp.data;

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
    int used = rows.high - rows.low;
    float[] narrowed = new float[used * size * 3];
    for (int y = 0; y < used; y++) {
      int line = (top + rows.low + y) * stride + left * 3;
      for (int x = 0; x < size; x++) {
        float[] weights = columns.weights[x];
        int at = line + columns.first[x] * 3;
        float red = 0;
        float green = 0;
        float blue = 0;
        for (float weight : weights) {
          red += weight * (pixels[at] & 0xFF);
          green += weight * (pixels[at + 1] & 0xFF);
          blue += weight * (pixels[at + 2] & 0xFF);
          at += 3;
        }
        int to = (y * size + x) * 3;
        narrowed[to] = red;
        narrowed[to + 1] = green;
        narrowed[to + 2] = blue;
      }
    }
    for (int y = 0; y < size; y++) {
      float[] weights = rows.weights[y];
      int start = (rows.first[y] - rows.low) * size * 3;
      for (int x = 0; x < size; x++) {
        for (int c = 0; c < 3; c++) {
          float sum = 0;
          int at = start + x * 3 + c;
          for (float weight : weights) {
            sum += weight * narrowed[at];
            at += size * 3;
          }
          out[(c * size + y) * size + x] = sum;
        }
      }
    }
    return out;
  }
}
