package org.nasvlp.kernels;

import java.lang.foreign.Arena;
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
  /** Bytes; what the widest vector unit loads at once. */
  private static final long ALIGNMENT = 64;

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

  /**
   * The rows that a mask keeps, in their order, copied without gaps: padding and other tokens that
   * are not to count in a lookup, an update or a fit are left out so. For rows in host memory.
   *
   * @param mask whether each row is kept
   * @param width elements of a row that are copied, at most the stride
   * @param arena of the copy
   */
  public Rows where(boolean[] mask, int width, Arena arena) {
    Objects.requireNonNull(mask, "mask");
    if (mask.length != count) {
      throw new IllegalArgumentException(
          "mask holds " + mask.length + " values for " + count + " rows; it needs one a row");
    }
    if (width < 1 || width > stride) {
      throw new IllegalArgumentException(
          "width is " + width + "; it must be in 1.." + stride + ", the stride");
    }
    int kept = 0;
    for (boolean keep : mask) {
      kept += keep ? 1 : 0;
    }
    long bytes = (long) width * type.bytes();
    MemorySegment copy = arena.allocate(Math.max(1, kept * bytes), ALIGNMENT);
    long to = 0;
    for (int i = 0; i < mask.length; i++) {
      if (mask[i]) {
        MemorySegment.copy(segment, i * stride * type.bytes(), copy, to, bytes);
        to += bytes;
      }
    }
    return Rows.of(copy, type, kept, width);
  }
}
