package org.nasvlp.data.source;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What {@link DatasetCheck} finds in a data set.
 *
 * @param pairs all pairs, bad ones included
 * @param bad pairs that cannot be used
 * @param badByReason how many of them by reason, numbers in it aside, most frequent first
 * @param firstBad the first of them, as {@code sample: reason}
 * @param images distinct image ids of usable pairs
 * @param width of the images, in pixels
 * @param height of the images, in pixels
 * @param words of the captions, parted by spaces
 * @param tokens of the captions, special ones included, before truncation; null without a tokenizer
 * @param truncated captions with more tokens than the tokenizer's limit; 0 without a tokenizer
 * @param repeatedCaptions pairs whose caption, normalised, an earlier pair has too
 * @param sharedCaptions of those, pairs whose earlier one shows another image id: likely false
 *     negatives, as each counts as wrong for the other's image
 * @param repeatedImages image ids whose pixels an earlier image id shows too
 */
public record DatasetReport(
    long pairs,
    long bad,
    Map<String, Long> badByReason,
    List<String> firstBad,
    long images,
    Spread width,
    Spread height,
    Spread words,
    @Nullable Spread tokens,
    long truncated,
    long repeatedCaptions,
    long sharedCaptions,
    long repeatedImages) {

  /** Copies what it is given. */
  public DatasetReport {
    badByReason = Collections.unmodifiableMap(new LinkedHashMap<>(badByReason));
    firstBad = List.copyOf(firstBad);
  }

  /**
   * How values lie; all 0 where there are none.
   *
   * @param median the lower of the two in the middle of an even number
   */
  public record Spread(int least, int median, int most) {}
}
