package org.nasvlp.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Deferred;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.objective.CaptionPlan;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.FusionPlan;
import org.nasvlp.objective.LossPart;
import org.nasvlp.objective.MomentumFeatures;
import org.nasvlp.objective.Objective;
import org.nasvlp.objective.WholeBatch;
import org.nasvlp.train.ImageEncoder.EncodedImages;

/**
 * The forward pass of a batch: encodes images and captions, looks the patch tokens' codes up, fuses
 * the pairs that objectives plan, in one pass, and asks each objective for its loss. Not
 * thread-safe.
 */
final class ForwardPass {
  private final NasModel model;
  private final Network network;
  private final List<Objective> objectives;
  private final @Nullable MomentumEncoders momentum;
  private final Ranks ranks;
  private final boolean exchangesCaptions;
  private final ImageEncoder imageEncoder;
  private final CaptionEncoder captionEncoder;

  /**
   * @param objectives in the order in which they are asked and summed up
   * @param momentum null if the configuration uses no momentum encoders
   * @param textNegatives hard negative captions; null if the configuration makes none
   * @param ranks who shares a batch
   */
  ForwardPass(
      NasConfig config,
      NasModel model,
      List<Objective> objectives,
      @Nullable MomentumEncoders momentum,
      @Nullable NegativeTextAugmentation textNegatives,
      Ranks ranks) {
    TorchDevice device = TorchDevice.of(model.parameters().values());
    this.model = model;
    this.network = model.network();
    this.objectives = List.copyOf(objectives);
    this.momentum = momentum;
    this.ranks = ranks;
    this.exchangesCaptions =
        !ranks.isAlone()
            && config.objective().itmWeight() > 0
            && config.objective().itmAcrossRanks();
    this.imageEncoder = new ImageEncoder(config, model, device, ranks);
    this.captionEncoder = new CaptionEncoder(config, model, textNegatives, device);
  }

  ImageEncoder images() {
    return imageEncoder;
  }

  /**
   * What a forward pass yields.
   *
   * @param features what images and captions were encoded to
   * @param total the weighted sum of the losses, a scalar with gradient; of several ranks this
   *     rank's share of it; null if contrast over several batches is all there is
   * @param cached a scalar whose gradient is the batch's share of that of contrast over several
   *     batches; null where there is none
   * @param loss its value; of several ranks that of the whole batch
   * @param losses values by name, unweighted; those that the batch has
   * @param hardNegatives how many of the batch's pairs have one, by kind
   * @param isFinite whether the rank's own share is
   * @param later parts of the graph whose gradient follows the losses', in this order
   * @param images the image encoder's part of the graph, if its gradient follows these
   */
  record Result(
      Features features,
      @Nullable Tensor total,
      @Nullable Tensor cached,
      double loss,
      Map<String, Double> losses,
      Map<String, Integer> hardNegatives,
      boolean isFinite,
      List<Runnable> later,
      @Nullable Deferred images) {

    /**
     * Adds the gradient of the loss, times a factor, to the parameters', and that of contrast over
     * several batches as it is.
     *
     * @param ready run when those of all but the image encoder's are complete, if these come later
     */
    void backward(double factor, Runnable ready) {
      Tensor own = total == null || factor == 1 ? total : total.mul(new Scalar(factor));
      Tensor all =
          own == null ? Objects.requireNonNull(cached) : cached == null ? own : own.add(cached);
      if (all.requires_grad()) { // unless the batch's losses are of frozen parameters alone
        all.backward();
      }
      later.forEach(Runnable::run);
      if (images != null) {
        ready.run();
        images.backward();
      }
    }
  }

  /**
   * What contrast takes of a batch of n pairs, without gradient.
   *
   * @param imageEmbeddings n x p
   * @param textEmbeddings n x p
   * @param momentum what the momentum encoders see; null in a run without them
   * @param captions the true captions and, if asked for, their hard negatives
   */
  record Embedded(
      Tensor imageEmbeddings,
      Tensor textEmbeddings,
      @Nullable MomentumFeatures momentum,
      EncodedCaptions captions) {}

  /**
   * Encodes what contrast takes of a batch, within the caller's scope.
   *
   * @param withHardNegatives whether hard negative captions are drawn and encoded
   */
  Embedded embed(
      Batch batch, int step, long steps, int draw, boolean withHardNegatives, StepClock clock) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      EncodedImages images = imageEncoder.encode(batch, false, clock);
      CaptionPlan asked = new CaptionPlan(batch, step, steps, draw);
      if (withHardNegatives) {
        asked.requestHardNegatives();
      }
      EncodedCaptions captions = captionEncoder.encode(asked, images, null, clock);
      clock.mark("text encoder");
      Embedded embedded =
          new Embedded(
              network.projectImage(images.cls()),
              network.projectText(captions.cls()),
              momentum == null ? null : momentum.encode(images.pixels(), captions, step),
              captions);
      model.dictionary().check();
      clock.mark("momentum encoders");
      return embedded;
    }
  }

  /** {@link #run(Batch, int, long, int, CachedContrast.Share, StepClock)} of a batch on its own. */
  Result run(Batch batch, int step, long steps, int draw, StepClock clock) {
    return run(batch, step, steps, draw, null, clock);
  }

  /**
   * Runs a batch forward, within the caller's scope.
   *
   * @param step of the run, 0-based
   * @param steps planned length of the run
   * @param draw number of the batch in the run, which randomness depends on
   * @param share of contrast over several batches; null where this batch has its own
   */
  Result run(
      Batch batch,
      int step,
      long steps,
      int draw,
      CachedContrast.@Nullable Share share,
      StepClock clock) {
    EncodedImages images = imageEncoder.encode(batch, true, clock);

    CaptionPlan asked = new CaptionPlan(batch, step, steps, draw);
    objectives.forEach(objective -> objective.captions(asked));
    EncodedCaptions captions =
        captionEncoder.encode(asked, images, share == null ? null : share.negatives(), clock);
    Detached text = ranks.isAlone() ? null : Detached.of(captions.features());
    captions = text == null ? captions : captions.withFeatures(text.features());
    Tensor textCls = captions.cls();
    clock.mark("text encoder");

    Tensor imageEmbeddings = network.projectImage(images.cls());
    Tensor textEmbeddings = network.projectText(textCls);
    MomentumFeatures momentumFeatures = null;
    if (momentum != null) {
      momentumFeatures =
          share != null && share.momentum() != null && !momentum.fuses(captions, step)
              ? share.momentum()
              : momentum.encode(images.pixels(), captions, step);
    }
    clock.mark("momentum encoders");

    List<Runnable> later = new ArrayList<>();
    WholeBatch whole = WholeBatch.own(batch, imageEmbeddings, textEmbeddings, momentumFeatures);
    if (text != null) {
      RankExchange exchange =
          RankExchange.of(
              ranks,
              batch,
              imageEmbeddings,
              textEmbeddings,
              captions,
              momentumFeatures,
              exchangesCaptions);
      whole = exchange.whole();
      imageEmbeddings = exchange.ownImageEmbeddings();
      textEmbeddings = exchange.ownTextEmbeddings();
      later.add(exchange::backward);
      later.add(text::backward);
      clock.mark(StepClock.EXCHANGE);
    }

    Tensor negativeCls = captions.negativeCls();
    Features features =
        new Features(
            batch,
            step,
            steps,
            draw,
            images.cls(),
            images.patchTokens(),
            images.codes(),
            images.fusionTokens(),
            captions,
            imageEmbeddings,
            textEmbeddings,
            negativeCls == null ? null : network.projectText(negativeCls),
            network.temperature(),
            momentumFeatures,
            model.dictionary(),
            whole);
    FusionPlan plan = new FusionPlan(features, network);
    if (captions.negatives() != null) {
      plan.countHardNegatives("nta", captions.negativeRows().length);
    }
    for (Objective objective : objectives) {
      objective.plan(plan);
      clock.mark(objective.name());
    }
    Forward forward = plan.run();
    clock.mark("fusion encoder");
    Tensor cached = share == null ? null : share.backwardFrom(features);
    return ranks.isAlone()
        ? losses(forward, cached, plan.hardNegatives(), images.deferred(), clock)
        : averaged(forward, cached, plan.hardNegatives(), later, images.deferred(), clock);
  }

  private Result losses(
      Forward forward,
      @Nullable Tensor cached,
      Map<String, Integer> hardNegatives,
      @Nullable Deferred images,
      StepClock clock) {
    Features features = forward.features();
    Map<String, Tensor> losses = new LinkedHashMap<>();
    for (Objective objective : objectives) {
      Tensor loss = objective.loss(forward);
      if (loss != null) {
        losses.put(objective.name(), scalar(objective, loss));
      }
      clock.mark(objective.name());
    }
    Tensor total = null;
    for (Objective objective : objectives) {
      Tensor loss = losses.get(objective.name());
      if (loss != null) {
        Tensor weighted = loss.mul(new Scalar(weight(objective, features)));
        total = total == null ? weighted : total.add(weighted);
      }
    }
    if (total == null && cached == null) {
      throw withoutLoss(features);
    }
    double value = total == null ? 0 : total.item_double();
    features.dictionary().check();
    Map<String, Double> values = new LinkedHashMap<>();
    losses.forEach((name, loss) -> values.put(name, loss.item_double()));
    clock.mark("losses");
    return new Result(
        features,
        total,
        cached,
        value,
        values,
        hardNegatives,
        Double.isFinite(value),
        List.of(),
        images);
  }

  private static TrainingException withoutLoss(Features features) {
    return new TrainingException("no objective has a loss at step " + (features.step() + 1));
  }

  /** The losses of the whole batch, of which the rank has a share. A collective. */
  private Result averaged(
      Forward forward,
      @Nullable Tensor cached,
      Map<String, Integer> hardNegatives,
      List<Runnable> later,
      @Nullable Deferred images,
      StepClock clock) {
    Features features = forward.features();
    List<List<LossPart>> parts = new ArrayList<>();
    int[] negatives = new int[objectives.size()];
    for (int o = 0; o < negatives.length; o++) {
      Objective objective = objectives.get(o);
      List<LossPart> of = objective.parts(forward);
      if (of.size() > Objective.MOST_PARTS) {
        throw new TrainingException(
            "the objective %s has %d parts: there can be %d"
                .formatted(objective.name(), of.size(), Objective.MOST_PARTS));
      }
      parts.add(of);
      negatives[o] = hardNegatives.getOrDefault(objective.name(), 0);
      clock.mark(objective.name());
    }
    features.dictionary().check();
    RankExchange.Averages averages = RankExchange.average(ranks, parts, negatives);
    clock.mark(StepClock.EXCHANGE);
    // What was gathered gets a gradient, if only zeros, whatever losses this rank has.
    Tensor total = features.whole().imageEmbeddings().sum().mul(new Scalar(0));
    double value = 0;
    boolean finite = true;
    boolean any = false;
    Map<String, Double> values = new LinkedHashMap<>();
    Map<String, Integer> counts = new LinkedHashMap<>();
    for (int o = 0; o < negatives.length; o++) {
      Objective objective = objectives.get(o);
      if (averages.hardNegatives()[o] > 0 || hardNegatives.containsKey(objective.name())) {
        counts.put(objective.name(), averages.hardNegatives()[o]);
      }
      if (!averages.present()[o]) {
        continue;
      }
      any = true;
      double weight = weight(objective, features);
      value += weight * averages.values()[o];
      values.put(objective.name(), averages.values()[o]);
      for (int p = 0; p < parts.get(o).size(); p++) {
        Tensor mean = parts.get(o).get(p).mean();
        if (mean != null) {
          Tensor loss = scalar(objective, mean);
          finite &= Double.isFinite(loss.item_double());
          total = total.add(loss.mul(new Scalar(weight * averages.factors()[o][p])));
        }
      }
    }
    if (!any && cached == null) {
      throw withoutLoss(features);
    }
    clock.mark("losses");
    return new Result(features, total, cached, value, values, counts, finite, later, images);
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
}
