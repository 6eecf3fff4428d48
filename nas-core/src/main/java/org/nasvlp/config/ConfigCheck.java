package org.nasvlp.config;

/** Range checks whose messages name the field, its value and what is allowed. */
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

  private static String plain(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
