package org.nasvlp.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.StepReport;

/** The numbers of a run that are drawn as curves, by their names there. */
final class RunScalars {
  private RunScalars() {}

  static Map<String, Double> of(StepReport report) {
    Map<String, Double> values = new LinkedHashMap<>();
    values.put("loss/total", report.loss());
    report.losses().forEach((name, loss) -> values.put("loss/" + name, loss));
    report
        .hardNegatives()
        .forEach((name, count) -> values.put("hard_negatives/" + name, (double) count));
    values.put("training/learning_rate", report.learningRate());
    values.put("training/gradient_norm", report.gradientNorm());
    values.put("training/temperature", report.temperature());
    values.put("training/pairs_per_second", report.pairsPerSecond());
    DictionaryHealth dictionary = report.dictionary();
    values.put("dictionary/live_codes", (double) dictionary.live());
    values.put("dictionary/perplexity", dictionary.perplexity());
    values.put("dictionary/restarts", (double) dictionary.restarts());
    return values;
  }

  static Map<String, Double> of(Evaluation evaluation) {
    Map<String, Double> values = new LinkedHashMap<>();
    evaluation.metrics().forEach((name, value) -> values.put("evaluation/" + name, value));
    if (evaluation.report() != null) {
      addTypes(values, "itc", evaluation.report().itc());
      addTypes(values, "itm", evaluation.report().itm());
    }
    return values;
  }

  private static void addTypes(
      Map<String, Double> values, String way, @Nullable FineGrainedReport report) {
    if (report != null) {
      report
          .byAttribute()
          .forEach(
              (type, of) -> values.put("caption_choice_" + way + "/" + type, of.captionChoice()));
    }
  }
}
