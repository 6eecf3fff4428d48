package org.nasvlp.spark;

import java.io.Serializable;
import java.util.Objects;

/**
 * What {@link SparkNas#score} and {@link SparkNas#embed} read, and how. Immutable.
 *
 * @param imageColumn of strings, each the path of an image file on a file system that Hadoop knows,
 *     or of binaries, each an image file's bytes
 * @param captionColumn of strings
 * @param batch pairs that the model sees at once; fewer where their pictures have many pixels
 * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
 * @param device where the model computes: {@code cpu}, {@code cuda}, {@code cuda:N} or {@code auto}
 */
public record ScoreOptions(
    String imageColumn, String captionColumn, int batch, int background, String device)
    implements Serializable {
  /** Checks the numbers. */
  public ScoreOptions {
    Objects.requireNonNull(imageColumn, "imageColumn");
    Objects.requireNonNull(captionColumn, "captionColumn");
    Objects.requireNonNull(device, "device");
    Columns.check("batch", batch, 1, 4096);
    Columns.check("background", background, 0, 0xFFFFFF);
  }

  /** Columns {@code image} and {@code caption}, batches of 32, white, on the CPU. */
  public static ScoreOptions defaults() {
    return new ScoreOptions("image", "caption", 32, 0xFFFFFF, "cpu");
  }

  /** These with other columns. */
  public ScoreOptions withColumns(String image, String caption) {
    return new ScoreOptions(image, caption, batch, background, device);
  }

  /** These with batches of another size. */
  public ScoreOptions withBatch(int pairs) {
    return new ScoreOptions(imageColumn, captionColumn, pairs, background, device);
  }

  /** These over another colour. */
  public ScoreOptions withBackground(int rgb) {
    return new ScoreOptions(imageColumn, captionColumn, batch, rgb, device);
  }

  /** These on another device. */
  public ScoreOptions withDevice(String name) {
    return new ScoreOptions(imageColumn, captionColumn, batch, background, name);
  }
}
