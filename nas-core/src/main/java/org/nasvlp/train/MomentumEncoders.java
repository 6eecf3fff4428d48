package org.nasvlp.train;

import java.util.stream.IntStream;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.MomentumFeatures;

/**
 * A copy of the whole network, heads and temperature too, whose parameters follow the trained ones
 * slowly, θ̃ ← m θ̃ + (1 - m) θ (He et al., MoCo, arXiv 1911.05722): the momentum encoders of
 * contrast and masked language modelling, and the average that may be evaluated (Polyak and
 * Juditsky, 1992). Not thread-safe.
 */
final class MomentumEncoders implements AutoCloseable {
  private final NasConfig config;
  private final NasModel model;
  private final NasModel.MomentumCopy copy;
  private final double stepsPerEpoch;

  /** Copies of the model's present parameters. */
  MomentumEncoders(NasConfig config, NasModel model, double stepsPerEpoch) {
    this.config = config;
    this.model = model;
    this.copy = model.momentumCopy();
    this.stepsPerEpoch = stepsPerEpoch;
  }

  /** Their parameters, part of a checkpoint. */
  NasModel.MomentumCopy copy() {
    return copy;
  }

  /**
   * What they make of a batch of B.
   *
   * @param images B x 3 x S x S
   * @param captions of the batch; read are ids and masks alone
   * @param step of the run, 0-based
   */
  MomentumFeatures encode(Tensor images, EncodedCaptions captions, long step) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      Network network = copy.network();
      double alpha = config.objective().softTargetsAt(step, stepsPerEpoch);
      int size = captions.size();
      boolean masked = fuses(captions, step);
      int rows = masked ? 2 * size : size; // the masked captions follow the true ones
      Tensor image = network.encodeImage(images);
      Tensor mask = captions.attentionMask().narrow(0, 0, rows);
      Tensor text = network.encodeText(captions.ids().narrow(0, 0, rows), mask);
      return new MomentumFeatures(
          alpha,
          network.projectImage(image.select(1, 0)),
          network.projectText(text.narrow(0, 0, size).select(1, 0)),
          masked ? maskedLogits(image, text, mask, captions) : null);
    }
  }

  /** Whether they also say what stands at the masked positions. */
  boolean fuses(EncodedCaptions captions, long step) {
    return captions.masked() != null && config.objective().softTargetsAt(step, stepsPerEpoch) > 0;
  }

  private Tensor maskedLogits(Tensor image, Tensor text, Tensor mask, EncodedCaptions captions) {
    Network network = copy.network();
    int size = captions.size();
    Tensor tokens = ImageEncoder.patches(config, image);
    if (config.model().fusionInput() == FusionInput.QUANTIZED) {
      VisualDictionary dictionary = model.dictionary();
      tokens = dictionary.quantize(tokens, dictionary.enqueueLookup(tokens));
    }
    Tensor rows = TorchDevice.of(image).index(IntStream.range(0, size).toArray());
    Tensor fused =
        network.fuse(
            network.imageContext(network.fusionInput(image.select(1, 0), tokens)),
            rows,
            network.captionContext(
                text.narrow(0, captions.maskedFrom(), size),
                mask.narrow(0, captions.maskedFrom(), size)),
            rows);
    return network.maskedLogits(captions.atMasked(fused));
  }

  /** Moves the copies on by a step of the trained encoders. */
  void follow() {
    try (AutoGradMode off = Torch.withoutGradient()) {
      copy.parameters()
          .values()
          .lerp_(model.parameters().values(), new Scalar(1 - config.objective().encoderMomentum()));
    }
  }

  /** Averages in the place of a model's parameters, which come back when it is closed. */
  @FunctionalInterface
  interface Borrowed extends AutoCloseable {
    Borrowed NOTHING = () -> {};

    @Override
    void close();
  }

  /** Gives the model these parameters for a while. */
  Borrowed lend() {
    Tensor values = model.parameters().values();
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor own = values.clone();
      own.retainReference();
      values.copy_(copy.parameters().values());
      return () -> {
        try (AutoGradMode still = Torch.withoutGradient()) {
          values.copy_(own);
        }
        own.releaseReference();
      };
    }
  }

  @Override
  public void close() {
    copy.close();
  }
}
