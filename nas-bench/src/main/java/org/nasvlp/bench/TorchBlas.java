package org.nasvlp.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;

/**
 * The library that does LibTorch's matrix products, found by the address that LibTorch's {@code
 * sgemm_} is bound to: what the process has mapped there, whatever was asked for.
 */
final class TorchBlas {
  private final SymbolLookup symbols;
  private final List<String> maps;
  private final String file;

  private TorchBlas() {
    // Libraries that are loaded when first needed are, after a product.
    try (PointerScope scope = new PointerScope()) {
      Tensors.zeros(256, 256).matmul(Tensors.zeros(256, 256));
    }
    try {
      maps = Files.readAllLines(Path.of("/proc/self/maps"));
    } catch (IOException e) {
      throw new UncheckedIOException("which BLAS LibTorch uses can't be told", e);
    }
    Path torch =
        maps.stream()
            .filter(line -> line.endsWith("/libtorch_cpu.so"))
            .map(line -> Path.of(line.substring(line.indexOf('/'))))
            .findFirst()
            .orElseThrow(() -> new IllegalStateException("libtorch_cpu.so is not mapped"));
    symbols = SymbolLookup.libraryLookup(torch, Arena.global());
    file =
        fileOf("sgemm_")
            .orElseThrow(() -> new IllegalStateException("LibTorch has no sgemm_ to call"));
  }

  /**
   * Makes the BLAS use so many threads.
   *
   * @return one line that names it, its version and the instruction set it takes
   * @throws IllegalStateException if it is not the one that JavaCPP was told to load, by {@code
   *     -Dorg.bytedeco.openblas.load=mkl} or OpenBLAS by default
   */
  static String use(int threads) {
    return use(threads, System.getProperty("org.bytedeco.openblas.load", "openblas"));
  }

  /** The same for a BLAS "openblas" or "mkl" asked for. */
  static String use(int threads, String asked) {
    return new TorchBlas().describe(threads, asked);
  }

  private String describe(int threads, String asked) {
    String name = "unknown";
    String detail = "";
    if (has("openblas_get_config")) {
      name = "openblas";
      setThreads("openblas_set_num_threads", threads);
      detail = text("openblas_get_config") + ", kernels for " + text("openblas_get_corename");
    } else if (has("MKL_Get_Version")) {
      name = "mkl";
      setThreads("MKL_Set_Num_Threads", threads);
      detail = mklVersion();
    }
    if (!name.equals(asked)) {
      throw new IllegalStateException(
          "-Dorg.bytedeco.openblas.load="
              + asked
              + " was asked for, but LibTorch's matrix products are done by "
              + file
              + (asked.equals("mkl") ? ": build with mvn package -DskipTests -Pmkl" : ""));
    }
    return "LibTorch's BLAS: " + detail + " (" + file + ")";
  }

  /** Whether the library that has sgemm_ has this symbol too. */
  private boolean has(String symbol) {
    return fileOf(symbol).filter(file::equals).isPresent();
  }

  /** The mapped file that has a symbol, as libtorch_cpu.so sees it. */
  private Optional<String> fileOf(String symbol) {
    return symbols.find(symbol).map(MemorySegment::address).flatMap(this::fileAt);
  }

  private Optional<String> fileAt(long address) {
    // "7f1c2000-7f1c4000 r-xp 00001000 fe:00 1234   /path"
    for (String line : maps) {
      String[] range = line.substring(0, line.indexOf(' ')).split("-", -1);
      if (Long.parseUnsignedLong(range[0], 16) <= address
          && address < Long.parseUnsignedLong(range[1], 16)
          && line.indexOf('/') >= 0) {
        return Optional.of(line.substring(line.indexOf('/')));
      }
    }
    return Optional.empty();
  }

  private void setThreads(String function, int threads) {
    call(function, FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT), threads);
  }

  private String text(String function) {
    MemorySegment text = (MemorySegment) call(function, FunctionDescriptor.of(ValueLayout.ADDRESS));
    return string(text);
  }

  /** Version and instruction set, from MKL's struct MKLVersion. */
  private String mklVersion() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(12 + 4 + 4 * ValueLayout.ADDRESS.byteSize(), 8);
      call("MKL_Get_Version", FunctionDescriptor.ofVoid(ValueLayout.ADDRESS), version);
      return "MKL %d.%d.%d for %s"
          .formatted(
              version.get(ValueLayout.JAVA_INT, 0),
              version.get(ValueLayout.JAVA_INT, 4),
              version.get(ValueLayout.JAVA_INT, 8),
              string(version.get(ValueLayout.ADDRESS, 32)));
    }
  }

  private static String string(MemorySegment text) {
    return text.reinterpret(1024).getString(0).strip();
  }

  private Object call(String function, FunctionDescriptor descriptor, Object... arguments) {
    try {
      return Linker.nativeLinker()
          .downcallHandle(symbols.findOrThrow(function), descriptor)
          .invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new IllegalStateException(function + " failed", e);
    }
  }
}
