package org.nasvlp.bench;

import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
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
 * Lists of nearest codes, made anew: the kernel beside LibTorch's addmm and topk. Every other call
 * asks for lists one longer, since the kernel would make those of the same length from the last.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class NeighboursBenchmark {
  private static final int RADIUS = 32;

  /** N x K x d; N is not used. */
  @Param({"1x512x192", "1x2048x768"})
  public String shape = "";

  @Param("2")
  public int threads;

  /** Instruction tier of the kernels. */
  @Param("best")
  public String tier = "";

  private PointerScope scope;
  private Problem problem;
  private Tensor lists;
  private Tensor longerLists;
  private boolean longer;
  private Tensor squaredNorms;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    problem = Problem.create(shape, "gaussian", threads, tier);
    lists = Problem.ints(problem.size(), RADIUS);
    longerLists = Problem.ints(problem.size(), RADIUS + 1);
    squaredNorms = problem.squaredNorms();
    compare();
  }

  private void compare() {
    nas();
    nas();
    long[] theirs = Tensors.segment(torchNeighbours().contiguous()).toArray(ValueLayout.JAVA_LONG);
    int[] ours = Tensors.segment(lists).toArray(ValueLayout.JAVA_INT);
    float[] codewords = Tensors.toFloats(problem.codewords());
    for (int i = 0; i < ours.length; i++) {
      int code = i / RADIUS;
      double a = Problem.distance(codewords, codewords, problem.width(), code, ours[i]);
      double b = Problem.distance(codewords, codewords, problem.width(), code, (int) theirs[i]);
      if (Math.abs(a - b) > 1e-4 * a) {
        throw new IllegalStateException(
            "rank " + i % RADIUS + " of code " + code + ": kernel " + a + ", LibTorch " + b);
      }
    }
    System.out.println("# results compared: the distances at every rank agree within 1e-4");
  }

  private Tensor torchNeighbours() {
    Tensor distances =
        torch.addmm(
            squaredNorms,
            problem.codewords(),
            problem.codewords().t(),
            new Scalar(1),
            new Scalar(-2));
    distances.fill_diagonal_(new Scalar(Float.POSITIVE_INFINITY));
    return torch.topk(distances, RADIUS, 1, false, true).get1();
  }

  @Benchmark
  public void nas() {
    longer = !longer;
    int radius = longer ? RADIUS + 1 : RADIUS;
    Tensor out = longer ? longerLists : lists;
    problem.codebook().neighbours(radius, null, Tensors.segment(out), 0L);
  }

  @Benchmark
  public long torch() {
    try (PointerScope inner = new PointerScope()) {
      return torchNeighbours().numel();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    problem.codebook().close();
    scope.close();
  }
}
