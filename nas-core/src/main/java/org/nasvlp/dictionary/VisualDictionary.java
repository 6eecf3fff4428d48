package org.nasvlp.dictionary;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.KMeans;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.Rows;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;
import org.nasvlp.random.Draws;

/**
 * The Visual Dictionary (SOHO, arXiv 2104.03135, section 3.2): K codewords that turn continuous
 * patch tokens into discrete codes, refined by an exponential moving average of the tokens they
 * stand for.
 *
 * <p>It stays on its device: {@link #codewords} and {@link #neighbours} are the kernels' own
 * memory, and only {@link #state}, for a checkpoint, copies it to the Java heap.
 *
 * <p>Tensors are float32, contiguous, and on the dictionary's device; codes are int32. Returned
 * tensors belong to the caller's {@code PointerScope}, unless said otherwise. {@link #lookup} may
 * run on several threads at the same time; all else belongs to one. Any use after {@link #close} is
 * an {@link IllegalStateException}.
 *
 * <p>The calls named {@code enqueue} work in the order of LibTorch's current stream and do not wait
 * for it; what is wrong with their input is told by {@link #check}, which the caller must call
 * before the results leave the device. On the host they run, and tell, at once.
 */
public final class VisualDictionary implements AutoCloseable {
  /** Keeps directions of vectors without any finite. */
  private static final double SHORTEST = 1e-6;

  private final DictionaryConfig config;
  private final int width;
  private final TorchDevice device;
  private final Codebook codebook;
  private final MomentumUpdate momentum;
  private final Verdicts verdicts;
  private final Tensor codewords;
  private final Tensor counts;
  private final Tensor deadSteps;
  private final Tensor epochCounts;
  private @Nullable Tensor neighbours;
  private long restarts;
  private long reservedRows;
  private long reservedImages;
  private long reservedTokens;
  private volatile boolean closed;

  private VisualDictionary(
      DictionaryConfig config, int width, float[] codewords, TorchDevice device) {
    this.config = config;
    this.width = width;
    this.device = device;
    this.momentum = new MomentumUpdate(config.momentum(), config.epsilon(), config.deadThreshold());
    try (PointerScope scope = new PointerScope();
        TorchDevice.Use use = device.use()) {
      Tensor values = device.floats(codewords, size(), width);
      device.synchronize();
      this.codebook = Codebook.create(device.kernels(), device.memory(values), size(), width);
      codebook.reserve(0, ElementType.FLOAT32, 0, 0); // the state stays where it is from here on
      this.codewords =
          keep(device.view(codebook.codewordsView(), torch.ScalarType.Float, size(), width));
      this.counts = keep(device.view(codebook.nView(), torch.ScalarType.Double, size()));
      this.deadSteps = keep(device.view(codebook.deadStepsView(), torch.ScalarType.Int, size()));
      this.epochCounts = keep(device.longs(new long[size()], size()));
    }
    this.verdicts = new Verdicts(codebook);
  }

  private static Tensor keep(Tensor tensor) {
    tensor.retainReference(); // outlives the scope it was made in, until close()
    return tensor;
  }

  /** {@link #start(DictionaryConfig, float[], int, long, String)} on the host. */
  public static VisualDictionary start(
      DictionaryConfig config, float[] features, int width, long seed) {
    return start(config, features, width, seed, "cpu");
  }

  /**
   * Starts a dictionary from features by the seeding of k-means++ ({@link KMeans#start}).
   *
   * @param features rows x width patch tokens, row-major; at least K rows
   * @param seed decides the choice
   * @param device where the codebook and the tokens to come lie: cpu, cuda, cuda:N or auto
   * @throws IllegalArgumentException if there are fewer rows than codewords
   * @throws IllegalStateException if the device cannot be used, with the reason and the remedy
   */
  public static VisualDictionary start(
      DictionaryConfig config, float[] features, int width, long seed, String device) {
    int rows = features.length / width;
    int size = config.codewords();
    if (rows < size) {
      throw new IllegalArgumentException(
          "a dictionary of "
              + size
              + " codewords needs at least as many patch tokens to start from, got "
              + rows
              + ": lower dictionary.codewords or raise data.batchSize");
    }
    float[] codewords;
    try (Arena arena = Arena.ofShared()) {
      MemorySegment copy = arena.allocateFrom(ValueLayout.JAVA_FLOAT, features);
      codewords = KMeans.start(Rows.of(copy, rows, width), width, size, seed);
    }
    return new VisualDictionary(config, width, codewords, TorchDevice.of(device));
  }

  /** A dictionary as it was saved, see {@link #state()}, on a device named as for a start. */
  public static VisualDictionary restore(
      DictionaryConfig config, int width, Saved saved, String device) {
    VisualDictionary dictionary =
        new VisualDictionary(config, width, saved.codebook().codewords(), TorchDevice.of(device));
    try (PointerScope scope = new PointerScope();
        TorchDevice.Use use = dictionary.device.use()) {
      dictionary.codebook.restore(saved.codebook());
      if (saved.neighbourCount() > 0) {
        dictionary.keepNeighbours(
            dictionary.device.ints(saved.neighbours(), dictionary.size(), saved.neighbourCount()));
      }
      Torch.copyInto(dictionary.epochCounts, MemorySegment.ofArray(saved.epochCounts()));
    }
    dictionary.restarts = saved.restarts();
    return dictionary;
  }

  /**
   * Everything that training needs to go on as if it had not stopped.
   *
   * @param codebook codewords and moving averages
   * @param neighbours K x neighbourCount lists of nearest codes, or empty
   * @param neighbourCount width of the lists
   * @param restarts codes restarted so far
   * @param epochCounts K: how often each code was used since the epoch began
   */
  public record Saved(
      CodebookState codebook,
      int[] neighbours,
      int neighbourCount,
      long restarts,
      long[] epochCounts) {}

  /** A copy of the dictionary's state on the Java heap, for a checkpoint. */
  public Saved state() {
    requireOpen();
    try (PointerScope scope = new PointerScope();
        TorchDevice.Use use = device.use()) {
      return new Saved(
          codebook.state(),
          neighbours == null ? new int[0] : Torch.toInts(neighbours),
          neighbourCount(),
          restarts,
          Torch.toLongs(epochCounts));
    }
  }

  /** Number of codewords, K. */
  public int size() {
    requireOpen();
    return config.codewords();
  }

  /** Width of a codeword, d. */
  public int width() {
    requireOpen();
    return width;
  }

  // ---------------------------------------------------------------- nearest codeword

  /**
   * The nearest codeword of every patch token.
   *
   * @param tokens ... x d float32, contiguous
   * @return int32 codes of the leading shape
   * @throws org.nasvlp.kernels.NonFiniteInputException naming the first token with a NaN or
   *     infinity
   */
  public Tensor lookup(Tensor tokens) {
    Tensor codes = emptyCodes(tokens);
    try (TorchDevice.Use use = device.use()) {
      codebook.lookup(rows(tokens), device.memory(codes), null, use.stream());
    }
    return codes;
  }

  /**
   * {@link #lookup}, in the order of LibTorch's stream. Where {@link #check} will tell of a token
   * with a NaN or infinity the codes are some of 0..K-1.
   */
  public Tensor enqueueLookup(Tensor tokens) {
    Tensor codes = emptyCodes(tokens);
    Rows rows = rows(tokens);
    reserve(rows.count(), 0, 0);
    try (TorchDevice.Use use = device.use()) {
      codebook.enqueueLookup(rows, device.memory(codes), null, verdicts.next(), use.stream());
    }
    checkOnHost();
    if (device.isCuda()) {
      // What is unspecified must not lead an index out of bounds.
      codes.clamp_(new ScalarOptional(new Scalar(0)), new ScalarOptional(new Scalar(size() - 1)));
    }
    return codes;
  }

  private Tensor emptyCodes(Tensor tokens) {
    requireOpen();
    long[] shape = Torch.shape(tokens);
    if (shape[shape.length - 1] != width) {
      throw new IllegalArgumentException(
          "tokens have width "
              + shape[shape.length - 1]
              + ", the dictionary's codewords have width "
              + width);
    }
    return device.empty(torch.ScalarType.Int, Arrays.copyOf(shape, shape.length - 1));
  }

  private Rows rows(Tensor tokens) {
    return Rows.of(device.memory(tokens), tokens.numel() / width, width);
  }

  private void reserve(long rows, long images, long tokens) {
    if (rows > reservedRows || images > reservedImages || tokens > reservedTokens) {
      reservedRows = Math.max(rows, reservedRows);
      reservedImages = Math.max(images, reservedImages);
      reservedTokens = Math.max(tokens, reservedTokens);
      try (TorchDevice.Use use = device.use()) {
        codebook.reserve(reservedRows, ElementType.FLOAT32, reservedImages, reservedTokens);
      }
    }
  }

  /**
   * Waits for the enqueued calls, and tells what was wrong with the first that found its input bad.
   *
   * @throws org.nasvlp.kernels.NonFiniteInputException for a token, similarity or evidence that is
   *     not finite
   */
  public void check() {
    requireOpen();
    verdicts.check();
  }

  private void checkOnHost() {
    if (!device.isCuda()) {
      verdicts.check();
    }
  }

  /**
   * The codewords where they lie, K x d float32: they follow every {@link #update}, belong to the
   * dictionary, and must not be written.
   */
  public Tensor codewords() {
    requireOpen();
    return codewords;
  }

  /**
   * Quantized tokens q = v + sg(e_z - v): the value of the codeword, the gradient passed straight
   * through to v (van den Oord et al., arXiv 1711.00937).
   *
   * @param tokens B x N x d
   * @param codes B x N int32, from {@link #lookup}
   */
  public Tensor quantize(Tensor tokens, Tensor codes) {
    return tokens.add(chosen(tokens, codes).sub(tokens).detach());
  }

  /**
   * Quantized tokens whose gradient is turned as the codeword is from the token (the rotation
   * trick; Fifty et al., arXiv 2410.06424): with e = v / |v|, q = e_z / |e_z| and r = (e + q) / |e
   * + q|, all of them constants,
   *
   * <pre>
   *   |e_z| / |v| · (v - 2 r (r · v) + 2 q (e · v))
   * </pre>
   *
   * <p>which is e_z but for rounding. A vector shorter than 1e-6 counts as that long; so does e +
   * q, where a token and its codeword point in opposite directions.
   *
   * @param tokens B x N x d
   * @param codes B x N int32, from {@link #lookup}
   */
  public Tensor rotate(Tensor tokens, Tensor codes) {
    Tensor from = tokens.detach();
    Tensor to = chosen(tokens, codes);
    Tensor e = from.div(length(from));
    Tensor q = to.div(length(to));
    Tensor sum = e.add(q);
    Tensor r = sum.div(length(sum));
    Tensor turned = tokens.add(q.mul(dot(e, tokens)).sub(r.mul(dot(r, tokens))).mul(new Scalar(2)));
    return turned.mul(length(to).div(length(from)));
  }

  private Tensor chosen(Tensor tokens, Tensor codes) {
    return codewords()
        .index_select(0, codes.reshape(-1).to(torch.ScalarType.Long))
        .view(Torch.shape(tokens));
  }

  private static Tensor dot(Tensor a, Tensor b) {
    return a.mul(b).sum(new long[] {-1}, true, new ScalarTypeOptional());
  }

  private static Tensor length(Tensor of) {
    return dot(of, of).sqrt().clamp_min(new Scalar(SHORTEST));
  }

  // ---------------------------------------------------------------- momentum update

  /**
   * The momentum update with the tokens of one step, after their lookup, and restarts of codes that
   * have been unused too long from seeded random tokens of this step. Waits for the device.
   *
   * @param tokens B x N x d float32, contiguous
   * @param codes B x N int32
   * @param seed of the restarts' draws
   * @param step of the run
   * @return how many codes were restarted
   */
  public int update(Tensor tokens, Tensor codes, long seed, int step) {
    requireOpen();
    Rows rows = rows(tokens);
    reserve(rows.count(), 0, 0);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient();
        TorchDevice.Use use = device.use()) {
      codebook.enqueueUpdate(rows, device.memory(codes), momentum, verdicts.next(), use.stream());
      check();
      epochCounts.add_(torch.bincount(codes.reshape(-1), new TensorOptional(), size()));
      return restart(tokens, rows.count(), seed, step);
    }
  }

  /**
   * {@link #update(Tensor, Tensor, long, int)} with the tokens of all ranks, in their order: counts
   * and sums are added up rank by rank in float64, so that the dictionary is the same bits on all
   * of them. A collective.
   *
   * @param tokens as many on every rank
   */
  public int update(Tensor tokens, Tensor codes, long seed, int step, Ranks ranks) {
    if (ranks.isAlone()) {
      return update(tokens, codes, seed, step);
    }
    requireOpen();
    Rows rows = rows(tokens);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient();
        TorchDevice.Use use = device.use()) {
      // Row by row: a codeword's sum of tokens, then how many they are.
      Tensor own = device.zeros64(size() * (width + 1L));
      Tensor sums = own.narrow(0, 0, (long) size() * width);
      Tensor counts = own.narrow(0, (long) size() * width, size());
      codebook.accumulate(
          rows, device.memory(codes), device.memory(counts), device.memory(sums), use.stream());
      own.copy_(ranks.sumInOrder(own));
      codebook.apply(device.memory(counts), device.memory(sums), momentum, use.stream());
      epochCounts.add_(counts.to(torch.ScalarType.Long));
      return restart(tokens, rows.count(), seed, step, ranks);
    }
  }

  private int restart(Tensor tokens, long rows, long seed, int step) {
    return restart(tokens, rows, seed, step, Ranks.alone());
  }

  /** Each dead code gets a token drawn from those of all ranks. */
  private int restart(Tensor tokens, long rows, long seed, int step, Ranks ranks) {
    Tensor found = deadSteps.ge(new Scalar(config.deadSteps())).nonzero();
    if (found.size(0) == 0) {
      return 0;
    }
    int[] dead = Torch.toInts(found.view(-1));
    long[] chosen = new long[dead.length];
    for (int i = 0; i < dead.length; i++) {
      chosen[i] =
          Math.unsignedMultiplyHigh(Draws.draw(seed, step, dead[i], 0), rows * ranks.size());
    }
    Tensor vectors = device.zeros(dead.length, width);
    Tensor own = tokens.view(rows, width);
    for (int i = 0; i < dead.length; i++) {
      if (chosen[i] / rows == ranks.rank()) {
        vectors.select(0, i).copy_(own.select(0, chosen[i] % rows));
      }
    }
    // Each row is one rank's; the zeros of all others leave its bits alone.
    ranks.sum(vectors);
    codebook.restart(dead, Torch.toFloats(vectors));
    restarts += dead.length;
    return dead.length;
  }

  // ---------------------------------------------------------------- neighbours and swaps

  /** Makes the lists of the {@code count} live codes nearest to each code anew. */
  public void refreshNeighbours(int count) {
    requireOpen();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient();
        TorchDevice.Use use = device.use()) {
      Tensor live = counts.ge(new Scalar(config.deadThreshold())).to(torch.ScalarType.Byte);
      if (neighbourCount() != count) {
        keepNeighbours(device.empty(torch.ScalarType.Int, size(), count));
      }
      codebook.neighbours(count, device.memory(live), device.memory(neighbours()), use.stream());
    }
  }

  private void keepNeighbours(Tensor lists) {
    if (neighbours != null) {
      neighbours.releaseReference();
    }
    neighbours = keep(lists);
  }

  /**
   * The lists last made by {@link #refreshNeighbours}, K x R int32, -1 where a list ends; they
   * belong to the dictionary.
   */
  public Tensor neighbours() {
    requireOpen();
    if (neighbours == null) {
      throw new IllegalStateException("refreshNeighbours has not been called");
    }
    return neighbours;
  }

  /** Width of the neighbour lists; 0 before the first {@link #refreshNeighbours}. */
  public int neighbourCount() {
    requireOpen();
    return neighbours == null ? 0 : (int) neighbours.size(1);
  }

  /** {@link Codebook#swap}, in the order of LibTorch's stream; see {@link #check}. */
  public void enqueueSwap(TokenSwap swap, SwapInput in, SwapOutput out) {
    requireOpen();
    reserve(0, swap.images(), swap.tokens());
    try (TorchDevice.Use use = device.use()) {
      codebook.enqueueSwap(swap, in, out, verdicts.next(), use.stream());
    }
    checkOnHost();
  }

  // ---------------------------------------------------------------- use

  /** How well the codes are used. */
  public DictionaryHealth health() {
    requireOpen();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      long live = counts.ge(new Scalar(config.deadThreshold())).sum().item_long();
      return new DictionaryHealth(size(), (int) live, perplexity(counts), restarts);
    }
  }

  /**
   * K: the share of patch tokens that each code has lately, by the smoothed counts; the sum is 1.
   * What a code was given at its restart counts, too.
   */
  public double[] use() {
    requireOpen();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      return Torch.toDoubles(counts.div(counts.sum()));
    }
  }

  /** The exponential of the entropy of counts, 1 to K. */
  private static double perplexity(Tensor counts) {
    Tensor p = counts.div(counts.sum());
    return Math.exp(-p.xlogy(p).sum().item_double());
  }

  /**
   * Ends an epoch: the perplexity of the codes used in it, of 1 (all tokens had one code) to K; a
   * single batch's would understate how many are in use. The next epoch counts from 0.
   */
  public double endEpoch() {
    requireOpen();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      double perplexity = perplexity(epochCounts.to(torch.ScalarType.Double));
      epochCounts.fill_(new Scalar(0));
      return perplexity;
    }
  }

  /** What the codebook has done so far, and on which backend. */
  public Codebook.Calls calls() {
    requireOpen();
    return codebook.calls();
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the dictionary is closed");
    }
  }

  /** Frees the codebook. Calls after the first do nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    codewords.releaseReference();
    counts.releaseReference();
    deadSteps.releaseReference();
    epochCounts.releaseReference();
    if (neighbours != null) {
      neighbours.releaseReference();
    }
    verdicts.close();
    codebook.close();
  }
}
