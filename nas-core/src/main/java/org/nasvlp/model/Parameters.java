package org.nasvlp.model;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * Named parameters that are views of one flat float32 vector, and gradients that are views of
 * another on the same device, so that optimiser, momentum copy, clipping and checkpoints work on
 * whole vectors. Parameters under weight decay come first. Not thread-safe.
 */
public final class Parameters implements AutoCloseable {
  /** Where a parameter's first values come from. */
  enum Start {
    ZEROS,
    ONES,
    /** Normal with standard deviation 0.02, as BERT and ViT start. */
    NORMAL,
    /** Normal with variance 2 / fan-in (He et al., arXiv 1502.01852), for convolutions. */
    FAN_IN,
    /** Normal with variance 2 / (fan-in + fan-out) (Glorot and Bengio, AISTATS 2010). */
    XAVIER
  }

  record Spec(String name, Start start, boolean decay, long... shape) {
    long count() {
      long count = 1;
      for (long size : shape) {
        count = Math.multiplyExact(count, size);
      }
      return count;
    }
  }

  private final Tensor values;
  private final Tensor gradients;
  private final long decayed;
  private final Map<String, Tensor> byName = new LinkedHashMap<>();
  private boolean closed;

  private Parameters(List<Spec> specs, boolean trainable, TorchDevice device) {
    List<Spec> ordered = new ArrayList<>();
    specs.stream().filter(Spec::decay).forEach(ordered::add);
    specs.stream().filter(spec -> !spec.decay()).forEach(ordered::add);
    long total = ordered.stream().mapToLong(Spec::count).sum();
    decayed = ordered.stream().filter(Spec::decay).mapToLong(Spec::count).sum();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      values = keep(device.zeros(total));
      gradients = trainable ? keep(device.zeros(total)) : null;
      long offset = 0;
      for (Spec spec : ordered) {
        long count = spec.count();
        Tensor view = keep(values.narrow(0, offset, count).view(spec.shape()).detach());
        if (trainable) {
          view.set_requires_grad(true);
          view.mutable_grad().put(gradients.narrow(0, offset, count).view(spec.shape()).detach());
        }
        if (byName.put(spec.name(), view) != null) {
          throw new IllegalStateException("two parameters are named " + spec.name());
        }
        offset += count;
      }
    }
  }

  /** Parameters with fresh values, the same for the same seed, on whatever device. */
  static Parameters create(List<Spec> specs, long seed, TorchDevice device) {
    Parameters parameters = new Parameters(specs, true, device);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      torch.manual_seed(seed);
      for (Spec spec : specs) {
        Tensor view = parameters.get(spec.name());
        switch (spec.start()) {
          case ZEROS -> {}
          case ONES -> view.fill_(new org.bytedeco.pytorch.Scalar(1.0));
          case NORMAL -> fill(view, 0.02);
          case FAN_IN -> fill(view, Math.sqrt(2.0 * spec.shape()[0] / Math.max(1, spec.count())));
          case XAVIER -> fill(view, Math.sqrt(2.0 / (spec.shape()[0] + spec.shape()[1])));
        }
      }
    }
    return parameters;
  }

  private static void fill(Tensor view, double deviation) {
    view.copy_(torch.randn(Torch.shape(view)).mul(new org.bytedeco.pytorch.Scalar(deviation)));
  }

  /** A copy without gradients, on a device. */
  static Parameters frozenCopy(List<Spec> specs, Parameters source, TorchDevice device) {
    Parameters copy = new Parameters(specs, false, device);
    try (AutoGradMode off = new AutoGradMode(false)) {
      copy.values.copy_(source.values);
    }
    return copy;
  }

  private static Tensor keep(Tensor tensor) {
    // Outlives the scope it was made in, until close().
    tensor.retainReference();
    return tensor;
  }

  Tensor get(String name) {
    Tensor tensor = byName.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("there is no parameter named " + name);
    }
    return tensor;
  }

  /** Every parameter by name; views that live as long as this object. */
  public Map<String, Tensor> byName() {
    return java.util.Collections.unmodifiableMap(byName);
  }

  /** All values, those under weight decay first. */
  public Tensor values() {
    return values;
  }

  /** All gradients, in the order of {@link #values}. */
  public Tensor gradients() {
    if (gradients == null) {
      throw new IllegalStateException("these parameters are not trained");
    }
    return gradients;
  }

  /** How many of the values are under weight decay. */
  public long decayed() {
    return decayed;
  }

  /** How many values there are. */
  public long count() {
    return values.numel();
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      byName.values().forEach(Pointer::releaseReference);
      values.releaseReference();
      if (gradients != null) {
        gradients.releaseReference();
      }
    }
  }
}
