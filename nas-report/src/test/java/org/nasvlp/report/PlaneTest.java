package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class PlaneTest {
  /** Points on a slanted plane in five dimensions, wider one way than the other. */
  @Test
  void distancesInAPlaneAreKept() {
    double[] one = {0.6, 0, 0.8, 0, 0};
    double[] two = {0, 0.6, 0, 0, -0.8};
    float[][] rows = new float[40][5];
    double[][] truth = new double[40][2];
    double farthest = 0;
    for (int i = 0; i < 40; i++) {
      truth[i][0] = 5 * Math.cos(2 * Math.PI * i / 40);
      truth[i][1] = 2 * Math.sin(2 * Math.PI * i / 40);
      farthest = Math.max(farthest, Math.abs(truth[i][0]));
      for (int j = 0; j < 5; j++) {
        rows[i][j] = (float) (7 + truth[i][0] * one[j] + truth[i][1] * two[j]);
      }
    }
    double[][] places = Plane.of(rows);
    for (int i = 0; i < 40; i++) {
      assertThat(Math.abs(places[i][0])).isCloseTo(Math.abs(truth[i][0]) / farthest, within(1e-4));
      for (int j = 0; j < i; j++) {
        double wanted = Math.hypot(truth[i][0] - truth[j][0], truth[i][1] - truth[j][1]);
        assertThat(Math.hypot(places[i][0] - places[j][0], places[i][1] - places[j][1]))
            .isCloseTo(wanted / farthest, within(1e-4));
      }
    }
  }

  @Test
  void rowsThatAreAllTheSameLieInTheMiddle() {
    assertThat(Plane.of(new float[][] {{3, 4}, {3, 4}})).isDeepEqualTo(new double[2][2]);
    assertThat(Plane.of(new float[0][0])).isEmpty();
  }
}
