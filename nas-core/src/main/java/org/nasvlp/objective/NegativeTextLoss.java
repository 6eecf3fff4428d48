package org.nasvlp.objective;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;

/**
 * Negative Textual Augmentation (NTA; NAS, arXiv 2412.10029): the match head tells an image with
 * its caption from the image with the caption's hard negative, of one word or one swap. With P the
 * head's probability, over the captions that have one, {@code BALANCED} is
 *
 * <p>L = -½ [log P(match | V, T) + log P(mismatch | V, T⁻)],
 *
 * <p>{@code PAIRWISE} -log softmax over the two match logits, and {@code COMBINED} the mean of
 * both.
 */
public final class NegativeTextLoss implements Objective {
  private final NasConfig config;
  private FusionPlan.@Nullable Pairs positives;
  private FusionPlan.@Nullable Pairs negatives;

  /** Weight and form are the configuration's. */
  public NegativeTextLoss(NasConfig config) {
    this.config = config;
  }

  @Override
  public String name() {
    return "nta";
  }

  @Override
  public double weight(long step, long steps) {
    return config.nta().weightAt(step, steps);
  }

  @Override
  public void captions(CaptionPlan plan) {
    if (weight(plan.step(), plan.steps()) > 0) {
      plan.requestHardNegatives();
    }
  }

  @Override
  public void plan(FusionPlan plan) {
    boolean on = weight(plan.features().step(), plan.features().steps()) > 0;
    negatives = on ? plan.negativeCaptions() : null;
    positives = negatives == null ? null : plan.positives();
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    if (positives == null || negatives == null) {
      return null;
    }
    Tensor logits = forward.matchLogits(positives);
    return PairLoss.of(
        PairLoss.rows(logits, forward.features().captions().negativeRows()),
        forward.matchLogits(negatives),
        config.nta().loss());
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Tensor loss = loss(forward);
    int items = forward.features().captions().negativeRows().length;
    return List.of(loss == null ? LossPart.NONE : new LossPart(loss, items));
  }
}
