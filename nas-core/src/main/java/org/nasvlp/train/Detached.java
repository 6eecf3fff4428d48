package org.nasvlp.train;

import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.nasvlp.model.Deferred;

/**
 * What an encoder gave, cut off from its graph: other ranks' gradient comes when the losses' has
 * been taken, and both go through the encoder together.
 *
 * @param output of the encoder, with its graph
 * @param features the same values, without
 */
record Detached(Tensor output, Tensor features) implements Deferred {
  static Detached of(Tensor output) {
    return new Detached(output, output.detach().set_requires_grad(output.requires_grad()));
  }

  @Override
  public void backward() {
    if (!output.requires_grad()) {
      return; // a frozen encoder
    }
    output.backward(features.grad(), new BoolOptional(), false, new TensorArrayRefOptional());
  }
}
