package org.nasvlp.train;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Parameters;

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) over flat parameter vectors, so that a step is a
 * dozen tensor operations however many parameters there are, and its state two plain tensors in a
 * checkpoint.
 */
final class AdamW implements AutoCloseable {
  private final OptimizerConfig config;
  private final Parameters parameters;
  private final Tensor first;
  private final Tensor second;

  AdamW(OptimizerConfig config, Parameters parameters) {
    this.config = config;
    this.parameters = parameters;
    TorchDevice device = TorchDevice.of(parameters.values());
    try (PointerScope scope = new PointerScope()) {
      first = device.zeros(parameters.count());
      first.retainReference();
      second = device.zeros(parameters.count());
      second.retainReference();
    }
  }

  /** Exponential moving averages of the gradient and of its square. */
  Tensor first() {
    return first;
  }

  Tensor second() {
    return second;
  }

  /**
   * Clips the gradients to the configured norm.
   *
   * @return their norm before
   */
  double clip() {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      double norm = parameters.gradients().norm().item_double();
      if (config.clipNorm() > 0 && norm > config.clipNorm()) {
        parameters.gradients().mul_(new Scalar(config.clipNorm() / (norm + 1e-6)));
      }
      return norm;
    }
  }

  /** One step; {@code count} is the number of steps including this one. */
  void step(double learningRate, long count) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor gradients = parameters.gradients();
      Tensor values = parameters.values();
      if (config.weightDecay() > 0) {
        values
            .narrow(0, 0, parameters.decayed())
            .mul_(new Scalar(1 - learningRate * config.weightDecay()));
      }
      first.lerp_(gradients, new Scalar(1 - config.beta1()));
      second
          .mul_(new Scalar(config.beta2()))
          .addcmul_(gradients, gradients, new Scalar(1 - config.beta2()));
      double correction1 = 1 - Math.pow(config.beta1(), (double) count);
      double correction2 = 1 - Math.pow(config.beta2(), (double) count);
      Tensor denominator =
          second.sqrt().div_(new Scalar(Math.sqrt(correction2))).add_(new Scalar(config.epsilon()));
      values.addcdiv_(first, denominator, new Scalar(-learningRate / correction1));
      gradients.zero_();
    }
  }

  @Override
  public void close() {
    first.releaseReference();
    second.releaseReference();
  }
}
