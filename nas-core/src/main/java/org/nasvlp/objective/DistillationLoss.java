package org.nasvlp.objective;

import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.NasConfig;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;

/**
 * Keeps what a run started with: contrast is to compare the batch's images and captions as the
 * model of the start does (learning without forgetting; Li and Hoiem, arXiv 1606.09282). With
 * embeddings V, T of the rank's B pairs and Ṽ, T̃ of the start's, the columns those of all ranks,
 *
 * <p>L = ½ [KL(softmax(Ṽ T̃ᵀ / s) ‖ softmax(V Tᵀ / s)) + KL(softmax(T̃ Ṽᵀ / s) ‖ softmax(T Vᵀ /
 * s))],
 *
 * <p>mean over the batch, s = 2 τ̃: the start's temperature, softened by the paper's factor of 2.
 * The paper's cross-entropy has the same gradient; the divergence is 0 at the start. The model's
 * own temperature has no part in it.
 */
public final class DistillationLoss implements Objective {
  private static final double SOFTENED = 2;

  private final NasConfig config;
  private final Network start;

  /**
   * @param start the network of the start, whose parameters have no gradient
   */
  public DistillationLoss(NasConfig config, Network start) {
    this.config = config;
    this.start = start;
  }

  @Override
  public String name() {
    return "distill";
  }

  @Override
  public double weight(long step, long steps) {
    return config.objective().distillWeight();
  }

  @Override
  public Tensor loss(Forward forward) {
    Features features = forward.features();
    WholeBatch whole = features.whole();
    Tensor images;
    Tensor texts;
    Tensor scale;
    try (AutoGradMode off = Torch.withoutGradient()) {
      images = start.projectImage(start.encodeImage(pixels(features)).select(1, 0));
      texts = start.projectText(encodedCaptions(features).select(1, 0));
      scale = start.temperature().mul(new Scalar(SOFTENED));
    }
    Ranks ranks = whole.ranks();
    Tensor toText = features.imageEmbeddings().matmul(whole.textEmbeddings().t()).div(scale);
    Tensor toImage = features.textEmbeddings().matmul(whole.imageEmbeddings().t()).div(scale);
    return divergence(images.matmul(ranks.gather(texts).t()).div(scale), toText)
        .add(divergence(texts.matmul(ranks.gather(images).t()).div(scale), toImage))
        .mul(new Scalar(0.5));
  }

  private Tensor pixels(Features features) {
    int size = config.model().imageSize();
    return TorchDevice.of(features.imageEmbeddings())
        .floats(features.batch().images(), features.size(), 3, size, size);
  }

  private Tensor encodedCaptions(Features features) {
    EncodedCaptions captions = features.captions();
    return start.encodeText(
        captions.ids().narrow(0, 0, captions.size()),
        captions.attentionMask().narrow(0, 0, captions.size()));
  }

  /** Mean over rows of KL(softmax(expected) ‖ softmax(logits)). */
  private static Tensor divergence(Tensor expected, Tensor logits) {
    Tensor log = torch.log_softmax(expected, 1);
    return Torch.sum(log.exp().mul(log.sub(torch.log_softmax(logits, 1))), 1).mean();
  }
}
