package org.nasvlp.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.nasvlp.kernels.internal.Libraries;
import org.nasvlp.kernels.internal.Memory;
import org.nasvlp.kernels.internal.Segments;

/**
 * A codebook's kernels on Java arrays: copied to where the codebook lives, and the results back
 * once the kernel has done its work.
 */
final class ArrayCalls {
  private final Codebook codebook;
  private final Memory memory;

  ArrayCalls(Codebook codebook) {
    this.codebook = codebook;
    this.memory = Libraries.require(codebook.backend()).memory();
  }

  int[] lookup(float[] x, float[] distances) {
    int rows = rows(x);
    requireLength("distances", distances.length, rows, "one for each row of x");
    int[] indices = new int[rows];
    try (Memory.Scope scope = memory.open()) {
      MemorySegment nearest = room(scope, (long) rows * Integer.BYTES);
      MemorySegment squares = room(scope, (long) rows * Float.BYTES);
      codebook.lookup(features(scope, x, rows), nearest, squares, 0);
      out(nearest, MemorySegment.ofArray(indices));
      out(squares, MemorySegment.ofArray(distances));
    }
    return indices;
  }

  void accumulate(float[] x, int[] codes, double[] counts, double[] sums) {
    int rows = rows(x);
    requireLength("codes", codes.length, rows, "one for each row of x");
    requireStatistics(counts, sums);
    try (Memory.Scope scope = memory.open()) {
      MemorySegment c = in(scope, MemorySegment.ofArray(counts));
      MemorySegment s = in(scope, MemorySegment.ofArray(sums));
      codebook.accumulate(
          features(scope, x, rows), in(scope, MemorySegment.ofArray(codes)), c, s, 0);
      out(c, MemorySegment.ofArray(counts));
      out(s, MemorySegment.ofArray(sums));
    }
  }

  void apply(double[] counts, double[] sums, MomentumUpdate update) {
    requireStatistics(counts, sums);
    try (Memory.Scope scope = memory.open()) {
      codebook.apply(
          in(scope, MemorySegment.ofArray(counts)),
          in(scope, MemorySegment.ofArray(sums)),
          update,
          0);
      memory.synchronize(0);
    }
  }

  void update(float[] x, int[] codes, MomentumUpdate update) {
    int rows = rows(x);
    requireLength("codes", codes.length, rows, "one for each row of x");
    try (Memory.Scope scope = memory.open()) {
      codebook.update(features(scope, x, rows), in(scope, MemorySegment.ofArray(codes)), update, 0);
      memory.synchronize(0);
    }
  }

  int[] neighbours(int neighbours, boolean[] live) {
    if (neighbours < 1 || neighbours > Codebook.MAX_NEIGHBOURS) {
      throw new IllegalArgumentException(
          "neighbours is " + neighbours + "; it must be in 1.." + Codebook.MAX_NEIGHBOURS);
    }
    int size = codebook.size();
    byte[] flags = null;
    if (live != null) {
      requireLength("live", live.length, size, "one for each codeword");
      flags = new byte[size];
      for (int j = 0; j < size; j++) {
        flags[j] = (byte) (live[j] ? 1 : 0);
      }
    }
    int[] lists = new int[size * neighbours]; // at most 2^26
    try (Memory.Scope scope = memory.open()) {
      MemorySegment found = scope.allocate((long) lists.length * Integer.BYTES);
      codebook.neighbours(
          neighbours, flags == null ? null : in(scope, MemorySegment.ofArray(flags)), found, 0);
      out(found, MemorySegment.ofArray(lists));
    }
    return lists;
  }

  SwapResult swap(TokenSwap params, SwapInput in) {
    Objects.requireNonNull(params, "params");
    long tokens = (long) params.images() * params.tokens();
    long wanted = Segments.bytes("tokens", tokens, codebook.width(), Float.BYTES);
    MemorySegment given = onHeap("tokens", in.tokens());
    if (given.byteSize() != wanted) {
      throw new IllegalArgumentException(
          "tokens holds %d floats, but %d images of %d tokens of width %d are %d"
              .formatted(
                  given.byteSize() / Float.BYTES,
                  params.images(),
                  params.tokens(),
                  codebook.width(),
                  wanted / Float.BYTES));
    }
    int chosen = params.images() * params.chosen(); // no more than the tokens, which fit an array
    SwapResult result =
        new SwapResult(
            new int[chosen],
            new int[chosen],
            new float[(int) (wanted / Float.BYTES)],
            new double[(int) tokens],
            new boolean[(int) tokens]);
    byte[] mask = new byte[(int) tokens];
    try (Memory.Scope scope = memory.open()) {
      SwapInput copy =
          new SwapInput(
              in(scope, given),
              in(scope, onHeap("codes", in.codes())),
              in(scope, onHeap("neighbourLists", in.neighbourLists())),
              inOrNull(scope, "text", in.text()),
              inOrNull(scope, "image", in.image()),
              inOrNull(scope, "evidence", in.evidence()),
              in.evidenceRows(),
              inOrNull(scope, "evidenceOf", in.evidenceOf()),
              inOrNull(scope, "sampleIds", in.sampleIds()));
      SwapOutput out =
          SwapOutput.of(
                  room(scope, (long) chosen * Integer.BYTES),
                  room(scope, (long) chosen * Integer.BYTES),
                  room(scope, wanted))
              .withScores(room(scope, tokens * Double.BYTES))
              .withMask(room(scope, tokens));
      codebook.swap(params, copy, out, 0);
      out(out.positions(), MemorySegment.ofArray(result.positions()));
      out(out.substitutes(), MemorySegment.ofArray(result.substitutes()));
      out(out.swapped(), MemorySegment.ofArray(result.swapped()));
      out(out.scores(), MemorySegment.ofArray(result.scores()));
      out(out.mask(), MemorySegment.ofArray(mask));
    }
    for (int i = 0; i < mask.length; i++) {
      result.mask()[i] = mask[i] != 0;
    }
    return result;
  }

  private int rows(float[] x) {
    Objects.requireNonNull(x, "x");
    if (x.length % codebook.width() != 0) {
      throw new IllegalArgumentException(
          "x holds %d floats, which is no multiple of the width %d"
              .formatted(x.length, codebook.width()));
    }
    return x.length / codebook.width();
  }

  private void requireStatistics(double[] counts, double[] sums) {
    int size = codebook.size();
    requireLength("counts", counts.length, size, "one for each codeword");
    requireLength(
        "sums", sums.length, size * codebook.width(), "a row of the width for each codeword");
  }

  private static void requireLength(String name, int length, int wanted, String what) {
    if (length != wanted) {
      throw new IllegalArgumentException(
          "%s holds %d values; it needs %d, %s".formatted(name, length, wanted, what));
    }
  }

  private Rows features(Memory.Scope scope, float[] x, int rows) {
    return Rows.of(in(scope, MemorySegment.ofArray(x)), rows, codebook.width());
  }

  private static MemorySegment onHeap(String name, MemorySegment segment) {
    if (segment.isNative()) {
      throw new IllegalArgumentException(
          name
              + " is no Java array; give arrays (SwapInput.of(float[], int[], int[])), or a"
              + " SwapOutput for the results");
    }
    return segment;
  }

  private static MemorySegment inOrNull(Memory.Scope scope, String name, MemorySegment segment) {
    return segment == null ? null : in(scope, onHeap(name, segment));
  }

  private static MemorySegment in(Memory.Scope scope, MemorySegment heap) {
    return heap.byteSize() == 0 ? room(scope, 0) : scope.copyOf(heap);
  }

  /** No memory has no address, and there is none to be had of a device. */
  private static MemorySegment room(Memory.Scope scope, long bytes) {
    return scope.allocate(Math.max(1, bytes));
  }

  private void out(MemorySegment from, MemorySegment heap) {
    if (heap.byteSize() > 0) {
      memory.copyOut(from.asSlice(0, heap.byteSize()), heap);
    }
  }
}
