package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.RetrievalBenchmark;
import org.nasvlp.eval.Share;

/** One page of HTML on an evaluation, all of it in one file: it opens without a network. */
public final class EvaluationPage {
  private static final Map<String, FineGrainedScore> SCORES = scores();

  private final Html html = new Html();
  private final Map<String, String> parts = new LinkedHashMap<>();
  private final String title;
  private final Map<String, String> facts;

  private EvaluationPage(String title, Map<String, String> facts) {
    this.title = title;
    this.facts = facts;
  }

  private static Map<String, FineGrainedScore> scores() {
    Map<String, FineGrainedScore> scores = new LinkedHashMap<>();
    scores.put("caption choice", FineGrainedScore.CAPTION_CHOICE);
    scores.put("image choice", FineGrainedScore.IMAGE_CHOICE);
    scores.put("group score", FineGrainedScore.GROUP);
    return scores;
  }

  /**
   * Writes a page on a published benchmark; where there was a file, it is replaced as a whole.
   *
   * @param facts what was evaluated, names and values in the order of their rows
   * @param of what is shown
   * @param file to write; its folder must exist
   * @throws IOException if the file cannot be written
   */
  public static void write(Map<String, String> facts, EvaluatedBenchmark of, Path file)
      throws IOException {
    EvaluationPage page = new EvaluationPage(of.title(), facts);
    PublishedBenchmark benchmark = of.benchmark();
    page.parts.put("glance", "At a glance");
    page.parts.put("tables", "Tables");
    if (benchmark != null) {
      page.parts.put("items", "Items");
    }
    page.begin(false);
    new BenchmarkPart(page.html, of).write();
    if (benchmark != null) {
      new ItemPart(page.html, of, benchmark).write();
    }
    page.end(false, file);
  }

  /**
   * Writes a page on an evaluation on test pairs; where there was a file, it is replaced as a
   * whole.
   *
   * @param facts what was evaluated, names and values in the order of their rows
   * @param report what the tables show
   * @param learned what the model does with the pairs
   * @param file to write; its folder must exist
   * @throws IOException if the file cannot be written
   */
  public static void write(
      Map<String, String> facts, EvaluationReport report, Learned learned, Path file)
      throws IOException {
    EvaluationPage page = new EvaluationPage("Test pairs", facts);
    boolean looks = !learned.looks().isEmpty();
    page.parts.put("glance", "At a glance");
    page.parts.put("tables", "Tables");
    if (!learned.pairs().isEmpty()) {
      page.parts.put("confused", "What it confuses");
    }
    if (learned.retrieval() != null) {
      page.parts.put("finds", "What it finds");
    }
    if (looks) {
      page.parts.put("looks", "Where it looks");
    }
    page.begin(looks);
    page.types(report);
    page.html.element("h2", "Tables", "id", "tables");
    new ResultTables(page.html).write(report);
    if (!learned.pairs().isEmpty()) {
      new ConfusionPart(page.html, learned).write();
    }
    if (learned.retrieval() != null) {
      new RetrievalPart(page.html, learned.retrieval(), learned.imageSize()).write();
    }
    if (looks) {
      new LookPart(page.html, learned.looks()).write();
    }
    page.end(looks, file);
  }

  /**
   * Writes a page on a retrieval; where there was a file, it is replaced as a whole.
   *
   * @param facts what was evaluated, names and values in the order of their rows
   * @param result what the table shows, and its examples
   * @param imageSize pixels of a side of what the model sees; pictures are shown so
   * @param file to write; its folder must exist
   * @throws IOException if the file cannot be written
   */
  public static void write(
      Map<String, String> facts, RetrievalBenchmark.Result result, int imageSize, Path file)
      throws IOException {
    EvaluationPage page = new EvaluationPage("Retrieval", facts);
    page.parts.put("tables", "Table");
    if (result.examples() != null) {
      page.parts.put("finds", "What it finds");
    }
    page.begin(false);
    page.html.element("h2", "Table", "id", "tables");
    page.html.element(
        "p",
        "How often what belongs to a query is among the first 1, 5 and 10 that are found. Chance is"
            + " what a random order reaches.");
    new ResultTables(page.html).retrieval(result.itc(), result.itm());
    if (result.examples() != null) {
      new RetrievalPart(page.html, result.examples(), imageSize).write();
    }
    page.end(false, file);
  }

  private void begin(boolean scripts) {
    PageFile.begin(html, title + " – evaluation", scripts, ReportPage.own("page.css"));
    html.open("header").element("h1", title);
    html.element("p", "What a model reaches, and where it is wrong.", "class", "soft").close();
    Map<String, String> all = new LinkedHashMap<>();
    all.put("what", "What was evaluated");
    all.putAll(parts);
    PageFile.navigation(html, all);
    html.open("main").element("h2", "What was evaluated", "id", "what");
    new Tables(html).facts(facts);
  }

  private void end(boolean looks, Path file) throws IOException {
    html.close().element("footer", "Made by nas eval.");
    if (looks) {
      html.open("script").raw(ReportPage.own("looks.js")).close();
    }
    PageFile.write(file, html.close().close() + "\n");
  }

  /** Dots for each type of pairs. */
  private void types(EvaluationReport report) {
    html.element("h2", "At a glance", "id", "glance");
    html.element(
        "p",
        "Right choices in %, with Wilson's 95 % interval. A tie counts as wrong. Dashed: chance.");
    List<String> ways = report.itm() == null ? List.of("ITC") : List.of("ITC", "ITM");
    html.open("div", "class", "plots");
    SCORES.forEach(
        (name, score) -> {
          double chance = 100 * score.share(AttributeScores.chance());
          List<DotPlot.Row> rows = new ArrayList<>();
          for (String type : report.itc().byAttribute().keySet()) {
            List<DotPlot.@Nullable Point> points = new ArrayList<>();
            points.add(point(report.itc(), type, score));
            if (report.itm() != null) {
              points.add(point(report.itm(), type, score));
            }
            rows.add(new DotPlot.Row(type, points, chance));
          }
          new DotPlot(html, DotPlot.Axis.PERCENT, ways).write(name, "", rows);
        });
    html.close();
  }

  private static DotPlot.@Nullable Point point(
      FineGrainedReport report, String type, FineGrainedScore score) {
    AttributeScores scores = report.byAttribute().get(type);
    if (scores == null || scores.pairs() == 0) {
      return null;
    }
    Share share = new Share((int) score.right(scores), score.decisions(scores.pairs()));
    return new DotPlot.Point(100 * share.value(), 100 * share.low(), 100 * share.high());
  }
}
