package org.nasvlp.internal;

/** What a message shows of a text that anyone may have written. */
public final class Excerpt {
  /** Characters that are shown; the rest is an ellipsis. */
  public static final int MOST = 300;

  private Excerpt() {}

  /** The text's beginning, with control characters by their codes: none reaches a log. */
  public static String of(String text) {
    StringBuilder clean = new StringBuilder(Math.min(text.length(), MOST));
    int i = 0;
    while (i < text.length()) {
      if (clean.length() >= MOST) {
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

  /** The beginning of a value's text, such as that of a JSON node. */
  public static String of(Object value) {
    return of(String.valueOf(value));
  }
}
