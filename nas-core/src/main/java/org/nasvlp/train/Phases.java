package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.NasConfig;

/**
 * The stretches of a run whose steps do the same work: one from the first step on, and another from
 * each share of the run at which a hard negative loss sets in.
 *
 * @param all in order, the first from share 0 on
 */
record Phases(List<Phase> all) {
  /**
   * One stretch.
   *
   * @param share of the run before it, in [0, 1)
   * @param pace seconds of one of its steps, in any unit that all phases share
   */
  record Phase(double share, double pace) {}

  Phases {
    all = List.copyOf(all);
  }

  /** Those of a configuration, as if all their steps took the same time. */
  static Phases of(NasConfig config) {
    List<Double> shares = new ArrayList<>(List.of(0.0));
    if (config.nva().enabled() && config.nva().weight() > 0) {
      shares.add(config.nva().startShare());
    }
    if (config.nta().enabled() && (config.nta().weight() > 0 || config.nva().mirrorWeight() > 0)) {
      shares.add(config.nta().startShare());
    }
    return new Phases(
        shares.stream()
            .filter(share -> share < 1)
            .distinct()
            .sorted()
            .map(share -> new Phase(share, 1))
            .toList());
  }

  /** The same with other paces, one for each phase. */
  Phases withPaces(List<Double> paces) {
    List<Phase> paced = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      paced.add(new Phase(all.get(i).share(), paces.get(i)));
    }
    return new Phases(paced);
  }

  /** The phase of step {@code step} (0-based) in a run of {@code steps}. */
  int at(long step, long steps) {
    int phase = 0;
    while (phase + 1 < all.size() && step >= all.get(phase + 1).share() * steps) {
      phase++;
    }
    return phase;
  }

  /**
   * Length of the longest run whose steps after the first {@code step} fit the time left.
   *
   * @param left seconds
   * @param phase whose pace is known
   * @param pace seconds of a step in it; the other phases' follow by their ratio to it
   * @param most never exceeded
   * @return at least {@code step}
   */
  long fitting(long step, double left, int phase, double pace, long most) {
    double unit = pace / all.get(phase).pace();
    long low = step;
    long high = Math.max(step, most);
    while (low < high) {
      long middle = low + (high - low + 1) / 2;
      if (seconds(step, middle) * unit <= left) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /** What the steps from {@code step} to the end of a run of {@code steps} take. */
  private double seconds(long step, long steps) {
    double seconds = 0;
    double from = step;
    for (int i = 0; i < all.size() && from < steps; i++) {
      double end = i + 1 < all.size() ? Math.ceil(all.get(i + 1).share() * steps) : (double) steps;
      double to = Math.max(from, end);
      seconds += (to - from) * all.get(i).pace();
      from = to;
    }
    return seconds;
  }
}
