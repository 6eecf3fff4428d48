package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.stream.Stream;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.CpuTier;
import org.nasvlp.kernels.CudaTier;
import org.nasvlp.kernels.DeviceOutOfMemoryException;
import org.nasvlp.kernels.NasNativeException;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.kernels.Tier;

/**
 * One loaded library with the functions of nas_kernels.h.
 *
 * <p>The method handles are constants that take the function's address first, so that both
 * libraries share them and the JIT compiles straight calls.
 */
final class NativeLibrary implements KernelLibrary {
  /** NAS_ABI_VERSION of the nas_kernels.h that this class was written for. */
  static final int ABI_VERSION = 6;

  static final int OK = 0;
  static final int INVALID_ARGUMENT = 1;
  static final int NON_FINITE = 2;
  private static final int OUT_OF_MEMORY = 3;
  private static final int DEVICE_OUT_OF_MEMORY = 4;

  /** By their numbers. */
  private static final Tier[] CPU_TIERS = {
    CpuTier.SCALAR, CpuTier.AVX2, CpuTier.AVX_VNNI, CpuTier.AVX512, CpuTier.AVX512_VNNI, CpuTier.AMX
  };

  private static final Tier[] CUDA_TIERS = {CudaTier.SCALAR, CudaTier.TENSOR, CudaTier.HOPPER};

  private static final int DESCRIPTION_BYTES = 256;
  private static final int LAYOUTS_BYTES = 4096;
  private static final int MESSAGE_BYTES = 4096;

  private static final MethodHandle GET_INT = handle(JAVA_INT);
  private static final MethodHandle INT_OF_INT = handle(JAVA_INT, JAVA_INT);
  private static final MethodHandle GET_ADDRESS = handle(ADDRESS);
  private static final MethodHandle WRITE_TEXT = handle(JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle CREATE =
      handle(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS);

  // A stream is passed as a long: the same register, and no segment to make for each call.
  static final MethodHandle CLOSE = handle(JAVA_INT, ADDRESS);
  static final MethodHandle READ_WRITE =
      handle(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG);
  static final MethodHandle LOOKUP =
      handle(
          JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS,
          ADDRESS, JAVA_LONG);
  static final MethodHandle ACCUMULATE =
      handle(
          JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS,
          ADDRESS, JAVA_LONG);
  static final MethodHandle APPLY =
      handle(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_DOUBLE, JAVA_DOUBLE, JAVA_DOUBLE, JAVA_LONG);
  static final MethodHandle UPDATE =
      handle(
          JAVA_INT,
          ADDRESS,
          ADDRESS,
          JAVA_INT,
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          JAVA_DOUBLE,
          JAVA_DOUBLE,
          JAVA_DOUBLE,
          ADDRESS,
          JAVA_LONG);
  static final MethodHandle RESTART =
      handle(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG);
  static final MethodHandle NEIGHBOURS =
      handle(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG);
  static final MethodHandle ENQUEUE_LOOKUP =
      handle(
          JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS,
          JAVA_LONG);
  static final MethodHandle RESERVE =
      handle(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG);
  static final MethodHandle VIEW = handle(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS);

  /**
   * Of nas_swap and nas_swap_enqueue. The 13 arguments after the stream are the segments that the
   * structs point to. The function does not take them, which calling conventions allow: they go
   * along so that no other thread can free them before it returns.
   */
  static final MethodHandle SWAP =
      handle(
          JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS,
          ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
          ADDRESS);

  private final Backend backend;
  private final Memory memory;
  private final MemorySegment abiVersion;
  private final MemorySegment lastError;
  private final MemorySegment describe;
  private final MemorySegment layouts;
  private final MemorySegment bestTier;
  private final MemorySegment hasTier;
  private final MemorySegment tier;
  private final MemorySegment setTier;
  private final MemorySegment threads;
  private final MemorySegment setThreads;
  private final MemorySegment create;
  final MemorySegment close;
  final MemorySegment read;
  final MemorySegment write;
  final MemorySegment lookup;
  final MemorySegment accumulate;
  final MemorySegment apply;
  final MemorySegment update;
  final MemorySegment restart;
  final MemorySegment neighbours;
  final MemorySegment swap;
  final MemorySegment reserve;
  final MemorySegment enqueueLookup;
  final MemorySegment enqueueUpdate;
  final MemorySegment enqueueSwap;
  final MemorySegment view;

  NativeLibrary(Backend backend, SymbolLookup symbols) {
    this.backend = backend;
    abiVersion = find(symbols, "nas_abi_version");
    int version = callInt(abiVersion);
    if (version != ABI_VERSION) {
      throw new MissingSymbolException(
          String.format(
              "the library has ABI version %d, this nas-native needs %d; take both from one build",
              version, ABI_VERSION));
    }
    lastError = find(symbols, "nas_last_error");
    describe = find(symbols, "nas_describe");
    layouts = find(symbols, "nas_layouts");
    bestTier = find(symbols, "nas_best_tier");
    hasTier = find(symbols, "nas_has_tier");
    tier = find(symbols, "nas_tier");
    setTier = find(symbols, "nas_set_tier");
    threads = find(symbols, "nas_threads");
    setThreads = find(symbols, "nas_set_threads");
    create = find(symbols, "nas_codebook_create");
    close = find(symbols, "nas_codebook_close");
    read = find(symbols, "nas_codebook_read");
    write = find(symbols, "nas_codebook_write");
    lookup = find(symbols, "nas_lookup");
    accumulate = find(symbols, "nas_accumulate");
    apply = find(symbols, "nas_apply");
    update = find(symbols, "nas_update");
    restart = find(symbols, "nas_restart");
    neighbours = find(symbols, "nas_neighbours");
    swap = find(symbols, "nas_swap");
    reserve = find(symbols, "nas_codebook_reserve");
    enqueueLookup = find(symbols, "nas_lookup_enqueue");
    enqueueUpdate = find(symbols, "nas_update_enqueue");
    enqueueSwap = find(symbols, "nas_swap_enqueue");
    view = find(symbols, "nas_codebook_view");
    memory = backend == Backend.CUDA ? new CudaMemory() : new HostMemory();
  }

  private static MethodHandle handle(MemoryLayout result, MemoryLayout... arguments) {
    return Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(result, arguments));
  }

  private static MemorySegment find(SymbolLookup symbols, String name) {
    return symbols
        .find(name)
        .orElseThrow(() -> new MissingSymbolException("the library has no function " + name));
  }

  Backend backend() {
    return backend;
  }

  @Override
  public Memory memory() {
    return memory;
  }

  /** Fails unless this machine has what the library needs, such as a device. */
  void probe() {
    describeLibrary();
    memory.open().close();
  }

  private String describeLibrary() {
    return text(describe, DESCRIPTION_BYTES);
  }

  /** The structs of nas_kernels.h as the library has them. */
  String layouts() {
    return text(layouts, LAYOUTS_BYTES);
  }

  private String text(MemorySegment function, long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(bytes);
      check((int) WRITE_TEXT.invokeExact(function, text, text.byteSize()), -1);
      return text.getString(0);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  @Override
  public String describe() {
    String name = backend == Backend.CUDA ? "libnas_kernels_cuda" : "libnas_kernels";
    return describeLibrary() + " (" + name + " ABI " + ABI_VERSION + ")";
  }

  Tier bestTier() {
    return tierOf(callInt(bestTier));
  }

  /** Of the host library: the tiers that this machine has, in rising order. */
  List<CpuTier> tiers() {
    return Stream.of(CpuTier.values())
        .filter(value -> callInt(hasTier, numberOf(value)) != 0)
        .toList();
  }

  Tier tier() {
    return tierOf(callInt(tier));
  }

  void setTier(Tier value) {
    callSet(setTier, numberOf(value));
  }

  private static int numberOf(Tier tier) {
    return switch (tier) {
      case CpuTier.SCALAR -> 0;
      case CpuTier.AVX2 -> 1;
      case CpuTier.AVX_VNNI -> 2;
      case CpuTier.AVX512 -> 3;
      case CpuTier.AVX512_VNNI -> 4;
      case CpuTier.AMX -> 5;
      case CudaTier.SCALAR -> 0;
      case CudaTier.TENSOR -> 1;
      case CudaTier.HOPPER -> 2;
    };
  }

  Tier tierOf(int number) {
    Tier[] tiers = backend == Backend.CUDA ? CUDA_TIERS : CPU_TIERS;
    if (number < 0 || number >= tiers.length) {
      throw new AssertionError("nas_kernels.h names no tier " + number + " of " + backend);
    }
    return tiers[number];
  }

  int threads() {
    return callInt(threads);
  }

  void setThreads(int value) {
    callSet(setThreads, value);
  }

  @Override
  public KernelCodebook create(float[] codewords, int size, int width) {
    try (Memory.Scope scope = memory.open()) {
      return create(scope.copyOf(MemorySegment.ofArray(codewords)), size, width);
    }
  }

  @Override
  public KernelCodebook create(MemorySegment codewords, int size, int width) {
    memory.synchronize();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment badRow = arena.allocate(JAVA_LONG);
      MemorySegment result = arena.allocate(ADDRESS);
      int status =
          (int)
              CREATE.invokeExact(create, codewords, (long) size, (long) width, badRow, 0L, result);
      check(status, badRow.get(JAVA_LONG, 0));
      return new NativeCodebook(this, result.get(ADDRESS, 0), size, width);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Turns a status into an exception; row is that of a bad input, or -1. */
  void check(int status, long row) {
    if (status != OK) {
      throw failure(status, row);
    }
  }

  private RuntimeException failure(int status, long row) {
    String message = lastError();
    return switch (status) {
      case INVALID_ARGUMENT -> new IllegalArgumentException(message);
      case NON_FINITE -> new NonFiniteInputException(row, message);
      case OUT_OF_MEMORY -> throw new OutOfMemoryError(message);
      case DEVICE_OUT_OF_MEMORY -> new DeviceOutOfMemoryException(message);
      default -> new NasNativeException(status, message);
    };
  }

  private String lastError() {
    try {
      MemorySegment text = (MemorySegment) GET_ADDRESS.invokeExact(lastError);
      return text.address() == 0 ? "" : text.reinterpret(MESSAGE_BYTES).getString(0);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static int callInt(MemorySegment function) {
    try {
      return (int) GET_INT.invokeExact(function);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static int callInt(MemorySegment function, int value) {
    try {
      return (int) INT_OF_INT.invokeExact(function, value);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private void callSet(MemorySegment function, int value) {
    try {
      check((int) INT_OF_INT.invokeExact(function, value), -1);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** For the catch blocks around method handles, which declare Throwable. */
  static RuntimeException unexpected(Throwable e) {
    return switch (e) {
      case RuntimeException unchecked -> unchecked;
      case Error error -> throw error;
      default -> throw new AssertionError("native calls throw no checked exceptions", e);
    };
  }
}
