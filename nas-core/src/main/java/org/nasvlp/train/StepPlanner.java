package org.nasvlp.train;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * How many steps a run takes: as many as configured or, with a time budget, as fit it. The pace is
 * measured once the first steps are over, and the plan follows it both ways up to half-way; after
 * that it only shrinks, since ending the schedule early beats missing the budget.
 */
final class StepPlanner {
  /** The first of these steps is the first that counts: those before it find everything cold. */
  private static final int WARM_UP = 3;

  private static final int CALIBRATION = 13;
  private static final int STEPS_BETWEEN_PLANS = 25;

  /** How many steps the current pace is the mean of. */
  private static final int RECENT = 20;

  /** Share of a time budget that training steps may use; the rest is for evaluations. */
  private static final double STEP_SHARE = 0.93;

  private final long mostSteps;
  private final double budget;
  private final RunClock clock;
  private final Deque<Double> recent = new ArrayDeque<>();
  private long steps;
  private boolean planned;
  private double evaluationSeconds;

  /**
   * @param mostSteps planned without a budget, and never exceeded with one
   * @param budget seconds of the whole run; 0 for none
   * @param clock of the run
   */
  StepPlanner(long mostSteps, double budget, RunClock clock) {
    this.mostSteps = mostSteps;
    this.budget = budget;
    this.clock = clock;
    this.steps = mostSteps;
  }

  /** Planned length of the run. */
  long steps() {
    return steps;
  }

  /** What a checkpoint keeps of the plan: its length, or 0 if none was made. */
  long planned() {
    return planned ? steps : 0;
  }

  /** Goes on with what {@link #planned} gave. */
  void restore(long plannedSteps) {
    if (plannedSteps > 0) {
      steps = plannedSteps;
      planned = true;
    }
  }

  /** Time that does not count as the steps'. */
  void evaluationTook(double seconds) {
    evaluationSeconds += seconds;
  }

  /** Time from the wait for a step's data to the step's end. */
  void stepTook(double seconds) {
    recent.addLast(seconds);
    if (recent.size() > RECENT) {
      recent.removeFirst();
    }
  }

  /** Mean seconds of the last steps; 1 before there are any. */
  double secondsPerStep() {
    return mean(0);
  }

  private double mean(int skipped) {
    return recent.stream().skip(skipped).mapToDouble(Double::doubleValue).average().orElse(1);
  }

  /** Fits the plan to the budget; to be called after every step. */
  void plan(int step) {
    if (budget == 0 || recent.size() < CALIBRATION) {
      return;
    }
    double elapsed = clock.total();
    if (!planned) {
      steps = Math.min(fitting(step, budget * STEP_SHARE - elapsed, mean(WARM_UP)), mostSteps);
      planned = true;
    } else if (step % STEPS_BETWEEN_PLANS == 0) {
      boolean early = step < steps / 2;
      double left = budget * (early ? STEP_SHARE : 1) - elapsed;
      long fits = fitting(step, left, (elapsed - evaluationSeconds) / step);
      steps = Math.min(fits, early ? mostSteps : steps);
    }
  }

  /** The steps done and those that fit the seconds left, one at least. */
  private static long fitting(int step, double left, double perStep) {
    return step + (long) Math.max(1, left / perStep);
  }
}
