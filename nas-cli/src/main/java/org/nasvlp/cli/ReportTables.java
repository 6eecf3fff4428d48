package org.nasvlp.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.eval.RewordedScores;

/** Evaluation reports as tables of text. */
final class ReportTables {
  private static final List<String> ORDER =
      List.of("skin tone", "gender", "colour", "direction", "hair", "clock");

  /** From this share of right choices on a type counts as told apart. */
  private static final double TOLD_APART = 0.9;

  private ReportTables() {}

  /** The well-known attributes first, then the others as they come. */
  static Map<String, AttributeScores> ordered(Map<String, AttributeScores> byAttribute) {
    Map<String, AttributeScores> ordered = new LinkedHashMap<>();
    for (String known : ORDER) {
      byAttribute.forEach(
          (attribute, scores) -> {
            if (plain(attribute).equals(known)) {
              ordered.put(attribute, scores);
            }
          });
    }
    byAttribute.forEach(ordered::putIfAbsent);
    return ordered;
  }

  private static String plain(String attribute) {
    String lower = attribute.toLowerCase(Locale.ROOT).replace('-', ' ').replace('_', ' ');
    return lower.equals("color") ? "colour" : lower;
  }

  /** All tables that a report has figures for, each with an empty line below. */
  static String all(EvaluationReport report) {
    StringBuilder text = new StringBuilder();
    for (String table :
        List.of(fineGrained(report), reworded(report), retrieval(report), standing(report))) {
      if (!table.isEmpty()) {
        text.append(table).append('\n');
      }
    }
    return text.toString();
  }

  static String fineGrained(EvaluationReport report) {
    int width = "attributes (macro)".length();
    for (String attribute : report.itc().byAttribute().keySet()) {
      width = Math.max(width, attribute.length());
    }
    width += 2;
    StringBuilder table = new StringBuilder();
    table.append("Fine differences: choices between two real pairs, % right (a tie is wrong)\n");
    String heads = "%-" + width + "s %6s %9s %9s %9s %9s %9s%n";
    table.append(
        String.format(Locale.ROOT, heads, "", "", "caption", "image", "text", "image", "group"));
    table.append(
        String.format(
            Locale.ROOT, heads, "", "pairs", "choice", "choice", "score", "score", "score"));
    section(table, "by contrast (ITC)", report.itc(), width);
    section(table, "by matching (ITM)", report.itm(), width);
    percentages(table, "chance", AttributeScores.chance(), width);
    return table.toString();
  }

  private static void section(
      StringBuilder table, String title, @Nullable FineGrainedReport report, int width) {
    if (report == null) {
      return;
    }
    table.append(title).append('\n');
    ordered(report.byAttribute())
        .forEach((attribute, scores) -> row(table, "  " + attribute, scores, width));
    percentages(table, "  pairs (micro)", report.all(), width);
    LargeTypes.macro(report)
        .ifPresent(macro -> percentages(table, "  attributes (macro)", macro, width));
    table.append("  ").append(LargeTypes.note(report)).append('\n');
  }

  /** A type: percentages, or what is right of how many where there are few pairs. */
  private static void row(StringBuilder table, String name, AttributeScores scores, int width) {
    if (LargeTypes.isLarge(scores.pairs())) {
      percentages(table, name, scores, width);
      return;
    }
    line(
        table,
        name,
        scores,
        width,
        score -> score.right(scores) + " of " + score.decisions(scores.pairs()));
  }

  private static void percentages(
      StringBuilder table, String name, AttributeScores scores, int width) {
    line(table, name, scores, width, score -> Text.percent(score.share(scores)));
  }

  private static void line(
      StringBuilder table,
      String name,
      AttributeScores scores,
      int width,
      Function<FineGrainedScore, String> cell) {
    table.append(
        String.format(
            Locale.ROOT,
            "%-" + width + "s %6s",
            name,
            scores.pairs() == 0 ? "" : Text.count(scores.pairs())));
    for (FineGrainedScore score : FineGrainedScore.values()) {
      table.append(String.format(Locale.ROOT, " %9s", cell.apply(score)));
    }
    table.append(System.lineSeparator());
  }

  /**
   * What matching gains over contrast, and where each type stands: its caption choices by the
   * better of the two, against what guessing would give. Empty where there is no matching, or no
   * type with pairs enough.
   */
  static String standing(EvaluationReport report) {
    FineGrainedReport itm = report.itm();
    if (itm == null) {
      return "";
    }
    Map<String, AttributeScores> large = new LinkedHashMap<>(ordered(report.itc().byAttribute()));
    large.keySet().retainAll(itm.byAttribute().keySet());
    large.values().removeIf(scores -> !LargeTypes.isLarge(scores.pairs()));
    if (large.isEmpty()) {
      return "";
    }
    int width = large.keySet().stream().mapToInt(String::length).max().orElseThrow();
    StringBuilder table = new StringBuilder();
    table.append("Where each type stands: caption choice, % right\n");
    String heads = "  %-" + width + "s %9s %9s %9s%n";
    table.append(String.format(Locale.ROOT, heads, "", "contrast", "matching", "gain"));
    large.forEach(
        (type, scores) -> {
          double contrast = scores.captionChoice();
          double matching = itm.byAttribute().get(type).captionChoice();
          table.append(
              String.format(
                  Locale.ROOT,
                  "  %-" + width + "s %9s %9s %+9.1f  %s%n",
                  type,
                  Text.percent(contrast),
                  Text.percent(matching),
                  100 * (matching - contrast),
                  standing(Math.max(contrast, matching), 2 * scores.pairs())));
        });
    return table.toString();
  }

  private static String standing(double share, int decisions) {
    double chance = AttributeScores.chance().captionChoice();
    double deviation = Math.sqrt(chance * (1 - chance) / decisions);
    if (share < chance + 2 * deviation) {
      return "not told apart: as a guess would do";
    }
    return share < TOLD_APART ? "in part" : "told apart";
  }

  /** Empty where the test has no rewordings. */
  static String reworded(EvaluationReport report) {
    Map<String, RewordedScores> itc = report.itc().reworded();
    if (itc.isEmpty()) {
      return "";
    }
    int width = "attributes (macro)".length();
    for (String type : itc.keySet()) {
      width = Math.max(width, type.length());
    }
    String format = "  %-" + width + "s %10s %9s %9s %9s %9s%n";
    StringBuilder table = new StringBuilder();
    table.append("True rewordings against the false caption, % right: the rewording; it and the");
    table.append(" caption\n");
    table.append(
        String.format(Locale.ROOT, format, "", "rewordings", "ITC", "both", "ITM", "both"));
    FineGrainedReport itm = report.itm();
    itc.forEach(
        (type, scores) ->
            rewordedRow(
                table, format, type, scores, itm == null ? null : itm.reworded().get(type)));
    report
        .itc()
        .rewordedMacro()
        .ifPresent(
            macro ->
                rewordedRow(
                    table,
                    format,
                    "attributes (macro)",
                    macro,
                    itm == null ? null : itm.rewordedMacro().orElse(null)));
    rewordedRow(table, format, "chance", RewordedScores.chance(), RewordedScores.chance());
    return table.toString();
  }

  private static void rewordedRow(
      StringBuilder table,
      String format,
      String name,
      RewordedScores itc,
      @Nullable RewordedScores itm) {
    table.append(
        String.format(
            Locale.ROOT,
            format,
            name,
            itc.rewordings() == 0 ? "" : Text.count(itc.rewordings()),
            Text.percent(itc.choice()),
            Text.percent(itc.both()),
            itm == null ? "" : Text.percent(itm.choice()),
            itm == null ? "" : Text.percent(itm.both())));
  }

  /** Empty where there was no retrieval. */
  static String retrieval(EvaluationReport report) {
    RetrievalReport itc = report.retrievalItc();
    return itc == null ? "" : retrieval(itc, report.retrievalItm());
  }

  static String retrieval(RetrievalReport itc, @Nullable RetrievalReport itm) {
    StringBuilder table = new StringBuilder();
    table.append(
        String.format(
            Locale.ROOT,
            "Retrieval among %s images and %s captions, %% found%n",
            Text.count(itc.images()),
            Text.count(itc.captions())));
    table.append(
        String.format(Locale.ROOT, "%-20s %23s   %23s%n", "", "image to text", "text to image"));
    table.append(
        String.format(
            Locale.ROOT,
            "%-20s %7s %7s %7s   %7s %7s %7s%n",
            "",
            "R@1",
            "R@5",
            "R@10",
            "R@1",
            "R@5",
            "R@10"));
    recall(table, "ITC", itc.textRecall(), itc.imageRecall());
    if (itm != null) {
      recall(table, "ITC, then both", itm.textRecall(), itm.imageRecall());
    }
    recall(table, "chance", itc.textChance(), itc.imageChance());
    return table.toString();
  }

  private static void recall(StringBuilder table, String name, double[] text, double[] image) {
    table.append(
        String.format(
            Locale.ROOT,
            "%-20s %7s %7s %7s   %7s %7s %7s%n",
            name,
            Text.percent(text[0]),
            Text.percent(text[1]),
            Text.percent(text[2]),
            Text.percent(image[0]),
            Text.percent(image[1]),
            Text.percent(image[2])));
  }
}
