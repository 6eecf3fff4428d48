package org.nasvlp.data.scenes;

import java.util.List;
import org.nasvlp.random.Draws;

/** Draws in a row for one scene, which depend on the seed and the scene's number alone. */
final class Dice {
  private final long seed;
  private final long scene;
  private int next;

  Dice(long seed, long scene) {
    this.seed = seed;
    this.scene = scene;
  }

  /** 0 to n-1. */
  int below(int n) {
    return Draws.uniform(Draws.draw(seed, 0, scene, next++), n);
  }

  /** From low to high, high excluded. */
  double between(double low, double high) {
    return low + (high - low) * Draws.unit(Draws.draw(seed, 0, scene, next++));
  }

  boolean chance(double probability) {
    return between(0, 1) < probability;
  }

  <T> T of(List<T> list) {
    return list.get(below(list.size()));
  }
}
