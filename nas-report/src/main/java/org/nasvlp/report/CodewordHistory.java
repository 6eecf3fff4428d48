package org.nasvlp.report;

import java.util.ArrayList;
import java.util.List;

/** How much the codewords were used in the course of a run, as its log tells. */
final class CodewordHistory {
  /** A codeword's shares at the steps told of, in percent of its largest. */
  record Curve(int perMillionAtMost, List<Integer> percent) {}

  private final List<Long> steps = new ArrayList<>();
  private final List<int[]> perMillion = new ArrayList<>();

  /**
   * @param shares of the patch tokens that each codeword has, in millionths
   */
  void add(long step, int[] shares) {
    steps.add(step);
    perMillion.add(shares.clone());
  }

  /** The steps told of, so many at most: evenly chosen, with the first and the last. */
  List<Long> steps(int most) {
    return indices(most).stream().map(steps::get).toList();
  }

  /** Of a codeword, at {@link #steps(int)}; 0 where a line tells of fewer codewords. */
  Curve curve(int code, int most) {
    List<Integer> shares =
        indices(most).stream()
            .map(perMillion::get)
            .map(of -> code < of.length ? of[code] : 0)
            .toList();
    int largest = shares.stream().mapToInt(Integer::intValue).max().orElse(0);
    return new Curve(
        largest,
        shares.stream()
            .map(share -> largest == 0 ? 0 : Math.toIntExact(Math.round(100.0 * share / largest)))
            .toList());
  }

  private List<Integer> indices(int most) {
    int count = Math.min(most, steps.size());
    List<Integer> indices = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      indices.add(count == 1 ? 0 : (int) ((long) i * (steps.size() - 1) / (count - 1)));
    }
    return indices;
  }
}
