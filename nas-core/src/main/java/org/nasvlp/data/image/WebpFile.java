package org.nasvlp.data.image;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * A WebP file (RFC 9649) whose structure holds.
 *
 * @param pixels the chunks that carry pixels, as a file
 * @param orientation as in {@link ExifOrientation}
 */
record WebpFile(byte[] pixels, int orientation) {
  private static final int HEADER = 12;
  private static final int CHUNK_HEADER = 8;
  private static final int ALPHA = 0x10;
  private static final int ANIMATION = 0x02;

  /** Walks the chunks; the first image must be whole. Metadata and profiles are left away. */
  static WebpFile check(byte[] encoded) throws ImageDecoder.Malformed {
    ByteBuffer in = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    if (encoded.length < HEADER + CHUNK_HEADER) {
      throw cutShort(encoded);
    }
    long end = (in.getInt(4) & 0xFFFFFFFFL) + 8;
    if (end > encoded.length) {
      throw cutShort(encoded);
    }
    ByteArrayOutputStream kept = new ByteArrayOutputStream(encoded.length);
    kept.write(encoded, 0, HEADER);
    boolean image = false;
    int orientation = ExifOrientation.UNKNOWN;
    int at = HEADER;
    while (at + CHUNK_HEADER <= end) {
      String type = new String(encoded, at, 4, StandardCharsets.ISO_8859_1);
      long length = in.getInt(at + 4) & 0xFFFFFFFFL;
      int from = at + CHUNK_HEADER;
      if (from + length > end) {
        throw new ImageDecoder.Malformed("WebP cut short inside its chunk " + type.strip());
      }
      int padded = (int) (length + (length & 1));
      int whole = Math.min(CHUNK_HEADER + padded, encoded.length - at);
      switch (type) {
        case "VP8X" -> {
          kept.write(extended(encoded, at, length), 0, CHUNK_HEADER + 10);
        }
        case "VP8 ", "VP8L" -> {
          if (!image) {
            checkSize(in, type, from, length);
            kept.write(encoded, at, whole);
          }
          image = true;
        }
        case "ALPH" -> kept.write(encoded, at, whole);
        case "ANIM", "ANMF" -> throw animated();
        case "EXIF" -> orientation = orientation(in, from, (int) length);
        default -> {}
      }
      at = from + padded;
    }
    if (!image) {
      throw new ImageDecoder.Malformed("damaged WebP: it holds no image");
    }
    byte[] pixels = kept.toByteArray();
    ByteBuffer.wrap(pixels).order(ByteOrder.LITTLE_ENDIAN).putInt(4, pixels.length - 8);
    return new WebpFile(pixels, orientation);
  }

  private static ImageDecoder.Malformed cutShort(byte[] encoded) {
    return new ImageDecoder.Malformed("WebP cut short after " + encoded.length + " bytes");
  }

  private static ImageDecoder.Malformed animated() {
    return new ImageDecoder.Malformed(
        "animated WebP is not supported; convert its first frame to PNG or JPEG");
  }

  /** The extended header with no flag but that of transparency. */
  private static byte[] extended(byte[] encoded, int at, long length)
      throws ImageDecoder.Malformed {
    if (length != 10) {
      throw new ImageDecoder.Malformed("damaged WebP: an extended header of " + length + " bytes");
    }
    byte[] chunk = java.util.Arrays.copyOfRange(encoded, at, at + CHUNK_HEADER + 10);
    if ((chunk[CHUNK_HEADER] & ANIMATION) != 0) {
      throw animated();
    }
    chunk[CHUNK_HEADER] &= ALPHA;
    ImageDecoder.checkSize(1L + threeBytes(chunk, 12), 1L + threeBytes(chunk, 15), 4);
    return chunk;
  }

  private static int threeBytes(byte[] bytes, int at) {
    return (bytes[at] & 0xFF) | (bytes[at + 1] & 0xFF) << 8 | (bytes[at + 2] & 0xFF) << 16;
  }

  private static void checkSize(ByteBuffer in, String type, int from, long length)
      throws ImageDecoder.Malformed {
    if (type.equals("VP8L")) {
      if (length < 5 || in.get(from) != 0x2F) {
        throw new ImageDecoder.Malformed("damaged WebP: no lossless header");
      }
      int sizes = in.getInt(from + 1);
      ImageDecoder.checkSize(1L + (sizes & 0x3FFF), 1L + (sizes >>> 14 & 0x3FFF), 4);
      return;
    }
    // A key frame's start code, then width and height of 14 bits (RFC 6386, section 9.1).
    if (length < 10 || (in.get(from) & 1) != 0 || (in.getInt(from + 2) >>> 8) != 0x2A019D) {
      throw new ImageDecoder.Malformed("damaged WebP: no key frame");
    }
    ImageDecoder.checkSize(in.getShort(from + 6) & 0x3FFF, in.getShort(from + 8) & 0x3FFF, 4);
  }

  private static int orientation(ByteBuffer in, int from, int length) {
    // Some writers put JPEG's mark before the TIFF header.
    boolean marked = length >= 6 && in.getInt(from) == 0x66697845 && in.getShort(from + 4) == 0;
    return ExifOrientation.read(marked ? in.slice(from + 6, length - 6) : in.slice(from, length));
  }
}
