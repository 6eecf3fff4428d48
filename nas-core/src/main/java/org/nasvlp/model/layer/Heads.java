package org.nasvlp.model.layer;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
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
    return joined(attended);
  }

  /**
   * What each token of the query attends to, as {@link #attend} without a mask weighs it.
   *
   * @param query B x T x d
   * @param key B x S x d
   * @return B x heads x T x S, each row of sum 1
   */
  Tensor weights(Tensor query, Tensor key) {
    Scalar scale = new Scalar(1 / Math.sqrt((double) width / count));
    return torch.softmax(split(query).matmul(split(key).transpose(2, 3)).mul(scale), -1);
  }

  /**
   * What is gathered by such weights.
   *
   * @param value B x S x d
   * @return B x T x d, contiguous
   */
  Tensor gather(Tensor weights, Tensor value) {
    return joined(weights.matmul(split(value)));
  }

  /** B x heads x T x d/heads to B x T x d. */
  private Tensor joined(Tensor x) {
    return x.transpose(1, 2).contiguous().view(x.size(0), x.size(2), width);
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
