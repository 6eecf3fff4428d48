package org.nasvlp.train;

import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Keeps a process to one training at a time: how many threads LibTorch and the kernels use, and so
 * in what order LibTorch adds, is the process's.
 */
final class OneTraining implements AutoCloseable {
  private static final AtomicBoolean TAKEN = new AtomicBoolean();

  private OneTraining() {}

  /**
   * Begins one.
   *
   * @throws TrainingException if another one has begun and not been closed
   */
  static OneTraining begin() {
    if (!TAKEN.compareAndSet(false, true)) {
      throw new TrainingException(
          "another training is under way in this process, and the threads of LibTorch and the"
              + " kernels are the process's: neither would be reproducible; wait for it to end, or"
              + " train in a process of its own");
    }
    return new OneTraining();
  }

  /** Lets the next begin; called once. */
  @Override
  public void close() {
    TAKEN.set(false);
  }
}
