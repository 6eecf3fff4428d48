package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.VitBlock;

class ParametersTest {
  private static final int D = 15;
  private static final int HEADS = 3;
  private static final List<String> PARTS = List.of("query", "key", "value");

  private static long address(Tensor tensor) {
    return tensor.data_ptr().address();
  }

  private static String name(String part, String kind) {
    return "layer.attention.attention." + part + "." + kind;
  }

  @Test
  void queryKeyAndValueAreOneViewAndThreeOfTheSameMemory() {
    ParameterScope root = ParameterScope.root();
    VitBlock block = new VitBlock(root.scope("layer"), D, HEADS, 1e-6);
    assertThat(root.joined()).hasSize(2);
    try (Parameters parameters = Parameters.create(root, 3, TorchDevice.CPU);
        PointerScope scope = new PointerScope()) {
      assertThat(block).isNotNull();
      for (Parameter joined : root.joined()) {
        String kind = joined.shape().length == 2 ? "weight" : "bias";
        Tensor whole = joined.value();
        long part = whole.numel() / 3;
        assertThat(part).isEqualTo(kind.equals("weight") ? D * D : D);
        for (int i = 0; i < 3; i++) {
          Tensor named = parameters.byName().get(name(PARTS.get(i), kind));
          long offset = i * part * Float.BYTES;
          assertThat(address(named)).isEqualTo(address(whole) + offset);
          assertThat(address(named.grad())).isEqualTo(address(whole.grad()) + offset);
          long before = address(parameters.values());
          assertThat(address(named.grad()) - address(parameters.gradients()))
              .isEqualTo(address(named) - before);
        }
      }
    }
  }

  /** The gradients of the one product are those of three, and lie in the flat vector. */
  @Test
  void gradientsArriveInTheFlatVector() {
    ParameterScope root = ParameterScope.root();
    VitBlock block = new VitBlock(root.scope("layer"), D, HEADS, 1e-6);
    try (Parameters parameters = Parameters.create(root, 3, TorchDevice.CPU);
        PointerScope scope = new PointerScope()) {
      torch.manual_seed(9);
      Tensor x = torch.randn(new long[] {2, 7, D});
      Tensor weights = torch.randn(new long[] {2, 7, D});
      Tensor fused = block.apply(x);
      fused.mul(weights).sum().backward();
      float[] gradients = Torch.toFloats(parameters.gradients());
      List<float[]> values = new ArrayList<>();
      for (String part : PARTS) {
        values.add(Torch.toFloats(parameters.byName().get(name(part, "weight")).grad()));
      }
      // Every parameter but the keys' bias, which softmax does not see, has a gradient.
      for (float[] part : values) {
        assertThat(part).matches(some -> norm(some) > 1e-3);
      }
      parameters.gradients().zero_();

      Tensor apart = apart(parameters, x);
      apart.mul(weights).sum().backward();
      float[] expected = Torch.toFloats(parameters.gradients());
      assertThat(norm(expected)).isGreaterThan(1);
      for (int i = 0; i < expected.length; i++) {
        assertThat(gradients[i]).isCloseTo(expected[i], Offset.offset(2e-5f));
      }
      assertThat(fused.sub(apart).abs().max().item_double()).isLessThan(1e-5);

      // A second backward pass adds to the first.
      block.apply(x).mul(weights).sum().backward();
      float[] twice = Torch.toFloats(parameters.gradients());
      for (int i = 0; i < expected.length; i++) {
        assertThat(twice[i]).isCloseTo(2 * expected[i], Offset.offset(4e-5f));
      }
    }
  }

  private static double norm(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum);
  }

  /** The block by its parameters' names, with a product for each of query, key and value. */
  private static Tensor apart(Parameters parameters, Tensor x) {
    Tensor normed = norm(parameters, x, "layernorm_before");
    List<Tensor> heads = new ArrayList<>();
    for (String part : PARTS) {
      heads.add(
          linear(parameters, normed, "attention.attention." + part)
              .view(2, 7, HEADS, D / HEADS)
              .transpose(1, 2));
    }
    Tensor attended =
        torch
            .scaled_dot_product_attention(
                heads.get(0),
                heads.get(1),
                heads.get(2),
                new TensorOptional(),
                0.0,
                false,
                new DoubleOptional(),
                false)
            .transpose(1, 2)
            .reshape(2, 7, D);
    Tensor between = x.add(linear(parameters, attended, "attention.output.dense"));
    Tensor hidden =
        linear(parameters, norm(parameters, between, "layernorm_after"), "intermediate.dense");
    return between.add(linear(parameters, torch.gelu(hidden), "output.dense"));
  }

  private static Tensor linear(Parameters parameters, Tensor x, String name) {
    return Torch.linear(
        x,
        parameters.byName().get("layer." + name + ".weight"),
        parameters.byName().get("layer." + name + ".bias"));
  }

  private static Tensor norm(Parameters parameters, Tensor x, String name) {
    return Torch.layerNorm(
        x,
        parameters.byName().get("layer." + name + ".weight"),
        parameters.byName().get("layer." + name + ".bias"),
        1e-6);
  }

  @Test
  void aFrozenCopyHasMemoryOfItsOwn() {
    ParameterScope root = ParameterScope.root();
    VitBlock block = new VitBlock(root.scope("layer"), D, HEADS, 1e-6);
    ParameterScope other = ParameterScope.root();
    VitBlock twin = new VitBlock(other.scope("layer"), D, HEADS, 1e-6);
    try (Parameters parameters = Parameters.create(root, 3, TorchDevice.CPU);
        Parameters copy = parameters.frozenCopy(other, TorchDevice.CPU);
        PointerScope scope = new PointerScope()) {
      Tensor x = torch.randn(new long[] {1, 7, D});
      Tensor before = twin.apply(x);
      assertThat(before.requires_grad()).isFalse();
      assertThat(before.equal(block.apply(x).detach())).isTrue();
      try (var off = new org.bytedeco.pytorch.AutoGradMode(false)) {
        parameters.values().mul_(new Scalar(1.5));
      }
      assertThat(before.equal(twin.apply(x))).isTrue();
      assertThat(before.equal(block.apply(x).detach())).isFalse();
      assertThatThrownBy(copy::gradients).isInstanceOf(IllegalStateException.class);
      copy.close();
      assertThatThrownBy(() -> twin.apply(x))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the model is closed");
    }
  }
}
