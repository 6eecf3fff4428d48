package org.nasvlp.bench;

import java.awt.Graphics2D;
import java.awt.Image;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * From a JPEG file to 3 × 224 × 224 normalised floats, one image on one thread: this library beside
 * the JDK's ImageIO with its antialiased and with its bicubic scaling.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class DecodingBenchmark {
  private static final int SIZE = 224;
  private static final int FILES = 16;

  /** Width x height of the files. */
  @Param("640x480")
  public String shape = "";

  private final ImageTransform transform = ImageTransform.evaluation(SIZE);
  private final float[] out = new float[3 * SIZE * SIZE];
  private byte[][] files = new byte[0][];
  private int next;

  @Setup(Level.Trial)
  public void setUp() throws IOException, BadSampleException {
    System.setProperty("java.awt.headless", "true");
    ImageIO.setUseCache(false);
    int cross = shape.indexOf('x');
    files =
        Photographs.jpegs(
            FILES,
            Integer.parseInt(shape.substring(0, cross)),
            Integer.parseInt(shape.substring(cross + 1)));
    compare();
  }

  /** The scalings differ, but not in what is to be seen. */
  private void compare() throws IOException, BadSampleException {
    double sum = 0;
    for (int i = 0; i < FILES; i++) {
      next = i;
      nas();
      float[] ours = out.clone();
      next = i;
      imageIo();
      for (int k = 0; k < out.length; k++) {
        sum += Math.abs(ours[k] - out[k]) / 2;
      }
    }
    double mean = sum / (FILES * (double) out.length);
    if (mean > 0.02) {
      throw new IllegalStateException(
          "the two pipelines' pixels differ by " + mean + " of the range in the mean");
    }
    System.out.printf(
        "# results compared: pixels differ by %.4f of the range in the mean; files of %d bytes%n",
        mean, files[0].length);
  }

  private byte[] file() {
    next = (next + 1) % FILES;
    return files[next];
  }

  @Benchmark
  public float nas() throws BadSampleException {
    RgbImage image = RgbImage.decode(file(), "file", 0xFFFFFF);
    transform.apply(image, "", 1, 1, 1, out, 0);
    return out[0];
  }

  @Benchmark
  public float imageIo() throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(file()));
    int side = Math.min(image.getWidth(), image.getHeight());
    Image scaled =
        image
            .getSubimage((image.getWidth() - side) / 2, (image.getHeight() - side) / 2, side, side)
            .getScaledInstance(SIZE, SIZE, Image.SCALE_AREA_AVERAGING);
    BufferedImage small = new BufferedImage(SIZE, SIZE, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = small.createGraphics();
    graphics.drawImage(scaled, 0, 0, null);
    graphics.dispose();
    return normalize(small);
  }

  @Benchmark
  public float imageIoBicubic() throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(file()));
    int side = Math.min(image.getWidth(), image.getHeight());
    int left = (image.getWidth() - side) / 2;
    int top = (image.getHeight() - side) / 2;
    BufferedImage small = new BufferedImage(SIZE, SIZE, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = small.createGraphics();
    graphics.setRenderingHint(
        RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
    graphics.drawImage(image, 0, 0, SIZE, SIZE, left, top, left + side, top + side, null);
    graphics.dispose();
    return normalize(small);
  }

  private float normalize(BufferedImage small) {
    int[] pixels = small.getRGB(0, 0, SIZE, SIZE, null, 0, SIZE);
    for (int i = 0; i < pixels.length; i++) {
      for (int c = 0; c < 3; c++) {
        int sample = (pixels[i] >> (16 - 8 * c)) & 0xFF;
        out[c * pixels.length + i] = (sample / 255f - 0.5f) / 0.5f;
      }
    }
    return out[0];
  }
}
