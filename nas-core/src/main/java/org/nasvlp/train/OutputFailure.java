package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Says what to do when a run's files cannot be read or written. */
final class OutputFailure {
  private OutputFailure() {}

  static TrainingException of(Path output, IOException e) {
    if (e instanceof NoSuchFileException && !Files.exists(output)) {
      return new TrainingException(
          "the run in %s cannot go on: that folder is gone; put it back, and resume the run"
              .formatted(output),
          e);
    }
    String reason = e instanceof AccessDeniedException ? "access denied: " : "";
    return new TrainingException(
        "the run in %s cannot go on: %s%s; %s (checkpoints written before are complete)"
            .formatted(output, reason, e.getMessage(), remedy(e)),
        e);
  }

  private static String remedy(IOException e) {
    return switch (e) {
      case AccessDeniedException _ -> "choose an output folder that can be written";
      case FileSystemException _ -> "check space and permissions of the output folder";
      default -> "check the output folder and the disk";
    };
  }
}
