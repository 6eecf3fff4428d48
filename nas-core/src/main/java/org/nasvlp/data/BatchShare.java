package org.nasvlp.data;

/**
 * The pairs of each batch that a loader reads, for a training that several processes share.
 *
 * @param from place of the first in the batch
 * @param count how many, at least 1
 */
public record BatchShare(int from, int count) {
  /** Checks the range. */
  public BatchShare {
    if (from < 0 || count < 1) {
      throw new IllegalArgumentException(
          "a share of %d pairs from place %d of a batch".formatted(count, from));
    }
  }
}
