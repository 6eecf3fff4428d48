package org.nasvlp.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;

/**
 * Finds how many threads a training goes fastest with, by its own steps: where another program
 * holds a core, or two processors are one core, all threads of an operation wait for the slowest.
 * It tries fewer threads while that does not cost time, takes the fewest that are as fast as any,
 * and tries anew now and then, and when steps become slow.
 *
 * <p>What threads compute may differ in the last bits, so this is for runs whose length depends on
 * the clock anyway.
 */
final class ThreadPacer implements TrainingListener {
  /** The first steps are not timed: everything is cold. */
  private static final int COLD = 3;

  /** Steps of a turn: their median is not that of the first, which starts threads. */
  private static final int TIMED = 5;

  private static final int STEPS_BETWEEN_TRIALS = 250;
  private static final int LEAST_BETWEEN_TRIALS = 50;

  /** Steps whose median is the present pace. */
  private static final int RECENT = 15;

  /** So much slower than in the trial, and other numbers are tried. */
  private static final double SLOW = 1.3;

  /** Fewer threads that take at most so much longer are as good. */
  private static final double EQUAL = 1.02;

  /** With so much longer steps still fewer threads are not tried. */
  private static final double WORSE = 1.15;

  private final int most;
  private final IntConsumer threads;
  private final Consumer<String> tell;

  private final List<Integer> tried = new ArrayList<>();
  private final List<Double> medians = new ArrayList<>();
  private final List<Double> steps = new ArrayList<>();
  private int now;
  private int told;
  private double pace;
  private boolean trying = true;
  private int cold = COLD;

  /**
   * @param most threads to begin with, and never to exceed
   * @param threads sets how many the next step uses
   * @param tell is told which number was found, where it is another one than before
   */
  ThreadPacer(int most, IntConsumer threads, Consumer<String> tell) {
    this.most = most;
    this.threads = threads;
    this.tell = tell;
    this.now = most;
    this.told = most;
  }

  @Override
  public void onStep(StepReport report) {
    if (most == 1) {
      return;
    }
    if (cold > 0) {
      cold--;
      return;
    }
    steps.add(report.seconds().values().stream().mapToDouble(Double::doubleValue).sum());
    if (trying) {
      if (steps.size() == TIMED) {
        endOfTurn();
      }
    } else if (steps.size() >= STEPS_BETWEEN_TRIALS
        || (steps.size() >= LEAST_BETWEEN_TRIALS && recent() > SLOW * pace)) {
      trying = true;
      use(most);
    }
  }

  private double recent() {
    return median(steps.subList(steps.size() - RECENT, steps.size()));
  }

  private void endOfTurn() {
    tried.add(now);
    medians.add(median(steps));
    double best = best();
    int next = fewer(now);
    if (next < now && medians.getLast() <= WORSE * best) {
      use(next);
      return;
    }
    // From the most to the fewest: the last that is as good has the fewest.
    int found = 0;
    for (int i = 0; i < tried.size(); i++) {
      if (medians.get(i) <= EQUAL * best) {
        found = i;
      }
    }
    int chosen = tried.get(found);
    pace = medians.get(found);
    if (chosen != told) {
      told = chosen;
      tell.accept(
          String.format(
              Locale.ROOT,
              "%d of %d threads from now on: a step takes %.3f s, with %d it takes %.3f s",
              chosen,
              most,
              pace,
              chosen == most ? tried.getLast() : most,
              chosen == most ? medians.getLast() : medians.getFirst()));
    }
    tried.clear();
    medians.clear();
    trying = false;
    use(chosen);
  }

  private double best() {
    return medians.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
  }

  /** All, one less (for a core that another program holds), a half, a quarter and so on. */
  private int fewer(int than) {
    return than == most && most > 3
        ? most - 1
        : Math.max(1, than == most - 1 ? most / 2 : than / 2);
  }

  private void use(int count) {
    steps.clear();
    if (count != now) {
      now = count;
      threads.accept(count);
    }
  }

  private static double median(List<Double> of) {
    double[] sorted = of.stream().mapToDouble(Double::doubleValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
