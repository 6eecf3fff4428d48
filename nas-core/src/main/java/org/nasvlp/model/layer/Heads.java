package org.nasvlp.model.layer;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * Scaled dot-product attention in several heads (Vaswani et al., arXiv 1706.03762).
 *
 * @param count heads
 * @param width d, a multiple of them
 */
record Heads(long count, long width) {
  /**
   * What each token of the query gathers of the values.
   *
   * @param query B x T x d
   * @param key B x S x d
   * @param value B x S x d
   * @param mask what {@link #mask} made, or an empty one
   * @return B x T x d, contiguous
   */
  Tensor attend(Tensor query, Tensor key, Tensor value, TensorOptional mask) {
    Tensor attended =
        torch.scaled_dot_product_attention(
            split(query), split(key), split(value), mask, 0.0, false, new DoubleOptional(), false);
    return attended.transpose(1, 2).contiguous().view(query.size(0), query.size(1), width);
  }

  /** B x T x d to B x heads x T x d/heads. */
  private Tensor split(Tensor x) {
    return x.view(x.size(0), x.size(1), count, width / count).transpose(1, 2);
  }

  /**
   * @param attentionMask B x S booleans, false at padding
   */
  static TensorOptional mask(Tensor attentionMask) {
    return new TensorOptional(attentionMask.unsqueeze(1).unsqueeze(1));
  }
}
