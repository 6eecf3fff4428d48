package org.nasvlp.config;

/** Form of the loss over the match logits of a positive and its hard negative. */
public enum HardNegativeLoss {
  /** Mean of two cross-entropies: positive to match, negative to mismatch. */
  BALANCED,
  /** -log softmax of the positive's match logit over both. */
  PAIRWISE,
  /**
   * Mean of both: {@code PAIRWISE} learns the difference sooner, {@code BALANCED} makes match
   * logits of different pairs comparable.
   */
  COMBINED
}
