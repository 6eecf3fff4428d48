package org.nasvlp.kernels;

import java.util.Locale;

/**
 * Where the kernels run. The order is that of preference; every backend gives the same bits.
 *
 * @see Kernels#backend()
 */
public enum Backend {
  /** A CUDA device; segments hold device addresses. */
  CUDA,
  /** The host, through the native library and its instruction tiers. */
  CPU,
  /** The host, in plain Java: slow, but without native code. */
  JAVA;

  /** The name in lower case, as used by {@code -Dnas.backend}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
