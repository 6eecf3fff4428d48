package org.nasvlp.negatives;

/** A mirror that exchanges the sides of a picture. */
public enum Mirror {
  /** Left and right. */
  LEFT_RIGHT,
  /** Top and bottom. */
  TOP_BOTTOM;

  /**
   * Which patch token comes to stand at each place of a grid of patches, in rows from the top left.
   *
   * @param side patches in a row, as many as rows
   * @return {@code side * side} positions, each once; the same mirror gives the grid back
   */
  public int[] positions(int side) {
    int[] from = new int[side * side];
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        from[y * side + x] =
            this == LEFT_RIGHT ? y * side + side - 1 - x : (side - 1 - y) * side + x;
      }
    }
    return from;
  }
}
