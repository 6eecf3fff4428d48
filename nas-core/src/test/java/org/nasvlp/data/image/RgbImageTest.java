package org.nasvlp.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.nasvlp.data.Fixtures.WHITE;
import static org.nasvlp.data.Fixtures.encode;
import static org.nasvlp.data.Fixtures.header;
import static org.nasvlp.data.Fixtures.pattern;
import static org.nasvlp.data.Fixtures.pngOf;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.zip.DeflaterOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;

class RgbImageTest {
  private static final byte[] NONE = {};

  private static byte[] deflate(int... raw) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (DeflaterOutputStream deflater = new DeflaterOutputStream(out)) {
      for (int b : raw) {
        deflater.write(b);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return out.toByteArray();
  }

  private static int[] pixel(RgbImage image, int x, int y) {
    return new int[] {image.red(x, y), image.green(x, y), image.blue(x, y)};
  }

  private static void assertRefused(byte[] encoded, String... parts) {
    assertThatThrownBy(() -> RgbImage.decode(encoded, "the-image", WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageStartingWith("the-image: ")
        .satisfies(e -> assertThat(e.getMessage()).contains(parts));
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "gif"})
  void losslessFormatsGiveTheSamePixels(String format) throws BadSampleException {
    // A palette of 216 colours, so that GIF loses nothing.
    BufferedImage source = new BufferedImage(19, 7, BufferedImage.TYPE_INT_RGB);
    Random random = new Random(3);
    for (int i = 0; i < 19 * 7; i++) {
      int rgb =
          ((random.nextInt(6) * 51) << 16)
              + ((random.nextInt(6) * 51) << 8)
              + random.nextInt(6) * 51;
      source.setRGB(i % 19, i / 19, rgb);
    }
    RgbImage image = RgbImage.decode(encode(source, format), "x", WHITE);
    assertThat(image.width()).isEqualTo(19);
    assertThat(image.height()).isEqualTo(7);
    for (int y = 0; y < 7; y++) {
      for (int x = 0; x < 19; x++) {
        int rgb = source.getRGB(x, y);
        assertThat(pixel(image, x, y))
            .as("(%d, %d)", x, y)
            .containsExactly((rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255);
      }
    }
  }

  @Test
  void transparentPixelsShowTheBackground() throws BadSampleException {
    // Rows: filter 0, then RGBA. 200 * 64/255 + 50 * 191/255 = 87.65; 0 * .. + 100 * 191/255 = 74.9
    byte[] data = deflate(0, 200, 0, 255, 64, 10, 20, 30, 0, 10, 20, 30, 255);
    byte[] png = pngOf("IHDR", header(3, 1, 8, 6), "IDAT", data, "IEND", NONE);
    RgbImage image = RgbImage.decode(png, "x", 0x326496);
    assertThat(pixel(image, 0, 0)).containsExactly(88, 75, 176);
    assertThat(pixel(image, 1, 0)).containsExactly(0x32, 0x64, 0x96);
    assertThat(pixel(image, 2, 0)).containsExactly(10, 20, 30);
  }

  @Test
  void greyStaysAsItIs() throws BadSampleException {
    byte[] png =
        pngOf("IHDR", header(4, 1, 8, 0), "IDAT", deflate(0, 0, 50, 128, 255), "IEND", NONE);
    RgbImage image = RgbImage.decode(png, "x", WHITE);
    assertThat(pixel(image, 1, 0)).containsExactly(50, 50, 50);
    assertThat(pixel(image, 2, 0)).containsExactly(128, 128, 128);
    assertThat(pixel(image, 3, 0)).containsExactly(255, 255, 255);
  }

  @Test
  void greyOfTwoBitsAndOfOneBit() throws BadSampleException {
    byte[] two = pngOf("IHDR", header(4, 1, 2, 0), "IDAT", deflate(0, 0b00011011), "IEND", NONE);
    RgbImage image = RgbImage.decode(two, "x", WHITE);
    assertThat(new int[] {image.red(0, 0), image.red(1, 0), image.green(2, 0), image.blue(3, 0)})
        .containsExactly(0, 85, 170, 255);
    byte[] one = pngOf("IHDR", header(2, 1, 1, 0), "IDAT", deflate(0, 0b01000000), "IEND", NONE);
    assertThat(pixel(RgbImage.decode(one, "x", WHITE), 1, 0)).containsExactly(255, 255, 255);
  }

  @Test
  void greyWithAlphaAndGreyOfSixteenBits() throws BadSampleException {
    byte[] alpha =
        pngOf("IHDR", header(2, 1, 8, 4), "IDAT", deflate(0, 100, 255, 100, 0), "IEND", NONE);
    RgbImage image = RgbImage.decode(alpha, "x", 0x010203);
    assertThat(pixel(image, 0, 0)).containsExactly(100, 100, 100);
    assertThat(pixel(image, 1, 0)).containsExactly(1, 2, 3);
    // 0x80FF = 33023 of 65535 is 128.49 of 255; 0x8100 = 33024 is 128.498.
    byte[] sixteen =
        pngOf(
            "IHDR", header(2, 1, 16, 0), "IDAT", deflate(0, 0x80, 0xFF, 0xFF, 0xFF), "IEND", NONE);
    RgbImage deep = RgbImage.decode(sixteen, "x", WHITE);
    assertThat(pixel(deep, 0, 0)).containsExactly(128, 128, 128);
    assertThat(pixel(deep, 1, 0)).containsExactly(255, 255, 255);
  }

  @Test
  void colourOfSixteenBitsIsRoundedToEight() throws BadSampleException {
    byte[] data = deflate(0, 0x12, 0x34, 0xAB, 0xCD, 0x00, 0x81, 0xFF, 0xFF, 0, 0, 0x7F, 0xFF);
    byte[] png = pngOf("IHDR", header(2, 1, 16, 2), "IDAT", data, "IEND", NONE);
    RgbImage image = RgbImage.decode(png, "x", WHITE);
    // 4660, 43981, 129, 65535, 0, 32767 of 65535, times 255: 18.13, 171.13, 0.50195, 255, 0, 127.5-
    assertThat(pixel(image, 0, 0)).containsExactly(18, 171, 1);
    assertThat(pixel(image, 1, 0)).containsExactly(255, 0, 127);
  }

  @Test
  void paletteWithTransparency() throws BadSampleException {
    byte[] palette = {10, 20, 30, 40, 50, 60};
    byte[] png =
        pngOf(
            "IHDR",
            header(2, 1, 8, 3),
            "PLTE",
            palette,
            "tRNS",
            new byte[] {0},
            "IDAT",
            deflate(0, 0, 1),
            "IEND",
            NONE);
    RgbImage image = RgbImage.decode(png, "x", 0xFF8000);
    assertThat(pixel(image, 0, 0)).containsExactly(255, 128, 0);
    assertThat(pixel(image, 1, 0)).containsExactly(40, 50, 60);
  }

  @Test
  void transparentColourOfTruecolourIsHonoured() throws BadSampleException {
    byte[] png =
        pngOf(
            "IHDR",
            header(2, 1, 8, 2),
            "tRNS",
            new byte[] {0, 9, 0, 8, 0, 7},
            "IDAT",
            deflate(0, 9, 8, 7, 9, 8, 6),
            "IEND",
            NONE);
    RgbImage image = RgbImage.decode(png, "x", 0xFF8000);
    assertThat(pixel(image, 0, 0)).containsExactly(255, 128, 0);
    assertThat(pixel(image, 1, 0)).containsExactly(9, 8, 6);
  }

  @Test
  void transparentColourOfGreyIsHonouredAtEveryDepth() throws BadSampleException {
    byte[][] png = {
      grey(8, 200, deflate(0, 200, 201)),
      grey(1, 1, deflate(0, 0b10000000)),
      grey(2, 2, deflate(0, 0b10010000)),
      grey(4, 3, deflate(0, 0x32)),
      grey(16, 0x8001, deflate(0, 0x80, 0x01, 0x80, 0x02))
    };
    // 1/3 and 2/15 of 255; 0x8002 = 32770 of 65535 is 127.506 of 255.
    int[] opaque = {201, 0, 85, 34, 128};
    for (int i = 0; i < png.length; i++) {
      RgbImage image = RgbImage.decode(png[i], "x", 0xFF8000);
      assertThat(pixel(image, 0, 0)).as("image %d", i).containsExactly(255, 128, 0);
      assertThat(pixel(image, 1, 0))
          .as("image %d", i)
          .containsExactly(opaque[i], opaque[i], opaque[i]);
    }
  }

  private static byte[] grey(int depth, int transparent, byte[] data) {
    byte[] colour = {(byte) (transparent >> 8), (byte) transparent};
    return pngOf("IHDR", header(2, 1, depth, 0), "tRNS", colour, "IDAT", data, "IEND", NONE);
  }

  @Test
  void transparentColourOfSixteenBitsComparesAllOfThem() throws BadSampleException {
    byte[] colour = {1, 2, 3, 4, 5, 6};
    byte[] data = deflate(0, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7);
    byte[] png = pngOf("IHDR", header(2, 1, 16, 2), "tRNS", colour, "IDAT", data, "IEND", NONE);
    RgbImage image = RgbImage.decode(png, "x", 0xFF8000);
    assertThat(pixel(image, 0, 0)).containsExactly(255, 128, 0);
    // 258, 772 and 1287 of 65535, times 255: 1.004, 3.004, 5.008
    assertThat(pixel(image, 1, 0)).containsExactly(1, 3, 5);
  }

  @Test
  void ancillaryChunksDoNotMatter() throws BadSampleException {
    byte[] data = deflate(0, 1, 2, 3);
    byte[] png =
        pngOf(
            "IHDR",
            header(1, 1, 8, 2),
            "gAMA",
            new byte[] {0, 0, 1, 1},
            "iCCP",
            new byte[] {'x', 0, 0, 1, 2, 3},
            "zTXt",
            new byte[] {1},
            "IDAT",
            data,
            "IEND",
            NONE);
    assertThat(pixel(RgbImage.decode(png, "x", WHITE), 0, 0)).containsExactly(1, 2, 3);
  }

  @Test
  void greyAndColourJpegAreNearTheOriginal() throws BadSampleException {
    for (int type : new int[] {BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_BYTE_GRAY}) {
      BufferedImage source = new BufferedImage(32, 16, type);
      for (int i = 0; i < 32 * 16; i++) {
        int v = 4 * (i % 32) + 60;
        if (type == BufferedImage.TYPE_BYTE_GRAY) {
          source.getRaster().setSample(i % 32, i / 32, 0, v);
        } else {
          source.setRGB(i % 32, i / 32, v << 16 | v << 8 | v);
        }
      }
      RgbImage image = RgbImage.decode(encode(source, "jpg"), "x", WHITE);
      for (int x = 0; x < 32; x++) {
        assertThat(image.red(x, 8)).isBetween(4 * x + 52, 4 * x + 68);
        assertThat(image.blue(x, 8)).isBetween(4 * x + 52, 4 * x + 68);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "jpg", "gif", "bmp"})
  void everyCutIsRefused(String format) {
    byte[] whole = encode(pattern(33, 21, BufferedImage.TYPE_INT_RGB), format);
    // A GIF's trailer, and what follows its first image, may be missing.
    int last = format.equals("gif") ? whole.length - 2 : whole.length - 1;
    for (int length = 0; length <= last; length += length < 200 || length > last - 40 ? 1 : 17) {
      byte[] cut = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> RgbImage.decode(cut, "cut." + format, WHITE))
          .as("%s of %d bytes cut to %d", format, whole.length, length)
          .isInstanceOf(BadSampleException.class)
          .hasMessageStartingWith("cut." + format + ": ");
    }
  }

  @Test
  void cutImagesSaySo() {
    byte[] png = encode(pattern(33, 21, BufferedImage.TYPE_INT_RGB), "png");
    assertRefused(Arrays.copyOf(png, png.length - 5), "cut short", "IEND");
    byte[] jpeg = encode(pattern(64, 64, BufferedImage.TYPE_INT_RGB), "jpg");
    assertRefused(Arrays.copyOf(jpeg, jpeg.length / 2), "cut short", "end-of-image");
    // Cut in the middle, but with an end marker: the reader alone would paint the rest grey.
    byte[] mended = Arrays.copyOf(jpeg, jpeg.length / 2);
    mended[mended.length - 2] = (byte) 0xFF;
    mended[mended.length - 1] = (byte) 0xD9;
    assertRefused(mended, "cut short");
  }

  @Test
  void pngWithTooFewPixelsIsRefused() {
    assertRefused(
        pngOf("IHDR", header(2, 2, 8, 2), "IDAT", deflate(0, 1, 2, 3, 4, 5, 6), "IEND", NONE),
        "damaged");
    assertRefused(pngOf("IHDR", header(2, 2, 8, 2), "IEND", NONE), "no pixels");
  }

  @Test
  void damagedBytesNeverEscapeAsAnotherException() {
    Random random = new Random(11);
    for (String format : new String[] {"png", "jpg", "gif", "bmp"}) {
      byte[] whole = encode(pattern(20, 20, BufferedImage.TYPE_INT_RGB), format);
      for (int round = 0; round < 300; round++) {
        byte[] damaged = whole.clone();
        for (int i = 0; i < 1 + round % 8; i++) {
          damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
        }
        try {
          RgbImage image = RgbImage.decode(damaged, "x", WHITE);
          assertThat(image.rgb()).hasSize(image.width() * image.height() * 3);
        } catch (BadSampleException e) {
          assertThat(e.reason()).isNotBlank();
        }
      }
    }
  }

  @Test
  void wrongChecksumIsRefused() {
    byte[] png = encode(pattern(20, 20, BufferedImage.TYPE_INT_RGB), "png");
    png[png.length / 2] ^= 1;
    assertRefused(png, "checksum");
  }

  @Test
  void hugeDimensionsAreRefusedBeforeDecoding() {
    assertRefused(
        pngOf("IHDR", header(60_000, 60_000, 8, 2), "IDAT", deflate(0), "IEND", NONE),
        "60000 x 60000");
    assertRefused(
        pngOf("IHDR", header(8000, 8000, 16, 6), "IDAT", deflate(0), "IEND", NONE), "16 bits");
    byte[] gif = encode(pattern(8, 8, BufferedImage.TYPE_BYTE_INDEXED), "gif");
    int frame = 13 + (3 << ((gif[10] & 7) + 1));
    while (gif[frame] != 0x2C) {
      frame++;
    }
    Arrays.fill(gif, frame + 5, frame + 9, (byte) 0xFF);
    assertRefused(gif, "65535 x 65535");
    byte[] bmp = encode(pattern(8, 8, BufferedImage.TYPE_INT_RGB), "bmp");
    bmp[21] = 0x7F;
    assertRefused(bmp, "pixels");
  }

  @Test
  void jpegHeadersThatCannotBeAreRefused() {
    byte[] jpeg = encode(pattern(8, 8, BufferedImage.TYPE_INT_RGB), "jpg");
    int frame = 2;
    while ((jpeg[frame] & 0xFF) != 0xFF || (jpeg[frame + 1] & 0xFF) != 0xC0) {
      frame++;
    }
    byte[] inks = jpeg.clone();
    inks[frame + 9] = 4;
    assertRefused(inks, "damaged JPEG", "frame header");
    byte[] channels = jpeg.clone();
    channels[frame + 9] = 2;
    assertRefused(channels, "2 components");
    byte[] huge = jpeg.clone();
    Arrays.fill(huge, frame + 5, frame + 9, (byte) 0xFF);
    assertRefused(huge, "65535 x 65535");
  }

  @Test
  void foreignFormatsAreNamed() {
    assertRefused(NONE, "empty");
    assertRefused(Fixtures.utf8("hello, I am text"), "convert it to PNG or JPEG");
    assertRefused(Fixtures.utf8("RIFF0000WEBPVP8 "), "WebP cut short");
    assertRefused(Fixtures.utf8("xxxxftypavif"), "AVIF");
    assertRefused(Fixtures.utf8("<svg xmlns="), "SVG");
  }

  @Test
  void filesAreNamed(@TempDir Path folder) throws IOException, BadSampleException {
    Path missing = folder.resolve("nowhere.png");
    assertThatThrownBy(() -> RgbImage.read(missing, WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageContaining("nowhere.png")
        .hasMessageContaining("does not exist");
    assertThatThrownBy(() -> RgbImage.read(folder, WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageContaining("is a folder");
    Path file = Files.write(folder.resolve("a.png"), Fixtures.png(0x123456));
    assertThat(pixel(RgbImage.read(file, WHITE), 3, 3)).containsExactly(0x12, 0x34, 0x56);
  }

  @Test
  void pixelsAreCopiedInAndOut() {
    byte[] rgb = {1, 2, 3, 4, 5, 6};
    RgbImage image = new RgbImage(2, 1, rgb);
    rgb[0] = 99;
    image.rgb()[1] = 99;
    assertThat(pixel(image, 0, 0)).containsExactly(1, 2, 3);
    assertThat(pixel(image, 1, 0)).containsExactly(4, 5, 6);
    assertThatThrownBy(() -> image.red(2, 0)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> new RgbImage(2, 2, rgb))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("12 needed");
    assertThatThrownBy(() -> new RgbImage(0, 2, NONE)).isInstanceOf(IllegalArgumentException.class);
  }

  /** A picture of few colours, so that GIF loses nothing, of the size and noise that are given. */
  private static BufferedImage speckled(int width, int height, int colours) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED);
    SplittableRandom random = new SplittableRandom(width);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.getRaster().setSample(x, y, 0, random.nextInt(colours));
      }
    }
    return image;
  }

  @Test
  void gifOfFewerPixelsThanItSaysIsCutShort() throws BadSampleException {
    // The code that clears the table, then the one that ends the data.
    byte[] empty = {
      'G',
      'I',
      'F',
      '8',
      '9',
      'a',
      0,
      32,
      0,
      32,
      (byte) 0x80,
      0,
      0,
      0,
      0,
      0,
      -1,
      -1,
      -1, //
      0x2C,
      0,
      0,
      0,
      0,
      0,
      32,
      0,
      32,
      0,
      2,
      1,
      0x2C,
      0,
      0x3B
    };
    assertRefused(empty, "GIF cut short: 0 of 67108864 pixels");
    for (int colours : new int[] {1, 2, 7, 200}) {
      // Whole files, of tables that fill up and are cleared, are taken.
      BufferedImage image = speckled(190 + colours, 171, colours);
      byte[] gif = encode(image, "gif");
      RgbImage read = RgbImage.decode(gif, "x", WHITE);
      assertThat(read.red(100, 100)).isEqualTo(image.getRGB(100, 100) >> 16 & 0xFF);
      int frame = 13 + (3 << ((gif[10] & 7) + 1));
      while (gif[frame] != 0x2C) {
        frame++;
      }
      gif[frame + 7]++;
      assertRefused(
          gif,
          "GIF cut short: %d of %d pixels".formatted((190 + colours) * 171, (190 + colours) * 172));
    }
  }

  @Test
  void gifTransparencyShowsTheBackground() throws BadSampleException {
    byte[] zeros = {0, (byte) 200};
    IndexColorModel palette = new IndexColorModel(1, 2, zeros, zeros, zeros, 0);
    BufferedImage source = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY, palette);
    byte[] bits = ((DataBufferByte) source.getRaster().getDataBuffer()).getData();
    bits[0] = 0b01000000;
    RgbImage image = RgbImage.decode(encode(source, "gif"), "x", 0x00FF00);
    assertThat(pixel(image, 0, 0)).containsExactly(0, 255, 0);
    assertThat(pixel(image, 1, 0)).containsExactly(200, 200, 200);
  }

  @Test
  void anotherReaderFindsTheSamePixelsInAPng() throws Exception {
    Random random = new Random(3);
    for (int[] size : new int[][] {{1, 1}, {1, 70}, {70, 1}, {3, 5}, {64, 64}, {257, 131}}) {
      byte[] noise = new byte[size[0] * size[1] * 3];
      random.nextBytes(noise);
      byte[] plain = new byte[noise.length];
      Arrays.fill(plain, (byte) 200);
      for (byte[] rgb : List.of(noise, plain)) {
        byte[] png = new RgbImage(size[0], size[1], rgb).png();
        BufferedImage read = ImageIO.read(new ByteArrayInputStream(png));
        assertThat(read.getWidth()).isEqualTo(size[0]);
        assertThat(read.getHeight()).isEqualTo(size[1]);
        for (int i = 0; i < size[0] * size[1]; i++) {
          int expected =
              0xFF << 24
                  | (rgb[3 * i] & 0xFF) << 16
                  | (rgb[3 * i + 1] & 0xFF) << 8
                  | (rgb[3 * i + 2] & 0xFF);
          assertThat(read.getRGB(i % size[0], i / size[0])).isEqualTo(expected);
        }
      }
    }
  }

  /** Against {@code getRGB}, which is right wherever no grey is involved, over the background. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13})
  void picturesOfAProgramAreTakenWhateverTheirType(int type) {
    BufferedImage image = new BufferedImage(13, 7, type);
    Random random = new Random(type);
    for (int y = 0; y < 7; y++) {
      for (int x = 0; x < 13; x++) {
        image.setRGB(x, y, random.nextInt());
      }
    }
    for (BufferedImage of : List.of(image, image.getSubimage(3, 2, 5, 4))) {
      RgbImage taken = RgbImage.of(of, 0x204060);
      assertThat(taken.width()).isEqualTo(of.getWidth());
      assertThat(taken.height()).isEqualTo(of.getHeight());
      for (int y = 0; y < of.getHeight(); y++) {
        for (int x = 0; x < of.getWidth(); x++) {
          int argb = of.getRGB(x, y);
          int alpha = argb >>> 24;
          int[] found = {taken.red(x, y), taken.green(x, y), taken.blue(x, y)};
          for (int c = 0; c < 3; c++) {
            int over = (0x204060 >> (16 - 8 * c)) & 0xFF;
            int colour = (argb >> (16 - 8 * c)) & 0xFF;
            double expected = (colour * alpha + over * (255 - alpha)) / 255.0;
            assertThat((double) found[c]).isCloseTo(expected, within(1.0));
          }
        }
      }
    }
  }

  @Test
  void greyPicturesOfAProgramKeepTheirSamples() {
    for (int type : new int[] {BufferedImage.TYPE_BYTE_GRAY, BufferedImage.TYPE_USHORT_GRAY}) {
      BufferedImage grey = new BufferedImage(2, 1, type);
      int most = type == BufferedImage.TYPE_BYTE_GRAY ? 255 : 65535;
      grey.getRaster().setSample(0, 0, 0, most / 5);
      grey.getRaster().setSample(1, 0, 0, most);
      RgbImage taken = RgbImage.of(grey, 0);
      assertThat(taken.rgb()).containsExactly(51, 51, 51, -1, -1, -1);
    }
  }

  @Test
  void picturesOfOtherKindsAreRefused() {
    ColorModel floats =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_sRGB),
            false,
            false,
            ColorModel.OPAQUE,
            DataBuffer.TYPE_FLOAT);
    BufferedImage image =
        new BufferedImage(floats, floats.createCompatibleWritableRaster(2, 2), false, null);
    assertThatThrownBy(() -> RgbImage.of(image, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("TYPE_INT_ARGB");
    ColorModel other =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_CIEXYZ),
            false,
            false,
            ColorModel.OPAQUE,
            DataBuffer.TYPE_BYTE);
    BufferedImage xyz =
        new BufferedImage(other, other.createCompatibleWritableRaster(2, 2), false, null);
    assertThatThrownBy(() -> RgbImage.of(xyz, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("not supported");
  }
}
