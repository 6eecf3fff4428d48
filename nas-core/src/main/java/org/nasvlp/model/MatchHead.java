package org.nasvlp.model;

import org.bytedeco.pytorch.Tensor;
import org.nasvlp.model.layer.Linear;
import org.nasvlp.model.layer.ParameterScope;

/** Whether a caption matches an image, from fusion class tokens. */
final class MatchHead {
  private final Linear linear;

  MatchHead(ParameterScope scope, long width) {
    linear = new Linear(scope, width, 2);
  }

  /** R x d to R x 2 logits, [mismatch, match]. */
  Tensor logits(Tensor cls) {
    return linear.apply(cls);
  }
}
