package org.nasvlp.cli;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.train.StepReport;

/** One line on where a training is. */
final class StatusLine {
  private static final int WIDEST_BAR = 30;
  private static final int NARROWEST_BAR = 6;

  private final char full;
  private final char empty;

  /**
   * @param blocks whether the terminal shows block characters
   */
  StatusLine(boolean blocks) {
    this.full = blocks ? '\u2588' : '#';
    this.empty = blocks ? '\u2591' : '.';
  }

  /** Everything, without a bar: for logs. */
  static String plain(StepReport report, double secondsLeft) {
    return String.join(", ", parts(report, secondsLeft));
  }

  /** As much as fits into the columns, with a bar where there is room. */
  String fitted(StepReport report, double secondsLeft, int columns) {
    String text = String.join(" | ", parts(report, secondsLeft));
    if (text.length() > columns) {
      text = brief(report, secondsLeft);
    }
    int room = Math.min(WIDEST_BAR, columns - text.length() - 1);
    if (room < NARROWEST_BAR) {
      return text.length() > columns ? text.substring(0, columns) : text;
    }
    long filled = report.steps() == 0 ? 0 : room * report.step() / report.steps();
    int done = Math.clamp(filled, 0, room);
    return String.valueOf(full).repeat(done)
        + String.valueOf(empty).repeat(room - done)
        + " "
        + text;
  }

  private static List<String> parts(StepReport report, double secondsLeft) {
    DictionaryHealth dictionary = report.dictionary();
    return List.of(
        "step " + report.step() + "/" + report.steps(),
        left(report, secondsLeft),
        String.format(Locale.ROOT, "%.0f pairs/s", report.pairsPerSecond()),
        "loss " + Text.loss(report.loss()) + " (" + losses(report.losses()) + ")",
        String.format(
            Locale.ROOT,
            "codes %d/%d, perplexity %.0f",
            dictionary.live(),
            dictionary.codewords(),
            dictionary.perplexity()));
  }

  private static String brief(StepReport report, double secondsLeft) {
    return String.format(
        Locale.ROOT,
        "%d/%d %s %.0f/s %s codes %d ppl %.0f",
        report.step(),
        report.steps(),
        left(report, secondsLeft),
        report.pairsPerSecond(),
        losses(report.losses()),
        report.dictionary().live(),
        report.dictionary().perplexity());
  }

  private static String left(StepReport report, double secondsLeft) {
    return report.step() >= report.steps() ? "finishing" : Text.duration(secondsLeft) + " left";
  }

  static String losses(Map<String, Double> losses) {
    return losses.entrySet().stream()
        .map(loss -> loss.getKey() + " " + Text.loss(loss.getValue()))
        .collect(Collectors.joining(" "));
  }
}
