package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;

/** Layer normalization over the last dimension (Ba et al., arXiv 1607.06450). */
public final class LayerNorm {
  private final Parameter weight;
  private final Parameter bias;
  private final double epsilon;

  /**
   * @param width size of the last dimension
   * @param epsilon added to the variance
   */
  public LayerNorm(ParameterScope scope, long width, double epsilon) {
    this.weight = scope.declare("weight", Start.ONES, false, width);
    this.bias = scope.declare("bias", Start.ZEROS, false, width);
    this.epsilon = epsilon;
  }

  /** Any shape x width to the same. */
  public Tensor apply(Tensor x) {
    return Torch.layerNorm(x, weight.value(), bias.value(), epsilon);
  }
}
