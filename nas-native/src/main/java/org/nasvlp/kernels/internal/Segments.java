package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.Rows;

/** Checks on segments before native code sees their addresses. They allocate only to complain. */
public final class Segments {
  private Segments() {}

  /** Row i in host memory, as float32. */
  public static void widen(Rows x, long i, float[] row) {
    long first = i * x.stride();
    MemorySegment from = x.segment();
    switch (x.type()) {
      case FLOAT32 -> MemorySegment.copy(from, JAVA_FLOAT, first * Float.BYTES, row, 0, row.length);
      case BFLOAT16 -> {
        for (int t = 0; t < row.length; t++) {
          row[t] = Float.intBitsToFloat(from.getAtIndex(JAVA_SHORT, first + t) << Short.SIZE);
        }
      }
      case FLOAT16 -> {
        for (int t = 0; t < row.length; t++) {
          row[t] = Float.float16ToFloat(from.getAtIndex(JAVA_SHORT, first + t));
        }
      }
    }
  }

  /** Bytes of count × width elements of a size; refuses a negative count and an overflow. */
  public static long bytes(String name, long count, long width, long elementBytes) {
    if (count < 0) {
      throw new IllegalArgumentException(name + " is " + count + "; it must be at least 0");
    }
    try {
      return Math.multiplyExact(Math.multiplyExact(count, width), elementBytes);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          String.format("%s: %d x %d x %d bytes overflow", name, count, width, elementBytes), e);
    }
  }

  /** Bytes from the start of row 0 to the end of the last row of a float32 matrix. */
  public static long rowBytes(long rows, long rowStride, int width) {
    if (rows < 0) {
      throw new IllegalArgumentException("count is " + rows + "; it must be at least 0");
    }
    if (rowStride < width) {
      throw new IllegalArgumentException(
          "stride is " + rowStride + "; it must be at least the width " + width);
    }
    if (rows == 0) {
      return 0;
    }
    try {
      return Math.multiplyExact(
          Math.addExact(Math.multiplyExact(rows - 1, rowStride), width), (long) Float.BYTES);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          rows + " rows with a stride of " + rowStride + " overflow", e);
    }
  }

  /** Checks a segment that is read. */
  public static void input(String name, MemorySegment segment, long bytes, long alignment) {
    if (segment == null) {
      throw new NullPointerException(name + " is null");
    }
    if (!segment.isNative()) {
      throw new IllegalArgumentException(
          name
              + " lies on the Java heap; copy it into off-heap memory first, for example with"
              + " Arena.allocateFrom");
    }
    if (segment.byteSize() < bytes) {
      throw new IllegalArgumentException(
          name + " holds " + segment.byteSize() + " bytes, but the given sizes need " + bytes);
    }
    if (segment.address() % alignment != 0) {
      throw new IllegalArgumentException(
          String.format(
              "%s starts at address 0x%x; it must be aligned to %d bytes",
              name, segment.address(), alignment));
    }
    if (bytes > 0 && segment.address() == 0) {
      throw new IllegalArgumentException(name + " has address 0");
    }
  }

  /** Checks a segment that is written. */
  public static void output(String name, MemorySegment segment, long bytes, long alignment) {
    input(name, segment, bytes, alignment);
    if (segment.isReadOnly()) {
      throw new IllegalArgumentException(name + " is read-only, but the result is written to it");
    }
  }
}
