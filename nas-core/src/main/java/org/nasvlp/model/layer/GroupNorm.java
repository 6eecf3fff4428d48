package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Group normalization (Wu and He, arXiv 1803.08494) in groups of eight channels. */
public final class GroupNorm {
  private static final long CHANNELS = 8;
  private static final double EPSILON = 1e-5;

  private final Parameter weight;
  private final Parameter bias;
  private final long groups;

  /**
   * @param channels a multiple of 8
   */
  public GroupNorm(ParameterScope scope, long channels) {
    this.weight = scope.declare("weight", Start.ONES, false, channels);
    this.bias = scope.declare("bias", Start.ZEROS, false, channels);
    this.groups = channels / CHANNELS;
  }

  /** B x channels x H x W to the same. */
  public Tensor apply(Tensor x) {
    return torch.group_norm(
        x,
        groups,
        new TensorOptional(weight.value()),
        new TensorOptional(bias.value()),
        EPSILON,
        false);
  }
}
