package org.nasvlp.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.data.BadSampleException;

/**
 * WebP against an encoder of its own, written after RFC 9649: each channel holds two values, coded
 * with one bit.
 */
public class WebpTest {
  private static final int WHITE = 0xFFFFFF;

  /** Red, green, blue and alpha: the lesser and the greater value. */
  private static final int[][] VALUES = {{30, 250}, {10, 200}, {0, 90}, {0, 255}};

  /** A 1 x 1 lossy picture (VP8) that Google's documentation uses to detect support. */
  private static final String LOSSY =
      "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA=";

  private static final class Bits {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private int held;
    private int count;

    void put(int value, int bits) {
      for (int i = 0; i < bits; i++) {
        held |= (value >> i & 1) << count;
        if (++count == 8) {
          bytes.write(held);
          held = 0;
          count = 0;
        }
      }
    }

    byte[] done() {
      put(0, (8 - count) % 8);
      return bytes.toByteArray();
    }
  }

  /** The values of a picture's samples as 0 or 1: red, green, blue, alpha, pixel by pixel. */
  private static int[] choices(int pixels, boolean opaque, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] choices = new int[4 * pixels];
    Arrays.setAll(choices, i -> i % 4 == 3 && opaque ? 1 : random.nextInt(2));
    return choices;
  }

  private static byte[] lossless(int width, int height, int[] choices, boolean alpha) {
    Bits bits = new Bits();
    bits.put(0x2F, 8);
    bits.put(width - 1, 14);
    bits.put(height - 1, 14);
    bits.put(alpha ? 1 : 0, 1);
    bits.put(0, 3);
    // No transform, no colour cache, one set of codes for the whole picture.
    bits.put(0, 3);
    int[] order = {1, 0, 2, 3};
    for (int channel : order) {
      // A simple code of two symbols of 8 bits.
      bits.put(1, 1);
      bits.put(1, 1);
      bits.put(1, 1);
      bits.put(VALUES[channel][0], 8);
      bits.put(VALUES[channel][1], 8);
    }
    // Distances: one symbol, 0.
    bits.put(1, 1);
    bits.put(0, 1);
    bits.put(0, 1);
    bits.put(0, 1);
    for (int i = 0; i < width * height; i++) {
      for (int channel : order) {
        bits.put(choices[4 * i + channel], 1);
      }
    }
    return bits.done();
  }

  private static byte[] riff(Object... chunks) {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.writeBytes("WEBP".getBytes(StandardCharsets.ISO_8859_1));
    for (int i = 0; i < chunks.length; i += 2) {
      byte[] data = (byte[]) chunks[i + 1];
      body.writeBytes(((String) chunks[i]).getBytes(StandardCharsets.ISO_8859_1));
      body.writeBytes(little(data.length));
      body.writeBytes(data);
      if (data.length % 2 == 1) {
        body.write(0);
      }
    }
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.writeBytes("RIFF".getBytes(StandardCharsets.ISO_8859_1));
    file.writeBytes(little(body.size()));
    file.writeBytes(body.toByteArray());
    return file.toByteArray();
  }

  private static byte[] little(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }

  private static byte[] extended(int flags, int width, int height) {
    byte[] header = new byte[10];
    header[0] = (byte) flags;
    System.arraycopy(little(width - 1), 0, header, 4, 3);
    System.arraycopy(little(height - 1), 0, header, 7, 3);
    return header;
  }

  /** A whole file with transparency. */
  public static byte[] losslessFile(int width, int height) {
    return riff("VP8L", lossless(width, height, choices(width * height, false, 9), true));
  }

  private static int expected(int[] choices, int pixel, int channel) {
    int value = VALUES[channel][choices[4 * pixel + channel]];
    return VALUES[3][choices[4 * pixel + 3]] == 0 ? 255 : value;
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "5, 3", "64, 1", "17, 33", "300, 7"})
  void losslessPicturesAreReadToTheBit(int width, int height) throws BadSampleException {
    for (boolean alpha : new boolean[] {false, true}) {
      int[] choices = choices(width * height, !alpha, 7L * width + height);
      byte[] image = lossless(width, height, choices, alpha);
      byte[] plain = riff("VP8L", image);
      byte[] withMore =
          riff(
              "VP8X",
              extended(0x10 | 0x0C, width, height),
              "ICCP",
              new byte[21],
              "VP8L",
              image,
              "EXIF",
              new byte[3],
              "XMP ",
              new byte[5]);
      for (byte[] file : new byte[][] {plain, withMore}) {
        RgbImage read = RgbImage.decode(file, "x.webp", WHITE);
        assertThat(read.width()).isEqualTo(width);
        assertThat(read.height()).isEqualTo(height);
        for (int i = 0; i < width * height; i++) {
          int x = i % width;
          int y = i / width;
          assertThat(read.red(x, y)).isEqualTo(expected(choices, i, 0));
          assertThat(read.green(x, y)).isEqualTo(expected(choices, i, 1));
          assertThat(read.blue(x, y)).isEqualTo(expected(choices, i, 2));
        }
      }
    }
  }

  @Test
  void theOrientationIsHeeded() throws BadSampleException {
    int[] choices = choices(6, true, 3);
    byte[] tiff = {
      'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0
    };
    byte[] marked = new byte[tiff.length + 6];
    System.arraycopy("Exif".getBytes(StandardCharsets.ISO_8859_1), 0, marked, 0, 4);
    System.arraycopy(tiff, 0, marked, 6, tiff.length);
    for (byte[] exif : new byte[][] {tiff, marked}) {
      byte[] file =
          riff("VP8X", extended(0x08, 3, 2), "VP8L", lossless(3, 2, choices, false), "EXIF", exif);
      RgbImage read = RgbImage.decode(file, "x", WHITE);
      // 3: turned by half.
      for (int i = 0; i < 6; i++) {
        assertThat(read.red(2 - i % 3, 1 - i / 3)).isEqualTo(expected(choices, i, 0));
      }
    }
  }

  @Test
  void lossyPicturesAreRead() throws BadSampleException {
    RgbImage read = RgbImage.decode(Base64.getDecoder().decode(LOSSY), "x", WHITE);
    assertThat(read.width()).isEqualTo(1);
    assertThat(read.height()).isEqualTo(1);
  }

  private static void assertRefused(byte[] file, String message) {
    assertThatThrownBy(() -> RgbImage.decode(file, "x.webp", WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageContaining("x.webp")
        .hasMessageContaining(message);
  }

  @Test
  void brokenFilesAreNamed() {
    byte[] image = lossless(40, 30, choices(1200, true, 1), false);
    byte[] file = riff("VP8L", image);
    for (int length = 12; length < file.length; length += 7) {
      assertRefused(Arrays.copyOf(file, length), "cut short");
    }
    assertRefused(riff("XMP ", new byte[9]), "holds no image");
    assertRefused(riff("VP8X", extended(2, 4, 4), "VP8L", image), "animated WebP");
    assertRefused(
        riff("VP8X", extended(0, 1 << 24, 1 << 24), "VP8L", image), "16777216 x 16777216");
    assertRefused(riff("VP8X", new byte[4], "VP8L", image), "extended header of 4 bytes");
    byte[] noMark = image.clone();
    noMark[0] = 0;
    assertRefused(riff("VP8L", noMark), "no lossless header");
    assertRefused(riff("VP8 ", new byte[20]), "no key frame");
    byte[] huge = riff("VP8L", image);
    Arrays.fill(huge, 21, 25, (byte) 0xFF);
    assertRefused(huge, "16384 x 16384");
    // Data that end too soon inside a chunk that is whole.
    assertRefused(riff("VP8L", Arrays.copyOf(image, 60)), "end before its pixels");
    byte[] larger = image.clone();
    larger[1] = (byte) 0xFF;
    larger[2] |= 0x0F;
    assertRefused(riff("VP8L", larger), "end before its pixels");
  }
}
