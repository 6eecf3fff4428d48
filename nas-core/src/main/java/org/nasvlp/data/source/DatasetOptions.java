package org.nasvlp.data.source;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How a data set is to be read, where its own files leave it open. Immutable.
 *
 * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
 * @param images folder that the image paths of a list are relative to, and may not lead out of;
 *     null for the list's own
 * @param imageColumn the column of a CSV or TSV list with the image paths; null for the one that is
 *     called image, image_path, filepath, file_path, file_name, filename or path
 * @param captionColumn the one with the captions; null for the one that is called caption, title or
 *     text
 * @param splits the splits of a Karpathy file that are taken; empty for train and restval, or for
 *     test where {@code test} says so
 * @param test whether the pairs are to be tested on; a caption that repeats another of its image is
 *     then a pair of its own, as the literature counts it, and not a bad one
 * @param maxUnpackedBytes bytes that the uncompressed copy of a shard may have; 0 for a hundred
 *     times the compressed file's, but 64 MiB at least and 16 GiB at most
 */
public record DatasetOptions(
    int background,
    @Nullable Path images,
    @Nullable String imageColumn,
    @Nullable String captionColumn,
    List<String> splits,
    boolean test,
    long maxUnpackedBytes) {

  /** Checks the numbers, copies the list. */
  public DatasetOptions {
    if (background < 0 || background > 0xFFFFFF) {
      throw new IllegalArgumentException(
          "background is " + background + ": it must lie between 0 and 0xFFFFFF");
    }
    if (maxUnpackedBytes < 0) {
      throw new IllegalArgumentException(
          "maxUnpackedBytes is " + maxUnpackedBytes + ": it must be 0 or more");
    }
    splits = List.copyOf(splits);
  }

  /** What the files say, over a background. */
  public static DatasetOptions of(int background) {
    return new DatasetOptions(background, null, null, null, List.of(), false, 0);
  }

  /** These with image paths relative to a folder. */
  public DatasetOptions withImages(Path folder) {
    return new DatasetOptions(
        background,
        Objects.requireNonNull(folder),
        imageColumn,
        captionColumn,
        splits,
        test,
        maxUnpackedBytes);
  }

  /** These with the columns of a CSV or TSV list named. */
  public DatasetOptions withColumns(@Nullable String image, @Nullable String caption) {
    return new DatasetOptions(background, images, image, caption, splits, test, maxUnpackedBytes);
  }

  /** These with the splits of a Karpathy file chosen. */
  public DatasetOptions withSplits(List<String> chosen) {
    return new DatasetOptions(
        background, images, imageColumn, captionColumn, chosen, test, maxUnpackedBytes);
  }

  /** These for pairs to test on. */
  public DatasetOptions forTest() {
    return new DatasetOptions(
        background, images, imageColumn, captionColumn, splits, true, maxUnpackedBytes);
  }

  /** These with another limit of a compressed shard's copy. */
  public DatasetOptions withMaxUnpackedBytes(long bytes) {
    return new DatasetOptions(background, images, imageColumn, captionColumn, splits, test, bytes);
  }

  /** Whether anything is said that lists alone have. */
  boolean describesAList() {
    return images != null || imageColumn != null || captionColumn != null || !splits.isEmpty();
  }
}
