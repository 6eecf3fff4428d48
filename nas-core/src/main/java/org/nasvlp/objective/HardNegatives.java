package org.nasvlp.objective;

import org.nasvlp.random.Draws;

/**
 * In-batch hard negatives for image-text matching, drawn with probability proportional to the
 * softmax of the contrastive similarity (ALBEF, arXiv 2107.07651, section 3.2).
 */
public final class HardNegatives {
  private HardNegatives() {}

  /**
   * For each row one column of another image, or -1 where the batch holds none.
   *
   * @param logits B x B similarities over temperature, row-major; finite
   * @param imageIds image ids of rows and columns
   * @param seed of the draws
   * @param step of the run
   * @param direction 0 to draw captions for images, 1 to draw images for captions
   * @param sampleIds ids that randomness depends on
   */
  public static int[] draw(
      float[] logits, long[] imageIds, long[] sampleIds, long seed, int step, int direction) {
    int batch = imageIds.length;
    int[] negatives = new int[batch];
    double[] weights = new double[batch];
    for (int i = 0; i < batch; i++) {
      double max = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < batch; j++) {
        if (imageIds[j] != imageIds[i]) {
          max = Math.max(max, logits[i * batch + j]);
        }
      }
      double total = 0;
      for (int j = 0; j < batch; j++) {
        weights[j] =
            imageIds[j] == imageIds[i] ? 0 : Math.exp((double) logits[i * batch + j] - max);
        total += weights[j];
      }
      negatives[i] = -1;
      double target = Draws.unit(Draws.draw(seed, step, sampleIds[i], direction)) * total;
      for (int j = 0; j < batch; j++) {
        if (weights[j] > 0) {
          negatives[i] = j;
          target -= weights[j];
          if (target < 0) {
            break;
          }
        }
      }
    }
    return negatives;
  }
}
