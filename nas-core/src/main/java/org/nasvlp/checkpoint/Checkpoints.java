package org.nasvlp.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The checkpoint folders of a run: {@code OUTPUT/checkpoints/step-00000500}, with {@code
 * OUTPUT/checkpoints/latest} naming the newest. A folder appears whole or not at all.
 */
public final class Checkpoints {
  /** Fills a checkpoint's folder. */
  @FunctionalInterface
  public interface Contents {
    /** Writes every file of the checkpoint into the given empty folder. */
    void writeTo(Path directory) throws IOException;
  }

  private static final String LATEST = "latest";
  private static final String REPLACED = ".replaced-";

  private Checkpoints() {}

  private static Path folder(Path output) {
    return output.resolve("checkpoints");
  }

  /**
   * Writes a checkpoint under a temporary name, forces it to the disk and renames it, in the place
   * of one of the same step; then drops the oldest beyond {@code keep}.
   *
   * @param output an existing folder
   * @return the checkpoint's folder
   * @throws java.nio.file.NoSuchFileException if {@code output} is not there (any more)
   */
  public static Path write(Path output, long step, int keep, Contents contents) throws IOException {
    Path root = folder(output);
    if (!Files.isDirectory(root)) {
      // Not the output as well: where that has gone, a run would go on in two halves.
      Files.createDirectory(root);
    }
    removeLeftovers(root);
    Path target = root.resolve(String.format(Locale.ROOT, "step-%08d", step));
    Path temporary = root.resolve(".writing-" + target.getFileName());
    Files.createDirectory(temporary);
    try {
      contents.writeTo(temporary);
      try (Stream<Path> files = Files.list(temporary)) {
        for (Path file : files.toList()) {
          force(file);
        }
      }
      force(temporary);
      replace(root, temporary, target);
    } catch (IOException | RuntimeException e) {
      try {
        delete(temporary);
      } catch (IOException second) {
        e.addSuppressed(second);
      }
      throw e;
    }
    Path pointer = root.resolve(".latest");
    Files.writeString(pointer, target.getFileName() + "\n");
    force(pointer);
    Files.move(
        pointer,
        root.resolve(LATEST),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    force(root);
    List<Path> all = all(root);
    for (int i = 0; i < all.size() - keep; i++) {
      if (!all.get(i).equals(target)) {
        delete(all.get(i));
      }
    }
    return target;
  }

  /**
   * Keeps a checkpoint under another name too, until another one is kept so. Takes no further space
   * where the file system has hard links.
   */
  public static void keepAs(Path output, String name, Path checkpoint) throws IOException {
    Path root = folder(output);
    removeLeftovers(root);
    Path temporary = Files.createDirectory(root.resolve(".writing-" + name));
    try (Stream<Path> files = Files.list(checkpoint)) {
      for (Path file : files.toList()) {
        Path copy = temporary.resolve(file.getFileName());
        try {
          Files.createLink(copy, file);
        } catch (UnsupportedOperationException | FileSystemException e) {
          Files.copy(file, copy);
          force(copy);
        }
      }
    }
    force(temporary);
    replace(root, temporary, root.resolve(name));
  }

  /** Puts a folder in the place of another, which is not lost if a kill comes between. */
  private static void replace(Path root, Path temporary, Path target) throws IOException {
    Path old = root.resolve(REPLACED + target.getFileName());
    if (Files.exists(target)) {
      Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
    }
    Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    force(root);
    delete(old);
  }

  /**
   * Cleans up after a writer that was killed: a folder that it was about to replace is back. Not
   * while another one writes.
   */
  public static void recover(Path output) throws IOException {
    if (Files.isDirectory(folder(output))) {
      removeLeftovers(folder(output));
    }
  }

  private static void removeLeftovers(Path root) throws IOException {
    try (DirectoryStream<Path> replaced = Files.newDirectoryStream(root, REPLACED + "*")) {
      for (Path old : replaced) {
        Path target = root.resolve(old.getFileName().toString().substring(REPLACED.length()));
        if (Files.exists(target)) {
          delete(old);
        } else {
          Files.move(old, target, StandardCopyOption.ATOMIC_MOVE);
        }
      }
    }
    try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(root, ".writing-*")) {
      for (Path leftover : leftovers) {
        delete(leftover);
      }
    }
  }

  private static List<Path> all(Path root) throws IOException {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(root, "step-*")) {
      folders.forEach(found::add);
    }
    found.sort(null);
    return found;
  }

  private static void force(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
  }

  /** The newest complete checkpoint of a run, if it has one. */
  public static Optional<Path> latest(Path output) throws IOException {
    Path root = folder(output);
    if (!Files.isDirectory(root)) {
      return Optional.empty();
    }
    try {
      String name = Files.readString(root.resolve(LATEST), StandardCharsets.UTF_8).strip();
      Path directory = root.resolve(name);
      if (name.matches("step-\\d+") && Files.isDirectory(directory)) {
        return Optional.of(directory);
      }
    } catch (NoSuchFileException e) {
      // Killed between the first checkpoint's rename and the pointer's: the folders tell as well.
    }
    List<Path> all = all(root);
    return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
  }

  /**
   * The checkpoint that a path stands for: itself, or the newest of the run whose output it is.
   *
   * @throws IOException if it is neither
   */
  public static Path resolve(Path path) throws IOException {
    if (Files.isRegularFile(path.resolve("model.safetensors"))) {
      return path;
    }
    return latest(path)
        .orElseThrow(
            () ->
                new IOException(
                    path
                        + " is neither a checkpoint (it has no model.safetensors) nor the output of"
                        + " a run with checkpoints"));
  }
}
