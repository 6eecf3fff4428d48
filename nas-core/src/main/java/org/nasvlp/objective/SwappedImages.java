package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;

/**
 * The hard negative images of a batch of B, n of them.
 *
 * @param rows which images have one, n, ascending
 * @param negatives of all B images
 * @param control of all B images: as many tokens swapped, but they still match; null for none
 */
public record SwappedImages(
    int[] rows, HardNegativeImages negatives, @Nullable HardNegativeImages control) {

  /**
   * Patch tokens of the hard negatives: the positive's own, gradient included, where none was
   * swapped.
   *
   * @param fusionTokens B x N x d, the positives'
   * @return n x N x d
   */
  public Tensor negativeTokens(Tensor fusionTokens) {
    return replaced(negatives, fusionTokens);
  }

  /** {@link #negativeTokens} of the controls. */
  public Tensor controlTokens(Tensor fusionTokens) {
    if (control == null) {
      throw new IllegalStateException("there are no control images");
    }
    return replaced(control, fusionTokens);
  }

  private Tensor replaced(HardNegativeImages images, Tensor fusionTokens) {
    Tensor index = TorchDevice.of(fusionTokens).index(rows);
    return torch.where(images.swapped(), images.tokens(), fusionTokens).index_select(0, index);
  }
}
