package org.nasvlp.train;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Layer-wise learning rates: what is nearer to the input is more general, and moves less. The rule
 * is ELECTRA's (Clark et al., arXiv 2003.10555, appendix B) with the depths of BEiT (Bao et al.,
 * arXiv 2106.08254): in an encoder of n layers
 *
 * <p>rate(l) = base · decay^(n + 1 - l),
 *
 * <p>l = 0 for embeddings (the stem, positions, class token, words, and the norm of the patch
 * tokens that enter the fusion encoder), 1 to n for its layers, and n + 1 for all else: the last
 * norm of the image encoder, projections, heads and the temperature, which have the base rate. Each
 * of the three encoders is counted by itself.
 */
final class LayerRates {
  private static final Pattern LAYER = Pattern.compile("(\\w+)\\.encoder\\.layer\\.(\\d+)\\..*");
  private static final Pattern INPUT = Pattern.compile("(\\w+)\\.(embeddings|visual_norm)\\..*");

  private final double decay;
  private final Map<String, Integer> layers = new HashMap<>();

  /**
   * @param decay above 0, at most 1
   * @param names of all parameters, which tell how many layers an encoder has
   */
  LayerRates(double decay, Collection<String> names) {
    this.decay = decay;
    for (String name : names) {
      Matcher layer = LAYER.matcher(name);
      if (layer.matches()) {
        layers.merge(layer.group(1), Integer.parseInt(layer.group(2)) + 1, Math::max);
      }
    }
  }

  /** What the learning rate of a parameter is multiplied by. */
  double of(String name) {
    Matcher layer = LAYER.matcher(name);
    if (layer.matches()) {
      return Math.pow(
          decay, layers.get(layer.group(1)) - (double) Integer.parseInt(layer.group(2)));
    }
    Matcher input = INPUT.matcher(name);
    return input.matches() && layers.containsKey(input.group(1))
        ? Math.pow(decay, layers.get(input.group(1)) + 1.0)
        : 1;
  }
}
