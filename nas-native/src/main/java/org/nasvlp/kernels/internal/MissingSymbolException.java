package org.nasvlp.kernels.internal;

/** A native library lacks a function. */
final class MissingSymbolException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  MissingSymbolException(String message) {
    super(message);
  }
}
