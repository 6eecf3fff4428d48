package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.source.DatasetOptions;
import org.nasvlp.eval.FineGrainedBenchmark;

/**
 * The files of a prepared data folder.
 *
 * @param train training pairs
 * @param tokenizer WordPiece tokenizer
 * @param test test pairs; null for no evaluation
 * @param pairs fine-grained pairs among them; null for no evaluation
 */
record DataFiles(Path train, Path tokenizer, @Nullable Path test, @Nullable Path pairs) {
  /** There is no tokenizer, where one is needed. */
  static final class NoTokenizer extends CommandFailure {
    private static final long serialVersionUID = 1L;

    private NoTokenizer(String message) {
      super(message);
    }
  }

  /** Forms of the training data in a prepared folder: one shard, a folder of them, a mixture. */
  private static final List<String> TRAIN = List.of("train.tar", "train", "train.json");

  /** Of a folder of shards; a folder of pictures may be called train too. */
  private static final String FIRST_SHARD = "train-000000.tar";

  private static final List<String> TEST = List.of("test.tar", "test.json");
  private static final String PAIRS = "pairs.json";
  private static final String TOKENIZER = "tokenizer.json";

  /** The folder with the pictures that come with the library. */
  static Path shipped(@Nullable Path home) {
    return (home == null ? Path.of("") : home).resolve("data").resolve("noto-emoji");
  }

  /** All four files of a folder. */
  static DataFiles complete(Path folder) {
    Path train = needed(folder, TRAIN);
    Path test = needed(folder, TEST);
    Path pairs = needed(folder, List.of(PAIRS));
    return new DataFiles(train, needed(folder, List.of(TOKENIZER)), test, pairs);
  }

  private static Path needed(Path folder, List<String> names) {
    Path found = first(folder, names);
    if (found == null) {
      throw new CommandFailure(
          ("%s: no such file; the demonstration needs a folder with train.tar, test.tar,"
                  + " pairs.json and tokenizer.json: give it with --data, or set NAS_HOME to the"
                  + " folder this program was built in")
              .formatted(folder.resolve(names.getFirst())));
    }
    return found;
  }

  private static @Nullable Path first(Path folder, List<String> names) {
    return names.stream()
        .map(folder::resolve)
        .filter(path -> Files.isRegularFile(path) || Files.isRegularFile(path.resolve(FIRST_SHARD)))
        .findFirst()
        .orElse(null);
  }

  /** Where {@code nas data captions} keeps the edits of the training pairs' captions. */
  Path captionEdits() {
    Path folder = Files.isDirectory(train) ? train : train.toAbsolutePath().getParent();
    return folder.resolve("captions");
  }

  /** The test pairs that differ in one thing; null where there are none. */
  @Nullable FineGrainedBenchmark benchmark(int background) throws IOException {
    if (test == null || pairs == null) {
      return null;
    }
    try (ImageTextDataset images =
        ImageTextDataset.open(test, DatasetOptions.of(background).forTest())) {
      return FineGrainedBenchmark.load(pairs, images);
    }
  }

  /**
   * What a training uses: of a prepared folder its files, of any other path the path itself, each
   * replaced by what the user names.
   */
  static DataFiles choose(
      Path data, @Nullable Path tokenizer, @Nullable Path test, @Nullable Path pairs) {
    DataFiles files = pictures(data, test, pairs);
    if (tokenizer != null) {
      return new DataFiles(files.train, tokenizer, files.test, files.pairs);
    }
    if (!Files.isRegularFile(files.tokenizer)) {
      throw new NoTokenizer(
          data + ": has no tokenizer.json; give a WordPiece tokenizer with --tokenizer FILE");
    }
    return files;
  }

  /** {@link #choose} for a model that has its tokenizer: the folder need not have one. */
  static DataFiles pictures(Path data, @Nullable Path test, @Nullable Path pairs) {
    if (!Files.exists(data) && !data.toString().contains("{")) {
      throw new CommandFailure(data + ": no such file or folder; give the data with --data");
    }
    if ((test == null) != (pairs == null)) {
      throw new CommandFailure(
          "--test and --pairs belong together: the pairs to compare, and the pictures they name");
    }
    Path train = first(data, TRAIN);
    Path ownTest = train == null ? null : first(data, TEST);
    boolean ownBenchmark =
        test == null && ownTest != null && Files.isRegularFile(data.resolve(PAIRS));
    return new DataFiles(
        train == null ? data : train,
        data.resolve(TOKENIZER),
        ownBenchmark ? ownTest : test,
        ownBenchmark ? data.resolve(PAIRS) : pairs);
  }
}
