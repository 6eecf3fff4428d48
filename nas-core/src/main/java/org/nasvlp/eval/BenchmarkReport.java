package org.nasvlp.eval;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What scores reach on a benchmark. A tie counts as wrong.
 *
 * @param metrics names, for example {@code accuracy} or {@code text, image, group}
 * @param byCategory for each category, in the benchmark's order, a share for each metric
 * @param all the same over all items that were scored (micro average)
 * @param macro for each metric the mean over categories, those left out of it aside
 * @param leftOut categories that are left out of it
 * @param items items scored
 * @param unscored items of the benchmark without scores
 */
public record BenchmarkReport(
    List<String> metrics,
    Map<String, List<Share>> byCategory,
    List<Share> all,
    List<Double> macro,
    Set<String> leftOut,
    int items,
    int unscored) {

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
   * Those that tables average over: neither left out nor smaller than {@link
   * LargeTypes#LEAST_PAIRS} items.
   */
  public Set<String> largeCategories() {
    Set<String> large = new LinkedHashSet<>();
    byCategory.forEach(
        (category, shares) -> {
          if (!leftOut.contains(category) && LargeTypes.isLarge(items(shares))) {
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
    return large.isEmpty() ? List.of() : macro(byCategory, others, metrics.size());
  }

  /** Items of a category, of which a metric may ask more than once. */
  private static int items(List<Share> shares) {
    return shares.stream().mapToInt(Share::of).min().orElseThrow();
  }

  static List<Double> macro(Map<String, List<Share>> byCategory, Set<String> leftOut, int metrics) {
    double[] sums = new double[metrics];
    int count = 0;
    for (Map.Entry<String, List<Share>> entry : byCategory.entrySet()) {
      if (leftOut.contains(entry.getKey())) {
        continue;
      }
      count++;
      for (int m = 0; m < metrics; m++) {
        sums[m] += entry.getValue().get(m).value();
      }
    }
    if (count == 0) {
      throw new IllegalArgumentException(
          "all %d categories are left out of the macro average".formatted(byCategory.size()));
    }
    double n = count;
    return java.util.Arrays.stream(sums).mapToObj(sum -> sum / n).toList();
  }
}
