package org.nasvlp.eval;

import java.util.BitSet;

/** Ranks and recall from plain numbers. */
final class RetrievalMetrics {
  /** Rank of a query whose right candidates are not among those looked at. */
  static final int NOT_FOUND = Integer.MAX_VALUE;

  private RetrievalMetrics() {}

  /**
   * How many wrong candidates rank before the best right one (0: found at once). A wrong candidate
   * that ties with it ranks before it.
   *
   * @param scores one score for each candidate
   * @param right indices of the right candidates
   */
  static int rank(double[] scores, BitSet right) {
    double best = Double.NEGATIVE_INFINITY;
    boolean found = false;
    for (int i = 0; i < scores.length; i++) {
      if (right.get(i)) {
        best = Math.max(best, scores[i]);
        found = true;
      }
    }
    if (!found) {
      return NOT_FOUND;
    }
    int before = 0;
    for (int i = 0; i < scores.length; i++) {
      if (!right.get(i) && scores[i] >= best) {
        before++;
      }
    }
    return before;
  }

  /**
   * The k best candidates, best first. Where scores tie, wrong candidates go before right ones,
   * then lower indices before higher.
   */
  static int[] best(double[] scores, BitSet right, int k) {
    int[] chosen = new int[Math.min(k, scores.length)];
    int size = 0;
    for (int i = 0; i < scores.length; i++) {
      int place = size;
      while (place > 0 && before(scores, right, i, chosen[place - 1])) {
        place--;
      }
      if (place < chosen.length) {
        size = Math.min(size + 1, chosen.length);
        System.arraycopy(chosen, place, chosen, place + 1, size - place - 1);
        chosen[place] = i;
      }
    }
    return chosen;
  }

  private static boolean before(double[] scores, BitSet right, int i, int j) {
    if (scores[i] != scores[j]) {
      return scores[i] > scores[j];
    }
    if (right.get(i) != right.get(j)) {
      return right.get(j);
    }
    return i < j;
  }

  /**
   * For each k of {@link RetrievalReport#ranks}, the recall of a random order: 1 − C(N − m, k) /
   * C(N, k) for m right candidates among N, averaged over the queries.
   *
   * @param rightOfQuery for each query how many candidates are right
   */
  static double[] chance(int[] rightOfQuery, int candidates) {
    int[] ks = RetrievalReport.ranks();
    double[] chance = new double[ks.length];
    for (int j = 0; j < ks.length; j++) {
      for (int right : rightOfQuery) {
        double missed = 1;
        for (int i = 0; i < ks[j]; i++) {
          missed *= Math.max(0, (double) (candidates - right - i) / Math.max(1, candidates - i));
        }
        chance[j] += (1 - missed) / rightOfQuery.length;
      }
    }
    return chance;
  }

  /** For each k of {@link RetrievalReport#ranks}, the share of the queries with a rank below k. */
  static double[] recall(int[] rankOfQuery) {
    int[] ks = RetrievalReport.ranks();
    double[] recall = new double[ks.length];
    for (int j = 0; j < ks.length; j++) {
      int hits = 0;
      for (int rank : rankOfQuery) {
        if (rank < ks[j]) {
          hits++;
        }
      }
      recall[j] = (double) hits / rankOfQuery.length;
    }
    return recall;
  }
}
