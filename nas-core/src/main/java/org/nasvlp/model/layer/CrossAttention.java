package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;

/**
 * Attention of tokens to those of another encoder, with its output map. Keys and values are
 * computed apart, once however often they are attended to.
 */
public final class CrossAttention {
  private final Heads heads;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear output;

  /**
   * Keys and values.
   *
   * @param keys B x S x d
   * @param values of the same shape
   */
  public record Context(Tensor keys, Tensor values) {
    /** Those of R rows, which may repeat. */
    public Context rows(Tensor rows) {
      return new Context(keys.index_select(0, rows), values.index_select(0, rows));
    }
  }

  /**
   * @param scope of the attention
   */
  CrossAttention(ParameterScope scope, Heads heads) {
    long d = heads.width();
    ParameterScope inner = scope.scope("self");
    this.heads = heads;
    query = new Linear(inner.scope("query"), d, d);
    key = new Linear(inner.scope("key"), d, d);
    value = new Linear(inner.scope("value"), d, d);
    output = new Linear(scope.scope("output.dense"), d, d);
  }

  /** The context of tokens B x S x d. */
  Context context(Tensor tokens) {
    return new Context(key.apply(tokens), value.apply(tokens));
  }

  /**
   * What each token gathers of its sequence's row of the context: T x d to the same.
   *
   * @param context of R rows
   */
  Tensor apply(Tensor x, Packing packing, Context context) {
    return output.apply(packing.packOwn(attend(packing.unpack(query.apply(x)), context)));
  }

  /** The same of one token a row: R x d to the same. */
  Tensor applyToFirst(Tensor x, Context context) {
    return output.apply(attend(query.apply(x).unsqueeze(1), context).squeeze(1));
  }

  /**
   * What {@link #apply} weighs the context by: T x d to R x heads x L x S. The rows of padding mean
   * nothing.
   */
  Tensor weights(Tensor x, Packing packing, Context context) {
    return heads.weights(packing.unpack(query.apply(x)), context.keys());
  }

  /** {@link #apply} by given weights R x heads x L x S: T x d. */
  Tensor applyBy(Tensor weights, Packing packing, Context context) {
    return output.apply(packing.packOwn(heads.gather(weights, context.values())));
  }

  private Tensor attend(Tensor query, Context context) {
    return heads.attend(query, context.keys(), context.values(), new TensorOptional());
  }
}
