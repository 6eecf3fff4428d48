package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.RetrievalReport;
import tools.jackson.databind.json.JsonMapper;

/** Made-up evaluations. */
final class EvaluationSamples {
  private final Path folder;

  EvaluationSamples(Path folder) {
    this.folder = folder;
  }

  /**
   * Two categories of 20 items. By ITC all of the first are right and 14 of the second, by ITM the
   * first ten of the first and none of the second.
   */
  EvaluatedBenchmark sugarCrepe(String caption, boolean pictures) throws IOException {
    Map<String, Map<String, double[][]>> scores = new LinkedHashMap<>();
    Path data = Files.createDirectories(folder.resolve("crepe"));
    for (String category : List.of("add_att", "swap_obj")) {
      boolean first = category.equals("add_att");
      Map<String, Object> items = new LinkedHashMap<>();
      for (int i = 0; i < 20; i++) {
        items.put(
            "" + i,
            Map.of(
                "filename", "a.png",
                "caption", "a red " + caption,
                "negative_caption", "a blue " + caption));
        double itc = first || i < 14 ? 0.25 : -0.25;
        double itm = first ? 10.5 - i - 1 : -30 - i;
        scores.put(
            category + "/" + i,
            Map.of(
                "itc", new double[][] {{itc, 0}},
                "itm", new double[][] {{itm, 0}}));
      }
      Files.writeString(
          data.resolve(category + ".json"), JsonMapper.shared().writeValueAsString(items));
    }
    PublishedBenchmark benchmark = PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, data);
    ItemScores all = new ItemScores(scores);
    Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
    for (String way : all.ways()) {
      reports.put(way, benchmark.report(all, way, Set.of()));
    }
    return new EvaluatedBenchmark(
        "SugarCrepe",
        benchmark,
        all,
        reports,
        pictures ? item -> List.of(Samples.picture(200, 0, 0)) : null,
        Samples.SIZE);
  }

  void benchmark(String text, Path page) throws IOException {
    EvaluationPage.write(Map.of("data", text), sugarCrepe(text, true), page);
  }

  /** A type of 100 pairs: 80 % of caption choices by ITC, 90 % by ITM. */
  static EvaluationReport report(String type) {
    return new EvaluationReport(
        fineGrained(type, 0.8), fineGrained(type, 0.9), retrieval(0.25), retrieval(0.5));
  }

  private static FineGrainedReport fineGrained(String type, double share) {
    AttributeScores scores = new AttributeScores(100, share, share, share, share, share);
    return new FineGrainedReport(Map.of(type, scores), scores, scores, Map.of());
  }

  static RetrievalReport retrieval(double recall) {
    double[] recalls = {recall, recall, recall};
    double[] chance = {0.125, 0.125, 0.125};
    return new RetrievalReport(12, 34, recalls, recalls, chance, chance);
  }

  void pairs(String text, Path page) throws IOException {
    Learned learned =
        new Learned(
            Samples.SIZE,
            List.of(Samples.pair(text, "a red " + text, "a blue " + text)),
            List.of(Samples.look(text)),
            Samples.retrieval(text),
            List.of(),
            null);
    EvaluationPage.write(Map.of("data", text), report(text), learned, page);
  }
}
