package org.nasvlp.internal;

import org.nasvlp.kernels.Kernels;

/**
 * Separate streams of counter-based randomness derived from a run's seed, so that two purposes
 * never see the same numbers. A draw depends on its coordinates alone, never on what was drawn
 * before.
 */
public enum Draws {
  PARAMETERS(0),
  DATA(1),
  MASKING(2),
  HARD_NEGATIVES(3),
  TOKEN_SWAP(4),
  DICTIONARY_START(5),
  DICTIONARY_RESTART(6),
  CAPTION_EDITS(7),
  MASKED_CODES(8);

  private final int stream;

  Draws(int stream) {
    this.stream = stream;
  }

  /** The seed of this purpose's stream in a run with that seed. */
  public long seed(long runSeed) {
    return Kernels.draw(runSeed, stream, -1L, 0);
  }

  /** A draw mapped to [0, 1), with 53 random bits. */
  public static double unit(long draw) {
    return (draw >>> 11) * 0x1.0p-53;
  }
}
