package org.nasvlp.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;

/**
 * Image-text contrast (ITC): InfoNCE both ways, with several positives where images are the same.
 */
public final class Contrast {
  private Contrast() {}

  /**
   * Targets that share the mass of a row evenly among the columns of the same image.
   *
   * @param rowIds image ids of the rows, B
   * @param columnIds image ids of the columns, C
   * @return B x C row-major; every row sums to 1
   */
  public static float[] targets(long[] rowIds, long[] columnIds) {
    float[] targets = new float[rowIds.length * columnIds.length];
    for (int i = 0; i < rowIds.length; i++) {
      int same = 0;
      for (long id : columnIds) {
        if (id == rowIds[i]) {
          same++;
        }
      }
      for (int j = 0; j < columnIds.length; j++) {
        if (columnIds[j] == rowIds[i]) {
          targets[i * columnIds.length + j] = 1f / same;
        }
      }
    }
    return targets;
  }

  /** Mean over rows of the cross-entropy of soft targets; logits and targets B x C. */
  public static Tensor softCrossEntropy(Tensor logits, Tensor targets) {
    return Torch.sum(torch.log_softmax(logits, 1).mul(targets), 1).mean().neg();
  }

  /**
   * Targets of ALBEF (arXiv 2107.07651, section 3.3): alpha · softmax(momentum similarities) + (1 -
   * alpha) · the labels.
   */
  public static Tensor soften(Tensor labels, Tensor momentumLogits, double alpha) {
    return torch
        .softmax(momentumLogits, 1)
        .mul(new Scalar(alpha))
        .add(labels.mul(new Scalar(1 - alpha)));
  }
}
