package org.nasvlp.train;

import java.util.function.LongSupplier;

/**
 * Wall-clock time of a run: since this process began it, and with what earlier ones took; and how
 * much of it went into steps.
 */
final class RunClock {
  private final LongSupplier nanos;
  private final long begin;
  private double earlier;
  private double steps;

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

  /** Seconds of all steps, waiting for their data included; nothing else is. */
  double steps() {
    return steps;
  }

  /** Adds a step, from the wait for its data to its end. */
  void stepTook(double seconds) {
    steps += seconds;
  }

  /** Goes on from what the run, and its steps alone, took up to a checkpoint. */
  void resume(double earlierSeconds, double stepSeconds) {
    earlier = earlierSeconds;
    steps = stepSeconds;
  }
}
