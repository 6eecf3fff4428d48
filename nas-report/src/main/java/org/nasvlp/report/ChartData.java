package org.nasvlp.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.LargeTypes;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The charts of a page, and their numbers as the page's script reads them. */
final class ChartData {
  /** Points of a curve at most. */
  static final int MOST_POINTS = 1000;

  /**
   * The scores of a type that a chart can show, by the name that the page's script has for them.
   */
  static final Map<String, String> SCORES =
      Map.of("captionChoice", "caption choice", "imageChoice", "image choice", "group", "group");

  private static final MathContext DIGITS = new MathContext(5);
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /**
   * A chart.
   *
   * @param id its own within the page
   * @param title above it
   * @param note below the title
   * @param form how its numbers are shown: {@code number}, {@code log} or {@code percent}
   * @param column of the steps; null for one of the evaluations
   * @param type of the evaluations
   */
  record Chart(
      String id,
      String title,
      String note,
      String form,
      @Nullable String column,
      @Nullable String type) {}

  private static final Map<String, String> LOSSES =
      Map.of(
          "itc", "contrast of images and captions",
          "itm", "matching",
          "nva", "hard negative images",
          "mirror", "mirrored images",
          "nta", "hard negative captions",
          "mlm", "masked words",
          "mvm", "masked codes",
          "commitment", "patch tokens to their codewords",
          "distill", "distance from the start's contrast");

  private ChartData() {}

  /** The scores' macro average over types that are large enough. */
  static final String MACRO = "all types";

  static List<Chart> scores(List<RunRecord> runs) {
    Set<String> types = new LinkedHashSet<>();
    boolean macro = false;
    for (RunRecord run : runs) {
      for (RunRecord.Evaluated evaluated : run.evaluations()) {
        EvaluationReport report = evaluated.report();
        if (report != null) {
          types.addAll(report.itc().byAttribute().keySet());
          macro |= LargeTypes.macro(report.itc()).isPresent();
        }
      }
    }
    List<Chart> charts = new ArrayList<>();
    if (macro) {
      charts.add(score(MACRO, "mean of the types with 50 pairs or more"));
    }
    types.forEach(type -> charts.add(score(type, "")));
    return charts;
  }

  private static Chart score(String type, String note) {
    return new Chart("score " + type, type, note, "percent", null, type);
  }

  static List<Chart> losses(List<RunRecord> runs) {
    List<Chart> charts = new ArrayList<>();
    charts.add(step("loss", "loss", "the weighted sum", "number"));
    for (String name : columns(runs, "loss ")) {
      String loss = name.substring("loss ".length());
      charts.add(step(name, "loss: " + loss, LOSSES.getOrDefault(loss, ""), "number"));
    }
    return charts;
  }

  static List<Chart> training(List<RunRecord> runs) {
    List<Chart> charts = new ArrayList<>();
    charts.add(step("learning rate", "learning rate", "", "number"));
    charts.add(step("gradient norm", "gradient's norm", "before clipping; logarithmic", "log"));
    charts.add(step("temperature", "temperature", "of the contrast; low is sharp", "number"));
    charts.add(step("pairs per second", "pairs a second", "", "number"));
    for (String name : columns(runs, "negatives ")) {
      String kind = name.endsWith("nta") ? "captions" : "images";
      charts.add(step(name, "hard negative " + kind, "in a step", "number"));
    }
    return charts;
  }

  static List<Chart> dictionary() {
    return List.of(
        step("perplexity", "perplexity", "codewords in even use", "number"),
        step("live", "live codewords", "not below the dead threshold", "number"),
        step("restarts", "restarts", "of codewords, since the run began", "number"));
  }

  private static Chart step(String column, String title, String note, String form) {
    return new Chart(column, title, note, form, column, null);
  }

  private static Set<String> columns(List<RunRecord> runs, String prefix) {
    Set<String> names = new LinkedHashSet<>();
    runs.forEach(
        run ->
            run.steps().names().stream()
                .filter(name -> name.startsWith(prefix))
                .forEach(names::add));
    return names;
  }

  /** JSON that may stand in a script element: no markup can begin in it. */
  static String json(List<RunRecord> runs, List<String> names, List<Chart> charts) {
    ObjectNode root = NODES.objectNode();
    ArrayNode all = root.putArray("charts");
    for (Chart chart : charts) {
      ObjectNode node = all.addObject().put("id", chart.id()).put("form", chart.form());
      if (chart.column() != null) {
        node.put("column", chart.column());
      }
      if (chart.type() != null) {
        node.put("type", chart.type());
      }
    }
    ArrayNode list = root.putArray("runs");
    for (int i = 0; i < runs.size(); i++) {
      run(list.addObject().put("name", names.get(i)), runs.get(i), charts);
    }
    return JsonMapper.shared().writeValueAsString(root).replace("<", "\\u003c");
  }

  private static void run(ObjectNode node, RunRecord run, List<Chart> charts) {
    StepTable steps = run.steps();
    int each = Curve.rowsEach(steps.rows(), MOST_POINTS);
    node.put("each", each);
    numbers(node.putArray("steps"), Curve.ends(steps.column(StepTable.STEP), each));
    ObjectNode columns = node.putObject("columns");
    for (Chart chart : charts) {
      if (chart.column() != null && steps.names().contains(chart.column())) {
        Curve curve = Curve.of(steps.column(chart.column()), each);
        ObjectNode values = columns.putObject(chart.column());
        numbers(values.putArray("mean"), curve.mean());
        if (each > 1) {
          numbers(values.putArray("low"), curve.low());
          numbers(values.putArray("high"), curve.high());
        }
      }
    }
    run.config().ifPresent(config -> limits(node.putObject("limits"), config));
    evaluations(node, run);
  }

  private static void limits(ObjectNode node, NasConfig config) {
    node.put("perplexity", config.dictionary().codewords());
    node.put("live", config.dictionary().codewords());
  }

  private static void evaluations(ObjectNode node, RunRecord run) {
    List<RunRecord.Evaluated> reports =
        run.evaluations().stream().filter(of -> of.report() != null).toList();
    numbers(
        node.putArray("evaluated"),
        reports.stream().mapToDouble(RunRecord.Evaluated::step).toArray());
    ObjectNode scores = node.putObject("scores");
    Map<String, ToDoubleFunction<AttributeScores>> kinds = new LinkedHashMap<>();
    kinds.put("captionChoice", AttributeScores::captionChoice);
    kinds.put("imageChoice", AttributeScores::imageChoice);
    kinds.put("group", AttributeScores::group);
    kinds.forEach(
        (kind, share) -> {
          ObjectNode ways = scores.putObject(kind);
          ways(ways.putObject("itc"), reports, true, share);
          ways(ways.putObject("itm"), reports, false, share);
        });
  }

  private static void ways(
      ObjectNode node,
      List<RunRecord.Evaluated> reports,
      boolean itc,
      ToDoubleFunction<AttributeScores> share) {
    Map<String, double[]> curves = new LinkedHashMap<>();
    for (int i = 0; i < reports.size(); i++) {
      EvaluationReport report = reports.get(i).report();
      FineGrainedReport way = report == null ? null : itc ? report.itc() : report.itm();
      if (way == null) {
        continue;
      }
      Map<String, AttributeScores> scores = new LinkedHashMap<>(way.byAttribute());
      LargeTypes.macro(way).ifPresent(macro -> scores.put(MACRO, macro));
      for (Map.Entry<String, AttributeScores> entry : scores.entrySet()) {
        double[] curve =
            curves.computeIfAbsent(
                entry.getKey(),
                name -> {
                  double[] empty = new double[reports.size()];
                  java.util.Arrays.fill(empty, Double.NaN);
                  return empty;
                });
        curve[i] = 100 * share.applyAsDouble(entry.getValue());
      }
    }
    curves.forEach((type, curve) -> numbers(node.putArray(type), curve));
  }

  /** Five digits are enough to draw; what is no number is null. */
  private static void numbers(ArrayNode array, double[] values) {
    for (double value : values) {
      if (!Double.isFinite(value)) {
        array.addNull();
      } else if (value == Math.rint(value) && Math.abs(value) < 1e15) {
        array.add((long) value);
      } else {
        array.add(new BigDecimal(value).round(DIGITS).doubleValue());
      }
    }
  }
}
