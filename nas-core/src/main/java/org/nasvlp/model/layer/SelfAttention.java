package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;

/**
 * Attention of tokens to each other, with its output map; queries, keys, values are one product.
 */
final class SelfAttention {
  private final Heads heads;
  private final Linear queryKeyValue;
  private final Linear output;

  /**
   * @param scope of the attention
   * @param projections what the public weights call the part that holds query, key and value
   */
  SelfAttention(ParameterScope scope, String projections, Heads heads) {
    long d = heads.width();
    ParameterScope inner = scope.scope(projections);
    this.heads = heads;
    queryKeyValue =
        Linear.joined(
            inner,
            new Linear(inner.scope("query"), d, d),
            new Linear(inner.scope("key"), d, d),
            new Linear(inner.scope("value"), d, d));
    output = new Linear(scope.scope("output.dense"), d, d);
  }

  /**
   * What each token gathers of all.
   *
   * @param x B x T x d
   * @param mask of {@link Heads#mask}, or an empty one
   * @return B x T x d
   */
  Tensor apply(Tensor x, TensorOptional mask) {
    long d = heads.width();
    Tensor all = queryKeyValue.apply(x);
    return output.apply(
        heads.attend(all.narrow(2, 0, d), all.narrow(2, d, d), all.narrow(2, 2 * d, d), mask));
  }
}
