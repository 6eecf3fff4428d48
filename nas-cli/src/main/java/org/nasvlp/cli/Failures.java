package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;

/** Turns exceptions into the one message a user sees. */
final class Failures {
  /** Nobody reads more, whatever it is that a message repeats. */
  private static final int MOST_CHARACTERS = 8000;

  private Failures() {}

  static String describe(Throwable failure) {
    String text = text(failure);
    return text.length() > MOST_CHARACTERS ? text.substring(0, MOST_CHARACTERS) + " …" : text;
  }

  private static String text(Throwable failure) {
    if (failure instanceof ExecutionException && failure.getCause() != null) {
      return text(failure.getCause());
    }
    return switch (failure) {
      case OutOfMemoryError e ->
          "out of memory ("
              + e.getMessage()
              + "): use a smaller data.batchSize or model, or give Java more with"
              + " NAS_JAVA_OPTS=-Xmx4g";
      case RuntimeException e when isGpuOutOfMemory(e) ->
          "out of GPU memory: use a smaller data.batchSize or model,"
              + " training.gradientCheckpointing, or training.precision BFLOAT16"
              + firstLine(e);
      case NoSuchFileException e when e.getReason() == null ->
          e.getFile() + ": no such file or folder";
      case AccessDeniedException e -> e.getFile() + ": permission denied";
      case FileSystemException e when e.getReason() == null ->
          e.getFile() + ": " + e.getClass().getSimpleName();
      case IOException e -> orName(e);
      case BadSampleException e -> orName(e);
      case IllegalArgumentException e -> orName(e);
      case IllegalStateException e -> orName(e);
      default ->
          failure.getClass().getName().startsWith("org.nasvlp.")
              ? orName(failure)
              : "unexpected " + failure.getClass().getSimpleName() + firstLine(failure);
    };
  }

  private static String orName(Throwable failure) {
    String message = failure.getMessage();
    return message == null || message.isBlank() ? failure.getClass().getSimpleName() : message;
  }

  private static boolean isGpuOutOfMemory(RuntimeException failure) {
    String message = failure.getMessage();
    return message != null && message.startsWith("CUDA out of memory");
  }

  /** LibTorch's errors carry a native stack trace behind their first line. */
  private static String firstLine(Throwable failure) {
    @Nullable String message = failure.getMessage();
    if (message == null || message.isBlank()) {
      return " (more with --verbose)";
    }
    return ": " + message.strip().lines().findFirst().orElse("") + " (more with --verbose)";
  }
}
