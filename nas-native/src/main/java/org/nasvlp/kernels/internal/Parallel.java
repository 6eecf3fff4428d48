package org.nasvlp.kernels.internal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;

/** Runs independent blocks of work on the caller's thread and a few daemon threads. */
final class Parallel {
  private static final ExecutorService HELPERS =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "nas-kernels-java");
            thread.setDaemon(true);
            return thread;
          });

  private Parallel() {}

  /** Runs body for 0..blocks-1 and returns when all are done. */
  static void run(int blocks, int threads, IntConsumer body) {
    int helpers = Math.min(threads, blocks) - 1;
    if (helpers <= 0) {
      for (int block = 0; block < blocks; block++) {
        body.accept(block);
      }
      return;
    }
    AtomicInteger next = new AtomicInteger();
    Runnable worker =
        () -> {
          for (int block = next.getAndIncrement(); block < blocks; block = next.getAndIncrement()) {
            body.accept(block);
          }
        };
    List<FutureTask<Void>> tasks = new ArrayList<>(helpers);
    try {
      for (int i = 0; i < helpers; i++) {
        FutureTask<Void> task = new FutureTask<>(worker, null);
        HELPERS.execute(task);
        tasks.add(task);
      }
      worker.run();
    } finally {
      await(tasks);
    }
    for (FutureTask<Void> task : tasks) {
      if (task.state() == FutureTask.State.FAILED) {
        throw new IllegalStateException("a helper thread failed", task.exceptionNow());
      }
    }
  }

  /** Waits even when interrupted: the helpers still read the caller's arrays. */
  private static void await(List<FutureTask<Void>> tasks) {
    boolean interrupted = false;
    for (FutureTask<Void> task : tasks) {
      while (!task.isDone()) {
        try {
          task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (java.util.concurrent.ExecutionException e) {
          break;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
