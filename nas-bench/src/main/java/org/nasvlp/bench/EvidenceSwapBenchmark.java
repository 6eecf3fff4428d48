package org.nasvlp.bench;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.kernels.Rows;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;
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
 * Token swap by evidence, the default of training: the kernel beside loops over Java arrays that
 * leave the writing to LibTorch, beside LibTorch alone (gather, max, a stable sort, index_copy_),
 * and beside copying the tokens, the least that any swap does.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class EvidenceSwapBenchmark {
  private static final int NEIGHBOURS = 32;

  /** B x N x K x d. */
  @Param({"64x64x512x192", "32x196x2048x768"})
  public String shape = "";

  @Param("2")
  public int threads;

  /** Instruction tier of the kernels. */
  @Param("best")
  public String tier = "";

  private PointerScope scope;
  private Problem problem;
  private TokenSwap swap;
  private int images;
  private int tokens;
  private int chosen;
  private Tensor codes;
  private Tensor lists;
  private Tensor evidence;
  private Tensor evidenceOf;
  private Tensor positions;
  private Tensor substitutes;
  private Tensor out;
  private Tensor scores;
  private Tensor mask;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    String[] parts = shape.split("x", -1);
    images = Integer.parseInt(parts[0]);
    tokens = Integer.parseInt(parts[1]);
    problem =
        Problem.create(
            images * tokens + "x" + parts[2] + "x" + parts[3], "clustered", threads, tier);
    chosen = (int) Math.ceil(0.15 * tokens);
    swap =
        TokenSwap.builder(images, tokens, chosen, NEIGHBOURS)
            .choose(TokenSwap.Choose.GAIN)
            .substitute(TokenSwap.Substitute.MOST_EVIDENCE)
            .write(TokenSwap.Write.RESIDUAL)
            .build();
    codes = Problem.ints(images, tokens);
    problem
        .codebook()
        .lookup(
            Rows.of(Tensors.segment(problem.tokens()), problem.rows(), problem.width()),
            Tensors.segment(codes),
            null,
            0L);
    lists = Problem.ints(problem.size(), NEIGHBOURS);
    problem.codebook().neighbours(NEIGHBOURS, null, Tensors.segment(lists), 0L);
    evidence = Tensors.empty(torch.ScalarType.Double, images, problem.size());
    var values = Tensors.segment(evidence);
    Random random = new Random(3);
    for (long i = 0; i < evidence.numel(); i++) {
      // Some images speak for the word taken out even afterwards, and are left as they are.
      double lean = i / problem.size() % 8 == 0 ? -3 : -0.2;
      values.setAtIndex(ValueLayout.JAVA_DOUBLE, i, random.nextGaussian() + lean);
    }
    evidenceOf = Problem.ints(images);
    for (int b = 0; b < images; b++) {
      Tensors.segment(evidenceOf).setAtIndex(ValueLayout.JAVA_INT, b, b);
    }
    positions = Problem.ints(images, chosen);
    substitutes = Problem.ints(images, chosen);
    out = Tensors.empty(torch.ScalarType.Float, images, tokens, problem.width());
    scores = Tensors.empty(torch.ScalarType.Double, images, tokens);
    mask = Tensors.empty(torch.ScalarType.Byte, images, tokens);
    nas();
    float[] ours = Tensors.toFloats(out);
    if (!Arrays.equals(ours, Tensors.toFloats(javaSwap()))) {
      throw new IllegalStateException("swapped tokens differ from the Java loops'");
    }
    if (!Arrays.equals(ours, Tensors.toFloats(torchSwap()))) {
      throw new IllegalStateException("swapped tokens differ from LibTorch's");
    }
    long swapped =
        Arrays.stream(Tensors.segment(substitutes).toArray(ValueLayout.JAVA_INT))
            .filter(code -> code >= 0)
            .count();
    System.out.println("# results compared: all tokens are equal, " + swapped + " are swapped");
  }

  @Benchmark
  public void nas() {
    problem
        .codebook()
        .swap(
            swap,
            SwapInput.of(
                    Tensors.segment(problem.tokens()),
                    Tensors.segment(codes),
                    Tensors.segment(lists))
                .withEvidence(Tensors.segment(evidence), images, Tensors.segment(evidenceOf)),
            SwapOutput.of(
                    Tensors.segment(positions), Tensors.segment(substitutes), Tensors.segment(out))
                .withScores(Tensors.segment(scores))
                .withMask(Tensors.segment(mask)),
            0L);
  }

  /** From tensors to arrays, loops, and back. */
  private Tensor javaSwap() {
    int[] z = Tensors.toInts(codes);
    int[] neighbours = Tensors.toInts(lists);
    double[] all = Tensors.segment(evidence).toArray(ValueLayout.JAVA_DOUBLE);
    int[] at = new int[images * chosen];
    int[] from = new int[images * chosen];
    int[] put = new int[images * chosen];
    int swaps = 0;
    for (int b = 0; b < images; b++) {
      double[] v = Arrays.copyOfRange(all, b * problem.size(), (b + 1) * problem.size());
      int[] best = new int[tokens];
      double[] gain = new double[tokens];
      double after = 0;
      for (int i = 0; i < tokens; i++) {
        int own = z[b * tokens + i];
        after += v[own];
        best[i] = -1;
        double most = v[own];
        for (int r = 0; r < NEIGHBOURS; r++) {
          int other = neighbours[own * NEIGHBOURS + r];
          if (other >= 0 && v[other] > most) {
            most = v[other];
            best[i] = other;
          }
        }
        gain[i] = most - v[own];
      }
      Integer[] order = new Integer[tokens];
      Arrays.setAll(order, i -> i);
      Arrays.sort(order, (i, k) -> Double.compare(gain[k], gain[i]));
      int here = 0;
      for (; here < chosen && best[order[here]] >= 0; here++) {
        at[swaps + here] = b * tokens + order[here];
        from[swaps + here] = z[b * tokens + order[here]];
        put[swaps + here] = best[order[here]];
        after += gain[order[here]];
      }
      swaps += after <= 0 ? 0 : here;
    }
    Tensor e = problem.codewords();
    Tensor result = problem.tokens().clone();
    Tensor rows = index(at, swaps);
    Tensor replacement =
        result
            .index_select(0, rows)
            .sub(e.index_select(0, index(from, swaps)))
            .add(e.index_select(0, index(put, swaps)));
    return result.index_copy_(0, rows, replacement);
  }

  private static Tensor index(int[] values, int count) {
    long[] wide = new long[count];
    Arrays.setAll(wide, i -> values[i]);
    return Tensors.longs(wide, count);
  }

  private Tensor torchSwap() {
    Tensor z = codes.to(torch.ScalarType.Long);
    Tensor near =
        lists.to(torch.ScalarType.Long).index_select(0, z.view(-1)).view(images, tokens, -1);
    Tensor own = evidence.gather(1, z);
    T_TensorTensor_T most =
        evidence.gather(1, near.view(images, -1)).view(images, tokens, NEIGHBOURS).max(2, false);
    Tensor gain = most.get0().sub(own).clamp_min(new Scalar(0.0));
    T_TensorTensor_T sorted = gain.sort(new BoolOptional(true), 1, true);
    Tensor top = sorted.get1().narrow(1, 0, chosen);
    Tensor taken = sorted.get0().narrow(1, 0, chosen);
    Tensor speaks = own.sum(1).add(taken.sum(1)).gt(new Scalar(0.0));
    Tensor swapped = taken.gt(new Scalar(0.0)).logical_and(speaks.view(images, 1));
    Tensor best = near.gather(2, most.get1().unsqueeze(2)).view(images, tokens).gather(1, top);
    Tensor base = torch.arange(new Scalar(images)).mul(new Scalar(tokens)).view(images, 1);
    Tensor rows = top.add(base).masked_select(swapped);
    Tensor e = problem.codewords();
    Tensor result = problem.tokens().clone();
    Tensor replacement =
        result
            .index_select(0, rows)
            .sub(e.index_select(0, z.gather(1, top).masked_select(swapped)))
            .add(e.index_select(0, best.masked_select(swapped)));
    return result.index_copy_(0, rows, replacement);
  }

  @Benchmark
  public long java() {
    try (PointerScope inner = new PointerScope()) {
      return javaSwap().numel();
    }
  }

  @Benchmark
  public long torch() {
    try (PointerScope inner = new PointerScope()) {
      return torchSwap().numel();
    }
  }

  @Benchmark
  public long copy() {
    try (PointerScope inner = new PointerScope()) {
      return out.view(-1).copy_(problem.tokens().view(-1)).numel();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    problem.codebook().close();
    scope.close();
  }
}
