package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** A plain int8 screen over adversarial problems: its bound is enough, and just enough. */
class Int8AdversaryTest {
  private static final int PROBLEMS = 300;

  @Test
  void boundKeepsTheNearestCodewordAndOneSmallerByAThousandthLosesIt() {
    int rows = 0;
    int lost = 0;
    int lostByLess = 0;
    for (int seed = 0; seed < PROBLEMS; seed++) {
      var data = Int8Adversary.create(new SplittableRandom(seed));
      int width = data.width();
      int size = data.codewords().length / width;
      int count = data.rows().length / width;
      int[] nearest = new int[count];
      new BruteForce()
          .lookup(data.codewords(), size, width, data.rows(), count, nearest, new float[count]);
      double[] mean = mean(data.codewords(), size, width);
      Rounded[] codewords = new Rounded[size];
      for (int j = 0; j < size; j++) {
        codewords[j] = new Rounded(data.codewords(), j, mean, data.levels().codeword());
      }
      for (int i = 0; i < count; i++) {
        var row = new Rounded(data.rows(), i, mean, data.levels().row());
        rows++;
        lost += drops(row, codewords, nearest[i], 1.0) ? 1 : 0;
        lostByLess += drops(row, codewords, nearest[i], 0.999) ? 1 : 0;
      }
    }
    assertThat(rows).isGreaterThan(1000);
    assertThat(lost).isZero();
    assertThat(lostByLess).isGreaterThan(rows * 9 / 10);
  }

  @Test
  void meanIsExactlyTheCentreOfSymmetry() {
    for (int seed = 0; seed < 50; seed++) {
      var data = Int8Adversary.create(new SplittableRandom(seed));
      int width = data.width();
      int count = data.rows().length / width;
      double[] mean = mean(data.codewords(), data.codewords().length / width, width);
      for (int i = 0; i < count; i += 2) {
        for (int t = 0; t < width; t++) {
          double there = data.rows()[i * width + t] - mean[t];
          double back = data.rows()[(i + 1) * width + t] - mean[t];
          assertThat(there + back).isZero();
        }
      }
    }
  }

  private static double[] mean(float[] codewords, int size, int width) {
    double[] mean = new double[width];
    for (int t = 0; t < width; t++) {
      double sum = 0;
      for (int j = 0; j < size; j++) {
        sum += codewords[j * width + t];
      }
      mean[t] = (float) (sum / size);
    }
    return mean;
  }

  private static boolean drops(Rounded row, Rounded[] codewords, int nearest, double factor) {
    double least = Double.POSITIVE_INFINITY;
    for (Rounded codeword : codewords) {
      least = Math.min(least, row.estimate(codeword) + factor * row.error(codeword));
    }
    return row.estimate(codewords[nearest]) - factor * row.error(codewords[nearest]) > least;
  }

  /** A centred vector beside its multiples of the scale. */
  private static final class Rounded {
    private final double[] rounded;
    private double square;
    private double residualSquare;
    private double roundedSquare;

    Rounded(float[] vectors, int index, double[] mean, int levels) {
      int width = mean.length;
      double[] exact = new double[width];
      double largest = 0;
      for (int t = 0; t < width; t++) {
        exact[t] = vectors[index * width + t] - mean[t];
        largest = Math.max(largest, Math.abs(exact[t]));
      }
      double scale = largest / levels;
      rounded = new double[width];
      for (int t = 0; t < width; t++) {
        rounded[t] = scale * Math.rint(exact[t] / scale);
        double residual = exact[t] - rounded[t];
        square += exact[t] * exact[t];
        residualSquare += residual * residual;
        roundedSquare += rounded[t] * rounded[t];
      }
    }

    double estimate(Rounded codeword) {
      double product = 0;
      for (int t = 0; t < rounded.length; t++) {
        product += rounded[t] * codeword.rounded[t];
      }
      return codeword.square / 2 - product;
    }

    double error(Rounded codeword) {
      return Math.sqrt(square * codeword.residualSquare)
          + Math.sqrt(residualSquare * codeword.roundedSquare);
    }
  }
}
