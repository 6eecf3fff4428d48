package org.nasvlp.spark;

import java.io.Serializable;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.negatives.CaptionEditFile;
import org.nasvlp.negatives.TextEditor;

/**
 * What {@link SparkNas#prepare} reads and makes. Immutable.
 *
 * @param output folder of the shards, on any file system that Hadoop knows
 * @param imageColumn of strings, each the path of an image file on any such file system, or of
 *     binaries, each an image file's bytes
 * @param captionColumn of strings
 * @param idColumn of strings or whole numbers, by which the pairs are ordered and which names them;
 *     null to order them by the SHA-256 of the image file, and to name them by path or by that
 * @param shorterSide pixels that the shorter side of a larger picture is shrunk to; 0 to leave
 *     pictures as they are
 * @param pairsPerShard pairs of every shard but the last
 * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
 * @param hardNegatives hard negative captions to be made beside the shards; null for none
 */
public record PrepareOptions(
    String output,
    String imageColumn,
    String captionColumn,
    @Nullable String idColumn,
    int shorterSide,
    int pairsPerShard,
    int background,
    @Nullable HardNegatives hardNegatives)
    implements Serializable {
  /**
   * Which hard negative captions are made; see {@link NtaConfig}.
   *
   * @param exactLabels as of the trainings
   * @param seenPairs as of the trainings
   * @param editors of the captions' language
   */
  public record HardNegatives(boolean exactLabels, boolean seenPairs, Editors editors)
      implements Serializable {
    /** Checks that there are editors. */
    public HardNegatives {
      Objects.requireNonNull(editors, "editors");
    }

    TextEditor.Factory factory() {
      return CaptionEditFile.editors(seenPairs, editors.of(exactLabels));
    }
  }

  /** Finds the editors of a language, on each executor. */
  @FunctionalInterface
  public interface Editors extends Serializable {
    /** The editors; see {@link NtaConfig#exactLabels}. */
    TextEditor.Factory of(boolean exactLabels);
  }

  /** Checks the numbers. */
  public PrepareOptions {
    Objects.requireNonNull(output, "output");
    Objects.requireNonNull(imageColumn, "imageColumn");
    Objects.requireNonNull(captionColumn, "captionColumn");
    Columns.check("shorterSide", shorterSide, 0, 4096);
    Columns.check("pairsPerShard", pairsPerShard, 1, 10_000_000);
    Columns.check("background", background, 0, 0xFFFFFF);
  }

  /**
   * Columns {@code image} and {@code caption}, no ids, pictures as they are, shards of 10,000
   * pairs, white behind transparent pixels.
   */
  public static PrepareOptions to(String output) {
    return new PrepareOptions(output, "image", "caption", null, 0, 10_000, 0xFFFFFF, null);
  }

  /** These with other columns. */
  public PrepareOptions withColumns(String image, String caption) {
    return new PrepareOptions(
        output, image, caption, idColumn, shorterSide, pairsPerShard, background, hardNegatives);
  }

  /** These with a column of ids. */
  public PrepareOptions withId(String column) {
    return new PrepareOptions(
        output,
        imageColumn,
        captionColumn,
        column,
        shorterSide,
        pairsPerShard,
        background,
        hardNegatives);
  }

  /** These with pictures shrunk. */
  public PrepareOptions withShorterSide(int pixels) {
    return new PrepareOptions(
        output,
        imageColumn,
        captionColumn,
        idColumn,
        pixels,
        pairsPerShard,
        background,
        hardNegatives);
  }

  /** These with shards of another size. */
  public PrepareOptions withPairsPerShard(int pairs) {
    return new PrepareOptions(
        output,
        imageColumn,
        captionColumn,
        idColumn,
        shorterSide,
        pairs,
        background,
        hardNegatives);
  }

  /** These over another colour. */
  public PrepareOptions withBackground(int rgb) {
    return new PrepareOptions(
        output,
        imageColumn,
        captionColumn,
        idColumn,
        shorterSide,
        pairsPerShard,
        rgb,
        hardNegatives);
  }

  /**
   * These with hard negative captions in English, which takes {@code nas-text-en} among the jars.
   * They lie in the folder {@code captions}, where trainings of these settings find them.
   */
  public PrepareOptions withHardNegativeCaptions(NtaConfig nta) {
    return withHardNegativeCaptions(nta, exactLabels -> TextEditor.factory("en", exactLabels));
  }

  /** These with hard negative captions by editors of one's own. */
  public PrepareOptions withHardNegativeCaptions(NtaConfig nta, Editors editors) {
    return new PrepareOptions(
        output,
        imageColumn,
        captionColumn,
        idColumn,
        shorterSide,
        pairsPerShard,
        background,
        new HardNegatives(nta.exactLabels(), nta.seenPairs(), editors));
  }
}
