package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;

/** Told of the hard negative images of every batch that has any. */
public interface HardNegativeObserver {
  /**
   * Called after the batch's images were fused and before its backward pass, on the thread that
   * trains, without gradient. The tensors are only valid meanwhile.
   */
  void onHardNegatives(Observed observed);

  /**
   * Hard negative images and what the match head makes of them.
   *
   * @param features of the batch of B that they were made of
   * @param images the n hard negatives
   * @param positiveLogits B x 2 match logits of the batch's pairs, [mismatch, match]
   * @param negativeLogits n x 2 match logits of the hard negatives with their images' captions
   */
  record Observed(
      Features features, SwappedImages images, Tensor positiveLogits, Tensor negativeLogits) {}
}
