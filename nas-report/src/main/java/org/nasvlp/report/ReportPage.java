package org.nasvlp.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.LargeTypes;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * One page of HTML on one run, or on several beside each other. All that it needs is in it: it
 * opens from a file, without a network.
 */
public final class ReportPage {
  /** Runs on a page at most: more cannot be told apart in a chart. */
  public static final int MOST_RUNS = 8;

  private static final String DASH = Tables.DASH;

  private final List<RunRecord> runs;
  private final List<String> names;
  private final @Nullable Learned learned;
  private final Html html = new Html();
  private final Tables tables = new Tables(html);
  private final ResultTables resultTables = new ResultTables(html);

  private ReportPage(List<RunRecord> runs, List<String> names, @Nullable Learned learned) {
    this.runs = List.copyOf(runs);
    this.learned = learned;
    this.names = List.copyOf(names);
  }

  /**
   * Writes a page; where there was a file, it is replaced as a whole.
   *
   * @param runs 1 to {@value #MOST_RUNS}, in the order of their columns and colours
   * @param file to write; its folder must exist
   * @throws IllegalArgumentException for no run or too many
   * @throws IOException if the file cannot be written, or the library of charts is not on the class
   *     path
   */
  public static void write(List<RunRecord> runs, Path file) throws IOException {
    write(runs, names(runs), file);
  }

  /**
   * The same with names of the caller's choice.
   *
   * @param names one for each run, all different
   */
  public static void write(List<RunRecord> runs, List<String> names, Path file) throws IOException {
    if (runs.isEmpty() || runs.size() > MOST_RUNS) {
      throw new IllegalArgumentException(
          runs.size() + " runs: a page shows 1 to " + MOST_RUNS + " beside each other");
    }
    if (names.size() != runs.size() || new HashSet<>(names).size() != names.size()) {
      throw new IllegalArgumentException(
          "names are %s: there must be one for each of %d runs, all different"
              .formatted(names, runs.size()));
    }
    PageFile.write(file, new ReportPage(runs, names, null).page());
  }

  /**
   * Writes a page on a run and on what its model does with pictures.
   *
   * @param file to write; its folder must exist
   * @throws IOException as {@link #write(List, Path)} does
   */
  public static void write(RunRecord run, Learned learned, Path file) throws IOException {
    PageFile.write(file, new ReportPage(List.of(run), names(List.of(run)), learned).page());
  }

  /** The folders' own names, or their whole paths where two have the same. */
  private static List<String> names(List<RunRecord> runs) {
    List<String> names = runs.stream().map(RunRecord::name).toList();
    return new HashSet<>(names).size() == names.size()
        ? names
        : runs.stream().map(run -> run.folder().toString()).toList();
  }

  private String page() throws IOException {
    String title =
        runs.size() == 1 ? "Run " + names.getFirst() : "Runs " + String.join(", ", names);
    List<ChartData.Chart> scores = ChartData.scores(runs);
    List<ChartData.Chart> losses = ChartData.losses(runs);
    List<ChartData.Chart> training = ChartData.training(runs);
    List<ChartData.Chart> dictionary = ChartData.dictionary();
    List<ChartData.Chart> all = new ArrayList<>(scores);
    all.addAll(losses);
    all.addAll(training);
    all.addAll(dictionary);

    PageFile.begin(html, title, true, chartLibrary("dist/uPlot.min.css") + "\n" + own("page.css"));
    html.open("header").element("h1", title);
    html.element("p", "What a training of NAS left in its folder.", "class", "soft").close();
    navigation();
    html.open("main");
    overview();
    diagnosis();
    html.element("h2", "Curves", "id", "curves");
    tools();
    charts("What it tells apart", scores);
    charts("Losses", losses);
    charts("Training", training);
    charts("Dictionary", dictionary);
    results();
    if (learned != null) {
      learned(learned);
    }
    times();
    settings();
    html.close();
    footer();
    html.open("script", "type", "application/json", "id", "data");
    html.raw(ChartData.json(runs, names, all)).close();
    html.open("script").raw(chartLibrary("dist/uPlot.iife.min.js")).raw("\n").raw(own("page.js"));
    if (learned != null && learned.dictionary() != null) {
      html.raw("\n").raw(own("codewords.js"));
    }
    if (learned != null && !learned.looks().isEmpty()) {
      html.raw("\n").raw(own("looks.js"));
    }
    html.close().close().close();
    return html + "\n";
  }

  private void learned(Learned of) {
    if (!of.pairs().isEmpty()) {
      new ConfusionPart(html, of).write();
    }
    if (of.retrieval() != null) {
      new RetrievalPart(html, of.retrieval(), of.imageSize()).write();
    }
    if (!of.looks().isEmpty()) {
      new LookPart(html, of.looks()).write();
    }
    if (!of.hardNegatives().isEmpty()) {
      new HardNegativePart(html, of).write();
    }
    if (of.dictionary() != null) {
      new DictionaryPart(html, of.dictionary(), runs.getFirst().codewords()).write();
    }
  }

  private void navigation() {
    Map<String, String> parts = new LinkedHashMap<>();
    parts.put("overview", "Overview");
    parts.put("diagnosis", "Diagnosis");
    parts.put("curves", "Curves");
    parts.put("results", "Results");
    if (learned != null && !learned.pairs().isEmpty()) {
      parts.put("confused", "What it confuses");
    }
    if (learned != null && learned.retrieval() != null) {
      parts.put("finds", "What it finds");
    }
    if (learned != null && !learned.looks().isEmpty()) {
      parts.put("looks", "Where it looks");
    }
    if (learned != null && !learned.hardNegatives().isEmpty()) {
      parts.put("negatives", "Hard negatives");
    }
    if (learned != null && learned.dictionary() != null) {
      parts.put("codewords", "Codewords");
    }
    parts.put("times", "Times");
    parts.put("settings", "Settings");
    PageFile.navigation(html, parts);
  }

  private void overview() {
    html.element("h2", "Overview", "id", "overview");
    tables.open("");
    tables.head("", names);
    row("folder", run -> run.folder().toString());
    row("steps", run -> Tables.format("%,d of %,d", run.done(), run.planned()));
    row("time of the run", run -> duration(run.seconds()));
    row("caption choice, ITM", run -> headline(run, false));
    row("caption choice, ITC", run -> headline(run, true));
    row("pairs", run -> count(run.summary().path("pairs")));
    row("parameters", run -> count(run.summary().path("parameters")));
    row("device", run -> text(run.summary().path("device")));
    row("kernels", run -> text(run.summary().path("kernels")));
    row("processors", run -> count(run.summary().path("processors")));
    row("Java", run -> text(run.summary().path("java")));
    row("system", run -> text(run.summary().path("system")));
    row(
        "memory at most",
        run -> {
          JsonNode peak = run.summary().path("peakResidentMiB");
          return peak.isNumber() ? count(peak) + " MiB" : DASH;
        });
    row("version", run -> text(run.summary().path("version")));
    tables.close();
    if (runs.stream().anyMatch(run -> run.summary().isMissingNode())) {
      html.element(
          "p",
          "Of the environment nothing is known before a run's end (run.json in its folder).",
          "class",
          "soft");
    }
    for (RunRecord run : runs) {
      if (run.unreadableLines() > 0) {
        html.element(
            "p",
            Tables.format(
                "%s: lines of the log that could not be read: %d.",
                run.name(), run.unreadableLines()),
            "class",
            "soft");
      }
    }
  }

  private static String headline(RunRecord run, boolean itc) {
    EvaluationReport report = run.lastReport().map(RunRecord.Evaluated::report).orElse(null);
    FineGrainedReport way = report == null ? null : itc ? report.itc() : report.itm();
    return way == null
        ? DASH
        : LargeTypes.macro(way)
            .map(macro -> Tables.percent(macro.captionChoice()) + " %")
            .orElse(DASH);
  }

  private void diagnosis() {
    html.element("h2", "Diagnosis", "id", "diagnosis");
    html.element(
        "p",
        "What usually goes wrong in a training, and whether it does here. The last steps are the"
            + " last tenth of them.");
    for (int i = 0; i < runs.size(); i++) {
      if (runs.size() > 1) {
        html.element("h3", names.get(i));
      }
      List<Finding> findings = Diagnosis.of(runs.get(i));
      List<Finding> open =
          findings.stream().filter(of -> of.level() != Finding.Level.FINE).toList();
      List<Finding> fine =
          findings.stream().filter(of -> of.level() == Finding.Level.FINE).toList();
      findings(open);
      if (!fine.isEmpty()) {
        html.open("details");
        html.element("summary", Tables.format("%d that are fine", fine.size()));
        findings(fine);
        html.close();
      }
    }
  }

  private void findings(List<Finding> findings) {
    if (findings.isEmpty()) {
      return;
    }
    html.open("ul", "class", "findings");
    for (Finding finding : findings) {
      html.open("li", "class", finding.level().name().toLowerCase(Locale.ROOT));
      html.element("span", finding.level().label(), "class", "level");
      html.element("strong", finding.subject());
      html.element("p", finding.figure());
      html.element("p", "Threshold: " + finding.threshold(), "class", "soft");
      if (!finding.remedy().isEmpty()) {
        html.element("p", finding.remedy());
      }
      html.close();
    }
    html.close();
  }

  private void tools() {
    html.element(
        "p",
        "Drag across a chart to zoom, double-click to see all. With a chart in focus: arrow keys"
            + " move the pointer, with Shift the steps shown; + and - zoom, 0 shows all. A click on"
            + " a name below a chart hides its line.");
    html.open("noscript").element("p", "The charts need JavaScript; the tables do not.").close();
    html.open("div", "class", "tools", "role", "group", "aria-label", "Steps shown");
    button("closer", "Zoom in", "+");
    button("farther", "Zoom out", "−");
    button("earlier", "Earlier steps", "←");
    button("later", "Later steps", "→");
    button("whole", "All steps", "All");
    html.element("span", "", "id", "window", "aria-live", "polite");
    html.open("label").text("Smooth").open("select", "id", "smooth");
    option("0", "not", true);
    option("2", "5 points", false);
    option("10", "21 points", false);
    option("50", "101 points", false);
    html.close().close();
    html.open("label").text("Score").open("select", "id", "score");
    for (String score : List.of("captionChoice", "imageChoice", "group")) {
      option(score, ChartData.SCORES.get(score), score.equals("captionChoice"));
    }
    html.close().close().close();
    if (runs.size() > 1) {
      html.open("ul", "class", "keys");
      for (int i = 0; i < runs.size(); i++) {
        html.open("li").open("i", "style", "--run: var(--run-" + i + ")").close();
        html.text(names.get(i)).close();
      }
      html.close();
    }
  }

  private void button(String id, String name, String sign) {
    html.element("button", sign, "type", "button", "id", id, "aria-label", name, "title", name);
  }

  private void option(String value, @Nullable String name, boolean selected) {
    String shown = name == null ? value : name;
    if (selected) {
      html.element("option", shown, "value", value, "selected", "selected");
    } else {
      html.element("option", shown, "value", value);
    }
  }

  private void charts(String heading, List<ChartData.Chart> charts) {
    if (charts.isEmpty()) {
      return;
    }
    html.element("h3", heading);
    if (charts.getFirst().type() != null) {
      html.element(
          "p",
          "Share of right choices between an image or caption and its twin that differs in one"
              + " thing: matching (ITM) solid, contrast (ITC) dashed, chance dotted.",
          "class",
          "soft");
    }
    html.open("div", "class", "charts");
    for (ChartData.Chart chart : charts) {
      html.open("figure").open("figcaption").text(chart.title());
      if (!chart.note().isEmpty()) {
        html.element("span", chart.note());
      }
      html.close();
      html.element(
          "div",
          "",
          "class",
          "chart",
          "data-chart",
          chart.id(),
          "tabindex",
          "0",
          "role",
          "application",
          "aria-label",
          "Chart of " + chart.title() + " by step");
      html.close();
    }
    html.close();
  }

  private void results() {
    html.element("h2", "Results", "id", "results");
    if (runs.stream().allMatch(run -> run.evaluations().isEmpty())) {
      html.element("p", "No evaluation is in the log: train with test pairs (--test, --pairs).");
      return;
    }
    if (runs.size() > 1) {
      comparison();
    }
    for (int i = 0; i < runs.size(); i++) {
      RunRecord.Evaluated last = runs.get(i).lastReport().orElse(null);
      EvaluationReport report = last == null ? null : last.report();
      if (last == null || report == null) {
        continue;
      }
      html.element("h3", Tables.format("%s, step %,d", names.get(i), last.step()));
      resultTables.write(report);
    }
    benchmarks();
    ownMetrics();
  }

  private void comparison() {
    Set<String> types = new LinkedHashSet<>();
    List<@Nullable FineGrainedReport> reports = new ArrayList<>();
    for (RunRecord run : runs) {
      EvaluationReport report = run.lastReport().map(RunRecord.Evaluated::report).orElse(null);
      FineGrainedReport best =
          report == null ? null : report.itm() != null ? report.itm() : report.itc();
      reports.add(best);
      if (best != null) {
        types.addAll(best.byAttribute().keySet());
      }
    }
    if (types.isEmpty()) {
      return;
    }
    tables.open("Caption choice in %, by matching where there is it, at the last evaluation");
    tables.head("", names);
    for (String type : types) {
      html.open("tr").element("th", type, "scope", "row");
      for (FineGrainedReport report : reports) {
        AttributeScores scores = report == null ? null : report.byAttribute().get(type);
        html.element(
            "td",
            scores == null ? DASH : ResultTables.share(scores, FineGrainedScore.CAPTION_CHOICE));
      }
      html.close();
    }
    html.open("tr", "class", "sum").element("th", "macro", "scope", "row");
    for (FineGrainedReport report : reports) {
      html.element(
          "td",
          report == null
              ? DASH
              : LargeTypes.macro(report)
                  .map(of -> Tables.percent(of.captionChoice()))
                  .orElse(DASH));
    }
    html.close();
    tables.close();
  }

  private void benchmarks() {
    Set<String> all = new LinkedHashSet<>();
    List<Map<String, Double>> last = new ArrayList<>();
    for (RunRecord run : runs) {
      Map<String, Double> of =
          run.evaluations().isEmpty() ? Map.of() : run.evaluations().getLast().benchmarks();
      last.add(of);
      all.addAll(of.keySet());
    }
    if (all.isEmpty()) {
      return;
    }
    tables.open("Published benchmarks at the last evaluation: macro average in %");
    tables.head("", names);
    for (String name : all) {
      html.open("tr").element("th", name, "scope", "row");
      for (Map<String, Double> of : last) {
        Double value = of.get(name);
        html.element("td", value == null ? DASH : Tables.percent(value));
      }
      html.close();
    }
    tables.close();
  }

  /** Of each run the last value, and the best one with its step. */
  private void ownMetrics() {
    Set<String> all = new LinkedHashSet<>();
    runs.forEach(run -> run.evaluations().forEach(of -> all.addAll(of.metrics().keySet())));
    if (all.isEmpty()) {
      return;
    }
    tables.open("Metrics of the program's own: at the last evaluation, and the best");
    tables.head("", names);
    for (String name : all) {
      html.open("tr").element("th", name, "scope", "row");
      for (RunRecord run : runs) {
        html.element("td", ownMetric(run.evaluations(), name));
      }
      html.close();
    }
    tables.close();
  }

  private static String ownMetric(List<RunRecord.Evaluated> evaluations, String name) {
    RunRecord.Evaluated best = null;
    for (RunRecord.Evaluated of : evaluations) {
      double value = of.metrics().getOrDefault(name, Double.NaN);
      if (Double.isFinite(value) && (best == null || value > best.metrics().get(name))) {
        best = of;
      }
    }
    if (best == null) {
      return DASH;
    }
    double last = evaluations.getLast().metrics().getOrDefault(name, Double.NaN);
    return Tables.format(
        "%s; %.4g at step %,d",
        Double.isFinite(last) ? Tables.format("%.4g", last) : DASH,
        best.metrics().get(name),
        best.step());
  }

  private void times() {
    html.element("h2", "Times", "id", "times");
    Set<String> sections = new LinkedHashSet<>();
    runs.forEach(
        run ->
            run.steps().names().stream()
                .filter(name -> name.startsWith("time "))
                .forEach(sections::add));
    tables.open("Where the time of a step goes: mean of the last steps in ms");
    tables.head("", names);
    double longest =
        runs.stream()
            .flatMap(run -> sections.stream().map(section -> run.steps().lately(section)))
            .filter(Double::isFinite)
            .max(Double::compare)
            .orElse(1.0);
    for (String section : sections) {
      html.open("tr").element("th", section.substring("time ".length()), "scope", "row");
      for (RunRecord run : runs) {
        double time = run.steps().lately(section);
        html.open("td");
        if (Double.isFinite(time)) {
          html.text(Tables.format("%.1f ", 1000 * time));
          html.open(
              "span", "class", "bar", "style", Tables.format("width: %.2frem", 6 * time / longest));
          html.close();
        } else {
          html.text(DASH);
        }
        html.close();
      }
      html.close();
    }
    tables.close();
  }

  private void settings() {
    html.element("h2", "Settings", "id", "settings");
    List<Map<String, String>> all = new ArrayList<>();
    Set<String> fields = new LinkedHashSet<>();
    for (RunRecord run : runs) {
      Map<String, String> of = new LinkedHashMap<>();
      run.config()
          .map(NasConfig::toJson)
          .ifPresent(json -> flatten("", JsonMapper.shared().readTree(json), of));
      all.add(of);
      fields.addAll(of.keySet());
    }
    if (fields.isEmpty()) {
      html.element("p", "The run has no checkpoint yet, whose configuration would stand here.");
      return;
    }
    if (runs.size() > 1) {
      html.element("p", "Marked: settings in which the runs differ.", "class", "soft");
    }
    tables.open("");
    tables.head("", names);
    for (String field : fields) {
      List<String> values = all.stream().map(of -> of.getOrDefault(field, DASH)).toList();
      if (new HashSet<>(values).size() > 1) {
        html.open("tr", "class", "differs");
      } else {
        html.open("tr");
      }
      html.element("th", field, "scope", "row");
      values.forEach(value -> html.element("td", value));
      html.close();
    }
    tables.close();
  }

  private static void flatten(String prefix, JsonNode node, Map<String, String> fields) {
    for (Map.Entry<String, JsonNode> field : node.properties()) {
      String name = prefix + field.getKey();
      if (field.getValue().isObject()) {
        flatten(name + ".", field.getValue(), fields);
      } else {
        fields.put(name, field.getValue().asString(field.getValue().toString()));
      }
    }
  }

  private void footer() throws IOException {
    html.open("footer");
    html.text("Made by nas report. Charts: uPlot, MIT License.");
    html.open("details").element("summary", "License of uPlot");
    html.element("pre", chartLibrary("LICENSE")).close();
    html.close();
  }

  private void row(String name, Function<RunRecord, String> value) {
    html.open("tr").element("th", name, "scope", "row");
    runs.forEach(run -> html.element("td", value.apply(run), "class", "long"));
    html.close();
  }

  private static String text(JsonNode node) {
    return node.asString(DASH);
  }

  private static String count(JsonNode node) {
    return node.isNumber() ? Tables.format("%,d", node.longValue()) : DASH;
  }

  private static String duration(double seconds) {
    long whole = Math.round(seconds);
    return Tables.format("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  }

  static String own(String name) {
    try (InputStream file = ReportPage.class.getResourceAsStream(name)) {
      if (file == null) {
        throw new IllegalStateException(name + " is missing in the jar of nas-report");
      }
      return new String(file.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A file of uPlot's, whichever version the build has chosen. */
  private static String chartLibrary(String name) throws IOException {
    Properties version = new Properties();
    try (InputStream file = resource("META-INF/maven/org.webjars.npm/uplot/pom.properties")) {
      version.load(file);
    }
    try (InputStream file =
        resource(
            "META-INF/resources/webjars/uplot/" + version.getProperty("version") + "/" + name)) {
      return new String(file.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static InputStream resource(String name) throws IOException {
    InputStream file = ReportPage.class.getClassLoader().getResourceAsStream(name);
    if (file == null) {
      throw new IOException(
          name
              + " is missing: add org.webjars.npm:uplot, which nas-report depends on, to the class"
              + " path");
    }
    return file;
  }
}
