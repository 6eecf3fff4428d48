package org.nasvlp.eval;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One evaluation of a model.
 *
 * @param itc fine-grained scores by image-text contrast
 * @param itm fine-grained scores by image-text matching; null where no such scorer was given
 * @param retrievalItc retrieval by image-text contrast; null where retrieval was not asked for
 * @param retrievalItm retrieval by image-text contrast, its best candidates re-ranked by image-text
 *     matching, or by the sum of both; null where either is missing
 */
public record EvaluationReport(
    FineGrainedReport itc,
    @Nullable FineGrainedReport itm,
    @Nullable RetrievalReport retrievalItc,
    @Nullable RetrievalReport retrievalItm) {

  /** The one number to watch: macro-average of caption choice, by ITM where there is one. */
  public double headline() {
    return (itm != null ? itm : itc).macro().captionChoice();
  }

  /**
   * What the best checkpoints are chosen by: macro-averages of caption choice (itc, itm) and of the
   * group score (itc-group, itm-group).
   */
  public Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("itc", itc.macro().captionChoice());
    metrics.put("itc-group", itc.macro().group());
    if (itm != null) {
      metrics.put("itm", itm.macro().captionChoice());
      metrics.put("itm-group", itm.macro().group());
    }
    return metrics;
  }
}
