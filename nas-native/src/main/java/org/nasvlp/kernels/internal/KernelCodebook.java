package org.nasvlp.kernels.internal;

import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.TokenSwap;

/**
 * One backend's codebook, behind the checks and the lock of {@link org.nasvlp.kernels.Codebook}:
 * shapes, sizes, alignment and exclusion are settled when a method here is called, the values are
 * not.
 */
public interface KernelCodebook {
  /** Nearest codewords; distances may be null; rows ≥ 1. Null unless stats are asked for. */
  LookupStats lookup(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      boolean withStats,
      long stream);

  /** Nearest codewords of rows × width floats on the heap; rows ≥ 1. */
  int[] lookup(float[] x, int rows);

  /** Adds rows ≥ 1 to counts and sums. */
  void accumulate(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MemorySegment counts,
      MemorySegment sums,
      long stream);

  /** One momentum update from counts and sums. */
  void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream);

  /** Accumulate from zero, then apply; rows may be 0. */
  void update(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MomentumUpdate update,
      long stream);

  /** Neighbour lists; live may be null. */
  void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream);

  /** Token swap of at least one image. */
  void swap(
      TokenSwap params,
      MemorySegment text,
      MemorySegment image,
      MemorySegment tokens,
      MemorySegment codes,
      MemorySegment neighbourLists,
      MemorySegment sampleIds,
      MemorySegment positions,
      MemorySegment substitutes,
      MemorySegment swapped,
      long stream);

  /** Restarts codes; codes and vectors are valid. */
  void restart(int[] codes, float[] vectors);

  /** Copies the state out. */
  CodebookState read();

  /** Copies a valid state in. */
  void write(CodebookState state);

  /** Frees everything; called once, after the last other call. */
  void free();
}
