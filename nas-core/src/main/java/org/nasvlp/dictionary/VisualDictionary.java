package org.nasvlp.dictionary;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.Rows;
import org.nasvlp.random.Draws;

/**
 * The Visual Dictionary (SOHO, arXiv 2104.03135, section 3.2): K codewords that turn continuous
 * patch tokens into discrete codes, refined by an exponential moving average of the tokens they
 * stand for.
 *
 * <p>Tensors are float32, contiguous, and on the dictionary's device; codes are int32. Returned
 * tensors belong to the caller's {@code PointerScope}. Lookups may run at the same time; {@link
 * #update}, {@link #neighbours} and {@link #close} belong to one thread.
 */
public final class VisualDictionary implements AutoCloseable {
  private final DictionaryConfig config;
  private final int width;
  private final TorchDevice device;
  private final Codebook codebook;
  private final MomentumUpdate momentum;
  private CodebookState state;
  private int[] neighbours = new int[0];
  private int radius;
  private long restarts;
  private long[] epochCounts;

  private VisualDictionary(
      DictionaryConfig config, int width, float[] codewords, TorchDevice device) {
    this.config = config;
    this.width = width;
    this.device = device;
    try (PointerScope scope = new PointerScope();
        TorchDevice.Use use = device.use()) {
      Tensor values = device.floats(codewords, config.codewords(), width);
      device.synchronise();
      this.codebook =
          Codebook.create(device.kernels(), device.memory(values), config.codewords(), width);
      this.state = codebook.state();
    }
    this.momentum = new MomentumUpdate(config.momentum(), config.epsilon(), config.deadThreshold());
    this.epochCounts = new long[config.codewords()];
  }

  /** {@link #start(DictionaryConfig, float[], int, long, TorchDevice)} on the host. */
  public static VisualDictionary start(
      DictionaryConfig config, float[] features, int width, long seed) {
    return start(config, features, width, seed, TorchDevice.CPU);
  }

  /**
   * Starts a dictionary from features by k-means++ seeding (Arthur and Vassilvitskii, SODA 2007).
   *
   * @param features rows x width patch tokens, row-major; at least K rows
   * @param seed decides the choice
   * @param device where the codebook and the tokens to come lie
   * @throws IllegalArgumentException if there are fewer rows than codewords
   */
  public static VisualDictionary start(
      DictionaryConfig config, float[] features, int width, long seed, TorchDevice device) {
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
    return new VisualDictionary(
        config, width, kMeansPlusPlus(features, rows, width, size, seed), device);
  }

  /** A dictionary as it was saved: see {@link #state()}. */
  public static VisualDictionary restore(
      DictionaryConfig config, int width, Saved saved, TorchDevice device) {
    VisualDictionary dictionary =
        new VisualDictionary(config, width, saved.codebook().codewords(), device);
    try (TorchDevice.Use use = device.use()) {
      dictionary.codebook.restore(saved.codebook());
      dictionary.state = dictionary.codebook.state();
    }
    dictionary.neighbours = saved.neighbours().clone();
    dictionary.radius = saved.radius();
    dictionary.restarts = saved.restarts();
    dictionary.epochCounts = saved.epochCounts().clone();
    return dictionary;
  }

  /**
   * Everything that training needs to go on as if it had not stopped.
   *
   * @param codebook codewords and moving averages
   * @param neighbours K x radius lists of nearest codes, or empty
   * @param radius width of the lists
   * @param restarts codes restarted so far
   * @param epochCounts K: how often each code was used since the epoch began
   */
  public record Saved(
      CodebookState codebook, int[] neighbours, int radius, long restarts, long[] epochCounts) {}

  /** A copy of the dictionary's state. */
  public Saved state() {
    try (TorchDevice.Use use = device.use()) {
      return new Saved(codebook.state(), neighbours.clone(), radius, restarts, epochCounts.clone());
    }
  }

  private static float[] kMeansPlusPlus(
      float[] features, int rows, int width, int size, long seed) {
    float[] codewords = new float[size * width];
    double[] nearest = new double[rows];
    Arrays.fill(nearest, Double.POSITIVE_INFINITY);
    int chosen = Draws.uniform(Draws.draw(seed, 0, 0, 0), rows);
    for (int j = 0; ; j++) {
      System.arraycopy(features, chosen * width, codewords, j * width, width);
      if (j == size - 1) {
        return codewords;
      }
      int last = chosen;
      IntStream all = IntStream.range(0, rows);
      (Kernels.threads() > 1 ? all.parallel() : all)
          .forEach(
              i -> nearest[i] = Math.min(nearest[i], squaredDistance(features, i, last, width)));
      double total = 0; // in the order of the rows: the same bits however many threads there are
      for (int i = 0; i < rows; i++) {
        total += nearest[i];
      }
      long draw = Draws.draw(seed, 0, 0, j + 1);
      if (total == 0) {
        chosen = Draws.uniform(draw, rows);
        continue;
      }
      double target = Draws.unit(draw) * total;
      int next = -1;
      for (int i = 0; i < rows; i++) {
        if (nearest[i] > 0) {
          next = i;
          target -= nearest[i];
          if (target < 0) {
            break;
          }
        }
      }
      chosen = next;
    }
  }

  private static float squaredDistance(float[] features, int a, int b, int width) {
    float sum = 0;
    for (int t = 0; t < width; t++) {
      float difference = features[a * width + t] - features[b * width + t];
      sum += difference * difference;
    }
    return sum;
  }

  /** Number of codewords, K. */
  public int size() {
    return config.codewords();
  }

  /** Width of a codeword, d. */
  public int width() {
    return width;
  }

  /**
   * The nearest codeword of every patch token.
   *
   * @param tokens ... x d float32, contiguous
   * @return int32 codes of the leading shape
   * @throws org.nasvlp.kernels.NonFiniteInputException naming the first token with a NaN or
   *     infinity
   */
  public Tensor lookup(Tensor tokens) {
    long[] shape = Torch.shape(tokens);
    if (shape[shape.length - 1] != width) {
      throw new IllegalArgumentException(
          "tokens have width "
              + shape[shape.length - 1]
              + ", the dictionary's codewords have width "
              + width);
    }
    long rows = tokens.numel() / width;
    Tensor codes = device.empty(torch.ScalarType.Int, Arrays.copyOf(shape, shape.length - 1));
    try (TorchDevice.Use use = device.use()) {
      codebook.lookup(
          Rows.of(device.memory(tokens), rows, width), device.memory(codes), null, use.stream());
    }
    return codes;
  }

  /** A copy of the codewords, K x d float32. */
  public Tensor codewords() {
    return device.floats(state.codewords(), size(), width);
  }

  /**
   * Quantised tokens q = v + sg(e_z - v): the value of the codeword, the gradient passed straight
   * through to v (van den Oord et al., arXiv 1711.00937).
   *
   * @param tokens B x N x d
   * @param codes B x N int32, from {@link #lookup}
   */
  public Tensor quantise(Tensor tokens, Tensor codes) {
    Tensor chosen =
        codewords()
            .index_select(0, codes.reshape(-1).to(torch.ScalarType.Long))
            .view(Torch.shape(tokens));
    return tokens.add(chosen.sub(tokens).detach());
  }

  /**
   * The momentum update with the tokens of one step, after their lookup, and restarts of codes that
   * have been unused too long from seeded random tokens of this step.
   *
   * @param tokens B x N x d float32, contiguous
   * @param codes B x N int32
   * @param seed of the restarts' draws
   * @param step of the run
   * @return how many codes were restarted
   */
  public int update(Tensor tokens, Tensor codes, long seed, int step) {
    long rows = tokens.numel() / width;
    try (TorchDevice.Use use = device.use()) {
      codebook.update(
          Rows.of(device.memory(tokens), rows, width),
          device.memory(codes),
          momentum,
          use.stream());
      state = codebook.state();
    }
    try (PointerScope scope = new PointerScope()) {
      for (int code : Torch.toInts(codes)) {
        epochCounts[code]++;
      }
    }
    List<Integer> dead = new ArrayList<>();
    for (int j = 0; j < size(); j++) {
      if (state.deadSteps()[j] >= config.deadSteps()) {
        dead.add(j);
      }
    }
    if (!dead.isEmpty()) {
      int[] restarted = dead.stream().mapToInt(Integer::intValue).toArray();
      long[] chosen = new long[restarted.length];
      for (int i = 0; i < restarted.length; i++) {
        long draw = Draws.draw(seed, step, restarted[i], 0);
        chosen[i] = Math.unsignedMultiplyHigh(draw, rows);
      }
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false);
          TorchDevice.Use use = device.use()) {
        Tensor vectors =
            tokens.view(rows, width).index_select(0, device.longs(chosen, chosen.length));
        codebook.restart(restarted, Torch.toFloats(vectors));
        state = codebook.state();
      }
      restarts += restarted.length;
    }
    return dead.size();
  }

  /** Makes the lists of the {@code radius} live codes nearest to each code anew. */
  public void refreshNeighbours(int radius) {
    byte[] live = new byte[size()];
    for (int j = 0; j < live.length; j++) {
      live[j] = (byte) (state.n()[j] >= config.deadThreshold() ? 1 : 0);
    }
    try (PointerScope scope = new PointerScope();
        TorchDevice.Use use = device.use()) {
      Tensor flags = Torch.empty(torch.ScalarType.Byte, size());
      Torch.copyInto(flags, MemorySegment.ofArray(live));
      Tensor liveTensor = device.put(flags);
      Tensor out = device.empty(torch.ScalarType.Int, size(), radius);
      codebook.neighbours(radius, device.memory(liveTensor), device.memory(out), use.stream());
      neighbours = Torch.toInts(out);
      this.radius = radius;
    }
  }

  /** The lists last made by {@link #refreshNeighbours}, K x radius int32, -1 where a list ends. */
  public Tensor neighbours() {
    if (radius == 0) {
      throw new IllegalStateException("refreshNeighbours has not been called");
    }
    Tensor out = Torch.empty(torch.ScalarType.Int, size(), radius);
    Torch.copyInto(out, MemorySegment.ofArray(neighbours));
    return device.put(out);
  }

  /** Width of the neighbour lists; 0 before the first {@link #refreshNeighbours}. */
  public int radius() {
    return radius;
  }

  /** The codebook that does the work. It belongs to the dictionary: do not close it. */
  public Codebook codebook() {
    return codebook;
  }

  /** How well the codes are used. */
  public DictionaryHealth health() {
    int live = 0;
    for (double n : state.n()) {
      if (n >= config.deadThreshold()) {
        live++;
      }
    }
    return new DictionaryHealth(size(), live, perplexity(state.n()), restarts);
  }

  private static double perplexity(double[] counts) {
    double total = Arrays.stream(counts).sum();
    double entropy = 0;
    for (double count : counts) {
      if (count > 0) {
        double p = count / total;
        entropy -= p * Math.log(p);
      }
    }
    return Math.exp(entropy);
  }

  /**
   * Ends an epoch: the perplexity of the codes used in it, of 1 (all tokens had one code) to K; a
   * single batch's would understate how many are in use. The next epoch counts from 0.
   */
  public double endEpoch() {
    double perplexity = perplexity(Arrays.stream(epochCounts).asDoubleStream().toArray());
    Arrays.fill(epochCounts, 0);
    return perplexity;
  }

  @Override
  public void close() {
    codebook.close();
  }
}
