package org.nasvlp.distributed;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.StringVector;
import org.jspecify.annotations.Nullable;

/**
 * Finds out which rank was lost once an exchange has failed. A rank that fails of itself leaves its
 * reason in the store. Any rank that finds an exchange broken calls the roll; a thread of every
 * rank that lives answers, even while its own exchange still waits. Who does not answer is gone, or
 * stopped.
 */
final class RollCall implements AutoCloseable {
  private static final String CALLED = "nas/roll";
  private static final long WATCH_MILLIS = 400;
  private static final long ANSWER_MILLIS = 4_000;

  private final Store store;
  private final Cluster cluster;
  private final Thread watcher;
  private volatile boolean closed;
  private boolean called;

  RollCall(Store store, Cluster cluster) {
    this.store = store;
    this.cluster = cluster;
    this.watcher = Thread.ofPlatform().daemon().name("nas-roll-call").start(this::watch);
  }

  private void watch() {
    try {
      while (!closed && !has(CALLED)) {
        Thread.sleep(WATCH_MILLIS);
      }
      if (!closed) {
        store.set(here(cluster.rank()), "1");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException e) {
      // The store has gone with rank 0; the thread that trains will meet it as well.
    }
  }

  private boolean has(String key) {
    try (PointerScope scope = new PointerScope()) {
      return store.check(new StringVector(key));
    }
  }

  private static String here(int rank) {
    return "nas/here/" + rank;
  }

  private static String cause(int rank) {
    return "nas/cause/" + rank;
  }

  /** Leaves the reason why this rank ends, for the others. */
  void leave(String reason) {
    try {
      store.set(cause(cluster.rank()), reason);
      call();
    } catch (RuntimeException e) {
      // Without the store nobody can be told.
    }
  }

  private void call() {
    called = true;
    if (!has(CALLED)) {
      store.set(CALLED, "1");
    }
  }

  /** Reasons that ranks have left, by rank. */
  private Map<Integer, String> causes() {
    Map<Integer, String> causes = new TreeMap<>();
    for (int rank = 0; rank < cluster.size(); rank++) {
      if (has(cause(rank))) {
        causes.put(rank, store.get_to_str(cause(rank)));
      }
    }
    return causes;
  }

  /**
   * Calls the roll.
   *
   * @return what became of which rank, in words; null if all have answered
   */
  @Nullable String verdict() {
    try {
      call();
      long deadline = System.nanoTime() + ANSWER_MILLIS * 1_000_000;
      List<Integer> missing;
      do {
        Map<Integer, String> causes = causes();
        if (!causes.isEmpty()) {
          return String.join(
              "; ",
              causes.entrySet().stream()
                  .map(e -> "rank %d has ended: %s".formatted(e.getKey(), e.getValue()))
                  .toList());
        }
        missing = missing();
        if (missing.isEmpty()) {
          return null;
        }
        Thread.sleep(100);
      } while (System.nanoTime() < deadline);
      return String.join(
          "; ",
          missing.stream()
              .map(
                  rank ->
                      "rank %d of %d does not answer: it was killed or stopped, or its machine has gone"
                          .formatted(rank, cluster.size()))
              .toList());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return null;
    } catch (RuntimeException e) {
      return cluster.file() != null
          ? "the file by which the ranks meet, %s, cannot be used any more: %s"
              .formatted(cluster.file(), Rendezvous.firstLine(e))
          : "rank 0 of %d, which keeps the store at %s, does not answer: it was killed, or its machine has gone"
              .formatted(cluster.size(), cluster.meetingPoint());
    }
  }

  private List<Integer> missing() {
    List<Integer> missing = new ArrayList<>();
    for (int rank = 0; rank < cluster.size(); rank++) {
      if (rank != cluster.rank() && !has(here(rank))) {
        missing.add(rank);
      }
    }
    return missing;
  }

  /** Where this rank keeps the store, and something has failed: leaves others time to read it. */
  private void linger() {
    if (cluster.rank() == 0 && cluster.file() == null && called) {
      try {
        Thread.sleep(ANSWER_MILLIS + 2_000);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void close() {
    linger();
    closed = true;
    watcher.interrupt();
    try {
      watcher.join(2_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
