package org.nasvlp.internal;

import org.nasvlp.kernels.Kernels;

/**
 * Separate streams of counter-based randomness derived from a run's seed, so that two purposes
 * never see the same numbers. A draw depends on its coordinates alone, never on what was drawn
 * before.
 */
public enum Draws {
  PARAMETERS,
  DATA,
  MASKING,
  HARD_NEGATIVES,
  TOKEN_SWAP,
  DICTIONARY_START,
  DICTIONARY_RESTART;

  /** The seed of this purpose's stream in a run with that seed. */
  public long seed(long runSeed) {
    return Kernels.draw(runSeed, ordinal(), -1L, 0);
  }

  /** A draw mapped to [0, 1), with 53 random bits. */
  public static double unit(long draw) {
    return (draw >>> 11) * 0x1.0p-53;
  }
}
