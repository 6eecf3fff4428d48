package org.nasvlp.eval;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Figures of a benchmark that are no share of answers and so have no interval, for example an area
 * under a curve. All are in [0, 1], or NaN where the items have no such figure.
 *
 * @param names of the figures
 * @param byCategory for each category, in the benchmark's order, a value for each name
 * @param all the same over all items that were scored
 * @param macro the means over the categories that the report's macro average is of
 */
public record Rates(
    List<String> names,
    Map<String, List<Double>> byCategory,
    List<Double> all,
    List<Double> macro) {
  /** There are no such figures. */
  public static final Rates NONE = new Rates(List.of(), Map.of(), List.of(), List.of());

  /** Copies what it is given. */
  public Rates {
    names = List.copyOf(names);
    byCategory = Collections.unmodifiableMap(new LinkedHashMap<>(byCategory));
    all = List.copyOf(all);
    macro = List.copyOf(macro);
  }

  /** A category's values; empty where there are no such figures. */
  public List<Double> of(String category) {
    return byCategory.getOrDefault(category, List.of());
  }
}
