package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
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
 * What a lookup called from Java costs before the kernel begins, beside a lookup of 1024 rows. Run
 * with {@code -prof gc} it also tells what a call allocates.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class OverheadBenchmark {
  @Param("1024x2048x768")
  public String shape = "";

  @Param("2")
  public int threads;

  /** Instruction tier of the kernels. */
  @Param("best")
  public String tier = "";

  private PointerScope scope;
  private Problem problem;
  private MemorySegment tokens;
  private MemorySegment codes;
  private Codebook smallest;
  private MemorySegment number;
  private MemorySegment code;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    problem = Problem.create(shape, "clustered", threads, tier);
    tokens = Tensors.segment(problem.tokens());
    codes = Tensors.segment(Problem.ints(problem.rows()));
    number = Tensors.segment(Tensors.zeros(1));
    code = Tensors.segment(Problem.ints(1));
    smallest = Codebook.create(Backend.CPU, number, 1, 1);
  }

  /** The whole lookup. */
  @Benchmark
  public void nas() {
    problem.codebook().lookup(Rows.of(tokens, problem.rows(), problem.width()), codes, null, 0L);
  }

  /** All checks and the lock, and no native call. */
  @Benchmark
  public void noRows() {
    problem.codebook().lookup(Rows.of(tokens, 0L, problem.width()), codes, null, 0L);
  }

  /**
   * One number and one codeword: checks, lock, native call and what the kernel does once a call.
   */
  @Benchmark
  public void oneNumber() {
    smallest.lookup(Rows.of(number, 1L, 1L), code, null, 0L);
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    smallest.close();
    problem.codebook().close();
    scope.close();
  }
}
