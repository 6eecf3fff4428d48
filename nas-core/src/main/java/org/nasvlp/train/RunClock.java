package org.nasvlp.train;

import java.util.function.LongSupplier;

/** Wall-clock time of a run: since this process began it, and with what earlier ones took. */
final class RunClock {
  private final LongSupplier nanos;
  private final long begin;
  private double earlier;

  /**
   * A clock that starts now.
   *
   * @param nanos nanoseconds, as {@link System#nanoTime} gives them
   */
  RunClock(LongSupplier nanos) {
    this.nanos = nanos;
    this.begin = nanos.getAsLong();
  }

  /** Seconds since the clock started. */
  double seconds() {
    return (nanos.getAsLong() - begin) * 1e-9;
  }

  /** Seconds since the run's very first start, pauses between its processes not included. */
  double total() {
    return earlier + seconds();
  }

  /** Adds what the run took up to the checkpoint that it goes on from. */
  void resume(double earlierSeconds) {
    earlier = earlierSeconds;
  }
}
