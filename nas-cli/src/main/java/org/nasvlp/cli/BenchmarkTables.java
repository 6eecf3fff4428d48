package org.nasvlp.cli;

import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.Share;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** What scores reach on a published benchmark, as text and as JSON. */
final class BenchmarkTables {
  /** More categories than these are too many to read. */
  private static final int MOST_CATEGORIES = 60;

  private static final int LARGEST_SHOWN = 30;

  /** Columns of a category's name, at least and at most. */
  private static final int NARROW = 32;

  private static final int WIDE = 72;

  /** Ends the name of a line that averages over a folder of categories. */
  private static final String FOLDER = " (macro)";

  private BenchmarkTables() {}

  /**
   * For people: shares in percent with their intervals; of categories with few items ({@link
   * BenchmarkReport#leastItems}) the right answers, and a macro average without them before that of
   * all.
   */
  static String table(String title, String way, BenchmarkReport report) {
    return table(title, way, report, "");
  }

  /**
   * The same.
   *
   * @param sameTokens said of the tied items
   */
  private static String table(String title, String way, BenchmarkReport report, String sameTokens) {
    StringBuilder table = new StringBuilder();
    table.append("%s by %s, %% right of %d items%n".formatted(title, way, report.items()));
    if (report.unscored() > 0) {
      table.append("(%d items were not scored)%n".formatted(report.unscored()));
    }
    if (report.tied() > 0) {
      table.append(
          "(%d items tied, which counts as wrong%s)%n".formatted(report.tied(), sameTokens));
    }
    List<String> shown = shown(report);
    Map<String, List<Double>> folders = report.macroByFolder();
    int width =
        Stream.concat(shown.stream(), folders.keySet().stream().map(name -> name + FOLDER))
            .mapToInt(String::length)
            .map(length -> Math.clamp(length, NARROW, WIDE))
            .max()
            .orElse(NARROW);
    table.append("%n%s %7s".formatted(padded("", width), "items"));
    report.metrics().forEach(metric -> table.append(String.format(Locale.ROOT, " %23s", metric)));
    report.rates().names().forEach(name -> table.append(String.format(Locale.ROOT, " %13s", name)));
    table.append(System.lineSeparator());
    if (report.byCategory().size() > 1) {
      for (String category : shown) {
        row(table, width, report, category);
      }
      if (shown.size() < report.byCategory().size()) {
        Set<String> others = new LinkedHashSet<>(report.byCategory().keySet());
        others.removeAll(Set.copyOf(shown));
        table.append(
            "and %d more, of up to %d items each; --json has all%n"
                .formatted(
                    others.size(),
                    others.stream().mapToInt(name -> items(report, name)).max().orElseThrow()));
      }
    }
    Map<String, List<Double>> folderRates = report.ratesByFolder();
    folders.forEach(
        (name, means) ->
            means(table, width, name + FOLDER, means, folderRates.getOrDefault(name, List.of())));
    row(table, width, "all (micro)", report.all(), report.rates().all(), true);
    if (report.byCategory().size() > 1) {
      List<Double> means = report.macroOfLarge();
      if (!means.isEmpty()) {
        means(table, width, "categories (macro)", means, report.ratesOfLarge());
      }
      int large = report.largeCategories().size();
      int all = report.byCategory().size() - report.leftOut().size();
      if (large < all) {
        means(
            table,
            width,
            "all %d categories".formatted(all),
            report.macro(),
            report.rates().macro());
      }
      table
          .append(LargeTypes.note(large, "categories", report.leastItems(), "items"))
          .append(System.lineSeparator());
    }
    return table.toString().replaceAll(" +(\\R)", "$1");
  }

  /**
   * The same with how many of the items have captions that no model can tell apart.
   *
   * @param equal items whose captions are equal after cutting
   */
  static String table(String title, String way, BenchmarkReport report, int equal) {
    return table(title, way, report, "; %d have captions equal after cutting".formatted(equal));
  }

  private static void means(
      StringBuilder table, int width, String name, List<Double> means, List<Double> rates) {
    table.append(padded(name, width)).append(" %7s".formatted(""));
    means.forEach(
        mean -> table.append(String.format(Locale.ROOT, " %6.2f                 ", 100 * mean)));
    rates(table, rates);
    table.append(System.lineSeparator());
  }

  /** Of a longer name its end, which tells it from its neighbours. */
  private static String padded(String name, int width) {
    return name.length() > width
        ? "…" + name.substring(name.length() - width + 1)
        : name + " ".repeat(width - name.length());
  }

  private static void rates(StringBuilder table, List<Double> rates) {
    rates.forEach(
        rate ->
            table.append(
                rate.isNaN()
                    ? String.format(Locale.ROOT, " %13s", "–")
                    : String.format(Locale.ROOT, " %13.2f", 100 * rate)));
  }

  /** The categories of a table: all in their order, or of very many those with most items. */
  private static List<String> shown(BenchmarkReport report) {
    List<String> all = List.copyOf(report.byCategory().keySet());
    if (all.size() <= MOST_CATEGORIES) {
      return all;
    }
    return all.stream()
        .sorted(Comparator.comparingInt(name -> -items(report, name)))
        .limit(LARGEST_SHOWN)
        .toList();
  }

  private static int items(BenchmarkReport report, String category) {
    return report.byCategory().get(category).getFirst().of();
  }

  private static void row(StringBuilder table, int width, BenchmarkReport report, String category) {
    row(
        table,
        width,
        category,
        report.byCategory().get(category),
        report.rates().of(category),
        items(report, category) >= report.leastItems());
  }

  /**
   * @param percent whether a percentage is shown, and not how many are right
   */
  private static void row(
      StringBuilder table,
      int width,
      String name,
      List<Share> shares,
      List<Double> rates,
      boolean percent) {
    table.append(padded(name, width)).append(" %7d".formatted(shares.getFirst().of()));
    for (Share share : shares) {
      if (!percent) {
        table.append(" %-23s".formatted(share.right() + " of " + share.of()));
        continue;
      }
      table.append(
          String.format(
              Locale.ROOT,
              " %6.2f (%5.1f to %5.1f)",
              100 * share.value(),
              100 * share.low(),
              100 * share.high()));
    }
    if (percent) {
      rates(table, rates);
    }
    table.append(System.lineSeparator());
  }

  /** For programs: shares in [0, 1], of every category; {@code macro} is the mean over all. */
  static void json(ObjectNode node, BenchmarkReport report) {
    node.put("items", report.items()).put("unscored", report.unscored()).put("tied", report.tied());
    ObjectNode all = node.putObject("all");
    shares(all, report.metrics(), report.all());
    rates(all, report.rates().names(), report.rates().all());
    ObjectNode macro = node.putObject("macro");
    means(macro, report.metrics(), report.macro());
    means(macro, report.rates().names(), report.rates().macro());
    Map<String, List<Double>> folderRates = report.ratesByFolder();
    ObjectNode folders = node.putObject("macroByFolder");
    report
        .macroByFolder()
        .forEach(
            (folder, means) -> {
              ObjectNode of = folders.putObject(folder);
              means(of, report.metrics(), means);
              means(of, report.rates().names(), folderRates.getOrDefault(folder, List.of()));
            });
    ObjectNode categories = node.putObject("categories");
    report
        .byCategory()
        .forEach(
            (category, shares) -> {
              ObjectNode of = categories.putObject(category);
              shares(of, report.metrics(), shares);
              rates(of, report.rates().names(), report.rates().of(category));
            });
  }

  private static void rates(ObjectNode node, List<String> names, List<Double> values) {
    for (int m = 0; m < names.size(); m++) {
      node.putObject(names.get(m)).put("value", orNull(values.get(m)));
    }
  }

  private static void means(ObjectNode node, List<String> names, List<Double> values) {
    for (int m = 0; m < values.size(); m++) {
      node.put(names.get(m), orNull(values.get(m)));
    }
  }

  /** JSON has no NaN. */
  private static @Nullable Double orNull(Double value) {
    return value.isNaN() ? null : value;
  }

  private static void shares(ObjectNode node, List<String> metrics, List<Share> shares) {
    for (int m = 0; m < metrics.size(); m++) {
      Share share = shares.get(m);
      ObjectNode one = node.putObject(metrics.get(m));
      one.put("right", share.right()).put("of", share.of()).put("value", share.value());
      ArrayNode interval = one.putArray("interval");
      interval.add(share.low()).add(share.high());
    }
  }
}
