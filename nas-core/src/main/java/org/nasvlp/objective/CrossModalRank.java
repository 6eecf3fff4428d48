package org.nasvlp.objective;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.TorchDevice;

/**
 * An image's own caption is to be ahead of its hard negative by a margin that grows with what the
 * model can already do: the cross-modal rank loss of CE-CLIP (Zhang et al., arXiv 2306.08832). Over
 * the captions that have a hard negative, with s = cos / τ,
 *
 * <p>L = mean max(0, Θ + s(V, T⁻) - s(V, T)),
 *
 * <p>Θ the mean of s(V, T) - s(V, T⁻) over the batch before, between 0 and a greatest margin; 0 at
 * first and where a run is resumed. Of several ranks each goes by its own pairs.
 */
public final class CrossModalRank implements Objective {
  private final double weight;
  private final double greatestMargin;
  private double margin;
  private double next;

  /**
   * @param weight of the loss in the sum (CE-CLIP: 0.2)
   * @param greatestMargin which Θ does not pass, in logits (CE-CLIP: 10)
   * @throws IllegalArgumentException if one of them is negative or not finite
   */
  public CrossModalRank(double weight, double greatestMargin) {
    if (!(weight >= 0 && greatestMargin >= 0)
        || !Double.isFinite(weight)
        || !Double.isFinite(greatestMargin)) {
      throw new IllegalArgumentException(
          "weight is %s and the greatest margin %s: both must be finite and at least 0"
              .formatted(weight, greatestMargin));
    }
    this.weight = weight;
    this.greatestMargin = greatestMargin;
  }

  @Override
  public String name() {
    return "rank";
  }

  @Override
  public double weight(long step, long steps) {
    return weight;
  }

  @Override
  public void captions(CaptionPlan plan) {
    plan.requestHardNegatives();
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    Features features = forward.features();
    Tensor negatives = features.negativeEmbeddings();
    if (negatives == null) {
      next = margin;
      return null;
    }
    Tensor rows = TorchDevice.of(negatives).index(features.captions().negativeRows());
    Tensor captions = features.textEmbeddings().index_select(0, rows);
    Tensor ahead =
        captions
            .sub(negatives)
            .mul(features.imageEmbeddings().index_select(0, rows))
            .sum(1L)
            .div(features.temperature());
    next = Math.clamp(ahead.detach().mean().item_double(), 0, greatestMargin);
    return torch.clamp_min(ahead.neg().add(new Scalar(margin)), new Scalar(0)).mean();
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Tensor loss = loss(forward);
    int items = forward.features().captions().negativeRows().length;
    return List.of(loss == null ? LossPart.NONE : new LossPart(loss, items));
  }

  @Override
  public void update(Features features) {
    margin = next;
  }
}
