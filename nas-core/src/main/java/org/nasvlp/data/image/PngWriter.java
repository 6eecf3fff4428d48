package org.nasvlp.data.image;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/**
 * Writes PNG files (ISO/IEC 15948) of 8 bits a channel. The JDK's writer takes several times as
 * long for a picture of 64 pixels, most of it to set itself up.
 */
final class PngWriter {
  private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

  private PngWriter() {}

  /**
   * A file.
   *
   * @param rgb {@code height × width × 3} bytes, row by row, red first
   */
  static byte[] write(int width, int height, byte[] rgb) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(rgb.length / 2 + 128);
    out.writeBytes(SIGNATURE);
    byte[] header =
        ByteBuffer.allocate(13).putInt(width).putInt(height).put((byte) 8).put((byte) 2).array();
    chunk(out, "IHDR", header, header.length);
    byte[] rows = filtered(width, height, rgb);
    Deflater deflater = new Deflater(Deflater.BEST_SPEED);
    try {
      deflater.setInput(rows);
      deflater.finish();
      // Deflate adds at most 5 bytes to each 16 KiB that it cannot shrink, and its own frame.
      byte[] packed = new byte[rows.length + rows.length / 1024 + 128];
      int length = 0;
      while (!deflater.finished()) {
        length += deflater.deflate(packed, length, packed.length - length);
      }
      chunk(out, "IDAT", packed, length);
    } finally {
      deflater.end();
    }
    chunk(out, "IEND", new byte[0], 0);
    return out.toByteArray();
  }

  /** Each row after the first less the one above, which is nothing where colors are plain. */
  private static byte[] filtered(int width, int height, byte[] rgb) {
    int stride = width * 3;
    byte[] rows = new byte[height * (stride + 1)];
    for (int y = 0; y < height; y++) {
      int to = y * (stride + 1);
      int from = y * stride;
      rows[to] = (byte) (y == 0 ? 0 : 2);
      for (int i = 0; i < stride; i++) {
        rows[to + 1 + i] = (byte) (rgb[from + i] - (y == 0 ? 0 : rgb[from + i - stride]));
      }
    }
    return rows;
  }

  private static void chunk(ByteArrayOutputStream out, String type, byte[] data, int length) {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    CRC32 crc = new CRC32();
    crc.update(name);
    crc.update(data, 0, length);
    out.writeBytes(ByteBuffer.allocate(4).putInt(length).array());
    out.writeBytes(name);
    out.write(data, 0, length);
    out.writeBytes(ByteBuffer.allocate(4).putInt((int) crc.getValue()).array());
  }
}
