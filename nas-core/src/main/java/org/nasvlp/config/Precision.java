package org.nasvlp.config;

/**
 * The arithmetic of the encoders. Parameters, optimiser, dictionary, heads and losses are float32.
 */
public enum Precision {
  /** IEEE float32, without the shortened mantissas of TF32. */
  FLOAT32,

  /**
   * Matrix products and attention of the encoders in bfloat16 with float32 sums (mixed precision:
   * Micikevicius et al., arXiv 1710.03740; bfloat16: Kalamkar et al., arXiv 1905.12322). Made for
   * GPUs; slower than float32 on a processor without bfloat16 units.
   */
  BFLOAT16
}
