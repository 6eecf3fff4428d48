package org.nasvlp.train;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Adds up the time between marks by section. LibTorch works synchronously on the CPU; on a CUDA
 * device it queues work, so that a section's time is what it took to hand its work over and what it
 * waited for.
 */
final class StepClock {
  private final Map<String, Double> seconds = new LinkedHashMap<>();
  private long last = System.nanoTime();

  /** Time since the last mark went to this section. */
  void mark(String section) {
    long now = System.nanoTime();
    seconds.merge(section, (now - last) * 1e-9, Double::sum);
    last = now;
  }

  /** Seconds by section, in the order of their first marks. */
  Map<String, Double> seconds() {
    return Collections.unmodifiableMap(seconds);
  }
}
