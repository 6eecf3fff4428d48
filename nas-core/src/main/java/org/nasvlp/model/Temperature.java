package org.nasvlp.model;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/** The learned contrastive temperature, kept as its logarithm (CLIP, arXiv 2103.00020). */
final class Temperature {
  private final Parameter logarithm;

  /**
   * @param scope of the whole network
   */
  Temperature(ParameterScope scope) {
    logarithm = scope.declare("log_temperature", Start.ZEROS, false, 1);
  }

  /** A scalar with gradient. */
  Tensor value() {
    return logarithm.value().exp().squeeze();
  }

  /** Sets it; belongs where gradients are off. */
  void set(double temperature) {
    logarithm.value().fill_(new Scalar(Math.log(temperature)));
  }

  /** Puts it into a range; belongs where gradients are off. */
  void clamp(double low, double high) {
    logarithm
        .value()
        .clamp_(
            new ScalarOptional(new Scalar(Math.log(low))),
            new ScalarOptional(new Scalar(Math.log(high))));
  }
}
