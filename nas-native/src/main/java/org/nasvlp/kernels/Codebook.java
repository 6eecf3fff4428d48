package org.nasvlp.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.Objects;
import org.nasvlp.kernels.internal.KernelCodebook;
import org.nasvlp.kernels.internal.Libraries;
import org.nasvlp.kernels.internal.Segments;
import org.nasvlp.kernels.internal.SharedLock;

/**
 * A visual dictionary's codebook: K codewords of width d, their moving averages, and the kernels
 * that work on them.
 *
 * <p><b>Contract.</b> Indices, counts, positions and every updated float are the same bits for
 * every backend, instruction tier, thread count and split of the rows into calls. The squared
 * distance is computed in float64 over the given float32 inputs, in a fixed order; ties go to the
 * lowest index. A NaN or an infinity is refused with its row ({@link NonFiniteInputException}).
 *
 * <p><b>Memory.</b> Segments are off-heap and little-endian with the element types named at each
 * method; those of a {@link Backend#CUDA} codebook hold device addresses, all others host
 * addresses. Heap segments are refused; size, alignment, write access and overlap are checked
 * before native code sees an address. A segment made by {@code reinterpret} is believed: its true
 * size is the caller's word. Sizes in bytes below are minimums.
 *
 * <p><b>Streams.</b> {@code stream} is a {@code cudaStream_t} for CUDA (0: the legacy default
 * stream) and must be 0 otherwise. Work given to one CUDA codebook on several streams has to be
 * ordered by the caller. Methods that take Java arrays wait for the device.
 *
 * <p><b>Threads.</b> Safe for use by several threads: lookup, accumulate, neighbours, swap and
 * state run at the same time; apply, update, restore, restart and close wait for running calls and
 * run alone. {@link #close()} may be called twice; any use after it is an {@link
 * IllegalStateException}. A codebook that is forgotten is freed when it is garbage collected.
 *
 * <p><b>Failures.</b> Beyond those named at the methods: {@link IllegalArgumentException} names the
 * argument and the remedy, {@link DeviceOutOfMemoryException} means the device's memory, {@link
 * OutOfMemoryError} the host's, {@link NasNativeException} anything else. After a failure the
 * codebook is as it was.
 */
public final class Codebook implements AutoCloseable {
  /** Most codewords of a codebook. */
  public static final int MAX_SIZE = 65_536;

  /** Greatest width of a codeword. */
  public static final int MAX_WIDTH = 4_096;

  /** Greatest length of a neighbour list. */
  public static final int MAX_NEIGHBOURS = 1_024;

  private static final Cleaner CLEANER = Cleaner.create();

  private final Backend backend;
  private final int size;
  private final int width;
  private final SharedLock lock = new SharedLock();
  private final Cleaner.Cleanable cleanable;
  private KernelCodebook kernels;

  private Codebook(KernelCodebook kernels, Backend backend, int size, int width) {
    this.kernels = kernels;
    this.backend = backend;
    this.size = size;
    this.width = width;
    this.cleanable = CLEANER.register(this, kernels::free);
  }

  /**
   * Creates a codebook on {@link Kernels#backend()} from codewords on the Java heap: e = m =
   * codewords, n = 1, no dead steps.
   *
   * @param codewords size × width float32, row by row; copied
   * @param size number of codewords K, 1..65536
   * @param width width d, 1..4096
   * @throws NonFiniteInputException if a codeword is not finite; its row is the codeword
   */
  public static Codebook create(float[] codewords, int size, int width) {
    Objects.requireNonNull(codewords, "codewords");
    checkShape(size, width);
    if (codewords.length != size * width) {
      throw new IllegalArgumentException(
          String.format(
              "codewords holds %d floats, but %d codewords of width %d are %d",
              codewords.length, size, width, size * width));
    }
    Backend backend = Kernels.backend();
    return new Codebook(
        Libraries.require(backend).create(codewords, size, width), backend, size, width);
  }

  /**
   * Creates a codebook on a given backend: e = m = codewords, n = 1, no dead steps.
   *
   * @param backend the backend
   * @param codewords size × width float32 in memory of the backend; copied
   * @param size number of codewords K, 1..65536
   * @param width width d, 1..4096
   * @throws NonFiniteInputException if a codeword is not finite; its row is the codeword
   * @throws NasNativeException if the backend is not available
   */
  public static Codebook create(Backend backend, MemorySegment codewords, int size, int width) {
    Objects.requireNonNull(backend, "backend");
    checkShape(size, width);
    Segments.input("codewords", codewords, (long) size * width * Float.BYTES, Float.BYTES);
    return new Codebook(
        Libraries.require(backend).create(codewords, size, width), backend, size, width);
  }

  private static void checkShape(int size, int width) {
    if (size < 1 || size > MAX_SIZE) {
      throw new IllegalArgumentException("size is " + size + "; it must be in 1.." + MAX_SIZE);
    }
    if (width < 1 || width > MAX_WIDTH) {
      throw new IllegalArgumentException("width is " + width + "; it must be in 1.." + MAX_WIDTH);
    }
  }

  /** Number of codewords K. */
  public int size() {
    return size;
  }

  /** Width d of a codeword. */
  public int width() {
    return width;
  }

  /** Where this codebook lives. */
  public Backend backend() {
    return backend;
  }

  /**
   * Finds the nearest codeword of every row: indices[i] = argmin_j ‖x_i − e_j‖², the lowest j on
   * ties.
   *
   * @param x features, float32; row i starts at element i × rowStride
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param indices out, int32[rows]
   * @param distances out, float32[rows]: the squared distance rounded to float32 (infinity above
   *     its range); or null
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public void lookup(
      MemorySegment x,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      long stream) {
    lookup(x, ElementType.FLOAT32, rows, rowStride, indices, distances, false, stream);
  }

  /**
   * Finds the nearest codeword of every row of features of another type, after widening them to
   * float32, which is exact.
   *
   * @param x features; row i starts at element i × rowStride
   * @param type type of the elements of x
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param indices out, int32[rows]
   * @param distances out, float32[rows], or null; see above
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public void lookup(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      long stream) {
    lookup(x, type, rows, rowStride, indices, distances, false, stream);
  }

  /**
   * The same lookup, and what it did.
   *
   * @param x features; row i starts at element i × rowStride
   * @param type type of the elements of x
   * @param rows number of rows, ≥ 1
   * @param rowStride elements from row to row, ≥ width
   * @param indices out, int32[rows]
   * @param distances out, float32[rows], or null; see above
   * @param stream CUDA stream, else 0
   * @return the path and the tier taken, the candidates and the float64 decisions
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public LookupStats lookupWithStats(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      long stream) {
    if (rows < 1) {
      throw new IllegalArgumentException("rows is " + rows + "; it must be at least 1");
    }
    return lookup(x, type, rows, rowStride, indices, distances, true, stream);
  }

  private LookupStats lookup(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      boolean withStats,
      long stream) {
    Objects.requireNonNull(type, "type");
    checkStream(stream);
    long xBytes = Segments.rowBytes(rows, rowStride, width) / Float.BYTES * type.bytes();
    long outBytes = Segments.bytes("rows", rows, 1, Integer.BYTES);
    Segments.input("x", x, xBytes, type.bytes());
    Segments.output("indices", indices, outBytes, Integer.BYTES);
    Segments.disjoint("indices", indices, outBytes, "x", x, xBytes);
    if (distances != null) {
      Segments.output("distances", distances, outBytes, Float.BYTES);
      Segments.disjoint("distances", distances, outBytes, "x", x, xBytes);
      Segments.disjoint("distances", distances, outBytes, "indices", indices, outBytes);
    }
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      return rows == 0
          ? null
          : open.lookup(x, type, rows, rowStride, indices, distances, withStats, stream);
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Finds the nearest codeword of every row of a Java array, by copying.
   *
   * @param x features, float32, rows × width with rows = x.length / width
   * @return the index of the nearest codeword of each row, the lowest on ties
   * @throws NonFiniteInputException with the lowest bad row
   */
  public int[] lookup(float[] x) {
    Objects.requireNonNull(x, "x");
    if (x.length % width != 0) {
      throw new IllegalArgumentException(
          "x holds " + x.length + " floats, which is no multiple of the width " + width);
    }
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      return x.length == 0 ? new int[0] : open.lookup(x, x.length / width);
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Adds a batch to counts and sums: for rows i ascending, counts[z_i] += 1 and sums[z_i] += x_i in
   * float64. Splitting the rows over several calls in order gives the same bits. Between this and
   * {@link #apply} counts and sums can be reduced over processes.
   *
   * @param x features, float32; row i starts at element i × rowStride
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param counts in and out, float64[K]
   * @param sums in and out, float64[K × d]
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; nothing is added
   * @throws IllegalArgumentException if a code is out of range; nothing is added
   */
  public void accumulate(
      MemorySegment x,
      long rows,
      long rowStride,
      MemorySegment codes,
      MemorySegment counts,
      MemorySegment sums,
      long stream) {
    accumulate(x, ElementType.FLOAT32, rows, rowStride, codes, counts, sums, stream);
  }

  /**
   * Adds a batch of any element type to counts and sums, like {@link #accumulate(MemorySegment,
   * long, long, MemorySegment, MemorySegment, MemorySegment, long)}.
   *
   * @param x features; row i starts at element i × rowStride
   * @param type type of the elements of x
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param counts in and out, float64[K]
   * @param sums in and out, float64[K × d]
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; nothing is added
   * @throws IllegalArgumentException if a code is out of range; nothing is added
   */
  public void accumulate(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MemorySegment counts,
      MemorySegment sums,
      long stream) {
    long xBytes = checkRows(x, type, rows, rowStride, codes, stream);
    long codesBytes = rows * Integer.BYTES;
    long countsBytes = (long) size * Double.BYTES;
    long sumsBytes = countsBytes * width;
    Segments.output("counts", counts, countsBytes, Double.BYTES);
    Segments.output("sums", sums, sumsBytes, Double.BYTES);
    Segments.disjoint("counts", counts, countsBytes, "x", x, xBytes);
    Segments.disjoint("counts", counts, countsBytes, "codes", codes, codesBytes);
    Segments.disjoint("sums", sums, sumsBytes, "x", x, xBytes);
    Segments.disjoint("sums", sums, sumsBytes, "codes", codes, codesBytes);
    Segments.disjoint("sums", sums, sumsBytes, "counts", counts, countsBytes);
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      if (rows > 0) {
        open.accumulate(x, type, rows, rowStride, codes, counts, sums, stream);
      }
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * One momentum update from the counts and sums of a batch.
   *
   * @param counts float64[K]
   * @param sums float64[K × d]
   * @param update the parameters and the formula
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException if a new codeword would not be finite
   */
  public void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream) {
    Objects.requireNonNull(update, "update");
    checkStream(stream);
    long countsBytes = (long) size * Double.BYTES;
    Segments.input("counts", counts, countsBytes, Double.BYTES);
    Segments.input("sums", sums, countsBytes * width, Double.BYTES);
    long stamp = lock.beginWrite();
    try {
      open().apply(counts, sums, update, stream);
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * One momentum update from a batch: the bits of accumulate from zero followed by {@link #apply},
   * in one pass over the rows.
   *
   * @param x features, float32; row i starts at element i × rowStride
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param update the parameters and the formula
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row, or -1 if a new codeword would not be
   *     finite
   */
  public void update(
      MemorySegment x,
      long rows,
      long rowStride,
      MemorySegment codes,
      MomentumUpdate update,
      long stream) {
    update(x, ElementType.FLOAT32, rows, rowStride, codes, update, stream);
  }

  /**
   * One momentum update from a batch of any element type, like {@link #update(MemorySegment, long,
   * long, MemorySegment, MomentumUpdate, long)}.
   *
   * @param x features; row i starts at element i × rowStride
   * @param type type of the elements of x
   * @param rows number of rows, ≥ 0
   * @param rowStride elements from row to row, ≥ width
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param update the parameters and the formula
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row, or -1 if a new codeword would not be
   *     finite
   * @throws IllegalArgumentException if a code is out of range
   */
  public void update(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MomentumUpdate update,
      long stream) {
    Objects.requireNonNull(update, "update");
    checkRows(x, type, rows, rowStride, codes, stream);
    long stamp = lock.beginWrite();
    try {
      open().update(x, type, rows, rowStride, codes, update, stream);
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  private long checkRows(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      long stream) {
    Objects.requireNonNull(type, "type");
    checkStream(stream);
    // Wider elements are the stricter case for an overflow.
    long xBytes = Segments.rowBytes(rows, rowStride, width) / Float.BYTES * type.bytes();
    Segments.input("x", x, xBytes, type.bytes());
    Segments.input("codes", codes, Segments.bytes("rows", rows, 1, Integer.BYTES), Integer.BYTES);
    return xBytes;
  }

  /**
   * Writes for every code j the nearest live codes other than j, ascending by (distance, index), −1
   * where there are fewer. Dead codes get a list too.
   *
   * @param neighbours length R of a list, 1..1024
   * @param live uint8[K], non-zero for a live code; or null: all are live
   * @param out out, int32[K × R]
   * @param stream CUDA stream, else 0
   */
  public void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream) {
    checkStream(stream);
    if (neighbours < 1 || neighbours > MAX_NEIGHBOURS) {
      throw new IllegalArgumentException(
          "neighbours is " + neighbours + "; it must be in 1.." + MAX_NEIGHBOURS);
    }
    long outBytes = (long) size * neighbours * Integer.BYTES;
    Segments.output("out", out, outBytes, Integer.BYTES);
    if (live != null) {
      Segments.input("live", live, size, 1);
      Segments.disjoint("out", out, outBytes, "live", live, size);
    }
    long stamp = lock.beginRead();
    try {
      open().neighbours(neighbours, live, out, stream);
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Makes hard negative images. In each image b: score the tokens by λ minmax(text) + (1 − λ)
   * minmax(image) in float64; choose the M of highest score, the lowest position on ties; for every
   * distinct code z among them draw one of z's neighbours that occurs nowhere in the image (see
   * {@link Kernels#draw}, with the lowest chosen position of z); replace those tokens as {@link
   * TokenSwap.Mode} says and copy all others bit for bit. A token whose code has no such neighbour
   * stays as it is.
   *
   * @param params sizes B, N, M, R, weight, seed, step and mode
   * @param text similarity of each token to the caption, float32[B × N]
   * @param image similarity of each token to the whole image, float32[B × N]
   * @param tokens float32[B × N × d]
   * @param codes code of each token, int32[B × N], each 0..K−1
   * @param neighbourLists int32[K × R] of {@link #neighbours}
   * @param sampleIds int64[B]
   * @param positions out, int32[B × M]: the chosen positions, highest score first
   * @param substitutes out, int32[B × M]: their new codes, −1 where the token stays
   * @param swapped out, float32[B × N × d]; may be the same segment as tokens
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException if a similarity is not finite; its row is the image
   * @throws IllegalArgumentException if a code or a neighbour is out of range
   */
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
    Objects.requireNonNull(params, "params");
    checkStream(stream);
    long perToken = (long) params.images() * params.tokens() * Integer.BYTES;
    long tokenBytes = Segments.bytes("tokens", perToken, width, 1);
    long listBytes = (long) size * params.neighbours() * Integer.BYTES;
    long idBytes = (long) params.images() * Long.BYTES;
    long chosenBytes = (long) params.images() * params.chosen() * Integer.BYTES;
    Segments.input("text", text, perToken, Float.BYTES);
    Segments.input("image", image, perToken, Float.BYTES);
    Segments.input("tokens", tokens, tokenBytes, Float.BYTES);
    Segments.input("codes", codes, perToken, Integer.BYTES);
    Segments.input("neighbourLists", neighbourLists, listBytes, Integer.BYTES);
    Segments.input("sampleIds", sampleIds, idBytes, Long.BYTES);
    checkSwapOutput("positions", positions, chosenBytes, text, image, codes, perToken);
    checkSwapOutput("substitutes", substitutes, chosenBytes, text, image, codes, perToken);
    checkSwapOutput("swapped", swapped, tokenBytes, text, image, codes, perToken);
    Segments.disjoint("positions", positions, chosenBytes, "tokens", tokens, tokenBytes);
    Segments.disjoint("substitutes", substitutes, chosenBytes, "tokens", tokens, tokenBytes);
    if (swapped.address() != tokens.address()) {
      Segments.disjoint("swapped", swapped, tokenBytes, "tokens", tokens, tokenBytes);
    }
    Segments.disjoint("positions", positions, chosenBytes, "sampleIds", sampleIds, idBytes);
    Segments.disjoint("substitutes", substitutes, chosenBytes, "sampleIds", sampleIds, idBytes);
    Segments.disjoint("swapped", swapped, tokenBytes, "sampleIds", sampleIds, idBytes);
    String lists = "neighbourLists";
    Segments.disjoint("positions", positions, chosenBytes, lists, neighbourLists, listBytes);
    Segments.disjoint("substitutes", substitutes, chosenBytes, lists, neighbourLists, listBytes);
    Segments.disjoint("swapped", swapped, tokenBytes, lists, neighbourLists, listBytes);
    Segments.disjoint("positions", positions, chosenBytes, "swapped", swapped, tokenBytes);
    Segments.disjoint("substitutes", substitutes, chosenBytes, "swapped", swapped, tokenBytes);
    Segments.disjoint("positions", positions, chosenBytes, "substitutes", substitutes, chosenBytes);
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      if (params.images() > 0) {
        open.swap(
            params,
            text,
            image,
            tokens,
            codes,
            neighbourLists,
            sampleIds,
            positions,
            substitutes,
            swapped,
            stream);
      }
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  private static void checkSwapOutput(
      String name,
      MemorySegment output,
      long bytes,
      MemorySegment text,
      MemorySegment image,
      MemorySegment codes,
      long perToken) {
    Segments.output(name, output, bytes, Integer.BYTES);
    Segments.disjoint(name, output, bytes, "text", text, perToken);
    Segments.disjoint(name, output, bytes, "image", image, perToken);
    Segments.disjoint(name, output, bytes, "codes", codes, perToken);
  }

  /**
   * Restarts codes from given vectors: e = m = vector, n = 1, no dead steps. If a code is named
   * twice, the later one wins.
   *
   * @param codes the codes, each 0..K−1
   * @param vectors codes.length × width float32, row by row
   * @throws NonFiniteInputException if a vector is not finite; its row is the vector
   * @throws IllegalArgumentException if a code is out of range
   */
  public void restart(int[] codes, float[] vectors) {
    Objects.requireNonNull(codes, "codes");
    Objects.requireNonNull(vectors, "vectors");
    if (vectors.length != (long) codes.length * width) {
      throw new IllegalArgumentException(
          String.format(
              "vectors holds %d floats, but %d codes of width %d need %d",
              vectors.length, codes.length, width, (long) codes.length * width));
    }
    for (int i = 0; i < codes.length; i++) {
      if (codes[i] < 0 || codes[i] >= size) {
        throw new IllegalArgumentException(
            String.format("codes[%d] is %d; it must be in 0..%d", i, codes[i], size - 1));
      }
    }
    checkFinite("vectors", vectors);
    long stamp = lock.beginWrite();
    try {
      KernelCodebook open = open();
      if (codes.length > 0) {
        open.restart(codes, vectors);
      }
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /** A copy of everything this codebook remembers. */
  public CodebookState state() {
    long stamp = lock.beginRead();
    try {
      return open().read();
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Puts a state back; it is copied.
   *
   * @param state of a codebook of the same size and width
   * @throws NonFiniteInputException if a value is not finite; its row is the codeword
   * @throws IllegalArgumentException if the shape differs or an n is negative
   */
  public void restore(CodebookState state) {
    Objects.requireNonNull(state, "state");
    if (state.n().length != size || state.codewords().length != size * width) {
      throw new IllegalArgumentException(
          String.format(
              "the state is of %d codewords of width %d, this codebook of %d of width %d",
              state.n().length, state.codewords().length / state.n().length, size, width));
    }
    checkFinite("codewords", state.codewords());
    checkFinite("m", state.m());
    for (int j = 0; j < size; j++) {
      double n = state.n()[j];
      if (!Double.isFinite(n)) {
        throw new NonFiniteInputException(j, "n of codeword " + j + " in the state is " + n);
      }
      if (n < 0) {
        throw new IllegalArgumentException(
            "n of codeword " + j + " in the state is " + n + "; counts cannot be negative");
      }
      if (state.deadSteps()[j] < 0) {
        throw new IllegalArgumentException(
            "deadSteps of codeword " + j + " in the state is " + state.deadSteps()[j]);
      }
    }
    long stamp = lock.beginWrite();
    try {
      open().write(state);
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /** Waits for running calls and frees the codebook. Calls after the first do nothing. */
  @Override
  public void close() {
    long stamp = lock.beginWrite();
    try {
      if (kernels != null) {
        kernels = null;
        cleanable.clean();
      }
    } finally {
      lock.endWrite(stamp);
    }
  }

  @Override
  public String toString() {
    return "Codebook[" + size + " x " + width + ", " + backend + "]";
  }

  private KernelCodebook open() {
    KernelCodebook open = kernels;
    if (open == null) {
      throw new IllegalStateException("the codebook is closed");
    }
    return open;
  }

  private void checkStream(long stream) {
    if (stream != 0 && backend != Backend.CUDA) {
      throw new IllegalArgumentException(
          "stream is " + stream + ", but only cuda codebooks have streams; pass 0");
    }
  }

  private void checkFinite(String name, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new NonFiniteInputException(
            i / width,
            String.format(
                "row %d of %s holds %s at column %d", i / width, name, values[i], i % width));
      }
    }
  }
}
