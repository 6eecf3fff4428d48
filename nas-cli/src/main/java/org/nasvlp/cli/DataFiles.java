package org.nasvlp.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The files of a prepared data folder.
 *
 * @param train training pairs
 * @param tokenizer WordPiece tokenizer
 * @param test test pairs; null for no evaluation
 * @param pairs fine-grained pairs among them; null for no evaluation
 */
record DataFiles(Path train, Path tokenizer, @Nullable Path test, @Nullable Path pairs) {
  private static final String TRAIN = "train.tar";
  private static final String TEST = "test.tar";
  private static final String PAIRS = "pairs.json";
  private static final String TOKENIZER = "tokenizer.json";

  /** The folder with the pictures that come with the library. */
  static Path shipped(@Nullable Path home) {
    return (home == null ? Path.of("") : home).resolve("data").resolve("noto-emoji");
  }

  /** All four files of a folder. */
  static DataFiles complete(Path folder) {
    for (String name : new String[] {TRAIN, TEST, PAIRS, TOKENIZER}) {
      if (!Files.isRegularFile(folder.resolve(name))) {
        throw new CommandFailure(
            ("%s: no such file; the demonstration needs a folder with train.tar, test.tar,"
                    + " pairs.json and tokenizer.json: give it with --data, or set NAS_HOME to the"
                    + " folder this program was built in")
                .formatted(folder.resolve(name)));
      }
    }
    return new DataFiles(
        folder.resolve(TRAIN),
        folder.resolve(TOKENIZER),
        folder.resolve(TEST),
        folder.resolve(PAIRS));
  }

  /**
   * What a training uses: of a prepared folder its files, of any other path the path itself, each
   * replaced by what the user names.
   */
  static DataFiles choose(
      Path data, @Nullable Path tokenizer, @Nullable Path test, @Nullable Path pairs) {
    if (!Files.exists(data) && !data.toString().contains("{")) {
      throw new CommandFailure(data + ": no such file or folder; give the data with --data");
    }
    if ((test == null) != (pairs == null)) {
      throw new CommandFailure(
          "--test and --pairs belong together: the pairs to compare, and the pictures they name");
    }
    boolean prepared = Files.isRegularFile(data.resolve(TRAIN));
    Path ownTokenizer = data.resolve(TOKENIZER);
    if (tokenizer == null && !Files.isRegularFile(ownTokenizer)) {
      throw new CommandFailure(
          data + ": has no tokenizer.json; give a WordPiece tokenizer with --tokenizer FILE");
    }
    boolean ownBenchmark =
        test == null
            && prepared
            && Files.isRegularFile(data.resolve(TEST))
            && Files.isRegularFile(data.resolve(PAIRS));
    return new DataFiles(
        prepared ? data.resolve(TRAIN) : data,
        tokenizer == null ? ownTokenizer : tokenizer,
        ownBenchmark ? data.resolve(TEST) : test,
        ownBenchmark ? data.resolve(PAIRS) : pairs);
  }
}
