package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What the soak compares with, and that it sees what is wrong. */
class SoakTest {
  private static final int PROBLEMS = 400;

  /** Small enough for a test. */
  private static boolean quick(SoakProblem problem) {
    return (long) problem.size() * problem.width() * problem.rows() < 4_000_000;
  }

  /** The definition, one distance at a time. */
  private static double distance(SoakProblem problem, int i, int j) {
    int width = problem.width();
    double[] lanes = new double[8];
    for (int t = 0; t < width; t++) {
      double difference = (double) problem.x()[i * width + t] - problem.codewords()[j * width + t];
      lanes[t % 8] += difference * difference;
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6]))
        + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  }

  private static void definition(
      SoakProblem problem, int from, int to, int[] indices, float[] distances) {
    for (int i = from; i < to; i++) {
      double best = Double.POSITIVE_INFINITY;
      for (int j = 0; j < problem.size(); j++) {
        double other = distance(problem, i, j);
        if (other < best) {
          best = other;
          indices[i - from] = j;
        }
      }
      distances[i - from] = (float) best;
    }
  }

  /** By ‖e‖²/2 - x·e in float32, as a kernel without exactness would. */
  private static void single(
      SoakProblem problem, int from, int to, int[] indices, float[] distances) {
    int width = problem.width();
    for (int i = from; i < to; i++) {
      float best = Float.POSITIVE_INFINITY;
      for (int j = 0; j < problem.size(); j++) {
        float sum = 0;
        for (int t = 0; t < width; t++) {
          float codeword = problem.codewords()[j * width + t];
          sum += codeword * (0.5f * codeword - problem.x()[i * width + t]);
        }
        if (sum < best) {
          best = sum;
          indices[i - from] = j;
        }
      }
      distances[i - from] = (float) distance(problem, i, indices[i - from]);
    }
  }

  @Test
  void bruteForceIsTheDefinition() {
    Set<SoakProblem.Kind> kinds = EnumSet.noneOf(SoakProblem.Kind.class);
    Set<SoakProblem.Shape> shapes = EnumSet.noneOf(SoakProblem.Shape.class);
    var soak =
        new Soak(
            problem ->
                (from, to, indices, distances) ->
                    definition(problem, from, to, indices, distances));
    var truth = new BruteForce();
    for (int seed = 0; seed < PROBLEMS; seed++) {
      SoakProblem problem = SoakProblem.create(seed);
      if (quick(problem)) {
        soak.check(problem, truth);
        kinds.add(problem.kind());
        shapes.add(problem.shape());
      }
    }
    assertThat(soak.mismatches()).isZero();
    assertThat(kinds).containsExactlyInAnyOrder(SoakProblem.Kind.values());
    assertThat(shapes).hasSizeGreaterThan(4);
  }

  @Test
  void lookupInSinglePrecisionFailsOnMostKinds() {
    Set<SoakProblem.Kind> failed = EnumSet.noneOf(SoakProblem.Kind.class);
    var truth = new BruteForce();
    for (int seed = 0; seed < PROBLEMS; seed++) {
      SoakProblem problem = SoakProblem.create(seed);
      if (quick(problem) && !failed.contains(problem.kind())) {
        var soak =
            new Soak(
                of -> (from, to, indices, distances) -> single(of, from, to, indices, distances));
        soak.check(problem, truth);
        if (soak.mismatches() > 0) {
          failed.add(problem.kind());
        }
      }
    }
    assertThat(failed)
        .contains(
            SoakProblem.Kind.CLUSTERED,
            SoakProblem.Kind.NEAR_DUPLICATES,
            SoakProblem.Kind.FAR_FROM_ORIGIN,
            SoakProblem.Kind.DENORMAL,
            SoakProblem.Kind.HUGE,
            SoakProblem.Kind.TINY,
            SoakProblem.Kind.MIXED_SCALES,
            SoakProblem.Kind.MIDPOINT_ROWS,
            SoakProblem.Kind.PERMUTED,
            SoakProblem.Kind.ADVERSARIAL);
  }

  @Test
  void oneUnitInTheLastPlaceOfADistanceIsAMismatch() {
    SoakProblem problem = SoakProblem.create(1);
    var soak =
        new Soak(
            of ->
                (from, to, indices, distances) -> {
                  definition(of, from, to, indices, distances);
                  distances[0] = Math.nextUp(distances[0]);
                });
    soak.check(problem, new BruteForce());
    assertThat(soak.mismatches()).isPositive();
  }

  @Test
  void problemsAreMadeFromTheirSeedAlone() {
    for (int seed = 0; seed < 20; seed++) {
      SoakProblem one = SoakProblem.create(seed);
      SoakProblem other = SoakProblem.create(seed);
      assertThat(one.kind()).isEqualTo(other.kind());
      assertThat(Arrays.equals(one.codewords(), other.codewords())).isTrue();
      assertThat(Arrays.equals(one.x(), other.x())).isTrue();
    }
  }
}
