package org.nasvlp.data;

/**
 * The pairs that a run's first batches are drawn from, before it goes through the whole data set: a
 * curriculum. Immutable.
 */
public final class FirstPairs {
  /** None: the first batch already is one of the whole data set. */
  public static final FirstPairs NONE = new FirstPairs(new int[0], 0);

  private final int[] indices;
  private final long batches;

  /**
   * @param indices of the pairs in the data set; no batch holds one twice
   * @param batches how many there are of them
   */
  public FirstPairs(int[] indices, long batches) {
    if (batches < 0) {
      throw new IllegalArgumentException("batches is " + batches + ": it must not be negative");
    }
    this.indices = indices.clone();
    this.batches = batches;
  }

  /** How many pairs there are to draw from. */
  public int count() {
    return indices.length;
  }

  /** How many batches hold them. */
  public long batches() {
    return batches;
  }

  /** A pair's index in the data set. */
  int index(int pair) {
    return indices[pair];
  }
}
