package org.nasvlp.kernels;

/** An input holds a NaN or an infinity. */
public class NonFiniteInputException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /** The lowest bad row, or -1. */
  private final long row;

  /**
   * Creates the exception.
   *
   * @param row the lowest bad row (of features, codewords or images), or -1 where no row is to
   *     blame
   * @param message names the input and the row
   */
  public NonFiniteInputException(long row, String message) {
    super(message);
    this.row = row;
  }

  /** The lowest bad row (of features, codewords or images), or -1 where no row is to blame. */
  public long row() {
    return row;
  }
}
