package org.nasvlp.random;

import org.nasvlp.kernels.Kernels;

/**
 * Counter-based randomness: a draw depends on its coordinates alone, never on what was drawn before
 * or on threads (Philox4x32-10; Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC
 * 2011). The constants are separate streams derived from a run's seed, so that two purposes never
 * see the same numbers.
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
    return draw(runSeed, stream, -1L, 0);
  }

  /** 64 random bits, the kernels' own for the same coordinates. */
  public static long draw(long seed, int step, long sampleId, int position) {
    return Kernels.draw(seed, step, sampleId, position);
  }

  /**
   * A draw mapped to 0..n−1.
   *
   * @param n at least 1
   */
  public static int uniform(long draw, int n) {
    return Kernels.uniform(draw, n);
  }

  /** A draw mapped to [0, 1), with 53 random bits. */
  public static double unit(long draw) {
    return (draw >>> 11) * 0x1.0p-53;
  }
}
