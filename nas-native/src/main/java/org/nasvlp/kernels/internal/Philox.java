package org.nasvlp.kernels.internal;

/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011.
 */
public final class Philox {
  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int ROUNDS = 10;

  private Philox() {}

  /** The four output words for a key and a counter. */
  static int[] block(int key0, int key1, int c0, int c1, int c2, int c3) {
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = MULTIPLIER_0 * Integer.toUnsignedLong(c0);
      long product1 = MULTIPLIER_1 * Integer.toUnsignedLong(c2);
      c0 = (int) (product1 >>> 32) ^ c1 ^ key0;
      c1 = (int) product1;
      c2 = (int) (product0 >>> 32) ^ c3 ^ key1;
      c3 = (int) product0;
      key0 += WEYL_0;
      key1 += WEYL_1;
    }
    return new int[] {c0, c1, c2, c3};
  }

  /** The 64-bit draw for a token: the first two words, low word first. */
  public static long draw(long seed, int step, long sampleId, int position) {
    int[] words =
        block(
            (int) seed,
            (int) (seed >>> 32),
            (int) sampleId,
            (int) (sampleId >>> 32),
            position,
            step);
    return Integer.toUnsignedLong(words[0]) | (long) words[1] << 32;
  }
}
