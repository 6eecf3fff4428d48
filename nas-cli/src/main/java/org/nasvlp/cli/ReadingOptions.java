package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.source.DatasetOptions;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How a list of images and captions is to be read, where it leaves it open. */
final class ReadingOptions {
  private static final long MEGABYTE = 1_000_000;

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

  @Option(
      names = "--max-unpacked",
      paramLabel = "MB",
      description =
          "Megabytes that a .tar.gz shard may unpack to (default: 100 times its size, but 67 at"
              + " least and 17180 at most).")
  private @Nullable Integer maxUnpacked;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  DatasetOptions over(int background) {
    if (maxUnpacked != null && maxUnpacked < 1) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--max-unpacked': it is not above 0");
    }
    long maxUnpackedBytes = maxUnpacked == null ? 0 : maxUnpacked * MEGABYTE;
    return new DatasetOptions(
        background, images, imageColumn, captionColumn, splits, false, maxUnpackedBytes);
  }

  @Nullable Path images() {
    return images;
  }

  /** Whether anything but the folder of images was named. */
  boolean describesAList() {
    return imageColumn != null || captionColumn != null || !splits.isEmpty();
  }
}
