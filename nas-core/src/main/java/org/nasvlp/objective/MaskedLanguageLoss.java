package org.nasvlp.objective;

import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;
import org.nasvlp.random.Draws;

/**
 * Masked language modelling (MLM; BERT, arXiv 1810.04805; ALBEF, arXiv 2107.07651, section 3.2):
 * from the image and the masked caption, which tokens stood at the masked positions. Over those
 * positions, with p what the head says, t the true tokens and q what the momentum encoders say,
 *
 * <p>L = (1 - alpha) · H(t, p) + alpha · H(q, p).
 *
 * <p>Of a share {@code nta.maskShare} of the captions that have a hard negative the words that it
 * changes are masked: which of two things is on the left, what color it has, how many there are.
 */
public final class MaskedLanguageLoss implements Objective {
  private final NasConfig config;
  private final Network network;
  private final CaptionTokenizer tokenizer;
  private final long seed;
  private FusionPlan.@Nullable Pairs pairs;

  /** Weight, share of masked tokens and seed are the configuration's. */
  public MaskedLanguageLoss(NasConfig config, Network network, CaptionTokenizer tokenizer) {
    this.config = config;
    this.network = network;
    this.tokenizer = tokenizer;
    this.seed = Draws.MASKING.seed(config.training().seed());
  }

  @Override
  public String name() {
    return "mlm";
  }

  @Override
  public double weight(long step, long steps) {
    return config.objective().mlmWeight();
  }

  @Override
  public void captions(CaptionPlan plan) {
    double editShare = config.nta().enabled() ? config.nta().maskShare() : 0;
    if (editShare > 0) {
      plan.requestHardNegatives();
    }
    plan.mask(
        negatives ->
            MaskedCaptions.mask(
                plan.batch().tokens(),
                tokenizer,
                config.objective().maskRatio(),
                editShare,
                negatives,
                seed,
                plan.draw(),
                plan.batch().sampleIds()));
  }

  @Override
  public void plan(FusionPlan plan) {
    pairs = null;
    EncodedCaptions captions = plan.features().captions();
    if (captions.masked() != null) {
      int from = captions.maskedFrom();
      pairs =
          plan.fuse(
              plan.features().rows(), IntStream.range(from, from + captions.size()).toArray());
    }
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    EncodedCaptions captions = forward.features().captions();
    MaskedCaptions masked = captions.masked();
    if (pairs == null || masked == null) {
      return null;
    }
    Tensor logits = network.maskedLogits(captions.atMasked(forward.fused(pairs)));
    Tensor targets = TorchDevice.of(logits).longs(masked.targets(), masked.targets().length);
    Tensor hard = torch.cross_entropy_loss(logits, targets);
    MomentumFeatures momentum = forward.features().momentum();
    if (momentum == null || momentum.maskedLogits() == null) {
      return hard;
    }
    double alpha = momentum.softTargets();
    return hard.mul(new Scalar(1 - alpha))
        .add(
            Contrast.softCrossEntropy(logits, torch.softmax(momentum.maskedLogits(), 1))
                .mul(new Scalar(alpha)));
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Tensor loss = loss(forward);
    MaskedCaptions masked = forward.features().captions().masked();
    return List.of(
        loss == null || masked == null
            ? LossPart.NONE
            : new LossPart(loss, masked.targets().length));
  }
}
