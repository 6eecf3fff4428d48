package org.nasvlp.kernels;

import java.util.Locale;

/** Instruction tiers of the {@link Backend#CUDA} backend, in rising order. */
public enum CudaTier implements Tier {
  /** Any device. */
  SCALAR,
  /**
   * Compute capability 8.0 and later: lookups and neighbour lists screen in int8 on tensor cores.
   * Not verified on a device, and so only in use where {@code -Dnas.cuda.tier=tensor} asks for it.
   */
  TENSOR,
  /**
   * Compute capability 9.0 alone: lookups screen in int8 by warpgroup products (wgmma), lists as in
   * {@link #TENSOR}. Not verified on a device, and so only in use where {@code
   * -Dnas.cuda.tier=hopper} asks for it.
   */
  HOPPER;

  /** The name in lower case, as used by {@code -Dnas.cuda.tier}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
