package org.nasvlp.kernels;

import java.util.List;
import org.nasvlp.kernels.internal.Libraries;
import org.nasvlp.kernels.internal.Philox;

/**
 * What the kernels of this process run on, and the settings that hold for all of them. No setting
 * changes a result. All methods are safe to call from any thread.
 *
 * <p>System properties, read at first use:
 *
 * <ul>
 *   <li>{@code nas.backend} = {@code cuda|cpu|java}: the backend to use. It can only ask for less:
 *       backends above it are switched off, and asking for one that is not available is an error
 *       that says why.
 *   <li>{@code nas.tier} = {@code scalar|avx2|avx_vnni|avx512|avx512_vnni|amx}: likewise for the
 *       instruction tier.
 *   <li>{@code nas.cuda.tier} = {@code scalar|tensor|hopper}: how the CUDA library screens; see
 *       {@link CudaTier#TENSOR} and {@link CudaTier#HOPPER}
 *   <li>{@code nas.threads}: threads one call may use, 1..1024.
 *   <li>{@code nas.native.path}: a native library, or a folder that holds {@code libnas_kernels.so}
 *       or {@code libnas_kernels_cuda.so}; then nothing else is searched, and a failure to load is
 *       an error rather than a reason to go on in Java.
 *   <li>{@code nas.native.cache}: folder into which the libraries shipped in jars are copied once
 *       (default {@code $XDG_CACHE_HOME/nas/native} or {@code ~/.cache/nas/native}, then {@code
 *       java.io.tmpdir}). It has to allow execution. See {@link NativeCache}.
 * </ul>
 */
public final class Kernels {
  private Kernels() {}

  /**
   * The default backend: the best one available, or what {@code -Dnas.backend} asks for. Chosen
   * once. If no native library can be loaded, it is {@link Backend#JAVA} and one warning says why.
   *
   * @throws NasNativeException if a system property asks for something that is not there
   * @throws IllegalArgumentException if a system property has no valid value
   */
  public static Backend backend() {
    return Libraries.chosen();
  }

  /** Whether a codebook can be created with this backend. */
  public static boolean isAvailable(Backend backend) {
    return Libraries.unavailableReason(backend).isEmpty();
  }

  /**
   * Why the backend is not available, with the remedy where there is one; "" if it is available.
   */
  public static String unavailableReason(Backend backend) {
    return Libraries.unavailableReason(backend);
  }

  /**
   * One line that tells what {@link #backend()} runs on, such as {@code cpu avx512, 2 threads
   * (libnas_kernels ABI 6)} or {@code java, 2 threads (native library not loaded: …)}.
   */
  public static String describe() {
    return Libraries.describe();
  }

  /** Threads that one call may use, the caller's included; at first the processors available. */
  public static int threads() {
    return Libraries.threads();
  }

  /**
   * Sets {@link #threads()} for calls that begin later.
   *
   * @throws IllegalArgumentException if n is not in 1..1024
   */
  public static void setThreads(int n) {
    Libraries.setThreads(n);
  }

  /**
   * The instruction tier of the CPU backend in use; {@link CpuTier#SCALAR} if it is not available.
   */
  public static CpuTier tier() {
    return Libraries.tier();
  }

  /**
   * Sets {@link #tier()} for calls that begin later.
   *
   * @throws IllegalArgumentException if the tier is not among {@link #tiers()}
   */
  public static void setTier(CpuTier tier) {
    Libraries.setTier(tier);
  }

  /** The tiers this machine can run, in rising order; the first is {@link CpuTier#SCALAR}. */
  public static List<CpuTier> tiers() {
    return Libraries.tiers();
  }

  /** The highest tier this machine can run; {@link CpuTier#SCALAR} without the CPU backend. */
  public static CpuTier bestTier() {
    return Libraries.bestTier();
  }

  /**
   * The 64-bit draw that the kernels make for a token: Philox4x32-10 (Salmon et al., SC 2011) with
   * the seed as key and (sample id, position, step) as counter. It depends on nothing else.
   *
   * @param seed seed of the run
   * @param step training step, taken as 32 unsigned bits
   * @param sampleId id of the sample
   * @param position position of the token in its image, taken as 32 unsigned bits
   */
  public static long draw(long seed, int step, long sampleId, int position) {
    return Philox.draw(seed, step, sampleId, position);
  }

  /**
   * A uniform choice among n things: the high 64 bits of draw × n, in 0..n−1.
   *
   * @param draw a 64-bit {@link #draw}
   * @param n how many things, ≥ 1
   */
  public static int uniform(long draw, int n) {
    if (n < 1) {
      throw new IllegalArgumentException(
          "n is " + n + "; there must be at least 1 thing to choose");
    }
    return (int) Math.unsignedMultiplyHigh(draw, n);
  }
}
