package org.nasvlp.objective;

import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;
import org.nasvlp.random.Draws;

/**
 * Masked visual modelling (MVM; SOHO, arXiv 2104.03135, section 3.3): in each image all tokens of
 * one code are masked, and the fusion class token of the caption and what is left tells which code
 * it was: the cross-entropy over the K codewords, whose logits are cosines ({@link
 * Network#codeLogits}).
 */
public final class MaskedVisualLoss implements Objective {
  private final NasConfig config;
  private final Network network;
  private final long seed;
  private long[] hidden = new long[0];
  private FusionPlan.@Nullable Pairs pairs;

  /** Weight and seed are the configuration's; the network has the head. */
  public MaskedVisualLoss(NasConfig config, Network network) {
    this.config = config;
    this.network = network;
    this.seed = Draws.MASKED_CODES.seed(config.training().seed());
  }

  @Override
  public String name() {
    return "mvm";
  }

  @Override
  public double weight(long step, long steps) {
    return config.objective().mvmWeight();
  }

  @Override
  public void plan(FusionPlan plan) {
    Features features = plan.features();
    int size = features.size();
    hidden =
        MaskedCodes.draw(
            features.codes().host(), seed, features.draw(), features.batch().sampleIds());
    Tensor codes = features.codes().tensor();
    Tensor masked =
        codes.to(torch.ScalarType.Long).eq(TorchDevice.of(codes).longs(hidden, size, 1));
    int from =
        plan.addImages(features.imageCls(), network.maskTokens(features.fusionTokens(), masked));
    pairs = plan.match(IntStream.range(from, from + size).toArray(), features.rows());
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    if (pairs == null) {
      return null;
    }
    Tensor cls = forward.cls(pairs);
    Tensor logits = network.codeLogits(cls, forward.features().dictionary().codewords());
    return torch.cross_entropy_loss(logits, TorchDevice.of(logits).longs(hidden, hidden.length));
  }
}
