package org.nasvlp.ablation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.DoubleStream;

/**
 * Curves of several arms as an SVG: a line for the mean of an arm's runs, a band of ± deviation.
 */
final class CurvePicture {
  private static final int WIDTH = 480;
  private static final int HEIGHT = 340;
  private static final int LEFT = 52;
  private static final int RIGHT = 28;
  private static final int TOP = 44;
  private static final int BOTTOM = 46;
  private static final int LEGEND_ROW = 20;
  private static final int LEGEND_COLUMNS = 4;
  private static final int TICKS = 5;

  /** Okabe and Ito's colors, which the color-blind tell apart. */
  private static final List<String> COLORS =
      List.of("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000");

  /** With these more arms than colors have a look of their own. */
  private static final List<String> DASHES = List.of("none", "6 3", "2 3");

  private CurvePicture() {}

  /**
   * One run.
   *
   * @param x ascending
   * @param y as many
   */
  record Curve(double[] x, double[] y) {}

  /**
   * One coordinate system.
   *
   * @param title of the horizontal axis
   * @param arms the runs of each, by name
   */
  record Panel(String title, Map<String, List<Curve>> arms) {}

  /**
   * The runs of an arm at some x, in between their points on straight lines.
   *
   * @param deviations sample standard deviations; 0 for one run
   */
  record Band(double[] x, double[] means, double[] deviations) {
    static Band of(List<Curve> runs) {
      // Only where every run has been: a mean over fewer would jump.
      double from = runs.stream().mapToDouble(run -> run.x()[0]).max().orElseThrow();
      double to = runs.stream().mapToDouble(run -> run.x()[run.x().length - 1]).min().orElseThrow();
      double[] x =
          runs.stream()
              .flatMapToDouble(run -> Arrays.stream(run.x()))
              .filter(at -> at >= from && at <= to)
              .sorted()
              .distinct()
              .toArray();
      if (x.length == 0) {
        // Runs of one evaluation each, a little apart.
        x = new double[] {(from + to) / 2};
      }
      double[] means = new double[x.length];
      double[] deviations = new double[x.length];
      for (int i = 0; i < x.length; i++) {
        List<Double> values = new ArrayList<>();
        for (Curve run : runs) {
          values.add(at(run, x[i]));
        }
        Statistic statistic = Statistic.of(values);
        means[i] = statistic.mean();
        deviations[i] = statistic.deviation() == null ? 0 : statistic.deviation();
      }
      return new Band(x, means, deviations);
    }

    private static double at(Curve run, double x) {
      int found = Arrays.binarySearch(run.x(), x);
      if (found >= 0) {
        return run.y()[found];
      }
      int next = -found - 1;
      if (next == 0 || next == run.x().length) {
        return run.y()[next == 0 ? 0 : next - 1];
      }
      double share = (x - run.x()[next - 1]) / (run.x()[next] - run.x()[next - 1]);
      return run.y()[next - 1] + share * (run.y()[next] - run.y()[next - 1]);
    }
  }

  /**
   * Draws.
   *
   * @param title of the whole
   * @param panels side by side, at least one, all with the same arms
   */
  static String svg(String title, List<Panel> panels) {
    List<String> names = List.copyOf(panels.getFirst().arms().keySet());
    int rows = (names.size() + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS;
    StringBuilder svg = new StringBuilder();
    add(
        svg,
        String.format(
            Locale.ROOT,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
                + " font-family=\"sans-serif\" font-size=\"12\">",
            WIDTH * panels.size(),
            HEIGHT + rows * LEGEND_ROW + 8));
    add(svg, String.format(Locale.ROOT, "<title>%s</title>", title));
    add(svg, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
    add(
        svg,
        String.format(
            Locale.ROOT, "<text x=\"%d\" y=\"22\" font-size=\"14\">%s</text>", LEFT, title));
    for (int i = 0; i < panels.size(); i++) {
      add(svg, String.format(Locale.ROOT, "<g transform=\"translate(%d 0)\">", i * WIDTH));
      draw(svg, panels.get(i));
      add(svg, "</g>");
    }
    for (int i = 0; i < names.size(); i++) {
      int x = LEFT + i % LEGEND_COLUMNS * (WIDTH * panels.size() - LEFT) / LEGEND_COLUMNS;
      int y = HEIGHT + i / LEGEND_COLUMNS * LEGEND_ROW + 8;
      add(svg, String.format(Locale.ROOT, "<path d=\"M%d %dh28\" %s/>", x, y, stroke(i)));
      add(
          svg,
          String.format(
              Locale.ROOT, "<text x=\"%d\" y=\"%d\">%s</text>", x + 34, y + 4, names.get(i)));
    }
    return svg.append("</svg>\n").toString();
  }

  private static String stroke(int arm) {
    return "fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\""
        .formatted(color(arm), DASHES.get(arm / COLORS.size() % DASHES.size()));
  }

  private static String color(int arm) {
    return COLORS.get(arm % COLORS.size());
  }

  private static void draw(StringBuilder svg, Panel panel) {
    List<Band> bands = panel.arms().values().stream().map(Band::of).toList();
    Axis x =
        Axis.of(
            0,
            bands.stream().flatMapToDouble(band -> Arrays.stream(band.x())).max().orElseThrow(),
            LEFT,
            WIDTH - RIGHT);
    Axis y = Axis.of(low(bands), high(bands), HEIGHT - BOTTOM, TOP);
    for (double tick : y.ticks()) {
      add(
          svg,
          String.format(
              Locale.ROOT,
              "<path d=\"M%d %.1fH%d\" stroke=\"#dddddd\"/>",
              LEFT,
              y.place(tick),
              WIDTH - RIGHT));
      add(
          svg,
          String.format(
              Locale.ROOT,
              "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
              LEFT - 6,
              y.place(tick) + 4,
              y.label(tick)));
    }
    for (double tick : x.ticks()) {
      add(
          svg,
          String.format(
              Locale.ROOT,
              "<path d=\"M%.1f %dv4\" stroke=\"#666666\"/>",
              x.place(tick),
              HEIGHT - BOTTOM));
      add(
          svg,
          String.format(
              Locale.ROOT,
              "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
              x.place(tick),
              HEIGHT - BOTTOM + 18,
              x.label(tick)));
    }
    add(
        svg,
        String.format(
            Locale.ROOT,
            "<path d=\"M%d %dH%d\" stroke=\"#666666\"/>",
            LEFT,
            HEIGHT - BOTTOM,
            WIDTH - RIGHT));
    add(
        svg,
        String.format(
            Locale.ROOT,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>",
            (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - BOTTOM + 36,
            panel.title()));
    for (int i = 0; i < bands.size(); i++) {
      area(svg, bands.get(i), x, y, i);
    }
    for (int i = 0; i < bands.size(); i++) {
      line(svg, bands.get(i), x, y, i);
    }
  }

  private static void area(StringBuilder svg, Band band, Axis x, Axis y, int arm) {
    if (Arrays.stream(band.deviations()).allMatch(deviation -> deviation == 0)) {
      return;
    }
    StringBuilder path = new StringBuilder("M");
    int n = band.x().length;
    for (int i = 0; i < n; i++) {
      point(path, x.place(band.x()[i]), y.place(band.means()[i] + band.deviations()[i]));
    }
    for (int i = n - 1; i >= 0; i--) {
      point(path, x.place(band.x()[i]), y.place(band.means()[i] - band.deviations()[i]));
    }
    add(
        svg,
        String.format(
            Locale.ROOT,
            "<path d=\"%sZ\" fill=\"%s\" fill-opacity=\"0.15\"/>",
            path.toString().strip(),
            color(arm)));
  }

  private static void line(StringBuilder svg, Band band, Axis x, Axis y, int arm) {
    StringBuilder path = new StringBuilder("M");
    for (int i = 0; i < band.x().length; i++) {
      point(path, x.place(band.x()[i]), y.place(band.means()[i]));
    }
    add(
        svg,
        String.format(Locale.ROOT, "<path d=\"%s\" %s/>", path.toString().strip(), stroke(arm)));
    int last = band.x().length - 1;
    add(
        svg,
        String.format(
            Locale.ROOT,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>",
            x.place(band.x()[last]),
            y.place(band.means()[last]),
            color(arm)));
  }

  private static void point(StringBuilder path, double x, double y) {
    path.append(String.format(Locale.ROOT, "%.1f %.1f ", x, y));
  }

  private static double low(List<Band> bands) {
    return edges(bands, -1).min().orElseThrow();
  }

  private static double high(List<Band> bands) {
    return edges(bands, 1).max().orElseThrow();
  }

  private static DoubleStream edges(List<Band> bands, int sign) {
    List<Double> edges = new ArrayList<>();
    for (Band band : bands) {
      for (int i = 0; i < band.x().length; i++) {
        edges.add(band.means()[i] + sign * band.deviations()[i]);
      }
    }
    return edges.stream().mapToDouble(Double::doubleValue);
  }

  private static void add(StringBuilder svg, String element) {
    svg.append(element).append('\n');
  }

  /**
   * Values on a length of the picture.
   *
   * @param low value at {@code from}, a multiple of the step
   * @param high value at {@code to}, likewise
   * @param step between ticks: 1, 2 or 5 times a power of ten
   */
  record Axis(double low, double high, double step, double from, double to) {
    /** Holds both values, with about {@link #TICKS} ticks. */
    static Axis of(double least, double most, double from, double to) {
      double range = most > least ? most - least : 1;
      double power = Math.pow(10, Math.floor(Math.log10(range / TICKS)));
      double step = 10 * power;
      for (int factor : new int[] {5, 2, 1}) {
        if (factor * power * TICKS >= range) {
          step = factor * power;
        }
      }
      double low = Math.floor(least / step) * step;
      double high = Math.max(low + step, Math.ceil(most / step) * step);
      return new Axis(low, high, step, from, to);
    }

    double place(double value) {
      return from + (value - low) / (high - low) * (to - from);
    }

    double[] ticks() {
      int count = (int) Math.round((high - low) / step) + 1;
      double[] ticks = new double[count];
      for (int i = 0; i < count; i++) {
        ticks[i] = low + i * step;
      }
      return ticks;
    }

    String label(double tick) {
      int decimals = Math.max(0, (int) -Math.floor(Math.log10(step) + 1e-9));
      return String.format(Locale.ROOT, "%,." + decimals + "f", tick);
    }
  }
}
