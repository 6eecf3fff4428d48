package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;
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

/** Nearest-codeword lookup: the exact kernel beside LibTorch's float32 addmm and argmin. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class LookupBenchmark {
  /** N x K x d. */
  @Param({"4096x256x128", "4096x512x192", "6272x2048x768"})
  public String shape = "";

  @Param({"gaussian", "clustered"})
  public String data = "";

  @Param("2")
  public int threads;

  private PointerScope scope;
  private Problem problem;
  private Tensor codes;
  private Tensor squaredNorms;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    problem = Problem.create(shape, data.equals("clustered"), threads);
    codes = Problem.ints(problem.rows());
    squaredNorms = problem.squaredNorms();
    compare();
  }

  /** Every kernel index must be the float64 argmin; LibTorch may differ within float32's error. */
  private void compare() {
    MemorySegment ours = problem.lookup(codes);
    long[] theirs = Torch.segment(problem.torchLookup(squaredNorms)).toArray(ValueLayout.JAVA_LONG);
    float[] tokens = Torch.toFloats(problem.tokens());
    float[] codewords = Torch.toFloats(problem.codewords());
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
      return problem.torchLookup(squaredNorms).numel();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    problem.codebook().close();
    scope.close();
  }
}
