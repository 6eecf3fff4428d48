package org.nasvlp.negatives;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;

/**
 * Negative Visual Augmentation (NAS, arXiv 2412.10029): makes hard negative images by swapping
 * patch tokens through the Visual Dictionary. Three rules, each the kernels' own (see {@link
 * org.nasvlp.kernels.Codebook#swap}), make a swap: <i>which</i> tokens ({@link NvaConfig.Choose}),
 * <i>what</i> comes in their place ({@link NvaConfig.Substitute}), and what is <i>written</i> there
 * ({@link NvaConfig.Donor}).
 *
 * <p>Work is enqueued on LibTorch's stream; {@link VisualDictionary#check} tells of bad input.
 * Immutable; may be used from several threads, a dictionary from one.
 */
public final class NegativeVisualAugmentation {
  private final NvaConfig config;
  private final FusionInput mode;
  private final long seed;

  /**
   * @param config how tokens are chosen and replaced
   * @param mode whether tokens are codewords or carry a residual
   * @param seed of the draws
   */
  public NegativeVisualAugmentation(NvaConfig config, FusionInput mode, long seed) {
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
   * @param evidence for what codes speak in each image; null where no rule goes by evidence
   * @param sampleIds B ids that randomness depends on
   * @param step that randomness depends on
   */
  public record Images(
      Tensor tokens,
      Tensor codes,
      Tensor imageSimilarity,
      Tensor textSimilarity,
      WordCodes.@Nullable Evidence evidence,
      long[] sampleIds,
      int step) {}

  /**
   * Swapped images, on their device.
   *
   * @param tokens B x N x d: the positive's tokens at positions without a substitute, bit for bit;
   *     without gradient
   * @param swapped B x N x 1 booleans, true where a token was replaced
   * @param scores B x N float64: what the tokens were chosen by
   * @param positions B x M int32: the chosen positions, best first, -1 where fewer were chosen
   * @param substitutes B x M int32: the codes put there, -1 where a token stayed
   */
  public record HardNegativeImages(
      Tensor tokens, Tensor swapped, Tensor scores, Tensor positions, Tensor substitutes) {

    /** The images in which a token was replaced, ascending. Waits for the device. */
    public int[] rows() {
      try (PointerScope scope = new PointerScope()) {
        Tensor any = Torch.host(swapped.flatten(1, 2).any(1).to(torch.ScalarType.Byte));
        byte[] flags = Torch.segment(any).toArray(ValueLayout.JAVA_BYTE);
        return IntStream.range(0, flags.length).filter(b -> flags[b] != 0).toArray();
      }
    }
  }

  /** How many of N tokens are chosen at most: the ratio of N, rounded up. */
  public int chosen(int tokens) {
    return Math.max(1, Math.min(tokens, (int) Math.ceil(config.ratio() * tokens - 1e-9)));
  }

  /**
   * The hard negatives: images whose chosen tokens contradict the caption.
   *
   * @param dictionary with its neighbour lists
   */
  public HardNegativeImages negatives(VisualDictionary dictionary, Images images) {
    return swap(
        dictionary,
        images,
        rule(config.choose()),
        switch (config.substitute()) {
          case DRAW -> TokenSwap.Substitute.DRAW;
          case EVIDENCE -> TokenSwap.Substitute.MOST_EVIDENCE;
        },
        false);
  }

  /**
   * Images with as many tokens swapped that still fit their captions, so that a swap alone tells
   * nothing ({@link NvaConfig.Control}); null where the configuration asks for none.
   *
   * <p>{@code MATCHED}: the same positions of the same images, each code replaced by that one of
   * its neighbours that speaks most for the word taken out. {@code IRRELEVANT}: the least relevant
   * tokens, for neighbours drawn at random.
   */
  public @Nullable HardNegativeImages controls(VisualDictionary dictionary, Images images) {
    return switch (config.control()) {
      case NONE, CROSSED -> null;
      case IRRELEVANT ->
          swap(dictionary, images, TokenSwap.Choose.RELEVANCE, TokenSwap.Substitute.DRAW, true);
      case MATCHED ->
          swap(
              dictionary,
              images,
              rule(config.choose()),
              TokenSwap.Substitute.LEAST_EVIDENCE,
              false);
    };
  }

  private static TokenSwap.Choose rule(NvaConfig.Choose choose) {
    return switch (choose) {
      case RELEVANCE -> TokenSwap.Choose.RELEVANCE;
      case GAIN -> TokenSwap.Choose.GAIN;
    };
  }

  /** One swap; {@code least}: of the least relevant tokens rather than the most. */
  private HardNegativeImages swap(
      VisualDictionary dictionary,
      Images images,
      TokenSwap.Choose choose,
      TokenSwap.Substitute substitute,
      boolean least) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor tokens = images.tokens().detach().contiguous();
      int batch = (int) tokens.size(0);
      int count = (int) tokens.size(1);
      int chosen = chosen(count);
      TorchDevice device = TorchDevice.of(tokens);
      TokenSwap swap =
          TokenSwap.builder(batch, count, chosen, dictionary.neighbourCount())
              .choose(choose)
              .substitute(substitute)
              .write(
                  switch (mode) {
                    case QUANTIZED -> TokenSwap.Write.CODEWORD;
                    case RESIDUAL -> TokenSwap.Write.RESIDUAL;
                  })
              .donors(config.donor() == NvaConfig.Donor.TOKEN)
              .textWeight(config.textWeight())
              .draws(seed, images.step())
              .build();
      SwapInput in =
          SwapInput.of(
              device.memory(tokens),
              device.memory(images.codes()),
              device.memory(dictionary.neighbours()));
      if (swap.choose() == TokenSwap.Choose.RELEVANCE) {
        in =
            in.withSimilarities(
                device.memory(similarity(images.textSimilarity(), least)),
                device.memory(similarity(images.imageSimilarity(), least)));
      }
      WordCodes.Evidence evidence = images.evidence();
      if (swap.byEvidence() && evidence != null) {
        MemorySegment rows =
            evidence.rows() == 0
                ? null
                : device.memory(
                    device.doubles(evidence.values(), evidence.rows(), dictionary.size()));
        in =
            in.withEvidence(
                rows, evidence.rows(), device.memory(device.ints(evidence.of(), batch)));
      }
      if (swap.byDraws()) {
        in = in.withSampleIds(device.memory(device.longs(images.sampleIds(), batch)));
      }
      HardNegativeImages out =
          new HardNegativeImages(
              device.empty(torch.ScalarType.Float, batch, count, tokens.size(2)),
              device.empty(torch.ScalarType.Bool, batch, count, 1),
              device.empty(torch.ScalarType.Double, batch, count),
              device.empty(torch.ScalarType.Int, batch, chosen),
              device.empty(torch.ScalarType.Int, batch, chosen));
      dictionary.enqueueSwap(
          swap,
          in,
          SwapOutput.of(
                  device.memory(out.positions()),
                  device.memory(out.substitutes()),
                  device.memory(out.tokens()))
              .withScores(device.memory(out.scores()))
              .withMask(device.memory(out.swapped())));
      return out;
    }
  }

  private static Tensor similarity(Tensor similarity, boolean least) {
    Tensor given = similarity.detach();
    return (least ? given.neg() : given).contiguous();
  }
}
