package org.nasvlp.kernels;

/**
 * How the elements of feature rows are stored. The narrower two are widened to float32 exactly; all
 * that follows is defined on the float32 values.
 */
public enum ElementType {
  /** IEEE 754 binary32. */
  FLOAT32(Float.BYTES),
  /** bfloat16: the upper half of a binary32. */
  BFLOAT16(Short.BYTES),
  /** IEEE 754 binary16. */
  FLOAT16(Short.BYTES);

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of an element, to which rows must be aligned. */
  public int bytes() {
    return bytes;
  }
}
