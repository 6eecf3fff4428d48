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
  private static final int LENGTH = 1_000_000;

  private Rehearsal() {}

  /**
   * The phases with the median seconds of a step, waiting for its data included.
   *
   * @param step of a model with a started dictionary
   * @param loader of the run's batches
   * @param accumulation batches of a step
   */
  static Phases pace(Phases phases, TrainingStep step, BatchLoader loader, int accumulation)
      throws InterruptedException {
    List<Double> paces = new ArrayList<>();
    for (Phases.Phase phase : phases.all()) {
      int at = (int) Math.ceil(phase.share() * LENGTH);
      double[] seconds = new double[TIMED];
      for (int i = -WARM_UP; i < TIMED; i++) {
        long began = System.nanoTime();
        List<Batch> batches = new ArrayList<>();
        for (int a = 0; a < accumulation; a++) {
          batches.add(loader.next());
        }
        try {
          var _ = step.take(batches, at, LENGTH, false, null);
        } catch (NonFiniteInputException e) {
          // The run will meet it as well and tell what to do; until then its own pace serves.
          return phases;
        }
        if (i >= 0) {
          seconds[i] = (System.nanoTime() - began) * 1e-9;
        }
      }
      Arrays.sort(seconds);
      paces.add(seconds[TIMED / 2]);
    }
    return phases.withPaces(paces);
  }
}
