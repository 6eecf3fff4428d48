package org.nasvlp.eval;

import java.util.List;

/**
 * One query of a retrieval, and what a model found for it.
 *
 * @param <Q> the query, a caption or an image
 * @param <C> what is looked for, images or captions
 * @param place what the query stands for
 * @param query the query
 * @param candidates how many there are
 * @param answer the best right candidate by contrast
 * @param rank of the answer by contrast: 1 where it is found first
 * @param reranked of the best right candidate once the first ones are re-ranked by both scores; the
 *     same as {@code rank} where none of these is right
 * @param byContrast the first candidates by contrast, best first
 * @param byBoth the same re-ranked by contrast and matching; empty without a match head
 */
public record RetrievalExample<Q, C>(
    Place place,
    Q query,
    int candidates,
    C answer,
    int rank,
    int reranked,
    List<Candidate<C>> byContrast,
    List<Candidate<C>> byBoth) {
  /** Copies the lists. */
  public RetrievalExample {
    byContrast = List.copyOf(byContrast);
    byBoth = List.copyOf(byBoth);
  }

  /** Where a query's rank lies among those of all queries. */
  public enum Place {
    /** The best rank. */
    BEST,
    /** The rank that half of the queries reach. */
    MEDIAN,
    /** The worst rank. */
    WORST
  }

  /**
   * A candidate.
   *
   * @param <C> an image or a caption
   * @param right whether it is right for the query
   * @param similarity cosine of both embeddings
   * @param match how probably they match, by the match head: 0 to 1; NaN without one
   */
  public record Candidate<C>(C what, boolean right, double similarity, double match) {}
}
