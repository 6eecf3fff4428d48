package org.nasvlp.kernels;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import org.nasvlp.kernels.internal.Buffers;
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
 * ordered by the caller.
 *
 * <p><b>Java arrays.</b> Each kernel is there for Java arrays too. Such a method copies its
 * arguments to memory of the backend and the results back, waits for the device, writes nothing if
 * it fails, and gives the same bits.
 *
 * <p><b>Enqueued calls.</b> {@link #enqueueLookup}, {@link #enqueueUpdate} and {@link #enqueueSwap}
 * do what their namesakes do, to the same bits, but neither wait for the stream nor allocate, so
 * that they may be captured in a CUDA graph; what is wrong with their input is told by a {@link
 * Verdict}. {@link #reserve} comes before them. Other backends run them at once.
 *
 * <p><b>Threads.</b> Safe for use by several threads: lookup, accumulate, neighbours, swap and
 * state run at the same time; apply, update, enqueued calls, reserve, restore, restart and close
 * wait for running calls and run alone. {@link #close()} may be called twice; any use after it is
 * an {@link IllegalStateException}. A codebook that is forgotten is freed when it is garbage
 * collected.
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
  private final LongAdder lookups = new LongAdder();
  private final LongAdder accumulations = new LongAdder();
  private final LongAdder updates = new LongAdder();
  private final LongAdder neighbourLists = new LongAdder();
  private final LongAdder swaps = new LongAdder();
  private final LongAdder stateReads = new LongAdder();
  private KernelCodebook kernels;
  private Reservation reserved = Reservation.NONE;
  private Views views;

  /**
   * What a codebook has done since it was made; refused calls do not count.
   *
   * @param backend where
   * @param lookups lookups
   * @param accumulations batches added to counts and sums
   * @param updates momentum updates, from rows or from counts and sums
   * @param neighbourLists sets of neighbour lists
   * @param swaps token swaps
   * @param stateReads copies of the state
   */
  public record Calls(
      Backend backend,
      long lookups,
      long accumulations,
      long updates,
      long neighbourLists,
      long swaps,
      long stateReads) {}

  /** What enqueued calls may need. */
  private record Reservation(long rows, boolean narrow, long images, long tokens) {
    static final Reservation NONE = new Reservation(-1, false, -1, -1);

    Reservation with(Reservation other) {
      return new Reservation(
          Math.max(rows, other.rows),
          narrow || other.narrow,
          Math.max(images, other.images),
          Math.max(tokens, other.tokens));
    }
  }

  /** The arena keeps this codebook from being freed as long as a view is reachable. */
  private record Views(
      Arena arena, MemorySegment codewords, MemorySegment n, MemorySegment deadSteps) {}

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

  /** What this codebook has done so far; also after it is closed. */
  public Calls calls() {
    return new Calls(
        backend,
        lookups.sum(),
        accumulations.sum(),
        updates.sum(),
        neighbourLists.sum(),
        swaps.sum(),
        stateReads.sum());
  }

  /**
   * Finds the nearest codeword of every row: indices[i] = argmin_j ‖x_i − e_j‖², the lowest j on
   * ties. Features of a narrower type are widened to float32, which is exact.
   *
   * @param x features
   * @param indices out, int32[rows]
   * @param distances out, float32[rows]: the squared distance rounded to float32 (infinity above
   *     its range); or null
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public void lookup(Rows x, MemorySegment indices, MemorySegment distances, long stream) {
    lookup(x, indices, distances, false, stream);
  }

  /**
   * The same lookup, and what it did.
   *
   * @param x features, at least one row
   * @param indices out, int32[rows]
   * @param distances out, float32[rows], or null; see above
   * @param stream CUDA stream, else 0
   * @return the path and the tier taken, the candidates and the float64 decisions
   * @throws NonFiniteInputException with the lowest bad row; the outputs are then unspecified
   */
  public LookupStats lookupWithStats(
      Rows x, MemorySegment indices, MemorySegment distances, long stream) {
    if (x.count() < 1) {
      throw new IllegalArgumentException("x has 0 rows; there must be at least 1");
    }
    return lookup(x, indices, distances, true, stream);
  }

  private LookupStats lookup(
      Rows x, MemorySegment indices, MemorySegment distances, boolean withStats, long stream) {
    checkLookup(x, indices, distances, stream);
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      LookupStats stats =
          x.count() == 0 ? null : open.lookup(x, indices, distances, withStats, stream);
      lookups.increment();
      return stats;
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  private void checkLookup(Rows x, MemorySegment indices, MemorySegment distances, long stream) {
    checkStream(stream);
    Buffers buffers = Buffers.begin();
    addRows(buffers, x);
    long outBytes = Segments.bytes("rows", x.count(), 1, Integer.BYTES);
    buffers
        .output("indices", indices, outBytes, Integer.BYTES)
        .outputOrNull("distances", distances, outBytes, Float.BYTES)
        .requireDisjoint();
  }

  private void addRows(Buffers buffers, Rows x) {
    // Wider elements are the stricter case for an overflow.
    long bytes = Segments.rowBytes(x.count(), x.stride(), width) / Float.BYTES * x.type().bytes();
    buffers.input("x", x.segment(), bytes, x.type().bytes());
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
      int[] indices = x.length == 0 ? new int[0] : open.lookup(x, x.length / width);
      lookups.increment();
      return indices;
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * The same lookup, with the distances.
   *
   * @param x features, float32, rows × width
   * @param distances out, one for each row: the squared distance rounded to float32 (infinity above
   *     its range)
   * @return the index of the nearest codeword of each row, the lowest on ties
   * @throws NonFiniteInputException with the lowest bad row
   */
  public int[] lookup(float[] x, float[] distances) {
    return new ArrayCalls(this).lookup(x, distances);
  }

  /**
   * Adds a batch to counts and sums: for rows i ascending, counts[z_i] += 1 and sums[z_i] += x_i in
   * float64. Splitting the rows over several calls in order gives the same bits. Between this and
   * {@link #apply} counts and sums can be reduced over processes.
   *
   * @param x features
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param counts in and out, float64[K]
   * @param sums in and out, float64[K × d]
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row; nothing is added
   * @throws IllegalArgumentException if a code is out of range; nothing is added
   */
  public void accumulate(
      Rows x, MemorySegment codes, MemorySegment counts, MemorySegment sums, long stream) {
    long countsBytes = (long) size * Double.BYTES;
    batch(x, codes, stream)
        .output("counts", counts, countsBytes, Double.BYTES)
        .output("sums", sums, countsBytes * width, Double.BYTES)
        .requireDisjoint();
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      if (x.count() > 0) {
        open.accumulate(x, codes, counts, sums, stream);
      }
      accumulations.increment();
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #accumulate(Rows, MemorySegment, MemorySegment, MemorySegment, long)} of Java arrays.
   *
   * @param x features, float32, rows × width
   * @param codes code of every row, each 0..K−1
   * @param counts in and out, K
   * @param sums in and out, K × d, row by row
   * @throws NonFiniteInputException with the lowest bad row
   * @throws IllegalArgumentException if a code is out of range or a length does not fit
   */
  public void accumulate(float[] x, int[] codes, double[] counts, double[] sums) {
    new ArrayCalls(this).accumulate(x, codes, counts, sums);
  }

  /** The buffers of rows with their codes. */
  private Buffers batch(Rows x, MemorySegment codes, long stream) {
    checkStream(stream);
    Buffers buffers = Buffers.begin();
    addRows(buffers, x);
    long codesBytes = Segments.bytes("rows", x.count(), 1, Integer.BYTES);
    return buffers.input("codes", codes, codesBytes, Integer.BYTES);
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
      updates.increment();
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #apply(MemorySegment, MemorySegment, MomentumUpdate, long)} of Java arrays.
   *
   * @param counts K
   * @param sums K × d, row by row
   * @param update the parameters and the formula
   * @throws NonFiniteInputException if a new codeword would not be finite
   */
  public void apply(double[] counts, double[] sums, MomentumUpdate update) {
    new ArrayCalls(this).apply(counts, sums, update);
  }

  /**
   * One momentum update from a batch: the bits of accumulate from zero followed by {@link #apply},
   * in one pass over the rows.
   *
   * @param x features
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param update the parameters and the formula
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException with the lowest bad row, or -1 if a new codeword would not be
   *     finite
   * @throws IllegalArgumentException if a code is out of range
   */
  public void update(Rows x, MemorySegment codes, MomentumUpdate update, long stream) {
    Objects.requireNonNull(update, "update");
    batch(x, codes, stream);
    long stamp = lock.beginWrite();
    try {
      open().update(x, codes, update, stream);
      updates.increment();
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #update(Rows, MemorySegment, MomentumUpdate, long)} of Java arrays.
   *
   * @param x features, float32, rows × width
   * @param codes code of every row, each 0..K−1
   * @param update the parameters and the formula
   * @throws NonFiniteInputException with the lowest bad row, or -1 if a new codeword would not be
   *     finite
   * @throws IllegalArgumentException if a code is out of range, or there is not one for each row
   */
  public void update(float[] x, int[] codes, MomentumUpdate update) {
    new ArrayCalls(this).update(x, codes, update);
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
    Buffers buffers = Buffers.begin().output("out", out, outBytes, Integer.BYTES);
    if (live != null) {
      buffers.input("live", live, size, 1);
    }
    buffers.requireDisjoint();
    long stamp = lock.beginRead();
    try {
      open().neighbours(neighbours, live, out, stream);
      neighbourLists.increment();
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #neighbours(int, MemorySegment, MemorySegment, long)} as a Java array.
   *
   * @param neighbours length R of a list, 1..1024
   * @param live whether each code is live, K; or null: all are live
   * @return K × R, list by list; −1 where there are fewer
   */
  public int[] neighbours(int neighbours, boolean[] live) {
    return new ArrayCalls(this).neighbours(neighbours, live);
  }

  /**
   * Makes hard negative images, by three rules, in each image b with codes z:
   *
   * <p><b>Which tokens.</b> {@link TokenSwap.Choose#RELEVANCE}: the M of highest score λ
   * minmax(text) + (1 − λ) minmax(image), in float64. {@link TokenSwap.Choose#GAIN}: with the
   * image's evidence v, best_i is the neighbour of z_i with most v, the nearest of equals, if that
   * is more than z_i's own, and the score is by how much; of the tokens with a best, up to M of
   * highest score. The lowest position on ties. If v summed over the image would not be above 0
   * with these bests in place, no token of the image is replaced, whatever the other rules.
   *
   * <p><b>What in their place.</b> {@link TokenSwap.Substitute#DRAW}: for every distinct code z
   * among the chosen, one of z's neighbours that occur nowhere in the image is drawn (see {@link
   * Kernels#draw}, with the lowest chosen position of z). {@link
   * TokenSwap.Substitute#MOST_EVIDENCE} and {@link TokenSwap.Substitute#LEAST_EVIDENCE}: the
   * neighbour with most or least v, the nearest of equals. A token whose code has no such neighbour
   * stays as it is, and so does an image without evidence where a rule asks for it.
   *
   * <p><b>How it is written.</b> With donors, a token of another image of the batch that has the
   * substitute's code, drawn among all of them (position 2^24 + that of the token); without one, as
   * {@link TokenSwap.Write} says. All other tokens are copied bit for bit.
   *
   * @param params the sizes and the rules
   * @param in what is read
   * @param out what is written
   * @param stream CUDA stream, else 0
   * @throws NonFiniteInputException if a similarity or evidence of an image is not finite; its row
   *     is the lowest such image
   * @throws IllegalArgumentException if a code, a neighbour or a row of evidence is out of range
   */
  public void swap(TokenSwap params, SwapInput in, SwapOutput out, long stream) {
    checkSwap(params, in, out, stream);
    long stamp = lock.beginRead();
    try {
      KernelCodebook open = open();
      if (params.images() > 0) {
        open.swap(params, in, out, stream);
      }
      swaps.increment();
    } finally {
      lock.endRead(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #swap(TokenSwap, SwapInput, SwapOutput, long)} of Java arrays.
   *
   * @param params the sizes and the rules
   * @param in what is read, made by {@link SwapInput#of(float[], int[], int[])}
   * @return the hard negative images, and what was swapped in them
   * @throws NonFiniteInputException if a similarity or evidence of an image is not finite; its row
   *     is the lowest such image
   * @throws IllegalArgumentException if a code, a neighbour or a row of evidence is out of range,
   *     or an array is too short for the sizes
   */
  public SwapResult swap(TokenSwap params, SwapInput in) {
    return new ArrayCalls(this).swap(params, in);
  }

  private void checkSwap(TokenSwap params, SwapInput in, SwapOutput out, long stream) {
    Objects.requireNonNull(params, "params");
    checkStream(stream);
    long images = params.images();
    long tokens = images * params.tokens();
    long tokenBytes = Segments.bytes("tokens", tokens * Float.BYTES, width, 1);
    long chosenBytes = images * params.chosen() * Integer.BYTES;
    long listBytes = (long) size * params.neighbours() * Integer.BYTES;
    Buffers buffers =
        Buffers.begin()
            .input("tokens", in.tokens(), tokenBytes, Float.BYTES)
            .input("codes", in.codes(), tokens * Integer.BYTES, Integer.BYTES)
            .input("neighbourLists", in.neighbourLists(), listBytes, Integer.BYTES);
    if (params.choose() == TokenSwap.Choose.RELEVANCE) {
      buffers.input("text", in.text(), tokens * Float.BYTES, Float.BYTES);
      buffers.input("image", in.image(), tokens * Float.BYTES, Float.BYTES);
    }
    if (params.byEvidence()) {
      long rowBytes = (long) size * Double.BYTES;
      if (in.evidenceRows() > 0) {
        buffers.input("evidence", in.evidence(), in.evidenceRows() * rowBytes, Double.BYTES);
      }
      buffers.input("evidenceOf", in.evidenceOf(), images * Integer.BYTES, Integer.BYTES);
    }
    if (params.byDraws()) {
      buffers.input("sampleIds", in.sampleIds(), images * Long.BYTES, Long.BYTES);
    }
    buffers
        .output("positions", out.positions(), chosenBytes, Integer.BYTES)
        .output("substitutes", out.substitutes(), chosenBytes, Integer.BYTES)
        .output("swapped", out.swapped(), tokenBytes, Float.BYTES)
        .outputOrNull("scores", out.scores(), tokens * Double.BYTES, Double.BYTES)
        .outputOrNull("mask", out.mask(), tokens, 1);
    if (params.donors()) {
      buffers.requireDisjoint(); // donors are read from tokens while swapped is written
    } else {
      buffers.requireDisjoint("swapped", "tokens");
    }
  }

  /**
   * Makes room for enqueued calls, and gives the state the place where it can be viewed from then
   * on. Does not shrink: what several calls reserved holds together. Waits for the device if it has
   * to enlarge what there is.
   *
   * @param rows most rows of a lookup or an update, ≥ 0
   * @param type {@link ElementType#FLOAT32}, or a narrower type if rows of either of the narrower
   *     ones are to come as well
   * @param images most images of a swap, ≥ 0
   * @param tokens most tokens of an image, ≥ 0
   */
  public void reserve(long rows, ElementType type, long images, long tokens) {
    Objects.requireNonNull(type, "type");
    Segments.bytes("rows", rows, width, Double.BYTES);
    Segments.bytes("tokens", tokens, 1, 1);
    Segments.bytes("images", images, Segments.bytes("tokens", tokens, width, Float.BYTES), 1);
    if (tokens > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "tokens is " + tokens + "; it must be at most " + Integer.MAX_VALUE);
    }
    long stamp = lock.beginWrite();
    try {
      open().reserve(rows, type, images, tokens);
      reserved = reserved.with(new Reservation(rows, type != ElementType.FLOAT32, images, tokens));
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /** A verdict for enqueued calls on this codebook's backend; the caller closes it. */
  public Verdict verdict() {
    return new Verdict(backend);
  }

  /**
   * {@link #lookup}, enqueued.
   *
   * @param x features, within what was reserved
   * @param indices out, int32[rows]
   * @param distances out, float32[rows], or null
   * @param verdict told of the lowest bad row; the outputs are then unspecified
   * @param stream CUDA stream, else 0
   * @throws IllegalStateException if the verdict has not been asked since its last call
   */
  public void enqueueLookup(
      Rows x, MemorySegment indices, MemorySegment distances, Verdict verdict, long stream) {
    checkLookup(x, indices, distances, stream);
    long stamp = lock.beginWrite();
    try {
      KernelCodebook open = open();
      requireReserved(x);
      open.enqueueLookup(x, indices, distances, verdict.take(backend), stream);
      verdict.enqueued("lookup", stream);
      lookups.increment();
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #update}, enqueued.
   *
   * @param x features, within what was reserved
   * @param codes code of every row, int32[rows], each 0..K−1
   * @param update the parameters and the formula
   * @param verdict told of the lowest bad row; the codebook is then as it was
   * @param stream CUDA stream, else 0
   * @throws IllegalStateException if the verdict has not been asked since its last call
   */
  public void enqueueUpdate(
      Rows x, MemorySegment codes, MomentumUpdate update, Verdict verdict, long stream) {
    Objects.requireNonNull(update, "update");
    batch(x, codes, stream);
    long stamp = lock.beginWrite();
    try {
      KernelCodebook open = open();
      requireReserved(x);
      open.enqueueUpdate(x, codes, update, verdict.take(backend), stream);
      verdict.enqueued("update", stream);
      updates.increment();
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  /**
   * {@link #swap}, enqueued.
   *
   * @param params the sizes, within what was reserved, and the rules
   * @param in what is read
   * @param out what is written
   * @param verdict told of the lowest bad image; the outputs are then unspecified, except that
   *     tokens swapped in place are as they were
   * @param stream CUDA stream, else 0
   * @throws IllegalStateException if the verdict has not been asked since its last call
   */
  public void enqueueSwap(
      TokenSwap params, SwapInput in, SwapOutput out, Verdict verdict, long stream) {
    checkSwap(params, in, out, stream);
    long stamp = lock.beginWrite();
    try {
      KernelCodebook open = open();
      if (params.images() > reserved.images() || params.tokens() > reserved.tokens()) {
        throw new IllegalArgumentException(
            String.format(
                "%d images of %d tokens are more than is reserved, %d of %d; call reserve first",
                params.images(), params.tokens(), reserved.images(), reserved.tokens()));
      }
      open.enqueueSwap(params, in, out, verdict.take(backend), stream);
      verdict.enqueued("swap", stream);
      swaps.increment();
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  private void requireReserved(Rows x) {
    boolean narrow = x.type() != ElementType.FLOAT32;
    if (x.count() > reserved.rows() || (narrow && !reserved.narrow())) {
      throw new IllegalArgumentException(
          String.format(
              "%d rows of %s are more than is reserved, %d of %s; call reserve first",
              x.count(),
              x.type(),
              reserved.rows(),
              reserved.narrow() ? "any type" : ElementType.FLOAT32));
    }
  }

  /**
   * The codewords where they lie, without a copy: float32[K × d], read-only, in memory of the
   * backend. The view follows every change of the codebook. Reads of it are ordered after changes,
   * and changes after reads, by the caller; {@link #close()} ends it, and for as long as it is
   * reachable a forgotten codebook is not freed.
   *
   * @throws IllegalStateException before the first {@link #reserve}
   */
  public MemorySegment codewordsView() {
    return views().codewords();
  }

  /** Nothing to do: that a view's scope may call this keeps the codebook from being collected. */
  private void viewEnded() {}

  /** The averaged counts where they lie: float64[K]; see {@link #codewordsView()}. */
  public MemorySegment nView() {
    return views().n();
  }

  /**
   * For how many updates each code was below the dead threshold, where that lies: int32[K]; see
   * {@link #codewordsView()}.
   */
  public MemorySegment deadStepsView() {
    return views().deadSteps();
  }

  @SuppressWarnings("MustBeClosedChecker") // close() closes the arena
  private Views views() {
    long stamp = lock.beginWrite();
    try {
      KernelCodebook open = open();
      if (views == null) {
        if (reserved.rows() < 0) {
          throw new IllegalStateException(
              "the state stays in one place from the first reserve on; call reserve first");
        }
        KernelCodebook.View view = open.view();
        Arena arena = Arena.ofShared();
        views =
            new Views(
                arena,
                view(arena, view.codewords(), (long) size * width * Float.BYTES),
                view(arena, view.n(), (long) size * Double.BYTES),
                view(arena, view.deadSteps(), (long) size * Integer.BYTES));
      }
      return views;
    } finally {
      lock.endWrite(stamp);
      Reference.reachabilityFence(this);
    }
  }

  private MemorySegment view(Arena arena, long address, long bytes) {
    return MemorySegment.ofAddress(address)
        .reinterpret(bytes, arena, _ -> viewEnded())
        .asReadOnly();
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
      CodebookState state = open().read();
      stateReads.increment();
      return state;
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

  /**
   * Waits for running calls and frees the codebook, and its views with it. Calls after the first do
   * nothing.
   *
   * @throws IllegalStateException if native code is working on a view; the codebook stays open
   */
  @Override
  public void close() {
    long stamp = lock.beginWrite();
    try {
      if (kernels != null) {
        if (views != null) {
          views.arena().close();
          views = null;
        }
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
