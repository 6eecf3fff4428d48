package org.nasvlp.cli;

import java.util.Locale;

/** Numbers as people read them. */
final class Text {
  private Text() {}

  static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f", 100 * share);
  }

  static String count(long number) {
    return String.format(Locale.ROOT, "%,d", number);
  }

  /** Hours, minutes and seconds: {@code 1:02:03}, or {@code 2:03} below an hour. */
  static String duration(double seconds) {
    long whole = Math.round(seconds);
    long hours = whole / 3600;
    long minutes = whole / 60 % 60;
    return hours > 0
        ? String.format(Locale.ROOT, "%d:%02d:%02d", hours, minutes, whole % 60)
        : String.format(Locale.ROOT, "%d:%02d", minutes, whole % 60);
  }

  /** Three significant digits or so: enough to see a loss move. */
  static String loss(double value) {
    return String.format(Locale.ROOT, Math.abs(value) < 10 ? "%.2f" : "%.1f", value);
  }
}
