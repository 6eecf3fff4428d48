package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.Rows;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Momentum update of the codebook: the kernel beside LibTorch's moving averages of sums by
 * index_add_, and by SOHO's product with a one-hot matrix, and beside reading as many bytes as an
 * update moves.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class UpdateBenchmark {
  private static final double GAMMA = 0.99;
  private static final double EPSILON = 1e-5;
  private static final MomentumUpdate MOMENTUM = new MomentumUpdate(GAMMA, EPSILON, 0.1);

  /** N x K x d. */
  @Param({"4096x256x128", "4096x512x192", "6272x2048x768"})
  public String shape = "";

  @Param("2")
  public int threads;

  /** Instruction tier of the kernels. */
  @Param("best")
  public String tier = "";

  private PointerScope scope;
  private Problem problem;
  private Tensor codes;
  private Tensor wideCodes;
  private Tensor ones;
  private Tensor n;
  private Tensor m;
  private MemorySegment codeMemory;
  private Tensor bytes;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    problem = Problem.create(shape, "clustered", threads, tier);
    codes = Problem.ints(problem.rows());
    codeMemory = problem.lookup(codes);
    wideCodes = codes.to(torch.ScalarType.Long);
    ones = torch.ones(problem.rows());
    n = torch.ones(problem.size());
    m = problem.codewords().clone();
    bytes = torch.ones(bytes(shape) / Float.BYTES);
    compare(torchUpdate(n.clone(), m.clone()));
    compare(oneHotUpdate(n.clone(), m.clone()));
    System.out.println("# results compared: all codewords agree within 1e-3");
  }

  /** Bytes that one update has to move: x and m are read, m and the codewords are written. */
  static long bytes(String shape) {
    String[] parts = shape.split("x", -1);
    long rows = Long.parseLong(parts[0]);
    long size = Long.parseLong(parts[1]);
    return (rows + 3 * size) * Long.parseLong(parts[2]) * Float.BYTES;
  }

  private void compare(Tensor expected) {
    float[] theirs = Tensors.toFloats(expected);
    try (Codebook copy =
        Codebook.create(
            Backend.CPU, Tensors.segment(problem.codewords()), problem.size(), problem.width())) {
      update(copy);
      float[] ours = copy.state().codewords();
      for (int i = 0; i < ours.length; i++) {
        if (Math.abs(ours[i] - theirs[i]) > 1e-3 * Math.max(1, Math.abs(theirs[i]))) {
          throw new IllegalStateException(
              "codeword element " + i + ": kernel " + ours[i] + ", LibTorch " + theirs[i]);
        }
      }
    }
  }

  private void update(Codebook codebook) {
    codebook.update(
        Rows.of(Tensors.segment(problem.tokens()), problem.rows(), problem.width()),
        codeMemory,
        MOMENTUM,
        0L);
  }

  private Tensor torchUpdate(Tensor counts, Tensor sums) {
    Tensor c = Tensors.zeros(problem.size()).index_add_(0, wideCodes, ones);
    Tensor s =
        Tensors.zeros(problem.size(), problem.width()).index_add_(0, wideCodes, problem.tokens());
    return average(counts, sums, c, s);
  }

  private Tensor oneHotUpdate(Tensor counts, Tensor sums) {
    Tensor member = torch.one_hot(wideCodes, problem.size()).to(torch.ScalarType.Float);
    Tensor c = Tensors.sum(member, 0);
    Tensor s = member.t().matmul(problem.tokens());
    return average(counts, sums, c, s);
  }

  private Tensor average(Tensor counts, Tensor sums, Tensor c, Tensor s) {
    counts.mul_(new Scalar(GAMMA)).add_(c, new Scalar(1 - GAMMA));
    sums.mul_(new Scalar(GAMMA)).add_(s, new Scalar(1 - GAMMA));
    Tensor total = counts.sum();
    Tensor smoothed =
        counts
            .add(new Scalar(EPSILON))
            .div(total.add(new Scalar(problem.size() * EPSILON)))
            .mul(total);
    return sums.div(smoothed.unsqueeze(1));
  }

  @Benchmark
  public void nas() {
    update(problem.codebook());
  }

  @Benchmark
  public long torch() {
    try (PointerScope inner = new PointerScope()) {
      return torchUpdate(n, m).numel();
    }
  }

  @Benchmark
  public long torchOneHot() {
    try (PointerScope inner = new PointerScope()) {
      return oneHotUpdate(n, m).numel();
    }
  }

  @Benchmark
  public double read() {
    try (PointerScope inner = new PointerScope()) {
      return bytes.sum().item_double();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    problem.codebook().close();
    scope.close();
  }
}
