package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
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
import org.openjdk.jmh.infra.BenchmarkParams;

/**
 * Nearest-codeword lookup: the exact kernel beside LibTorch's float32 {@code addmm} and {@code
 * argmin}, its fastest form, and beside {@code cdist} and {@code argmin}, the usual one.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class LookupBenchmark {
  /** N x K x d. */
  @Param({
    "6272x2048x768",
    "50176x8192x256",
    "4096x512x192",
    "6272x1024x64",
    "1x2048x768",
    "16x2048x768",
    "197x2048x768"
  })
  public String shape = "";

  /** Or "trained", for which {@code -Dcheckpoint=DIR} names the model and the shape is its own. */
  @Param({"gaussian", "clustered"})
  public String data = "";

  @Param("2")
  public int threads;

  /** Instruction tier of the kernel. */
  @Param("best")
  public String tier = "";

  private PointerScope scope;
  private Problem problem;
  private Tensor codes;
  private TorchLookup torchLookup;

  @Setup(Level.Trial)
  public void setUp(BenchmarkParams running) {
    scope = new PointerScope();
    problem = Problem.create(shape, data, threads, tier);
    codes = Problem.ints(problem.rows());
    torchLookup = new TorchLookup(problem, running.getBenchmark().endsWith("torchCdist"));
    printStats();
    compare();
  }

  /** Tells which path the kernel takes, and what the first lookup after a change pays besides. */
  private void printStats() {
    LookupStats first = lookupWithStats();
    problem.codebook().restore(problem.codebook().state());
    LookupStats changed = lookupWithStats();
    double rows = problem.rows();
    System.out.printf(
        Locale.ROOT,
        "%n# %s: rows by int8 %d, by float32 %d, scanned %d; a row has %.2f candidates and %.2f"
            + " float64 distances; packing took %.2f ms at first, %.2f ms after a change%n",
        changed.tier(),
        changed.rowsInt8(),
        changed.rowsFloat32(),
        changed.rowsScanned(),
        changed.candidates() / rows,
        (changed.distances() + changed.rowsScanned() * (double) problem.size()) / rows,
        first.packingNanos() * 1e-6,
        changed.packingNanos() * 1e-6);
    System.out.printf(
        "# LibTorch makes the matrix of distances in %d part%s of at most %d MiB%n",
        torchLookup.chunks(), torchLookup.chunks() == 1 ? "" : "s", TorchLookup.MOST_BYTES >> 20);
  }

  private LookupStats lookupWithStats() {
    return problem
        .codebook()
        .lookupWithStats(
            new Rows(
                Tensors.segment(problem.tokens()),
                ElementType.FLOAT32,
                problem.rows(),
                problem.width()),
            Tensors.segment(codes),
            null,
            0L);
  }

  /** Every kernel index must be the float64 argmin; LibTorch may differ within float32's error. */
  private void compare() {
    MemorySegment ours = problem.lookup(codes);
    try (PointerScope inner = new PointerScope()) {
      torchLookup.run();
    }
    long[] theirs = torchLookup.codes();
    float[] tokens = Tensors.toFloats(problem.tokens());
    float[] codewords = Tensors.toFloats(problem.codewords());
    int differ = 0;
    for (int i = 0; i < problem.rows(); i++) {
      int mine = ours.getAtIndex(ValueLayout.JAVA_INT, i);
      if (mine != theirs[i]) {
        differ++;
        double a = Problem.distance(tokens, codewords, problem.width(), i, mine);
        double b = Problem.distance(tokens, codewords, problem.width(), i, (int) theirs[i]);
        if (b < a || b - a > 1e-4 * a) {
          throw new IllegalStateException(
              "row "
                  + i
                  + ": kernel "
                  + mine
                  + " at "
                  + a
                  + ", LibTorch "
                  + theirs[i]
                  + " at "
                  + b);
        }
      }
    }
    System.out.println(
        "# results compared: "
            + differ
            + " of "
            + problem.rows()
            + " rows differ, in each of them"
            + " the kernel's codeword is the nearer one");
  }

  @Benchmark
  public MemorySegment nas() {
    return problem.lookup(codes);
  }

  @Benchmark
  public long torch() {
    try (PointerScope inner = new PointerScope()) {
      return torchLookup.run().numel();
    }
  }

  @Benchmark
  public long torchCdist() {
    try (PointerScope inner = new PointerScope()) {
      return torchLookup.run().numel();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    problem.codebook().close();
    scope.close();
  }
}
