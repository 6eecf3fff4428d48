package org.nasvlp.cli;

import java.io.PrintStream;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * What happens on Ctrl-C (and SIGTERM): the training at work, if any, is asked to stop, and the JVM
 * lives on until it has written its checkpoint and the command has told where it is. The exit
 * status is then the JVM's own: 130 for SIGINT, 143 for SIGTERM.
 */
final class Interruption {
  private static final long PATIENCE_MINUTES = 10;

  /** What is at work: what to say and do when it is to stop. */
  private record Work(String stopping, Runnable stop) {}

  private final AtomicReference<@Nullable Work> work = new AtomicReference<>();
  private final CountDownLatch finished = new CountDownLatch(1);
  private volatile boolean requested;

  /** Makes the JVM's shutdown call {@link #request}. */
  void install(PrintStream err) {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> request(err), "nas-interruption"));
  }

  /** Asks the training at work to stop and waits for the command to finish. */
  void request(PrintStream err) {
    requested = true;
    Work current = work.get();
    if (current == null || finished.getCount() == 0) {
      return;
    }
    if (!current.stopping().isEmpty()) {
      err.println();
      err.println(current.stopping());
    }
    current.stop().run();
    try {
      if (!finished.await(PATIENCE_MINUTES, TimeUnit.MINUTES)) {
        err.println("nas: the step did not end within " + PATIENCE_MINUTES + " minutes; giving up");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whether the user asked to stop. */
  boolean requested() {
    return requested;
  }

  /** While the returned guard is open, an interruption stops a training. */
  Guard during(Runnable stop) {
    return during("stopping after this step and writing a checkpoint ...", stop);
  }

  /**
   * While the returned guard is open, an interruption prints {@code stopping}, if any, and stops.
   */
  Guard during(String stopping, Runnable stop) {
    work.set(new Work(stopping, stop));
    return () -> {
      if (!requested) {
        work.set(null);
      }
    };
  }

  /** The command has said all it has to say. */
  void finished() {
    finished.countDown();
  }

  /** Ends the time in which an interruption stops a training. */
  interface Guard extends AutoCloseable {
    @Override
    void close();
  }
}
