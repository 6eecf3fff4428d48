package org.nasvlp.cli;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.nasvlp.train.StepReport;

/** Where the time of a run's steps went. The first steps, which warm up, are left out. */
final class StepProfile {
  private static final int WARM_UP = 3;

  private final Map<String, Double> sums = new LinkedHashMap<>();
  private int seen;

  void add(StepReport report) {
    seen++;
    if (seen > WARM_UP) {
      report.seconds().forEach((section, seconds) -> sums.merge(section, seconds, Double::sum));
    }
  }

  /** Mean seconds of a step by section; empty before the first step that counts. */
  Map<String, Double> means() {
    Map<String, Double> means = new LinkedHashMap<>();
    sums.forEach((section, sum) -> means.put(section, sum / (seen - WARM_UP)));
    return means;
  }

  /** A line for each section, or one that says why there is none. */
  String table() {
    Map<String, Double> means = means();
    if (means.isEmpty()) {
      return "Time of a step: not measured, as the first " + WARM_UP + " steps do not count\n";
    }
    double total = means.values().stream().mapToDouble(Double::doubleValue).sum();
    StringBuilder text = new StringBuilder();
    text.append(String.format(Locale.ROOT, "%-20s %10s %8s%n", "Time of a step", "ms", "share"));
    means.forEach(
        (section, seconds) ->
            text.append(
                String.format(
                    Locale.ROOT,
                    "%-20s %10.2f %6.1f %%%n",
                    section,
                    1e3 * seconds,
                    100 * seconds / total)));
    text.append(String.format(Locale.ROOT, "%-20s %10.2f%n", "all", 1e3 * total));
    return text.toString();
  }
}
