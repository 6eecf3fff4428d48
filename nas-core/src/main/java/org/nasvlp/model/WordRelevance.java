package org.nasvlp.model;

import java.util.Arrays;
import java.util.List;

/**
 * Where a model looks in a picture for each word of a caption.
 *
 * @param words of the caption, as {@link org.nasvlp.data.text.CaptionTokenizer#normalize} leaves
 *     them
 * @param patches per word N values of 0 or more, row by row in the patch grid: how much what the
 *     word sees of each patch speaks for a match of picture and caption. Values of all words of a
 *     caption may be held against each other; those of different captions may not
 * @param match how probably the caption matches the picture, by the match head: 0 to 1
 */
public record WordRelevance(List<String> words, float[][] patches, double match) {
  /** Copies the list and the values. */
  public WordRelevance {
    words = List.copyOf(words);
    patches = Arrays.stream(patches).map(float[]::clone).toArray(float[][]::new);
    if (words.size() != patches.length) {
      throw new IllegalArgumentException(
          words.size() + " words and " + patches.length + " rows of patches");
    }
  }

  /**
   * Each word's part of the relevance of all of them.
   *
   * @return per word 0 to 1, of sum 1; all 0 where nothing speaks for a match
   */
  public double[] shares() {
    double[] sums = new double[patches.length];
    for (int word = 0; word < sums.length; word++) {
      for (float value : patches[word]) {
        sums[word] += value;
      }
    }
    double all = Arrays.stream(sums).sum();
    return all == 0 ? sums : Arrays.stream(sums).map(sum -> sum / all).toArray();
  }
}
