package org.nasvlp.kernels;

import java.util.Locale;

/** Instruction tiers of the {@link Backend#CPU} backend, in rising order. None changes a result. */
public enum Tier {
  /** Portable code. */
  SCALAR,
  /** AVX2. */
  AVX2,
  /** AVX-512. */
  AVX512;

  /** The name in lower case, as used by {@code -Dnas.tier}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
