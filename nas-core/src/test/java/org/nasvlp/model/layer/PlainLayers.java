package org.nasvlp.model.layer;

import java.util.Arrays;

/** The arithmetic of layers in plain Java and float64, from their published definitions. */
final class PlainLayers {
  private PlainLayers() {}

  /** x · weightᵀ + bias for each row of x. */
  static double[][] linear(double[][] x, float[] weight, float[] bias) {
    double[][] out = new double[x.length][bias.length];
    for (int row = 0; row < x.length; row++) {
      int in = x[row].length;
      for (int o = 0; o < bias.length; o++) {
        out[row][o] = bias[o];
        for (int i = 0; i < in; i++) {
          out[row][o] += (double) weight[o * in + i] * x[row][i];
        }
      }
    }
    return out;
  }

  static double[] layerNorm(double[] x, float[] weight, float[] bias, double epsilon) {
    double mean = Arrays.stream(x).sum() / x.length;
    double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / x.length;
    double[] out = new double[x.length];
    Arrays.setAll(out, i -> (x[i] - mean) / Math.sqrt(variance + epsilon) * weight[i] + bias[i]);
    return out;
  }

  /**
   * Attention of query rows to key rows, in heads side by side.
   *
   * @param seen which keys may be attended to
   */
  static double[][] attend(
      double[][] query, double[][] key, double[][] value, int heads, boolean[] seen) {
    int d = query[0].length;
    int each = d / heads;
    double[][] out = new double[query.length][d];
    for (int h = 0; h < heads; h++) {
      for (int i = 0; i < query.length; i++) {
        double[] weights = new double[key.length];
        double total = 0;
        for (int j = 0; j < key.length; j++) {
          double dot = 0;
          for (int t = h * each; t < (h + 1) * each; t++) {
            dot += query[i][t] * key[j][t];
          }
          weights[j] = seen[j] ? Math.exp(dot / Math.sqrt(each)) : 0;
          total += weights[j];
        }
        for (int j = 0; j < key.length; j++) {
          for (int t = h * each; t < (h + 1) * each; t++) {
            out[i][t] += weights[j] / total * value[j][t];
          }
        }
      }
    }
    return out;
  }

  /** x Φ(x), with Φ by the trapezoidal rule over the normal density. */
  static double gelu(double x) {
    int steps = 20_000;
    double width = Math.abs(x) / steps;
    double area = 0;
    for (int i = 0; i <= steps; i++) {
      double t = i * width;
      area += (i == 0 || i == steps ? 0.5 : 1) * Math.exp(-t * t / 2);
    }
    area *= width / Math.sqrt(2 * Math.PI);
    return x * (0.5 + Math.signum(x) * area);
  }
}
