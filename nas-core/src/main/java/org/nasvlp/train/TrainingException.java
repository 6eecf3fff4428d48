package org.nasvlp.train;

import org.jspecify.annotations.Nullable;

/** Training cannot go on; the message says what happened and what to do about it. */
public class TrainingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * With a message.
   *
   * @param message what happened and the remedy
   */
  public TrainingException(String message) {
    super(message);
  }

  /**
   * With a message and what caused it.
   *
   * @param message what happened and the remedy
   * @param cause null where there is none
   */
  public TrainingException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
