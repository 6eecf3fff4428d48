package org.nasvlp.kernels.internal;

import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.Rows;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;

/**
 * One backend's codebook, behind the checks and the lock of {@link org.nasvlp.kernels.Codebook}:
 * shapes, sizes, alignment and exclusion are settled when a method here is called, the values are
 * not. A verdict is memory for nas_verdict.
 */
public interface KernelCodebook {
  /**
   * Addresses of the state.
   *
   * @param codewords of K × d float32
   * @param n of K float64
   * @param deadSteps of K int32
   */
  record View(long codewords, long n, long deadSteps) {}

  /**
   * Nearest codewords; distances may be null; at least one row. Null unless stats are asked for.
   */
  LookupStats lookup(
      Rows x, MemorySegment indices, MemorySegment distances, boolean withStats, long stream);

  /** Nearest codewords of rows × width floats on the heap; rows ≥ 1. */
  int[] lookup(float[] x, int rows);

  /** Adds at least one row to counts and sums. */
  void accumulate(
      Rows x, MemorySegment codes, MemorySegment counts, MemorySegment sums, long stream);

  /** One momentum update from counts and sums. */
  void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream);

  /** Accumulate from zero, then apply; there may be no rows. */
  void update(Rows x, MemorySegment codes, MomentumUpdate update, long stream);

  /** Neighbour lists; live may be null. */
  void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream);

  /** Token swap of at least one image. */
  void swap(TokenSwap params, SwapInput in, SwapOutput out, long stream);

  /** Makes room for enqueued calls, and gives the state a place where it stays. */
  void reserve(long rows, ElementType type, long images, long tokens);

  /** The lookup, with what is wrong with the rows in a verdict; there may be none. */
  void enqueueLookup(
      Rows x, MemorySegment indices, MemorySegment distances, MemorySegment verdict, long stream);

  /** The update, likewise. */
  void enqueueUpdate(
      Rows x, MemorySegment codes, MomentumUpdate update, MemorySegment verdict, long stream);

  /** The swap, likewise; there may be no images. */
  void enqueueSwap(
      TokenSwap params, SwapInput in, SwapOutput out, MemorySegment verdict, long stream);

  /** Where the state stays after {@link #reserve}. */
  View view();

  /** Restarts codes; codes and vectors are valid. */
  void restart(int[] codes, float[] vectors);

  /** Copies the state out. */
  CodebookState read();

  /** Copies a valid state in. */
  void write(CodebookState state);

  /** Frees everything; called once, after the last other call. */
  void free();
}
