package org.nasvlp.negatives;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.TokenSwap;
import org.nasvlp.random.Draws;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): makes hard negative images by swapping the
 * codes of those patch tokens that matter most to the caption and to the image.
 *
 * <p>Immutable; may be used from several threads.
 */
public final class NegativeVisualAugmentation {
  /** Coordinate of the draws that choose donors, which no token's position reaches. */
  private static final int DONOR_DRAW = 1 << 24;

  private final NvaConfig config;
  private final FusionInput mode;
  private final long seed;

  /**
   * @param config how tokens are chosen and replaced
   * @param mode whether tokens are codewords or carry a residual
   * @param seed of the draws
   * @throws IllegalArgumentException if tokens are chosen by gain and substitutes drawn, or tokens
   *     chosen by relevance and substitutes by evidence
   */
  public NegativeVisualAugmentation(NvaConfig config, FusionInput mode, long seed) {
    if ((config.choose() == NvaConfig.Choose.GAIN)
        != (config.substitute() == NvaConfig.Substitute.EVIDENCE)) {
      throw new IllegalArgumentException(
          "nva.choose is "
              + config.choose()
              + " and nva.substitute "
              + config.substitute()
              + ": they must be RELEVANCE and DRAW, or GAIN and EVIDENCE");
    }
    this.config = config;
    this.mode = mode;
    this.seed = seed;
  }

  /**
   * What images are made of and what their tokens are scored by.
   *
   * @param tokens B x N x d float32 patch tokens as the fusion encoder takes them
   * @param codes B x N int32 codes
   * @param imageSimilarity B x N float32 cosines of the tokens to their image's class token
   * @param textSimilarity B x N float32 cosines of the tokens to the caption's class token
   * @param sampleIds B ids that randomness depends on
   * @param step that randomness depends on
   */
  public record Images(
      Tensor tokens,
      Tensor codes,
      Tensor imageSimilarity,
      Tensor textSimilarity,
      long[] sampleIds,
      int step) {}

  /**
   * The one-word differences of hard negative captions, B of them; null where a caption has none.
   *
   * @param from the words taken out, in lower case
   * @param to the words put in, in lower case
   */
  public record WordEdits(@Nullable String[] from, @Nullable String[] to) {}

  /**
   * Hard negative images.
   *
   * @param tokens B x N x d: the positive's tokens at positions without a substitute, bit for bit,
   *     without gradient
   * @param swapped B x N x 1 booleans, true where a token was replaced
   * @param scores B x N: what the tokens were chosen by
   * @param positions B x M: the chosen positions, -1 where fewer were chosen
   * @param substitutes B x M: the codes put there, -1 where a token stayed
   * @param valid per image whether any token was replaced
   */
  public record HardNegativeImages(
      Tensor tokens,
      Tensor swapped,
      double[][] scores,
      int[][] positions,
      int[][] substitutes,
      boolean[] valid) {

    /** Images with a replaced token. */
    public int count() {
      int count = 0;
      for (boolean one : valid) {
        count += one ? 1 : 0;
      }
      return count;
    }
  }

  /** How many of N tokens are chosen at most: the ratio of N, rounded up. */
  public int chosen(int tokens) {
    return Math.max(1, Math.min(tokens, (int) Math.ceil(config.ratio() * tokens - 1e-9)));
  }

  /**
   * Swaps the most relevant tokens for neighbours drawn at random ({@link
   * NvaConfig.Substitute#DRAW}).
   *
   * @param dictionary the codebook with its neighbour lists
   */
  public HardNegativeImages swap(VisualDictionary dictionary, Images images) {
    return swap(dictionary, images, images.textSimilarity(), images.imageSimilarity());
  }

  /** Swaps the least relevant tokens, as many as {@link #swap} does. */
  public HardNegativeImages swapIrrelevant(VisualDictionary dictionary, Images images) {
    return swap(dictionary, images, images.textSimilarity().neg(), images.imageSimilarity().neg());
  }

  private HardNegativeImages swap(
      VisualDictionary dictionary, Images images, Tensor textScore, Tensor imageScore) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      Tensor tokens = images.tokens().detach().contiguous();
      int batch = (int) tokens.size(0);
      int count = (int) tokens.size(1);
      int chosen = chosen(count);
      TorchDevice device = TorchDevice.of(tokens);
      Tensor positions = device.empty(torch.ScalarType.Int, batch, chosen);
      Tensor substitutes = device.empty(torch.ScalarType.Int, batch, chosen);
      Tensor out = device.empty(torch.ScalarType.Float, batch, count, tokens.size(2));
      try (TorchDevice.Use use = device.use()) {
        dictionary
            .codebook()
            .swap(
                new TokenSwap(
                    batch,
                    count,
                    chosen,
                    dictionary.radius(),
                    config.textWeight(),
                    seed,
                    images.step(),
                    mode == FusionInput.QUANTIZED
                        ? TokenSwap.Mode.QUANTISED
                        : TokenSwap.Mode.RESIDUAL),
                device.memory(textScore.detach().contiguous()),
                device.memory(imageScore.detach().contiguous()),
                device.memory(tokens),
                device.memory(images.codes()),
                device.memory(dictionary.neighbours()),
                device.memory(device.longs(images.sampleIds(), batch)),
                device.memory(positions),
                device.memory(substitutes),
                device.memory(out),
                use.stream());
      }
      double[][] scores = new double[batch][count];
      float[] text = Torch.toFloats(textScore);
      float[] image = Torch.toFloats(imageScore);
      for (int b = 0; b < batch; b++) {
        addUnitRange(text, b * count, config.textWeight(), scores[b]);
        addUnitRange(image, b * count, 1 - config.textWeight(), scores[b]);
      }
      return finish(
          images,
          tokens,
          out,
          scores,
          rows(positions, batch, chosen),
          rows(substitutes, batch, chosen));
    }
  }

  private static void addUnitRange(float[] values, int from, double weight, double[] scores) {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < scores.length; i++) {
      low = Math.min(low, values[from + i]);
      high = Math.max(high, values[from + i]);
    }
    if (low < high) {
      for (int i = 0; i < scores.length; i++) {
        scores[i] += weight * ((values[from + i] - low) / (high - low));
      }
    }
  }

  private static int[][] rows(Tensor matrix, int rows, int columns) {
    int[] flat = Torch.toInts(matrix);
    int[][] out = new int[rows][];
    for (int i = 0; i < rows; i++) {
      out[i] = Arrays.copyOfRange(flat, i * columns, (i + 1) * columns);
    }
    return out;
  }

  /**
   * Swaps tokens towards the words of hard negative captions ({@link
   * NvaConfig.Substitute#EVIDENCE}). A code z at hand is replaced by that one of its R nearest live
   * codes whose evidence for the new word exceeds its own the most; the tokens that gain most are
   * swapped, ties to the lowest position. An image is left as it is if its codes would then still
   * speak for the old word.
   */
  public HardNegativeImages swapTowards(
      VisualDictionary dictionary, WordCodes words, Images images, WordEdits edits) {
    return swapByWords(dictionary, words, images, edits, false);
  }

  /**
   * The counterpart of {@link #swapTowards}: the same positions of the same images, each code
   * replaced by that one of its R nearest live codes that speaks most for the word that is taken
   * out, against the one put in. As many tokens are swapped, as near, in images that still fit
   * their captions.
   */
  public HardNegativeImages swapBack(
      VisualDictionary dictionary, WordCodes words, Images images, WordEdits edits) {
    return swapByWords(dictionary, words, images, edits, true);
  }

  private HardNegativeImages swapByWords(
      VisualDictionary dictionary, WordCodes words, Images images, WordEdits edits, boolean back) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      Tensor tokens = images.tokens().detach().contiguous();
      int batch = (int) tokens.size(0);
      int count = (int) tokens.size(1);
      int chosen = chosen(count);
      int[] codes = Torch.toInts(images.codes());
      int[] lists = Torch.toInts(dictionary.neighbours());
      int radius = dictionary.radius();
      int[][] positions = new int[batch][chosen];
      int[][] substitutes = new int[batch][chosen];
      double[][] gains = new double[batch][count];
      for (int b = 0; b < batch; b++) {
        Arrays.fill(positions[b], -1);
        Arrays.fill(substitutes[b], -1);
        String from = edits.from()[b];
        String to = edits.to()[b];
        if (from != null && to != null && words.knows(from) && words.knows(to)) {
          int[] own = Arrays.copyOfRange(codes, b * count, (b + 1) * count);
          double[] evidence = words.evidence(from, to);
          choose(own, evidence, lists, radius, gains[b], positions[b], substitutes[b]);
          if (back) {
            turnBack(own, evidence, lists, radius, positions[b], substitutes[b]);
          }
        }
      }
      Tensor out = tokens.clone();
      replace(dictionary, out, codes, positions, substitutes);
      return finish(images, tokens, out, gains, positions, substitutes);
    }
  }

  /** Puts the substitutes' codewords in the place of tokens, with their residuals if they stay. */
  private void replace(
      VisualDictionary dictionary,
      Tensor out,
      int[] codes,
      int[][] positions,
      int[][] substitutes) {
    int count = (int) out.size(1);
    int most = positions.length * positions[0].length;
    int[] at = new int[most];
    int[] put = new int[most];
    int[] own = new int[most];
    int swaps = 0;
    for (int b = 0; b < positions.length; b++) {
      for (int m = 0; m < positions[b].length; m++) {
        if (substitutes[b][m] >= 0) {
          at[swaps] = b * count + positions[b][m];
          put[swaps] = substitutes[b][m];
          own[swaps] = codes[at[swaps]];
          swaps++;
        }
      }
    }
    if (swaps == 0) {
      return;
    }
    TorchDevice device = TorchDevice.of(out);
    Tensor rows = device.index(Arrays.copyOf(at, swaps));
    Tensor tokens = out.view(-1, out.size(2));
    Tensor e = dictionary.codewords();
    Tensor replacement = e.index_select(0, device.index(Arrays.copyOf(put, swaps)));
    if (mode == FusionInput.RESIDUAL) {
      Tensor old = e.index_select(0, device.index(Arrays.copyOf(own, swaps)));
      replacement = tokens.index_select(0, rows).sub(old).add(replacement);
    }
    tokens.index_copy_(0, rows, replacement);
  }

  private static void choose(
      int[] codes,
      double[] evidence,
      int[] lists,
      int radius,
      double[] gain,
      int[] positions,
      int[] substitutes) {
    int[] best = new int[codes.length];
    double after = 0;
    for (int i = 0; i < codes.length; i++) {
      int z = codes[i];
      after += evidence[z];
      best[i] = most(z, evidence, 1, evidence[z], lists, radius);
      gain[i] = best[i] < 0 ? 0 : evidence[best[i]] - evidence[z];
    }
    Integer[] order = new Integer[codes.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Double.compare(gain[b], gain[a]));
    for (int m = 0; m < positions.length && best[order[m]] >= 0; m++) {
      positions[m] = order[m];
      substitutes[m] = best[order[m]];
      after += gain[order[m]];
    }
    if (after <= 0) {
      Arrays.fill(substitutes, -1);
    }
  }

  private static void turnBack(
      int[] codes, double[] evidence, int[] lists, int radius, int[] positions, int[] substitutes) {
    for (int m = 0; m < positions.length; m++) {
      if (substitutes[m] >= 0) {
        substitutes[m] =
            most(codes[positions[m]], evidence, -1, Double.NEGATIVE_INFINITY, lists, radius);
      }
    }
  }

  /**
   * The code near z of the greatest evidence times a sign, the nearest of equals, or -1 if none
   * exceeds a floor.
   */
  private static int most(
      int z, double[] evidence, int sign, double floor, int[] lists, int radius) {
    int best = -1;
    double most = floor;
    for (int r = 0; r < radius; r++) {
      int other = lists[z * radius + r];
      if (other >= 0 && sign * evidence[other] > most) {
        most = sign * evidence[other];
        best = other;
      }
    }
    return best;
  }

  /** Puts in donors where they are asked for, and gathers what was done. */
  private HardNegativeImages finish(
      Images images,
      Tensor tokens,
      Tensor out,
      double[][] scores,
      int[][] positions,
      int[][] substitutes) {
    int batch = positions.length;
    int count = (int) tokens.size(1);
    if (config.donor() == NvaConfig.Donor.TOKEN) {
      putDonors(images, tokens, out, positions, substitutes);
    }
    Tensor mask = Torch.empty(torch.ScalarType.Byte, batch, count, 1).fill_(new Scalar(0));
    var bytes = Torch.segment(mask);
    boolean[] valid = new boolean[batch];
    for (int b = 0; b < batch; b++) {
      for (int m = 0; m < positions[b].length; m++) {
        if (substitutes[b][m] >= 0) {
          bytes.set(ValueLayout.JAVA_BYTE, (long) b * count + positions[b][m], (byte) 1);
          valid[b] = true;
        }
      }
    }
    return new HardNegativeImages(
        out,
        TorchDevice.of(out).put(mask.to(torch.ScalarType.Bool)),
        scores,
        positions,
        substitutes,
        valid);
  }

  private void putDonors(
      Images images, Tensor tokens, Tensor out, int[][] positions, int[][] substitutes) {
    int count = (int) tokens.size(1);
    int[] codes = Torch.toInts(images.codes());
    Map<Integer, int[]> holders = new HashMap<>();
    for (int at = 0; at < codes.length; at++) {
      int[] known = holders.getOrDefault(codes[at], new int[0]);
      int[] more = Arrays.copyOf(known, known.length + 1);
      more[known.length] = at;
      holders.put(codes[at], more);
    }
    int[] at = new int[codes.length];
    int[] from = new int[codes.length];
    int swaps = 0;
    for (int b = 0; b < positions.length; b++) {
      for (int m = 0; m < positions[b].length; m++) {
        int[] donors = holders.get(substitutes[b][m]);
        if (substitutes[b][m] < 0 || donors == null) {
          continue;
        }
        int position = positions[b][m];
        long draw = Draws.draw(seed, images.step(), images.sampleIds()[b], DONOR_DRAW + position);
        at[swaps] = b * count + position;
        from[swaps] = donors[Draws.uniform(draw, donors.length)];
        swaps++;
      }
    }
    if (swaps > 0) {
      TorchDevice device = TorchDevice.of(out);
      long width = tokens.size(2);
      Tensor given =
          tokens.view(-1, width).index_select(0, device.index(Arrays.copyOf(from, swaps)));
      out.view(-1, width).index_copy_(0, device.index(Arrays.copyOf(at, swaps)), given);
    }
  }
}
