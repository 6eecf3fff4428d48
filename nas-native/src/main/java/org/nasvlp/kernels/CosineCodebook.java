package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.stream.LongStream;
import org.nasvlp.kernels.internal.Segments;

/**
 * A codebook of directions: rows go to the codeword of highest cosine, and codewords stay on the
 * unit sphere (Yu et al., "Vector-quantized image modeling with improved VQGAN", arXiv 2110.04627).
 *
 * <p>Rows and codewords are scaled to length 1 and rounded to float32; of these {@link Codebook}
 * finds the nearest, exactly, which is the one of highest cosine but for that rounding. The length
 * is computed in float64 as distances are, so that results are the same bits on every instruction
 * tier, with any number of threads and with or without native code. A row of zeros has no
 * direction: it stays zero, and goes to some codeword, the same everywhere.
 *
 * <p>It lives on the host, also where {@link Kernels#backend()} is CUDA, and scales rows into a
 * copy of 4 bytes an element. Threads, failures and segments are as {@link Codebook} has them.
 */
public final class CosineCodebook implements AutoCloseable {
  private static final int LANES = 8;

  private final Codebook codebook;

  private CosineCodebook(Codebook codebook) {
    this.codebook = codebook;
  }

  /**
   * Creates a codebook from codewords of any length but 0.
   *
   * @param codewords size × width float32, row by row; copied and scaled
   * @param size number of codewords K
   * @param width width d
   * @throws NonFiniteInputException if a codeword is not finite; its row is the codeword
   */
  public static CosineCodebook create(float[] codewords, int size, int width) {
    return create(KMeans.host(), codewords, size, width);
  }

  static CosineCodebook create(Backend backend, float[] codewords, int size, int width) {
    Objects.requireNonNull(codewords, "codewords");
    if (codewords.length != (long) size * width) {
      throw new IllegalArgumentException(
          "codewords holds %d floats, but %d codewords of width %d are %d"
              .formatted(codewords.length, size, width, (long) size * width));
    }
    float[] unit = codewords.clone();
    for (int j = 0; j < size; j++) {
      if (!scale(unit, j * width, width)) {
        throw new IllegalArgumentException(
            "codeword " + j + " is zero and has no direction; give it another");
      }
    }
    try (Arena arena = Arena.ofShared()) {
      return new CosineCodebook(
          Codebook.create(backend, arena.allocateFrom(JAVA_FLOAT, unit), size, width));
    }
  }

  /**
   * Finds the codeword of highest cosine of every row, the lowest index on ties.
   *
   * @param x features in host memory
   * @param indices out, int32[rows]
   * @param cosines out, float32[rows]: 1 less half the squared distance; or null
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public void lookup(Rows x, MemorySegment indices, MemorySegment cosines) {
    try (Arena arena = Arena.ofShared()) {
      codebook.lookup(unit(x, arena), indices, cosines, 0);
    }
    for (long i = 0; cosines != null && i < x.count(); i++) {
      cosines.setAtIndex(JAVA_FLOAT, i, 1 - cosines.getAtIndex(JAVA_FLOAT, i) / 2);
    }
  }

  /**
   * The same of rows on the Java heap.
   *
   * @param x float32, row by row; copied
   */
  public int[] lookup(float[] x) {
    Objects.requireNonNull(x, "x");
    int width = codebook.width();
    if (x.length % width != 0) {
      throw new IllegalArgumentException(
          "x holds " + x.length + " floats, which is no multiple of the width " + width);
    }
    int count = x.length / width;
    try (Arena arena = Arena.ofShared()) {
      MemorySegment indices = arena.allocate(Math.max(1L, (long) count * Integer.BYTES), 64);
      lookup(Rows.of(arena.allocateFrom(JAVA_FLOAT, x), count, width), indices, null);
      return indices.asSlice(0, (long) count * Integer.BYTES).toArray(JAVA_INT);
    }
  }

  /**
   * One momentum update from a batch: the update of {@link Codebook} from the scaled rows, and then
   * the codewords scaled to length 1. The averages are as they are, so that a codeword's mean
   * direction is kept.
   *
   * @param x features in host memory
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param update the parameters and the formula
   * @throws NonFiniteInputException with the lowest bad row, and the codebook as it was
   */
  public void update(Rows x, MemorySegment codes, MomentumUpdate update) {
    try (Arena arena = Arena.ofShared()) {
      codebook.update(unit(x, arena), codes, update, 0);
    }
    CodebookState moved = codebook.state();
    float[] codewords = moved.codewords();
    for (int j = 0; j < codebook.size(); j++) {
      scale(codewords, j * codebook.width(), codebook.width());
    }
    codebook.restore(moved);
  }

  /**
   * The same update of Java arrays, which are copied.
   *
   * @param x float32, row by row
   * @param codes code of every row, each 0..K−1
   * @param update the parameters and the formula
   * @throws NonFiniteInputException with the lowest bad row, and the codebook as it was
   */
  public void update(float[] x, int[] codes, MomentumUpdate update) {
    Objects.requireNonNull(x, "x");
    int width = codebook.width();
    if (x.length != (long) codes.length * width) {
      throw new IllegalArgumentException(
          "x holds %d floats, but %d codes of width %d need %d"
              .formatted(x.length, codes.length, width, (long) codes.length * width));
    }
    try (Arena arena = Arena.ofShared()) {
      update(
          Rows.of(arena.allocateFrom(JAVA_FLOAT, x), codes.length, width),
          arena.allocateFrom(JAVA_INT, codes),
          update);
    }
  }

  /**
   * The codebook of the scaled codewords, for neighbour lists, swaps, restarts and its state; rows
   * and vectors that it is given have to have length 1. It belongs to this.
   */
  public Codebook codebook() {
    return codebook;
  }

  /** Rows of length 1. */
  private Rows unit(Rows x, Arena arena) {
    int width = codebook.width();
    Segments.input(
        "x",
        x.segment(),
        Segments.rowBytes(x.count(), x.stride(), width) / Float.BYTES * x.type().bytes(),
        x.type().bytes());
    MemorySegment unit = arena.allocate(Math.max(1, x.count() * width * Float.BYTES), 64);
    LongStream rows = LongStream.range(0, x.count());
    (Kernels.threads() > 1 ? rows.parallel() : rows)
        .forEach(
            i -> {
              float[] row = new float[width];
              Segments.widen(x, i, row);
              scale(row, 0, width);
              MemorySegment.copy(row, 0, unit, JAVA_FLOAT, i * width * Float.BYTES, width);
            });
    return Rows.of(unit, x.count(), width);
  }

  /**
   * Scales a vector to length 1; what is not finite stays so, and is told of by the lookup.
   *
   * @return whether it has a length
   */
  private static boolean scale(float[] of, int from, int width) {
    double[] lanes = new double[LANES];
    for (int t = 0; t < width; t++) {
      lanes[t % LANES] += (double) of[from + t] * of[from + t];
    }
    double length =
        Math.sqrt(
            ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6]))
                + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7])));
    if (length == 0) {
      return false;
    }
    for (int t = from; t < from + width; t++) {
      of[t] = (float) (of[t] / length);
    }
    return true;
  }

  /** Frees the codebook. Calls after the first do nothing. */
  @Override
  public void close() {
    codebook.close();
  }

  @Override
  public String toString() {
    return "Cosine" + codebook;
  }
}
