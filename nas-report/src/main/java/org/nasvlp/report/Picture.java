package org.nasvlp.report;

import java.awt.Graphics2D;
import java.awt.Image;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NvaTrace;

/** Pictures as they stand in a page. */
final class Picture {
  /** Of larger pictures a JPEG is a fraction of a PNG, and its losses do not show. */
  private static final int MOST_PNG_PIXELS = 96 * 96;

  private static final float QUALITY = 0.85f;

  private Picture() {}

  /** A picture as a model of an image size sees it: its middle, a square of so many pixels. */
  static RgbImage seen(RgbImage image, int size) {
    if (image.width() == size && image.height() == size) {
      return image;
    }
    int plane = size * size;
    float[] values = new float[3 * plane];
    ImageTransform.evaluation(size).apply(image, "", 0, 0, 0, values, 0);
    byte[] rgb = new byte[3 * plane];
    for (int i = 0; i < plane; i++) {
      for (int channel = 0; channel < 3; channel++) {
        rgb[3 * i + channel] = (byte) Math.round((values[channel * plane + i] * 0.5f + 0.5f) * 255);
      }
    }
    return new RgbImage(size, size, rgb);
  }

  /**
   * A picture whose patches stand in mirrored places, each as it is.
   *
   * @param side patches in a row
   */
  static RgbImage mirrored(RgbImage image, Mirror mirror, int side) {
    int[] from = mirror.positions(side);
    int size = image.width();
    int patch = size / side;
    byte[] rgb = new byte[3 * size * size];
    for (int y = 0; y < size; y++) {
      for (int x = 0; x < size; x++) {
        int source = from[y / patch * side + x / patch];
        int sourceX = source % side * patch + x % patch;
        int sourceY = source / side * patch + y % patch;
        int at = 3 * (y * size + x);
        rgb[at] = (byte) image.red(sourceX, sourceY);
        rgb[at + 1] = (byte) image.green(sourceX, sourceY);
        rgb[at + 2] = (byte) image.blue(sourceX, sourceY);
      }
    }
    return new RgbImage(size, size, rgb);
  }

  /**
   * A picture with patches of other codewords where tokens were swapped: of each substitute one
   * that it stands for elsewhere. Where none is known the picture is left as it is.
   */
  static RgbImage swapped(RgbImage image, NvaTrace swap, LearnedDictionary dictionary) {
    int side = dictionary.side();
    int size = image.width();
    int patch = size / side;
    Map<Integer, LearnedDictionary.Place> first = new HashMap<>();
    for (LearnedDictionary.Codeword codeword : dictionary.codewords()) {
      if (!codeword.places().isEmpty()) {
        first.put(codeword.code(), codeword.places().getFirst());
      }
    }
    byte[] rgb = image.rgb();
    for (NvaTrace.Swap of : swap.swaps()) {
      LearnedDictionary.Place place = first.get(of.substitute());
      if (place != null) {
        byte[] from = dictionary.pictures().get(place.picture()).rgb();
        for (int y = 0; y < patch; y++) {
          System.arraycopy(
              from,
              3 * corner(place.position(), side, size, y),
              rgb,
              3 * corner(of.position(), side, size, y),
              3 * patch);
        }
      }
    }
    return new RgbImage(size, size, rgb);
  }

  /** Index of the first pixel of a patch's row. */
  private static int corner(int position, int side, int size, int row) {
    int patch = size / side;
    return (position / side * patch + row) * size + position % side * patch;
  }

  /** Two pictures of a size beside each other. */
  static RgbImage beside(RgbImage left, RgbImage right) {
    int width = 2 * left.width();
    byte[] first = left.rgb();
    byte[] second = right.rgb();
    byte[] rgb = new byte[first.length + second.length];
    int half = 3 * left.width();
    for (int y = 0; y < left.height(); y++) {
      System.arraycopy(first, y * half, rgb, 3 * y * width, half);
      System.arraycopy(second, y * half, rgb, 3 * y * width + half, half);
    }
    return new RgbImage(width, left.height(), rgb);
  }

  /** The picture itself, as a URI. */
  static String uri(RgbImage image) {
    boolean png = (long) image.width() * image.height() <= MOST_PNG_PIXELS;
    return png ? uri("png", image.png()) : uri("jpeg", jpeg(pixels(image)));
  }

  /** {@link #uri}, in the shorter form. */
  static String shortUri(RgbImage image) {
    byte[] png = image.png();
    byte[] jpeg = jpeg(pixels(image));
    return png.length <= jpeg.length ? uri("png", png) : uri("jpeg", jpeg);
  }

  private static String uri(String form, byte[] file) {
    return "data:image/" + form + ";base64," + Base64.getEncoder().encodeToString(file);
  }

  /** A picture whose longer side has so many pixels at most, as a URI. */
  static String uri(RgbImage image, int side) {
    int longer = Math.max(image.width(), image.height());
    if (longer <= side) {
      return uri(image);
    }
    int width = Math.max(1, Math.round((float) image.width() * side / longer));
    int height = Math.max(1, Math.round((float) image.height() * side / longer));
    BufferedImage small = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = small.createGraphics();
    graphics.drawImage(
        pixels(image).getScaledInstance(width, height, Image.SCALE_AREA_AVERAGING), 0, 0, null);
    graphics.dispose();
    return uri("jpeg", jpeg(small));
  }

  private static BufferedImage pixels(RgbImage image) {
    int width = image.width();
    int height = image.height();
    BufferedImage pixels = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        pixels.setRGB(x, y, image.red(x, y) << 16 | image.green(x, y) << 8 | image.blue(x, y));
      }
    }
    return pixels;
  }

  private static byte[] jpeg(BufferedImage pixels) {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ImageWriteParam how = writer.getDefaultWriteParam();
    how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    how.setCompressionQuality(QUALITY);
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    try (ImageOutputStream out = ImageIO.createImageOutputStream(file)) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(pixels, null, null), how);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      writer.dispose();
    }
    return file.toByteArray();
  }
}
