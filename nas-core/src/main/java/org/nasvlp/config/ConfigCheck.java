package org.nasvlp.config;

/**
 * What the configuration's parts share: range checks whose messages name the field, its value and
 * what is allowed, and the schedule of loss weights.
 */
final class ConfigCheck {
  private ConfigCheck() {}

  static void present(String field, Object value) {
    if (value == null) {
      throw new IllegalArgumentException(field + " is missing");
    }
  }

  static void that(boolean holds, String field, Object value, String rule) {
    if (!holds) {
      throw new IllegalArgumentException(field + " is " + value + ": it " + rule);
    }
  }

  static void range(String field, double value, double low, double high) {
    that(
        value >= low && value <= high,
        field,
        value,
        "must lie between " + plain(low) + " and " + plain(high));
  }

  static void range(String field, long value, long low, long high) {
    that(value >= low && value <= high, field, value, "must lie between " + low + " and " + high);
  }

  /** A weight that is 0 before a share of the run and rises linearly over another share. */
  static double ramp(double weight, double start, double ramp, long step, long steps) {
    if (step < start * steps) {
      return 0;
    }
    if (ramp == 0) {
      return weight;
    }
    return weight * Math.min(1, (step + 1 - start * steps) / (ramp * steps));
  }

  private static String plain(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
