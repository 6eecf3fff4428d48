package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.eval.RewordedScores;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * What is told of a run at its end.
 *
 * @param command name of the command
 * @param config the run's configuration
 * @param start what the run began with; null if it did not get so far
 * @param result how it ended
 * @param edits hard negative captions that were prepared; null where there are none
 * @param stepSeconds mean seconds of a step by section
 * @param seconds wall-clock time of the whole command so far
 * @param peakMebibytes most resident memory
 * @param log the run's log
 */
record RunReport(
    String command,
    NasConfig config,
    @Nullable TrainingStart start,
    TrainingResult result,
    NegativeTextAugmentation.@Nullable Preparation edits,
    Map<String, Double> stepSeconds,
    double seconds,
    OptionalLong peakMebibytes,
    Path log) {

  /** For people. */
  String text() {
    StringBuilder text = new StringBuilder();
    EvaluationReport evaluation = result.evaluation();
    if (evaluation != null) {
      text.append(ReportTables.all(evaluation));
    }
    result
        .benchmarks()
        .forEach(
            (name, byWay) ->
                byWay.forEach(
                    (way, report) ->
                        text.append(BenchmarkTables.table(name, way, report)).append('\n')));
    DictionaryHealth dictionary = result.dictionary();
    line(
        text,
        "Dictionary",
        String.format(
            Locale.ROOT,
            "%s of %s codes live, perplexity %.0f (as many in even use), %s restarts",
            Text.count(dictionary.live()),
            Text.count(dictionary.codewords()),
            dictionary.perplexity(),
            Text.count(dictionary.restarts())));
    line(text, "Losses", StatusLine.losses(result.losses()));
    line(
        text,
        "Steps",
        String.format(
            Locale.ROOT,
            "%s of %s in %s; the command took %s",
            Text.count(result.step()),
            Text.count(result.steps()),
            Text.duration(result.seconds()),
            Text.duration(seconds)));
    if (result.skippedSamples() > 0) {
      line(
          text,
          "Skipped",
          Text.count(result.skippedSamples())
              + " bad samples, such as "
              + String.join("; ", result.skippedExamples().stream().limit(3).toList()));
    }
    if (result.truncatedCaptions() > 0) {
      line(text, "Cut", Text.count(result.truncatedCaptions()) + " captions were too long");
    }
    peakMebibytes.ifPresent(
        peak -> line(text, "Memory", Text.count(peak) + " MiB resident at most"));
    line(text, "Checkpoint", result.checkpoint().toString());
    line(text, "Log", log.toString());
    return text.toString();
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append(String.format(Locale.ROOT, "%-12s%s%n", name, value));
  }

  /**
   * For programs: shares in [0, 1], times in seconds. Every type stands in it, and {@code macro} is
   * the mean over all of them, however few pairs they have.
   */
  String json() {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("command", command);
    root.put("version", Version.get());
    root.put("seed", config.training().seed());
    root.put("step", result.step());
    root.put("steps", result.steps());
    root.put("stopped", result.stopped());
    root.put("seconds", seconds);
    root.put("trainingSeconds", result.seconds());
    if (peakMebibytes.isPresent()) {
      root.put("peakResidentMiB", peakMebibytes.getAsLong());
    } else {
      root.putNull("peakResidentMiB");
    }
    if (start != null) {
      root.put("parameters", start.parameters());
      root.put("pairs", start.pairs());
      root.put("device", start.device());
      root.put("kernels", start.kernels());
    }
    root.put("java", System.getProperty("java.vendor") + " " + Runtime.version());
    root.put(
        "system",
        String.join(
            " ",
            System.getProperty("os.name"),
            System.getProperty("os.version"),
            System.getProperty("os.arch")));
    root.put("processors", Runtime.getRuntime().availableProcessors());
    root.put("checkpoint", result.checkpoint().toString());
    root.put("log", log.toString());
    EvaluationReport evaluation = result.evaluation();
    if (evaluation == null) {
      root.putNull("evaluation");
    } else {
      evaluation(root.putObject("evaluation"), evaluation);
    }
    ObjectNode benchmarks = root.putObject("benchmarks");
    result
        .benchmarks()
        .forEach(
            (name, byWay) -> {
              ObjectNode ways = benchmarks.putObject(name);
              byWay.forEach((way, report) -> BenchmarkTables.json(ways.putObject(way), report));
            });
    DictionaryHealth dictionary = result.dictionary();
    root.putObject("dictionary")
        .put("codewords", dictionary.codewords())
        .put("live", dictionary.live())
        .put("perplexity", dictionary.perplexity())
        .put("restarts", dictionary.restarts());
    ObjectNode losses = root.putObject("losses");
    result.losses().forEach(losses::put);
    ObjectNode sections = root.putObject("stepSeconds");
    stepSeconds.forEach(sections::put);
    root.put("skippedSamples", result.skippedSamples());
    var skipped = root.putArray("skippedExamples");
    result.skippedExamples().forEach(skipped::add);
    root.put("truncatedCaptions", result.truncatedCaptions());
    if (edits != null) {
      ObjectNode captions = root.putObject("captionEdits");
      captions.put("captions", edits.captions());
      captions.put("withoutEdit", edits.withoutEdit());
      ObjectNode types = captions.putObject("edits");
      edits.edits().forEach((type, count) -> types.put(type.name(), count));
    }
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private static void evaluation(ObjectNode node, EvaluationReport report) {
    node.put("headline", report.headline());
    fineGrained(node.putObject("itc"), report.itc());
    if (report.itm() != null) {
      fineGrained(node.putObject("itm"), report.itm());
    }
    scores(node.putObject("chance"), AttributeScores.chance());
    if (report.retrievalItc() != null) {
      retrieval(node.putObject("retrievalItc"), report.retrievalItc());
    }
    if (report.retrievalItm() != null) {
      retrieval(node.putObject("retrievalItm"), report.retrievalItm());
    }
  }

  private static void fineGrained(ObjectNode node, FineGrainedReport report) {
    ObjectNode attributes = node.putObject("byAttribute");
    for (Map.Entry<String, AttributeScores> entry :
        ReportTables.ordered(report.byAttribute()).entrySet()) {
      scores(attributes.putObject(entry.getKey()), entry.getValue());
    }
    scores(node.putObject("micro"), report.all());
    scores(node.putObject("macro"), report.macro());
    if (!report.reworded().isEmpty()) {
      ObjectNode reworded = node.putObject("reworded");
      report.reworded().forEach((type, of) -> reworded(reworded.putObject(type), of));
    }
  }

  private static void reworded(ObjectNode node, RewordedScores scores) {
    node.put("rewordings", scores.rewordings());
    node.put("choice", scores.choice());
    node.put("both", scores.both());
  }

  private static void scores(ObjectNode node, AttributeScores scores) {
    if (scores.pairs() > 0) {
      node.put("pairs", scores.pairs());
    }
    node.put("captionChoice", scores.captionChoice());
    node.put("imageChoice", scores.imageChoice());
    node.put("text", scores.text());
    node.put("image", scores.image());
    node.put("group", scores.group());
  }

  private static void retrieval(ObjectNode node, RetrievalReport report) {
    node.put("images", report.images());
    node.put("captions", report.captions());
    recall(node.putObject("imageToText"), report.textRecall());
    recall(node.putObject("textToImage"), report.imageRecall());
  }

  private static void recall(ObjectNode node, double[] recall) {
    int[] ranks = RetrievalReport.ranks();
    for (int i = 0; i < ranks.length; i++) {
      node.put("R@" + ranks[i], recall[i]);
    }
  }
}
