package org.nasvlp.train;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nasvlp.distributed.Ranks;

/**
 * Adds up the time between marks by section. What ranks exchanged meanwhile, and waited for each
 * other, are sections of their own, in whichever it happened. LibTorch works synchronously on the
 * CPU; on a CUDA device it queues work, so that a section's time is what it took to hand its work
 * over and what it waited for.
 */
final class StepClock {
  /** What ranks send each other. */
  static final String EXCHANGE = "exchange";

  /** What a rank waits for others, where that is told apart. */
  static final String WAITING = "waiting for ranks";

  private final Map<String, Double> seconds = new LinkedHashMap<>();
  private final Ranks ranks;
  private long last = System.nanoTime();
  private double exchanged;
  private double waited;

  /** Begins a section. */
  StepClock(Ranks ranks) {
    this.ranks = ranks;
    this.exchanged = ranks.exchangeSeconds();
    this.waited = ranks.waitSeconds();
  }

  /** Time since the last mark went to this section. */
  void mark(String section) {
    long now = System.nanoTime();
    double exchange = ranks.exchangeSeconds() - exchanged;
    double waiting = ranks.waitSeconds() - waited;
    add(section, (now - last) * 1e-9 - exchange - waiting);
    if (exchange > 0) {
      add(EXCHANGE, exchange);
    }
    if (waiting > 0) {
      add(WAITING, waiting);
    }
    last = now;
    exchanged += exchange;
    waited += waiting;
  }

  private void add(String section, double time) {
    seconds.merge(section, time, Double::sum);
  }

  /** Seconds by section, in the order of their first marks. */
  Map<String, Double> seconds() {
    return Collections.unmodifiableMap(seconds);
  }
}
