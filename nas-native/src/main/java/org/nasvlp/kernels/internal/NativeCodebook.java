package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.TokenSwap;

/** A codebook of a native library. Calls allocate nothing on the Java heap once compiled. */
final class NativeCodebook implements KernelCodebook {
  /** Offsets of nas_swap_params, then a slot for bad_row. */
  private static final long IMAGES = 0;

  private static final long TOKENS = 8;
  private static final long CHOSEN = 16;
  private static final long NEIGHBOURS = 24;
  private static final long TEXT_WEIGHT = 32;
  private static final long SEED = 40;
  private static final long STEP = 48;
  private static final long MODE = 52;
  private static final long PARAMS_BYTES = 56;
  private static final long STATS_BYTES = 64;
  private static final long SLOT_BYTES = PARAMS_BYTES + STATS_BYTES + Long.BYTES;

  /** Per thread, so that concurrent calls do not share it and none has to allocate one. */
  private static final ThreadLocal<Slot> SLOT = ThreadLocal.withInitial(Slot::new);

  private static final class Slot {
    final MemorySegment params;
    final MemorySegment stats;
    final MemorySegment badRow;

    Slot() {
      MemorySegment whole = Arena.ofAuto().allocate(SLOT_BYTES, Long.BYTES);
      params = whole.asSlice(0, PARAMS_BYTES);
      stats = whole.asSlice(PARAMS_BYTES, STATS_BYTES);
      badRow = whole.asSlice(PARAMS_BYTES + STATS_BYTES, Long.BYTES);
    }
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
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      boolean withStats,
      long stream) {
    MemorySegment distancesOrNull = distances == null ? MemorySegment.NULL : distances;
    Slot slot = SLOT.get();
    MemorySegment stats = withStats ? slot.stats : MemorySegment.NULL;
    int status;
    try {
      status =
          (int)
              NativeLibrary.LOOKUP.invokeExact(
                  library.lookup,
                  handle,
                  x,
                  number(type),
                  rows,
                  rowStride,
                  indices,
                  distancesOrNull,
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
        NativeLibrary.tierOf(stats.get(JAVA_INT, 0)),
        stats.getAtIndex(JAVA_LONG, 1),
        stats.getAtIndex(JAVA_LONG, 2),
        stats.getAtIndex(JAVA_LONG, 3),
        stats.getAtIndex(JAVA_LONG, 4),
        stats.getAtIndex(JAVA_LONG, 5),
        stats.getAtIndex(JAVA_LONG, 6),
        stats.getAtIndex(JAVA_LONG, 7));
  }

  @Override
  public int[] lookup(float[] x, int rows) {
    try (Memory.Scope scope = memory.open()) {
      MemorySegment indices = scope.allocate((long) rows * Integer.BYTES);
      MemorySegment copy = scope.copyOf(MemorySegment.ofArray(x));
      lookup(copy, ElementType.FLOAT32, rows, width, indices, null, false, 0);
      int[] result = new int[rows];
      memory.copyOut(indices, MemorySegment.ofArray(result));
      return result;
    }
  }

  @Override
  public void accumulate(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MemorySegment counts,
      MemorySegment sums,
      long stream) {
    MemorySegment badRow = SLOT.get().badRow;
    int status;
    try {
      status =
          (int)
              NativeLibrary.ACCUMULATE.invokeExact(
                  library.accumulate,
                  handle,
                  x,
                  number(type),
                  rows,
                  rowStride,
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
  public void update(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MomentumUpdate update,
      long stream) {
    MemorySegment badRow = SLOT.get().badRow;
    int status;
    try {
      status =
          (int)
              NativeLibrary.UPDATE.invokeExact(
                  library.update,
                  handle,
                  x,
                  number(type),
                  rows,
                  rowStride,
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
    MemorySegment liveOrNull = live == null ? MemorySegment.NULL : live;
    int status;
    try {
      status =
          (int)
              NativeLibrary.NEIGHBOURS.invokeExact(
                  library.neighbours, handle, (long) neighbours, liveOrNull, out, stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, -1);
  }

  @Override
  public void swap(
      TokenSwap params,
      MemorySegment text,
      MemorySegment image,
      MemorySegment tokens,
      MemorySegment codes,
      MemorySegment neighbourLists,
      MemorySegment sampleIds,
      MemorySegment positions,
      MemorySegment substitutes,
      MemorySegment swapped,
      long stream) {
    Slot slot = SLOT.get();
    MemorySegment p = slot.params;
    p.set(JAVA_LONG, IMAGES, params.images());
    p.set(JAVA_LONG, TOKENS, params.tokens());
    p.set(JAVA_LONG, CHOSEN, params.chosen());
    p.set(JAVA_LONG, NEIGHBOURS, params.neighbours());
    p.set(JAVA_DOUBLE, TEXT_WEIGHT, params.textWeight());
    p.set(JAVA_LONG, SEED, params.seed());
    p.set(JAVA_INT, STEP, params.step());
    p.set(
        JAVA_INT,
        MODE,
        switch (params.mode()) {
          case QUANTISED -> 0;
          case RESIDUAL -> 1;
        });
    int status;
    try {
      status =
          (int)
              NativeLibrary.SWAP.invokeExact(
                  library.swap,
                  handle,
                  p,
                  text,
                  image,
                  tokens,
                  codes,
                  neighbourLists,
                  sampleIds,
                  positions,
                  substitutes,
                  swapped,
                  slot.badRow,
                  stream);
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    library.check(status, slot.badRow.get(JAVA_LONG, 0));
  }

  @Override
  public void restart(int[] codes, float[] vectors) {
    memory.synchronise();
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
      memory.synchronise();
    }
  }

  @Override
  public CodebookState read() {
    CodebookState state =
        new CodebookState(
            new float[size * width], new double[size], new float[size * width], new int[size]);
    memory.synchronise();
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
    memory.synchronise();
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
    memory.synchronise();
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
