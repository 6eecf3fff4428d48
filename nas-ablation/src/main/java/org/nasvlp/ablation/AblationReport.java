package org.nasvlp.ablation;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.RetrievalReport;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Finished runs as tables: records in, text out. The first arm that has a finished run is the
 * baseline.
 */
public final class AblationReport {
  /** Accuracies whose first step is reported, besides the baseline's last one. */
  private static final List<Double> LEVELS = List.of(0.7, 0.8, 0.9);

  private static final String MICRO = "all pairs (micro)";
  private static final String MACRO = "attributes (macro)";
  private static final String NONE = "–";

  /** What is counted on a pair of pairs. */
  private record Score(String key, String title, ToDoubleFunction<AttributeScores> of) {}

  private static final List<Score> SCORES =
      List.of(
          new Score("captionChoice", "caption choice", AttributeScores::captionChoice),
          new Score("imageChoice", "image choice", AttributeScores::imageChoice),
          new Score("group", "group score", AttributeScores::group));

  private static final Map<String, String> SCORERS = scorers();

  private static Map<String, String> scorers() {
    Map<String, String> scorers = new LinkedHashMap<>();
    scorers.put("itm", "matching (ITM)");
    scorers.put("itc", "contrast (ITC)");
    return scorers;
  }

  private static final String STEP_SECONDS = "cost.medianStepSeconds";
  private static final String PEAK = "cost.peakMebibytes";
  private static final String RELATIVE = "relative.";

  private final String command;
  private final int parallel;
  private final List<AblationArm> arms;
  private final List<String> unfinished;
  private final Map<String, List<RunResult>> byArm = new LinkedHashMap<>();
  private final Map<String, Map<String, Statistic>> statistics = new LinkedHashMap<>();
  private final String baseline;
  private final double target;
  private final RunResult first;

  /**
   * @param command the command line that made the runs
   * @param parallel runs at a time
   * @param arms in the order of the report
   * @param results finished runs, at least one, each of one of the arms
   * @param unfinished names of runs that failed or were stopped
   * @throws IllegalArgumentException if the runs differ in steps, batch or threads
   */
  AblationReport(
      String command,
      int parallel,
      List<AblationArm> arms,
      List<RunResult> results,
      List<String> unfinished) {
    this.command = command;
    this.parallel = parallel;
    this.unfinished = List.copyOf(unfinished);
    this.first = results.getFirst();
    for (RunResult result : results) {
      if (result.steps() != first.steps()
          || result.batchSize() != first.batchSize()
          || result.threads() != first.threads()) {
        throw new IllegalArgumentException(
            "%s cannot be compared with %s; arms need equal steps, batches and threads: remove one"
                .formatted(size(result), size(first)));
      }
    }
    for (AblationArm arm : arms) {
      List<RunResult> own =
          results.stream().filter(result -> result.arm().equals(arm.name())).toList();
      if (!own.isEmpty()) {
        byArm.put(arm.name(), own);
      }
    }
    this.arms = List.copyOf(arms);
    this.baseline = byArm.keySet().iterator().next();
    byArm.forEach((arm, runs) -> statistics.put(arm, statistics(runs)));
    this.target = mean(byArm.get(baseline), run -> last(run).macro());
  }

  private static String size(RunResult run) {
    return "%s seed %d (%d steps of batch %d, %d threads)"
        .formatted(run.arm(), run.seed(), run.steps(), run.batchSize(), run.threads());
  }

  private static CurvePoint last(RunResult run) {
    return CurvePoint.of(run.steps(), run.evaluation());
  }

  private static double mean(List<RunResult> runs, ToDoubleFunction<RunResult> value) {
    return runs.stream().mapToDouble(value).average().orElseThrow();
  }

  /**
   * The first evaluated step at which a run's caption choice reaches a level; empty if none does.
   */
  static OptionalLong reached(RunResult run, double level, ToDoubleFunction<CurvePoint> accuracy) {
    return run.curve().stream()
        .filter(point -> accuracy.applyAsDouble(point) >= level)
        .mapToLong(CurvePoint::step)
        .min();
  }

  /** Every number of one run, by a dotted name; what the run does not have is absent. */
  private static Map<String, Double> numbers(RunResult run) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    for (String scorer : SCORERS.keySet()) {
      FineGrainedReport report =
          scorer.equals("itm") ? run.evaluation().itm() : run.evaluation().itc();
      if (report == null) {
        continue;
      }
      for (Score score : SCORES) {
        String prefix = scorer + "." + score.key() + ".";
        report
            .byAttribute()
            .forEach(
                (attribute, scores) ->
                    numbers.put(prefix + attribute, score.of().applyAsDouble(scores)));
        numbers.put(prefix + "micro", score.of().applyAsDouble(report.all()));
        numbers.put(prefix + "macro", score.of().applyAsDouble(report.macro()));
      }
    }
    retrieval(numbers, "itc", run.evaluation().retrievalItc());
    retrieval(numbers, "itm", run.evaluation().retrievalItm());
    if (run.medianStepSeconds() != null) {
      numbers.put(STEP_SECONDS, run.medianStepSeconds());
    }
    if (run.peakMebibytes() != null) {
      numbers.put(PEAK, (double) run.peakMebibytes());
    }
    return numbers;
  }

  private static void retrieval(
      Map<String, Double> numbers, String scorer, @Nullable RetrievalReport report) {
    if (report == null) {
      return;
    }
    int[] ranks = RetrievalReport.ranks();
    for (int i = 0; i < ranks.length; i++) {
      numbers.put(retrievalKey(scorer, "imageToText", ranks[i]), report.textRecall()[i]);
      numbers.put(retrievalKey(scorer, "textToImage", ranks[i]), report.imageRecall()[i]);
    }
  }

  private static String retrievalKey(String scorer, String way, int rank) {
    return "retrieval." + scorer + "." + way + ".R@" + rank;
  }

  private static Map<String, Statistic> statistics(List<RunResult> runs) {
    Map<String, List<Double>> values = new LinkedHashMap<>();
    for (RunResult run : runs) {
      numbers(run)
          .forEach(
              (name, value) -> values.computeIfAbsent(name, n -> new ArrayList<>()).add(value));
    }
    Map<String, Statistic> statistics = new LinkedHashMap<>();
    values.forEach((name, all) -> statistics.put(name, Statistic.of(all)));
    return statistics;
  }

  private @Nullable Statistic statistic(String arm, String name) {
    return statistics.get(arm).get(name);
  }

  // ---------------------------------------------------------------------------- levels

  /** An accuracy to be reached. */
  private record Level(
      String key, String title, double value, ToDoubleFunction<CurvePoint> accuracy) {}

  private List<Level> levels() {
    List<Level> levels = new ArrayList<>();
    levels.add(
        new Level(
            "baselineMacro",
            "baseline's last macro (" + percent(target) + " %)",
            target,
            CurvePoint::macro));
    for (double value : LEVELS) {
      String name = String.format(Locale.ROOT, "%.0f", 100 * value);
      levels.add(new Level("macro" + name, "macro " + name + " %", value, CurvePoint::macro));
    }
    for (double value : LEVELS) {
      String name = String.format(Locale.ROOT, "%.0f", 100 * value);
      levels.add(new Level("micro" + name, "micro " + name + " %", value, CurvePoint::micro));
    }
    return levels;
  }

  private List<Double> stepsTo(String arm, Level level) {
    return byArm.get(arm).stream()
        .map(run -> reached(run, level.value(), level.accuracy()))
        .filter(OptionalLong::isPresent)
        .map(step -> (double) step.getAsLong())
        .toList();
  }

  private String stepsCell(String arm, Level level) {
    List<Double> steps = stepsTo(arm, level);
    if (steps.isEmpty()) {
      return "not reached";
    }
    Statistic statistic = Statistic.of(steps);
    int runs = byArm.get(arm).size();
    return String.format(
        Locale.ROOT,
        "%.0f%s%s",
        statistic.mean(),
        statistic.deviation() == null
            ? ""
            : String.format(Locale.ROOT, " ± %.0f", statistic.deviation()),
        steps.size() < runs ? " (" + steps.size() + " of " + runs + ")" : "");
  }

  // ---------------------------------------------------------------------------- Markdown

  /** The tables as Markdown. */
  public String markdown() {
    StringBuilder text = new StringBuilder();
    text.append("# Ablation\n\n");
    if (!command.isEmpty()) {
      text.append("```\n").append(command).append("\n```\n\n");
    }
    text.append(conditions()).append("\n");
    overview(text);
    differences(text);
    SCORERS.forEach((scorer, title) -> fineGrained(text, scorer, title));
    retrieval(text);
    table(text, "Steps to an accuracy", stepsNote(), levels(), Level::title, this::stepsCell);
    cost(text);
    text.append("\n## Arms\n\nThe fields in which each differs from the base configuration.\n\n");
    for (AblationArm arm : arms) {
      text.append("- ").append(arm.name()).append(": `").append(arm.patch()).append("`\n");
    }
    if (!unfinished.isEmpty()) {
      text.append("\nNot finished, and not in the tables: ")
          .append(String.join(", ", unfinished))
          .append(".\n");
    }
    return text.toString();
  }

  private String conditions() {
    Set<Long> seeds = new LinkedHashSet<>();
    byArm.values().forEach(runs -> runs.forEach(run -> seeds.add(run.seed())));
    Set<String> kernels = new LinkedHashSet<>();
    byArm.values().forEach(runs -> runs.forEach(run -> kernels.add(run.kernels())));
    long skipped =
        byArm.values().stream().flatMap(List::stream).mapToLong(RunResult::skippedSamples).sum();
    return String.format(
        Locale.ROOT,
        """
        Every run: %,d steps of batch %d. Seeds %s. Kernels: %s; %d thread%s a run, %d run%s at a time.
        %sShares are in %%, mean ± sample standard deviation over the seeds; a tie counts as wrong. The
        first arm is the baseline.
        """,
        first.steps(),
        first.batchSize(),
        seeds.stream().map(String::valueOf).collect(Collectors.joining(", ")),
        String.join(" and ", kernels),
        first.threads(),
        first.threads() == 1 ? "" : "s",
        parallel,
        parallel == 1 ? "" : "s",
        skipped == 0 ? "" : skipped + " bad samples were skipped in all runs together. ");
  }

  /** A column of the tables of headline numbers. */
  private record Column(String title, String key) {}

  private List<Column> headlines() {
    List<Column> columns = new ArrayList<>();
    for (String scorer : SCORERS.keySet()) {
      String name = scorer.toUpperCase(Locale.ROOT);
      for (Score score : SCORES) {
        String prefix = scorer + "." + score.key() + ".";
        columns.add(new Column(name + " " + score.title() + ", macro", prefix + "macro"));
        if (score.key().equals("captionChoice")) {
          columns.add(new Column(name + " " + score.title() + ", micro", prefix + "micro"));
        }
      }
    }
    columns.add(new Column("ITC R@1, image to text", retrievalKey("itc", "imageToText", 1)));
    columns.add(new Column("ITC R@1, text to image", retrievalKey("itc", "textToImage", 1)));
    return present(columns);
  }

  /** Without those that no arm has. */
  private List<Column> present(List<Column> columns) {
    return columns.stream()
        .filter(column -> statistics.values().stream().anyMatch(s -> s.containsKey(column.key())))
        .toList();
  }

  private void overview(StringBuilder text) {
    table(text, "Overview", "", headlines(), Column::title, (arm, c) -> share(arm, c.key()));
  }

  private void differences(StringBuilder text) {
    if (byArm.size() < 2) {
      return;
    }
    table(
        text,
        "Difference from the baseline",
        "In points. **Apart**: the intervals mean ± standard deviation do not overlap.\n\n",
        headlines(),
        Column::title,
        (arm, column) -> arm.equals(baseline) ? NONE : difference(arm, column.key()));
  }

  private String difference(String arm, String key) {
    Statistic own = statistic(arm, key);
    Statistic other = statistic(baseline, key);
    if (own == null || other == null) {
      return NONE;
    }
    Boolean overlaps = own.overlaps(other);
    double points = 100 * (own.mean() - other.mean());
    return String.format(Locale.ROOT, "%+.1f", Math.abs(points) < 0.05 ? 0 : points)
        + (overlaps == null || overlaps ? "" : " **apart**");
  }

  private void fineGrained(StringBuilder text, String scorer, String title) {
    for (Score score : SCORES) {
      String prefix = scorer + "." + score.key() + ".";
      List<Column> columns = new ArrayList<>();
      pairs(scorer)
          .forEach(
              (attribute, pairs) ->
                  columns.add(new Column(attribute + " (" + pairs + ")", prefix + attribute)));
      columns.add(new Column(MICRO, prefix + "micro"));
      columns.add(new Column(MACRO, prefix + "macro"));
      List<Column> present = present(columns);
      if (!present.isEmpty()) {
        table(
            text,
            "By " + title + ": " + score.title(),
            "",
            present,
            Column::title,
            (arm, column) -> share(arm, column.key()));
      }
    }
  }

  /** Pairs of each attribute. */
  private Map<String, Integer> pairs(String scorer) {
    Map<String, Integer> pairs = new LinkedHashMap<>();
    for (List<RunResult> runs : byArm.values()) {
      for (RunResult run : runs) {
        FineGrainedReport report =
            scorer.equals("itm") ? run.evaluation().itm() : run.evaluation().itc();
        if (report != null) {
          report
              .byAttribute()
              .forEach((attribute, scores) -> pairs.putIfAbsent(attribute, scores.pairs()));
        }
      }
    }
    return pairs;
  }

  private void retrieval(StringBuilder text) {
    for (String scorer : List.of("itc", "itm")) {
      List<Column> columns = new ArrayList<>();
      for (int rank : RetrievalReport.ranks()) {
        columns.add(
            new Column("image to text R@" + rank, retrievalKey(scorer, "imageToText", rank)));
      }
      for (int rank : RetrievalReport.ranks()) {
        columns.add(
            new Column("text to image R@" + rank, retrievalKey(scorer, "textToImage", rank)));
      }
      List<Column> present = present(columns);
      if (!present.isEmpty()) {
        table(
            text,
            scorer.equals("itc") ? "Retrieval by ITC" : "Retrieval by ITC, re-ranked by ITM",
            "",
            present,
            Column::title,
            (arm, column) -> share(arm, column.key()));
      }
    }
  }

  private String stepsNote() {
    return """
    The first evaluation at which caption choice, by ITM where there is one, reaches the accuracy; mean
    over the seeds that reach it. Each run has %,d steps.

    """
        .formatted(first.steps());
  }

  private void cost(StringBuilder text) {
    table(
        text,
        "Cost",
        "A step's time is the median over a run, loading of its batch included.\n\n",
        List.of(
            new Column("seconds a step", STEP_SECONDS),
            new Column("against the baseline", RELATIVE + STEP_SECONDS),
            new Column("resident MiB at most", PEAK),
            new Column("against the baseline", RELATIVE + PEAK)),
        Column::title,
        (arm, column) -> number(arm, column.key()));
  }

  private String number(String arm, String key) {
    if (key.startsWith(RELATIVE)) {
      Double ratio = ratio(arm, key.substring(RELATIVE.length()));
      return ratio == null ? NONE : String.format(Locale.ROOT, "× %.2f", ratio);
    }
    Statistic statistic = statistic(arm, key);
    if (statistic == null) {
      return NONE;
    }
    String form = key.equals(STEP_SECONDS) ? "%.3f" : "%,.0f";
    return String.format(Locale.ROOT, form, statistic.mean())
        + (statistic.deviation() == null
            ? ""
            : " ± " + String.format(Locale.ROOT, form, statistic.deviation()));
  }

  private @Nullable Double ratio(String arm, String key) {
    Statistic own = statistic(arm, key);
    Statistic other = statistic(baseline, key);
    return own == null || other == null || other.mean() == 0 ? null : own.mean() / other.mean();
  }

  private String share(String arm, String key) {
    Statistic statistic = statistic(arm, key);
    if (statistic == null) {
      return NONE;
    }
    return percent(statistic.mean())
        + (statistic.deviation() == null ? "" : " ± " + percent(statistic.deviation()));
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f", 100 * share);
  }

  /** What stands in a table. */
  private interface Cell<C> {
    String text(String arm, C column);
  }

  private <C> void table(
      StringBuilder text,
      String title,
      String note,
      List<C> columns,
      Function<C, String> heading,
      Cell<C> cell) {
    text.append("\n## ").append(title).append("\n\n").append(note);
    text.append("| arm |");
    columns.forEach(column -> text.append(' ').append(heading.apply(column)).append(" |"));
    text.append("\n|---|").append("---|".repeat(columns.size())).append('\n');
    for (String arm : byArm.keySet()) {
      text.append("| ").append(arm);
      int runs = byArm.get(arm).size();
      if (runs != byArm.get(baseline).size()) {
        text.append(" (").append(runs).append(runs == 1 ? " seed)" : " seeds)");
      }
      text.append(" |");
      columns.forEach(column -> text.append(' ').append(cell.text(arm, column)).append(" |"));
      text.append('\n');
    }
  }

  // ---------------------------------------------------------------------------- JSON

  /**
   * The same for programs: shares in [0, 1], every number by name as {@code {n, mean, deviation,
   * difference, overlaps}}, and every run.
   */
  public String json() {
    JsonMapper mapper = JsonMapper.shared();
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("command", command);
    root.put("steps", first.steps());
    root.put("batchSize", first.batchSize());
    root.put("threads", first.threads());
    root.put("parallel", parallel);
    root.put("baseline", baseline);
    var list = root.putArray("arms");
    for (AblationArm arm : arms) {
      if (!byArm.containsKey(arm.name())) {
        continue;
      }
      ObjectNode node = list.addObject();
      node.put("name", arm.name());
      node.set("patch", mapper.readTree(arm.patch()));
      var seeds = node.putArray("seeds");
      byArm.get(arm.name()).forEach(run -> seeds.add(run.seed()));
      ObjectNode values = node.putObject("values");
      statistics
          .get(arm.name())
          .forEach((key, statistic) -> value(values.putObject(key), arm.name(), key, statistic));
      ObjectNode reached = node.putObject("stepsTo");
      for (Level level : levels()) {
        ObjectNode entry = reached.putObject(level.key());
        entry.put("accuracy", level.value());
        List<Double> steps = stepsTo(arm.name(), level);
        entry.put("n", steps.size());
        if (steps.isEmpty()) {
          entry.putNull("mean");
        } else {
          entry.put("mean", Statistic.of(steps).mean());
        }
      }
      ObjectNode ratios = node.putObject("costAgainstBaseline");
      ratios.put("stepSeconds", ratio(arm.name(), STEP_SECONDS));
      ratios.put("peakMebibytes", ratio(arm.name(), PEAK));
    }
    var missing = root.putArray("unfinished");
    unfinished.forEach(missing::add);
    var runs = root.putArray("runs");
    byArm
        .values()
        .forEach(own -> own.forEach(run -> runs.add(mapper.<ObjectNode>valueToTree(run))));
    return mapper.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private void value(ObjectNode node, String arm, String key, Statistic statistic) {
    node.put("n", statistic.count());
    node.put("mean", statistic.mean());
    node.put("deviation", statistic.deviation());
    Statistic other = statistic(baseline, key);
    if (!arm.equals(baseline) && other != null) {
      node.put("difference", statistic.mean() - other.mean());
      node.put("overlaps", statistic.overlaps(other));
    }
  }
}
