package org.nasvlp.model;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.Linear;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/** Masked visual modelling (SOHO, arXiv 2104.03135): the mask token, and which code it hid. */
final class MaskedVisualHead {
  private static final double TEMPERATURE = 0.1;

  private final Parameter maskToken;
  private final Linear linear;

  /**
   * @param scope of the whole network
   */
  MaskedVisualHead(ParameterScope scope, long width) {
    maskToken = scope.declare("mvm_mask_token", Start.NORMAL, false, width);
    linear = new Linear(scope.scope("mvm_head"), width, width);
  }

  /** Patch tokens B x N x d with the mask token where {@code masked}, B x N booleans, is true. */
  Tensor mask(Tensor tokens, Tensor masked) {
    return torch.where(masked.unsqueeze(2), maskToken.value(), tokens);
  }

  /** B x K cosines of mapped class tokens B x d to codewords K x d, over a temperature of 0.1. */
  Tensor logits(Tensor cls, Tensor codewords) {
    return Torch.unit(linear.apply(cls))
        .matmul(Torch.unit(codewords).t())
        .div(new Scalar(TEMPERATURE));
  }
}
