package org.nasvlp.objective;

import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;
import org.nasvlp.dictionary.VisualDictionary;

/**
 * What the encoders and the dictionary make of a batch of B pairs, before any are fused. Tensors
 * are float32 and have a gradient unless said otherwise. N patch tokens an image, width d,
 * contrastive width p.
 *
 * @param batch the pairs
 * @param step of the run, 0-based
 * @param steps planned length of the run
 * @param draw number of the batch in the run, which randomness depends on
 * @param imageCls B x d class tokens of the images
 * @param patchTokens B x N x d, row by row in the patch grid; contiguous
 * @param codes of the patch tokens
 * @param fusionTokens B x N x d patch tokens as the fusion encoder takes them: the patch tokens
 *     themselves, or quantized
 * @param captions the captions and what was made of them
 * @param imageEmbeddings B x p contrastive embeddings, L2-normalised
 * @param textEmbeddings B x p contrastive embeddings of the true captions, L2-normalised
 * @param negativeEmbeddings R x p contrastive embeddings of the R hard negative captions, in the
 *     order of {@link EncodedCaptions#negativeRows}, L2-normalised; null where there are none
 * @param temperature of the contrast, a scalar
 * @param momentum what the momentum encoders see; null in a run without them
 * @param dictionary the codewords; it is updated after the batch, not by an objective
 * @param whole the batch of all ranks, of which this is the rank's share
 */
public record Features(
    Batch batch,
    long step,
    long steps,
    int draw,
    Tensor imageCls,
    Tensor patchTokens,
    PatchCodes codes,
    Tensor fusionTokens,
    EncodedCaptions captions,
    Tensor imageEmbeddings,
    Tensor textEmbeddings,
    @Nullable Tensor negativeEmbeddings,
    Tensor temperature,
    @Nullable MomentumFeatures momentum,
    VisualDictionary dictionary,
    WholeBatch whole) {

  /** B. */
  public int size() {
    return batch.keys().length;
  }

  /** 0 to B-1: the rows of the batch's images, and of its captions. */
  public int[] rows() {
    return IntStream.range(0, size()).toArray();
  }
}
