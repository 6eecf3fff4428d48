package org.nasvlp.report;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Tables of a page: each scrolls in a box of its own where it is wider than the window. */
final class Tables {
  static final String DASH = "–";

  private final Html html;

  Tables(Html html) {
    this.html = html;
  }

  /** Opens a table; {@link #close} closes it. */
  void open(String caption) {
    html.open(
        "div",
        "class",
        "scroll",
        "tabindex",
        "0",
        "role",
        "group",
        "aria-label",
        caption.isEmpty() ? "Table" : caption);
    html.open("table");
    if (!caption.isEmpty()) {
      html.element("caption", caption);
    }
  }

  /** Closes the body, the table and what it scrolls in. */
  void close() {
    html.close().close().close();
  }

  /** Writes the heads of columns and opens the body. */
  void head(String first, List<String> columns) {
    html.open("thead").open("tr").element("th", first, "scope", "col");
    columns.forEach(column -> html.element("th", column, "scope", "col"));
    html.close().close().open("tbody");
  }

  /** A table of names and values. */
  void facts(Map<String, String> facts) {
    open("");
    html.open("tbody");
    facts.forEach(
        (name, value) -> {
          html.open("tr").element("th", name, "scope", "row");
          html.element("td", value, "class", "long").close();
        });
    close();
  }

  static String percent(double share) {
    return format("%.1f", 100 * share);
  }

  /** The mark for formats would be a dependency of its own. */
  @SuppressWarnings("AnnotateFormatMethod")
  static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
