package org.nasvlp.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InterpolateFuncOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kBicubic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.DataConfig;

class ImageTransformTest {
  private static DataConfig config(double minCropScale, boolean flip, double colorJitter) {
    return DataConfig.defaults(2).toBuilder()
        .minCropScale(minCropScale)
        .flip(flip)
        .colorJitter(colorJitter)
        .loaderThreads(1)
        .build();
  }

  private static RgbImage noise(int width, int height, long seed) {
    byte[] rgb = new byte[width * height * 3];
    new Random(seed).nextBytes(rgb);
    return new RgbImage(width, height, rgb);
  }

  private static RgbImage constant(int width, int height, int red, int green, int blue) {
    byte[] rgb = new byte[width * height * 3];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) red;
      rgb[i + 1] = (byte) green;
      rgb[i + 2] = (byte) blue;
    }
    return new RgbImage(width, height, rgb);
  }

  private static float[] apply(
      ImageTransform transform, RgbImage image, String caption, int size, int step, long id) {
    float[] out = new float[3 * size * size];
    transform.apply(image, caption, 42, step, id, out, 0);
    return out;
  }

  private static float normal(int p) {
    return (p / 255f - 0.5f) / 0.5f;
  }

  /** Keys' kernel in its textbook form. */
  private static double keys(double x) {
    double t = Math.abs(x);
    if (t <= 1) {
      return 1.5 * t * t * t - 2.5 * t * t + 1;
    }
    return t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0;
  }

  /** One output sample of an antialiased resize by its definition, in float64. */
  private static double reference(RgbImage image, int outW, int outH, int x, int y, int c) {
    double sx = Math.max(1, image.width() / (double) outW);
    double sy = Math.max(1, image.height() / (double) outH);
    double cx = (x + 0.5) * image.width() / outW - 0.5;
    double cy = (y + 0.5) * image.height() / outH - 0.5;
    double sum = 0;
    double weights = 0;
    for (int v = 0; v < image.height(); v++) {
      for (int u = 0; u < image.width(); u++) {
        double w = keys((u - cx) / sx) * keys((v - cy) / sy);
        int p = c == 0 ? image.red(u, v) : c == 1 ? image.green(u, v) : image.blue(u, v);
        sum += w * p;
        weights += w;
      }
    }
    return sum / weights;
  }

  @ParameterizedTest
  @CsvSource({"32,32,16", "33,33,16", "20,20,31", "100,100,7", "5,5,64", "1,1,8"})
  void resizeAgreesWithItsDefinition(int width, int height, int size) {
    RgbImage image = noise(width, height, 5);
    float[] out = Resampler.resample(image, 0, 0, width, height, size, size, 0, 0, size);
    for (int c = 0; c < 3; c++) {
      for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
          assertThat((double) out[(c * size + y) * size + x])
              .isCloseTo(reference(image, size, size, x, y, c), within(1e-3));
        }
      }
    }
  }

  /** Wide, tall and square; squares along the longer side that fit it, and that overlap. */
  @ParameterizedTest
  @CsvSource({"40,13,17,9", "13,40,5,20", "30,30,11,11", "9,8,9,21", "7,5,7,5"})
  void wholeImagesAreResizedByTheSameDefinition(int width, int height, int outW, int outH) {
    RgbImage image = noise(width, height, 6);
    RgbImage out = image.resize(outW, outH);
    assertThat(out.width()).isEqualTo(outW);
    assertThat(out.height()).isEqualTo(outH);
    byte[] rgb = out.rgb();
    for (int i = 0; i < rgb.length; i++) {
      double exact = reference(image, outW, outH, i / 3 % outW, i / 3 / outW, i % 3);
      // Half of a step of 8 bits, and what float32 adds to it.
      assertThat((double) (rgb[i] & 0xFF)).isCloseTo(Math.clamp(exact, 0, 255), within(0.501));
    }
  }

  @ParameterizedTest
  @CsvSource({"0,5", "5,-1", "65536,65536"})
  void impossibleSizesAreRefused(int width, int height) {
    assertThatThrownBy(() -> noise(4, 4, 1).resize(width, height))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(width + " x " + height);
  }

  @Test
  void halvingARampHasKnownValues() {
    // Inside, the kernel keeps a straight line: the middle of pixels 2i and 2i + 1 is 4i + 2 here.
    byte[] rgb = new byte[16 * 16 * 3];
    for (int i = 0; i < 256; i++) {
      rgb[3 * i] = (byte) (i % 16 * 4);
      rgb[3 * i + 1] = (byte) (i / 16 * 4);
      rgb[3 * i + 2] = (byte) 200;
    }
    float[] out = Resampler.resample(new RgbImage(16, 16, rgb), 0, 0, 16, 16, 8, 8, 0, 0, 8);
    for (int y = 2; y < 6; y++) {
      for (int x = 2; x < 6; x++) {
        assertThat(out[y * 8 + x]).isCloseTo(8 * x + 2f, within(1e-4f));
        assertThat(out[64 + y * 8 + x]).isCloseTo(8 * y + 2f, within(1e-4f));
        assertThat(out[128 + y * 8 + x]).isCloseTo(200f, within(1e-4f));
      }
    }
    // Left edge: pixels 0..3 at distances 0.25, 0.25, 0.75, 1.25 of the widened kernel.
    double[] w = {keys(0.25), keys(0.25), keys(0.75), keys(1.25), keys(1.75)};
    double edge =
        (w[1] * 4 + w[2] * 8 + w[3] * 12 + w[4] * 16) / (w[0] + w[1] + w[2] + w[3] + w[4]);
    assertThat((double) out[3 * 8]).isCloseTo(edge, within(1e-4));
  }

  @ParameterizedTest
  @CsvSource({"64,48,24,24", "17,90,31,31", "40,40,96,96", "640,480,64,64"})
  void resizeAgreesWithLibTorch(int width, int height, int outWidth, int outHeight) {
    RgbImage image = noise(width, height, 9);
    float[] planes = new float[3 * width * height];
    byte[] rgb = image.rgb();
    for (int i = 0; i < width * height; i++) {
      for (int c = 0; c < 3; c++) {
        planes[c * width * height + i] = rgb[3 * i + c] & 0xFF;
      }
    }
    float[] truth = new float[3 * outWidth * outHeight];
    try (PointerScope scope = new PointerScope()) {
      Tensor input = torch.tensor(planes).reshape(1, 3, height, width);
      InterpolateFuncOptions options = new InterpolateFuncOptions();
      options.size().put(new LongVector(new long[] {outHeight, outWidth}));
      options.mode().put(new kBicubic());
      options.align_corners().put(false);
      options.antialias().put(true);
      Tensor output = torch.interpolate(input, options);
      output.contiguous().data_ptr_float().get(truth);
    }
    float[] out =
        Resampler.resample(
            image, 0, 0, width, height, outWidth, outHeight, 0, 0, Math.min(outWidth, outHeight));
    for (int i = 0; i < out.length; i++) {
      assertThat(out[i]).as("%d", i).isCloseTo(truth[i], within(2e-3f));
    }
  }

  @Test
  void constantImagesStayConstantWhateverHappensToThem() {
    ImageTransform transform = ImageTransform.training(32, config(0.1, true, 0));
    RgbImage image = constant(50, 37, 10, 128, 255);
    for (int step = 0; step < 50; step++) {
      float[] out = apply(transform, image, "a dog", 32, step, 7);
      for (int i = 0; i < out.length; i++) {
        int p = i < 1024 ? 10 : i < 2048 ? 128 : 255;
        assertThat(out[i]).isCloseTo(normal(p), within(1e-5f));
      }
    }
  }

  @Test
  void evaluationLeavesAnImageOfTheRightSizeExact() {
    RgbImage image = noise(24, 24, 1);
    float[] out = new float[5 + 3 * 576];
    Arrays.fill(out, 9);
    ImageTransform.evaluation(24).apply(image, "", 1, 2, 3, out, 5);
    assertThat(Arrays.copyOf(out, 5)).containsOnly(9);
    for (int y = 0; y < 24; y++) {
      for (int x = 0; x < 24; x++) {
        assertThat(out[5 + y * 24 + x]).isEqualTo(normal(image.red(x, y)));
        assertThat(out[5 + 576 + y * 24 + x]).isEqualTo(normal(image.green(x, y)));
        assertThat(out[5 + 1152 + y * 24 + x]).isEqualTo(normal(image.blue(x, y)));
      }
    }
  }

  @Test
  void evaluationCutsTheMiddleOut() {
    // 30 x 10 to 10: no resize, columns 10 to 19.
    RgbImage wide = noise(30, 10, 2);
    float[] out = apply(ImageTransform.evaluation(10), wide, "", 10, 0, 0);
    for (int y = 0; y < 10; y++) {
      for (int x = 0; x < 10; x++) {
        assertThat(out[y * 10 + x]).isEqualTo(normal(wide.red(x + 10, y)));
      }
    }
    // 20 x 61 to 10: resized to 10 x 30, rows 10 to 19 of that.
    RgbImage tall = noise(20, 61, 3);
    float[] half = apply(ImageTransform.evaluation(10), tall, "", 10, 0, 0);
    for (int y = 0; y < 10; y++) {
      double value = Math.clamp(reference(tall, 10, 30, 4, y + 10, 2), 0, 255);
      assertThat((double) half[200 + y * 10 + 4])
          .isCloseTo((value / 255 - 0.5) / 0.5, within(1e-4));
    }
  }

  @Test
  void valuesStayBetweenMinusOneAndOne() {
    ImageTransform transform = ImageTransform.training(16, config(0.2, true, 1));
    for (int step = 0; step < 100; step++) {
      for (float v : apply(transform, noise(1 + step, 130 - step, step), "a dog", 16, step, 1)) {
        assertThat(v).isBetween(-1f, 1f);
      }
    }
  }

  @Test
  void cropsCoverTheirRangeOfAreaAndPlaces() {
    // Red holds the column and green the row, so that a crop's corners can be read from the output.
    int side = 200;
    byte[] rgb = new byte[side * side * 3];
    for (int i = 0; i < side * side; i++) {
      rgb[3 * i] = (byte) (i % side);
      rgb[3 * i + 1] = (byte) (i / side);
    }
    RgbImage image = new RgbImage(side, side, rgb);
    ImageTransform transform = ImageTransform.training(20, config(0.25, false, 0));
    double least = 1;
    double most = 0;
    double sum = 0;
    int rounds = 400;
    for (int step = 0; step < rounds; step++) {
      float[] out = apply(transform, image, "a dog", 20, step, 3);
      // Between the centres of columns 5 and 14 lie nine twentieths of the crop's width.
      double width = (out[10 * 20 + 14] - out[10 * 20 + 5]) * 127.5 * 20 / 9;
      double height = (out[400 + 14 * 20 + 10] - out[400 + 5 * 20 + 10]) * 127.5 * 20 / 9;
      double area = width * height / (side * side);
      double ratio = width / height;
      assertThat(area).isBetween(0.24, 1.01);
      assertThat(ratio).isBetween(0.73, 1.37);
      least = Math.min(least, area);
      most = Math.max(most, area);
      sum += area;
    }
    assertThat(least).isLessThan(0.28);
    assertThat(most).isGreaterThan(0.9);
    // Uniform in 0.25 to 1, less the attempts that do not fit: a mean near 0.6.
    assertThat(sum / rounds).isBetween(0.5, 0.65);
  }

  @Test
  void halfOfTheImagesAreMirroredUnlessTheCaptionSaysWhichSide() {
    RgbImage image = noise(8, 8, 4);
    ImageTransform transform = ImageTransform.training(8, config(1, true, 0));
    float[] plain = apply(ImageTransform.evaluation(8), image, "", 8, 0, 0);
    float[] mirror = new float[plain.length];
    for (int i = 0; i < plain.length; i++) {
      mirror[i] = plain[i / 8 * 8 + 7 - i % 8];
    }
    int mirrored = 0;
    for (int step = 0; step < 400; step++) {
      float[] out = apply(transform, image, "a bright righteous dog", 8, step, 11);
      if (Arrays.equals(out, mirror)) {
        mirrored++;
      } else {
        assertThat(out).isEqualTo(plain);
      }
      for (String caption :
          new String[] {"hand pointing RIGHT", "left-facing dog", "one o'clock", "flag: Ireland"}) {
        assertThat(apply(transform, image, caption, 8, step, 11)).isEqualTo(plain);
      }
    }
    assertThat(mirrored).isBetween(150, 250);
    ImageTransform off = ImageTransform.training(8, config(1, false, 0));
    for (int step = 0; step < 20; step++) {
      assertThat(apply(off, image, "a dog", 8, step, 11)).isEqualTo(plain);
    }
  }

  @Test
  void brightnessAndContrastChangeUnlessTheCaptionNamesAColour() {
    RgbImage image = constant(8, 8, 100, 100, 100);
    ImageTransform transform = ImageTransform.training(8, config(1, false, 0.2));
    Set<Float> seen = new HashSet<>();
    for (int step = 0; step < 100; step++) {
      float[] out = apply(transform, image, "a hundred dogs", 8, step, 1);
      // Contrast leaves a constant grey as it is, so this is 100 times the brightness.
      assertThat(out[0]).isBetween(normal(80) - 1e-5f, normal(120) + 1e-5f);
      assertThat(out[150]).isCloseTo(out[0], within(1e-4f));
      seen.add(out[0]);
      for (String caption :
          new String[] {"a Red dog", "thumbs up: medium-dark skin tone", "man, blond hair"}) {
        assertThat(apply(transform, image, caption, 8, step, 1)).containsOnly(normal(100));
      }
    }
    assertThat(seen).hasSizeGreaterThan(90);
  }

  @ParameterizedTest
  @ValueSource(strings = {"reddish", "lighthouse", "tones", "blackboard", "Brighton"})
  void wordsAreMatchedWhole(String word) {
    assertThat(ImageTransform.names("a " + word + " thing", ImageTransform.COLOR_WORDS)).isFalse();
  }

  @Test
  void theArgumentsDecideAlone() {
    RgbImage image = noise(40, 30, 6);
    ImageTransform one = ImageTransform.training(16, config(0.2, true, 0.3));
    ImageTransform two = ImageTransform.training(16, config(0.2, true, 0.3));
    Set<Integer> seen = new HashSet<>();
    for (int step = 0; step < 20; step++) {
      for (long id = 0; id < 5; id++) {
        float[] out = apply(one, image, "a dog", 16, step, id);
        assertThat(apply(two, image, "a dog", 16, step, id)).isEqualTo(out);
        seen.add(Arrays.hashCode(out));
      }
    }
    assertThat(seen).hasSize(100);
  }

  @Test
  void thinImagesFallBackToTheMiddle() {
    // 400 x 2: no crop of an aspect near 1 has a fifth of the area.
    RgbImage image = noise(400, 2, 8);
    ImageTransform transform = ImageTransform.training(8, config(0.2, false, 0));
    assertThat(apply(transform, image, "a dog", 8, 3, 1))
        .isEqualTo(apply(ImageTransform.evaluation(8), image, "a dog", 8, 3, 1));
  }

  @Test
  void wrongSizesAreRefused() {
    assertThatThrownBy(() -> ImageTransform.evaluation(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("image size is 0");
    assertThatThrownBy(
            () ->
                ImageTransform.evaluation(8)
                    .apply(noise(8, 8, 1), "", 0, 0, 0, new float[3 * 64], 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
