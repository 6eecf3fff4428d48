package org.nasvlp.internal;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.presets.openblas;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.kernels.NativeCache;

/**
 * Makes sure that the LibTorch which is loaded is the one of the class path. The bindings copy its
 * libraries out of the jar one by one while they load them, and the system's linker looks for what
 * a library needs in {@code LD_LIBRARY_PATH} and in the system's folders too: where there is
 * another LibTorch, it would be taken, and end the process. So all are copied before one is loaded,
 * and each is loaded by its path, after those that it needs.
 */
final class TorchLibraries {
  /** The GPU build's are not in the CPU build. */
  private static final List<String> LIBRARIES =
      List.of(
          "libgomp.so.1",
          "libc10.so",
          "libc10_cuda.so",
          "libtorch_cpu.so",
          "libtorch_cuda.so",
          "libtorch.so");

  private TorchLibraries() {}

  /**
   * Copies and loads them.
   *
   * @throws IOException if they cannot be copied, naming the folder and the remedy
   * @throws LinkageError if they cannot be loaded
   */
  static void load() throws IOException {
    Path cache = LibraryCaches.javaCpp();
    // Copies by two processes at once would each take the other's for finished.
    try (FileChannel channel =
            FileChannel.open(
                cache.resolve("nas.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock _ = channel.lock()) {
      List<Path> copies = copyAll(cache);
      openAll(copies, List.of("libgomp.so.1", "libc10.so"));
      Loader.load(openblas.class);
      openAll(copies, List.of("libtorch_cpu.so"));
      Loader.load(torch.class);
    }
  }

  private static List<Path> copyAll(Path cache) throws IOException {
    String extension =
        torch.class.getResource("/" + Torch.library("-gpu", "libtorch_cpu.so")) == null
            ? ""
            : "-gpu";
    List<Path> copies = new ArrayList<>();
    for (String name : LIBRARIES) {
      String resource = "/" + Torch.library(extension, name);
      if (torch.class.getResource(resource) != null) {
        copies.add(copy(resource, cache).toPath());
      }
    }
    return copies;
  }

  /** Opens those of some names, so that whatever needs one of that name gets this one. */
  private static void openAll(List<Path> copies, List<String> names) throws IOException {
    for (Path copy : copies) {
      if (names.contains(copy.getFileName().toString())) {
        open(copy);
      }
    }
  }

  private static File copy(String resource, Path cache) throws IOException {
    File copy;
    try {
      copy = Loader.cacheResource(torch.class, resource);
    } catch (IOException e) {
      throw new IOException(cannotCopy(resource, cache) + " (" + e.getMessage() + ")", e);
    }
    if (copy == null) {
      throw new IOException(cannotCopy(resource, cache));
    }
    return copy;
  }

  private static String cannotCopy(String resource, Path cache) {
    return "LibTorch's %s cannot be copied to %s, which needs 500 MB: make room there, or name"
            .formatted(resource.substring(resource.lastIndexOf('/') + 1), cache)
        + " another folder by -D"
        + NativeCache.PROPERTY;
  }

  private static void open(Path file) throws IOException {
    try {
      SymbolLookup _ = SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new IOException(
          file
              + " cannot be loaded: its folder must allow execution and the file be whole; delete"
              + " the folder to have it copied again, or name another one by -D"
              + NativeCache.PROPERTY,
          e);
    }
  }
}
