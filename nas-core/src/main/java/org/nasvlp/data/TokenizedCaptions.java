package org.nasvlp.data;

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
}
