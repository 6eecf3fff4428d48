package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;

/** What an objective computes its loss from: the batch encoded, and the pairs it planned, fused. */
public final class Forward {
  private final FusionPlan plan;
  private final Tensor cls;
  private final Tensor matchLogits;
  private final Tensor fused;

  /**
   * @param cls J x d class tokens of the pairs planned to be judged, in the plan's order
   * @param matchLogits J x 2 of them
   * @param fused R x L x d of the plan's other pairs
   */
  Forward(FusionPlan plan, Tensor cls, Tensor matchLogits, Tensor fused) {
    this.plan = plan;
    this.cls = cls;
    this.matchLogits = matchLogits;
    this.fused = fused;
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
    if (!pairs.isJudged()) {
      throw new IllegalStateException(
          "match logits of pairs that were planned with fuse(): plan them with match()");
    }
    return pairs.of(matchLogits, plan);
  }

  /**
   * Fusion features of pairs' class tokens, with gradient.
   *
   * @param pairs however they were planned
   * @return n x d float32
   */
  public Tensor cls(FusionPlan.Pairs pairs) {
    return pairs.isJudged() ? pairs.of(cls, plan) : pairs.of(fused, plan).select(1, 0);
  }

  /**
   * Fusion features of pairs, with gradient.
   *
   * @param pairs planned with {@link FusionPlan#fuse}
   * @return n x L x d float32: the caption's tokens, having seen the image, the class token first;
   *     what stands at padding means nothing
   */
  public Tensor fused(FusionPlan.Pairs pairs) {
    if (pairs.isJudged()) {
      throw new IllegalStateException(
          "fusion features of all tokens of pairs that were planned with match(): plan them with"
              + " fuse(), or take cls()");
    }
    // Captions of other ranks may be longer than this batch's.
    long length = features().captions().features().size(1);
    return pairs.of(fused, plan).narrow(1, 0, length);
  }
}
