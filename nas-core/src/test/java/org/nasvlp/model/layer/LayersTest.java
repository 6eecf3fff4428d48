package org.nasvlp.model.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.nasvlp.internal.Torch;

/** Each layer gives what its definition says, computed in float64; odd sizes throughout. */
class LayersTest {
  private static final int D = 15;
  private static final int HEADS = 3;

  private final Random random = new Random(5);
  private final ParameterScope root = ParameterScope.root();
  private PointerScope pointers;
  private AutoGradMode off;

  @BeforeEach
  void open() {
    Torch.ensureLoaded();
    pointers = new PointerScope();
    off = new AutoGradMode(false);
  }

  @AfterEach
  void close() {
    root.declared().values().forEach(Parameter::release);
    root.joined().forEach(Parameter::release);
    off.close();
    pointers.close();
  }

  private float[] draw(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (0.4 * random.nextGaussian());
    }
    return values;
  }

  /** Gives everything declared values drawn at random. */
  private void bind() {
    for (Parameter parameter : root.declared().values()) {
      parameter.bind(Torch.floats(draw((int) parameter.count()), parameter.shape()));
    }
    for (Parameter joined : root.joined()) {
      Tensor[] parts = joined.parts().stream().map(Parameter::value).toArray(Tensor[]::new);
      joined.bind(Torch.cat(0, parts));
    }
  }

  private float[] values(String name) {
    return Torch.toFloats(root.declared().get(name).value());
  }

  private double[][] linear(double[][] x, String name) {
    return PlainLayers.linear(x, values(name + ".weight"), values(name + ".bias"));
  }

  private static double[][] rows(float[] values, int from, int count, int width) {
    double[][] out = new double[count][width];
    for (int i = 0; i < count; i++) {
      for (int t = 0; t < width; t++) {
        out[i][t] = values[(from + i) * width + t];
      }
    }
    return out;
  }

  private static void compare(Tensor actual, int from, double[][] expected) {
    float[] values = Torch.toFloats(actual);
    int width = expected[0].length;
    for (int i = 0; i < expected.length; i++) {
      for (int t = 0; t < width; t++) {
        assertThat((double) values[(from + i) * width + t])
            .isCloseTo(expected[i][t], Offset.offset(1e-5));
      }
    }
  }

  @Test
  void linearIsAProductAndASum() {
    Linear linear = new Linear(root.scope("map"), 7, 5);
    bind();
    float[] x = draw(2 * 3 * 7);
    Tensor actual = linear.apply(Torch.floats(x, 2, 3, 7));
    assertThat(Torch.shape(actual)).containsExactly(2, 3, 5);
    compare(actual, 0, linear(rows(x, 0, 6, 7), "map"));
  }

  @Test
  void layerNormIsOverTheLastDimension() {
    double epsilon = 0.01;
    LayerNorm norm = new LayerNorm(root.scope("norm"), 13, epsilon);
    bind();
    float[] x = draw(2 * 3 * 13);
    double[][] expected =
        Arrays.stream(rows(x, 0, 6, 13))
            .map(
                row ->
                    PlainLayers.layerNorm(row, values("norm.weight"), values("norm.bias"), epsilon))
            .toArray(double[][]::new);
    compare(norm.apply(Torch.floats(x, 2, 3, 13)), 0, expected);
  }

  @Test
  void groupNormIsOverEightChannelsAndAllPixels() {
    GroupNorm norm = new GroupNorm(root.scope("norm"), 24);
    bind();
    int pixels = 5 * 3;
    float[] x = draw(2 * 24 * pixels);
    float[] actual = Torch.toFloats(norm.apply(Torch.floats(x, 2, 24, 5, 3)));
    for (int group = 0; group < 2 * 3; group++) {
      double[] values = rows(x, group, 1, 8 * pixels)[0];
      float[] ones = new float[values.length];
      Arrays.fill(ones, 1);
      double[] normed = PlainLayers.layerNorm(values, ones, new float[values.length], 1e-5);
      for (int i = 0; i < normed.length; i++) {
        int channel = group % 3 * 8 + i / pixels;
        assertThat((double) actual[group * 8 * pixels + i])
            .isCloseTo(
                normed[i] * values("norm.weight")[channel] + values("norm.bias")[channel],
                Offset.offset(1e-5));
      }
    }
  }

  @Test
  void halvingLooksAtEverySecondPixelAndItsNeighbours() {
    Convolution halving = Convolution.halving(root.scope("stem"), 2, 3);
    bind();
    float[] x = draw(2 * 5 * 7);
    Tensor actual = halving.apply(Torch.floats(x, 1, 2, 5, 7));
    assertThat(Torch.shape(actual)).containsExactly(1, 3, 3, 4);
    float[] kernel = values("stem.weight");
    double[][] expected = new double[3][12];
    for (int o = 0; o < 3; o++) {
      for (int at = 0; at < 12; at++) {
        for (int k = 0; k < 18; k++) {
          int row = at / 4 * 2 - 1 + k % 9 / 3;
          int column = at % 4 * 2 - 1 + k % 3;
          if (row >= 0 && row < 5 && column >= 0 && column < 7) {
            expected[o][at] += (double) kernel[o * 18 + k] * x[(k / 9 * 5 + row) * 7 + column];
          }
        }
      }
    }
    compare(actual, 0, expected);
  }

  @Test
  void patchesLieSideBySide() {
    Convolution patches = Convolution.ofPatches(root.scope("patch"), Start.NORMAL, 1, 3, 2);
    bind();
    float[] x = draw(4 * 6);
    Tensor actual = patches.apply(Torch.floats(x, 1, 1, 4, 6));
    assertThat(Torch.shape(actual)).containsExactly(1, 3, 2, 3);
    double[][] pixels = new double[6][4];
    for (int at = 0; at < 6; at++) {
      for (int k = 0; k < 4; k++) {
        pixels[at][k] = x[(at / 3 * 2 + k / 2) * 6 + at % 3 * 2 + k % 2];
      }
    }
    compare(actual.flatten(2, 3).transpose(1, 2).contiguous(), 0, linear(pixels, "patch"));
  }

  @Test
  void selfAttentionLeavesPaddingOut() {
    SelfAttention attention =
        new SelfAttention(root.scope("attention"), "self", new Heads(HEADS, D));
    bind();
    int tokens = 7;
    float[] x = draw(2 * tokens * D);
    // The second row has a gap, and no padding behind.
    long[] mask = {1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1};
    Tensor attentionMask = Torch.longs(mask, 2, tokens).ne(new Scalar(0));
    Packing packing = Packing.of(attentionMask);
    Tensor packed = packing.pack(Torch.floats(x, 2, tokens, D));
    Tensor actual = attention.apply(packed, packing);
    Tensor first = attention.applyToFirst(packed, packing);
    Tensor unmasked = attention.apply(Torch.floats(x, 2, tokens, D));
    int at = 0;
    for (int row = 0; row < 2; row++) {
      double[][] in = rows(x, row * tokens, tokens, D);
      boolean[] seen = new boolean[tokens];
      for (int i = 0; i < tokens; i++) {
        seen[i] = mask[row * tokens + i] == 1;
      }
      double[][] expected = selfAttention(in, seen);
      compare(first, row, new double[][] {expected[0]});
      for (int i = 0; i < tokens; i++) {
        if (seen[i]) {
          compare(actual, at++, new double[][] {expected[i]});
        }
      }
      Arrays.fill(seen, true);
      compare(unmasked, row * tokens, selfAttention(in, seen));
    }
  }

  @Test
  void sequencesArePackedInAnyOrderAndAnyNumberOfTimes() {
    long[] mask = {1, 1, 0, 1, 1, 1, 1, 0, 0};
    float[] values = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    Tensor attentionMask = Torch.longs(mask, 3, 3).ne(new Scalar(0));
    Tensor x = Torch.floats(values, 3, 3, 1);
    Packing all = Packing.of(attentionMask);
    assertThat(Torch.toFloats(all.pack(x))).containsExactly(1, 2, 4, 5, 6, 7);
    assertThat(Torch.toFloats(all.firstOf(all.pack(x)))).containsExactly(1, 4, 7);
    assertThat(Torch.toFloats(all.unpack(all.pack(x)).contiguous()))
        .containsExactly(1, 2, 0, 4, 5, 6, 7, 0, 0);
    Packing some = Packing.of(attentionMask, Torch.index(new int[] {2, 1, 2, 0}));
    Tensor packed = some.pack(x);
    assertThat(Torch.toFloats(packed)).containsExactly(7, 4, 5, 6, 7, 1, 2);
    assertThat(Torch.toFloats(some.firstOf(packed))).containsExactly(7, 4, 7, 1);
    Tensor padded = some.unpack(packed);
    assertThat(Torch.toFloats(padded)).containsExactly(7, 0, 0, 4, 5, 6, 7, 0, 0, 1, 2, 0);
    assertThat(Torch.toFloats(some.packOwn(padded))).containsExactly(Torch.toFloats(packed));
  }

  private double[][] selfAttention(double[][] in, boolean[] seen) {
    double[][] gathered =
        PlainLayers.attend(
            linear(in, "attention.self.query"),
            linear(in, "attention.self.key"),
            linear(in, "attention.self.value"),
            HEADS,
            seen);
    return linear(gathered, "attention.output.dense");
  }

  @Test
  void crossAttentionLooksAtTheChosenRows() {
    CrossAttention attention = new CrossAttention(root.scope("cross"), new Heads(HEADS, D));
    bind();
    int tokens = 3;
    int other = 11;
    int[] rows = {1, 1, 0};
    float[] x = draw(rows.length * tokens * D);
    float[] seen = draw(2 * other * D);
    CrossAttention.Context context = attention.context(Torch.floats(seen, 2, other, D));
    Packing packing =
        Packing.of(Torch.longs(new long[] {1, 1, 0, 1, 1, 1, 1, 0, 0}, 3, 3).ne(new Scalar(0)));
    Tensor packed = packing.pack(Torch.floats(x, rows.length, tokens, D));
    Tensor actual =
        packing.unpack(attention.apply(packed, packing, context.rows(Torch.index(rows))));
    Tensor first = attention.applyToFirst(packing.firstOf(packed), context.rows(Torch.index(rows)));
    int[] lengths = {2, 3, 1};
    boolean[] all = new boolean[other];
    Arrays.fill(all, true);
    for (int row = 0; row < rows.length; row++) {
      double[][] in = rows(x, row * tokens, tokens, D);
      double[][] of = rows(seen, rows[row] * other, other, D);
      double[][] gathered =
          PlainLayers.attend(
              linear(in, "cross.self.query"),
              linear(of, "cross.self.key"),
              linear(of, "cross.self.value"),
              HEADS,
              all);
      double[][] expected = linear(gathered, "cross.output.dense");
      compare(first, row, new double[][] {expected[0]});
      for (int i = 0; i < lengths[row]; i++) {
        compare(actual, row * tokens + i, new double[][] {expected[i]});
      }
    }
  }

  @Test
  void feedForwardGoesThroughGelu() {
    FeedForward feedForward = new FeedForward(root.scope("layer"), 5);
    bind();
    float[] x = draw(3 * 5);
    double[][] hidden = linear(rows(x, 0, 3, 5), "layer.intermediate.dense");
    assertThat(hidden[0]).hasSize(20);
    for (double[] row : hidden) {
      Arrays.setAll(row, i -> PlainLayers.gelu(row[i]));
    }
    compare(feedForward.apply(Torch.floats(x, 1, 3, 5)), 0, linear(hidden, "layer.output.dense"));
  }

  @Test
  void namesAreUniqueAndValuesAreThereFromBindToRelease() {
    Parameter weight = root.scope("a").declare("b", Start.ONES, true, 2);
    assertThat(weight.name()).isEqualTo("a.b");
    assertThatThrownBy(() -> root.declare("a.b", Start.ONES, true, 2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("a.b");
    assertThatThrownBy(weight::value)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("a.b");
    bind();
    assertThat(Torch.shape(weight.value())).containsExactly(2);
    weight.release();
    weight.release();
    assertThatThrownBy(weight::value)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the model is closed");
  }

  @Test
  void onlyNeighboursInMemoryAreJoined() {
    Parameter a = root.declare("a", Start.XAVIER, true, 2, 3);
    Parameter bias = root.declare("bias", Start.ZEROS, false, 2);
    Parameter b = root.declare("b", Start.XAVIER, true, 5, 3);
    Parameter c = root.declare("c", Start.XAVIER, true, 1, 4);
    // The bias is not under weight decay, so it does not lie between them.
    Parameter joined = root.join(a, b);
    assertThat(joined.shape()).containsExactly(7, 3);
    assertThat(joined.parts()).containsExactly(a, b);
    for (Parameter[] wrong : new Parameter[][] {{b, a}, {b, c}, {a, bias}, {a, c}}) {
      assertThatThrownBy(() -> root.join(wrong))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("does not continue");
    }
  }
}
