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
   * What each token gathers of its sequence.
   *
   * @param x T x d
   * @return T x d
   */
  Tensor apply(Tensor x, Packing packing) {
    Tensor all = packing.unpack(queryKeyValue.apply(x));
    return output.apply(packing.packOwn(gathered(all, packing.mask())));
  }

  /**
   * What the first token of each sequence gathers of it.
   *
   * @param x T x d
   * @return R x d
   */
  Tensor applyToFirst(Tensor x, Packing packing) {
    long d = heads.width();
    Tensor query = queryKeyValue.applyPart(packing.firstOf(x), 0, d).unsqueeze(1);
    Tensor rest = packing.unpack(queryKeyValue.applyPart(x, d, 2 * d));
    return output.apply(
        heads.attend(query, rest.narrow(2, 0, d), rest.narrow(2, d, d), packing.mask()).squeeze(1));
  }

  /**
   * What each token gathers of its row, without padding.
   *
   * @param x B x T x d
   * @return B x T x d
   */
  Tensor apply(Tensor x) {
    return output.apply(gathered(queryKeyValue.apply(x), new TensorOptional()));
  }

  private Tensor gathered(Tensor all, TensorOptional mask) {
    long d = heads.width();
    return heads.attend(all.narrow(2, 0, d), all.narrow(2, d, d), all.narrow(2, 2 * d, d), mask);
  }
}
