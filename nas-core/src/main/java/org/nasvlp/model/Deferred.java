package org.nasvlp.model;

import org.bytedeco.pytorch.Tensor;

/**
 * Features that begin a graph of their own: their gradient reaches the encoder by a second pass.
 */
public interface Deferred {
  /** The features; their gradient gathers at them. */
  Tensor features();

  /** Passes the features' gradient on to the parameters, after the losses' backward pass. */
  void backward();
}
