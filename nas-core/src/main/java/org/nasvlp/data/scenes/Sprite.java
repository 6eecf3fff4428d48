package org.nasvlp.data.scenes;

import java.awt.image.BufferedImage;

/**
 * A small picture with transparency. Immutable.
 *
 * @param width in pixels
 * @param height in pixels
 * @param pixels height x width x 4 values of 0 to 255, row by row: red, green and blue times
 *     opacity, and opacity
 */
record Sprite(int width, int height, float[] pixels) {

  /** The part of a picture that is not transparent; null if there is none. */
  static @org.jspecify.annotations.Nullable Sprite trimmed(BufferedImage image) {
    int left = image.getWidth();
    int top = image.getHeight();
    int right = -1;
    int bottom = -1;
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        if (image.getRGB(x, y) >>> 24 > 24) {
          left = Math.min(left, x);
          right = Math.max(right, x);
          top = Math.min(top, y);
          bottom = Math.max(bottom, y);
        }
      }
    }
    if (right < left) {
      return null;
    }
    int width = right - left + 1;
    int height = bottom - top + 1;
    float[] pixels = new float[width * height * 4];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        int argb = image.getRGB(left + x, top + y);
        int at = (y * width + x) * 4;
        float opacity = (argb >>> 24) / 255f;
        pixels[at] = (argb >> 16 & 0xFF) * opacity;
        pixels[at + 1] = (argb >> 8 & 0xFF) * opacity;
        pixels[at + 2] = (argb & 0xFF) * opacity;
        pixels[at + 3] = argb >>> 24;
      }
    }
    return new Sprite(width, height, pixels);
  }

  /** The same with a longer side of that many pixels: each one the mean of the area it covers. */
  Sprite scaled(int side) {
    double scale = (double) side / Math.max(width, height);
    int newWidth = Math.max(1, (int) Math.round(width * scale));
    int newHeight = Math.max(1, (int) Math.round(height * scale));
    float[] rows = new float[newWidth * height * 4];
    means(pixels, width, newWidth, height, 4, width * 4, rows, 4, newWidth * 4);
    float[] out = new float[newWidth * newHeight * 4];
    means(rows, height, newHeight, newWidth, newWidth * 4, 4, out, newWidth * 4, 4);
    return new Sprite(newWidth, newHeight, out);
  }

  private static void means(
      float[] from,
      int length,
      int newLength,
      int lines,
      int step,
      int lineStep,
      float[] to,
      int newStep,
      int newLineStep) {
    double share = (double) length / newLength;
    for (int i = 0; i < newLength; i++) {
      double start = i * share;
      double end = Math.min(length, start + share);
      for (int line = 0; line < lines; line++) {
        for (int channel = 0; channel < 4; channel++) {
          double sum = 0;
          for (int j = (int) start; j < end; j++) {
            double covered = Math.min(end, j + 1) - Math.max(start, j);
            sum += covered * from[line * lineStep + j * step + channel];
          }
          to[line * newLineStep + i * newStep + channel] = (float) (sum / (end - start));
        }
      }
    }
  }
}
