package org.nasvlp.model.layer;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;

/** x · weightᵀ + bias, over the last dimension. */
public final class Linear {
  private final Parameter weight;
  private final Parameter bias;

  /** From {@code in} to {@code out} values. */
  public Linear(ParameterScope scope, long in, long out) {
    this(
        scope.declare("weight", Start.XAVIER, true, out, in),
        scope.declare("bias", Start.ZEROS, false, out));
  }

  private Linear(Parameter weight, Parameter bias) {
    this.weight = weight;
    this.bias = bias;
  }

  /**
   * Several of them over the same input as one product, their outputs side by side. They must have
   * been made one after the other; no memory is added and none copied.
   */
  static Linear joined(ParameterScope scope, Linear... parts) {
    return new Linear(
        scope.join(Arrays.stream(parts).map(part -> part.weight).toArray(Parameter[]::new)),
        scope.join(Arrays.stream(parts).map(part -> part.bias).toArray(Parameter[]::new)));
  }

  /** Any shape x in to the same x out. */
  public Tensor apply(Tensor x) {
    return Torch.linear(x, weight.value(), bias.value());
  }

  /**
   * {@code count} of the outputs, from the one numbered {@code from}, and no others: any shape x in
   * to the same x count.
   */
  Tensor applyPart(Tensor x, long from, long count) {
    return Torch.linear(
        x, weight.value().narrow(0, from, count), bias.value().narrow(0, from, count));
  }
}
