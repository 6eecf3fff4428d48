package org.nasvlp.data;

/**
 * One pair of a data set that cannot be used: an image cut short, an empty caption, a key without
 * its partner. The message is {@code "sample: reason"}.
 */
public class BadSampleException extends Exception {
  private static final int MAX_NAME = 300;

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
    super(printable(sample) + ": " + printable(reason), cause);
    this.sample = printable(sample);
    this.reason = printable(reason);
  }

  /** Where the sample lies. */
  public String sample() {
    return sample;
  }

  /** What is wrong with it. */
  public String reason() {
    return reason;
  }

  /** Names come from files that anyone may have written: no control character reaches a log. */
  static String printable(String text) {
    StringBuilder clean = new StringBuilder(Math.min(text.length(), MAX_NAME));
    int i = 0;
    while (i < text.length()) {
      if (clean.length() >= MAX_NAME) {
        return clean.append('…').toString();
      }
      int c = text.codePointAt(i);
      i += Character.charCount(c);
      int type = Character.getType(c);
      if (type == Character.CONTROL
          || type == Character.FORMAT
          || type == Character.SURROGATE
          || type == Character.LINE_SEPARATOR
          || type == Character.PARAGRAPH_SEPARATOR) {
        clean.append(String.format("\\u%04x", c));
      } else {
        clean.appendCodePoint(c);
      }
    }
    return clean.toString();
  }
}
