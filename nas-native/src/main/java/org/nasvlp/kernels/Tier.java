package org.nasvlp.kernels;

import java.util.Locale;

/**
 * Instruction tiers: of the {@link Backend#CPU} backend in rising order, then of the {@link
 * Backend#CUDA} backend, which has {@link #SCALAR} besides. None changes a result.
 */
public enum Tier {
  /** Portable code. */
  SCALAR,
  /** AVX2, FMA and F16C. */
  AVX2,
  /** AVX-512 F, DQ, BW and VL. */
  AVX512,
  /** AVX-512 with VNNI: lookups screen in int8. */
  AVX512_VNNI,
  /** AMX-INT8 besides, where the operating system grants it. */
  AMX,
  /**
   * CUDA, compute capability 8.0 and later: lookups and neighbour lists screen in int8 on tensor
   * cores. Not verified on a device, and so only in use where {@code -Dnas.cuda.tier=tensor} asks
   * for it.
   */
  TENSOR,
  /**
   * CUDA, compute capability 9.0 alone: lookups screen in int8 by warpgroup products (wgmma), lists
   * as in {@link #TENSOR}. Not verified on a device, and so only in use where {@code
   * -Dnas.cuda.tier=hopper} asks for it.
   */
  HOPPER;

  /** The name in lower case, as used by {@code -Dnas.tier}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
