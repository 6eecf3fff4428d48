package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.LargeTypes;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * One page of HTML on an ablation, read from the {@code results.json} in its folder, and beside it
 * the page of its variants' first runs. All that a page needs is in it: it opens without a network.
 */
public final class AblationPage {
  private static final String RESULTS = "results.json";
  private static final String CURVES = "curves.svg";
  private static final String COMPARED = "compared.html";
  private static final String MICRO = "micro";
  private static final String MACRO = "macroLarge";

  private static final Map<String, String> SCORES = scores();

  private final Html html = new Html();
  private final Tables tables = new Tables(html);
  private final JsonNode root;
  private final List<JsonNode> arms = new ArrayList<>();
  private final JsonNode baseline;

  /** Pairs of each type. */
  private final Map<String, Integer> pairs = new LinkedHashMap<>();

  private AblationPage(JsonNode root) {
    this.root = root;
    root.path("arms").forEach(arms::add);
    this.baseline =
        arms.stream()
            .filter(arm -> name(arm).equals(root.path("baseline").asString("")))
            .findFirst()
            .orElse(arms.getFirst());
    root.path("runs")
        .forEach(
            run ->
                run.path("evaluation")
                    .path("itc")
                    .path("byAttribute")
                    .properties()
                    .forEach(
                        type ->
                            pairs.putIfAbsent(
                                type.getKey(), type.getValue().path("pairs").asInt(0))));
  }

  private static Map<String, String> scores() {
    Map<String, String> scores = new LinkedHashMap<>();
    scores.put("captionChoice", "Caption choice");
    scores.put("imageChoice", "Image choice");
    scores.put("group", "Group score");
    return scores;
  }

  /**
   * Writes {@code report.html} and, of up to {@value ReportPage#MOST_RUNS} variants' first runs,
   * {@code compared.html}; where there were such files, they are replaced as a whole.
   *
   * @param folder the ablation's, with its {@code results.json}
   * @return the page
   * @throws IOException if the results are missing or damaged, a run cannot be read or a page not
   *     be written
   */
  public static Path write(Path folder) throws IOException {
    Path file = folder.resolve(RESULTS);
    JsonNode root;
    try {
      root = JsonMapper.shared().readTree(Files.readString(file));
    } catch (NoSuchFileException e) {
      throw new IOException(file + ": no such file; an ablation leaves it at its end", e);
    } catch (JacksonException e) {
      throw new IOException(file + ": damaged (" + e.getOriginalMessage() + ")", e);
    }
    if (root.path("arms").isEmpty()) {
      throw new IOException(file + ": holds no arms of an ablation");
    }
    AblationPage page = new AblationPage(root);
    int compared = page.compare(folder);
    Path curves = folder.resolve(CURVES);
    String text =
        page.page(
            folder,
            Files.exists(curves)
                ? Base64.getEncoder().encodeToString(Files.readAllBytes(curves))
                : null,
            compared);
    Path written = folder.resolve("report.html");
    PageFile.write(written, text);
    return written;
  }

  /** Writes the first runs beside each other; returns how many these are. */
  private int compare(Path folder) throws IOException {
    List<RunRecord> runs = new ArrayList<>();
    List<String> names = new ArrayList<>();
    for (JsonNode arm : arms) {
      String seed = arm.path("seeds").path(0).asString("");
      Path run = folder.resolve("runs").resolve(name(arm)).resolve("seed-" + seed);
      Path training = run.resolve("training");
      if (runs.size() < ReportPage.MOST_RUNS && Files.exists(training.resolve(RunRecord.LOG))) {
        runs.add(RunRecord.read(training));
        names.add(name(arm));
      }
    }
    if (!runs.isEmpty()) {
      ReportPage.write(runs, names, folder.resolve(COMPARED));
    }
    return runs.size();
  }

  private static String name(JsonNode arm) {
    return arm.path("name").asString("");
  }

  private String page(Path folder, @Nullable String curves, int compared) {
    String title = "Ablation " + folder.toAbsolutePath().normalize().getFileName();
    PageFile.begin(html, title, false, ReportPage.own("page.css"));
    html.open("header").element("h1", title);
    html.element("p", "What variants of a configuration reach.", "class", "soft").close();
    Map<String, String> parts = new LinkedHashMap<>();
    parts.put("what", "What was compared");
    if (arms.size() > 1) {
      parts.put("differences", "Differences");
    }
    parts.put("better", "Better of ITC and ITM");
    parts.put("ways", "By each");
    parts.put("levels", "To an accuracy");
    parts.put("cost", "Cost");
    parts.put("curves", "Curves");
    PageFile.navigation(html, parts);
    html.open("main");
    what();
    if (arms.size() > 1) {
      differences();
    }
    better();
    ways();
    levels();
    cost();
    curves(curves, compared);
    return html.close().element("footer", "Made by nas ablate.").close().close() + "\n";
  }

  private void what() {
    html.element("h2", "What was compared", "id", "what");
    Map<String, String> facts = new LinkedHashMap<>();
    if (!root.path("command").asString("").isEmpty()) {
      facts.put("command", root.path("command").asString(""));
    }
    facts.put("every run", length());
    facts.put("baseline", name(baseline));
    facts.put(
        "threads",
        "%d a run, %d run%s at a time"
            .formatted(
                root.path("threads").asInt(0),
                root.path("parallel").asInt(0),
                root.path("parallel").asInt(0) == 1 ? "" : "s"));
    List<String> unfinished = new ArrayList<>();
    root.path("unfinished").forEach(run -> unfinished.add(run.asString("")));
    if (!unfinished.isEmpty()) {
      facts.put("not finished", String.join(", ", unfinished));
    }
    tables.facts(facts);
    if (root.path("minutes").isNumber() && root.path("sharedProcessors").asBoolean(false)) {
      html.open("ul", "class", "findings").open("li", "class", "warning");
      html.element("span", "warning", "class", "level").element("strong", "shared processors");
      html.element(
          "p",
          "The runs had more threads than the machine has processors, so that a minute of one"
              + " depended on the others. Compare at equal time with fewer runs at a time"
              + " (--parallel).");
      html.close().close();
    }
    tables.open("The fields in which each variant differs from the base configuration");
    tables.head("variant", List.of("seeds", "fields"));
    for (JsonNode arm : arms) {
      List<String> seeds = new ArrayList<>();
      arm.path("seeds").forEach(seed -> seeds.add(seed.asString("")));
      html.open("tr").element("th", name(arm), "scope", "row");
      html.element("td", String.join(", ", seeds));
      html.element("td", arm.path("patch").toString(), "class", "long").close();
    }
    tables.close();
  }

  private String length() {
    int batch = root.path("batchSize").asInt(0);
    return root.path("minutes").isNumber()
        ? Tables.format("%s minutes of steps of batch %d", root.path("minutes"), batch)
        : Tables.format("%,d steps of batch %d", root.path("steps").asLong(0), batch);
  }

  // ---------------------------------------------------------------------------- differences

  private void differences() {
    html.element("h2", "Differences from the baseline", "id", "differences");
    html.element(
        "p",
        "In points, of each run the better of ITC and ITM, mean over the seeds. The line is as long"
            + " as the standard deviations of both together to each side: where it does not reach"
            + " 0, the intervals mean ± standard deviation lie apart. Types with fewer than "
            + LargeTypes.LEAST_PAIRS
            + " pairs are left out.");
    List<JsonNode> others = arms.stream().filter(arm -> !arm.equals(baseline)).toList();
    html.open("div", "class", "plots");
    SCORES.forEach(
        (score, title) -> {
          Map<String, String> columns = new LinkedHashMap<>();
          pairs.forEach(
              (type, count) -> {
                if (LargeTypes.isLarge(count)) {
                  columns.put(type, type);
                }
              });
          columns.put(MACRO, "types (macro)");
          columns.put(MICRO, "all pairs (micro)");
          List<DotPlot.Row> rows = new ArrayList<>();
          double largest = 0;
          for (Map.Entry<String, String> column : columns.entrySet()) {
            String key = "better." + score + "." + column.getKey();
            if (value(baseline, key).isMissingNode()) {
              continue;
            }
            List<DotPlot.@Nullable Point> points = new ArrayList<>();
            for (JsonNode arm : others) {
              DotPlot.Point point = difference(arm, key);
              points.add(point);
              if (point != null) {
                double far = Double.isNaN(point.low()) ? 0 : point.high() - point.value();
                largest = Math.max(largest, Math.abs(point.value()) + far);
              }
            }
            rows.add(new DotPlot.Row(column.getValue(), points, 0));
          }
          new DotPlot(
                  html,
                  DotPlot.Axis.around(largest),
                  others.stream().map(AblationPage::name).toList())
              .write(title, "", rows);
        });
    html.close();
  }

  private DotPlot.@Nullable Point difference(JsonNode arm, String key) {
    JsonNode own = value(arm, key);
    JsonNode other = value(baseline, key);
    if (own.isMissingNode() || other.isMissingNode()) {
      return null;
    }
    double points = 100 * (own.path("mean").asDouble(0) - other.path("mean").asDouble(0));
    double around =
        own.path("deviation").isNumber() && other.path("deviation").isNumber()
            ? 100 * (own.path("deviation").doubleValue() + other.path("deviation").doubleValue())
            : Double.NaN;
    return new DotPlot.Point(points, points - around, points + around);
  }

  private static JsonNode value(JsonNode arm, String key) {
    return arm.path("values").path(key);
  }

  // ---------------------------------------------------------------------------- tables

  private void better() {
    html.element("h2", "Better of ITC and ITM", "id", "better");
    html.element(
        "p",
        "In %, mean ± sample standard deviation over the seeds; a tie counts as wrong. Of types"
            + " with fewer than "
            + LargeTypes.LEAST_PAIRS
            + " pairs the right decisions are counted. In brackets the difference from the baseline"
            + " in points; apart: the intervals mean ± standard deviation do not overlap. Of each"
            + " run and number the larger of ITC and ITM, chosen on the test pairs, lies a little"
            + " above what either alone would reach, in every variant.");
    fineGrained("better", "", this::shareAndDifference);
    Map<String, String> columns = new LinkedHashMap<>();
    columns.put("retrieval.better.imageToText.R@1", "image to text R@1");
    columns.put("retrieval.better.textToImage.R@1", "text to image R@1");
    table("Retrieval", columns, this::shareAndDifference);
  }

  private void ways() {
    html.element("h2", "By each", "id", "ways");
    for (String way : List.of("itm", "itc")) {
      String name = BenchmarkPart.name(way);
      if (arms.stream().allMatch(arm -> value(arm, way + ".group." + MICRO).isMissingNode())) {
        continue;
      }
      html.open("details").element("summary", "By " + name);
      fineGrained(way, " by " + name, this::share);
      Map<String, String> columns = new LinkedHashMap<>();
      for (String direction : List.of("imageToText", "textToImage")) {
        for (int rank : new int[] {1, 5, 10}) {
          columns.put(
              "retrieval." + way + "." + direction + ".R@" + rank,
              (direction.equals("imageToText") ? "image to text" : "text to image") + " R@" + rank);
        }
      }
      table(
          way.equals("itc") ? "Retrieval by ITC" : "Retrieval by ITC, re-ranked by both",
          columns,
          this::share);
      html.close();
    }
  }

  private void fineGrained(String way, String by, BiFunction<JsonNode, String, String> cell) {
    SCORES.forEach(
        (score, title) -> {
          Map<String, String> columns = new LinkedHashMap<>();
          String prefix = way + "." + score + ".";
          pairs.forEach((type, count) -> columns.put(prefix + type, type + " (" + count + ")"));
          columns.put(prefix + MICRO, "all pairs (micro)");
          columns.put(prefix + MACRO, "types (macro)");
          table(title + by, columns, cell);
        });
  }

  /** Columns that no variant has are left out, and a table without columns. */
  private void table(
      String title, Map<String, String> columns, BiFunction<JsonNode, String, String> cell) {
    Map<String, String> present = new LinkedHashMap<>(columns);
    present
        .keySet()
        .removeIf(key -> arms.stream().allMatch(arm -> cell.apply(arm, key).equals(Tables.DASH)));
    if (present.isEmpty()) {
      return;
    }
    tables.open(title);
    tables.head("variant", List.copyOf(present.values()));
    for (JsonNode arm : arms) {
      html.open("tr").element("th", name(arm), "scope", "row");
      present.keySet().forEach(key -> html.element("td", cell.apply(arm, key)));
      html.close();
    }
    tables.close();
  }

  /** A share, or of a small type the right decisions. */
  private String share(JsonNode arm, String key) {
    JsonNode value = value(arm, key);
    if (value.isMissingNode()) {
      return Tables.DASH;
    }
    int decisions = decisions(key);
    double mean = value.path("mean").asDouble(0);
    if (decisions > 0) {
      return Tables.format(
          value.path("n").asInt(0) == 1 ? "%.0f of %d" : "%.1f of %d", mean * decisions, decisions);
    }
    JsonNode deviation = value.path("deviation");
    return Tables.percent(mean)
        + (deviation.isNumber() ? " ± " + Tables.percent(deviation.doubleValue()) : "");
  }

  /** Decisions on the pairs of a small type; 0 for anything else. */
  private int decisions(String key) {
    String[] parts = key.split("\\.", 3);
    Integer count = parts.length < 3 || !SCORES.containsKey(parts[1]) ? null : pairs.get(parts[2]);
    if (count == null || LargeTypes.isLarge(count)) {
      return 0;
    }
    return parts[1].equals("group") ? count : 2 * count;
  }

  private String shareAndDifference(JsonNode arm, String key) {
    String share = share(arm, key);
    JsonNode difference = value(arm, key).path("difference");
    if (!difference.isNumber() || decisions(key) > 0) {
      return share;
    }
    JsonNode overlaps = value(arm, key).path("overlaps");
    double points = 100 * difference.doubleValue();
    return share
        + Tables.format(" (%+.1f", Math.abs(points) < 0.05 ? 0 : points)
        + (overlaps.isBoolean() && !overlaps.booleanValue() ? " apart)" : ")");
  }

  private void levels() {
    html.element("h2", "To an accuracy", "id", "levels");
    html.element(
        "p",
        "The first evaluation at which caption choice, by ITM where there is one, reaches the"
            + " accuracy; mean over the seeds that reach it.");
    Map<String, String> measures = new LinkedHashMap<>();
    measures.put("stepsTo", "Steps");
    measures.put("samplesTo", "Samples");
    measures.put("minutesTo", "Minutes");
    measures.forEach(
        (measure, title) -> {
          Map<String, String> columns = new LinkedHashMap<>();
          for (Map.Entry<String, JsonNode> level : baseline.path(measure).properties()) {
            if (level.getKey().matches("(baselineM|m)(icro|acroLarge)\\d*")) {
              String average = level.getKey().matches(".*icro\\d*") ? "micro" : "macro";
              double percent = 100 * level.getValue().path("accuracy").asDouble(0);
              columns.put(
                  level.getKey(),
                  level.getKey().startsWith("baseline")
                      ? Tables.format("baseline's last %s (%.1f %%)", average, percent)
                      : Tables.format("%s %.0f %%", average, percent));
            }
          }
          table(title, columns, (arm, level) -> took(arm, measure, level));
        });
  }

  private static String took(JsonNode arm, String measure, String level) {
    JsonNode of = arm.path(measure).path(level);
    if (!of.path("mean").isNumber()) {
      return measure.equals("stepsTo") ? "not reached" : Tables.DASH;
    }
    int reached = of.path("n").asInt(0);
    int seeds = arm.path("seeds").size();
    return Tables.format(
            measure.equals("minutesTo") ? "%.1f" : "%,.0f", of.path("mean").doubleValue())
        + (reached < seeds ? Tables.format(" (%d of %d)", reached, seeds) : "");
  }

  private void cost() {
    html.element("h2", "Cost", "id", "cost");
    html.element(
        "p",
        "Minutes are those of all steps. A step's time is the median over a run, loading of its"
            + " batch included.");
    Map<String, String> columns = new LinkedHashMap<>();
    columns.put("cost.steps", "steps");
    columns.put("cost.samples", "samples");
    columns.put("cost.minutes", "minutes");
    columns.put("cost.medianStepSeconds", "seconds a step");
    columns.put("stepSeconds", "against the baseline");
    columns.put("cost.peakMebibytes", "resident MiB at most");
    columns.put("peakMebibytes", "against the baseline");
    table(
        "Mean ± sample standard deviation over the seeds",
        columns,
        (arm, key) -> {
          JsonNode ratio = arm.path("costAgainstBaseline").path(key);
          if (ratio.isNumber()) {
            return Tables.format("× %.2f", ratio.doubleValue());
          }
          JsonNode value = value(arm, key);
          if (value.isMissingNode()) {
            return Tables.DASH;
          }
          String form =
              switch (key) {
                case "cost.medianStepSeconds" -> "%.3f";
                case "cost.minutes" -> "%.2f";
                default -> "%,.0f";
              };
          JsonNode deviation = value.path("deviation");
          return Tables.format(form, value.path("mean").asDouble(0))
              + (deviation.isNumber() ? " ± " + Tables.format(form, deviation.doubleValue()) : "");
        });
  }

  private void curves(@Nullable String picture, int compared) {
    html.element("h2", "Curves", "id", "curves");
    if (compared > 0) {
      html.open("p");
      html.element(
          "a",
          "All curves of " + (compared == 1 ? "the first run" : "the first runs"),
          "href",
          COMPARED);
      html.text(
          compared < arms.size()
              ? Tables.format(
                  ": each variant's first seed, of the first %d of %d variants.",
                  compared, arms.size())
              : ": each variant's first seed.");
      html.close();
    }
    if (picture != null) {
      html.single(
          "img",
          "class",
          "curves",
          "src",
          "data:image/svg+xml;base64," + picture,
          "alt",
          "Caption choice over the course of the runs; the tables hold what they reach");
    }
  }
}
