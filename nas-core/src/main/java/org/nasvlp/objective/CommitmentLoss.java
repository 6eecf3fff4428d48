package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;

/**
 * Commitment of the encoder to its codewords (van den Oord et al., arXiv 1711.00937): the mean over
 * all elements of (v - sg(e_z))², v a patch token and e_z its codeword, which gets no gradient.
 */
public final class CommitmentLoss implements Objective {
  private final NasConfig config;

  /** The weight is the configuration's. */
  public CommitmentLoss(NasConfig config) {
    this.config = config;
  }

  @Override
  public String name() {
    return "commitment";
  }

  @Override
  public double weight(long step, long steps) {
    return config.dictionary().commitmentWeight();
  }

  @Override
  public Tensor loss(Forward forward) {
    Features features = forward.features();
    Tensor patches = features.patchTokens();
    Tensor codes = features.codes().tensor().reshape(-1).to(torch.ScalarType.Long);
    Tensor chosen =
        features.dictionary().codewords().index_select(0, codes).view(Torch.shape(patches));
    return patches.sub(chosen).square().mean();
  }
}
