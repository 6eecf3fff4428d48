package org.nasvlp.kernels;

import java.util.Locale;

/**
 * Instruction tiers of the {@link Backend#CPU} backend, in rising order. A machine that can run one
 * can run those before it, but for {@link #AVX_VNNI}, which processors with AVX-512 may lack: see
 * {@link Kernels#tiers()}. Lookups screen in int8 on all but the first.
 */
public enum CpuTier implements Tier {
  /** Portable code. */
  SCALAR,
  /** AVX2, FMA and F16C. Lookups round rows to 7 bits. */
  AVX2,
  /** AVX-VNNI besides. */
  AVX_VNNI,
  /** AVX-512 F, DQ, BW and VL. Lookups round rows to 7 bits. */
  AVX512,
  /** AVX-512 with VNNI. */
  AVX512_VNNI,
  /** AMX-INT8 besides, where the operating system grants it. */
  AMX;

  /** The name in lower case, as used by {@code -Dnas.tier}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
