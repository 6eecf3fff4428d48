package org.nasvlp.report;

/**
 * A column thinned out for drawing: of each bucket of rows the mean, and the least and the
 * greatest, so that a spike stays one. NaN where a bucket has no finite value.
 *
 * @param mean of each bucket
 * @param low least of each bucket
 * @param high greatest of each bucket
 */
record Curve(double[] mean, double[] low, double[] high) {
  /** Rows in a bucket, so that there are no more than {@code most} of them. */
  static int rowsEach(int rows, int most) {
    return Math.max(1, Math.ceilDiv(rows, most));
  }

  static Curve of(double[] values, int rowsEach) {
    int buckets = Math.ceilDiv(values.length, rowsEach);
    Curve curve = new Curve(new double[buckets], new double[buckets], new double[buckets]);
    for (int b = 0; b < buckets; b++) {
      double sum = 0;
      double low = Double.POSITIVE_INFINITY;
      double high = Double.NEGATIVE_INFINITY;
      int count = 0;
      for (int i = b * rowsEach; i < Math.min(values.length, (b + 1) * rowsEach); i++) {
        if (Double.isFinite(values[i])) {
          sum += values[i];
          low = Math.min(low, values[i]);
          high = Math.max(high, values[i]);
          count++;
        }
      }
      curve.mean[b] = count == 0 ? Double.NaN : sum / count;
      curve.low[b] = count == 0 ? Double.NaN : low;
      curve.high[b] = count == 0 ? Double.NaN : high;
    }
    return curve;
  }

  /** The last value of each bucket: where on the axis it ends. */
  static double[] ends(double[] values, int rowsEach) {
    double[] ends = new double[Math.ceilDiv(values.length, rowsEach)];
    for (int b = 0; b < ends.length; b++) {
      ends[b] = values[Math.min(values.length, (b + 1) * rowsEach) - 1];
    }
    return ends;
  }
}
