package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RetrievalMetricsTest {
  @Test
  void rankCountsWrongCandidatesThatScoreAtLeastAsHigh() {
    double[] scores = {5, 9, 7, 7, 1};
    assertThat(RetrievalMetrics.rank(scores, set(1))).isZero();
    assertThat(RetrievalMetrics.rank(scores, set(2))).isEqualTo(2);
    assertThat(RetrievalMetrics.rank(scores, set(2, 3))).isEqualTo(1);
    assertThat(RetrievalMetrics.rank(scores, set(0, 4))).isEqualTo(3);
    assertThat(RetrievalMetrics.rank(scores, set())).isEqualTo(RetrievalMetrics.NOT_FOUND);
    assertThat(
            RetrievalMetrics.rank(
                new double[] {Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY}, set(0)))
        .isEqualTo(1);
  }

  @Test
  void recallCountsRanksBelowK() {
    assertThat(
            RetrievalMetrics.recall(new int[] {0, 1, 4, 5, 9, 10, RetrievalMetrics.NOT_FOUND, 0}))
        .containsExactly(2 / 8.0, 4 / 8.0, 6 / 8.0);
  }

  /** 5 of 20 captions right: R@5 by hand is 1 − C(15, 5) / C(20, 5) = 1 − 3003 / 15504. */
  @Test
  void chanceCountsTheRightCandidates() {
    double[] chance = RetrievalMetrics.chance(new int[] {5}, 20);
    assertThat(chance[0]).isCloseTo(0.25, within(1e-12));
    assertThat(chance[1]).isCloseTo(1 - 3003.0 / 15504, within(1e-12));
    // Of one right candidate it is k / N; queries are averaged; a small set is found for certain.
    assertThat(RetrievalMetrics.chance(new int[] {1, 1}, 20)[2]).isCloseTo(0.5, within(1e-12));
    assertThat(RetrievalMetrics.chance(new int[] {1, 3}, 4)[0]).isCloseTo(0.5, within(1e-12));
    assertThat(RetrievalMetrics.chance(new int[] {1}, 4)).containsExactly(0.25, 1, 1);
  }

  @Test
  void bestIsTheHeadOfAStableSort() {
    SplittableRandom random = new SplittableRandom(7);
    for (int trial = 0; trial < 500; trial++) {
      int n = 1 + random.nextInt(30);
      double[] scores = random.ints(n, 0, 8).asDoubleStream().toArray();
      BitSet right = new BitSet();
      for (int i = 0; i < n; i++) {
        right.set(i, random.nextInt(3) == 0);
      }
      List<Integer> order = new ArrayList<>();
      for (int i = 0; i < n; i++) {
        order.add(i);
      }
      order.sort(
          Comparator.<Integer>comparingDouble(i -> -scores[i])
              .thenComparing(i -> right.get(i))
              .thenComparing(Comparator.naturalOrder()));
      int k = 1 + random.nextInt(12);
      int[] expected = order.stream().limit(k).mapToInt(i -> i).toArray();
      assertThat(RetrievalMetrics.best(scores, right, k)).containsExactly(expected);
    }
  }

  private static BitSet set(int... members) {
    BitSet set = new BitSet();
    for (int member : members) {
      set.set(member);
    }
    return set;
  }
}
