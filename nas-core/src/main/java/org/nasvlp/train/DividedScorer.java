package org.nasvlp.train;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * Scores a part of the combinations on each rank, and gives all of them on every rank. A call is a
 * collective: all ranks ask for the same.
 *
 * @param scorer of the model, which is the same on all ranks
 * @param ranks among whom the work is divided
 */
record DividedScorer(ImageTextScorer scorer, Ranks ranks) implements ImageTextScorer {
  @Override
  public double[] score(
      List<RgbImage> images, List<String> captions, int[] imageIndex, int[] captionIndex) {
    int all = imageIndex.length;
    int from = bound(all, ranks.rank());
    int to = bound(all, ranks.rank() + 1);
    int most = Math.ceilDiv(all, ranks.size());
    double[] own = new double[most];
    if (to > from) {
      int[] imageOf = Arrays.copyOfRange(imageIndex, from, to);
      int[] captionOf = Arrays.copyOfRange(captionIndex, from, to);
      int[] usedImages = IntStream.of(imageOf).sorted().distinct().toArray();
      int[] usedCaptions = IntStream.of(captionOf).sorted().distinct().toArray();
      double[] scores =
          scorer.score(
              IntStream.of(usedImages).mapToObj(images::get).toList(),
              IntStream.of(usedCaptions).mapToObj(captions::get).toList(),
              IntStream.of(imageOf).map(i -> Arrays.binarySearch(usedImages, i)).toArray(),
              IntStream.of(captionOf).map(i -> Arrays.binarySearch(usedCaptions, i)).toArray());
      System.arraycopy(scores, 0, own, 0, scores.length);
    }
    double[][] byRank = ranks.gatherByRank(own);
    double[] scores = new double[all];
    for (int rank = 0; rank < byRank.length; rank++) {
      int begin = bound(all, rank);
      System.arraycopy(byRank[rank], 0, scores, begin, bound(all, rank + 1) - begin);
    }
    return scores;
  }

  private int bound(int all, int rank) {
    return (int) ((long) all * rank / ranks.size());
  }
}
