package org.nasvlp.ablation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The files of one run: {@code run.json} (what to do), {@code training} (checkpoints and log),
 * {@code output.txt} (what its process printed) and, at the end, {@code result.json}.
 *
 * @param path the folder
 */
record RunFolder(Path path) {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /**
   * What a run's process is told.
   *
   * @param arm name of the arm
   * @param seed seed of the run
   * @param threads threads of LibTorch and the kernels
   * @param data absolute paths of the data
   * @param config the run's whole configuration
   */
  record Task(String arm, long seed, int threads, Data data, JsonNode config) {}

  /** Absolute paths. */
  record Data(String train, String tokenizer, String test, String pairs) {}

  static RunFolder of(Path output, String arm, long seed) {
    return new RunFolder(output.resolve("runs").resolve(arm).resolve("seed-" + seed));
  }

  Path training() {
    return path.resolve("training");
  }

  Path output() {
    return path.resolve("output.txt");
  }

  private Path resultFile() {
    return path.resolve("result.json");
  }

  private Path taskFile() {
    return path.resolve("run.json");
  }

  /**
   * Checks that the folder is new, or its own task the same.
   *
   * @throws IllegalArgumentException naming the first field that differs
   */
  void check(Task task) throws IOException {
    JsonNode wanted = JSON.valueToTree(task);
    if (Files.exists(taskFile())) {
      JsonNode found = read(taskFile(), JsonNode.class);
      String difference = difference("", found, wanted);
      if (difference != null) {
        throw new IllegalArgumentException(
            path
                + " holds a run with another "
                + difference
                + "; choose another output, go on with the same options, or remove that folder");
      }
    }
  }

  /** Writes the task into a new folder. */
  void prepare(Task task) throws IOException {
    if (Files.exists(taskFile())) {
      return;
    }
    Files.createDirectories(path);
    write(taskFile(), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(task));
  }

  /** The first field in which two trees differ, with both values; null for none. */
  private static String difference(String field, JsonNode found, JsonNode wanted) {
    if (found == null || wanted == null || !found.isObject() || !wanted.isObject()) {
      // Numbers are compared as they are written: a file does not tell 1 from 1L.
      return String.valueOf(found).equals(String.valueOf(wanted))
          ? null
          : "%s: %s, now %s".formatted(field, found, wanted);
    }
    for (String name : wanted.propertyNames()) {
      String inner =
          difference(
              field.isEmpty() ? name : field + "." + name, found.get(name), wanted.get(name));
      if (inner != null) {
        return inner;
      }
    }
    return null;
  }

  Task task() throws IOException {
    return read(taskFile(), Task.class);
  }

  Optional<RunResult> result() throws IOException {
    return Files.exists(resultFile())
        ? Optional.of(read(resultFile(), RunResult.class))
        : Optional.empty();
  }

  void write(RunResult result) throws IOException {
    write(resultFile(), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(result) + "\n");
  }

  private static <T> T read(Path file, Class<T> type) throws IOException {
    try {
      return JSON.readValue(Files.readString(file), type);
    } catch (JacksonException e) {
      throw new IOException(
          file + ": damaged or of another version (" + e.getOriginalMessage() + "): remove it", e);
    }
  }

  /** Writes a file whole or not at all. */
  static void write(Path file, String text) throws IOException {
    Path temporary = file.resolveSibling("." + file.getFileName() + ".writing");
    Files.writeString(temporary, text);
    Files.move(
        temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
