package org.nasvlp.objective;

import java.util.Arrays;
import org.nasvlp.random.Draws;

/**
 * The codes that masked visual modelling hides (SOHO, arXiv 2104.03135, section 3.3): one code an
 * image, at all of its positions, since another token of the same code would give it away.
 */
public final class MaskedCodes {
  private MaskedCodes() {}

  /**
   * Draws a code of each image, uniformly among those present in it. A draw depends on seed, step
   * and sample alone.
   *
   * @param codes B x N codes of the images
   * @param samples B ids of the samples
   * @return B codes
   */
  public static long[] draw(int[] codes, long seed, int step, long[] samples) {
    int count = codes.length / samples.length;
    long[] hidden = new long[samples.length];
    for (int b = 0; b < samples.length; b++) {
      int[] present =
          Arrays.stream(codes, b * count, (b + 1) * count).sorted().distinct().toArray();
      hidden[b] = present[Draws.uniform(Draws.draw(seed, step, samples[b], 0), present.length)];
    }
    return hidden;
  }
}
