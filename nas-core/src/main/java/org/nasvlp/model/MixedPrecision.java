package org.nasvlp.model;

import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.Precision;
import org.nasvlp.internal.Autocast;

/** Forward passes in a configuration's precision; the one place where it is begun. */
record MixedPrecision(Precision precision) {
  /** What is computed in the precision, on that tensor's device. */
  <T> T within(Tensor where, Supplier<T> compute) {
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, where)) {
      return compute.get();
    }
  }

  /** {@link #within}, its result as float32. */
  Tensor toFloat32(Tensor where, Supplier<Tensor> compute) {
    return within(where, compute).to(torch.ScalarType.Float);
  }
}
