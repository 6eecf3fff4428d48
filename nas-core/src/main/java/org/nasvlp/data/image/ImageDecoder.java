package org.nasvlp.data.image;

import java.awt.Graphics2D;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;
import java.awt.image.PixelInterleavedSampleModel;
import java.awt.image.Raster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageInputStreamImpl;
import org.nasvlp.data.BadSampleException;

/**
 * Decodes with the JDK's image readers (WebP with TwelveMonkeys' where it is present), which are
 * lenient and trusting: they paint what is missing grey and allocate what a header asks for. So the
 * file's structure is walked first, and only the parts that carry pixels are handed on.
 */
final class ImageDecoder {
  private static final long MAX_DECODED_BYTES = 1L << 28;
  private static final int MAX_JPEG_SCANS = 200;

  /** A scan costs its pixels, however few bytes it has. Encoders make about ten at most. */
  private static final long MAX_SCANNED_PIXELS = 16 * RgbImage.MAX_PIXELS;

  private static final int NO_ADOBE_MARKER = -1;
  private static final int ADOBE_CMYK = 0;
  private static final int ADOBE_YCCK = 2;

  private ImageDecoder() {}

  /** What is wrong with a file; becomes the reason of a {@link BadSampleException}. */
  static final class Malformed extends Exception {
    Malformed(String reason) {
      super(reason);
    }
  }

  /**
   * A JPEG file whose structure holds.
   *
   * @param pixels the segments that carry pixels, as a file
   * @param components 1 grey, 3 colours or 4 inks
   * @param adobeTransform colour transform of the Adobe marker
   * @param orientation as in {@link ExifOrientation}
   */
  private record Jpeg(byte[] pixels, int components, int adobeTransform, int orientation) {}

  /** Takes an image out of a reader that is ready. */
  private interface Extraction {
    RgbImage from(ImageReader reader) throws Malformed, IOException;
  }

  static RgbImage decode(byte[] encoded, String name, int background) throws BadSampleException {
    try {
      return decode(encoded, background);
    } catch (Malformed e) {
      throw new BadSampleException(name, e.getMessage(), e);
    } catch (IOException | RuntimeException e) {
      // The JDK's readers answer damaged files with runtime exceptions of every kind.
      throw new BadSampleException(name, "damaged image: " + describe(e), e);
    } catch (OutOfMemoryError e) {
      throw new BadSampleException(name, "not enough memory to decode it; raise -Xmx", e);
    }
  }

  private static String describe(Exception e) {
    String text = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    return e.getCause() == null || e.getCause().getMessage() == null
        ? text
        : text + " (" + e.getCause().getMessage() + ")";
  }

  private static RgbImage decode(byte[] encoded, int background) throws Malformed, IOException {
    if (encoded.length == 0) {
      throw new Malformed("the image is empty (0 bytes)");
    }
    if (startsWith(encoded, 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n')) {
      return readColors("png", checkedPng(encoded), background);
    }
    if (startsWith(encoded, 0xFF, 0xD8, 0xFF)) {
      return readJpeg(checkedJpeg(encoded), background);
    }
    if (startsWith(encoded, 'G', 'I', 'F', '8')) {
      checkGif(encoded);
      return readColors("gif", encoded, background);
    }
    if (startsWith(encoded, 'B', 'M')) {
      checkBmp(encoded);
      return readColors("bmp", encoded, background);
    }
    if (startsWith(encoded, 'R', 'I', 'F', 'F') && ascii(encoded, 8, "WEBP")) {
      WebpFile file = WebpFile.check(encoded);
      return ExifOrientation.upright(
          readColors("webp", file.pixels(), background), file.orientation());
    }
    String format = foreignFormat(encoded);
    throw new Malformed(
        (format == null ? "not an image of a known format" : format + " is not supported")
            + "; convert it to PNG or JPEG");
  }

  private static RgbImage readColors(String format, byte[] encoded, int background)
      throws Malformed, IOException {
    return read(format, encoded, reader -> convert(reader.read(0), background));
  }

  private static RgbImage readJpeg(Jpeg jpeg, int background) throws Malformed, IOException {
    RgbImage stored =
        jpeg.components() == 4
            ? read("jpeg", jpeg.pixels(), reader -> fromInks(reader.readRaster(0, null), jpeg))
            : readColors("jpeg", jpeg.pixels(), background);
    return ExifOrientation.upright(stored, jpeg.orientation());
  }

  private static RgbImage read(String format, byte[] encoded, Extraction extraction)
      throws Malformed, IOException {
    ImageReader reader = reader(format);
    List<String> warnings = new ArrayList<>();
    try (ImageInputStream input = new EncodedBytes(encoded)) {
      reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
      reader.setInput(input, true, true);
      checkSize(reader.getWidth(0), reader.getHeight(0), 4);
      RgbImage image = extraction.from(reader);
      for (String warning : warnings) {
        if (meansLoss(format, warning)) {
          throw new Malformed("damaged or cut short: " + warning);
        }
      }
      return image;
    } finally {
      reader.dispose();
    }
  }

  /**
   * A file in memory. Some readers take what is missing at its end for zeros and go on for as many
   * pixels as the header names: reading far beyond the end is an error here.
   */
  private static final class EncodedBytes extends ImageInputStreamImpl {
    /** Bit readers fetch some bytes ahead. */
    private static final int MOST_BEYOND = 64;

    private final byte[] bytes;
    private int beyond;

    EncodedBytes(byte[] bytes) {
      this.bytes = bytes;
    }

    private int end() {
      if (++beyond > MOST_BEYOND) {
        throw new IllegalStateException("its data end before its pixels do");
      }
      return -1;
    }

    @Override
    public int read() throws IOException {
      checkClosed();
      bitOffset = 0;
      return streamPos < bytes.length ? bytes[(int) streamPos++] & 0xFF : end();
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      checkClosed();
      Objects.checkFromIndexSize(offset, length, target.length);
      bitOffset = 0;
      if (length == 0) {
        return 0;
      }
      if (streamPos >= bytes.length) {
        return end();
      }
      int count = (int) Math.min(length, bytes.length - streamPos);
      System.arraycopy(bytes, (int) streamPos, target, offset, count);
      streamPos += count;
      return count;
    }

    @Override
    public long length() {
      return bytes.length;
    }
  }

  private static ImageReader reader(String format) throws Malformed {
    ImageReader first = null;
    Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
    while (readers.hasNext()) {
      ImageReader reader = readers.next();
      if (reader.getClass().getName().startsWith("com.sun.imageio.")) {
        return reader;
      }
      first = first == null ? reader : first;
    }
    if (first == null && format.equals("webp")) {
      throw new Malformed(
          "WebP is read if com.twelvemonkeys.imageio:imageio-webp is on the class path; add it, or"
              + " convert the picture to PNG or JPEG");
    }
    if (first == null) {
      throw new Malformed(
          "this Java runtime has no reader for "
              + format.toUpperCase(Locale.ROOT)
              + "; its module java.desktop is needed");
    }
    return first;
  }

  /** Whether a reader's warning says that pixels are missing (others tell of odd metadata). */
  private static boolean meansLoss(String format, String warning) {
    String text = warning.toLowerCase(Locale.ROOT);
    return format.equals("gif")
        || text.contains("premature end")
        || text.contains("bad huffman")
        || text.contains("corrupt jpeg data");
  }

  static void checkSize(long width, long height, int bytesPerPixel) throws Malformed {
    if (width < 1 || height < 1) {
      throw new Malformed("says it has " + width + " x " + height + " pixels");
    }
    if (width > RgbImage.MAX_PIXELS
        || height > RgbImage.MAX_PIXELS
        || width * height > RgbImage.MAX_PIXELS
        || width * height * bytesPerPixel > MAX_DECODED_BYTES) {
      throw new Malformed(
          "says it has %d x %d pixels; up to %d are decoded%s"
              .formatted(
                  width,
                  height,
                  Math.min(RgbImage.MAX_PIXELS, MAX_DECODED_BYTES / bytesPerPixel),
                  bytesPerPixel > 4 ? " at 16 bits" : ""));
    }
  }

  // PNG (ISO/IEC 15948): every chunk's length and checksum must hold, up to and with IEND.
  private static byte[] checkedPng(byte[] encoded) throws Malformed {
    ByteBuffer in = ByteBuffer.wrap(encoded);
    ByteArrayOutputStream kept = new ByteArrayOutputStream(encoded.length);
    kept.write(encoded, 0, 8);
    boolean first = true;
    boolean pixels = false;
    boolean packedGrey = false;
    int depth = 0;
    int at = 8;
    while (true) {
      if (encoded.length - at < 12) {
        throw new Malformed("PNG cut short after " + encoded.length + " bytes (no IEND chunk)");
      }
      int length = in.getInt(at);
      String type = new String(encoded, at + 4, 4, StandardCharsets.ISO_8859_1);
      if (length < 0 || length > encoded.length - at - 12) {
        throw new Malformed("PNG cut short inside its chunk " + type);
      }
      CRC32 crc = new CRC32();
      crc.update(encoded, at + 4, length + 4);
      if ((int) crc.getValue() != in.getInt(at + 8 + length)) {
        throw new Malformed("damaged PNG: wrong checksum of chunk " + type);
      }
      if (first) {
        if (!type.equals("IHDR") || length != 13) {
          throw new Malformed("damaged PNG: no header chunk");
        }
        depth = encoded[at + 16];
        packedGrey = encoded[at + 17] == 0 && (depth == 1 || depth == 2 || depth == 4);
        checkSize(
            in.getInt(at + 8) & 0xFFFFFFFFL, in.getInt(at + 12) & 0xFFFFFFFFL, depth == 16 ? 8 : 4);
        first = false;
      }
      boolean last = type.equals("IEND");
      switch (type) {
        // Text and colour profiles are compressed and could unfold to any size.
        case "IHDR", "PLTE", "IDAT", "IEND" -> kept.write(encoded, at, length + 12);
        case "tRNS" -> {
          if (packedGrey && length == 2) {
            kept.writeBytes(transparentGrey(in.getShort(at + 8), depth));
          } else {
            kept.write(encoded, at, length + 12);
          }
        }
        default -> {
          if ((encoded[at + 4] & 0x20) == 0) {
            throw new Malformed("PNG with the unknown critical chunk " + type);
          }
        }
      }
      pixels |= type.equals("IDAT");
      at += length + 12;
      if (last) {
        if (!pixels) {
          throw new Malformed("damaged PNG: no pixels (no IDAT chunk)");
        }
        return kept.toByteArray();
      }
    }
  }

  /**
   * The tRNS chunk for grey of less than 8 bits. The JDK compares its value with samples that are
   * already stretched to 8 bits, so it is stretched as they are.
   */
  private static byte[] transparentGrey(int value, int depth) throws Malformed {
    int[] to8 = scale(depth);
    ByteBuffer chunk = ByteBuffer.allocate(14);
    chunk.putInt(2);
    chunk.put("tRNS".getBytes(StandardCharsets.ISO_8859_1));
    chunk.putShort((short) to8[value & (to8.length - 1)]);
    CRC32 crc = new CRC32();
    crc.update(chunk.array(), 4, 6);
    chunk.putInt((int) crc.getValue());
    return chunk.array();
  }

  // JPEG (ITU T.81): the markers must lead from SOI through frame and scans to EOI.
  private static Jpeg checkedJpeg(byte[] encoded) throws Malformed {
    ByteBuffer in = ByteBuffer.wrap(encoded);
    ByteArrayOutputStream kept = new ByteArrayOutputStream(encoded.length);
    kept.write(encoded, 0, 2);
    int components = 0;
    int adobeTransform = NO_ADOBE_MARKER;
    int orientation = ExifOrientation.UNKNOWN;
    int scans = 0;
    int width = 0;
    int height = 0;
    int at = 2;
    while (true) {
      int mark = at;
      while (mark < encoded.length && (encoded[mark] & 0xFF) != 0xFF) {
        mark++;
      }
      while (mark + 1 < encoded.length && (encoded[mark + 1] & 0xFF) == 0xFF) {
        mark++;
      }
      if (mark + 1 >= encoded.length) {
        throw new Malformed(
            "JPEG cut short after " + encoded.length + " bytes (no end-of-image marker)");
      }
      int marker = encoded[mark + 1] & 0xFF;
      at = mark + 2;
      if (marker == 0xD9) {
        if (components == 0 || scans == 0) {
          throw new Malformed("damaged JPEG: it ends before any pixels");
        }
        if ((long) width * height * scans > MAX_SCANNED_PIXELS) {
          throw new Malformed(
              "JPEG of %d x %d pixels in %d scans; up to %d are decoded: save it with fewer scans"
                  .formatted(width, height, scans, MAX_SCANNED_PIXELS / ((long) width * height)));
        }
        kept.write(0xFF);
        kept.write(0xD9);
        checkInks(components, adobeTransform);
        return new Jpeg(kept.toByteArray(), components, adobeTransform, orientation);
      }
      if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
        continue;
      }
      int length = encoded.length - at < 2 ? -1 : in.getShort(at) & 0xFFFF;
      if (length > encoded.length - at || length == -1) {
        throw new Malformed("JPEG cut short after " + encoded.length + " bytes");
      }
      if (length < 2) {
        throw new Malformed("damaged JPEG: a segment of length " + length);
      }
      if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
        components = checkedComponents(in, at, length);
        height = Math.max(height, in.getShort(at + 3) & 0xFFFF);
        width = Math.max(width, in.getShort(at + 5) & 0xFFFF);
      } else if (marker == 0xEE && length >= 14 && ascii(encoded, at + 2, "Adobe")) {
        adobeTransform = encoded[at + 13] & 0xFF;
      } else if (marker == 0xE1
          && orientation == ExifOrientation.UNKNOWN
          && length >= 8
          && ascii(encoded, at + 2, "Exif\0\0")) {
        orientation = ExifOrientation.read(in.slice(at + 8, length - 8));
      }
      if (keepsPixels(encoded, marker, at, length)) {
        kept.write(encoded, mark, length + 2);
      }
      at += length;
      if (marker == 0xDA) {
        if (++scans > MAX_JPEG_SCANS) {
          throw new Malformed("JPEG of more than " + MAX_JPEG_SCANS + " scans");
        }
        int data = at;
        at = endOfScan(encoded, at);
        kept.write(encoded, data, at - data);
      }
    }
  }

  private static int checkedComponents(ByteBuffer in, int at, int length) throws Malformed {
    if (length < 8) {
      throw new Malformed("damaged JPEG: short frame header");
    }
    int precision = in.get(at + 2);
    int components = in.get(at + 7) & 0xFF;
    if (precision != 8) {
      throw new Malformed(
          "JPEG of " + precision + " bits a sample is not supported; convert it to 8 bits");
    }
    if (components != 1 && components != 3 && components != 4) {
      throw new Malformed("JPEG of " + components + " components; 1, 3 or 4 are supported");
    }
    if (length != 8 + 3 * components) {
      throw new Malformed("damaged JPEG: frame header of a wrong length");
    }
    checkSize(in.getShort(at + 5) & 0xFFFF, in.getShort(at + 3) & 0xFFFF, 4);
    return components;
  }

  private static void checkInks(int components, int adobeTransform) throws Malformed {
    if (components == 4
        && adobeTransform != NO_ADOBE_MARKER
        && adobeTransform != ADOBE_CMYK
        && adobeTransform != ADOBE_YCCK) {
      throw new Malformed(
          "JPEG of 4 components with the Adobe colour transform "
              + adobeTransform
              + " is not supported; convert it to RGB");
    }
  }

  /** Application data says nothing about pixels, but for JFIF's and Adobe's colour space. */
  private static boolean keepsPixels(byte[] encoded, int marker, int at, int length) {
    if (marker == 0xE0) {
      return length >= 7 && ascii(encoded, at + 2, "JFIF\0");
    }
    if (marker == 0xEE) {
      return length >= 7 && ascii(encoded, at + 2, "Adobe");
    }
    return marker != 0xFE && (marker < 0xE0 || marker > 0xEF);
  }

  private static int endOfScan(byte[] encoded, int start) {
    int at = start;
    while (at + 1 < encoded.length) {
      if ((encoded[at] & 0xFF) == 0xFF) {
        int next = encoded[at + 1] & 0xFF;
        if (next != 0x00 && next != 0xFF && (next < 0xD0 || next > 0xD7)) {
          return at;
        }
      }
      at++;
    }
    return encoded.length;
  }

  // GIF89a: the blocks must lead to the end of the first image's data, which must be all there.
  private static void checkGif(byte[] encoded) throws Malformed {
    ByteBuffer in = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    int at = 13 + (encoded.length > 10 ? colorTable(encoded[10]) : 0);
    while (at < encoded.length) {
      int block = encoded[at] & 0xFF;
      if (block == 0x3B) {
        throw new Malformed("GIF without an image");
      }
      long pixels = 0;
      boolean image = block == 0x2C;
      if (image) {
        if (encoded.length - at < 10) {
          break;
        }
        int width = in.getShort(at + 5) & 0xFFFF;
        int height = in.getShort(at + 7) & 0xFFFF;
        checkSize(width, height, 4);
        pixels = (long) width * height;
        at += 10 + colorTable(encoded[at + 9]) + 1;
      } else if (block == 0x21) {
        at += 2;
      } else {
        throw new Malformed("damaged GIF: unknown block " + block);
      }
      int data = at;
      while (at < encoded.length && encoded[at] != 0) {
        at += 1 + (encoded[at] & 0xFF);
      }
      if (at >= encoded.length) {
        break;
      }
      if (image) {
        long found = GifPixels.count(encoded, data);
        if (found < pixels) {
          throw new Malformed("GIF cut short: %d of %d pixels".formatted(found, pixels));
        }
        return;
      }
      at++;
    }
    throw new Malformed("GIF cut short after " + encoded.length + " bytes");
  }

  private static int colorTable(byte flags) {
    return (flags & 0x80) == 0 ? 0 : 3 << ((flags & 7) + 1);
  }

  private static void checkBmp(byte[] encoded) throws Malformed {
    if (encoded.length < 34) {
      throw new Malformed("BMP cut short after " + encoded.length + " bytes");
    }
    ByteBuffer in = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    int header = in.getInt(14);
    if (header < 40) {
      return;
    }
    int compression = in.getInt(30);
    if (compression < 0 || compression > 3) {
      throw new Malformed("BMP of compression " + compression + " is not supported");
    }
    long width = in.getInt(18);
    long height = Math.abs((long) in.getInt(22));
    checkSize(width, height, 4);
    int bits = in.getShort(28) & 0xFFFF;
    if (compression == 0 || compression == 3) {
      long needed = (in.getInt(10) & 0xFFFFFFFFL) + (width * bits + 31) / 32 * 4 * height;
      if (encoded.length < needed) {
        throw new Malformed("BMP cut short: " + encoded.length + " of " + needed + " bytes");
      }
    }
  }

  private static String foreignFormat(byte[] encoded) {
    if (ascii(encoded, 4, "ftypavif")) {
      return "AVIF";
    }
    if (ascii(encoded, 4, "ftyphei")) {
      return "HEIC";
    }
    if (ascii(encoded, 0, "II*\0") || ascii(encoded, 0, "MM\0*")) {
      return "TIFF";
    }
    if (ascii(encoded, 0, "<svg") || ascii(encoded, 0, "<?xml")) {
      return "SVG";
    }
    return null;
  }

  private static boolean startsWith(byte[] encoded, int... magic) {
    if (encoded.length < magic.length) {
      return false;
    }
    for (int i = 0; i < magic.length; i++) {
      if ((encoded[i] & 0xFF) != magic[i]) {
        return false;
      }
    }
    return true;
  }

  private static boolean ascii(byte[] encoded, int at, String text) {
    if (encoded.length - at < text.length()) {
      return false;
    }
    for (int i = 0; i < text.length(); i++) {
      if (encoded[at + i] != text.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  /** {@link RgbImage#of}. */
  static RgbImage of(BufferedImage image, int background) {
    int type = image.getRaster().getTransferType();
    boolean whole =
        type == DataBuffer.TYPE_BYTE
            || type == DataBuffer.TYPE_USHORT
            || type == DataBuffer.TYPE_INT;
    int space = image.getColorModel().getColorSpace().getType();
    if (!whole || (space != ColorSpace.TYPE_RGB && space != ColorSpace.TYPE_GRAY)) {
      throw new IllegalArgumentException(
          "an image of this kind is not supported; draw it into a BufferedImage.TYPE_INT_ARGB: "
              + image);
    }
    BufferedImage plain = image;
    if (image.isAlphaPremultiplied()) {
      plain = new BufferedImage(image.getWidth(), image.getHeight(), BufferedImage.TYPE_INT_ARGB);
      Graphics2D graphics = plain.createGraphics();
      graphics.drawImage(image, 0, 0, null);
      graphics.dispose();
    }
    try {
      return convert(plain, background);
    } catch (Malformed e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  /**
   * Takes the samples as they are. {@code BufferedImage.getRGB} would treat grey as linear light
   * and brighten it.
   */
  private static RgbImage convert(BufferedImage image, int background) throws Malformed {
    int width = image.getWidth();
    int height = image.getHeight();
    Raster raster = image.getRaster();
    ColorModel model = image.getColorModel();
    byte[] rgb = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
    int bands = raster.getNumBands();
    int[] row = new int[width * bands];
    if (model instanceof IndexColorModel palette) {
      int[] argb = new int[palette.getMapSize()];
      palette.getRGBs(argb);
      for (int y = 0; y < height; y++) {
        raster.getPixels(0, y, width, 1, row);
        for (int x = 0; x < width; x++) {
          int c = argb[row[x]];
          put(
              rgb,
              (y * width + x) * 3,
              c >> 16 & 0xFF,
              c >> 8 & 0xFF,
              c & 0xFF,
              c >>> 24,
              background);
        }
      }
      return RgbImage.wrap(width, height, rgb);
    }
    int colours = model.hasAlpha() ? bands - 1 : bands;
    if (colours != 1 && colours != 3) {
      throw new Malformed("an image of " + colours + " colour channels; 1 or 3 are supported");
    }
    if (!model.hasAlpha() && takeBytes(raster, rgb)) {
      return RgbImage.wrap(width, height, rgb);
    }
    int[][] to8 = new int[bands][];
    for (int band = 0; band < bands; band++) {
      to8[band] = scale(raster.getSampleModel().getSampleSize(band));
    }
    for (int y = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int x = 0; x < width; x++) {
        int at = x * bands;
        int red = to8[0][row[at]];
        int green = colours == 1 ? red : to8[1][row[at + 1]];
        int blue = colours == 1 ? red : to8[2][row[at + 2]];
        int alpha = model.hasAlpha() ? to8[colours][row[at + colours]] : 255;
        put(rgb, (y * width + x) * 3, red, green, blue, alpha, background);
      }
    }
    return RgbImage.wrap(width, height, rgb);
  }

  /**
   * Takes the samples of a raster of bytes, as JPEG files and most PNG files give it, without
   * asking for each.
   *
   * @return whether it is one
   */
  private static boolean takeBytes(Raster raster, byte[] rgb) {
    if (!(raster.getSampleModel() instanceof PixelInterleavedSampleModel layout)
        || !(raster.getDataBuffer() instanceof DataBufferByte buffer)
        || buffer.getNumBanks() != 1) {
      return false;
    }
    byte[] samples = buffer.getData();
    int[] offsets = layout.getBandOffsets();
    int red = offsets[0];
    int green = offsets[offsets.length == 1 ? 0 : 1];
    int blue = offsets[offsets.length == 1 ? 0 : 2];
    int step = layout.getPixelStride();
    int to = 0;
    for (int y = 0; y < raster.getHeight(); y++) {
      int at =
          buffer.getOffset()
              + (y - raster.getSampleModelTranslateY()) * layout.getScanlineStride()
              - raster.getSampleModelTranslateX() * step;
      int end = to + 3 * raster.getWidth();
      if (step == 3 && red == 2 && green == 1 && blue == 0) {
        // How the JDK gives JPEG files.
        System.arraycopy(samples, at, rgb, to, end - to);
        for (; to < end; to += 3) {
          byte swapped = rgb[to];
          rgb[to] = rgb[to + 2];
          rgb[to + 2] = swapped;
        }
      }
      for (; to < end; to += 3) {
        rgb[to] = samples[at + red];
        rgb[to + 1] = samples[at + green];
        rgb[to + 2] = samples[at + blue];
        at += step;
      }
    }
    return true;
  }

  /**
   * Lays inks over white without a colour profile: of C, M, Y and K from 0, no ink, to 255, red is
   * (255 − C)(255 − K) / 255, and green and blue come likewise from M and Y. Files with an Adobe
   * marker store 255 less the ink. In YCCK (transform 2) the first three samples are the YCbCr of
   * JFIF 1.02 of 255 less what CMYK would store.
   */
  private static RgbImage fromInks(Raster raster, Jpeg jpeg) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    boolean inverted = jpeg.adobeTransform() != NO_ADOBE_MARKER;
    byte[] rgb = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
    int[] row = new int[width * 4];
    for (int y = 0; y < height; y++) {
      raster.getPixels(0, y, width, 1, row);
      for (int at = 0; at < row.length; at += 4) {
        if (jpeg.adobeTransform() == ADOBE_YCCK) {
          toCmyk(row, at);
        }
        int paper = inverted ? row[at + 3] : 255 - row[at + 3];
        int to = (y * width + at / 4) * 3;
        for (int c = 0; c < 3; c++) {
          int light = inverted ? row[at + c] : 255 - row[at + c];
          rgb[to + c] = (byte) ((light * paper + 127) / 255);
        }
      }
    }
    return RgbImage.wrap(width, height, rgb);
  }

  private static void toCmyk(int[] samples, int at) {
    double luma = samples[at];
    double blue = samples[at + 1] - 128;
    double red = samples[at + 2] - 128;
    samples[at] = 255 - clamp(luma + 1.402 * red);
    samples[at + 1] = 255 - clamp(luma - 0.344136 * blue - 0.714136 * red);
    samples[at + 2] = 255 - clamp(luma + 1.772 * blue);
  }

  private static int clamp(double sample) {
    return Math.clamp(Math.round(sample), 0, 255);
  }

  /** The 8-bit value of every sample of that many bits. */
  private static int[] scale(int bits) throws Malformed {
    if (bits < 1 || bits > 16) {
      throw new Malformed("samples of " + bits + " bits are not supported");
    }
    int max = (1 << bits) - 1;
    int[] table = new int[max + 1];
    for (int v = 0; v <= max; v++) {
      table[v] = (v * 255 + max / 2) / max;
    }
    return table;
  }

  private static void put(
      byte[] rgb, int at, int red, int green, int blue, int alpha, int background) {
    rgb[at] = (byte) over(red, alpha, background >> 16 & 0xFF);
    rgb[at + 1] = (byte) over(green, alpha, background >> 8 & 0xFF);
    rgb[at + 2] = (byte) over(blue, alpha, background & 0xFF);
  }

  private static int over(int colour, int alpha, int background) {
    return (colour * alpha + background * (255 - alpha) + 127) / 255;
  }
}
