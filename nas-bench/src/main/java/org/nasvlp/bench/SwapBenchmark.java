package org.nasvlp.bench;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptionalList;
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
 * Token swap: the kernel beside LibTorch's topk, gather and index_put_. LibTorch's side is handed
 * the substitutes ready-made, so it does less. Copying the tokens is the least that any swap does.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class SwapBenchmark {
  private static final int RADIUS = 32;

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
  private Tensor text;
  private Tensor image;
  private Tensor codes;
  private Tensor lists;
  private Tensor ids;
  private Tensor positions;
  private Tensor substitutes;
  private Tensor out;
  private Tensor wideSubstitutes;
  private Tensor rows;

  @Setup(Level.Trial)
  public void setUp() {
    scope = new PointerScope();
    String[] parts = shape.split("x", -1);
    images = Integer.parseInt(parts[0]);
    tokens = Integer.parseInt(parts[1]);
    problem =
        Problem.create(
            images * tokens + "x" + parts[2] + "x" + parts[3], "clustered", threads, tier);
    int chosen = (int) Math.ceil(0.15 * tokens);
    swap = TokenSwap.builder(images, tokens, chosen, RADIUS).draws(1L, 0).build();
    torch.manual_seed(3);
    text = torch.rand(images, tokens);
    image = torch.rand(images, tokens);
    codes = Problem.ints(images, tokens);
    problem
        .codebook()
        .lookup(
            Rows.of(Tensors.segment(problem.tokens()), problem.rows(), problem.width()),
            Tensors.segment(codes),
            null,
            0L);
    lists = Problem.ints(problem.size(), RADIUS);
    problem.codebook().neighbours(RADIUS, null, Tensors.segment(lists), 0L);
    long[] samples = new long[images];
    Arrays.setAll(samples, i -> i);
    ids = Tensors.longs(samples, images);
    positions = Problem.ints(images, chosen);
    substitutes = Problem.ints(images, chosen);
    out = Tensors.empty(torch.ScalarType.Float, images, tokens, problem.width());
    nas();
    int[] drawn = Tensors.segment(substitutes).toArray(ValueLayout.JAVA_INT);
    if (Arrays.stream(drawn).anyMatch(code -> code < 0)) {
      throw new IllegalStateException("a token found no substitute: the comparison needs all");
    }
    wideSubstitutes = substitutes.to(torch.ScalarType.Long);
    long[] row = new long[images * chosen];
    Arrays.setAll(row, i -> i / chosen);
    rows = Tensors.longs(row, images, chosen);
    float[] ours = Tensors.toFloats(out);
    float[] theirs = Tensors.toFloats(torchSwap());
    if (!Arrays.equals(ours, theirs)) {
      throw new IllegalStateException("swapped tokens differ from LibTorch's");
    }
    System.out.println("# results compared: all swapped tokens are equal");
  }

  private static Tensor unitRange(Tensor similarities) {
    Tensor low = similarities.amin(new long[] {1}, true);
    Tensor high = similarities.amax(new long[] {1}, true);
    return similarities.sub(low).div(high.sub(low));
  }

  private Tensor torchSwap() {
    Tensor score = unitRange(text).mul(new Scalar(0.5)).add(unitRange(image).mul(new Scalar(0.5)));
    Tensor top = torch.topk(score, swap.chosen(), 1, true, true).get1();
    Tensor vectors =
        problem
            .codewords()
            .index_select(0, wideSubstitutes.view(-1))
            .view(images, swap.chosen(), problem.width());
    Tensor result = problem.tokens().view(images, tokens, problem.width()).clone();
    TensorOptionalList index = new TensorOptionalList();
    index.push_back(new TensorOptional(rows));
    index.push_back(new TensorOptional(top));
    return result.index_put_(index, vectors);
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
                .withSimilarities(Tensors.segment(text), Tensors.segment(image))
                .withSampleIds(Tensors.segment(ids)),
            SwapOutput.of(
                Tensors.segment(positions), Tensors.segment(substitutes), Tensors.segment(out)),
            0L);
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
