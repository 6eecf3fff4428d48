package org.nasvlp.report;

import java.util.List;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/** Values with their intervals, a row of dots for each name, on one axis. */
final class DotPlot {
  /**
   * A value.
   *
   * @param low lower end of its interval; NaN without one
   * @param high upper end, likewise
   */
  record Point(double value, double low, double high) {}

  /**
   * A row.
   *
   * @param points one for each series; null where it has none here
   * @param mark what the values are held against; NaN for nothing
   */
  record Row(String name, List<@Nullable Point> points, double mark) {}

  /**
   * What the dots stand on.
   *
   * @param from its left end
   * @param to its right end
   * @param ticks values that are written below
   * @param form of a value, for {@link String#format}
   */
  record Axis(double from, double to, List<Double> ticks, String form) {
    static final Axis PERCENT = new Axis(0, 100, List.of(0.0, 25.0, 50.0, 75.0, 100.0), "%.1f");

    /** As far to both sides of zero, with room for a value so large. */
    static Axis around(double largest) {
      double step = 1;
      for (int i = 0; 2 * step < largest; i++) {
        step *= i % 3 == 1 ? 2.5 : 2;
      }
      return new Axis(-2 * step, 2 * step, List.of(-2 * step, -step, 0.0, step, 2 * step), "%+.1f");
    }

    /** Share of the width, in percent. */
    double place(double value) {
      return 100 * (Math.clamp(value, from, to) - from) / (to - from);
    }
  }

  private final Html html;
  private final Axis axis;
  private final List<String> series;
  private final int firstColor;

  DotPlot(Html html, Axis axis, List<String> series) {
    this(html, axis, series, 0);
  }

  /**
   * @param firstColor of the first series, where another plot has others before it
   */
  DotPlot(Html html, Axis axis, List<String> series, int firstColor) {
    this.firstColor = firstColor;
    this.html = html;
    this.axis = axis;
    this.series = series;
  }

  void write(String title, String note, List<Row> rows) {
    html.open("figure", "class", "plot").open("figcaption").text(title);
    if (!note.isEmpty()) {
      html.element("span", note);
    }
    html.close();
    if (series.size() > 1 || firstColor > 0) {
      html.open("ul", "class", "keys");
      for (int i = 0; i < series.size(); i++) {
        html.open("li").open("i", "style", color(i)).close().text(series.get(i)).close();
      }
      html.close();
    }
    html.open("ul", "class", "dots");
    rows.forEach(this::row);
    html.open("li", "aria-hidden", "true", "class", "axis").element("span", "");
    html.open("span", "class", "track");
    for (double tick : axis.ticks()) {
      html.element(
          "span", Tables.format("%.4g", tick).replaceAll("\\.?0+$", ""), "style", left(tick));
    }
    html.close().element("span", "").close();
    html.close().close();
  }

  private void row(Row row) {
    StringJoiner told = new StringJoiner("; ");
    StringJoiner figures = new StringJoiner(" · ");
    html.open("li").element("span", row.name(), "class", "name");
    for (int i = 0; i < row.points().size(); i++) {
      Point point = row.points().get(i);
      String value =
          point == null
              ? Tables.DASH
              : Tables.format(axis.form(), Math.abs(point.value()) < 0.05 ? 0 : point.value());
      figures.add(value);
      if (point != null) {
        told.add(
            series.get(i)
                + " "
                + value
                + (Double.isNaN(point.low())
                    ? ""
                    : Tables.format(
                        ", " + axis.form() + " to " + axis.form(), point.low(), point.high())));
      }
    }
    html.open(
        "span",
        "class",
        "track",
        "role",
        "img",
        "aria-label",
        told.toString(),
        "style",
        Tables.format("height: %.2frem", Math.max(1.5, 0.75 * row.points().size())));
    if (!Double.isNaN(row.mark())) {
      html.element("i", "", "class", "mark", "style", left(row.mark()));
    }
    for (int i = 0; i < row.points().size(); i++) {
      Point point = row.points().get(i);
      if (point != null) {
        point(point, i, row.points().size());
      }
    }
    html.close();
    html.element("span", figures.toString(), "class", "scores", "aria-hidden", "true").close();
  }

  private void point(Point point, int number, int of) {
    String place = Tables.format("top: %.1f%%; %s", 100 * (number + 0.5) / of, color(number));
    if (!Double.isNaN(point.low())) {
      String width =
          Tables.format("; width: %.2f%%", axis.place(point.high()) - axis.place(point.low()));
      html.element("i", "", "class", "band", "style", place + "; " + left(point.low()) + width);
    }
    html.element("i", "", "class", "dot", "style", place + "; " + left(point.value()));
  }

  private String left(double value) {
    return Tables.format("left: %.2f%%", axis.place(value));
  }

  private String color(int series) {
    return "--run: var(--run-" + (firstColor + series) % ReportPage.MOST_RUNS + ")";
  }
}
