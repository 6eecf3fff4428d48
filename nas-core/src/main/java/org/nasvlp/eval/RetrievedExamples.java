package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Chooses the queries of the best, the median and the worst rank, and looks up what is found for
 * them.
 *
 * @param <Q> the query, a caption or an image
 * @param <C> what is looked for, images or captions
 */
abstract class RetrievedExamples<Q, C> {
  private final int candidates;
  private final double contrast;
  private final int reranked;

  /**
   * @param candidates how many there are
   * @param contrast what a similarity is multiplied by where both scores are added
   * @param reranked how many of the best candidates are looked at
   */
  RetrievedExamples(int candidates, double contrast, int reranked) {
    this.candidates = candidates;
    this.contrast = contrast;
    this.reranked = reranked;
  }

  abstract Q query(int query);

  abstract C candidate(int candidate);

  /** A query's similarity to each candidate. */
  abstract double[] similarities(int query);

  abstract BitSet right(int query);

  /** Log-odds of a match; null where there is no match head. */
  abstract double @Nullable [] match(Q query, List<C> found);

  /**
   * The examples.
   *
   * @param ranks of all queries, from 0
   * @param each queries of each of the three ranks at most
   */
  List<RetrievalExample<Q, C>> of(int[] ranks, int each) {
    int[] sorted = Arrays.stream(ranks).sorted().toArray();
    List<RetrievalExample<Q, C>> examples = new ArrayList<>();
    Set<Integer> shown = new HashSet<>();
    for (RetrievalExample.Place place : RetrievalExample.Place.values()) {
      int rank =
          sorted[
              switch (place) {
                case BEST -> 0;
                case MEDIAN -> sorted.length / 2;
                case WORST -> sorted.length - 1;
              }];
      if (!shown.add(rank)) {
        continue;
      }
      int[] of = IntStream.range(0, ranks.length).filter(q -> ranks[q] == rank).toArray();
      int count = Math.min(each, of.length);
      for (int i = 0; i < count; i++) {
        examples.add(example(place, of[(int) ((long) i * of.length / count)], rank));
      }
    }
    return examples;
  }

  private RetrievalExample<Q, C> example(RetrievalExample.Place place, int number, int rank) {
    Q query = query(number);
    double[] scores = similarities(number);
    BitSet right = right(number);
    int[] best = RetrievalMetrics.best(scores, right, reranked);
    IntFunction<C> candidate = this::candidate;
    List<C> found = Arrays.stream(best).mapToObj(candidate).toList();
    double[] logits = match(query, found);
    if (logits != null && logits.length != best.length) {
      throw new IllegalStateException(
          "the ITM scorer gave " + logits.length + " scores for " + best.length);
    }
    List<RetrievalExample.Candidate<C>> byContrast = new ArrayList<>();
    double[] both = new double[best.length];
    BitSet places = new BitSet();
    for (int k = 0; k < best.length; k++) {
      double similarity = scores[best[k]];
      double logit = logits == null ? Double.NaN : logits[k];
      places.set(k, right.get(best[k]));
      both[k] = contrast * similarity + logit;
      byContrast.add(
          new RetrievalExample.Candidate<>(
              found.get(k), right.get(best[k]), similarity, 1 / (1 + Math.exp(-logit))));
    }
    int answer =
        right.stream().boxed().max(Comparator.comparingDouble(c -> scores[c])).orElseThrow();
    return new RetrievalExample<>(
        place,
        query,
        candidates,
        candidate(answer),
        rank + 1,
        logits == null || places.isEmpty() ? rank + 1 : RetrievalMetrics.rank(both, places) + 1,
        byContrast,
        logits == null
            ? List.of()
            : Arrays.stream(RetrievalMetrics.best(both, places, best.length))
                .mapToObj(byContrast::get)
                .toList());
  }
}
