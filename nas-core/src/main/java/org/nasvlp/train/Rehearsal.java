package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.nasvlp.data.Batch;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.kernels.NonFiniteInputException;

/** Times a few steps of every phase of a run, on a model that is thrown away. */
final class Rehearsal {
  private static final int WARM_UP = 2;
  private static final int TIMED = 5;

  /** Stands for a long run, so that a phase begins at a step of its own. */
  private static final int LENGTH = 10_000;

  private final TrainingStep step;
  private final BatchLoader loader;
  private final int accumulation;

  /**
   * @param step of a model with a started dictionary
   * @param loader of the run's batches
   * @param accumulation batches of a step
   */
  Rehearsal(TrainingStep step, BatchLoader loader, int accumulation) {
    this.step = step;
    this.loader = loader;
    this.accumulation = accumulation;
  }

  /** The phases with the median seconds of a step, waiting for its data included. */
  Phases pace(Phases phases) throws InterruptedException {
    List<Double> paces = new ArrayList<>();
    try {
      // The last phase does all that any does: what is cold at first counts for none of them.
      take(phases.all().getLast(), WARM_UP);
      for (Phases.Phase phase : phases.all()) {
        take(phase, WARM_UP);
        double[] seconds = take(phase, TIMED);
        Arrays.sort(seconds);
        paces.add(seconds[TIMED / 2]);
      }
    } catch (NonFiniteInputException e) {
      // The run will meet it as well and tell what to do; until then its own pace serves.
      return phases;
    }
    return phases.withPaces(paces);
  }

  private double[] take(Phases.Phase phase, int count) throws InterruptedException {
    int at = (int) Math.ceil(phase.share() * LENGTH);
    double[] seconds = new double[count];
    for (int i = 0; i < count; i++) {
      long began = System.nanoTime();
      List<Batch> batches = new ArrayList<>();
      for (int a = 0; a < accumulation; a++) {
        batches.add(loader.next());
      }
      var _ = step.take(batches, at, LENGTH, false, null);
      seconds[i] = (System.nanoTime() - began) * 1e-9;
    }
    return seconds;
  }
}
