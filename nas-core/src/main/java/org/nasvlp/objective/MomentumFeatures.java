package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What the momentum encoders make of a batch (MoCo, arXiv 1911.05722; ALBEF, arXiv 2107.07651,
 * section 3.3), without gradient.
 *
 * @param softTargets alpha: share of their distribution in the targets, 0 to 1
 * @param imageEmbeddings B x p, L2-normalised
 * @param textEmbeddings B x p, L2-normalised
 * @param maskedLogits M x vocabulary logits at the masked positions; null without soft targets or
 *     masked captions
 */
public record MomentumFeatures(
    double softTargets,
    Tensor imageEmbeddings,
    Tensor textEmbeddings,
    @Nullable Tensor maskedLogits) {}
