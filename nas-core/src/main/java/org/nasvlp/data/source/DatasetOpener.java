package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.internal.InputFiles;

/** Finds out which kind of data set a path is. */
public final class DatasetOpener {
  private static final List<String> LISTS =
      List.of("captions.json", "list.json", "captions.jsonl", "list.jsonl");
  private static final List<String> LIST_ENDINGS = List.of(".json", ".jsonl", ".csv", ".tsv");

  private DatasetOpener() {}

  /**
   * Opens what {@link ImageTextDataset#open(Path, DatasetOptions)} does.
   *
   * @throws IOException naming the path, if it does not exist or holds no data set
   */
  public static ImageTextDataset open(Path path, DatasetOptions options) throws IOException {
    if (!Files.exists(path) && ShardPattern.isPattern(path)) {
      checkForShards(path, options);
      List<Path> shards = ShardPattern.expand(path);
      return ShardFolder.open(path, shards, options);
    }
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString(), null, "the data set does not exist");
    }
    return Files.isDirectory(path) ? openFolder(path, options) : openFile(path, options);
  }

  private static ImageTextDataset openFile(Path file, DatasetOptions options) throws IOException {
    InputFiles.requireRegular(file);
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    if (MixedDataset.isMixture(file)) {
      return MixedDataset.open(file, options);
    }
    if (LIST_ENDINGS.stream().anyMatch(name::endsWith)) {
      return ListDataset.open(file, options);
    }
    if (!TarShard.isShard(file)) {
      throw new IOException(
          file
              + " is neither a .tar or .tar.gz shard nor a .json, .jsonl, .csv or .tsv list; rename"
              + " it or give another");
    }
    checkForShards(file, options);
    TarShard shard = TarShard.open(file, options);
    if (shard.usable() == 0) {
      shard.close();
      throw nothingUsable(file, "key.png or key.jpg beside key.txt", shard.firstProblems());
    }
    return shard;
  }

  private static ImageTextDataset openFolder(Path folder, DatasetOptions options)
      throws IOException {
    List<Path> lists =
        LISTS.stream().map(folder::resolve).filter(list -> Files.isRegularFile(list)).toList();
    List<Path> shards;
    try (Stream<Path> files = Files.list(folder)) {
      shards =
          files
              .filter(TarShard::isShard)
              .filter(file -> !file.getFileName().toString().startsWith("."))
              .sorted()
              .toList();
    }
    if (lists.size() + (shards.isEmpty() ? 0 : 1) > 1) {
      List<Path> found = new ArrayList<>(lists);
      if (!shards.isEmpty()) {
        found.add(shards.getFirst());
      }
      throw new IOException(
          folder
              + " holds several data sets ("
              + String.join(", ", found.stream().map(f -> f.getFileName().toString()).toList())
              + "); name the one you mean");
    }
    if (!lists.isEmpty()) {
      return ListDataset.open(lists.getFirst(), options);
    }
    if (shards.isEmpty()) {
      throw new IOException(
          folder + " holds neither .tar or .tar.gz shards nor one of " + String.join(", ", LISTS));
    }
    checkForShards(folder, options);
    checkForTwins(shards);
    return ShardFolder.open(folder, shards, options);
  }

  /** A shard beside its own compressed form would count twice. */
  private static void checkForTwins(List<Path> shards) throws IOException {
    Map<String, Path> byStem = new HashMap<>();
    for (Path shard : shards) {
      String name = shard.getFileName().toString();
      Path twin = byStem.put(name.replaceFirst("(?i)\\.(tar|tar\\.gz|tgz)$", ""), shard);
      if (twin != null) {
        throw new IOException(
            shard + " stands beside " + twin.getFileName() + ", its other form; remove one");
      }
    }
  }

  private static void checkForShards(Path path, DatasetOptions options) throws IOException {
    if (options.describesAList()) {
      throw new IOException(
          path
              + " holds shards, which have no images elsewhere, columns or splits; leave those"
              + " options away");
    }
  }

  static IOException nothingUsable(Path path, String wanted, List<String> problems) {
    StringBuilder text = new StringBuilder(path + " holds no usable pair (" + wanted + ")");
    for (String problem : problems) {
      text.append("\n  ").append(problem);
    }
    return new IOException(text.toString());
  }
}
