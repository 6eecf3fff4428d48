package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingResult;

/** Made-up reports. */
final class Samples {
  private Samples() {}

  static EvaluationReport evaluation() {
    Map<String, AttributeScores> attributes = new LinkedHashMap<>();
    attributes.put("age", new AttributeScores(6, 0.25, 0.5, 0, 0, 0));
    attributes.put("colour", new AttributeScores(1200, 0.75, 0.625, 0.5, 0.4, 0.3));
    attributes.put("skin tone", new AttributeScores(400, 0.9876, 1, 0.9, 0.8, 0.7));
    AttributeScores all = new AttributeScores(1606, 0.8, 0.7, 0.6, 0.5, 0.4);
    AttributeScores macro = new AttributeScores(1606, 0.66, 0.71, 0.47, 0.4, 0.33);
    FineGrainedReport itc = new FineGrainedReport(attributes, all, macro);
    FineGrainedReport itm =
        new FineGrainedReport(
            Map.of("colour", new AttributeScores(1200, 1, 1, 1, 1, 1)),
            all,
            new AttributeScores(1606, 0.9, 0.8, 0.7, 0.6, 0.5));
    return new EvaluationReport(
        itc,
        itm,
        retrieval(new double[] {.1, .2, .3}, new double[] {.4, .5, .6}),
        retrieval(new double[] {.15, .25, .3}, new double[] {.45, .55, .6}));
  }

  private static RetrievalReport retrieval(double[] text, double[] image) {
    double[] textChance = {.01, .05, .1};
    double[] imageChance = {.005, .025, .05};
    return new RetrievalReport(200, 100, text, image, textChance, imageChance);
  }

  static Map<String, Double> losses() {
    Map<String, Double> losses = new LinkedHashMap<>();
    losses.put("itc", 3.104);
    losses.put("itm", 0.62);
    return losses;
  }

  static StepReport step(long step, long steps) {
    return new StepReport(
        step,
        steps,
        12.345,
        losses(),
        1e-4,
        2,
        0.07,
        Map.of("nva", 60),
        57.6,
        Map.of("backward", 0.5),
        new DictionaryHealth(512, 412, 233.4, 7),
        0);
  }

  static TrainingResult result(
      Path checkpoint, boolean stopped, @Nullable EvaluationReport evaluation) {
    return new TrainingResult(
        stopped ? 40 : 1500,
        1500,
        stopped,
        checkpoint,
        evaluation,
        Map.of(),
        Map.of(),
        new DictionaryHealth(512, 412, 233.4, 7),
        losses(),
        725,
        2,
        List.of("a.png: truncated", "b.png: empty caption"),
        3);
  }
}
