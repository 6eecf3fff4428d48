package org.nasvlp.ablation;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.RetrievalReport;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Finished runs as tables: records in, text out. The first arm that has a finished run is the
 * baseline.
 */
public final class AblationReport {
  /** Name of the picture that the tables link to. */
  static final String CURVES = "curves.svg";

  /** Accuracies whose first step is reported, besides the baseline's last one. */
  private static final List<Double> LEVELS = List.of(0.7, 0.8, 0.9);

  private static final String MICRO = "all pairs (micro)";
  private static final String MACRO = "attributes (macro)";
  private static final String NONE = "–";
  private static final String BETTER_TITLE = "Better of ITC and ITM";
  private static final String APART =
      "**Apart**: the intervals mean ± standard deviation do not overlap.";

  /** What is counted on a pair of pairs. */
  private record Score(String key, String title, FineGrainedScore of) {}

  private static final List<Score> SCORES =
      List.of(
          new Score("captionChoice", "caption choice", FineGrainedScore.CAPTION_CHOICE),
          new Score("imageChoice", "image choice", FineGrainedScore.IMAGE_CHOICE),
          new Score("group", "group score", FineGrainedScore.GROUP));

  private static final String RETRIEVAL = "retrieval.";
  private static final String BETTER = "better";
  private static final String MACRO_LARGE = "macroLarge";
  private static final String REWORDED = ".reworded.";

  private static final Map<String, String> SCORERS = scorers();

  private static Map<String, String> scorers() {
    Map<String, String> scorers = new LinkedHashMap<>();
    scorers.put("itm", "matching (ITM)");
    scorers.put("itc", "contrast (ITC)");
    return scorers;
  }

  private static final String STEPS = "cost.steps";
  private static final String SAMPLES = "cost.samples";
  private static final String MINUTES = "cost.minutes";
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
  private final boolean hasMacro;
  private final RunResult first;
  private final @Nullable String curves;

  /**
   * @param command the command line that made the runs
   * @param parallel runs at a time
   * @param arms in the order of the report
   * @param results finished runs, at least one, each of one of the arms
   * @param unfinished names of runs that failed or were stopped
   * @throws IllegalArgumentException if the runs differ in length, batch or threads
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
      if (!result.setting().equals(first.setting())) {
        throw new IllegalArgumentException(
            ("%s cannot be compared with %s; arms need equal steps or equal time, and equal batches"
                    + " and threads: remove one")
                .formatted(named(result), named(first)));
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
    this.hasMacro =
        byArm.values().stream()
            .flatMap(List::stream)
            .allMatch(
                run ->
                    last(run).macroLarge() != null
                        && run.curve().stream().allMatch(point -> point.macroLarge() != null));
    this.curves = drawn();
  }

  private static String named(RunResult run) {
    return "%s seed %d (%s)".formatted(run.arm(), run.seed(), run.setting());
  }

  private static CurvePoint last(RunResult run) {
    return CurvePoint.of(run.steps(), null, null, run.evaluation());
  }

  private static double mean(List<RunResult> runs, ToDoubleFunction<RunResult> value) {
    return runs.stream().mapToDouble(value).average().orElseThrow();
  }

  /**
   * The first evaluation at which a run's caption choice reaches a level; empty if none does.
   *
   * @param accuracy null where it is not known
   */
  static Optional<CurvePoint> reached(
      RunResult run, double level, Function<CurvePoint, @Nullable Double> accuracy) {
    return run.curve().stream()
        .filter(
            point -> {
              Double reached = accuracy.apply(point);
              return reached != null && reached >= level;
            })
        .findFirst();
  }

  private static @Nullable FineGrainedReport report(RunResult run, String scorer) {
    return scorer.equals("itm") ? run.evaluation().itm() : run.evaluation().itc();
  }

  /** Every number of one run, by a dotted name; what the run does not have is absent. */
  private static Map<String, Double> numbers(RunResult run) {
    Map<String, Double> scores = new LinkedHashMap<>();
    for (String scorer : SCORERS.keySet()) {
      FineGrainedReport report = report(run, scorer);
      if (report != null) {
        fineGrained(scores, scorer, report);
      }
    }
    retrieval(scores, "itc", run.evaluation().retrievalItc());
    retrieval(scores, "itm", run.evaluation().retrievalItm());
    Map<String, Double> numbers = better(scores);
    numbers.putAll(scores);
    numbers.put(STEPS, (double) run.steps());
    CurvePoint end = run.curve().isEmpty() ? null : run.curve().getLast();
    if (end != null && end.samples() != null) {
      numbers.put(SAMPLES, (double) end.samples());
    }
    if (end != null && end.stepSeconds() != null) {
      numbers.put(MINUTES, end.stepSeconds() / 60);
    }
    if (run.medianStepSeconds() != null) {
      numbers.put(STEP_SECONDS, run.medianStepSeconds());
    }
    if (run.peakMebibytes() != null) {
      numbers.put(PEAK, (double) run.peakMebibytes());
    }
    return numbers;
  }

  private static void fineGrained(
      Map<String, Double> numbers, String scorer, FineGrainedReport report) {
    Optional<AttributeScores> large = LargeTypes.macro(report);
    for (Score score : SCORES) {
      String prefix = scorer + "." + score.key() + ".";
      report
          .byAttribute()
          .forEach(
              (attribute, scores) -> numbers.put(prefix + attribute, score.of().share(scores)));
      numbers.put(prefix + "micro", score.of().share(report.all()));
      numbers.put(prefix + "macro", score.of().share(report.macro()));
      large.ifPresent(macro -> numbers.put(prefix + MACRO_LARGE, score.of().share(macro)));
    }
    report.reworded().forEach((type, of) -> numbers.put(scorer + REWORDED + type, of.choice()));
    report
        .rewordedMacro()
        .ifPresent(macro -> numbers.put(scorer + REWORDED + "macro", macro.choice()));
  }

  /** For each number by contrast the larger of it and that by matching, where there is one. */
  private static Map<String, Double> better(Map<String, Double> numbers) {
    Map<String, Double> better = new LinkedHashMap<>();
    numbers.forEach(
        (key, value) -> {
          for (String prefix : List.of("", RETRIEVAL)) {
            if (key.startsWith(prefix + "itc.")) {
              String rest = key.substring((prefix + "itc").length());
              double other = numbers.getOrDefault(prefix + "itm" + rest, value);
              better.put(prefix + BETTER + rest, Math.max(value, other));
            }
          }
        });
    return better;
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
    return RETRIEVAL + scorer + "." + way + ".R@" + rank;
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
      String key,
      String title,
      double value,
      Function<CurvePoint, @Nullable Double> accuracy,
      boolean shown) {}

  /** What it took to get there. */
  private record Measure(
      String key, String title, String form, Function<CurvePoint, @Nullable Double> of) {}

  private static final List<Measure> MEASURES =
      List.of(
          new Measure("stepsTo", "Steps", "%,.0f", point -> (double) point.step()),
          new Measure(
              "samplesTo",
              "Samples",
              "%,.0f",
              point -> point.samples() == null ? null : Double.valueOf(point.samples())),
          new Measure(
              "minutesTo",
              "Minutes",
              "%.1f",
              point -> point.stepSeconds() == null ? null : point.stepSeconds() / 60));

  /** The macro average of the large types is shown, that of all types kept for programs. */
  private List<Level> levels() {
    List<Level> levels = new ArrayList<>();
    if (hasMacro) {
      levels(levels, "macroLarge", "macro", CurvePoint::macroLarge, true);
    }
    levels(levels, "macro", "macro", CurvePoint::macro, false);
    levels(levels, "micro", "micro", CurvePoint::micro, true);
    return levels;
  }

  private void levels(
      List<Level> levels,
      String key,
      String title,
      Function<CurvePoint, @Nullable Double> accuracy,
      boolean shown) {
    double target =
        mean(byArm.get(baseline), run -> Objects.requireNonNull(accuracy.apply(last(run))));
    String baselineKey =
        "baseline" + key.substring(0, 1).toUpperCase(Locale.ROOT) + key.substring(1);
    String baselineTitle = "baseline's last " + title + " (" + percent(target) + " %)";
    levels.add(new Level(baselineKey, baselineTitle, target, accuracy, shown));
    for (double value : LEVELS) {
      String name = String.format(Locale.ROOT, "%.0f", 100 * value);
      levels.add(new Level(key + name, title + " " + name + " %", value, accuracy, shown));
    }
  }

  private List<Double> took(String arm, Level level, Measure measure) {
    List<Double> values = new ArrayList<>();
    for (RunResult run : byArm.get(arm)) {
      Double value = reached(run, level.value(), level.accuracy()).map(measure.of()).orElse(null);
      if (value != null) {
        values.add(value);
      }
    }
    return values;
  }

  private String tookCell(String arm, Level level, Measure measure) {
    List<Double> values = took(arm, level, measure);
    if (values.isEmpty()) {
      return "not reached";
    }
    Statistic statistic = Statistic.of(values);
    int runs = byArm.get(arm).size();
    return plain(statistic, measure.form())
        + (values.size() < runs ? " (" + values.size() + " of " + runs + ")" : "");
  }

  /** Whether every run tells it. */
  private boolean isKnown(Measure measure) {
    return byArm.values().stream()
        .flatMap(List::stream)
        .flatMap(run -> run.curve().stream())
        .allMatch(point -> measure.of().apply(point) != null);
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
    better(text);
    if (curves != null) {
      text.append("\n## Curves\n\n![")
          .append(curveTitle())
          .append("](")
          .append(CURVES)
          .append(")\n");
    }
    overview(text);
    differences(text);
    SCORERS.forEach((scorer, title) -> fineGrained(text, scorer, "By " + title, this::share));
    retrieval(text);
    for (Measure measure : MEASURES) {
      if (isKnown(measure)) {
        table(
            text,
            measure.title() + " to an accuracy",
            measure.key().equals("stepsTo") ? levelsNote() : "",
            levels().stream().filter(Level::shown).toList(),
            Level::title,
            (arm, level) -> tookCell(arm, level, measure));
      }
    }
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
    String length =
        first.minutes() == null
            ? String.format(Locale.ROOT, "%,d steps of batch %d", first.steps(), first.batchSize())
            : String.format(
                Locale.ROOT,
                "%s minutes of steps of batch %d, waiting for data included, start-up, evaluations"
                    + " and checkpoints not",
                decimal(first.minutes()),
                first.batchSize());
    return String.format(
        Locale.ROOT,
        """
        Every run: %s. Seeds %s. Kernels: %s; %d thread%s a run, %d run%s at a time.
        %sShares are in %%, mean ± sample standard deviation over the seeds; a tie counts as wrong. Of
        types with fewer than %d pairs the right decisions are counted, mean over the seeds. The first
        arm is the baseline.
        %s\
        """,
        length,
        seeds.stream().map(String::valueOf).collect(Collectors.joining(", ")),
        String.join(" and ", kernels),
        first.threads(),
        first.threads() == 1 ? "" : "s",
        parallel,
        parallel == 1 ? "" : "s",
        skipped == 0 ? "" : skipped + " bad samples were skipped in all runs together. ",
        LargeTypes.LEAST_PAIRS,
        warning());
  }

  /** Equal time is not equal where runs took it from each other. */
  private String warning() {
    Optional<RunResult> shared =
        byArm.values().stream()
            .flatMap(List::stream)
            .filter(run -> run.minutes() != null && run.sharedProcessors())
            .findFirst();
    return shared
        .map(
            run ->
                """

                **Warning: runs shared processors.** %d at a time with %d thread%s each ran on %d \
                processor%s, so that a
                minute of one run depended on the others. Compare arms at equal time with fewer runs at a
                time (`--parallel`).
                """
                    .formatted(
                        run.parallel(),
                        run.threads(),
                        run.threads() == 1 ? "" : "s",
                        run.processors(),
                        run.processors() == 1 ? "" : "s"))
        .orElse("");
  }

  private static String decimal(double value) {
    return new BigDecimal(Double.toString(value)).stripTrailingZeros().toPlainString();
  }

  /**
   * A column of numbers by their name.
   *
   * @param decisions that are counted in place of a share; 0 for a share
   */
  private record Column(String title, String key, int decisions) {
    Column(String title, String key) {
      this(title, key, 0);
    }
  }

  private List<Column> headlines() {
    List<Column> columns = new ArrayList<>();
    for (String scorer : SCORERS.keySet()) {
      String name = scorer.toUpperCase(Locale.ROOT);
      for (Score score : SCORES) {
        String prefix = scorer + "." + score.key() + ".";
        columns.add(new Column(name + " " + score.title() + ", macro", prefix + MACRO_LARGE));
        if (score.key().equals("captionChoice")) {
          columns.add(new Column(name + " " + score.title() + ", micro", prefix + "micro"));
        }
      }
      columns.add(new Column(name + " true rewording, macro", scorer + REWORDED + "macro"));
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
    table(text, "Overview", "", headlines(), Column::title, this::share);
    macroNote(text, "itc");
  }

  private void differences(StringBuilder text) {
    if (byArm.size() < 2) {
      return;
    }
    table(
        text,
        "Difference from the baseline",
        "In points. " + APART + "\n\n",
        headlines(),
        Column::title,
        (arm, column) -> arm.equals(baseline) ? NONE : difference(arm, column.key()));
    macroNote(text, "itc");
  }

  private void macroNote(StringBuilder text, String scorer) {
    long large = pairs(scorer).values().stream().filter(LargeTypes::isLarge).count();
    String note = LargeTypes.note(large, "types", LargeTypes.LEAST_PAIRS, "pairs");
    text.append('\n').append(note.substring(0, 1).toUpperCase(Locale.ROOT));
    text.append(note.substring(1)).append(".\n");
  }

  /** The tables that come first: of each run the better scorer. */
  private void better(StringBuilder text) {
    text.append("\n## ").append(BETTER_TITLE).append("\n\n");
    text.append(
        """
        Of each run and number the larger of ITC and ITM (for retrieval, of ITC and its best candidates
        re-ranked by both). Chosen on the test pairs, it lies a little above what either alone would
        reach, in every arm.
        """);
    if (byArm.size() > 1) {
      text.append("In brackets the difference from the baseline in points. ");
      text.append(APART).append('\n');
    }
    fineGrained(text, BETTER, BETTER_TITLE, this::shareAndDifference);
    List<Column> columns =
        present(
            List.of(
                new Column("image to text R@1", retrievalKey(BETTER, "imageToText", 1)),
                new Column("text to image R@1", retrievalKey(BETTER, "textToImage", 1))));
    if (!columns.isEmpty()) {
      table(
          text, BETTER_TITLE + ": retrieval", "", columns, Column::title, this::shareAndDifference);
    }
  }

  private String shareAndDifference(String arm, Column column) {
    String share = share(arm, column);
    return arm.equals(baseline) || column.decisions() > 0 || share.equals(NONE)
        ? share
        : share + " (" + difference(arm, column.key()) + ")";
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

  private void fineGrained(StringBuilder text, String scorer, String title, Cell<Column> cell) {
    for (Score score : SCORES) {
      String prefix = scorer + "." + score.key() + ".";
      List<Column> columns = new ArrayList<>();
      pairs(scorer)
          .forEach(
              (attribute, pairs) ->
                  columns.add(
                      new Column(
                          attribute + " (" + pairs + ")",
                          prefix + attribute,
                          LargeTypes.isLarge(pairs) ? 0 : score.of().decisions(pairs))));
      columns.add(new Column(MICRO, prefix + "micro"));
      columns.add(new Column(MACRO, prefix + MACRO_LARGE));
      List<Column> present = present(columns);
      if (!present.isEmpty()) {
        table(text, title + ": " + score.title(), "", present, Column::title, cell);
        macroNote(text, scorer);
      }
    }
  }

  /** Pairs of each attribute. */
  private Map<String, Integer> pairs(String scorer) {
    Map<String, Integer> pairs = new LinkedHashMap<>();
    for (List<RunResult> runs : byArm.values()) {
      for (RunResult run : runs) {
        FineGrainedReport report = report(run, scorer);
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
            scorer.equals("itc") ? "Retrieval by ITC" : "Retrieval by ITC, re-ranked by both",
            "",
            present,
            Column::title,
            this::share);
      }
    }
  }

  private String levelsNote() {
    return """
    The first evaluation at which caption choice, by ITM where there is one, reaches the accuracy; mean
    over the seeds that reach it.%s

    """
        .formatted(
            first.minutes() == null
                ? String.format(Locale.ROOT, " Each run has %,d steps.", first.steps())
                : "");
  }

  private void cost(StringBuilder text) {
    table(
        text,
        "Cost",
        "Minutes are those of all steps. A step's time is the median over a run, loading of its"
            + " batch included.\n\n",
        List.of(
            new Column("steps", STEPS),
            new Column("samples", SAMPLES),
            new Column("minutes", MINUTES),
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
    return plain(
        statistic,
        switch (key) {
          case STEP_SECONDS -> "%.3f";
          case MINUTES -> "%.2f";
          default -> "%,.0f";
        });
  }

  private static String plain(Statistic statistic, String form) {
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

  /** A share, or the right decisions among so many. */
  private String share(String arm, Column column) {
    Statistic statistic = statistic(arm, column.key());
    if (statistic == null) {
      return NONE;
    }
    if (column.decisions() > 0) {
      return String.format(
          Locale.ROOT,
          statistic.count() == 1 ? "%.0f of %d" : "%.1f of %d",
          statistic.mean() * column.decisions(),
          column.decisions());
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

  // ---------------------------------------------------------------------------- curves

  private String curveTitle() {
    return (hasMacro ? "Macro" : "Micro") + " caption choice, better of ITC and ITM, in %";
  }

  /** Accuracy over the runs' course as a picture; null if no run tells samples or time. */
  @Nullable String curves() {
    return curves;
  }

  private @Nullable String drawn() {
    List<CurvePicture.Panel> panels = new ArrayList<>();
    for (Measure measure : List.of(MEASURES.get(2), MEASURES.get(1))) {
      if (isKnown(measure) && byArm.values().stream().allMatch(AblationReport::haveCurves)) {
        Map<String, List<CurvePicture.Curve>> arms = new LinkedHashMap<>();
        byArm.forEach(
            (arm, runs) -> arms.put(arm, runs.stream().map(run -> curve(run, measure)).toList()));
        panels.add(
            new CurvePicture.Panel(
                measure.key().equals("minutesTo") ? "minutes of training" : "samples seen", arms));
      }
    }
    return panels.isEmpty() ? null : CurvePicture.svg(curveTitle(), panels);
  }

  private static boolean haveCurves(List<RunResult> runs) {
    return runs.stream().noneMatch(run -> run.curve().isEmpty());
  }

  private CurvePicture.Curve curve(RunResult run, Measure measure) {
    return new CurvePicture.Curve(
        run.curve().stream()
            .mapToDouble(point -> Objects.requireNonNull(measure.of().apply(point)))
            .toArray(),
        run.curve().stream()
            .mapToDouble(
                point ->
                    100
                        * (hasMacro
                            ? Objects.requireNonNull(point.betterMacroLarge())
                            : point.betterMicro()))
            .toArray());
  }

  // ---------------------------------------------------------------------------- JSON

  /**
   * The same for programs: shares in [0, 1], every number by name as {@code {n, mean, deviation,
   * difference, overlaps}}, and every run. Every type stands in it, however few pairs it has:
   * {@code macro} is the mean over all types, {@code macroLarge} (what the tables show) that over
   * those with at least {@link LargeTypes#LEAST_PAIRS} pairs, absent without such. {@code better}
   * is of each run the larger of {@code itc} and {@code itm}. {@code stepsTo}, {@code samplesTo}
   * and {@code minutesTo} are at the first evaluation that reached an accuracy. {@code minutes} is
   * what the steps of every run were given, null for runs of equal steps; {@code steps} is null for
   * runs of equal time.
   */
  public String json() {
    JsonMapper mapper = JsonMapper.shared();
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("command", command);
    if (first.minutes() == null) {
      root.put("steps", first.steps());
    } else {
      root.putNull("steps");
    }
    root.put("minutes", first.minutes());
    root.put("batchSize", first.batchSize());
    root.put("threads", first.threads());
    root.put("parallel", parallel);
    root.put(
        "sharedProcessors",
        byArm.values().stream().flatMap(List::stream).anyMatch(RunResult::sharedProcessors));
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
      for (Measure measure : MEASURES) {
        ObjectNode reached = node.putObject(measure.key());
        for (Level level : levels()) {
          ObjectNode entry = reached.putObject(level.key());
          entry.put("accuracy", level.value());
          List<Double> taken = took(arm.name(), level, measure);
          entry.put("n", taken.size());
          if (taken.isEmpty()) {
            entry.putNull("mean");
          } else {
            entry.put("mean", Statistic.of(taken).mean());
          }
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
