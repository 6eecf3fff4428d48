package org.nasvlp.train;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Deferred;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.objective.PatchCodes;

/** Encodes a batch's images and looks their patch tokens up in the dictionary. */
final class ImageEncoder {
  private final NasConfig config;
  private final NasModel model;
  private final TorchDevice device;
  private final Ranks ranks;

  ImageEncoder(NasConfig config, NasModel model, TorchDevice device, Ranks ranks) {
    this.config = config;
    this.model = model;
    this.device = device;
    this.ranks = ranks;
  }

  /**
   * The images of a batch of B.
   *
   * @param pixels B x 3 x S x S
   * @param cls B x d class tokens
   * @param patchTokens B x N x d, contiguous
   * @param codes of the patch tokens
   * @param fusionTokens B x N x d as the fusion encoder takes them
   * @param deferred the encoder's part of the graph, if its gradient comes later
   */
  record EncodedImages(
      Tensor pixels,
      Tensor cls,
      Tensor patchTokens,
      PatchCodes codes,
      Tensor fusionTokens,
      @Nullable Deferred deferred) {}

  /**
   * Encodes a batch, within the caller's scope.
   *
   * @param withGradient false where no gradient is taken of what this gives
   */
  EncodedImages encode(Batch batch, boolean withGradient, StepClock clock) {
    Network network = model.network();
    Tensor pixels = pixels(batch);
    Deferred deferred = null;
    boolean trained = withGradient && network.trainsImageEncoder();
    if (trained && config.training().gradientCheckpointing()) {
      deferred = network.recomputedImage(pixels);
    } else if (trained && !ranks.isAlone()) {
      deferred = Detached.of(network.encodeImage(pixels));
    }
    Tensor features = deferred != null ? deferred.features() : network.encodeImage(pixels);
    Tensor cls = features.select(1, 0);
    Tensor patches = patches(config, features);
    clock.mark("image encoder");
    VisualDictionary dictionary = model.dictionary();
    Tensor codes = dictionary.enqueueLookup(patches.detach());
    boolean quantized = config.model().fusionInput() == FusionInput.QUANTIZED;
    Tensor fusionTokens = quantized ? dictionary.quantize(patches, codes) : patches;
    clock.mark("dictionary");
    return new EncodedImages(pixels, cls, patches, new PatchCodes(codes), fusionTokens, deferred);
  }

  private Tensor pixels(Batch batch) {
    int size = config.model().imageSize();
    return device.floats(batch.images(), batch.keys().length, 3, size, size);
  }

  /** B x N x d patch tokens of B x (1 + N) x d image features, contiguous. */
  static Tensor patches(NasConfig config, Tensor features) {
    return features.narrow(1, 1, config.model().patchTokens()).contiguous();
  }

  /**
   * B·N·d patch tokens of a batch of all ranks, without gradient, to start the dictionary from. A
   * collective.
   */
  float[] patchTokens(Batch batch) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      return Torch.toFloats(
          ranks.gather(patches(config, model.network().encodeImage(pixels(batch)))));
    }
  }
}
