package org.nasvlp.data.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * How a stored picture has to be turned or mirrored to be upright: the Orientation tag of Exif
 * (CIPA DC-008), 1 to 8. The tag tells on which side of the upright picture the stored first row
 * and first column lie.
 */
final class ExifOrientation {
  /** There is no tag, or not a valid one: the picture stays as it is stored. */
  static final int UNKNOWN = 0;

  private static final int UPRIGHT = 1;
  private static final int TAG = 0x0112;
  private static final int SHORT = 3;
  private static final int ENTRY_BYTES = 12;

  private ExifOrientation() {}

  /**
   * Finds the tag in the main picture's directory. Exif damaged in any way is {@link #UNKNOWN}: no
   * pixel depends on it.
   *
   * @param tiff what follows {@code "Exif\0\0"}; its byte order is set
   */
  static int read(ByteBuffer tiff) {
    if (tiff.limit() < 8) {
      return UNKNOWN;
    }
    int order = tiff.order(ByteOrder.BIG_ENDIAN).getShort(0);
    if (order != 0x4949 && order != 0x4D4D) {
      return UNKNOWN;
    }
    tiff.order(order == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    long directory = tiff.getInt(4) & 0xFFFFFFFFL;
    if (tiff.getShort(2) != 42 || directory > tiff.limit() - 2) {
      return UNKNOWN;
    }
    int first = (int) directory + 2;
    int held = (tiff.limit() - first) / ENTRY_BYTES;
    int entries = Math.min(tiff.getShort((int) directory) & 0xFFFF, held);
    for (int i = 0; i < entries; i++) {
      int entry = first + i * ENTRY_BYTES;
      if (tiff.getShort(entry) == TAG) {
        int value = tiff.getShort(entry + 8);
        boolean valid =
            tiff.getShort(entry + 2) == SHORT
                && tiff.getInt(entry + 4) == 1
                && value >= 1
                && value <= 8;
        return valid ? value : UNKNOWN;
      }
    }
    return UNKNOWN;
  }

  /** The picture as it is to be seen; orientations 5 to 8 swap width and height. */
  static RgbImage upright(RgbImage stored, int orientation) {
    if (orientation == UNKNOWN || orientation == UPRIGHT) {
      return stored;
    }
    boolean transposed = orientation >= 5;
    boolean fromRight =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    boolean fromBottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int width = stored.width();
    int height = stored.height();
    int newWidth = transposed ? height : width;
    int newHeight = transposed ? width : height;
    byte[] from = stored.pixels();
    byte[] to = new byte[from.length];
    for (int y = 0; y < newHeight; y++) {
      for (int x = 0; x < newWidth; x++) {
        int column = transposed ? y : x;
        int row = transposed ? x : y;
        int source =
            (fromBottom ? height - 1 - row : row) * width
                + (fromRight ? width - 1 - column : column);
        System.arraycopy(from, source * 3, to, (y * newWidth + x) * 3, 3);
      }
    }
    return RgbImage.wrap(newWidth, newHeight, to);
  }
}
