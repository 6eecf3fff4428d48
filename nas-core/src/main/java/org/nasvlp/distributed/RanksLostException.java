package org.nasvlp.distributed;

/** Another rank has ended, does not answer, or was started with something else. */
public final class RanksLostException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** With what happened, naming the rank. */
  public RanksLostException(String message) {
    super(message);
  }

  /** With what happened, naming the rank, and what made it known. */
  public RanksLostException(String message, Throwable cause) {
    super(message, cause);
  }
}
