package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.TrainingConfig;

/** The expected numbers are worked by hand; budgets end in a half, away from whole steps. */
class StepPlannerTest {
  private static final int MOST = 1_000_000;

  private long nanos = 5_000_000_000_000L;
  private final RunClock clock = new RunClock(() -> nanos);
  private int step;

  private StepPlanner ofRun(int most, double seconds) {
    TrainingConfig training =
        TrainingConfig.defaults(most).toBuilder().minutes(seconds / 60).build();
    return new StepPlanner(training, new Phases(List.of(new Phases.Phase(0, 1))), clock);
  }

  /** A budget for the steps alone; phases as pairs of share and pace. */
  private StepPlanner ofSteps(double seconds, double... phases) {
    List<Phases.Phase> all = new ArrayList<>();
    for (int i = 0; i < phases.length; i += 2) {
      all.add(new Phases.Phase(phases[i], phases[i + 1]));
    }
    TrainingConfig training =
        TrainingConfig.defaults(MOST).toBuilder().stepMinutes(seconds / 60).build();
    return new StepPlanner(training, new Phases(all), clock);
  }

  private void pass(double seconds) {
    nanos += Math.round(seconds * 1e9);
  }

  /** Steps that take so long each; the plan is made after every one. */
  private void take(StepPlanner planner, int count, double seconds) {
    for (int i = 0; i < count; i++) {
      pass(seconds);
      clock.stepTook(seconds);
      planner.stepTook(seconds);
      planner.plan(++step);
    }
  }

  @Test
  void theClockAddsWhatEarlierProcessesTook() {
    pass(2.5);
    assertThat(clock.seconds()).isCloseTo(2.5, within(1e-9));
    assertThat(clock.total()).isCloseTo(2.5, within(1e-9));
    clock.stepTook(1);
    clock.resume(100, 60);
    clock.stepTook(1.5);
    assertThat(clock.seconds()).isCloseTo(2.5, within(1e-9));
    assertThat(clock.total()).isCloseTo(102.5, within(1e-9));
    assertThat(clock.steps()).isCloseTo(61.5, within(1e-9));
  }

  @Test
  void withoutABudgetTheStepsStay() {
    StepPlanner planner = ofRun(300, 0);
    take(planner, 200, 1000);
    assertThat(planner.steps()).isEqualTo(300);
    assertThat(planner.planned()).isZero();
  }

  @Test
  void theFirstPlanLeavesTheWarmUpAside() {
    StepPlanner planner = ofRun(MOST, 100.5);
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
    StepPlanner planner = ofRun(60, 100.5);
    take(planner, 13, 1);
    assertThat(planner.steps()).isEqualTo(60);
    assertThat(planner.planned()).isEqualTo(60);
  }

  @Test
  void earlyThePlanFollowsThePaceBothWays() {
    StepPlanner planner = ofRun(MOST, 1000.5);
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
    StepPlanner planner = ofRun(700, 1000.5);
    take(planner, 13, 2);
    assertThat(planner.steps()).isEqualTo(13 + 452);
    take(planner, 12, 0.1);
    assertThat(planner.steps()).isEqualTo(700);
  }

  @Test
  void lateThePlanOnlyShrinks() {
    StepPlanner planner = ofRun(MOST, 100.5);
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
    StepPlanner planner = ofRun(MOST, 5);
    take(planner, 13, 1);
    assertThat(planner.steps()).isEqualTo(14);
  }

  @Test
  void evaluationsTakeTimeButDoNotSlowTheSteps() {
    StepPlanner planner = ofRun(MOST, 1000.5);
    take(planner, 20, 1);
    pass(100);
    planner.evaluationTook(100);
    take(planner, 5, 1);
    // 125 s are over, 25 of them for 25 steps.
    assertThat(planner.steps()).isEqualTo(25 + 805);
  }

  @Test
  void aResumedRunGoesOnWithItsPlan() {
    StepPlanner planner = ofRun(MOST, 1000.5);
    planner.restore(0);
    assertThat(planner.planned()).isZero();
    planner.restore(500);
    clock.resume(115, 115);
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
    StepPlanner planner = ofRun(MOST, 0);
    assertThat(planner.secondsPerStep()).isEqualTo(1);
    take(planner, 10, 8);
    assertThat(planner.secondsPerStep()).isCloseTo(8, within(1e-12));
    take(planner, 15, 2);
    assertThat(planner.secondsPerStep()).isCloseTo((5 * 8 + 15 * 2) / 20.0, within(1e-12));
  }

  @Test
  void stepsToComeCountWithThePaceOfTheirPhase() {
    // A quarter at 0.5 s and three at 1 s: 0.875 s a step.
    StepPlanner planner = ofSteps(700, 0, 0.5, 0.25, 1);
    planner.begin();
    assertThat(planner.steps()).isEqualTo(800);
    assertThat(planner.planned()).isEqualTo(800);
    take(planner, 25, 0.5);
    assertThat(planner.steps()).isEqualTo(800);
    take(planner, 25, 1);
    // 662.5 s are left; the later steps now take 2 s. Of 407 steps 52 and 305 are left: 662 s.
    assertThat(planner.steps()).isEqualTo(407);
  }

  @Test
  void aPhaseThatHasBegunIsTimedAnew() {
    StepPlanner planner = ofSteps(700, 0, 0.5, 0.25, 1);
    planner.begin();
    take(planner, 200, 0.5);
    assertThat(planner.steps()).isEqualTo(800);
    take(planner, 25, 2);
    // 550 s are left, for steps of 2 s.
    assertThat(planner.steps()).isEqualTo(225 + 275);
  }

  @Test
  void aLossThatHasBegunStays() {
    StepPlanner planner = ofSteps(100.5, 0, 1, 0.5, 1);
    planner.begin();
    take(planner, 50, 1);
    assertThat(planner.steps()).isEqualTo(100);
    take(planner, 25, 0.1);
    // 48 s would do for 480 steps more, but step 75 has to lie in the second half.
    assertThat(planner.steps()).isEqualTo(148);
  }

  @Test
  void aBudgetOfStepsIsUsedUpWhateverThePace() {
    for (double last : new double[] {0.3, 1, 3}) {
      step = 0;
      clock.resume(0, 0);
      StepPlanner planner = ofSteps(100.5, 0, 1);
      planner.begin();
      while (step < planner.steps()) {
        take(planner, 1, step < 60 ? 1 : last);
        // Neither counts.
        pass(30);
        planner.evaluationTook(30);
      }
      assertThat(clock.steps()).isBetween(100.5 - last, 100.5 + last);
      assertThat(planner.planned()).isEqualTo(step);
    }
  }

  @Test
  void phasesBeginWhereHardNegativesDo() {
    NasConfig config =
        NasConfig.preset("tiny").withNta(nta -> nta.enabled(true).startShare(0.5).weight(1));
    assertThat(Phases.of(config).all().stream().map(Phases.Phase::share))
        .containsExactly(0.0, config.nva().startShare(), 0.5);
    assertThat(
            Phases.of(config.withNva(nva -> nva.enabled(false)).withNta(nta -> nta.startShare(0)))
                .all())
        .containsExactly(new Phases.Phase(0, 1));
    Phases phases = Phases.of(config.withNva(nva -> nva.startShare(0.25)));
    assertThat(phases.at(24, 100)).isZero();
    assertThat(phases.at(25, 100)).isEqualTo(1);
    assertThat(phases.at(99, 100)).isEqualTo(2);
  }
}
