package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;

/** A layer of a ViT (Dosovitskiy et al., arXiv 2010.11929): norms before what they feed. */
public final class VitBlock {
  private final SelfAttention attention;
  private final FeedForward feedForward;
  private final LayerNorm before;
  private final LayerNorm after;

  /**
   * @param scope of the layer
   * @param width d
   * @param heads a divisor of d
   * @param epsilon of the norms
   */
  public VitBlock(ParameterScope scope, int width, int heads, double epsilon) {
    attention = new SelfAttention(scope.scope("attention"), "attention", new Heads(heads, width));
    feedForward = new FeedForward(scope, width);
    before = new LayerNorm(scope.scope("layernorm_before"), width, epsilon);
    after = new LayerNorm(scope.scope("layernorm_after"), width, epsilon);
  }

  /** B x T x d to the same. */
  public Tensor apply(Tensor x) {
    Tensor between = x.add(attention.apply(before.apply(x)));
    return between.add(feedForward.apply(after.apply(between)));
  }
}
