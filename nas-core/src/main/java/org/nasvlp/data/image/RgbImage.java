package org.nasvlp.data.image;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.nasvlp.data.BadSampleException;

/** A decoded picture: 8 bits for each of red, green and blue. Immutable. */
public final class RgbImage {
  /** More pixels than this are refused before anything is decoded. */
  static final long MAX_PIXELS = 1L << 26;

  private static final long MAX_FILE_BYTES = 1L << 28;

  private final int width;
  private final int height;
  private final byte[] rgb;

  /**
   * Makes an image.
   *
   * @param rgb {@code height × width × 3} bytes, row by row, red first; copied
   * @throws IllegalArgumentException if the sizes do not agree or are not positive
   */
  public RgbImage(int width, int height, byte[] rgb) {
    this(width, height, Objects.requireNonNull(rgb, "rgb").clone(), true);
  }

  private RgbImage(int width, int height, byte[] rgb, boolean checked) {
    if (checked) {
      if (width < 1 || height < 1 || (long) width * height > MAX_PIXELS) {
        throw new IllegalArgumentException(
            "an image of " + width + " x " + height + " pixels: 1 to " + MAX_PIXELS + " allowed");
      }
      if (rgb.length != (long) width * height * 3) {
        throw new IllegalArgumentException(
            "%d bytes for an image of %d x %d pixels: %d needed"
                .formatted(rgb.length, width, height, (long) width * height * 3));
      }
    }
    this.width = width;
    this.height = height;
    this.rgb = rgb;
  }

  /** Takes the array over without a copy. */
  static RgbImage wrap(int width, int height, byte[] rgb) {
    return new RgbImage(width, height, rgb, false);
  }

  /**
   * Decodes PNG, JPEG (grey, colour or CMYK), GIF (its first frame) or BMP. Transparent pixels are
   * laid over the background. Samples of 16 bits are rounded to 8. A JPEG is turned and mirrored as
   * its Exif orientation says; one without a valid orientation stays as it is. Colour profiles and
   * gamma are not applied: CMYK becomes red = (255 − C)(255 − K) / 255, green and blue likewise
   * from M and Y, where 0 is no ink; with an Adobe marker the file holds 255 less the inks.
   *
   * @param encoded the file's bytes
   * @param name what messages call the image
   * @param background RGB colour, {@code 0xRRGGBB}
   * @throws BadSampleException if it is cut short, damaged, of another format or larger than 64 Mi
   *     pixels, or a JPEG of more than 1 Gi pixels in all its scans
   */
  public static RgbImage decode(byte[] encoded, String name, int background)
      throws BadSampleException {
    return ImageDecoder.decode(encoded, name, background);
  }

  /**
   * A picture that a program has already. Its samples are taken as {@link #decode} takes a file's:
   * without colour profile or gamma, those of 16 bits rounded to 8.
   *
   * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
   * @throws IllegalArgumentException for more than 64 Mi pixels, for samples that are not whole
   *     numbers of 1 to 16 bits, or for colours other than grey, red-green-blue or a palette's
   */
  public static RgbImage of(BufferedImage image, int background) {
    if ((long) image.getWidth() * image.getHeight() > MAX_PIXELS) {
      throw new IllegalArgumentException(
          "an image of %d x %d pixels: up to %d allowed"
              .formatted(image.getWidth(), image.getHeight(), MAX_PIXELS));
    }
    return ImageDecoder.of(image, background);
  }

  /**
   * Reads and decodes a file as {@link #decode} does.
   *
   * @throws BadSampleException also if the file is missing or cannot be read
   */
  public static RgbImage read(Path file, int background) throws BadSampleException {
    return decode(readFile(file, file.toString()), file.toString(), background);
  }

  /**
   * The bytes of an image file.
   *
   * @param name of the sample, for messages
   * @throws BadSampleException if the file is missing, not regular, of more than 256 MiB or cannot
   *     be read
   */
  public static byte[] readFile(Path file, String name) throws BadSampleException {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      if (attributes.isDirectory()) {
        throw new BadSampleException(name, "is a folder, not an image file");
      }
      if (!attributes.isRegularFile()) {
        throw new BadSampleException(
            name, "is a pipe or a device, not a regular file; replace it by an image file");
      }
      long size = attributes.size();
      if (size > MAX_FILE_BYTES) {
        throw new BadSampleException(
            name, "has " + size + " bytes; images of up to " + MAX_FILE_BYTES + " are read");
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new BadSampleException(name, "the image file does not exist", e);
    } catch (IOException e) {
      throw new BadSampleException(name, "cannot be read (" + e + ")", e);
    }
  }

  /** Pixels in a row. */
  public int width() {
    return width;
  }

  /** Rows. */
  public int height() {
    return height;
  }

  /**
   * A part of the image.
   *
   * @param x left edge, from 0
   * @param y upper edge, from 0
   * @throws IndexOutOfBoundsException if the part is empty or does not lie inside the image
   */
  public RgbImage crop(int x, int y, int partWidth, int partHeight) {
    Objects.checkFromIndexSize(x, partWidth, width);
    Objects.checkFromIndexSize(y, partHeight, height);
    if (partWidth == 0 || partHeight == 0) {
      throw new IndexOutOfBoundsException("a part of " + partWidth + " x " + partHeight);
    }
    byte[] part = new byte[partWidth * partHeight * 3];
    for (int row = 0; row < partHeight; row++) {
      System.arraycopy(rgb, ((y + row) * width + x) * 3, part, row * partWidth * 3, partWidth * 3);
    }
    return wrap(partWidth, partHeight, part);
  }

  /**
   * The image at another size, by antialiased bicubic resampling, rounded: the same on every
   * machine.
   *
   * @throws IllegalArgumentException if a side is below 1 or the result has more than 64 Mi pixels
   */
  public RgbImage resize(int newWidth, int newHeight) {
    if (newWidth < 1 || newHeight < 1 || (long) newWidth * newHeight > MAX_PIXELS) {
      throw new IllegalArgumentException(
          "an image of %d x %d pixels: 1 to %d allowed".formatted(newWidth, newHeight, MAX_PIXELS));
    }
    byte[] out = new byte[newWidth * newHeight * 3];
    // Square by square along the longer side; the last one may overlap the one before.
    int size = Math.min(newWidth, newHeight);
    for (int at = 0; at < Math.max(newWidth, newHeight); at += size) {
      int left = Math.min(at, newWidth - size);
      int top = Math.min(at, newHeight - size);
      float[] square =
          Resampler.resample(this, 0, 0, width, height, newWidth, newHeight, left, top, size);
      for (int i = 0; i < size * size; i++) {
        int to = ((top + i / size) * newWidth + left + i % size) * 3;
        for (int c = 0; c < 3; c++) {
          out[to + c] = (byte) Math.round(Math.clamp(square[c * size * size + i], 0f, 255f));
        }
      }
    }
    return wrap(newWidth, newHeight, out);
  }

  /** The image as a PNG file. */
  public byte[] png() {
    return PngWriter.write(width, height, rgb);
  }

  /** A copy of the pixels: {@code height × width × 3} bytes, row by row, red first. */
  public byte[] rgb() {
    return rgb.clone();
  }

  /** Red of the pixel in column x of row y, 0 to 255. */
  public int red(int x, int y) {
    return sample(x, y, 0);
  }

  /** Green of the pixel in column x of row y, 0 to 255. */
  public int green(int x, int y) {
    return sample(x, y, 1);
  }

  /** Blue of the pixel in column x of row y, 0 to 255. */
  public int blue(int x, int y) {
    return sample(x, y, 2);
  }

  /** The pixels, three bytes each (red, green, blue), row by row; read-only. */
  public ByteBuffer buffer() {
    return ByteBuffer.wrap(rgb).asReadOnlyBuffer();
  }

  /** The pixels themselves; not to be written. */
  byte[] pixels() {
    return rgb;
  }

  private int sample(int x, int y, int channel) {
    Objects.checkIndex(x, width);
    Objects.checkIndex(y, height);
    return rgb[(y * width + x) * 3 + channel] & 0xFF;
  }
}
