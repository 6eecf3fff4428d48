package org.nasvlp.model.layer;

import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A declared parameter, or several that lie side by side seen as one. It has a value from {@link
 * #bind} to {@link #release}.
 */
public final class Parameter {
  private final String name;
  private final Start start;
  private final boolean decay;
  private final long[] shape;
  private final List<Parameter> parts;
  private @Nullable Tensor value;
  private boolean released;

  Parameter(String name, Start start, boolean decay, List<Parameter> parts, long... shape) {
    this.name = name;
    this.start = start;
    this.decay = decay;
    this.parts = parts;
    this.shape = shape;
  }

  /** The whole name, as checkpoints and weights files have it. */
  public String name() {
    return name;
  }

  /** Where its first values come from. */
  public Start start() {
    return start;
  }

  /** Whether it is under weight decay. */
  public boolean decay() {
    return decay;
  }

  public long[] shape() {
    return shape.clone();
  }

  /** What it joins, in the order of their memory; empty if it is a parameter of its own. */
  public List<Parameter> parts() {
    return parts;
  }

  /** How many numbers it has. */
  public long count() {
    long count = 1;
    for (long size : shape) {
      count = Math.multiplyExact(count, size);
    }
    return count;
  }

  /**
   * Its tensor, which the model owns.
   *
   * @throws IllegalStateException if the model is closed
   */
  public Tensor value() {
    if (value == null) {
      throw new IllegalStateException(
          released ? "the model is closed" : name + " has not been given memory");
    }
    return value;
  }

  /** Gives it its tensor, which outlives the caller's {@code PointerScope}. */
  public void bind(Tensor tensor) {
    if (value != null || released) {
      throw new IllegalStateException(name + " already has memory");
    }
    tensor.retainReference();
    value = tensor;
  }

  /** Lets go of the tensor, for good. */
  public void release() {
    released = true;
    if (value != null) {
      Pointer held = value;
      value = null;
      held.releaseReference();
    }
  }
}
