package org.nasvlp.train;

/**
 * Stops a run that no longer gets better: after so many evaluations in a row without a new best of
 * one metric. The checkpoint of the best one is kept as {@code best-METRIC} ({@code
 * training.keepBest}). A run that is resumed begins to count anew. For one run.
 */
public final class EarlyStopping implements TrainingListener {
  private final String metric;
  private final int patience;
  private final double leastGain;
  private double best = Double.NEGATIVE_INFINITY;
  private long bestStep;
  private int without;

  private EarlyStopping(String metric, int patience, double leastGain) {
    this.metric = metric;
    this.patience = patience;
    this.leastGain = leastGain;
  }

  /**
   * A listener for {@link NasTrainerBuilder#listener}.
   *
   * @param metric one of {@link Evaluation#metrics}, such as {@code itm}
   * @param patience evaluations without a new best after which the run stops, 1 or more
   * @param leastGain how much better than the best so far one has to be to count, 0 or more
   * @return for one run
   * @throws IllegalArgumentException if a number is out of range
   */
  public static EarlyStopping on(String metric, int patience, double leastGain) {
    if (patience < 1) {
      throw new IllegalArgumentException("patience is " + patience + ": it must be 1 or more");
    }
    if (!(leastGain >= 0 && Double.isFinite(leastGain))) {
      throw new IllegalArgumentException(
          "leastGain is " + leastGain + ": it must be 0 or more, and finite");
    }
    return new EarlyStopping(metric, patience, leastGain);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException if the evaluation does not have the metric
   */
  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    Double value = evaluation.metrics().get(metric);
    if (value == null) {
      throw new IllegalStateException(
          "early stopping watches '%s', which this run's evaluations do not have; they have %s"
              .formatted(metric, evaluation.metrics().keySet()));
    }
    if (value > best + leastGain || (best == Double.NEGATIVE_INFINITY && !value.isNaN())) {
      best = value;
      bestStep = step;
      without = 0;
    } else {
      without++;
    }
  }

  @Override
  public boolean wantsStop() {
    return without >= patience;
  }

  /**
   * The best value so far.
   *
   * @return negative infinity before the first evaluation
   */
  public double best() {
    return best;
  }

  /**
   * When it was found.
   *
   * @return steps done then; 0 before the first evaluation
   */
  public long bestStep() {
    return bestStep;
  }
}
