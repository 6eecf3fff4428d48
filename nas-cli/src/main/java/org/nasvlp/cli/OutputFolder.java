package org.nasvlp.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;
import org.nasvlp.config.NasConfig;

/**
 * Where a run writes.
 *
 * @param path the folder
 */
record OutputFolder(Path path) {
  private static final String CHECKPOINTS = "checkpoints";
  private static final String LOG = "log.jsonl";
  private static final String SUMMARY = "run.json";
  private static final String LOCK = "lock";
  private static final String DATA = "data";
  private static final String BOARD = "tensorboard";
  private static final String CAPTIONS = "captions";

  /** Where a run keeps the edits of its captions. */
  Path captionEdits() {
    return path.resolve(CAPTIONS);
  }

  /** Refuses to mix two runs, and to resume where nothing was ever begun. */
  void check(boolean resume) throws IOException {
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw new CommandFailure(path + ": is a file; give a folder with --out DIR");
    }
    if (!resume && Files.isDirectory(path)) {
      try (Stream<Path> children = Files.list(path)) {
        if (!children.allMatch(this::isPreparation)) {
          throw new CommandFailure(
              path + ": holds another run; continue it with --resume or choose another --out DIR");
        }
      }
    }
    if (resume && !Files.exists(path.resolve(LOCK)) && !Files.exists(log()) && !hasCheckpoint()) {
      throw new CommandFailure(
          path + ": holds no run to resume; leave out --resume, or name the run with --out DIR");
    }
  }

  /** Whether a child is one that a run makes before its first step: a run that begins anew may. */
  private boolean isPreparation(Path child) {
    return switch (child.getFileName().toString()) {
      case LOCK, DATA, BOARD, "." + DATA + ".part", CAPTIONS, "weights.json" -> true;
      case LOG -> child.toFile().length() == 0;
      case CHECKPOINTS -> !hasCheckpoint();
      default -> false;
    };
  }

  /** The same for an ablation, which holds several runs. */
  void checkAblation(boolean resume) throws IOException {
    if (resume && !Files.exists(path.resolve("ablation.json"))) {
      throw new CommandFailure(
          path + ": holds no ablation to resume; leave out --resume, or name it with --out DIR");
    }
    if (!resume) {
      check(false);
    }
  }

  /** Whether there is a checkpoint; a run that was killed early has none. */
  boolean hasCheckpoint() {
    return newest().isPresent();
  }

  /** The configuration of the newest checkpoint. */
  NasConfig savedConfig() throws IOException {
    Path file = newest().orElseThrow().resolve("config.json");
    return NasConfig.fromJson(Files.readString(file), file.toString());
  }

  /** Bytes that may still be written where the folder is or will be. */
  long freeBytes() throws IOException {
    Path existing = path.toAbsolutePath();
    while (existing.getParent() != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    return Files.getFileStore(existing).getUsableSpace();
  }

  /** Where data that are made for this run alone go. */
  Path data() {
    return path.resolve(DATA);
  }

  Path log() {
    return path.resolve(LOG);
  }

  /** The final tables, which a report reads. */
  Path summary() {
    return path.resolve(SUMMARY);
  }

  /** Event files for TensorBoard. */
  Path board() {
    return path.resolve(BOARD);
  }

  Path page() {
    return path.resolve("report.html");
  }

  private Optional<Path> newest() {
    Path checkpoints = path.resolve(CHECKPOINTS);
    if (!Files.isDirectory(checkpoints)) {
      return Optional.empty();
    }
    try {
      Path latest = checkpoints.resolve("latest");
      if (Files.isRegularFile(latest)) {
        Path named = checkpoints.resolve(Files.readString(latest).strip());
        if (Files.isDirectory(named)) {
          return Optional.of(named);
        }
      }
      // Killed before it was named so, or the one that is named was removed.
      try (Stream<Path> all = Files.list(checkpoints)) {
        return all.filter(folder -> folder.getFileName().toString().startsWith("step-"))
            .max(Comparator.naturalOrder());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Makes sure, before any work, that a file of results can be written; makes its folder. */
  static void checkWritable(Path file, String option) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || folder == null) {
      throw new CommandFailure(file + ": is a folder; give a file with " + option);
    }
    try {
      Files.createDirectories(folder);
    } catch (FileAlreadyExistsException e) {
      throw new CommandFailure(folder + ": is not a folder; give another " + option + " FILE", e);
    }
    if (!Files.isWritable(Files.exists(file) ? file : folder)) {
      throw new CommandFailure(file + ": cannot be written; give another " + option + " FILE");
    }
  }
}
