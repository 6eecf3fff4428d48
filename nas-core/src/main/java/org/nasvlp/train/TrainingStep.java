package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.TokenizedCaptions;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Draws;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.NegativeVisualAugmentation;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;
import org.nasvlp.objective.Contrast;
import org.nasvlp.objective.HardNegatives;
import org.nasvlp.objective.MaskedCaptions;

/** One pretraining step: losses, gradients, optimiser, momentum encoders and dictionary. */
final class TrainingStep implements AutoCloseable {
  private final NasConfig config;
  private final NasModel model;
  private final Network network;
  private final AdamW optimizer;
  private final NasModel.@Nullable MomentumCopy momentum;
  private final @Nullable FeatureQueue queue;
  private final NegativeVisualAugmentation augmentation;
  private final long maskingSeed;
  private final long negativesSeed;
  private final long restartSeed;

  TrainingStep(NasConfig config, NasModel model) {
    this.config = config;
    this.model = model;
    this.network = model.network();
    this.optimizer = new AdamW(config.optimizer(), model.parameters());
    this.momentum = config.objective().usesMomentumEncoders() ? model.momentumCopy() : null;
    this.queue =
        config.objective().queue() > 0
            ? new FeatureQueue(config.objective().queue(), config.model().projection())
            : null;
    long seed = config.training().seed();
    this.augmentation =
        new NegativeVisualAugmentation(
            config.nva(), config.model().fusionInput(), Draws.TOKEN_SWAP.seed(seed));
    this.maskingSeed = Draws.MASKING.seed(seed);
    this.negativesSeed = Draws.HARD_NEGATIVES.seed(seed);
    this.restartSeed = Draws.DICTIONARY_RESTART.seed(seed);
  }

  AdamW optimizer() {
    return optimizer;
  }

  NasModel.@Nullable MomentumCopy momentum() {
    return momentum;
  }

  @Nullable FeatureQueue queue() {
    return queue;
  }

  /**
   * What a step yields.
   *
   * @param loss weighted sum
   * @param losses by name, unweighted
   * @param gradientNorm before clipping; not finite exactly if the step was not taken
   * @param temperature after the step
   */
  record Outcome(
      double loss, Map<String, Double> losses, double gradientNorm, double temperature) {}

  /** Patch tokens of a batch, without gradient, to start the dictionary from. */
  float[] patchTokens(Batch batch) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor features = network.encodeImage(images(batch));
      return Torch.toFloats(features.narrow(1, 1, config.model().patchTokens()).contiguous());
    }
  }

  private Tensor images(Batch batch) {
    int size = config.model().imageSize();
    return Torch.floats(batch.images(), batch.keys().length, 3, size, size);
  }

  /**
   * Takes one step. Parameters and dictionary are left as they were if loss or gradients are not
   * finite.
   *
   * @param step 0-based
   * @param steps planned
   */
  Outcome take(Batch batch, int step, long steps) {
    try (PointerScope scope = new PointerScope()) {
      return step(batch, step, steps);
    }
  }

  private Outcome step(Batch batch, int step, long steps) {
    int size = batch.keys().length;
    boolean mlm = config.objective().mlmWeight() > 0;
    VisualDictionary dictionary = model.dictionary();

    Tensor images = images(batch);
    Tensor features = network.encodeImage(images);
    Tensor imageCls = features.select(1, 0);
    Tensor tokens = features.narrow(1, 1, config.model().patchTokens()).contiguous();

    TokenizedCaptions captions = batch.tokens();
    Tensor ids = Torch.longs(captions.ids(), size, captions.length());
    Tensor attends = Torch.longs(captions.mask(), size, captions.length()).ne(new Scalar(0));
    MaskedCaptions masked = null;
    Tensor allIds = ids;
    Tensor allAttends = attends;
    if (mlm) {
      masked =
          MaskedCaptions.mask(
              captions,
              model.tokenizer(),
              config.objective().maskRatio(),
              maskingSeed,
              step,
              batch.sampleIds());
      mlm = masked.positions().length > 0;
    }
    if (mlm) {
      allIds = Torch.cat(0, ids, Torch.longs(masked.ids(), size, captions.length()));
      allAttends = Torch.cat(0, attends, attends);
    }
    Tensor allText = network.encodeText(allIds, allAttends);
    Tensor textCls = allText.narrow(0, 0, size).select(1, 0);

    Tensor imageEmbedding = network.projectImage(imageCls);
    Tensor textEmbedding = network.projectText(textCls);
    Tensor temperature = network.temperature();
    Contrasted contrast =
        contrast(batch, images, ids, attends, imageEmbedding, textEmbedding, temperature);

    Tensor detachedTokens = tokens.detach();
    Tensor codes = dictionary.lookup(detachedTokens);
    boolean quantised = config.model().fusionInput() == FusionInput.QUANTISED;
    Tensor fusionTokens = quantised ? dictionary.quantise(tokens, codes) : tokens;

    double nvaWeight = nvaWeight(config.nva(), step, steps);
    HardNegativeImages negatives = null;
    if (nvaWeight > 0) {
      if (dictionary.radius() == 0 || step % config.dictionary().neighbourSteps() == 0) {
        dictionary.refreshNeighbours(config.nva().radius());
      }
      negatives = swap(batch, step, tokens, fusionTokens, codes, imageEmbedding, textEmbedding);
    }

    Tensor fusionInput = network.fusionInput(imageCls, fusionTokens);
    if (negatives != null) {
      Tensor negativeTokens = torch.where(negatives.swapped(), negatives.tokens(), fusionTokens);
      fusionInput = Torch.cat(0, fusionInput, network.fusionInput(imageCls, negativeTokens));
    }
    Network.ImageContext context = network.imageContext(fusionInput);

    // One fusion pass over all pairs: positives, hard negative images, hard negative captions,
    // swapped images, masked captions.
    Rows rows = new Rows();
    for (int b = 0; b < size; b++) {
      rows.add(b, b);
    }
    float[] similarity = contrast.similarity();
    int[] imageNegatives =
        HardNegatives.draw(
            transpose(similarity, size),
            batch.imageIds(),
            batch.sampleIds(),
            negativesSeed,
            step,
            1);
    int[] textNegatives =
        HardNegatives.draw(similarity, batch.imageIds(), batch.sampleIds(), negativesSeed, step, 0);
    int matching = size;
    for (int b = 0; b < size; b++) {
      if (imageNegatives[b] >= 0) {
        rows.add(imageNegatives[b], b);
      }
    }
    for (int b = 0; b < size; b++) {
      if (textNegatives[b] >= 0) {
        rows.add(b, textNegatives[b]);
      }
    }
    int mismatching = rows.size() - matching;
    if (negatives != null) {
      for (int b = 0; b < size; b++) {
        rows.add(size + b, b);
      }
    }
    int judged = rows.size();
    if (mlm) {
      for (int b = 0; b < size; b++) {
        rows.add(b, size + b);
      }
    }
    Tensor textRows = Torch.index(rows.texts());
    Tensor fused =
        network.fuse(
            context,
            Torch.index(rows.images()),
            allText.index_select(0, textRows),
            allAttends.index_select(0, textRows));
    Tensor logits = network.matchLogits(fused.narrow(0, 0, judged).select(1, 0));

    Map<String, Tensor> losses = new LinkedHashMap<>();
    losses.put("itc", contrast.loss());
    long[] labels = new long[matching + mismatching];
    Arrays.fill(labels, 0, matching, 1);
    losses.put(
        "itm",
        torch.cross_entropy_loss(
            logits.narrow(0, 0, labels.length), Torch.longs(labels, labels.length)));
    if (negatives != null) {
      losses.put(
          "nva",
          nvaLoss(
              logits.narrow(0, 0, size),
              logits.narrow(0, matching + mismatching, size),
              config.nva().loss()));
    }
    if (mlm) {
      Tensor chosen =
          fused
              .narrow(0, judged, size)
              .reshape(-1, config.model().width())
              .index_select(0, Torch.index(masked.positions()));
      losses.put(
          "mlm",
          torch.cross_entropy_loss(
              network.maskedLogits(chosen),
              Torch.longs(masked.targets(), masked.targets().length)));
    }
    if (config.dictionary().commitmentWeight() > 0) {
      Tensor chosen =
          dictionary
              .codewords()
              .index_select(0, codes.reshape(-1).to(torch.ScalarType.Long))
              .view(Torch.shape(tokens));
      losses.put("commitment", tokens.sub(chosen).square().mean());
    }

    Tensor total = null;
    for (var loss : losses.entrySet()) {
      double weight =
          switch (loss.getKey()) {
            case "itc" -> config.objective().itcWeight();
            case "itm" -> config.objective().itmWeight();
            case "mlm" -> config.objective().mlmWeight();
            case "nva" -> nvaWeight;
            case "commitment" -> config.dictionary().commitmentWeight();
            default -> throw new IllegalStateException(loss.getKey());
          };
      Tensor weighted = loss.getValue().mul(new Scalar(weight));
      total = total == null ? weighted : total.add(weighted);
    }
    double lossValue = total.item_double();
    Map<String, Double> values = new LinkedHashMap<>();
    losses.forEach((name, loss) -> values.put(name, loss.item_double()));
    if (!Double.isFinite(lossValue)) {
      return new Outcome(lossValue, values, Double.NaN, temperature.item_double());
    }
    total.backward();
    double norm = optimizer.clip();
    if (!Double.isFinite(norm)) {
      return new Outcome(lossValue, values, norm, temperature.item_double());
    }
    optimizer.step(config.optimizer().learningRate(step, steps), step + 1L);
    try (AutoGradMode off = new AutoGradMode(false)) {
      network.clampTemperature(
          config.objective().minTemperature(), config.objective().maxTemperature());
      if (momentum != null) {
        momentum
            .parameters()
            .values()
            .lerp_(
                model.parameters().values(), new Scalar(1 - config.objective().encoderMomentum()));
      }
      if (queue != null) {
        queue.push(contrast.imageFeatures(), contrast.textFeatures(), batch.imageIds());
      }
      dictionary.update(detachedTokens, codes, restartSeed, step);
      return new Outcome(lossValue, values, norm, network.temperature().item_double());
    }
  }

  /** The loss weight of NVA at a step: 0 before its start, then a linear ramp. */
  static double nvaWeight(NvaConfig nva, long step, long steps) {
    if (!nva.enabled()) {
      return 0;
    }
    double progress = (double) step / steps;
    if (progress < nva.startShare()) {
      return 0;
    }
    if (nva.rampShare() == 0) {
      return nva.weight();
    }
    double ramp = (step + 1 - nva.startShare() * steps) / (nva.rampShare() * steps);
    return nva.weight() * Math.min(1, ramp);
  }

  /**
   * The loss over match logits of positives and their hard negatives, both B x 2 [mismatch, match].
   */
  static Tensor nvaLoss(Tensor positives, Tensor negatives, NvaConfig.Loss form) {
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
    };
  }

  private HardNegativeImages swap(
      Batch batch,
      int step,
      Tensor tokens,
      Tensor fusionTokens,
      Tensor codes,
      Tensor imageEmbedding,
      Tensor textEmbedding) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      Tensor projected = network.projectImage(tokens.detach());
      Tensor toImage = projected.matmul(imageEmbedding.detach().unsqueeze(2)).squeeze(2);
      Tensor toText = projected.matmul(textEmbedding.detach().unsqueeze(2)).squeeze(2);
      return augmentation.swap(
          model.dictionary(), fusionTokens, codes, toImage, toText, batch.sampleIds(), step);
    }
  }

  /**
   * The contrast of a batch.
   *
   * @param loss mean of both directions
   * @param similarity B x B logits image by caption, row-major
   * @param imageFeatures B x p features for the queue
   * @param textFeatures B x p features for the queue
   */
  private record Contrasted(
      Tensor loss, float[] similarity, Tensor imageFeatures, Tensor textFeatures) {}

  private Contrasted contrast(
      Batch batch,
      Tensor images,
      Tensor ids,
      Tensor attends,
      Tensor imageEmbedding,
      Tensor textEmbedding,
      Tensor temperature) {
    int size = batch.keys().length;
    long[] rowIds = batch.imageIds();
    Tensor similarity =
        imageEmbedding.detach().matmul(textEmbedding.detach().t()).div(temperature.detach());
    if (momentum == null) {
      Tensor targets = Torch.floats(Contrast.targets(rowIds, rowIds), size, size);
      Tensor logits = imageEmbedding.matmul(textEmbedding.t()).div(temperature);
      Tensor loss =
          Contrast.softCrossEntropy(logits, targets)
              .add(Contrast.softCrossEntropy(logits.t(), targets))
              .mul(new Scalar(0.5));
      return new Contrasted(
          loss, Torch.toFloats(similarity), imageEmbedding.detach(), textEmbedding.detach());
    }
    Tensor slowImage;
    Tensor slowText;
    try (AutoGradMode off = new AutoGradMode(false)) {
      Network slow = momentum.network();
      slowImage = slow.projectImage(slow.encodeImage(images).select(1, 0));
      slowText = slow.projectText(slow.encodeText(ids, attends).select(1, 0));
    }
    Tensor imageBank = slowImage;
    Tensor textBank = slowText;
    long[] columnIds = rowIds;
    if (queue != null && queue.filled() > 0) {
      imageBank = Torch.cat(0, slowImage, queue.images().narrow(0, 0, queue.filled()));
      textBank = Torch.cat(0, slowText, queue.texts().narrow(0, 0, queue.filled()));
      columnIds = Arrays.copyOf(rowIds, size + queue.filled());
      System.arraycopy(queue.ids(), 0, columnIds, size, queue.filled());
    }
    Tensor labels = Torch.floats(Contrast.targets(rowIds, columnIds), size, columnIds.length);
    Tensor toText = imageEmbedding.matmul(textBank.t()).div(temperature);
    Tensor toImage = textEmbedding.matmul(imageBank.t()).div(temperature);
    Tensor textTargets = labels;
    Tensor imageTargets = labels;
    double alpha = config.objective().softTargets();
    if (alpha > 0) {
      try (AutoGradMode off = new AutoGradMode(false)) {
        textTargets =
            Contrast.soften(
                labels, slowImage.matmul(textBank.t()).div(temperature.detach()), alpha);
        imageTargets =
            Contrast.soften(
                labels, slowText.matmul(imageBank.t()).div(temperature.detach()), alpha);
      }
    }
    Tensor loss =
        Contrast.softCrossEntropy(toText, textTargets)
            .add(Contrast.softCrossEntropy(toImage, imageTargets))
            .mul(new Scalar(0.5));
    return new Contrasted(loss, Torch.toFloats(similarity), slowImage, slowText);
  }

  private static float[] transpose(float[] square, int size) {
    float[] out = new float[square.length];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        out[j * size + i] = square[i * size + j];
      }
    }
    return out;
  }

  /** Pairs of a context row and a text row. */
  private static final class Rows {
    private final List<int[]> pairs = new ArrayList<>();

    void add(int image, int text) {
      pairs.add(new int[] {image, text});
    }

    int size() {
      return pairs.size();
    }

    int[] images() {
      return pairs.stream().mapToInt(pair -> pair[0]).toArray();
    }

    int[] texts() {
      return pairs.stream().mapToInt(pair -> pair[1]).toArray();
    }
  }

  @Override
  public void close() {
    optimizer.close();
    if (momentum != null) {
      momentum.close();
    }
    if (queue != null) {
      queue.close();
    }
  }
}
