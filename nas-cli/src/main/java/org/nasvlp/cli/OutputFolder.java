package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.nasvlp.config.NasConfig;

/**
 * Where a run writes.
 *
 * @param path the folder
 */
record OutputFolder(Path path) {
  private static final String CHECKPOINTS = "checkpoints";

  /** Refuses to mix two runs, and to resume where nothing was ever begun. */
  void check(boolean resume) throws IOException {
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw new CommandFailure(path + ": is a file; give a folder with --out DIR");
    }
    boolean empty = true;
    if (Files.isDirectory(path)) {
      try (Stream<Path> children = Files.list(path)) {
        // A run that failed before its first step leaves its lock file alone.
        empty = children.allMatch(child -> child.getFileName().toString().equals("lock"));
      }
    }
    if (!resume && !empty) {
      throw new CommandFailure(
          path + ": holds another run; continue it with --resume or choose another --out DIR");
    }
    if (resume && !Files.exists(log()) && !hasCheckpoint()) {
      throw new CommandFailure(
          path + ": holds no run to resume; leave out --resume, or name the run with --out DIR");
    }
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
    return Files.isRegularFile(latest());
  }

  /** The configuration of the newest checkpoint. */
  NasConfig savedConfig() throws IOException {
    String name = Files.readString(latest()).strip();
    Path file = path.resolve(CHECKPOINTS).resolve(name).resolve("config.json");
    return NasConfig.fromJson(Files.readString(file), file.toString());
  }

  Path log() {
    return path.resolve("log.jsonl");
  }

  private Path latest() {
    return path.resolve(CHECKPOINTS).resolve("latest");
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
