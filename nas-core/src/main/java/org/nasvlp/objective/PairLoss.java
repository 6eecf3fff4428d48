package org.nasvlp.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/** The loss over match logits of pairs that match and of their hard negatives. */
final class PairLoss {
  private PairLoss() {}

  /**
   * {@code BALANCED}: -½ [log P(match | positive) + log P(mismatch | negative)], so that as many
   * pairs match as do not; {@code PAIRWISE}: -log of the positive's share in a softmax over the two
   * match logits; {@code COMBINED} their mean. Means over the rows.
   *
   * @param positives n x 2 [mismatch, match]
   * @param negatives n x 2, row by row the positives' hard negatives
   */
  static Tensor of(Tensor positives, Tensor negatives, HardNegativeLoss form) {
    return switch (form) {
      case BALANCED ->
          torch
              .log_softmax(positives, 1)
              .select(1, 1)
              .add(torch.log_softmax(negatives, 1).select(1, 0))
              .mean()
              .mul(new Scalar(-0.5));
      case PAIRWISE -> {
        Tensor match = Torch.cat(1, positives.narrow(1, 1, 1), negatives.narrow(1, 1, 1));
        yield torch.log_softmax(match, 1).select(1, 0).mean().neg();
      }
      case COMBINED ->
          mean(
              of(positives, negatives, HardNegativeLoss.BALANCED),
              of(positives, negatives, HardNegativeLoss.PAIRWISE));
    };
  }

  /** Some of the rows of match logits. */
  static Tensor rows(Tensor logits, int[] rows) {
    return logits.index_select(0, TorchDevice.of(logits).index(rows));
  }

  /** The mean of losses. */
  static Tensor mean(Tensor... losses) {
    Tensor sum = losses[0];
    for (int i = 1; i < losses.length; i++) {
      sum = sum.add(losses[i]);
    }
    return sum.mul(new Scalar(1.0 / losses.length));
  }
}
