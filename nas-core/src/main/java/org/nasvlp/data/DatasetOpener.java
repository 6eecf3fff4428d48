package org.nasvlp.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Finds out which kind of data set a path is. */
final class DatasetOpener {
  private static final List<String> LISTS =
      List.of("captions.json", "list.json", "captions.jsonl", "list.jsonl");
  private static final List<String> LIST_ENDINGS = List.of(".json", ".jsonl", ".csv", ".tsv");

  private DatasetOpener() {}

  static ImageTextDataset open(Path path, DatasetOptions options) throws IOException {
    if (!Files.exists(path) && ShardPattern.isPattern(path)) {
      checkForShards(path, options);
      List<Path> shards = ShardPattern.expand(path);
      return ShardFolder.open(path, shards, options.background());
    }
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString(), null, "the data set does not exist");
    }
    return Files.isDirectory(path) ? openFolder(path, options) : openFile(path, options);
  }

  private static ImageTextDataset openFile(Path file, DatasetOptions options) throws IOException {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    if (MixedDataset.isMixture(file)) {
      return MixedDataset.open(file, options);
    }
    if (LIST_ENDINGS.stream().anyMatch(name::endsWith)) {
      return ListDataset.open(file, options);
    }
    if (!name.endsWith(".tar")) {
      if (isGzip(file)) {
        throw new IOException(
            file + " is compressed, which rules out random access; decompress it first (gunzip)");
      }
      throw new IOException(
          file
              + " is neither a .tar shard nor a .json, .jsonl, .csv or .tsv list; rename it or give"
              + " another");
    }
    checkForShards(file, options);
    TarShard shard = TarShard.open(file, options.background());
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
              .filter(file -> file.getFileName().toString().endsWith(".tar"))
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
          folder + " holds neither .tar shards nor one of " + String.join(", ", LISTS));
    }
    checkForShards(folder, options);
    return ShardFolder.open(folder, shards, options.background());
  }

  private static void checkForShards(Path path, DatasetOptions options) throws IOException {
    if (!options.forTest().equals(DatasetOptions.of(options.background()).forTest())) {
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

  private static boolean isGzip(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] magic = in.readNBytes(2);
      return magic.length == 2 && (magic[0] & 0xFF) == 0x1F && (magic[1] & 0xFF) == 0x8B;
    }
  }
}
