package org.nasvlp.model;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/**
 * The memory of a network's parameters: views of one flat float32 vector, their gradients views of
 * another on the same device, so that optimizer, momentum copy, clipping and checkpoints work on
 * whole vectors. Parameters under weight decay come first. Not thread-safe. After {@link #close}
 * every method throws IllegalStateException.
 */
public final class Parameters implements AutoCloseable {
  private final List<Parameter> declared;
  private final List<Parameter> bound = new ArrayList<>();
  private final Tensor values;
  private final Tensor gradients;
  private final long decayed;
  private final Map<String, Tensor> byName = new LinkedHashMap<>();
  private volatile boolean closed;

  private Parameters(Collection<Parameter> declared, boolean trainable, TorchDevice device) {
    this.declared = List.copyOf(declared);
    List<Parameter> ordered = new ArrayList<>();
    declared.stream().filter(Parameter::decay).forEach(ordered::add);
    declared.stream().filter(parameter -> !parameter.decay()).forEach(ordered::add);
    long total = ordered.stream().mapToLong(Parameter::count).sum();
    decayed = ordered.stream().filter(Parameter::decay).mapToLong(Parameter::count).sum();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      values = keep(device.zeros(total));
      gradients = trainable ? keep(device.zeros(total)) : null;
      long offset = 0;
      for (Parameter parameter : ordered) {
        byName.put(parameter.name(), keep(view(parameter, offset)));
        offset += parameter.count();
      }
    }
  }

  /** A part of the values, with the same part of the gradients as its gradient. */
  private Tensor view(Parameter parameter, long offset) {
    long count = parameter.count();
    long[] shape = parameter.shape();
    Tensor view = values.narrow(0, offset, count).view(shape).detach();
    if (gradients != null) {
      view.set_requires_grad(true);
      view.mutable_grad().put(gradients.narrow(0, offset, count).view(shape).detach());
    }
    return view;
  }

  /**
   * Gives the parameters that were declared, and what was joined of them, this memory; constants
   * theirs.
   */
  private Parameters bind(ParameterScope scope, TorchDevice device) {
    Map<String, Long> offsets = new HashMap<>();
    long offset = 0;
    for (var entry : byName.entrySet()) {
      offsets.put(entry.getKey(), offset);
      offset += entry.getValue().numel();
    }
    try (PointerScope pointers = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      for (Parameter parameter : scope.declared().values()) {
        parameter.bind(byName.get(parameter.name()));
        bound.add(parameter);
      }
      for (Parameter joined : scope.joined()) {
        joined.bind(view(joined, offsets.get(joined.parts().getFirst().name())));
        bound.add(joined);
      }
      for (ParameterScope.Constant constant : scope.constants()) {
        Parameter parameter = constant.parameter();
        parameter.bind(device.floats(constant.values(), parameter.shape()));
        bound.add(parameter);
      }
    }
    return this;
  }

  /** Fresh values for what was declared, the same for the same seed, on whatever device. */
  static Parameters create(ParameterScope scope, long seed, TorchDevice device) {
    Parameters parameters =
        new Parameters(scope.declared().values(), true, device).bind(scope, device);
    try (PointerScope pointers = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      // Not the process's generator, which another thread may be drawing from.
      GeneratorOptional generator = new GeneratorOptional(torch.make_generator_cpu(seed));
      for (Parameter parameter : parameters.declared) {
        double deviation = parameter.start().deviation(parameter.shape());
        if (deviation > 0) {
          Tensor drawn = torch.randn(parameter.shape(), generator).mul(new Scalar(deviation));
          parameter.value().copy_(drawn);
        } else if (parameter.start() == Start.ONES) {
          parameter.value().fill_(new Scalar(1.0));
        }
      }
    }
    return parameters;
  }

  /** A copy without gradients, for what another network of the same kind declared. */
  Parameters frozenCopy(ParameterScope scope, TorchDevice device) {
    return new Parameters(scope.declared().values(), false, device)
        .bind(scope, device)
        .copyOf(this);
  }

  /** A copy on the host without gradients, which no network works with. */
  Parameters hostCopy() {
    return new Parameters(declared, false, TorchDevice.CPU).copyOf(this);
  }

  private Parameters copyOf(Parameters source) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      values.copy_(source.values());
    }
    return this;
  }

  private static Tensor keep(Tensor tensor) {
    // Outlives the scope it was made in, until close().
    tensor.retainReference();
    return tensor;
  }

  private void open() {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
  }

  /**
   * Ends the training of some parameters: no gradient is computed for them from now on. Where a few
   * of several that are computed with as one are frozen, theirs is computed with the others'.
   *
   * @param names of parameters
   */
  public void freeze(Set<String> names) {
    open();
    for (Parameter parameter : bound) {
      List<Parameter> parts = parameter.parts().isEmpty() ? List.of(parameter) : parameter.parts();
      if (parts.stream().allMatch(part -> names.contains(part.name()))) {
        Tensor _ = parameter.value().set_requires_grad(false);
      }
    }
  }

  /** Every parameter by name; views that live as long as this object. */
  public Map<String, Tensor> byName() {
    open();
    return Collections.unmodifiableMap(byName);
  }

  /** All values, those under weight decay first. */
  public Tensor values() {
    open();
    return values;
  }

  /** All gradients, in the order of {@link #values}. */
  public Tensor gradients() {
    open();
    if (gradients == null) {
      throw new IllegalStateException("these parameters are not trained");
    }
    return gradients;
  }

  /** How many of the values are under weight decay. */
  public long decayed() {
    open();
    return decayed;
  }

  /** How many values there are. */
  public long count() {
    return values().numel();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    bound.forEach(Parameter::release);
    byName.values().forEach(Pointer::releaseReference);
    values.releaseReference();
    if (gradients != null) {
      gradients.releaseReference();
    }
  }
}
