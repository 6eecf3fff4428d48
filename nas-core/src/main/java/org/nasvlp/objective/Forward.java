package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;

/** What an objective computes its loss from: the batch encoded, and the pairs it planned, fused. */
public final class Forward {
  private final FusionPlan plan;
  private final Tensor fused;
  private final Tensor matchLogits;

  /**
   * @param fused R x L x d of all the plan's pairs, in the plan's order
   * @param matchLogits of the first of them, those planned to be judged
   */
  Forward(FusionPlan plan, Tensor fused, Tensor matchLogits) {
    this.plan = plan;
    this.fused = fused;
    this.matchLogits = matchLogits;
  }

  /** What images and captions were encoded to. */
  public Features features() {
    return plan.features();
  }

  /**
   * Whether pairs match, with gradient.
   *
   * @param pairs planned with {@link FusionPlan#match}
   * @return n x 2 float32 logits, [mismatch, match]
   */
  public Tensor matchLogits(FusionPlan.Pairs pairs) {
    return pairs.of(matchLogits, plan, true);
  }

  /**
   * Fusion features of pairs, with gradient.
   *
   * @return n x L x d float32: the caption's tokens, having seen the image, the class token first;
   *     what stands at padding means nothing
   */
  public Tensor fused(FusionPlan.Pairs pairs) {
    // Captions of other ranks may be longer than this batch's.
    long length = features().captions().features().size(1);
    return pairs.of(fused, plan, false).narrow(1, 0, length);
  }
}
