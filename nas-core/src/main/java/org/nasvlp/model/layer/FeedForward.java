package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Each token alone, through four times the width and GELU (by the error function). */
final class FeedForward {
  private final Linear intermediate;
  private final Linear output;

  /**
   * @param scope of the block
   */
  FeedForward(ParameterScope scope, long width) {
    intermediate = new Linear(scope.scope("intermediate.dense"), width, 4 * width);
    output = new Linear(scope.scope("output.dense"), 4 * width, width);
  }

  /** B x T x d to the same. */
  Tensor apply(Tensor x) {
    return output.apply(torch.gelu(intermediate.apply(x)));
  }
}
