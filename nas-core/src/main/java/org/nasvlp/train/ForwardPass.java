package org.nasvlp.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.objective.CaptionPlan;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.FusionPlan;
import org.nasvlp.objective.MomentumFeatures;
import org.nasvlp.objective.Objective;
import org.nasvlp.objective.PatchCodes;

/**
 * The forward pass of a batch: encodes images and captions, looks the patch tokens' codes up, fuses
 * the pairs that objectives plan, in one pass, and asks each objective for its loss. Not
 * thread-safe.
 */
final class ForwardPass {
  private final NasConfig config;
  private final NasModel model;
  private final Network network;
  private final TorchDevice device;
  private final List<Objective> objectives;
  private final @Nullable MomentumEncoders momentum;
  private final @Nullable NegativeTextAugmentation textNegatives;
  private final @Nullable WordProposals proposals;
  private final CaptionEncoder captionEncoder;

  /**
   * @param objectives in the order in which they are asked and summed up
   * @param momentum null if the configuration uses no momentum encoders
   * @param textNegatives hard negative captions; null if the configuration makes none
   */
  ForwardPass(
      NasConfig config,
      NasModel model,
      List<Objective> objectives,
      @Nullable MomentumEncoders momentum,
      @Nullable NegativeTextAugmentation textNegatives) {
    this.config = config;
    this.model = model;
    this.network = model.network();
    this.device = TorchDevice.of(model.parameters().values());
    this.objectives = List.copyOf(objectives);
    this.momentum = momentum;
    this.textNegatives = textNegatives;
    this.proposals =
        textNegatives != null && config.nta().wordShare() > 0
            ? new WordProposals(network, model.tokenizer())
            : null;
    this.captionEncoder = new CaptionEncoder(network, model.tokenizer(), device);
  }

  /**
   * What a forward pass yields.
   *
   * @param features what images and captions were encoded to
   * @param total the weighted sum of the losses, a scalar with gradient
   * @param loss its value
   * @param losses values by name, unweighted; those that the batch has
   * @param hardNegatives how many of the batch's pairs have one, by kind
   * @param recomputed the images' part of the graph, if it is computed again for the gradient
   */
  record Result(
      Features features,
      Tensor total,
      double loss,
      Map<String, Double> losses,
      Map<String, Integer> hardNegatives,
      Network.@Nullable Recomputed recomputed) {

    /** Adds the gradient of the loss, times a factor, to the parameters'. */
    void backward(double factor) {
      (factor == 1 ? total : total.mul(new Scalar(factor))).backward();
      if (recomputed != null) {
        recomputed.backward();
      }
    }
  }

  /** B x 3 x S x S of a batch. */
  Tensor images(Batch batch) {
    int size = config.model().imageSize();
    return device.floats(batch.images(), batch.keys().length, 3, size, size);
  }

  /**
   * Runs a batch forward, within the caller's scope.
   *
   * @param step of the run, 0-based
   * @param steps planned length of the run
   * @param draw number of the batch in the run, which randomness depends on
   */
  Result run(Batch batch, int step, long steps, int draw, StepClock clock) {
    Map<String, Integer> hardNegatives = new LinkedHashMap<>();
    Tensor images = images(batch);
    Network.Recomputed recomputed =
        config.training().gradientCheckpointing() ? network.recomputedImage(images) : null;
    Tensor encoded = recomputed != null ? recomputed.features() : network.encodeImage(images);
    Tensor imageCls = encoded.select(1, 0);
    Tensor patches = encoded.narrow(1, 1, config.model().patchTokens()).contiguous();
    clock.mark("image encoder");

    VisualDictionary dictionary = model.dictionary();
    Tensor codes = dictionary.lookup(patches.detach());
    Tensor fusionTokens = fusionTokens(config, dictionary, patches, codes);
    clock.mark("dictionary");

    CaptionPlan asked = new CaptionPlan(batch, step, steps, draw);
    objectives.forEach(objective -> objective.captions(asked));
    HardNegativeCaptions negatives = null;
    if (asked.wantsHardNegatives()) {
      negatives = negativeCaptions(batch, imageCls, fusionTokens, clock);
      hardNegatives.put("nta", negatives.count());
    }
    EncodedCaptions captions = captionEncoder.encode(asked, negatives);
    Tensor textCls = captions.cls();
    clock.mark("text encoder");

    Tensor imageEmbeddings = network.projectImage(imageCls);
    Tensor textEmbeddings = network.projectText(textCls);
    MomentumFeatures slow = momentum == null ? null : momentum.encode(images, captions, step);
    clock.mark("momentum encoders");

    Features features =
        new Features(
            batch,
            step,
            steps,
            draw,
            imageCls,
            patches,
            new PatchCodes(codes),
            fusionTokens,
            captions,
            imageEmbeddings,
            textEmbeddings,
            network.temperature(),
            slow,
            dictionary);
    FusionPlan plan = new FusionPlan(features, network);
    for (Objective objective : objectives) {
      objective.plan(plan);
      clock.mark(objective.name());
    }
    hardNegatives.putAll(plan.hardNegatives());
    Forward forward = plan.run();
    clock.mark("fusion encoder");
    return losses(forward, hardNegatives, recomputed, clock);
  }

  /**
   * The patch tokens as the fusion encoder takes them; codes are looked up where none are given.
   */
  static Tensor fusionTokens(
      NasConfig config, VisualDictionary dictionary, Tensor patches, @Nullable Tensor codes) {
    if (config.model().fusionInput() != FusionInput.QUANTISED) {
      return patches;
    }
    return dictionary.quantise(patches, codes != null ? codes : dictionary.lookup(patches));
  }

  private HardNegativeCaptions negativeCaptions(
      Batch batch, Tensor imageCls, Tensor fusionTokens, StepClock clock) {
    if (textNegatives == null) {
      throw new TrainingException(
          "an objective asks for hard negative captions, which this configuration does not make:"
              + " set nta.enabled");
    }
    if (proposals == null) {
      return textNegatives.draw(batch);
    }
    List<List<String>> proposed =
        proposals.propose(
            batch.captions(), textNegatives.wordsToPropose(batch), imageCls, fusionTokens);
    clock.mark("word proposals");
    return textNegatives.draw(batch, proposed);
  }

  private Result losses(
      Forward forward,
      Map<String, Integer> hardNegatives,
      Network.@Nullable Recomputed recomputed,
      StepClock clock) {
    Features features = forward.features();
    Map<Objective, Tensor> losses = new LinkedHashMap<>();
    for (Objective objective : objectives) {
      Tensor loss = objective.loss(forward);
      if (loss != null) {
        losses.put(objective, scalar(objective, loss));
      }
      clock.mark(objective.name());
    }
    Tensor total = null;
    for (var loss : losses.entrySet()) {
      double weight = weight(loss.getKey(), features);
      Tensor weighted = loss.getValue().mul(new Scalar(weight));
      total = total == null ? weighted : total.add(weighted);
    }
    if (total == null) {
      throw new TrainingException("no objective has a loss at step " + (features.step() + 1));
    }
    double value = total.item_double();
    Map<String, Double> values = new LinkedHashMap<>();
    losses.forEach((objective, loss) -> values.put(objective.name(), loss.item_double()));
    clock.mark("losses");
    return new Result(features, total, value, values, hardNegatives, recomputed);
  }

  private static Tensor scalar(Objective objective, Tensor loss) {
    if (loss.numel() != 1) {
      throw new TrainingException(
          "the objective %s gives a loss of %d elements: it must be a scalar, such as their mean"
              .formatted(objective.name(), loss.numel()));
    }
    return loss.dim() == 0 ? loss : loss.squeeze();
  }

  private static double weight(Objective objective, Features features) {
    double weight = objective.weight(features.step(), features.steps());
    if (!(weight >= 0 && weight < Double.POSITIVE_INFINITY)) {
      throw new TrainingException(
          "the objective %s has a weight of %s at step %d: it must be finite and not negative"
              .formatted(objective.name(), weight, features.step() + 1));
    }
    return weight;
  }

  static int[] range(int from, int count) {
    return IntStream.range(from, from + count).toArray();
  }
}
