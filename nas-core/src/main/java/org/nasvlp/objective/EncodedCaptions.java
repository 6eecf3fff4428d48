package org.nasvlp.objective;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;

/**
 * The captions of a batch of B, encoded, T rows: the B true ones, then B masked ones where masks
 * were asked for, then the hard negatives, as many as there are.
 *
 * @param size B
 * @param ids T x L int64 token ids
 * @param attentionMask T x L booleans, false at padding
 * @param features T x L x d float32, the class token first; with gradient
 * @param masked the masked captions at length L; null if none were asked for, or no token chosen
 * @param negatives the hard negative captions, B rows; null if none were asked for
 * @param negativeRows which true captions have a hard negative, ascending
 * @param negativeFrom row of the first hard negative
 */
public record EncodedCaptions(
    int size,
    Tensor ids,
    Tensor attentionMask,
    Tensor features,
    @Nullable MaskedCaptions masked,
    @Nullable HardNegativeCaptions negatives,
    int[] negativeRows,
    int negativeFrom) {

  /** The same captions with other features of that shape. */
  public EncodedCaptions withFeatures(Tensor value) {
    return new EncodedCaptions(
        size, ids, attentionMask, value, masked, negatives, negativeRows, negativeFrom);
  }

  /** B x d class tokens of the true captions. */
  public Tensor cls() {
    return features.narrow(0, 0, size).select(1, 0);
  }

  /** R x d class tokens of the hard negatives, in their order; null where there are none. */
  public @Nullable Tensor negativeCls() {
    return negativeRows.length == 0
        ? null
        : features.narrow(0, negativeFrom, negativeRows.length).select(1, 0);
  }

  /** Row of the masked form of the first caption; the others follow. */
  public int maskedFrom() {
    if (masked == null) {
      throw new IllegalStateException("the batch has no masked captions");
    }
    return size;
  }

  /** Row of the hard negative of a true caption, -1 if it has none. */
  public int negativeRow(int caption) {
    int at = Arrays.binarySearch(negativeRows, caption);
    return at < 0 ? -1 : negativeFrom + at;
  }

  /**
   * What stands at the masked positions.
   *
   * @param fused B x L x d fusion features of the masked captions
   * @return M x d
   */
  public Tensor atMasked(Tensor fused) {
    if (masked == null) {
      throw new IllegalStateException("the batch has no masked captions");
    }
    return fused
        .reshape(-1, fused.size(2))
        .index_select(0, TorchDevice.of(fused).index(masked.positions()));
  }
}
