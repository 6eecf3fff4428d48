package org.nasvlp.internal;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.presets.openblas;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.kernels.NativeCache;

/**
 * Makes sure that the LibTorch which is loaded is the one of the class path. The bindings copy its
 * libraries out of the jar one by one while they load them, and the system's linker looks for what
 * a library needs in {@code LD_LIBRARY_PATH} and in the system's folders too: where there is
 * another LibTorch, it would be taken, and end the process. So all are copied before one is loaded,
 * and each is loaded by its path, after those that it needs.
 */
final class TorchLibraries {
  /** Each after those that it needs; the GPU build's are not in the CPU build. */
  private static final List<String> ORDER =
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
   * @throws UnsatisfiedLinkError if they cannot be copied or loaded
   */
  static void load() {
    try {
      Path cache = LibraryCaches.javaCpp();
      // Copies by two processes at once would each take the other's for finished.
      try (FileChannel channel =
              FileChannel.open(
                  cache.resolve("nas.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          FileLock _ = channel.lock()) {
        Loader.load(openblas.class);
        preload();
        Loader.load(torch.class);
      }
    } catch (IOException e) {
      throw (UnsatisfiedLinkError) new UnsatisfiedLinkError(e.getMessage()).initCause(e);
    }
  }

  private static void preload() throws IOException {
    String extension =
        torch.class.getResource("/" + Torch.library("-gpu", "libtorch_cpu.so")) == null
            ? ""
            : "-gpu";
    List<File> copies =
        ORDER.stream()
            .map(name -> cached("/" + Torch.library(extension, name)))
            .filter(file -> file != null)
            .toList();
    for (File copy : copies) {
      if (!copy.getName().contains("cuda") && !copy.getName().equals("libtorch.so")) {
        open(copy.toPath());
      }
    }
  }

  private static @Nullable File cached(String resource) {
    try {
      return torch.class.getResource(resource) == null
          ? null
          : Loader.cacheResource(torch.class, resource);
    } catch (IOException e) {
      throw (UnsatisfiedLinkError)
          new UnsatisfiedLinkError(resource + " cannot be copied: " + e.getMessage()).initCause(e);
    }
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
