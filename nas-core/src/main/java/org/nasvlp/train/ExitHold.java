package org.nasvlp.train;

import java.util.concurrent.CountDownLatch;

/**
 * Lets a JVM that is asked to exit wait for a run: it tears LibTorch down, which under a step at
 * work would be a crash.
 */
final class ExitHold implements AutoCloseable {
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread hook;

  private ExitHold(Runnable stop) {
    hook = new Thread(() -> stopAndAwait(stop), "nas-trainer-shutdown");
  }

  /**
   * Holds an exit of the JVM until closed.
   *
   * @param stop asks the run to end; called, on another thread, when the JVM is to exit
   * @throws TrainingException if the JVM is exiting already
   */
  static ExitHold until(Runnable stop) {
    ExitHold hold = new ExitHold(stop);
    try {
      Runtime.getRuntime().addShutdownHook(hold.hook);
    } catch (IllegalStateException e) {
      throw new TrainingException("the JVM is shutting down; no run can start", e);
    }
    return hold;
  }

  private void stopAndAwait(Runnable stop) {
    stop.run();
    try {
      ended.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    ended.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The hook is running: it ends now.
    }
  }
}
