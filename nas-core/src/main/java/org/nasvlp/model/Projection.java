package org.nasvlp.model;

import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.Linear;
import org.nasvlp.model.layer.ParameterScope;

/** A linear map into the space in which images and captions are compared, to length 1. */
final class Projection {
  private final Linear linear;

  Projection(ParameterScope scope, long width, long projection) {
    linear = new Linear(scope, width, projection);
  }

  /** Any shape x d to the same x p. */
  Tensor apply(Tensor features) {
    return Torch.unit(linear.apply(features));
  }
}
