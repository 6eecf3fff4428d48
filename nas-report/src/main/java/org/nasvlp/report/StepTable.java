package org.nasvlp.report;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Numbers of a run's logged steps: a row a step, a column a quantity, NaN where there is none. */
final class StepTable {
  /** Steps done. */
  static final String STEP = "step";

  private static final double[] NONE = {};

  private final Map<String, double[]> columns = new LinkedHashMap<>();
  private int rows;

  void add(Map<String, Double> row) {
    row.forEach(
        (name, value) -> {
          double[] column = columns.getOrDefault(name, NONE);
          if (column.length <= rows) {
            int filled = column.length;
            column = Arrays.copyOf(column, Math.max(256, 2 * rows));
            Arrays.fill(column, filled, column.length, Double.NaN);
            columns.put(name, column);
          }
          column[rows] = value;
        });
    rows++;
  }

  int rows() {
    return rows;
  }

  /** In the order of their first appearance. */
  Set<String> names() {
    return Collections.unmodifiableSet(columns.keySet());
  }

  /** A copy; all NaN if there is no such column. */
  double[] column(String name) {
    double[] values = new double[rows];
    Arrays.fill(values, Double.NaN);
    double[] column = columns.get(name);
    if (column != null) {
      System.arraycopy(column, 0, values, 0, Math.min(rows, column.length));
    }
    return values;
  }

  /** Mean of a column's finite values in rows from … to − 1; NaN if there are none. */
  double mean(String name, int from, int to) {
    double[] values = column(name);
    double sum = 0;
    int count = 0;
    for (int i = Math.max(0, from); i < Math.min(to, rows); i++) {
      if (Double.isFinite(values[i])) {
        sum += values[i];
        count++;
      }
    }
    return count == 0 ? Double.NaN : sum / count;
  }

  /** Mean of the last tenth of the rows, but of no fewer than 20. */
  double lately(String name) {
    return mean(name, lateFrom(), rows);
  }

  /** The first row of those that {@link #lately} is over. */
  int lateFrom() {
    return rows - Math.min(rows, Math.max(20, rows / 10));
  }

  /** The last row's value; NaN if there is none. */
  double last(String name) {
    return rows == 0 ? Double.NaN : column(name)[rows - 1];
  }
}
