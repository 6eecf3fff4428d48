package org.nasvlp.bench;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.SplittableRandom;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/**
 * JPEG files that cost a decoder about what photographs of their size do: soft patches of colour
 * with texture and noise, quality 85, chroma at half the resolution, some 90 kB at 640 × 480.
 */
final class Photographs {
  private static final int PATCHES = 12;

  private Photographs() {}

  static byte[][] jpegs(int count, int width, int height) {
    byte[][] files = new byte[count][];
    for (int i = 0; i < count; i++) {
      try {
        files[i] = encode(picture(width, height, i));
      } catch (IOException e) {
        throw new IllegalStateException("a JPEG file cannot be made in memory", e);
      }
    }
    return files;
  }

  private static BufferedImage picture(int width, int height, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double[][] patches = new double[PATCHES][];
    for (int i = 0; i < PATCHES; i++) {
      patches[i] =
          new double[] {
            random.nextDouble() * width,
            random.nextDouble() * height,
            20 + random.nextDouble() * 200,
            random.nextInt(256),
            random.nextInt(256),
            random.nextInt(256)
          };
    }
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        double sum = 0;
        double[] colour = new double[3];
        for (double[] patch : patches) {
          double dx = x - patch[0];
          double dy = y - patch[1];
          double weight = Math.exp(-(dx * dx + dy * dy) / (patch[2] * patch[2])) + 1e-4;
          sum += weight;
          for (int c = 0; c < 3; c++) {
            colour[c] += weight * patch[3 + c];
          }
        }
        double texture = 18 * Math.sin(0.35 * x + seed) * Math.sin(0.27 * y);
        double noise = 30 * (random.nextDouble() - 0.5);
        int rgb = 0;
        for (double part : colour) {
          rgb = (rgb << 8) | (int) Math.clamp(part / sum + texture + noise, 0, 255);
        }
        image.setRGB(x, y, rgb);
      }
    }
    return image;
  }

  private static byte[] encode(BufferedImage image) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ImageWriteParam parameters = writer.getDefaultWriteParam();
    parameters.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    parameters.setCompressionQuality(0.85f);
    try (ImageOutputStream out = ImageIO.createImageOutputStream(bytes)) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(image, null, null), parameters);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }
}
