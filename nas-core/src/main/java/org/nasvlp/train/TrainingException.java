package org.nasvlp.train;

/** Training cannot go on; the message says what happened and what to do about it. */
public class TrainingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** With a message. */
  public TrainingException(String message) {
    super(message);
  }

  /** With a message and what caused it. */
  public TrainingException(String message, Throwable cause) {
    super(message, cause);
  }
}
