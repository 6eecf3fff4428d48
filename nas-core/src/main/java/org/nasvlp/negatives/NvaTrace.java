package org.nasvlp.negatives;

import java.util.List;

/**
 * How one hard negative image came about, and what the model made of it.
 *
 * @param key the sample's name in the data set
 * @param caption its caption
 * @param scores N: how relevant each patch token is ({@code RELEVANCE}), or how much swapping it
 *     gains for the new word ({@code GAIN})
 * @param swaps the tokens that were swapped, by falling score
 * @param matchBefore probability that the image matches the caption, before the swap
 * @param matchAfter the same after it
 */
public record NvaTrace(
    String key,
    String caption,
    double[] scores,
    List<Swap> swaps,
    double matchBefore,
    double matchAfter) {

  /**
   * One swapped token.
   *
   * @param position of the token, row by row in the patch grid
   * @param code its code before
   * @param substitute its code after
   */
  public record Swap(int position, int code, int substitute) {}
}
