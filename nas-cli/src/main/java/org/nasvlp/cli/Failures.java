package org.nasvlp.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;

/** Turns exceptions and errors into the one message a user sees. */
final class Failures {
  /** Nobody reads more, whatever it is that a message repeats. */
  private static final int MOST_CHARACTERS = 8000;

  private Failures() {}

  static String describe(Throwable failure) {
    String text = text(failure);
    return text.length() > MOST_CHARACTERS ? text.substring(0, MOST_CHARACTERS) + " …" : text;
  }

  private static String text(Throwable failure) {
    Throwable cause = failure.getCause();
    if (cause != null
        && (failure instanceof ExecutionException
            || failure instanceof UncheckedIOException
            || failure instanceof ExceptionInInitializerError
            || cause instanceof ExceptionInInitializerError)) {
      return text(cause);
    }
    return switch (failure) {
      case OutOfMemoryError e -> outOfMemory(e);
      // Which sample or batch it was stands in the message.
      case RuntimeException e when e.getCause() instanceof OutOfMemoryError error ->
          orName(e) + "; " + outOfMemory(error);
      case LinkageError e ->
          "a part of the program cannot be loaded ("
              + e.getClass().getSimpleName()
              + firstLine(e)
              + "): build the program anew (mvn clean, then ./nas), and see ./nas env";
      case RuntimeException e when isGpuOutOfMemory(e) ->
          "out of GPU memory: use a smaller data.batchSize or model,"
              + " training.gradientCheckpointing, or training.precision BFLOAT16"
              + firstLine(e);
      case NoSuchFileException e when e.getReason() == null ->
          e.getFile() + ": no such file or folder";
      case AccessDeniedException e -> e.getFile() + ": permission denied";
      case FileSystemException e when e.getReason() == null ->
          e.getFile() + ": " + e.getClass().getSimpleName();
      case ConnectException e when e.getMessage() == null -> "no server answers there";
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

  private static String outOfMemory(OutOfMemoryError e) {
    String message = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    if (message.contains("native thread")) {
      return "out of threads ("
          + message
          + "): use fewer --threads, or raise the limit (ulimit -u)";
    }
    if (message.contains("maxPhysicalBytes")) {
      return "out of memory ("
          + message
          + "): use a smaller data.batchSize or model, or training.gradientCheckpointing; --memory"
          + " tells what takes how much, NAS_JAVA_OPTS=-Dorg.bytedeco.javacpp.maxPhysicalBytes=16g"
          + " allows more";
    }
    return "out of memory ("
        + message
        + "): use a smaller data.batchSize or model, or give Java more with NAS_JAVA_OPTS=-Xmx4g";
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
