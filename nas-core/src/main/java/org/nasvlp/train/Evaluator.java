package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.scoring.ImageTextScorer;

/** Evaluates a model as a run asks for it: on a benchmark of pairs, on published ones, or both. */
final class Evaluator {
  /**
   * A published benchmark.
   *
   * @param items what is scored
   * @param images folder that the items' paths are relative to
   */
  record Published(PublishedBenchmark items, Path images) {}

  private final @Nullable FineGrainedBenchmark benchmark;
  private final Map<String, Published> published;
  private final int background;
  private final Consumer<String> warnings;

  /**
   * @param published by name
   * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
   * @param warnings told of items that could not be scored
   */
  Evaluator(
      @Nullable FineGrainedBenchmark benchmark,
      Map<String, Published> published,
      int background,
      Consumer<String> warnings) {
    this.benchmark = benchmark;
    this.published = published;
    this.background = background;
    this.warnings = warnings;
  }

  /** Whether there is nothing to evaluate on. */
  boolean isIdle() {
    return benchmark == null && published.isEmpty();
  }

  /**
   * Evaluates.
   *
   * @param itc scores by image-text contrast
   * @param itm scores by image-text matching
   * @param contrast what {@code itc} is multiplied by where both are summed up
   * @param retrieval whether to do retrieval, which takes long
   * @throws IOException if a folder of images has gone
   */
  Evaluation evaluate(ImageTextScorer itc, ImageTextScorer itm, double contrast, boolean retrieval)
      throws IOException {
    EvaluationReport report =
        benchmark == null ? null : benchmark.evaluate(itc, itm, contrast, retrieval);
    Map<String, ImageTextScorer> ways = new LinkedHashMap<>();
    ways.put("itc", itc);
    ways.put("itm", itm);
    Map<String, Map<String, BenchmarkReport>> benchmarks = new LinkedHashMap<>();
    for (var of : published.entrySet()) {
      benchmarks.put(of.getKey(), evaluate(of.getKey(), of.getValue(), ways));
    }
    return new Evaluation(report, benchmarks);
  }

  /** By way of scoring; empty if no item could be scored. */
  private Map<String, BenchmarkReport> evaluate(
      String name, Published of, Map<String, ImageTextScorer> ways) throws IOException {
    Map<String, ImageTextScorer> asked = new LinkedHashMap<>(ways);
    asked.keySet().removeIf(way -> !of.items().format().scoredBy(way));
    PublishedBenchmark.Scored scored = of.items().score(of.images(), background, asked, done -> {});
    if (!scored.unreadable().isEmpty()) {
      warnings.accept(
          "%d of %d items of %s were not scored, their images cannot be read: %s"
              .formatted(
                  scored.unreadable().size(),
                  of.items().items().size(),
                  name,
                  scored.unreadable().values().iterator().next()));
    }
    Map<String, BenchmarkReport> byWay = new LinkedHashMap<>();
    if (!scored.scores().byItem().isEmpty()) {
      for (String way : asked.keySet()) {
        byWay.put(way, of.items().report(scored.scores(), way, Set.of()));
      }
    }
    return byWay;
  }
}
