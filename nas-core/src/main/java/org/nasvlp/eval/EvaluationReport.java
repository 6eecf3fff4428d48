package org.nasvlp.eval;

import org.jspecify.annotations.Nullable;

/**
 * One evaluation of a model.
 *
 * @param itc fine-grained scores by image-text contrast
 * @param itm fine-grained scores by image-text matching; null where no such scorer was given
 * @param retrievalItc retrieval by image-text contrast; null where retrieval was not asked for
 * @param retrievalItm retrieval by image-text contrast, its best candidates re-ranked by image-text
 *     matching; null where either is missing
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
}
