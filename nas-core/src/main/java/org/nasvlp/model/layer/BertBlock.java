package org.nasvlp.model.layer;

import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A layer of BERT (Devlin et al., arXiv 1810.04805): norms after what they sum; with attention to
 * another encoder between its two parts, or without.
 */
public final class BertBlock {
  private final SelfAttention attention;
  private final LayerNorm attentionNorm;
  private final @Nullable CrossAttention crossAttention;
  private final @Nullable LayerNorm crossAttentionNorm;
  private final FeedForward feedForward;
  private final LayerNorm outputNorm;

  /**
   * @param scope of the layer
   * @param width d
   * @param heads a divisor of d
   * @param epsilon of the norms
   * @param cross whether it attends to another encoder
   */
  public BertBlock(ParameterScope scope, int width, int heads, double epsilon, boolean cross) {
    Heads split = new Heads(heads, width);
    attention = new SelfAttention(scope.scope("attention"), "self", split);
    attentionNorm = new LayerNorm(scope.scope("attention.output.LayerNorm"), width, epsilon);
    crossAttention = cross ? new CrossAttention(scope.scope("crossattention"), split) : null;
    crossAttentionNorm =
        cross
            ? new LayerNorm(scope.scope("crossattention.output.LayerNorm"), width, epsilon)
            : null;
    feedForward = new FeedForward(scope, width);
    outputNorm = new LayerNorm(scope.scope("output.LayerNorm"), width, epsilon);
  }

  /**
   * Without cross-attention.
   *
   * @param x B x T x d
   * @param attentionMask B x T booleans, false at padding
   * @return B x T x d
   */
  public Tensor apply(Tensor x, Tensor attentionMask) {
    return feed(attend(x, attentionMask));
  }

  /**
   * With cross-attention.
   *
   * @param x B x T x d
   * @param attentionMask B x T booleans, false at padding
   * @param context of B rows
   * @return B x T x d
   */
  public Tensor apply(Tensor x, Tensor attentionMask, CrossAttention.Context context) {
    Tensor own = attend(x, attentionMask);
    Tensor seen = Objects.requireNonNull(crossAttention).apply(own, context);
    return feed(Objects.requireNonNull(crossAttentionNorm).apply(own.add(seen)));
  }

  private Tensor attend(Tensor x, Tensor attentionMask) {
    return attentionNorm.apply(x.add(attention.apply(x, Heads.mask(attentionMask))));
  }

  private Tensor feed(Tensor x) {
    return outputNorm.apply(x.add(feedForward.apply(x)));
  }

  /** What cross-attention needs of another encoder's tokens B x S x d. */
  public CrossAttention.Context context(Tensor tokens) {
    return Objects.requireNonNull(crossAttention).context(tokens);
  }
}
