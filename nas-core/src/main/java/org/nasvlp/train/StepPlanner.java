package org.nasvlp.train;

import java.util.ArrayDeque;
import java.util.Deque;
import org.nasvlp.config.TrainingConfig;

/**
 * How many steps a run takes: as many as configured or, with a time budget, as fit it.
 *
 * <p>With a budget for the whole run the pace is measured once the first steps are over, and the
 * plan follows it both ways up to half-way; after that it only shrinks, since ending the schedule
 * early beats missing the budget.
 *
 * <p>With a budget for the steps alone the plan follows the pace both ways to the end, so that the
 * budget is used up. It counts in advance with the pace of phases that are still to come, relative
 * to the present one's: otherwise a loss that sets in at a share of the run would set in late, and
 * the learning rate with it.
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
  private final double stepBudget;
  private final Phases phases;
  private final RunClock clock;
  private final Deque<Double> recent = new ArrayDeque<>();
  private long steps;
  private boolean planned;
  private double evaluationSeconds;
  private int phase;
  private int phaseSteps;

  /**
   * @param training its steps are planned without a budget, and never exceeded with one
   * @param phases of the run, with their paces
   * @param clock of the run
   */
  StepPlanner(TrainingConfig training, Phases phases, RunClock clock) {
    this.mostSteps = training.steps();
    this.budget = training.minutes() * 60;
    this.stepBudget = training.stepMinutes() * 60;
    this.phases = phases;
    this.clock = clock;
    this.steps = mostSteps;
  }

  /** Planned length of the run. */
  long steps() {
    return steps;
  }

  /** Takes another rank's plan for its own. */
  void follow(long plannedSteps) {
    steps = plannedSteps;
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

  /** Plans a fresh run whose budget is for the steps alone, from the paces of the phases. */
  void begin() {
    steps =
        Math.max(1, phases.fitting(0, stepBudget, 0, phases.all().getFirst().pace(), mostSteps));
    planned = true;
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
    if (stepBudget > 0) {
      planSteps(step);
    } else if (budget > 0 && recent.size() >= CALIBRATION) {
      planRun(step);
    }
  }

  private void planRun(int step) {
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

  private void planSteps(int step) {
    double left = stepBudget - clock.steps();
    if (left <= 0) {
      steps = step;
      planned = true;
      return;
    }
    int now = phases.at(step - 1, steps);
    if (now != phase) {
      phase = now;
      phaseSteps = 0;
    }
    phaseSteps++;
    boolean nearEnd = steps - step < STEPS_BETWEEN_PLANS;
    if (phaseSteps < CALIBRATION || !(nearEnd || step % STEPS_BETWEEN_PLANS == 0)) {
      return;
    }
    double pace = mean(Math.max(0, recent.size() - phaseSteps + WARM_UP));
    // A loss that has set in does not go away again because the plan grew.
    double begun = phases.all().get(phase).share();
    long most = begun > 0 ? Math.min(mostSteps, (long) ((step - 1) / begun)) : mostSteps;
    steps = Math.max(step + 1L, phases.fitting(step, left, phase, pace, most));
    planned = true;
  }
}
