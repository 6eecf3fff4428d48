package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** A convolution of B x channels x height x width. */
public final class Convolution {
  private final Parameter weight;
  private final @Nullable Parameter bias;
  private final long stride;
  private final long padding;

  private Convolution(Parameter weight, @Nullable Parameter bias, long stride, long padding) {
    this.weight = weight;
    this.bias = bias;
    this.stride = stride;
    this.padding = padding;
  }

  /** Patches of that size side by side, each mapped linearly; with a bias. */
  public static Convolution ofPatches(
      ParameterScope scope, Start start, long in, long out, long size) {
    return new Convolution(
        scope.declare("weight", start, true, out, in, size, size),
        scope.declare("bias", Start.ZEROS, false, out),
        size,
        0);
  }

  /** 3 x 3 pixels at every second one: half the height and width; without a bias. */
  public static Convolution halving(ParameterScope scope, long in, long out) {
    return new Convolution(scope.declare("weight", Start.FAN_IN, true, out, in, 3, 3), null, 2, 1);
  }

  /** B x in x H x W to B x out x H' x W'. */
  public Tensor apply(Tensor x) {
    return torch.conv2d(
        x,
        weight.value(),
        bias == null ? new TensorOptional() : new TensorOptional(bias.value()),
        new long[] {stride, stride},
        new long[] {padding, padding},
        new long[] {1, 1},
        1);
  }
}
