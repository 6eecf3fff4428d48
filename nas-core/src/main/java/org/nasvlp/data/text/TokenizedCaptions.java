package org.nasvlp.data.text;

import java.util.Arrays;

/**
 * Captions as token ids, padded to the longest of them.
 *
 * @param rows captions, R
 * @param length tokens in a row, L
 * @param ids R × L ids, row by row: [CLS], the words, [SEP], then [PAD]
 * @param mask R × L, 1 where there is a token and 0 at [PAD]
 * @param truncated captions that were cut to the greatest length
 */
public record TokenizedCaptions(int rows, int length, long[] ids, long[] mask, int truncated) {
  /** Checks that the sizes agree. */
  public TokenizedCaptions {
    if (rows < 0
        || length < 0
        || ids.length != (long) rows * length
        || mask.length != ids.length
        || truncated < 0
        || truncated > rows) {
      throw new IllegalArgumentException(
          "%d rows of %d tokens with %d ids, %d mask values and %d truncated"
              .formatted(rows, length, ids.length, mask.length, truncated));
    }
  }

  /**
   * The same rows padded to a greater length.
   *
   * @param padId id of [PAD]
   */
  public TokenizedCaptions padTo(int newLength, long padId) {
    if (newLength < length) {
      throw new IllegalArgumentException(
          "rows of " + length + " tokens cannot be padded to " + newLength);
    }
    long[] newIds = new long[rows * newLength];
    long[] newMask = new long[rows * newLength];
    Arrays.fill(newIds, padId);
    for (int row = 0; row < rows; row++) {
      System.arraycopy(ids, row * length, newIds, row * newLength, length);
      System.arraycopy(mask, row * length, newMask, row * newLength, length);
    }
    return new TokenizedCaptions(rows, newLength, newIds, newMask, truncated);
  }

  /**
   * Some of the rows, in that order. What was truncated among them is not known: it counts as 0.
   */
  public TokenizedCaptions rows(int[] chosen) {
    long[] newIds = new long[chosen.length * length];
    long[] newMask = new long[chosen.length * length];
    for (int i = 0; i < chosen.length; i++) {
      System.arraycopy(ids, chosen[i] * length, newIds, i * length, length);
      System.arraycopy(mask, chosen[i] * length, newMask, i * length, length);
    }
    return new TokenizedCaptions(chosen.length, length, newIds, newMask, 0);
  }
}
