package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/** What a benchmark counts of its items' scores. */
final class BenchmarkMetrics {
  /** The match log-odds of a probability of one half. */
  private static final double EVEN = 0;

  /**
   * An item and its scores.
   *
   * @param scores images by captions
   */
  record Scored(BenchmarkItem item, double[][] scores) {}

  private interface Count {
    Share of(List<Scored> items);
  }

  private final Map<String, Count> shares = new LinkedHashMap<>();
  private final Map<String, ToDoubleFunction<List<Scored>>> rates = new LinkedHashMap<>();

  private BenchmarkMetrics() {}

  /**
   * The metrics of a benchmark.
   *
   * @param all items with scores; some metrics ask of an item how its partners fared
   */
  static BenchmarkMetrics of(BenchmarkFormat format, String way, List<Scored> all) {
    BenchmarkMetrics metrics = new BenchmarkMetrics();
    switch (format.task()) {
      case MATCH -> metrics.truth();
      case SEVERAL -> {
        metrics.share("accuracy", BenchmarkMetrics::firstBeatsAll);
        if (format == BenchmarkFormat.WHATS_UP) {
          PlacedObjects placed = PlacedObjects.of(all, item -> firstBeatsAll(item.scores()));
          metrics.rates.put("pair", placed::pairs);
          metrics.rates.put("set", placed::sets);
        }
      }
      case TWO_RIGHT -> metrics.share("accuracy", s -> s[0][0] > s[0][2] && s[0][1] > s[0][2]);
      case IMAGE_CHOICE -> {
        metrics.share("accuracy", s -> s[0][0] > s[1][0]);
        if (way.equals("itm") && format == BenchmarkFormat.SVO_PROBES) {
          metrics.matching();
        }
      }
      case ORDER ->
          metrics.shares.put(
              "accuracy",
              items ->
                  new Share(
                      (int)
                          items.stream()
                              .filter(of -> others(of).allMatch(s -> first(of) > s))
                              .count(),
                      items.size()));
      case PAIR -> {
        metrics.share("text", BenchmarkMetrics::text);
        metrics.share("image", BenchmarkMetrics::image);
        metrics.share("group", s -> text(s) && image(s));
      }
      case CAPTION_CHOICE -> {
        if (format == BenchmarkFormat.VALSE) {
          metrics.valse(way.equals("itm"));
        } else {
          metrics.share("accuracy", BenchmarkMetrics::firstBeatsAll);
        }
      }
    }
    return metrics;
  }

  private static double first(Scored of) {
    return of.scores()[0][0];
  }

  /** The scores of an item's other captions, those aside that are the first one once more. */
  private static DoubleStream others(Scored of) {
    List<String> captions = of.item().captions();
    return IntStream.range(1, captions.size())
        .filter(c -> !captions.get(c).equals(captions.getFirst()))
        .mapToDouble(c -> of.scores()[0][c]);
  }

  private static boolean firstBeatsAll(double[][] s) {
    return Arrays.stream(s[0]).skip(1).allMatch(other -> s[0][0] > other);
  }

  private static boolean text(double[][] s) {
    return s[0][0] > s[0][1] && s[1][1] > s[1][0];
  }

  private static boolean image(double[][] s) {
    return s[0][0] > s[1][0] && s[1][1] > s[0][1];
  }

  private void valse(boolean matching) {
    share("acc_r", BenchmarkMetrics::firstBeatsAll);
    if (matching) {
      shares.put(
          "acc",
          items ->
              new Share(
                  count(items, BenchmarkMetrics::caption) + count(items, BenchmarkMetrics::foil),
                  2 * items.size()));
      share("p_c", BenchmarkMetrics::caption);
      share("p_f", BenchmarkMetrics::foil);
      rates.put(
          "min(p_c, p_f)",
          items ->
              (double)
                      Math.min(
                          count(items, BenchmarkMetrics::caption),
                          count(items, BenchmarkMetrics::foil))
                  / items.size());
    }
    rates.put(
        "AUROC",
        items ->
            areaUnderCurve(
                items.stream().mapToDouble(BenchmarkMetrics::first),
                items.stream().mapToDouble(item -> item.scores()[0][1])));
  }

  /** A caption is taken for true above a match probability of one half, and for false below it. */
  private void truth() {
    shares.put(
        "accuracy",
        items ->
            new Share(
                (int)
                    items.stream()
                        .filter(of -> of.item().matches() ? first(of) > EVEN : first(of) < EVEN)
                        .count(),
                items.size()));
    rates.put(
        "AUROC",
        items ->
            areaUnderCurve(
                items.stream()
                    .filter(of -> of.item().matches())
                    .mapToDouble(BenchmarkMetrics::first),
                items.stream()
                    .filter(of -> !of.item().matches())
                    .mapToDouble(BenchmarkMetrics::first)));
  }

  /**
   * SVO-Probes' own metric (arXiv 2106.09141): each sentence is a match for its positive image and
   * none for its negative one. Items repeat both, and each combination counts once.
   */
  private void matching() {
    shares.put("positive", items -> matches(items, 0));
    shares.put("negative", items -> matches(items, 1));
    rates.put("mean", items -> (matches(items, 0).value() + matches(items, 1).value()) / 2);
  }

  /** Right decisions on the distinct combinations of sentence and i-th image. */
  private static Share matches(List<Scored> items, int image) {
    Map<List<Object>, Boolean> right = new LinkedHashMap<>();
    for (Scored of : items) {
      double score = of.scores()[image][0];
      right.putIfAbsent(
          List.of(of.item().captions(), of.item().pictures().get(image)),
          image == 0 ? score > EVEN : score < EVEN);
    }
    return new Share((int) right.values().stream().filter(yes -> yes).count(), right.size());
  }

  private static boolean caption(double[][] s) {
    return s[0][0] > EVEN;
  }

  private static boolean foil(double[][] s) {
    return s[0][1] < EVEN;
  }

  private void share(String name, Predicate<double[][]> right) {
    shares.put(name, items -> new Share(count(items, right), items.size()));
  }

  private static int count(List<Scored> items, Predicate<double[][]> right) {
    return (int) items.stream().filter(item -> right.test(item.scores())).count();
  }

  /**
   * How often a right score is higher than a wrong one, of any item; a tie is half (Mann–Whitney).
   * NaN without either.
   */
  private static double areaUnderCurve(DoubleStream right, DoubleStream wrong) {
    double[] sorted = wrong.sorted().toArray();
    return right
        .map(score -> (below(sorted, score, false) + below(sorted, score, true)) / 2.0)
        .map(below -> below / sorted.length)
        .average()
        .orElse(Double.NaN);
  }

  /** How many of sorted values are below a bound, or at it. */
  private static int below(double[] sorted, double bound, boolean orAt) {
    int low = 0;
    int high = sorted.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (sorted[middle] < bound || (orAt && sorted[middle] == bound)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** As {@link PublishedBenchmark#margin} has it. */
  static double margin(BenchmarkFormat.Task task, Scored of) {
    double[][] s = of.scores();
    return switch (task) {
      case MATCH -> of.item().matches() ? first(of) - EVEN : EVEN - first(of);
      case IMAGE_CHOICE -> s[0][0] - s[1][0];
      case TWO_RIGHT -> Math.min(s[0][0], s[0][1]) - s[0][2];
      case CAPTION_CHOICE, SEVERAL ->
          s[0][0] - Arrays.stream(s[0]).skip(1).max().orElse(Double.NEGATIVE_INFINITY);
      case ORDER -> first(of) - others(of).max().orElse(Double.NEGATIVE_INFINITY);
      case PAIR ->
          Math.min(
              Math.min(s[0][0] - s[0][1], s[1][1] - s[1][0]),
              Math.min(s[0][0] - s[1][0], s[1][1] - s[0][1]));
    };
  }

  /** Whether a right combination scores the same as a wrong one that it is held against. */
  static boolean isTied(BenchmarkFormat.Task task, Scored of) {
    double[][] s = of.scores();
    return switch (task) {
      case MATCH -> false;
      case IMAGE_CHOICE -> s[0][0] == s[1][0];
      case TWO_RIGHT -> s[0][0] == s[0][2] || s[0][1] == s[0][2];
      case CAPTION_CHOICE, SEVERAL ->
          Arrays.stream(s[0]).skip(1).anyMatch(other -> other == s[0][0]);
      case ORDER -> others(of).anyMatch(other -> other == first(of));
      case PAIR ->
          s[0][0] == s[0][1] || s[0][0] == s[1][0] || s[1][1] == s[0][1] || s[1][1] == s[1][0];
    };
  }

  List<String> shareNames() {
    return List.copyOf(shares.keySet());
  }

  List<String> rateNames() {
    return List.copyOf(rates.keySet());
  }

  /** A share for each of {@link #shareNames}; the first asks once of every item. */
  List<Share> shares(List<Scored> items) {
    List<Share> values = new ArrayList<>();
    shares.values().forEach(count -> values.add(count.of(items)));
    return values;
  }

  /** A value for each of {@link #rateNames}; NaN where it cannot be told of these items. */
  List<Double> rates(List<Scored> items) {
    List<Double> values = new ArrayList<>();
    rates.values().forEach(rate -> values.add(rate.applyAsDouble(items)));
    return values;
  }
}
