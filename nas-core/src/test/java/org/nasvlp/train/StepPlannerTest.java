package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

/** The expected numbers are worked by hand; budgets end in a half, away from whole steps. */
class StepPlannerTest {
  private static final long MOST = 1_000_000;

  private long nanos = 5_000_000_000_000L;
  private final RunClock clock = new RunClock(() -> nanos);
  private int step;

  private void pass(double seconds) {
    nanos += Math.round(seconds * 1e9);
  }

  /** Steps that take so long each; the plan is made after every one. */
  private void take(StepPlanner planner, int count, double seconds) {
    for (int i = 0; i < count; i++) {
      pass(seconds);
      planner.stepTook(seconds);
      planner.plan(++step);
    }
  }

  @Test
  void theClockAddsWhatEarlierProcessesTook() {
    pass(2.5);
    assertThat(clock.seconds()).isCloseTo(2.5, within(1e-9));
    assertThat(clock.total()).isCloseTo(2.5, within(1e-9));
    clock.resume(100);
    assertThat(clock.seconds()).isCloseTo(2.5, within(1e-9));
    assertThat(clock.total()).isCloseTo(102.5, within(1e-9));
  }

  @Test
  void withoutABudgetTheStepsStay() {
    StepPlanner planner = new StepPlanner(300, 0, clock);
    take(planner, 200, 1000);
    assertThat(planner.steps()).isEqualTo(300);
    assertThat(planner.planned()).isZero();
  }

  @Test
  void theFirstPlanLeavesTheWarmUpAside() {
    StepPlanner planner = new StepPlanner(MOST, 100.5, clock);
    take(planner, 3, 5);
    take(planner, 9, 1);
    assertThat(planner.steps()).isEqualTo(MOST);
    assertThat(planner.planned()).isZero();
    take(planner, 1, 1);
    // 0.93 x 100.5 = 93.465 s; 25 are over and a step takes one.
    assertThat(planner.steps()).isEqualTo(13 + 68);
    assertThat(planner.planned()).isEqualTo(13 + 68);
  }

  @Test
  void theFirstPlanKeepsToTheStepsConfigured() {
    StepPlanner planner = new StepPlanner(60, 100.5, clock);
    take(planner, 13, 1);
    assertThat(planner.steps()).isEqualTo(60);
    assertThat(planner.planned()).isEqualTo(60);
  }

  @Test
  void earlyThePlanFollowsThePaceBothWays() {
    StepPlanner planner = new StepPlanner(MOST, 1000.5, clock);
    take(planner, 13, 1);
    assertThat(planner.steps()).isEqualTo(13 + 917);
    take(planner, 11, 2);
    assertThat(planner.steps()).isEqualTo(13 + 917);
    take(planner, 1, 2);
    // 37 s for 25 steps; 930.465 - 37 = 893.465 s left at 1.48 s each.
    assertThat(planner.steps()).isEqualTo(25 + 603);
    take(planner, 25, 0.5);
    // 49.5 s for 50 steps; 880.965 s left at 0.99 s each.
    assertThat(planner.steps()).isEqualTo(50 + 889);
  }

  @Test
  void aLongerPlanKeepsToTheStepsConfigured() {
    StepPlanner planner = new StepPlanner(700, 1000.5, clock);
    take(planner, 13, 2);
    assertThat(planner.steps()).isEqualTo(13 + 452);
    take(planner, 12, 0.1);
    assertThat(planner.steps()).isEqualTo(700);
  }

  @Test
  void lateThePlanOnlyShrinks() {
    StepPlanner planner = new StepPlanner(MOST, 100.5, clock);
    take(planner, 25, 1);
    assertThat(planner.steps()).isEqualTo(25 + 68);
    // 50.5 s are left of the whole budget, for 50 steps: 100 in all.
    take(planner, 25, 1);
    assertThat(planner.steps()).isEqualTo(25 + 68);
    // Half a second is left: one step is taken all the same.
    take(planner, 25, 2);
    assertThat(planner.steps()).isEqualTo(75 + 1);
  }

  @Test
  void aBudgetThatIsOverLeavesOneStep() {
    StepPlanner planner = new StepPlanner(MOST, 5, clock);
    take(planner, 13, 1);
    assertThat(planner.steps()).isEqualTo(14);
  }

  @Test
  void evaluationsTakeTimeButDoNotSlowTheSteps() {
    StepPlanner planner = new StepPlanner(MOST, 1000.5, clock);
    take(planner, 20, 1);
    pass(100);
    planner.evaluationTook(100);
    take(planner, 5, 1);
    // 125 s are over, 25 of them for 25 steps.
    assertThat(planner.steps()).isEqualTo(25 + 805);
  }

  @Test
  void aResumedRunGoesOnWithItsPlan() {
    StepPlanner planner = new StepPlanner(MOST, 1000.5, clock);
    planner.restore(0);
    assertThat(planner.planned()).isZero();
    planner.restore(500);
    clock.resume(115);
    step = 115;
    assertThat(planner.steps()).isEqualTo(500);
    assertThat(planner.planned()).isEqualTo(500);
    // At step 125 there are ten steps of this process: too few to tell the pace.
    take(planner, 10, 1);
    assertThat(planner.steps()).isEqualTo(500);
    take(planner, 25, 1);
    // 150 s for 150 steps, those before the checkpoint included.
    assertThat(planner.steps()).isEqualTo(150 + 780);
  }

  @Test
  void thePaceIsThatOfTheLastTwentySteps() {
    StepPlanner planner = new StepPlanner(MOST, 0, clock);
    assertThat(planner.secondsPerStep()).isEqualTo(1);
    take(planner, 10, 8);
    assertThat(planner.secondsPerStep()).isCloseTo(8, within(1e-12));
    take(planner, 15, 2);
    assertThat(planner.secondsPerStep()).isCloseTo((5 * 8 + 15 * 2) / 20.0, within(1e-12));
  }
}
