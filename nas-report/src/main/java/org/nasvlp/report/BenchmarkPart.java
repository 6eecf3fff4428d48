package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.BenchmarkItem;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.Share;

/** The part of a page that tells what scores reach on a published benchmark. */
final class BenchmarkPart {
  /** Rows of a plot at most: of more categories those with most items. */
  private static final int MOST_ROWS = 40;

  /** Longer tables are folded away. */
  private static final int LONG = 24;

  private final Html html;
  private final Tables tables;
  private final EvaluatedBenchmark of;
  private final Map<String, List<BenchmarkItem>> byCategory = new LinkedHashMap<>();

  BenchmarkPart(Html html, EvaluatedBenchmark of) {
    this.html = html;
    this.tables = new Tables(html);
    this.of = of;
    PublishedBenchmark benchmark = of.benchmark();
    if (benchmark != null) {
      for (BenchmarkItem item : benchmark.items()) {
        if (of.scores().byItem().containsKey(item.id())) {
          byCategory.computeIfAbsent(item.category(), name -> new ArrayList<>()).add(item);
        }
      }
    }
  }

  /** A way of scoring as people write it. */
  static String name(String way) {
    return way.equals("itc") || way.equals("itm") ? way.toUpperCase(Locale.ROOT) : way;
  }

  void write() {
    html.element("h2", "At a glance", "id", "glance");
    html.element(
        "p",
        "Right answers in %, with Wilson's 95 % interval. A tie counts as wrong. Dashed: chance.");
    plots();
    html.element("h2", "Tables", "id", "tables");
    html.open("div", "class", "beside");
    of.reports()
        .forEach(
            (way, report) -> {
              html.open("div");
              table(way, report);
              html.close();
            });
    html.close();
  }

  // ---------------------------------------------------------------------------- plots

  private void plots() {
    Set<String> metrics = new LinkedHashSet<>();
    of.reports().values().forEach(report -> metrics.addAll(report.metrics()));
    html.open("div", "class", "plots");
    for (String metric : metrics) {
      List<String> ways =
          of.reports().keySet().stream()
              .filter(way -> of.reports().get(way).metrics().contains(metric))
              .toList();
      BenchmarkReport first = of.reports().get(ways.getFirst());
      List<String> categories = shown(first);
      List<DotPlot.Row> rows = new ArrayList<>();
      if (first.byCategory().size() > 1) {
        for (String category : categories) {
          rows.add(row(category, ways, metric, category));
        }
      }
      rows.add(row("all (micro)", ways, metric, null));
      int left = first.byCategory().size() - categories.size();
      new DotPlot(
              html,
              DotPlot.Axis.PERCENT,
              ways.stream().map(BenchmarkPart::name).toList(),
              List.copyOf(of.reports().keySet()).indexOf(ways.getFirst()))
          .write(
              metric,
              left == 0 ? "" : Tables.format("without %,d categories of fewer items", left),
              rows);
    }
    html.close();
  }

  /**
   * @param category null for all items
   */
  private DotPlot.Row row(
      String name, List<String> ways, String metric, @Nullable String category) {
    List<DotPlot.@Nullable Point> points = new ArrayList<>();
    for (String way : ways) {
      BenchmarkReport report = of.reports().get(way);
      List<Share> shares = category == null ? report.all() : report.byCategory().get(category);
      Share share = shares == null ? null : shares.get(report.metrics().indexOf(metric));
      points.add(
          share == null
              ? null
              : new DotPlot.Point(100 * share.value(), 100 * share.low(), 100 * share.high()));
    }
    return new DotPlot.Row(name, points, 100 * chance(metric, category));
  }

  private static List<String> shown(BenchmarkReport report) {
    List<String> all = List.copyOf(report.byCategory().keySet());
    return all.size() <= MOST_ROWS
        ? all
        : all.stream()
            .sorted(Comparator.comparingInt(name -> -items(report, name)))
            .limit(MOST_ROWS)
            .toList();
  }

  private static int items(BenchmarkReport report, String category) {
    return report.byCategory().get(category).getFirst().of();
  }

  /**
   * What guessing reaches; NaN where the metric has no such figure or the items are not known.
   *
   * @param category null for all items
   */
  private double chance(String metric, @Nullable String category) {
    PublishedBenchmark benchmark = of.benchmark();
    if (benchmark == null) {
      return Double.NaN;
    }
    boolean choice = metric.equals("accuracy") || metric.equals("acc_r");
    return switch (benchmark.format().task()) {
      case PAIR -> metric.equals("group") ? 1.0 / 6 : 0.25;
      case CAPTION_CHOICE, IMAGE_CHOICE, MATCH -> choice ? 0.5 : Double.NaN;
      case ORDER -> choice ? 0.2 : Double.NaN;
      case TWO_RIGHT -> choice ? 1.0 / 3 : Double.NaN;
      case SEVERAL ->
          !choice
              ? Double.NaN
              : (category == null
                      ? byCategory.values().stream().flatMap(List::stream)
                      : byCategory.getOrDefault(category, List.of()).stream())
                  .mapToDouble(item -> 1.0 / item.captions().size())
                  .average()
                  .orElse(Double.NaN);
    };
  }

  // ---------------------------------------------------------------------------- tables

  private void table(String way, BenchmarkReport report) {
    int rows = report.byCategory().size() > 1 ? report.byCategory().size() : 0;
    html.element("h3", "By " + name(way));
    html.element("p", counts(report), "class", "soft");
    if (rows > LONG) {
      summary(report);
      html.open("details");
      html.element("summary", Tables.format("All %,d categories", rows));
      rows(report, Tables.format("Right in %%, by %s; small: 95 %% interval", name(way)));
      html.close();
    } else {
      rows(report, Tables.format("Right in %%, by %s; small: 95 %% interval", name(way)));
    }
    if (rows > 0) {
      html.element(
          "p",
          LargeTypes.note(
              report.largeCategories().size(), "categories", report.leastItems(), "items"),
          "class",
          "soft");
    }
  }

  private static String counts(BenchmarkReport report) {
    StringBuilder text = new StringBuilder(Tables.format("%,d items scored", report.items()));
    if (report.unscored() > 0) {
      text.append(Tables.format(", %,d not scored", report.unscored()));
    }
    if (report.tied() > 0) {
      text.append(Tables.format(", %,d tied, which counts as wrong", report.tied()));
    }
    if (!report.leftOut().isEmpty()) {
      text.append(
          Tables.format(", %,d categories left out of the macro average", report.leftOut().size()));
    }
    return text.append('.').toString();
  }

  private void head(BenchmarkReport report, String first, String caption) {
    tables.open(caption);
    List<String> columns = new ArrayList<>(List.of("items"));
    columns.addAll(report.metrics());
    columns.addAll(report.rates().names());
    tables.head(first, columns);
  }

  private void summary(BenchmarkReport report) {
    head(report, "", "");
    sums(report);
    tables.close();
  }

  private void rows(BenchmarkReport report, String caption) {
    head(report, "category", caption);
    if (report.byCategory().size() > 1) {
      for (Map.Entry<String, List<Share>> category : report.byCategory().entrySet()) {
        boolean large = category.getValue().getFirst().of() >= report.leastItems();
        html.open("tr").element("th", category.getKey(), "scope", "row");
        html.element("td", Tables.format("%,d", category.getValue().getFirst().of()));
        category.getValue().forEach(share -> share(share, large));
        rates(
            large
                ? report.rates().of(category.getKey())
                : Collections.nCopies(report.rates().names().size(), Double.NaN));
        html.close();
      }
    }
    sums(report);
    tables.close();
  }

  private void sums(BenchmarkReport report) {
    Map<String, List<Double>> folderRates = report.ratesByFolder();
    report
        .macroByFolder()
        .forEach(
            (name, means) ->
                means(name + " (macro)", means, folderRates.getOrDefault(name, List.of())));
    html.open("tr", "class", "sum").element("th", "all (micro)", "scope", "row");
    html.element("td", Tables.format("%,d", report.items()));
    report.all().forEach(share -> share(share, true));
    rates(report.rates().all());
    html.close();
    if (report.byCategory().size() > 1) {
      List<Double> means = report.macroOfLarge();
      if (!means.isEmpty()) {
        means("categories (macro)", means, report.ratesOfLarge());
      }
      int all = report.byCategory().size() - report.leftOut().size();
      if (report.largeCategories().size() < all) {
        means(Tables.format("all %,d categories", all), report.macro(), report.rates().macro());
      }
    }
    List<Double> chance = report.metrics().stream().map(metric -> chance(metric, null)).toList();
    if (chance.stream().anyMatch(value -> !value.isNaN())) {
      html.open("tr", "class", "chance").element("th", "chance", "scope", "row");
      html.element("td", "");
      rates(chance);
      report.rates().names().forEach(name -> html.element("td", ""));
      html.close();
    }
  }

  private void means(String name, List<Double> means, List<Double> rates) {
    html.open("tr", "class", "sum").element("th", name, "scope", "row").element("td", "");
    rates(means);
    rates(rates);
    html.close();
  }

  private void share(Share share, boolean percent) {
    if (!percent) {
      html.element("td", Tables.format("%d of %d", share.right(), share.of()));
      return;
    }
    html.open("td").text(Tables.percent(share.value()) + " ");
    html.element("small", Tables.format("%.0f–%.0f", 100 * share.low(), 100 * share.high()))
        .close();
  }

  private void rates(List<Double> values) {
    values.forEach(
        value -> html.element("td", value.isNaN() ? Tables.DASH : Tables.percent(value)));
  }
}
