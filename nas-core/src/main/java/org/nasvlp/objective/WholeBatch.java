package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;
import org.nasvlp.distributed.Ranks;

/**
 * What the ranks of a training know of a whole batch, of which each encodes an equal part: rank r
 * the rows from r · B / R on. With one rank it is the rank's own. Of the embeddings and captions of
 * all ranks a gradient goes back to the rank that encoded them.
 *
 * @param ranks who shares the batch
 * @param first row of the rank's own first pair in the whole batch
 * @param imageIds of the W pairs of the whole batch
 * @param sampleIds of the W pairs, which randomness depends on
 * @param imageEmbeddings W x p, with gradient
 * @param textEmbeddings W x p of the true captions, with gradient
 * @param momentumImages W x p of the momentum encoders, without gradient; null in a run without
 * @param momentumTexts W x p of the momentum encoders, without gradient; null in a run without
 * @param captions W x L' x d features of the true captions, with gradient; null unless they are
 *     matched across ranks
 * @param attentionMask W x L' booleans of the captions; null exactly if there are none
 */
public record WholeBatch(
    Ranks ranks,
    int first,
    long[] imageIds,
    long[] sampleIds,
    Tensor imageEmbeddings,
    Tensor textEmbeddings,
    @Nullable Tensor momentumImages,
    @Nullable Tensor momentumTexts,
    @Nullable Tensor captions,
    @Nullable Tensor attentionMask) {

  /** The batch of a single rank. */
  public static WholeBatch own(
      Batch batch,
      Tensor imageEmbeddings,
      Tensor textEmbeddings,
      @Nullable MomentumFeatures momentum) {
    return new WholeBatch(
        Ranks.alone(),
        0,
        batch.imageIds(),
        batch.sampleIds(),
        imageEmbeddings,
        textEmbeddings,
        momentum == null ? null : momentum.imageEmbeddings(),
        momentum == null ? null : momentum.textEmbeddings(),
        null,
        null);
  }

  /** W. */
  public int size() {
    return imageIds.length;
  }
}
