package org.nasvlp.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.nasvlp.data.Fixtures.WHITE;

import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;

/** Orientation and inks of JPEG files. */
class JpegTest {
  private static final int ORIENTATION = 0x0112;
  private static final int SHORT = 3;
  private static final int LONG = 4;
  private static final String LETTERS = "ABCDEF";

  /** Blocks of 8 × 8 pixels of one grey, two in a row: AB, CD, EF. */
  private static byte[] letters() {
    BufferedImage image = new BufferedImage(16, 24, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < 24; y++) {
      for (int x = 0; x < 16; x++) {
        image.getRaster().setSample(x, y, 0, grey(y / 8 * 2 + x / 8));
      }
    }
    return Fixtures.encode(image, "jpg");
  }

  private static int grey(int letter) {
    return 20 + 40 * letter;
  }

  /** The letters of a picture, row by row. */
  private static String read(byte[] jpeg) throws BadSampleException {
    RgbImage image = RgbImage.decode(jpeg, "x", WHITE);
    StringBuilder text = new StringBuilder();
    for (int y = 4; y < image.height(); y += 8) {
      if (y > 8) {
        text.append('/');
      }
      for (int x = 4; x < image.width(); x += 8) {
        int letter = Math.round((image.red(x, y) - 20) / 40f);
        assertThat(image.red(x, y)).isCloseTo(grey(letter), within(2));
        assertThat(image.green(x, y)).isEqualTo(image.red(x, y));
        text.append(LETTERS.charAt(letter));
      }
    }
    return text.toString();
  }

  private static byte[] segment(int marker, byte[]... parts) {
    int length = 2 + Arrays.stream(parts).mapToInt(part -> part.length).sum();
    ByteBuffer bytes = ByteBuffer.allocate(2 + length);
    bytes.put((byte) 0xFF).put((byte) marker).putShort((short) length);
    for (byte[] part : parts) {
      bytes.put(part);
    }
    return bytes.array();
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** APP1 with a directory of two entries, the second of which is as given. */
  private static byte[] exif(ByteOrder order, int tag, int type, int value) {
    ByteBuffer tiff = ByteBuffer.allocate(38);
    tiff.order(order);
    tiff.put(ascii(order == ByteOrder.LITTLE_ENDIAN ? "II" : "MM")).putShort((short) 42).putInt(8);
    tiff.putShort((short) 2);
    tiff.putShort((short) 0x0100).putShort((short) LONG).putInt(1).putInt(16);
    tiff.putShort((short) tag).putShort((short) type).putInt(1);
    if (type == SHORT) {
      tiff.putShort((short) value).putShort((short) 0);
    } else {
      tiff.putInt(value);
    }
    return segment(0xE1, ascii("Exif\0\0"), tiff.array());
  }

  private static byte[] exif(int orientation) {
    return exif(ByteOrder.BIG_ENDIAN, ORIENTATION, SHORT, orientation);
  }

  /** With segments behind the start marker. */
  private static byte[] with(byte[] jpeg, byte[]... segments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(jpeg, 0, 2);
    for (byte[] segment : segments) {
      out.writeBytes(segment);
    }
    out.write(jpeg, 2, jpeg.length - 2);
    return out.toByteArray();
  }

  @ParameterizedTest
  @CsvSource({
    "1, AB/CD/EF",
    "2, BA/DC/FE",
    "3, FE/DC/BA",
    "4, EF/CD/AB",
    "5, ACE/BDF",
    "6, ECA/FDB",
    "7, FDB/ECA",
    "8, BDF/ACE"
  })
  void everyOrientationIsMadeUpright(int orientation, String upright) throws BadSampleException {
    for (ByteOrder order : new ByteOrder[] {ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN}) {
      byte[] jpeg = with(letters(), exif(order, ORIENTATION, SHORT, orientation));
      assertThat(read(jpeg)).as("%s", order).isEqualTo(upright);
    }
  }

  @Test
  void otherApplicationDataDoesNotHideTheOrientation() throws BadSampleException {
    byte[] xmp = segment(0xE1, ascii("http://ns.adobe.com/xap/1.0/\0<x/>"));
    assertThat(read(with(letters(), xmp, exif(3), exif(6)))).isEqualTo("FE/DC/BA");
    assertThat(read(with(letters(), xmp))).isEqualTo("AB/CD/EF");
  }

  @Test
  void exifWithoutAValidOrientationLeavesThePictureAsItIs() throws BadSampleException {
    byte[] far = exif(6);
    far[4 + 6 + 4] = (byte) 0xFF;
    byte[] order = exif(6);
    order[4 + 6] = 'X';
    byte[] magic = exif(6);
    magic[4 + 6 + 3] = 43;
    byte[][] segments = {
      exif(0),
      exif(9),
      exif(ByteOrder.BIG_ENDIAN, ORIENTATION, LONG, 6),
      exif(ByteOrder.BIG_ENDIAN, 0x0113, SHORT, 6),
      far,
      order,
      magic,
      segment(0xE1, ascii("Exif\0\0")),
      segment(0xE1, ascii("Exif"))
    };
    for (int i = 0; i < segments.length; i++) {
      assertThat(read(with(letters(), segments[i]))).as("segment %d", i).isEqualTo("AB/CD/EF");
    }
    byte[] whole = exif(6);
    // The tag's entry ends four bytes before the segment does.
    int end = whole.length - 4;
    for (int to = 4; to < end; to++) {
      byte[] cut = segment(0xE1, Arrays.copyOfRange(whole, 4, to));
      assertThat(read(with(letters(), cut))).as("cut at %d", to).isEqualTo("AB/CD/EF");
    }
    byte[] enough = segment(0xE1, Arrays.copyOfRange(whole, 4, end));
    assertThat(read(with(letters(), enough))).isEqualTo("ECA/FDB");
  }

  /** Four samples a pixel as they are, without any marker of their meaning. */
  private static byte[] fourComponents(WritableRaster raster) {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.write(new IIOImage(raster, null, null));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      writer.dispose();
    }
    return out.toByteArray();
  }

  private static byte[] fourComponents(int... samples) {
    WritableRaster raster = Raster.createInterleavedRaster(DataBuffer.TYPE_BYTE, 16, 8, 4, null);
    for (int i = 0; i < 16 * 8; i++) {
      raster.setPixel(i % 16, i / 16, samples);
    }
    return fourComponents(raster);
  }

  private static byte[] adobe(int transform) {
    return segment(0xEE, ascii("Adobe"), new byte[] {0, 100, 0, 0, 0, 0, (byte) transform});
  }

  private static void assertColour(byte[] jpeg, int red, int green, int blue)
      throws BadSampleException {
    RgbImage image = RgbImage.decode(jpeg, "x", WHITE);
    assertThat(new int[] {image.width(), image.height()}).containsExactly(16, 8);
    for (int x = 0; x < 16; x += 15) {
      assertThat(image.red(x, 7)).as("red").isCloseTo(red, within(2));
      assertThat(image.green(x, 7)).as("green").isCloseTo(green, within(2));
      assertThat(image.blue(x, 7)).as("blue").isCloseTo(blue, within(2));
    }
  }

  @Test
  void inksOfAdobeAreStoredInverted() throws BadSampleException {
    // 200, 100 and 50 times 128 / 255
    assertColour(with(fourComponents(200, 100, 50, 128), adobe(0)), 100, 50, 25);
    assertColour(with(fourComponents(255, 255, 255, 255), adobe(0)), 255, 255, 255);
    assertColour(with(fourComponents(255, 255, 255, 0), adobe(0)), 0, 0, 0);
  }

  @Test
  void inksWithoutAMarkerAreStoredAsTheyAre() throws BadSampleException {
    // 55, 155 and 205 times 127 / 255
    assertColour(fourComponents(200, 100, 50, 128), 27, 77, 102);
    assertColour(fourComponents(0, 0, 0, 0), 255, 255, 255);
  }

  @Test
  void ycckIsConverted() throws BadSampleException {
    // YCbCr (150, 100, 180) is RGB (222.9, 122.5, 100.4): stored C, M, Y are 32, 133 and 155,
    // and the black 204 leaves 4/5 of each.
    assertColour(with(fourComponents(150, 100, 180, 204), adobe(2)), 26, 106, 124);
    // Values beyond 255 and below 0 end there: RGB (255, 103.3, 0) of (150, 0, 255).
    assertColour(with(fourComponents(150, 0, 255, 255), adobe(2)), 0, 152, 255);
  }

  @Test
  void inksAreMadeUprightToo() throws BadSampleException {
    byte[] jpeg = with(fourComponents(200, 100, 50, 128), exif(6), adobe(0));
    RgbImage image = RgbImage.decode(jpeg, "x", WHITE);
    assertThat(new int[] {image.width(), image.height()}).containsExactly(8, 16);
    assertThat(image.red(7, 15)).isCloseTo(100, within(2));
  }

  @Test
  void unknownTransformsOfFourComponentsAreRefused() {
    byte[] jpeg = with(fourComponents(200, 100, 50, 128), adobe(1));
    assertThatThrownBy(() -> RgbImage.decode(jpeg, "a.jpg", WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessage(
            "a.jpg: JPEG of 4 components with the Adobe colour transform 1 is not supported;"
                + " convert it to RGB");
  }

  @Test
  void cutInksAreRefused() {
    WritableRaster raster = Raster.createInterleavedRaster(DataBuffer.TYPE_BYTE, 64, 64, 4, null);
    Random random = new Random(5);
    for (int i = 0; i < 64 * 64; i++) {
      raster.setPixel(i % 64, i / 64, random.ints(4, 0, 256).toArray());
    }
    byte[] whole = with(fourComponents(raster), adobe(0));
    byte[] cut = Arrays.copyOf(whole, whole.length / 2);
    cut[cut.length - 2] = (byte) 0xFF;
    cut[cut.length - 1] = (byte) 0xD9;
    assertThatThrownBy(() -> RgbImage.decode(cut, "x", WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageContaining("cut short");
  }

  /** A progressive file whose last scan, which refines, stands there as often as is said. */
  private static byte[] scans(int times, int side) throws IOException {
    BufferedImage image = Fixtures.pattern(16, 16, BufferedImage.TYPE_INT_RGB);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      ImageWriteParam progressive = writer.getDefaultWriteParam();
      progressive.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
      writer.write(null, new IIOImage(image, null, null), progressive);
    } finally {
      writer.dispose();
    }
    byte[] jpeg = out.toByteArray();
    String text = new String(jpeg, StandardCharsets.ISO_8859_1);
    ByteBuffer.wrap(jpeg)
        .putShort(text.indexOf("\u00ff\u00c2") + 5, (short) side)
        .putShort(text.indexOf("\u00ff\u00c2") + 7, (short) side);
    int last = text.lastIndexOf("\u00ff\u00da");
    ByteArrayOutputStream more = new ByteArrayOutputStream();
    more.write(jpeg, 0, last);
    for (int i = 0; i < times; i++) {
      more.write(jpeg, last, jpeg.length - 2 - last);
    }
    more.write(jpeg, jpeg.length - 2, 2);
    return more.toByteArray();
  }

  @Test
  void scansTimesPixelsAreLimited() throws Exception {
    assertThat(RgbImage.decode(scans(1, 16), "x", WHITE).width()).isEqualTo(16);
    assertThatThrownBy(() -> RgbImage.decode(scans(20, 8192), "a.jpg", WHITE))
        .isInstanceOf(BadSampleException.class)
        .hasMessageContaining("a.jpg: JPEG of 8192 x 8192 pixels in 29 scans")
        .hasMessageContaining("save it with fewer scans");
  }
}
