package org.nasvlp.eval;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Which types of difference have pairs enough for a percentage. Tables show the others' right
 * decisions as a count and leave them out of the macro average; reports keep every type, and their
 * macro average is that of all types.
 */
public final class LargeTypes {
  /** Fewest pairs, or items of a published benchmark, that a percentage is shown of. */
  public static final int LEAST_PAIRS = 50;

  private LargeTypes() {}

  /** Whether a type with that many pairs is large. */
  public static boolean isLarge(int pairs) {
    return pairs >= LEAST_PAIRS;
  }

  /**
   * The macro average that tables show.
   *
   * @return mean over the large types, its {@code pairs} their total; empty if there is none
   */
  public static Optional<AttributeScores> macro(FineGrainedReport report) {
    Map<String, AttributeScores> large = new LinkedHashMap<>();
    report
        .byAttribute()
        .forEach(
            (type, scores) -> {
              if (isLarge(scores.pairs())) {
                large.put(type, scores);
              }
            });
    return large.isEmpty()
        ? Optional.empty()
        : Optional.of(
            FineGrainedMetrics.macro(
                large, large.values().stream().mapToInt(AttributeScores::pairs).sum()));
  }

  /** The line under a table that says what its macro average is of. */
  public static String note(FineGrainedReport report) {
    long types =
        report.byAttribute().values().stream().filter(scores -> isLarge(scores.pairs())).count();
    return note(types, "types", LEAST_PAIRS, "pairs");
  }

  /**
   * The same of other things.
   *
   * @param large how many are large
   * @param types what is averaged over, in the plural
   * @param fewest how many pairs make a large one
   * @param pairs what they have, in the plural
   */
  public static String note(long large, String types, int fewest, String pairs) {
    String least = "with at least " + fewest + " " + pairs;
    if (large == 0) {
      return "no macro: there are no " + types + " " + least;
    }
    return large == 1
        ? "macro: that of the only one of the " + types + " " + least
        : "macro: mean of the " + large + " " + types + " " + least;
  }
}
