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
   * The layer without cross-attention.
   *
   * @param x T x d packed tokens
   * @return T x d
   */
  public Tensor apply(Tensor x, Packing packing) {
    return feed(attend(x, packing));
  }

  /**
   * The layer's first part: self-attention, with its norm.
   *
   * @param x T x d packed tokens
   * @return T x d
   */
  public Tensor attend(Tensor x, Packing packing) {
    return attentionNorm.apply(x.add(attention.apply(x, packing)));
  }

  /**
   * {@link #attend} for the first token of each of R sequences alone: T x d to R x d. What it
   * gathers is from all of them.
   */
  public Tensor attendFirst(Tensor x, Packing packing) {
    return attentionNorm.apply(packing.firstOf(x).add(attention.applyToFirst(x, packing)));
  }

  /**
   * The layer's second part: cross-attention and feed-forward.
   *
   * @param attended T x d, of {@link #attend}
   * @param context of R rows, one a sequence
   * @return T x d
   */
  public Tensor see(Tensor attended, Packing packing, CrossAttention.Context context) {
    return see(attended, Objects.requireNonNull(crossAttention).apply(attended, packing, context));
  }

  /** What {@link #see} weighs the context by: T x d to R x heads x L x S. */
  public Tensor seeingWeights(Tensor attended, Packing packing, CrossAttention.Context context) {
    return Objects.requireNonNull(crossAttention).weights(attended, packing, context);
  }

  /** {@link #see} by given weights R x heads x L x S. */
  public Tensor seeBy(
      Tensor weights, Tensor attended, Packing packing, CrossAttention.Context context) {
    return see(attended, Objects.requireNonNull(crossAttention).applyBy(weights, packing, context));
  }

  /** {@link #see} for one token of each of R sequences: R x d to the same. */
  public Tensor seeFirst(Tensor attended, CrossAttention.Context context) {
    return see(attended, Objects.requireNonNull(crossAttention).applyToFirst(attended, context));
  }

  private Tensor see(Tensor attended, Tensor seen) {
    return feed(Objects.requireNonNull(crossAttentionNorm).apply(attended.add(seen)));
  }

  private Tensor feed(Tensor x) {
    return outputNorm.apply(x.add(feedForward.apply(x)));
  }

  /** What cross-attention needs of another encoder's tokens B x S x d. */
  public CrossAttention.Context context(Tensor tokens) {
    return Objects.requireNonNull(crossAttention).context(tokens);
  }
}
