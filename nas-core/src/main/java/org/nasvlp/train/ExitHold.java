package org.nasvlp.train;

import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Lets a JVM that is asked to exit wait for a run: it tears LibTorch down, which under a step at
 * work would be a crash. A run that itself asks for the exit, in a listener, stands still in that
 * call, is at no step, and is not waited for.
 */
final class ExitHold implements AutoCloseable {
  private static final long MILLISECONDS_BETWEEN_LOOKS = 100;

  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread run = Thread.currentThread();
  private final Thread hook;

  private ExitHold(Runnable stop) {
    hook = new Thread(() -> stopAndAwait(stop), "nas-trainer-shutdown");
  }

  /**
   * Holds an exit of the JVM until closed, or until this thread, the run's, calls for it.
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
      boolean over = false;
      while (!over && !isExiting(run)) {
        over = ended.await(MILLISECONDS_BETWEEN_LOOKS, TimeUnit.MILLISECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whether a thread stands in {@code System.exit}, which does not return. */
  private static boolean isExiting(Thread thread) {
    return Arrays.stream(thread.getStackTrace())
        .anyMatch(
            frame ->
                frame.getClassName().equals(Runtime.class.getName())
                    && frame.getMethodName().equals("exit"));
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
