package org.nasvlp.model.layer;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.nasvlp.internal.TorchDevice;

/**
 * Token sequences of several lengths without their padding, one below the other, so that nothing is
 * computed for padding; attention alone needs them side by side.
 *
 * <p>R sequences of at most L tokens, T tokens in all, d or any other width.
 */
public final class Packing {
  private final Tensor attentionMask;
  private final Tensor places;
  private final Tensor sources;
  private final Tensor firsts;

  private Packing(Tensor attentionMask, Tensor places, Tensor sources, Tensor firsts) {
    this.attentionMask = attentionMask;
    this.places = places;
    this.sources = sources;
    this.firsts = firsts;
  }

  /**
   * The packing of sequences R x L.
   *
   * @param attentionMask R x L booleans, false at padding, true at every first token
   */
  public static Packing of(Tensor attentionMask) {
    Tensor places = attentionMask.reshape(-1).nonzero().squeeze(1);
    return new Packing(attentionMask, places, places, firsts(attentionMask));
  }

  /**
   * The packing of some of B sequences, any number of times each.
   *
   * @param attentionMask B x L booleans, as for {@link #of(Tensor)}
   * @param rows R int64
   */
  public static Packing of(Tensor attentionMask, Tensor rows) {
    Scalar length = new Scalar(attentionMask.size(1));
    Tensor mask = attentionMask.index_select(0, rows);
    Tensor places = mask.reshape(-1).nonzero().squeeze(1);
    Tensor at = places.remainder(length);
    Tensor of = places.sub(at).floor_divide(length);
    return new Packing(mask, places, rows.index_select(0, of).mul(length).add(at), firsts(mask));
  }

  /** Where each sequence begins among the packed tokens. */
  private static Tensor firsts(Tensor attentionMask) {
    Tensor lengths = attentionMask.sum(1);
    return lengths.cumsum(0).sub(lengths);
  }

  /** Sequences (of which those of the packing are taken) x L x d to T x d. */
  public Tensor pack(Tensor padded) {
    return padded.reshape(-1, padded.size(2)).index_select(0, sources);
  }

  /** Rows R x L x d that follow one another in this packing to T x d. */
  Tensor packOwn(Tensor padded) {
    return padded.reshape(-1, padded.size(2)).index_select(0, places);
  }

  /** T x d to R x L x d, with zeros at padding. */
  public Tensor unpack(Tensor tokens) {
    long rows = attentionMask.size(0);
    long length = attentionMask.size(1);
    long width = tokens.size(1);
    return TorchDevice.of(tokens)
        .empty(tokens.scalar_type(), rows * length, width)
        .fill_(new Scalar(0))
        .index_copy(0, places, tokens)
        .view(rows, length, width);
  }

  /** The first token of each sequence: T x d to R x d. */
  public Tensor firstOf(Tensor tokens) {
    return tokens.index_select(0, firsts);
  }

  TensorOptional mask() {
    return Heads.mask(attentionMask);
  }
}
