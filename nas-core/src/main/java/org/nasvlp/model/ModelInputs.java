package org.nasvlp.model;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.TorchDevice;

/** Images and captions as tensors on a device, as they are outside of training. */
final class ModelInputs {
  private final CaptionTokenizer tokenizer;
  private final int imageSize;
  private final ImageTransform transform;
  private final TorchDevice device;

  ModelInputs(CaptionTokenizer tokenizer, int imageSize, TorchDevice device) {
    this.tokenizer = tokenizer;
    this.imageSize = imageSize;
    this.transform = ImageTransform.evaluation(imageSize);
    this.device = device;
  }

  /** B x 3 x S x S. */
  Tensor pixels(List<RgbImage> images) {
    int each = 3 * imageSize * imageSize;
    float[] values = new float[images.size() * each];
    for (int i = 0; i < images.size(); i++) {
      transform.apply(images.get(i), "", 0, 0, 0, values, i * each);
    }
    return device.floats(values, images.size(), 3, imageSize, imageSize);
  }

  /**
   * Captions.
   *
   * @param ids B x L token ids
   * @param attentionMask B x L booleans, false at padding
   */
  record Text(Tensor ids, Tensor attentionMask) {}

  Text text(List<String> captions) {
    TokenizedCaptions tokens = tokenizer.encode(captions);
    Tensor ids = device.longs(tokens.ids(), tokens.rows(), tokens.length());
    Tensor mask = device.longs(tokens.mask(), tokens.rows(), tokens.length()).ne(new Scalar(0));
    return new Text(ids, mask);
  }

  /**
   * What a model gave, if it is finite.
   *
   * @throws IllegalStateException naming {@code what} and the remedy, if it is not
   */
  static float[] finite(String what, float[] values) {
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw new IllegalStateException(
            what
                + " of the model is not finite ("
                + value
                + "): its weights are too large, and its training had failed; use an earlier"
                + " checkpoint");
      }
    }
    return values;
  }

  /** An int64 vector. */
  Tensor index(int[] values) {
    return device.index(values);
  }
}
