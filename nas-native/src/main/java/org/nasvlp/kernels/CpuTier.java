package org.nasvlp.kernels;

import java.util.Locale;

/** Instruction tiers of the {@link Backend#CPU} backend, in rising order. */
public enum CpuTier implements Tier {
  /** Portable code. */
  SCALAR,
  /** AVX2, FMA and F16C. */
  AVX2,
  /** AVX-512 F, DQ, BW and VL. */
  AVX512,
  /** AVX-512 with VNNI: lookups screen in int8. */
  AVX512_VNNI,
  /** AMX-INT8 besides, where the operating system grants it. */
  AMX;

  /** The name in lower case, as used by {@code -Dnas.tier}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
