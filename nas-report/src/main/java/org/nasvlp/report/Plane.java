package org.nasvlp.report;

import java.util.SplittableRandom;

/** Rows laid out in a plane by their two principal components. */
final class Plane {
  private static final int ROUNDS = 200;
  private static final double STILL = 1e-12;

  private Plane() {}

  /**
   * Places of rows: what they lie along the two directions of most variance, by power iteration,
   * shifted and scaled alike so that the farthest is at 1 from the middle.
   *
   * @param rows n rows of the same width
   * @return n x 2
   */
  static double[][] of(float[][] rows) {
    double[][] places = new double[rows.length][2];
    if (rows.length == 0) {
      return places;
    }
    double[][] left = centered(rows);
    for (int component = 0; component < 2; component++) {
      double[] direction = direction(left);
      for (int i = 0; i < left.length; i++) {
        double along = dot(left[i], direction);
        places[i][component] = along;
        for (int j = 0; j < direction.length; j++) {
          left[i][j] -= along * direction[j];
        }
      }
    }
    double farthest = 0;
    for (double[] place : places) {
      farthest = Math.max(farthest, Math.max(Math.abs(place[0]), Math.abs(place[1])));
    }
    for (double[] place : places) {
      place[0] /= Math.max(farthest, Double.MIN_NORMAL);
      place[1] /= Math.max(farthest, Double.MIN_NORMAL);
    }
    return places;
  }

  private static double[][] centered(float[][] rows) {
    int width = rows[0].length;
    double[] mean = new double[width];
    for (float[] row : rows) {
      for (int j = 0; j < width; j++) {
        mean[j] += row[j] / (double) rows.length;
      }
    }
    double[][] centered = new double[rows.length][width];
    for (int i = 0; i < rows.length; i++) {
      for (int j = 0; j < width; j++) {
        centered[i][j] = rows[i][j] - mean[j];
      }
    }
    return centered;
  }

  /** The direction of most variance, of length 1; all 0 where there is none. */
  private static double[] direction(double[][] rows) {
    int width = rows[0].length;
    SplittableRandom random = new SplittableRandom(1);
    double[] direction = random.doubles(width, -1, 1).toArray();
    unit(direction);
    for (int round = 0; round < ROUNDS; round++) {
      double[] next = new double[width];
      for (double[] row : rows) {
        double along = dot(row, direction);
        for (int j = 0; j < width; j++) {
          next[j] += along * row[j];
        }
      }
      unit(next);
      double turned = 1 - dot(next, direction);
      direction = next;
      if (turned < STILL) {
        break;
      }
    }
    return direction;
  }

  private static void unit(double[] vector) {
    double length = Math.sqrt(dot(vector, vector));
    for (int j = 0; j < vector.length; j++) {
      vector[j] = length == 0 ? 0 : vector[j] / length;
    }
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int j = 0; j < a.length; j++) {
      sum += a[j] * b[j];
    }
    return sum;
  }
}
