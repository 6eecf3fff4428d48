package org.nasvlp.train;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** Losses and counts over the batches of a step. */
final class BatchSums {
  private final int batches;
  private final Map<String, double[]> sums = new LinkedHashMap<>();
  private final Map<String, Integer> hardNegatives = new LinkedHashMap<>();
  private double loss;
  private boolean finite = true;

  /** Of a step of that many batches. */
  BatchSums(int batches) {
    this.batches = batches;
  }

  void add(ForwardPass.Result pass) {
    loss += pass.loss() / batches;
    finite &= pass.isFinite();
    pass.losses()
        .forEach(
            (name, value) -> {
              double[] sum = sums.computeIfAbsent(name, key -> new double[2]);
              sum[0] += value;
              sum[1]++;
            });
    pass.hardNegatives().forEach((name, count) -> hardNegatives.merge(name, count, Integer::sum));
  }

  /** Adds the loss of contrast over all the step's batches together. */
  void add(CachedContrast pairs) {
    loss += pairs.weight() * pairs.loss();
    finite &= pairs.isFinite();
    sums.put("itc", new double[] {pairs.loss(), 1});
  }

  /** The weighted sum, mean over the step's batches. */
  double loss() {
    return loss;
  }

  /** Whether the losses of this rank's own share are finite. */
  boolean isFinite() {
    return finite;
  }

  /** By name, unweighted, mean over the batches that have them. */
  Map<String, Double> losses() {
    Map<String, Double> losses = new LinkedHashMap<>();
    sums.forEach((name, sum) -> losses.put(name, sum[0] / sum[1]));
    return losses;
  }

  /** How many pairs had a hard negative, by kind. */
  Map<String, Integer> hardNegatives() {
    return Collections.unmodifiableMap(hardNegatives);
  }
}
