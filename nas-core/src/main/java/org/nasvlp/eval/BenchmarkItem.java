package org.nasvlp.eval;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One question of a benchmark: images and captions, of which the i-th image and the i-th caption
 * belong together, and of {@link BenchmarkFormat.Task#TWO_RIGHT} the second caption too.
 *
 * @param id tells the item from all others of the benchmark
 * @param category what the item tests, for example a relation
 * @param pictures one or two
 * @param captions one or more, as the benchmark's {@link BenchmarkFormat.Task} says
 * @param matches false only of {@link BenchmarkFormat.Task#MATCH}, where the caption is not true of
 *     the image
 */
public record BenchmarkItem(
    String id, String category, List<Picture> pictures, List<String> captions, boolean matches) {

  /** Copies the lists. */
  public BenchmarkItem {
    pictures = List.copyOf(pictures);
    captions = List.copyOf(captions);
  }

  /** An item whose i-th image and i-th caption belong together. */
  public BenchmarkItem(String id, String category, List<Picture> pictures, List<String> captions) {
    this(id, category, pictures, captions, true);
  }

  /**
   * An image of an item.
   *
   * @param path relative to the benchmark's folder of images; without an ending, {@code .png} and
   *     {@code .jpg} are tried
   * @param crop the part of it that counts; null for all of it
   */
  public record Picture(String path, @Nullable Crop crop) {}

  /**
   * A rectangle in pixels; what of it lies outside the image is left away.
   *
   * @param x left edge
   * @param y upper edge
   * @param width above 0
   * @param height above 0
   */
  public record Crop(int x, int y, int width, int height) {}
}
