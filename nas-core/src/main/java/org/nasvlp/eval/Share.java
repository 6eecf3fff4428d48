package org.nasvlp.eval;

/**
 * Right answers among all, with Wilson's 95 % interval (Wilson, JASA 22, 1927).
 *
 * @param right answers that are right
 * @param of answers counted; at least 1
 */
public record Share(int right, int of) {
  private static final double Z = 1.959963984540054;

  /** Checks that 0 ≤ right ≤ of and of ≥ 1. */
  public Share {
    if (of < 1 || right < 0 || right > of) {
      throw new IllegalArgumentException(right + " of " + of + " is no share");
    }
  }

  /** The share, in [0, 1]. */
  public double value() {
    return (double) right / of;
  }

  /** The interval's lower end, in [0, 1]. */
  public double low() {
    return right == 0 ? 0 : middle() - halfWidth();
  }

  /** The interval's upper end, in [0, 1]. */
  public double high() {
    return right == of ? 1 : middle() + halfWidth();
  }

  private double middle() {
    return (value() + Z * Z / (2.0 * of)) / (1 + Z * Z / of);
  }

  private double halfWidth() {
    double p = value();
    return Z * Math.sqrt(p * (1 - p) / of + Z * Z / (4.0 * of * of)) / (1 + Z * Z / of);
  }
}
