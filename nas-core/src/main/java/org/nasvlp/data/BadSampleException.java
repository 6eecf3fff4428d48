package org.nasvlp.data;

import org.nasvlp.internal.Excerpt;

/**
 * One pair of a data set that cannot be used: an image cut short, an empty caption, a key without
 * its partner. The message is {@code "sample: reason"}.
 */
public class BadSampleException extends Exception {
  private final String sample;
  private final String reason;

  /**
   * Makes the exception.
   *
   * @param sample where the sample lies, for example {@code "train.tar: 000123.png"}
   * @param reason what is wrong with it
   */
  public BadSampleException(String sample, String reason) {
    this(sample, reason, null);
  }

  /** As the other, with the cause. */
  public BadSampleException(String sample, String reason, Throwable cause) {
    super(Excerpt.of(sample) + ": " + Excerpt.of(reason), cause);
    this.sample = Excerpt.of(sample);
    this.reason = Excerpt.of(reason);
  }

  /** Where the sample lies. */
  public String sample() {
    return sample;
  }

  /** What is wrong with it. */
  public String reason() {
    return reason;
  }
}
