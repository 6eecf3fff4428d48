package org.nasvlp.kernels.internal;

/** A code, a neighbour or a row of evidence in an input is out of range. */
final class OutOfRangeException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /** The lowest bad row, or -1 where rows are not told. */
  private final long row;

  OutOfRangeException(long row, String message) {
    super(message);
    this.row = row;
  }

  long row() {
    return row;
  }
}
