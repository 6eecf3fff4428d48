package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What scores reach on a benchmark. A tie counts as wrong.
 *
 * @param metrics names, for example {@code accuracy} or {@code text, image, group}
 * @param byCategory for each category, in the benchmark's order, a share for each metric
 * @param all the same over all items that were scored (micro average)
 * @param macro for each metric the mean over categories, those left out of it aside
 * @param leftOut categories that are left out of it: those that were named and, in a benchmark
 *     whose authors leave small ones out ({@link BenchmarkFormat#leastItems}), these, unless all
 *     are small
 * @param items items scored
 * @param unscored items of the benchmark without scores
 * @param rates figures that are no shares
 * @param leastItems fewest items of a category that tables show a percentage of and average over
 * @param tied items scored of which a right combination scores the same as a wrong one
 */
public record BenchmarkReport(
    List<String> metrics,
    Map<String, List<Share>> byCategory,
    List<Share> all,
    List<Double> macro,
    Set<String> leftOut,
    int items,
    int unscored,
    Rates rates,
    int leastItems,
    int tied) {

  /** Copies what it is given. */
  public BenchmarkReport {
    metrics = List.copyOf(metrics);
    byCategory = Collections.unmodifiableMap(new LinkedHashMap<>(byCategory));
    all = List.copyOf(all);
    macro = List.copyOf(macro);
    leftOut = Set.copyOf(leftOut);
  }

  /**
   * The one number to watch: the macro average of the group score where there is one, else of the
   * first metric.
   */
  public double headline() {
    return macro.get(Math.max(0, metrics.indexOf("group")));
  }

  /**
   * Those that tables average over: neither left out nor smaller than {@link #leastItems} items.
   */
  public Set<String> largeCategories() {
    Set<String> large = new LinkedHashSet<>();
    byCategory.forEach(
        (category, shares) -> {
          if (!leftOut.contains(category) && items(shares) >= leastItems) {
            large.add(category);
          }
        });
    return large;
  }

  /**
   * The macro average that tables show.
   *
   * @return for each metric the mean over {@link #largeCategories}; empty if there are none
   */
  public List<Double> macroOfLarge() {
    Set<String> large = largeCategories();
    Set<String> others = new LinkedHashSet<>(byCategory.keySet());
    others.removeAll(large);
    return large.isEmpty() ? List.of() : macro(values(byCategory), others);
  }

  /**
   * The same of {@link #rates}.
   *
   * @return for each of them the mean over {@link #largeCategories}; empty if there are none
   */
  public List<Double> ratesOfLarge() {
    Set<String> large = largeCategories();
    Set<String> others = new LinkedHashSet<>(byCategory.keySet());
    others.removeAll(large);
    return large.isEmpty() ? List.of() : macro(rates.byCategory(), others);
  }

  /**
   * Averages over the folders that categories' names begin with, as VL-CheckList's {@code
   * Object/Location/…} do: for each folder that holds more than one category, by its name, the mean
   * of each metric over its categories, those left out aside. A folder stands before those in it.
   */
  public Map<String, List<Double>> macroByFolder() {
    return byFolder(values(byCategory));
  }

  /** The same of {@link #rates}; empty where there are no such figures. */
  public Map<String, List<Double>> ratesByFolder() {
    return byFolder(rates.byCategory());
  }

  private Map<String, List<Double>> byFolder(Map<String, List<Double>> byCategory) {
    Map<String, Map<String, List<Double>>> folders = new TreeMap<>();
    byCategory.forEach(
        (category, values) -> {
          for (int end = category.indexOf('/'); end > 0; end = category.indexOf('/', end + 1)) {
            if (!leftOut.contains(category)) {
              folders
                  .computeIfAbsent(category.substring(0, end), name -> new LinkedHashMap<>())
                  .put(category, values);
            }
          }
        });
    Map<String, List<Double>> means = new LinkedHashMap<>();
    folders.forEach(
        (folder, of) -> {
          if (of.size() > 1) {
            means.put(folder, macro(of, Set.of()));
          }
        });
    return Collections.unmodifiableMap(means);
  }

  /** Items of a category: the first metric asks once of each. */
  private static int items(List<Share> shares) {
    return shares.getFirst().of();
  }

  static Map<String, List<Double>> values(Map<String, List<Share>> shares) {
    Map<String, List<Double>> values = new LinkedHashMap<>();
    shares.forEach((category, of) -> values.put(category, of.stream().map(Share::value).toList()));
    return values;
  }

  /**
   * For each figure the mean over all categories but some and those where it is NaN; empty for no
   * categories.
   */
  static List<Double> macro(Map<String, List<Double>> byCategory, Set<String> leftOut) {
    List<List<Double>> averaged = new ArrayList<>();
    byCategory.forEach(
        (category, values) -> {
          if (!leftOut.contains(category)) {
            averaged.add(values);
          }
        });
    if (byCategory.isEmpty()) {
      return List.of();
    }
    if (averaged.isEmpty()) {
      throw new IllegalArgumentException(
          "all %d categories are left out of the macro average".formatted(byCategory.size()));
    }
    List<Double> means = new ArrayList<>();
    for (int m = 0; m < averaged.getFirst().size(); m++) {
      int figure = m;
      means.add(
          averaged.stream()
              .mapToDouble(values -> values.get(figure))
              .filter(value -> !Double.isNaN(value))
              .average()
              .orElse(Double.NaN));
    }
    return List.copyOf(means);
  }
}
