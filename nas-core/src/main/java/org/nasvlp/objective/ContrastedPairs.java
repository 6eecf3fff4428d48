package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What {@link ContrastiveLoss} compares: a rank's n pairs with a bank of the W pairs of all ranks,
 * of one batch or of several. Tensors are float32 of contrastive width p, L2-normalised.
 *
 * @param imageIds of the n pairs
 * @param imageEmbeddings n x p, with gradient
 * @param textEmbeddings n x p, with gradient
 * @param momentum what the momentum encoders make of the n pairs; null in a run without them
 * @param bankIds image ids of the W pairs
 * @param imageBank W x p
 * @param textBank W x p
 * @param negativeRows which of the n captions have a hard negative, ascending
 * @param negativeEmbeddings H x p of the hard negatives, in the order of their rows, with gradient;
 *     null for none
 */
public record ContrastedPairs(
    long[] imageIds,
    Tensor imageEmbeddings,
    Tensor textEmbeddings,
    @Nullable MomentumFeatures momentum,
    long[] bankIds,
    Tensor imageBank,
    Tensor textBank,
    int[] negativeRows,
    @Nullable Tensor negativeEmbeddings) {}
