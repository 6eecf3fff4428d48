package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.Rows;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;

/** A codebook of a native library. Calls allocate nothing on the Java heap once compiled. */
final class NativeCodebook implements KernelCodebook {
  private static final long TIER = Layouts.at(Layouts.LOOKUP_STATS, "tier");
  private static final long ROWS_INT8 = Layouts.at(Layouts.LOOKUP_STATS, "rows_int8");
  private static final long ROWS_FLOAT32 = Layouts.at(Layouts.LOOKUP_STATS, "rows_float32");
  private static final long ROWS_SCANNED = Layouts.at(Layouts.LOOKUP_STATS, "rows_scanned");
  private static final long CANDIDATES = Layouts.at(Layouts.LOOKUP_STATS, "candidates");
  private static final long DISTANCES = Layouts.at(Layouts.LOOKUP_STATS, "distances");
  private static final long ROWS_FLOAT64 = Layouts.at(Layouts.LOOKUP_STATS, "rows_float64");
  private static final long PACKING_NS = Layouts.at(Layouts.LOOKUP_STATS, "packing_ns");

  /** Per thread, so that concurrent calls do not share it and none has to allocate one. */
  private static final ThreadLocal<Slot> SLOT = ThreadLocal.withInitial(Slot::new);

  private static final class Slot {
    final MemorySegment stats = Arena.ofAuto().allocate(Layouts.LOOKUP_STATS);
    final MemorySegment badRow = Arena.ofAuto().allocate(JAVA_LONG);
    final SwapStructs swap = new SwapStructs();
  }

  private final NativeLibrary library;
  private final Memory memory;
  private final MemorySegment handle;
  private final int size;
  private final int width;

  NativeCodebook(NativeLibrary library, MemorySegment handle, int size, int width) {
    this.library = library;
    this.memory = library.memory();
    this.handle = handle;
    this.size = size;
    this.width = width;
  }

  @Override
  public LookupStats lookup(
      Rows x, MemorySegment indices, MemorySegment distances, boolean withStats, long stream) {
    Slot slot = SLOT.get();
    MemorySegment stats = withStats ? slot.stats : MemorySegment.NULL;
    int status;
    try {
      status =
          (int)
              NativeLibrary.LOOKUP.invokeExact(
                  library.lookup,
                  handle,
                  x.segment(),
                  number(x.type()),
                  x.count(),
                  x.stride(),
                  indices,
                  orNull(distances),
                  slot.badRow,
                  stats,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, slot.badRow.get(JAVA_LONG, 0));
    if (!withStats) {
      return null;
    }
    return new LookupStats(
        library.tierOf(stats.get(JAVA_INT, TIER)),
        stats.get(JAVA_LONG, ROWS_INT8),
        stats.get(JAVA_LONG, ROWS_FLOAT32),
        stats.get(JAVA_LONG, ROWS_SCANNED),
        stats.get(JAVA_LONG, CANDIDATES),
        stats.get(JAVA_LONG, DISTANCES),
        stats.get(JAVA_LONG, ROWS_FLOAT64),
        stats.get(JAVA_LONG, PACKING_NS));
  }

  private static MemorySegment orNull(MemorySegment segment) {
    return segment == null ? MemorySegment.NULL : segment;
  }

  @Override
  public int[] lookup(float[] x, int rows) {
    try (Memory.Scope scope = memory.open()) {
      MemorySegment indices = scope.allocate((long) rows * Integer.BYTES);
      MemorySegment copy = scope.copyOf(MemorySegment.ofArray(x));
      lookup(Rows.of(copy, rows, width), indices, null, false, 0);
      int[] result = new int[rows];
      memory.copyOut(indices, MemorySegment.ofArray(result));
      return result;
    }
  }

  @Override
  public void accumulate(
      Rows x, MemorySegment codes, MemorySegment counts, MemorySegment sums, long stream) {
    MemorySegment badRow = SLOT.get().badRow;
    int status;
    try {
      status =
          (int)
              NativeLibrary.ACCUMULATE.invokeExact(
                  library.accumulate,
                  handle,
                  x.segment(),
                  number(x.type()),
                  x.count(),
                  x.stride(),
                  codes,
                  counts,
                  sums,
                  badRow,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, badRow.get(JAVA_LONG, 0));
  }

  @Override
  public void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.APPLY.invokeExact(
                  library.apply,
                  handle,
                  counts,
                  sums,
                  update.gamma(),
                  update.epsilon(),
                  update.deadThreshold(),
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public void update(Rows x, MemorySegment codes, MomentumUpdate update, long stream) {
    MemorySegment badRow = SLOT.get().badRow;
    int status;
    try {
      status =
          (int)
              NativeLibrary.UPDATE.invokeExact(
                  library.update,
                  handle,
                  x.segment(),
                  number(x.type()),
                  x.count(),
                  x.stride(),
                  codes,
                  update.gamma(),
                  update.epsilon(),
                  update.deadThreshold(),
                  badRow,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, badRow.get(JAVA_LONG, 0));
  }

  private static int number(ElementType type) {
    return switch (type) {
      case FLOAT32 -> 0;
      case BFLOAT16 -> 1;
      case FLOAT16 -> 2;
    };
  }

  @Override
  public void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.NEIGHBOURS.invokeExact(
                  library.neighbours, handle, (long) neighbours, orNull(live), out, stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public void swap(TokenSwap params, SwapInput in, SwapOutput out, long stream) {
    MemorySegment badRow = SLOT.get().badRow;
    int status = swap(library.swap, params, in, out, badRow, stream);
    library.check(status, badRow.get(JAVA_LONG, 0));
  }

  @Override
  public void enqueueSwap(
      TokenSwap params, SwapInput in, SwapOutput out, MemorySegment verdict, long stream) {
    library.check(swap(library.enqueueSwap, params, in, out, verdict, stream), -1);
  }

  private int swap(
      MemorySegment function,
      TokenSwap params,
      SwapInput in,
      SwapOutput out,
      MemorySegment judged,
      long stream) {
    SwapStructs structs = SLOT.get().swap;
    structs.fill(params, in, out);
    try {
      return (int)
          NativeLibrary.SWAP.invokeExact(
              function,
              handle,
              structs.params,
              structs.input,
              structs.output,
              judged,
              stream,
              orNull(in.text()),
              orNull(in.image()),
              orNull(in.evidence()),
              orNull(in.evidenceOf()),
              in.tokens(),
              in.codes(),
              in.neighbourLists(),
              orNull(in.sampleIds()),
              out.positions(),
              out.substitutes(),
              out.swapped(),
              orNull(out.scores()),
              orNull(out.mask()));
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  @Override
  public void reserve(long rows, ElementType type, long images, long tokens) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.RESERVE.invokeExact(
                  library.reserve, handle, rows, number(type), images, tokens);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public void enqueueLookup(
      Rows x, MemorySegment indices, MemorySegment distances, MemorySegment verdict, long stream) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.ENQUEUE_LOOKUP.invokeExact(
                  library.enqueueLookup,
                  handle,
                  x.segment(),
                  number(x.type()),
                  x.count(),
                  x.stride(),
                  indices,
                  orNull(distances),
                  verdict,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public void enqueueUpdate(
      Rows x, MemorySegment codes, MomentumUpdate update, MemorySegment verdict, long stream) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.UPDATE.invokeExact(
                  library.enqueueUpdate,
                  handle,
                  x.segment(),
                  number(x.type()),
                  x.count(),
                  x.stride(),
                  codes,
                  update.gamma(),
                  update.epsilon(),
                  update.deadThreshold(),
                  verdict,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public View view() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codewords = arena.allocate(ADDRESS);
      MemorySegment n = arena.allocate(ADDRESS);
      MemorySegment deadSteps = arena.allocate(ADDRESS);
      library.check(
          (int) NativeLibrary.VIEW.invokeExact(library.view, handle, codewords, n, deadSteps), -1);
      return new View(
          codewords.get(JAVA_LONG, 0), n.get(JAVA_LONG, 0), deadSteps.get(JAVA_LONG, 0));
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  @Override
  public void restart(int[] codes, float[] vectors) {
    memory.synchronize();
    try (Memory.Scope scope = memory.open()) {
      MemorySegment nativeCodes = scope.copyOf(MemorySegment.ofArray(codes));
      MemorySegment nativeVectors = scope.copyOf(MemorySegment.ofArray(vectors));
      int status;
      try {
        status =
            (int)
                NativeLibrary.RESTART.invokeExact(
                    library.restart, handle, nativeCodes, nativeVectors, (long) codes.length, 0L);
      } catch (Throwable e) {
        throw NativeLibrary.unexpected(e);
      }
      library.check(status, -1);
      memory.synchronize();
    }
  }

  @Override
  public CodebookState read() {
    CodebookState state =
        new CodebookState(
            new float[size * width], new double[size], new float[size * width], new int[size]);
    memory.synchronize();
    try (Memory.Scope scope = memory.open()) {
      long matrixBytes = (long) size * width * Float.BYTES;
      MemorySegment codewords = scope.allocate(matrixBytes);
      MemorySegment n = scope.allocate((long) size * Double.BYTES);
      MemorySegment m = scope.allocate(matrixBytes);
      MemorySegment deadSteps = scope.allocate((long) size * Integer.BYTES);
      readOrWrite(library.read, codewords, n, m, deadSteps);
      memory.copyOut(codewords, MemorySegment.ofArray(state.codewords()));
      memory.copyOut(n, MemorySegment.ofArray(state.n()));
      memory.copyOut(m, MemorySegment.ofArray(state.m()));
      memory.copyOut(deadSteps, MemorySegment.ofArray(state.deadSteps()));
    }
    return state;
  }

  @Override
  public void write(CodebookState state) {
    memory.synchronize();
    try (Memory.Scope scope = memory.open()) {
      readOrWrite(
          library.write,
          scope.copyOf(MemorySegment.ofArray(state.codewords())),
          scope.copyOf(MemorySegment.ofArray(state.n())),
          scope.copyOf(MemorySegment.ofArray(state.m())),
          scope.copyOf(MemorySegment.ofArray(state.deadSteps())));
    }
  }

  private void readOrWrite(
      MemorySegment function,
      MemorySegment codewords,
      MemorySegment n,
      MemorySegment m,
      MemorySegment deadSteps) {
    int status;
    try {
      status =
          (int)
              NativeLibrary.READ_WRITE.invokeExact(
                  function, handle, codewords, n, m, deadSteps, 0L);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
    memory.synchronize();
  }

  @Override
  public void free() {
    int status;
    try {
      status = (int) NativeLibrary.CLOSE.invokeExact(library.close, handle);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }
}
