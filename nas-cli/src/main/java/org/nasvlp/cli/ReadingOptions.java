package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.source.DatasetOptions;
import picocli.CommandLine.Option;

/** How a list of images and captions is to be read, where it leaves it open. */
final class ReadingOptions {
  @Option(
      names = "--images",
      paramLabel = "DIR",
      description = "Folder that a list's image paths are relative to (default: the list's own).")
  private @Nullable Path images;

  @Option(
      names = "--image-column",
      paramLabel = "NAME",
      description = "Column of a .csv or .tsv list with the image paths.")
  private @Nullable String imageColumn;

  @Option(
      names = "--caption-column",
      paramLabel = "NAME",
      description = "Column of a .csv or .tsv list with the captions.")
  private @Nullable String captionColumn;

  @Option(
      names = "--split",
      paramLabel = "NAME",
      split = ",",
      description =
          "Splits of a Karpathy file (default: train,restval to train on, test to test on).")
  private List<String> splits = List.of();

  DatasetOptions over(int background) {
    return new DatasetOptions(background, images, imageColumn, captionColumn, splits, false);
  }

  @Nullable Path images() {
    return images;
  }

  /** Whether anything but the folder of images was named. */
  boolean describesAList() {
    return imageColumn != null || captionColumn != null || !splits.isEmpty();
  }
}
