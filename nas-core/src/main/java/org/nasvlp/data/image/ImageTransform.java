package org.nasvlp.data.image;

import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.nasvlp.config.DataConfig;
import org.nasvlp.random.Draws;

/**
 * From a picture to the model's input: crop, antialiased bicubic resize to S × S, augmentation,
 * scaling to −1 … 1.
 *
 * <p>Augmentation never contradicts what the caption names. An image is not mirrored when its
 * caption holds one of {@link #DIRECTION_WORDS}, and its brightness and contrast stay when it holds
 * one of {@link #COLOR_WORDS}; hue is never changed. The words are English and matched whole,
 * whatever their case. A picture whose direction matters though its caption does not say so needs
 * {@code data.flip} off. Thread-safe.
 */
public final class ImageTransform {
  /** Words that a mirrored picture may contradict: directions, clocks, moon phases, writing. */
  static final Set<String> DIRECTION_WORDS =
      Set.of(
          "left",
          "right",
          "leftward",
          "leftwards",
          "rightward",
          "rightwards",
          "leftmost",
          "rightmost",
          "clockwise",
          "anticlockwise",
          "counterclockwise",
          "east",
          "west",
          "eastern",
          "western",
          "northeast",
          "northwest",
          "southeast",
          "southwest",
          "forward",
          "backward",
          "reverse",
          "next",
          "previous",
          "clock",
          "oclock",
          "thirty",
          "waxing",
          "waning",
          "quarter",
          "flag",
          "letter",
          "letters",
          "text",
          "word",
          "words",
          "sign",
          "number",
          "digit",
          "keycap");

  /** Words about colour and lightness, skin and hair among them. */
  static final Set<String> COLOR_WORDS =
      Set.of(
          "red",
          "orange",
          "yellow",
          "green",
          "blue",
          "purple",
          "violet",
          "pink",
          "brown",
          "black",
          "white",
          "gray",
          "grey",
          "cyan",
          "magenta",
          "turquoise",
          "teal",
          "beige",
          "tan",
          "gold",
          "golden",
          "silver",
          "maroon",
          "crimson",
          "navy",
          "indigo",
          "lavender",
          "olive",
          "blond",
          "blonde",
          "brunette",
          "color",
          "colour",
          "colors",
          "colours",
          "colored",
          "coloured",
          "colorful",
          "colourful",
          "skin",
          "tone",
          "light",
          "dark",
          "medium",
          "pale",
          "bright",
          "dim",
          "shade",
          "shadow",
          "night",
          "day",
          "sunny");

  // Positions of this class's draws; see the package's comment.
  private static final int CROP = 0x4000_0000;
  private static final int FLIP = 0x4100_0000;
  private static final int JITTER = 0x4200_0000;

  private static final int CROP_ATTEMPTS = 10;
  private static final double LOW_RATIO = Math.log(3.0 / 4);
  private static final double HIGH_RATIO = Math.log(4.0 / 3);
  private static final Pattern WORD = Pattern.compile("\\p{L}+");

  private final int size;
  private final double minCropScale;
  private final boolean flip;
  private final double colorJitter;

  private ImageTransform(int size, double minCropScale, boolean flip, double colorJitter) {
    if (size < 1 || size > 4096) {
      throw new IllegalArgumentException(
          "the image size is " + size + ": it must lie between 1 and 4096");
    }
    this.size = size;
    this.minCropScale = minCropScale;
    this.flip = flip;
    this.colorJitter = colorJitter;
  }

  /** The shorter side resized to S, the middle S × S cut out; nothing random. */
  public static ImageTransform evaluation(int imageSize) {
    return new ImageTransform(imageSize, 1, false, 0);
  }

  /**
   * A random crop of {@code minCropScale} to 1 of the area and of aspect 3:4 to 4:3 (Inception's,
   * arXiv 1409.4842), mirrored half of the time, with brightness and contrast each changed by a
   * factor in 1 ± {@code colorJitter}. With {@code minCropScale} 1 the crop is evaluation's.
   */
  public static ImageTransform training(int imageSize, DataConfig config) {
    return new ImageTransform(
        imageSize, config.minCropScale(), config.flip(), config.colorJitter());
  }

  /**
   * Writes 3 × S × S floats, (p / 255 − 0.5) / 0.5, channel by channel. A function of the arguments
   * alone.
   *
   * @param caption decides which augmentation is left out
   * @param out where to write
   * @param offset index of the first float
   */
  public void apply(
      RgbImage image, String caption, long seed, int step, long sampleId, float[] out, int offset) {
    Objects.checkFromIndexSize(offset, 3 * size * size, out.length);
    float[] pixels = minCropScale < 1 ? randomCrop(image, seed, step, sampleId) : centerCrop(image);
    boolean mirrored =
        flip
            && Draws.uniform(Draws.draw(seed, step, sampleId, FLIP), 2) == 1
            && !names(caption, DIRECTION_WORDS);
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = Math.clamp(pixels[i], 0f, 255f);
    }
    if (colorJitter > 0 && !names(caption, COLOR_WORDS)) {
      double brightness = 1 + colorJitter * (2 * unit(seed, step, sampleId, JITTER) - 1);
      double contrast = 1 + colorJitter * (2 * unit(seed, step, sampleId, JITTER + 1) - 1);
      jitter(pixels, (float) brightness, (float) contrast);
    }
    for (int row = 0; row < 3 * size; row++) {
      int from = row * size;
      int to = offset + from;
      for (int x = 0; x < size; x++) {
        float p = pixels[mirrored ? from + size - 1 - x : from + x];
        out[to + x] = (p / 255f - 0.5f) / 0.5f;
      }
    }
  }

  /** Whether the text holds one of the words, as a whole word. */
  static boolean names(String text, Set<String> words) {
    Matcher matcher = WORD.matcher(text.toLowerCase(Locale.ROOT));
    while (matcher.find()) {
      if (words.contains(matcher.group())) {
        return true;
      }
    }
    return false;
  }

  private static double unit(long seed, int step, long sampleId, int position) {
    return (Draws.draw(seed, step, sampleId, position) >>> 11) * 0x1p-53;
  }

  private float[] centerCrop(RgbImage image) {
    int width = image.width();
    int height = image.height();
    int shorter = Math.min(width, height);
    long outWidth = (long) size * width / shorter;
    long outHeight = (long) size * height / shorter;
    return Resampler.resample(
        image,
        0,
        0,
        width,
        height,
        outWidth,
        outHeight,
        (outWidth - size) / 2,
        (outHeight - size) / 2,
        size);
  }

  private float[] randomCrop(RgbImage image, long seed, int step, long sampleId) {
    int width = image.width();
    int height = image.height();
    double area = (double) width * height;
    int position = CROP;
    for (int attempt = 0; attempt < CROP_ATTEMPTS; attempt++) {
      double share = minCropScale + (1 - minCropScale) * unit(seed, step, sampleId, position++);
      double ratio =
          StrictMath.exp(
              LOW_RATIO + (HIGH_RATIO - LOW_RATIO) * unit(seed, step, sampleId, position++));
      int w = (int) Math.round(Math.sqrt(area * share * ratio));
      int h = (int) Math.round(Math.sqrt(area * share / ratio));
      if (w >= 1 && h >= 1 && w <= width && h <= height) {
        int left = Draws.uniform(Draws.draw(seed, step, sampleId, position++), width - w + 1);
        int top = Draws.uniform(Draws.draw(seed, step, sampleId, position), height - h + 1);
        return Resampler.resample(image, left, top, w, h, size, size, 0, 0, size);
      }
    }
    return centerCrop(image);
  }

  private static void jitter(float[] pixels, float brightness, float contrast) {
    int plane = pixels.length / 3;
    double grey = 0;
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = Math.clamp(pixels[i] * brightness, 0f, 255f);
    }
    for (int i = 0; i < plane; i++) {
      grey += 0.299 * pixels[i] + 0.587 * pixels[plane + i] + 0.114 * pixels[2 * plane + i];
    }
    float mean = (float) (grey / plane);
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = Math.clamp(mean + (pixels[i] - mean) * contrast, 0f, 255f);
    }
  }
}
