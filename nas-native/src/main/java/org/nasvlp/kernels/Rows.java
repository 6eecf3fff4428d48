package org.nasvlp.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Rows of features in memory of a backend: row i starts at element i × stride and has as many
 * elements as the codebook is wide. What lies between rows is not touched.
 *
 * @param segment the memory, aligned to an element
 * @param type type of an element
 * @param count number of rows, ≥ 0
 * @param stride elements from row to row, at least the codebook's width
 */
public record Rows(MemorySegment segment, ElementType type, long count, long stride) {
  /** Checks what can be told without a codebook. */
  public Rows {
    Objects.requireNonNull(segment, "segment");
    Objects.requireNonNull(type, "type");
    if (count < 0) {
      throw new IllegalArgumentException("count is " + count + "; it must be at least 0");
    }
    if (stride < 1) {
      throw new IllegalArgumentException("stride is " + stride + "; it must be at least 1");
    }
  }

  /** Float32 rows without gaps. */
  public static Rows of(MemorySegment segment, long count, long width) {
    return new Rows(segment, ElementType.FLOAT32, count, width);
  }

  /** Rows without gaps. */
  public static Rows of(MemorySegment segment, ElementType type, long count, long width) {
    return new Rows(segment, type, count, width);
  }
}
