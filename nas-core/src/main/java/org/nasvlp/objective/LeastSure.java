package org.nasvlp.objective;

import java.util.Comparator;
import java.util.stream.IntStream;

/** Which rows of a batch are worth a pass of the fusion encoder. */
final class LeastSure {
  private LeastSure() {}

  /**
   * A share of the rows, rounded up: those of the smallest lead, of equals the first.
   *
   * @param rows ascending
   * @param lead by row, how far its right answer is ahead; not NaN
   * @param share 0 to 1
   * @return ascending
   */
  static int[] of(int[] rows, double[] lead, double share) {
    int count = (int) Math.ceil(share * rows.length);
    if (count == rows.length) {
      return rows;
    }
    return IntStream.of(rows)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer row) -> lead[row]))
        .limit(count)
        .mapToInt(Integer::intValue)
        .sorted()
        .toArray();
  }
}
