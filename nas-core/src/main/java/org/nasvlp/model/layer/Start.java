package org.nasvlp.model.layer;

/** Where a parameter's first values come from. */
public enum Start {
  ZEROS,
  ONES,
  /** Normal with standard deviation 0.02, as BERT and ViT start. */
  NORMAL,
  /** Normal with variance 2 / fan-in (He et al., arXiv 1502.01852), for convolutions. */
  FAN_IN,
  /** Normal with variance 2 / (fan-in + fan-out) (Glorot and Bengio, AISTATS 2010). */
  XAVIER;

  /**
   * The standard deviation of the values drawn for a shape; 0 if none are drawn.
   *
   * @param shape fan-out first
   */
  public double deviation(long... shape) {
    return switch (this) {
      case ZEROS, ONES -> 0;
      case NORMAL -> 0.02;
      case FAN_IN -> {
        long count = 1;
        for (long size : shape) {
          count *= size;
        }
        yield Math.sqrt(2.0 * shape[0] / Math.max(1, count));
      }
      case XAVIER -> Math.sqrt(2.0 / (shape[0] + shape[1]));
    };
  }
}
