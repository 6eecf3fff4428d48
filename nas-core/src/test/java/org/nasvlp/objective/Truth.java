package org.nasvlp.objective;

import org.nasvlp.config.HardNegativeLoss;

/** Losses in float64, by their formulas. */
final class Truth {
  private Truth() {}

  /** log softmax of a row at a column. */
  static double logSoftmax(double[] logits, int at) {
    double max = Double.NEGATIVE_INFINITY;
    for (double logit : logits) {
      max = Math.max(max, logit);
    }
    double sum = 0;
    for (double logit : logits) {
      sum += Math.exp(logit - max);
    }
    return logits[at] - max - Math.log(sum);
  }

  /** Cross-entropy of a distribution and the softmax of logits. */
  static double crossEntropy(double[] target, double[] logits) {
    double sum = 0;
    for (int j = 0; j < target.length; j++) {
      sum -= target[j] == 0 ? 0 : target[j] * logSoftmax(logits, j);
    }
    return sum;
  }

  static double[] softmax(double[] logits) {
    double[] out = new double[logits.length];
    for (int j = 0; j < out.length; j++) {
      out[j] = Math.exp(logSoftmax(logits, j));
    }
    return out;
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** Balanced loss of one pair that matches and one that does not, logits [mismatch, match]. */
  static double balanced(double[] positive, double[] negative) {
    return -0.5 * (logSoftmax(positive, 1) + logSoftmax(negative, 0));
  }

  /** Pairwise loss of the same. */
  static double pairwise(double[] positive, double[] negative) {
    return Math.log1p(Math.exp(negative[1] - positive[1]));
  }

  /** The loss of that form of the same. */
  static double pair(HardNegativeLoss form, double[] positive, double[] negative) {
    double balanced = balanced(positive, negative);
    double pairwise = pairwise(positive, negative);
    return switch (form) {
      case BALANCED -> balanced;
      case PAIRWISE -> pairwise;
      case COMBINED -> 0.5 * (balanced + pairwise);
    };
  }

  /** The rows of a row-major matrix. */
  static double[][] rows(float[] values, int rows) {
    int columns = values.length / rows;
    double[][] out = new double[rows][columns];
    for (int i = 0; i < values.length; i++) {
      out[i / columns][i % columns] = values[i];
    }
    return out;
  }
}
