package org.nasvlp.kernels;

import java.util.Arrays;
import java.util.Objects;

/**
 * Everything a codebook of K codewords of width d remembers, on the Java heap: what a checkpoint
 * has to hold. The arrays are not copied: whoever makes a state gives them away.
 *
 * @param codewords e, K × d float32, row by row
 * @param n averaged counts, K
 * @param m averaged sums, K × d float32, row by row
 * @param deadSteps consecutive updates for which each code was below the dead threshold, K
 */
@SuppressWarnings("ArrayRecordComponent") // equality is by content below; the arrays are megabytes
public record CodebookState(float[] codewords, double[] n, float[] m, int[] deadSteps) {
  /** Checks that the lengths fit each other. */
  public CodebookState {
    Objects.requireNonNull(codewords, "codewords");
    Objects.requireNonNull(n, "n");
    Objects.requireNonNull(m, "m");
    Objects.requireNonNull(deadSteps, "deadSteps");
    if (n.length == 0
        || deadSteps.length != n.length
        || m.length != codewords.length
        || codewords.length == 0
        || codewords.length % n.length != 0) {
      throw new IllegalArgumentException(
          "codewords, n, m, deadSteps have lengths "
              + codewords.length
              + ", "
              + n.length
              + ", "
              + m.length
              + ", "
              + deadSteps.length
              + "; a state of K codewords of width d has K*d, K, K*d, K");
    }
  }

  /** Equal shapes and the same value in every place (NaN equals NaN, 0.0 differs from -0.0). */
  @Override
  public boolean equals(Object other) {
    return other instanceof CodebookState that
        && Arrays.equals(codewords, that.codewords)
        && Arrays.equals(n, that.n)
        && Arrays.equals(m, that.m)
        && Arrays.equals(deadSteps, that.deadSteps);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(codewords) + Arrays.hashCode(n);
  }

  @Override
  public String toString() {
    return "CodebookState[" + n.length + " x " + codewords.length / n.length + "]";
  }
}
