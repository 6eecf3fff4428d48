package org.nasvlp.data;

import java.util.List;

/**
 * What a {@link BatchLoader} has counted, for a checkpoint; see {@link BatchLoader#state}.
 *
 * @param firstStep the first batch that was counted
 * @param read bit set of the samples read, as {@code BitSet.toByteArray} gives it
 * @param bad bit set of those that were bad
 * @param examples the first bad samples, as "sample: reason"
 * @param truncatedCaptions captions that were cut
 */
public record LoaderState(
    long firstStep, byte[] read, byte[] bad, List<String> examples, long truncatedCaptions) {
  /** Copies the list; the arrays are not shared with a loader. */
  public LoaderState {
    examples = List.copyOf(examples);
  }
}
