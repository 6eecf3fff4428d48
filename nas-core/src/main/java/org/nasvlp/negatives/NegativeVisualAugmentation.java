package org.nasvlp.negatives;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.TokenSwap;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): makes hard negative images by swapping the
 * codes of those patch tokens that matter most to the caption and to the image.
 *
 * <p>Immutable; may be used from several threads.
 */
public final class NegativeVisualAugmentation {
  private final NvaConfig config;
  private final FusionInput mode;
  private final long seed;

  /**
   * @param config how tokens are chosen and replaced
   * @param mode whether tokens are codewords or carry a residual
   * @param seed of the substitutes' draws
   */
  public NegativeVisualAugmentation(NvaConfig config, FusionInput mode, long seed) {
    this.config = config;
    this.mode = mode;
    this.seed = seed;
  }

  /**
   * Hard negative images.
   *
   * @param tokens B x N x d: the positive's tokens at positions without a substitute, bit for bit,
   *     without gradient
   * @param swapped B x N x 1 booleans, true where a token was replaced
   * @param count how many tokens were replaced in all
   */
  public record HardNegativeImages(Tensor tokens, Tensor swapped, int count) {}

  /** How many of N tokens are chosen: the ratio of N, rounded up. */
  public int chosen(int tokens) {
    return Math.max(1, Math.min(tokens, (int) Math.ceil(config.ratio() * tokens - 1e-9)));
  }

  /**
   * Swaps tokens.
   *
   * @param dictionary the codebook with its neighbour lists
   * @param tokens B x N x d float32 patch tokens as the fusion encoder takes them
   * @param codes B x N int32 codes
   * @param imageSimilarity B x N float32 cosines of the tokens to their image's class token
   * @param textSimilarity B x N float32 cosines of the tokens to the caption's class token
   * @param sampleIds B ids that randomness depends on
   * @param step of the run
   */
  public HardNegativeImages swap(
      VisualDictionary dictionary,
      Tensor tokens,
      Tensor codes,
      Tensor imageSimilarity,
      Tensor textSimilarity,
      long[] sampleIds,
      int step) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      int batch = (int) tokens.size(0);
      int count = (int) tokens.size(1);
      int chosen = chosen(count);
      Tensor source = tokens.detach().contiguous();
      Tensor ids = Torch.longs(sampleIds, batch);
      Tensor positions = Torch.empty(torch.ScalarType.Int, batch, chosen);
      Tensor substitutes = Torch.empty(torch.ScalarType.Int, batch, chosen);
      Tensor out = Torch.empty(torch.ScalarType.Float, batch, count, tokens.size(2));
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
                  step,
                  mode == FusionInput.QUANTISED
                      ? TokenSwap.Mode.QUANTISED
                      : TokenSwap.Mode.RESIDUAL),
              Torch.segment(textSimilarity.detach().contiguous()),
              Torch.segment(imageSimilarity.detach().contiguous()),
              Torch.segment(source),
              Torch.segment(codes),
              Torch.segment(dictionary.neighbours()),
              Torch.segment(ids),
              Torch.segment(positions),
              Torch.segment(substitutes),
              Torch.segment(out),
              0L);
      Tensor mask = Torch.empty(torch.ScalarType.Byte, batch, count, 1).fill_(new Scalar(0));
      MemorySegment maskBytes = Torch.segment(mask);
      MemorySegment position = Torch.segment(positions);
      MemorySegment substitute = Torch.segment(substitutes);
      int swapped = 0;
      for (int b = 0; b < batch; b++) {
        for (int m = 0; m < chosen; m++) {
          long at = (long) b * chosen + m;
          if (substitute.getAtIndex(ValueLayout.JAVA_INT, at) >= 0) {
            int token = position.getAtIndex(ValueLayout.JAVA_INT, at);
            maskBytes.set(ValueLayout.JAVA_BYTE, (long) b * count + token, (byte) 1);
            swapped++;
          }
        }
      }
      return new HardNegativeImages(out, mask.to(torch.ScalarType.Bool), swapped);
    }
  }
}
