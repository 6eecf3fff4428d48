package org.nasvlp.report;

import java.util.ArrayDeque;
import java.util.Deque;

/** HTML as it is written: every text and attribute escaped, every element closed. */
final class Html {
  private final StringBuilder text = new StringBuilder();
  private final Deque<String> open = new ArrayDeque<>();

  /**
   * Opens an element.
   *
   * @param attributes names and values in turn
   */
  Html open(String tag, String... attributes) {
    start(tag, attributes);
    open.push(tag);
    return this;
  }

  /** Closes the element that was opened last. */
  Html close() {
    text.append("</").append(open.pop()).append('>');
    return this;
  }

  /** An element that holds a text. */
  Html element(String tag, String content, String... attributes) {
    return open(tag, attributes).text(content).close();
  }

  /** An element that holds nothing and is not closed, such as {@code meta}. */
  Html single(String tag, String... attributes) {
    start(tag, attributes);
    return this;
  }

  Html text(String content) {
    escape(content);
    return this;
  }

  /** What is HTML already: this module's own files alone. */
  Html raw(String html) {
    text.append(html);
    return this;
  }

  private void start(String tag, String... attributes) {
    text.append('<').append(tag);
    for (int i = 0; i < attributes.length; i += 2) {
      text.append(' ').append(attributes[i]).append("=\"");
      escape(attributes[i + 1]);
      text.append('"');
    }
    text.append('>');
  }

  private void escape(String content) {
    content
        .codePoints()
        .forEach(
            point -> {
              switch (point) {
                case '&' -> text.append("&amp;");
                case '<' -> text.append("&lt;");
                case '>' -> text.append("&gt;");
                case '"' -> text.append("&quot;");
                case '\'' -> text.append("&#39;");
                default -> text.appendCodePoint(isAllowed(point) ? point : 0xFFFD);
              }
            });
  }

  /** Control characters and halves of pairs are no characters of an HTML page. */
  private static boolean isAllowed(int point) {
    return point == '\n'
        || point == '\t'
        || !(Character.isISOControl(point) || (point >= 0xD800 && point <= 0xDFFF));
  }

  /** All of it; the elements must be closed. */
  @Override
  public String toString() {
    if (!open.isEmpty()) {
      throw new IllegalStateException("not closed: " + open);
    }
    return text.toString();
  }
}
