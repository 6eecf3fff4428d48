package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.negatives.NegativeVisualAugmentation;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;
import org.nasvlp.negatives.NegativeVisualAugmentation.WordEdits;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.objective.Contrast;
import org.nasvlp.objective.HardNegatives;
import org.nasvlp.objective.MaskedCaptions;
import org.nasvlp.objective.MaskedCodes;
import org.nasvlp.random.Draws;

/** One pretraining step: losses, gradients, optimiser, momentum encoders and dictionary. */
final class TrainingStep implements AutoCloseable {
  private final NasConfig config;
  private final NasModel model;
  private final Network network;
  private final TorchDevice device;
  private final AdamW optimizer;
  private final NasModel.@Nullable MomentumCopy momentum;
  private final @Nullable FeatureQueue queue;
  private final NegativeVisualAugmentation visualNegatives;
  private final @Nullable NegativeTextAugmentation textNegatives;
  private final @Nullable WordCodes words;
  private final @Nullable WordProposals proposals;
  private final double stepsPerEpoch;
  private final long maskingSeed;
  private final long maskedCodesSeed;
  private final long negativesSeed;
  private final long restartSeed;

  /**
   * @param textNegatives hard negative captions; null exactly if the configuration asks for none
   * @param stepsPerEpoch steps in which the data set is gone through once
   */
  TrainingStep(
      NasConfig config,
      NasModel model,
      @Nullable NegativeTextAugmentation textNegatives,
      double stepsPerEpoch) {
    this.config = config;
    this.model = model;
    this.network = model.network();
    this.device = TorchDevice.of(model.parameters().values());
    this.stepsPerEpoch = stepsPerEpoch;
    this.optimizer = new AdamW(config.optimizer(), model.parameters());
    this.momentum = config.objective().usesMomentumEncoders() ? model.momentumCopy() : null;
    this.queue =
        config.objective().queue() > 0
            ? new FeatureQueue(config.objective().queue(), config.model().projection(), device)
            : null;
    long seed = config.training().seed();
    this.visualNegatives =
        new NegativeVisualAugmentation(
            config.nva(), config.model().fusionInput(), Draws.TOKEN_SWAP.seed(seed));
    this.textNegatives = textNegatives;
    this.words =
        config.nva().usesWords()
            ? new WordCodes(
                Objects.requireNonNull(textNegatives).words(), config.dictionary().codewords())
            : null;
    this.proposals =
        textNegatives != null && config.nta().wordShare() > 0
            ? new WordProposals(network, model.tokenizer())
            : null;
    this.maskingSeed = Draws.MASKING.seed(seed);
    this.maskedCodesSeed = Draws.MASKED_CODES.seed(seed);
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

  @Nullable WordCodes words() {
    return words;
  }

  /**
   * What a step yields.
   *
   * @param loss weighted sum, mean over the step's batches
   * @param losses by name, unweighted, mean over the batches that have them
   * @param hardNegatives how many images ("nva") and captions ("nta") had a hard negative
   * @param gradientNorm before clipping; not finite exactly if the step was not taken
   * @param temperature after the step
   * @param seconds by section of the step
   * @param trace of the first hard negative image, if asked for and if there was one
   */
  record Outcome(
      double loss,
      Map<String, Double> losses,
      Map<String, Integer> hardNegatives,
      double gradientNorm,
      double temperature,
      Map<String, Double> seconds,
      @Nullable NvaTrace trace) {}

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
    return device.floats(batch.images(), batch.keys().length, 3, size, size);
  }

  /**
   * Takes one step. The parameters are left as they were if loss or gradients are not finite; the
   * step must not be used further then.
   *
   * @param batches {@code optimizer.accumulation} of them
   * @param step 0-based
   * @param steps planned
   * @param traced whether the outcome should have a trace
   * @param probe gets the images and their hard negatives
   */
  Outcome take(
      List<Batch> batches, int step, long steps, boolean traced, @Nullable ArtefactProbe probe) {
    StepClock clock = new StepClock();
    double loss = 0;
    Map<String, double[]> sums = new LinkedHashMap<>();
    Map<String, Integer> hardNegatives = new LinkedHashMap<>();
    double norm = Double.NaN;
    NvaTrace trace = null;
    for (int a = 0; a < batches.size(); a++) {
      try (PointerScope scope = new PointerScope()) {
        Pass pass =
            new Pass(
                batches.get(a),
                step,
                step * batches.size() + a,
                steps,
                traced && trace == null,
                probe,
                clock);
        loss += pass.backward(1.0 / batches.size()) / batches.size();
        pass.values.forEach(
            (name, value) -> {
              double[] sum = sums.computeIfAbsent(name, key -> new double[2]);
              sum[0] += value;
              sum[1]++;
            });
        trace = trace != null ? trace : pass.trace;
        pass.hardNegatives.forEach((name, count) -> hardNegatives.merge(name, count, Integer::sum));
        if (Double.isFinite(loss) && a == batches.size() - 1) {
          norm = optimizer.clip();
          if (Double.isFinite(norm)) {
            updateParameters(step, steps);
            clock.mark("optimizer");
          }
        }
        if (!Double.isFinite(loss) || (a == batches.size() - 1 && !Double.isFinite(norm))) {
          return outcome(loss, sums, hardNegatives, Double.NaN, clock, trace);
        }
        pass.remember();
      }
    }
    return outcome(loss, sums, hardNegatives, norm, clock, trace);
  }

  private Outcome outcome(
      double loss,
      Map<String, double[]> sums,
      Map<String, Integer> hardNegatives,
      double norm,
      StepClock clock,
      @Nullable NvaTrace trace) {
    Map<String, Double> losses = new LinkedHashMap<>();
    sums.forEach((name, sum) -> losses.put(name, sum[0] / sum[1]));
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      double temperature = network.temperature().item_double();
      return new Outcome(loss, losses, hardNegatives, norm, temperature, clock.seconds(), trace);
    }
  }

  private void updateParameters(int step, long steps) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      optimizer.step(config.optimizer().learningRate(step, steps), step + 1L);
      network.clampTemperature(
          config.objective().minTemperature(), config.objective().maxTemperature());
      if (momentum != null) {
        momentum
            .parameters()
            .values()
            .lerp_(
                model.parameters().values(), new Scalar(1 - config.objective().encoderMomentum()));
      }
    }
  }

  /** Forward and backward pass of one batch, within the caller's scope. */
  private final class Pass {
    private final Batch batch;
    private final int size;
    private final int step;
    private final int draw;
    private final long steps;
    private final boolean traced;
    private final @Nullable ArtefactProbe probe;
    private final StepClock clock;
    private final double alpha;
    private final Map<String, Double> values = new LinkedHashMap<>();
    private final Map<String, Integer> hardNegatives = new LinkedHashMap<>();
    private final VisualDictionary dictionary = model.dictionary();
    private Tensor tokens;
    private Tensor codes;
    private Tensor queuedImages;
    private Tensor queuedTexts;
    private @Nullable NvaTrace trace;

    /**
     * @param draw number of the batch in the run, which randomness depends on
     */
    Pass(
        Batch batch,
        int step,
        int draw,
        long steps,
        boolean traced,
        @Nullable ArtefactProbe probe,
        StepClock clock) {
      this.batch = batch;
      this.size = batch.keys().length;
      this.step = step;
      this.draw = draw;
      this.steps = steps;
      this.traced = traced;
      this.probe = probe;
      this.clock = clock;
      this.alpha = momentum == null ? 0 : config.objective().softTargetsAt(step, stepsPerEpoch);
    }

    /**
     * Adds the gradient of the batch's loss, times a factor, to the parameters' if it is finite.
     *
     * @return the loss
     */
    double backward(double factor) {
      Tensor images = images(batch);
      Network.Recomputed recomputed =
          config.training().gradientCheckpointing() ? network.recomputedImage(images) : null;
      Tensor features = recomputed != null ? recomputed.features() : network.encodeImage(images);
      Tensor imageCls = features.select(1, 0);
      Tensor patches = features.narrow(1, 1, config.model().patchTokens()).contiguous();
      tokens = patches.detach();
      clock.mark("image encoder");

      codes = dictionary.lookup(tokens);
      boolean quantised = config.model().fusionInput() == FusionInput.QUANTIZED;
      Tensor fusionTokens = quantised ? dictionary.quantise(patches, codes) : patches;
      clock.mark("dictionary");

      double ntaWeight = textNegatives == null ? 0 : config.nta().weightAt(step, steps);
      double nvaWeight = config.nva().weightAt(step, steps);
      HardNegativeCaptions negativeCaptions =
          ntaWeight > 0 || (nvaWeight > 0 && words != null)
              ? drawCaptions(Objects.requireNonNull(textNegatives), imageCls, fusionTokens)
              : null;
      Texts texts = encodeTexts(negativeCaptions);
      Tensor textCls = texts.features.narrow(0, 0, size).select(1, 0);
      clock.mark("text encoder");

      Tensor imageEmbedding = network.projectImage(imageCls);
      Tensor textEmbedding = network.projectText(textCls);
      Slow slow = slow(images, texts);
      clock.mark("momentum encoders");
      Tensor temperature = network.temperature();
      Tensor negativeEmbedding =
          ntaWeight > 0 && config.nta().inContrast() && texts.negativeRows.length > 0
              ? network.projectText(
                  texts
                      .features
                      .narrow(0, texts.negativeFrom, texts.negativeRows.length)
                      .select(1, 0))
              : null;
      Map<String, Tensor> losses = new LinkedHashMap<>();
      losses.put(
          "itc",
          contrast(imageEmbedding, textEmbedding, negativeEmbedding, texts, slow, temperature));
      float[] similarity =
          Torch.toFloats(
              imageEmbedding.detach().matmul(textEmbedding.detach().t()).div(temperature.detach()));
      clock.mark("contrast");

      Swapped swapped =
          nvaWeight > 0
              ? swap(
                  fusionTokens, imageCls, textCls, imageEmbedding, textEmbedding, negativeCaptions)
              : null;
      Tensor fusionInput = network.fusionInput(imageCls, fusionTokens);
      if (swapped != null) {
        fusionInput = join(swapped, fusionInput, imageCls, fusionTokens);
        hardNegatives.put("nva", swapped.rows.length);
        if (probe != null) {
          addTo(probe, swapped, fusionTokens.detach());
        }
      }
      clock.mark("nva");
      long[] hiddenCodes = null;
      int maskedFrom = Math.toIntExact(fusionInput.size(0));
      if (config.objective().mvmWeight() > 0) {
        hiddenCodes =
            MaskedCodes.draw(Torch.toInts(codes), maskedCodesSeed, draw, batch.sampleIds());
        Tensor at = codes.to(torch.ScalarType.Long).eq(device.longs(hiddenCodes, size, 1));
        fusionInput =
            Torch.cat(
                0,
                fusionInput,
                network.fusionInput(imageCls, network.maskTokens(fusionTokens, at)));
      }

      Network.ImageContext context = network.imageContext(fusionInput);
      FusionPairs pairs = new FusionPairs();
      int[] all = IntStream.range(0, size).toArray();
      FusionPairs.Group positives = pairs.add(all, all);
      FusionPairs.Group mismatches = addMismatches(pairs, similarity, all);
      Hard hard = new Hard(pairs, positives, texts, swapped, ntaWeight > 0);
      int judged = pairs.size();
      FusionPairs.Group masked = texts.masked == null ? null : pairs.add(all, range(size, size));
      FusionPairs.Group codeless =
          hiddenCodes == null ? null : pairs.add(range(maskedFrom, size), all);
      Tensor textRows = pairs.texts(device);
      Tensor fused =
          network.fuse(
              context,
              pairs.images(device),
              texts.features.index_select(0, textRows),
              texts.attends.index_select(0, textRows));
      clock.mark("fusion encoder");

      Tensor logits = network.matchLogits(fused.narrow(0, 0, judged).select(1, 0));
      losses.put("itm", matching(logits, positives, mismatches));
      if (swapped != null) {
        losses.put("nva", hard.imageLoss(logits));
        if (traced) {
          trace = trace(swapped, hard, logits);
        }
      }
      if (hard.hasCaptions() && ntaWeight > 0) {
        losses.put("nta", hard.captionLoss(logits));
      }
      if (masked != null) {
        losses.put("mlm", maskedLanguage(masked.of(fused), texts, slow));
      }
      if (codeless != null && hiddenCodes != null) {
        Tensor codeLogits =
            network.codeLogits(codeless.of(fused).select(1, 0), dictionary.codewords());
        losses.put("mvm", torch.cross_entropy_loss(codeLogits, device.longs(hiddenCodes, size)));
      }
      if (config.dictionary().commitmentWeight() > 0) {
        losses.put("commitment", commitment(patches));
      }
      Tensor total = total(losses, nvaWeight, ntaWeight);
      double value = total.item_double();
      losses.forEach((name, loss) -> values.put(name, loss.item_double()));
      clock.mark("losses");
      if (Double.isFinite(value)) {
        (factor == 1 ? total : total.mul(new Scalar(factor))).backward();
        if (recomputed != null) {
          recomputed.backward();
        }
        clock.mark("backward");
      }
      return value;
    }

    /** Moves queue, dictionary and word counts on by this batch. */
    void remember() {
      try (AutoGradMode off = new AutoGradMode(false)) {
        if (queue != null) {
          queue.push(queuedImages, queuedTexts, batch.imageIds());
        }
        dictionary.update(tokens, codes, restartSeed, draw);
        if (words != null) {
          words.add(batch.captions(), Torch.toInts(codes));
        }
      }
      clock.mark("dictionary update");
    }

    // ---------------------------------------------------------------- captions

    /**
     * Captions of a batch: B true ones, B masked ones if there are any, and the hard negatives.
     *
     * @param negativeRows which true captions have a hard negative, ascending
     * @param negativeFrom row of the first hard negative
     */
    private record Texts(
        Tensor features,
        Tensor ids,
        Tensor attends,
        @Nullable MaskedCaptions masked,
        int length,
        int[] negativeRows,
        int negativeFrom) {

      /** The row of the hard negative of a true caption, -1 if it has none. */
      int negative(int row) {
        int at = Arrays.binarySearch(negativeRows, row);
        return at < 0 ? -1 : negativeFrom + at;
      }
    }

    private HardNegativeCaptions drawCaptions(
        NegativeTextAugmentation negatives, Tensor imageCls, Tensor fusionTokens) {
      if (proposals == null) {
        return negatives.draw(batch);
      }
      List<List<String>> proposed =
          proposals.propose(
              batch.captions(), negatives.wordsToPropose(batch), imageCls, fusionTokens);
      clock.mark("word proposals");
      return negatives.draw(batch, proposed);
    }

    private Texts encodeTexts(@Nullable HardNegativeCaptions negativeCaptions) {
      TokenizedCaptions captions = batch.tokens();
      long pad = model.tokenizer().padId();
      int[] negativeRows = new int[0];
      TokenizedCaptions negatives = null;
      if (negativeCaptions != null) {
        negativeRows = IntStream.range(0, size).filter(negativeCaptions::isValid).toArray();
        hardNegatives.put("nta", negativeRows.length);
        if (negativeRows.length > 0) {
          negatives = negativeCaptions.tokens().rows(negativeRows);
          int length = Math.max(captions.length(), negatives.length());
          captions = captions.padTo(length, pad);
          negatives = negatives.padTo(length, pad);
        }
      }
      MaskedCaptions masked = null;
      if (config.objective().mlmWeight() > 0) {
        masked =
            MaskedCaptions.mask(
                captions,
                model.tokenizer(),
                config.objective().maskRatio(),
                maskingSeed,
                draw,
                batch.sampleIds());
        if (masked.positions().length == 0) {
          masked = null;
        }
      }
      int length = captions.length();
      List<Tensor> ids = new ArrayList<>();
      List<Tensor> attends = new ArrayList<>();
      ids.add(device.longs(captions.ids(), size, length));
      attends.add(attends(captions));
      if (masked != null) {
        ids.add(device.longs(masked.ids(), size, length));
        attends.add(attends.getFirst());
      }
      int negativeFrom = size * ids.size();
      if (negatives != null) {
        ids.add(device.longs(negatives.ids(), negatives.rows(), length));
        attends.add(attends(negatives));
      }
      Tensor allIds = Torch.cat(0, ids.toArray(Tensor[]::new));
      Tensor allAttends = Torch.cat(0, attends.toArray(Tensor[]::new));
      return new Texts(
          network.encodeText(allIds, allAttends),
          allIds,
          allAttends,
          masked,
          length,
          negativeRows,
          negativeFrom);
    }

    private Tensor attends(TokenizedCaptions captions) {
      return device.longs(captions.mask(), captions.rows(), captions.length()).ne(new Scalar(0));
    }

    // ---------------------------------------------------------------- momentum encoders

    /**
     * What the momentum encoders make of a batch.
     *
     * @param images B x p contrastive embeddings
     * @param texts B x p contrastive embeddings
     * @param maskedLogits M x vocabulary logits at the masked positions; null without soft targets
     */
    private record Slow(Tensor images, Tensor texts, @Nullable Tensor maskedLogits) {}

    private @Nullable Slow slow(Tensor images, Texts texts) {
      if (momentum == null) {
        return null;
      }
      try (AutoGradMode off = new AutoGradMode(false)) {
        Network slow = momentum.network();
        boolean soft = alpha > 0 && texts.masked != null;
        int rows = soft ? 2 * size : size;
        Tensor image = slow.encodeImage(images);
        Tensor attends = texts.attends.narrow(0, 0, rows);
        Tensor text = slow.encodeText(texts.ids.narrow(0, 0, rows), attends);
        Tensor maskedLogits = null;
        if (soft) {
          Tensor patches = image.narrow(1, 1, config.model().patchTokens()).contiguous();
          if (config.model().fusionInput() == FusionInput.QUANTIZED) {
            patches = dictionary.quantise(patches, dictionary.lookup(patches));
          }
          Tensor fused =
              slow.fuse(
                  slow.imageContext(slow.fusionInput(image.select(1, 0), patches)),
                  device.index(range(0, size)),
                  text.narrow(0, size, size),
                  attends.narrow(0, size, size));
          maskedLogits = slow.maskedLogits(atMasked(fused, texts));
        }
        return new Slow(
            slow.projectImage(image.select(1, 0)),
            slow.projectText(text.narrow(0, 0, size).select(1, 0)),
            maskedLogits);
      }
    }

    private Tensor atMasked(Tensor fused, Texts texts) {
      return fused
          .reshape(-1, config.model().width())
          .index_select(0, device.index(Objects.requireNonNull(texts.masked).positions()));
    }

    // ---------------------------------------------------------------- losses

    private Tensor contrast(
        Tensor imageEmbedding,
        Tensor textEmbedding,
        @Nullable Tensor negativeEmbedding,
        Texts texts,
        @Nullable Slow slow,
        Tensor temperature) {
      long[] rowIds = batch.imageIds();
      Tensor imageBank = slow == null ? imageEmbedding : slow.images;
      Tensor textBank = slow == null ? textEmbedding : slow.texts;
      queuedImages = imageBank.detach();
      queuedTexts = textBank.detach();
      long[] columnIds = rowIds;
      if (queue != null && queue.filled() > 0) {
        imageBank = Torch.cat(0, imageBank, queue.images().narrow(0, 0, queue.filled()));
        textBank = Torch.cat(0, textBank, queue.texts().narrow(0, 0, queue.filled()));
        columnIds = Arrays.copyOf(rowIds, size + queue.filled());
        System.arraycopy(queue.ids(), 0, columnIds, size, queue.filled());
      }
      Tensor labels = device.floats(Contrast.targets(rowIds, columnIds), size, columnIds.length);
      Tensor toText = imageEmbedding.matmul(textBank.t()).div(temperature);
      Tensor toImage = textEmbedding.matmul(imageBank.t()).div(temperature);
      Tensor textTargets = labels;
      Tensor imageTargets = labels;
      if (alpha > 0 && slow != null) {
        try (AutoGradMode off = new AutoGradMode(false)) {
          Tensor scale = temperature.detach();
          textTargets = Contrast.soften(labels, slow.images.matmul(textBank.t()).div(scale), alpha);
          imageTargets =
              Contrast.soften(labels, slow.texts.matmul(imageBank.t()).div(scale), alpha);
        }
      }
      if (negativeEmbedding != null) {
        // One more column, each image's own hard negative caption; nothing where there is none.
        Tensor own =
            Torch.sum(
                    imageEmbedding
                        .index_select(0, device.index(texts.negativeRows))
                        .mul(negativeEmbedding),
                    1)
                .div(temperature);
        Tensor column =
            device
                .zeros(size)
                .fill_(new Scalar(-1e4))
                .index_copy(0, device.index(texts.negativeRows), own);
        toText = Torch.cat(1, toText, column.unsqueeze(1));
        textTargets = Torch.cat(1, textTargets, device.zeros(size, 1));
      }
      return Contrast.softCrossEntropy(toText, textTargets)
          .add(Contrast.softCrossEntropy(toImage, imageTargets))
          .mul(new Scalar(0.5));
    }

    private FusionPairs.Group addMismatches(FusionPairs pairs, float[] similarity, int[] all) {
      long[] ids = batch.imageIds();
      long[] samples = batch.sampleIds();
      int[] images =
          HardNegatives.draw(transpose(similarity, size), ids, samples, negativesSeed, draw, 1);
      int[] texts = HardNegatives.draw(similarity, ids, samples, negativesSeed, draw, 0);
      int[] withImage = IntStream.of(all).filter(b -> images[b] >= 0).toArray();
      int[] withText = IntStream.of(all).filter(b -> texts[b] >= 0).toArray();
      FusionPairs.Group first =
          pairs.add(IntStream.of(withImage).map(b -> images[b]).toArray(), withImage);
      FusionPairs.Group second =
          pairs.add(withText, IntStream.of(withText).map(b -> texts[b]).toArray());
      return new FusionPairs.Group(first.from(), first.count() + second.count());
    }

    private Tensor matching(
        Tensor logits, FusionPairs.Group positives, FusionPairs.Group mismatches) {
      long[] labels = new long[positives.count() + mismatches.count()];
      Arrays.fill(labels, 0, positives.count(), 1);
      return torch.cross_entropy_loss(
          logits.narrow(0, 0, labels.length), device.longs(labels, labels.length));
    }

    private Tensor maskedLanguage(Tensor fused, Texts texts, @Nullable Slow slow) {
      MaskedCaptions masked = Objects.requireNonNull(texts.masked);
      Tensor logits = network.maskedLogits(atMasked(fused, texts));
      Tensor hard =
          torch.cross_entropy_loss(logits, device.longs(masked.targets(), masked.targets().length));
      if (slow == null || slow.maskedLogits == null) {
        return hard;
      }
      return hard.mul(new Scalar(1 - alpha))
          .add(
              Contrast.softCrossEntropy(logits, torch.softmax(slow.maskedLogits, 1))
                  .mul(new Scalar(alpha)));
    }

    private Tensor commitment(Tensor patches) {
      Tensor chosen =
          dictionary
              .codewords()
              .index_select(0, codes.reshape(-1).to(torch.ScalarType.Long))
              .view(Torch.shape(patches));
      return patches.sub(chosen).square().mean();
    }

    private Tensor total(Map<String, Tensor> losses, double nvaWeight, double ntaWeight) {
      Tensor total = null;
      for (var loss : losses.entrySet()) {
        double weight =
            switch (loss.getKey()) {
              case "itc" -> config.objective().itcWeight();
              case "itm" -> config.objective().itmWeight();
              case "mlm" -> config.objective().mlmWeight();
              case "mvm" -> config.objective().mvmWeight();
              case "nva" -> nvaWeight;
              case "nta" -> ntaWeight;
              case "commitment" -> config.dictionary().commitmentWeight();
              default -> throw new IllegalStateException(loss.getKey());
            };
        Tensor weighted = loss.getValue().mul(new Scalar(weight));
        total = total == null ? weighted : total.add(weighted);
      }
      return Objects.requireNonNull(total);
    }

    // ---------------------------------------------------------------- hard negatives

    private @Nullable Swapped swap(
        Tensor fusionTokens,
        Tensor imageCls,
        Tensor textCls,
        Tensor imageEmbedding,
        Tensor textEmbedding,
        @Nullable HardNegativeCaptions negativeCaptions) {
      NvaConfig nva = config.nva();
      if (dictionary.radius() != nva.neighbours()
          || step % config.dictionary().neighbourRefreshSteps() == 0) {
        dictionary.refreshNeighbours(nva.neighbours());
      }
      try (AutoGradMode off = new AutoGradMode(false)) {
        boolean raw = nva.similarity() == NvaConfig.Similarity.RAW;
        Tensor compared = raw ? Torch.unit(tokens) : network.projectImage(tokens);
        Tensor image = raw ? Torch.unit(imageCls.detach()) : imageEmbedding.detach();
        Tensor text = raw ? Torch.unit(textCls.detach()) : textEmbedding.detach();
        NegativeVisualAugmentation.Images images =
            new NegativeVisualAugmentation.Images(
                fusionTokens.detach(),
                codes,
                compared.matmul(image.unsqueeze(2)).squeeze(2),
                compared.matmul(text.unsqueeze(2)).squeeze(2),
                batch.sampleIds(),
                draw);
        HardNegativeImages negatives =
            words != null
                ? visualNegatives.swapTowards(
                    dictionary, words, images, wordEdits(Objects.requireNonNull(negativeCaptions)))
                : visualNegatives.swap(dictionary, images);
        int[] rows = IntStream.range(0, size).filter(b -> negatives.valid()[b]).toArray();
        if (rows.length == 0) {
          return null;
        }
        HardNegativeImages control =
            switch (nva.control()) {
              case NONE, CROSSED -> null;
              case IRRELEVANT -> visualNegatives.swapIrrelevant(dictionary, images);
              case MATCHED ->
                  visualNegatives.swapBack(
                      dictionary,
                      Objects.requireNonNull(words),
                      images,
                      wordEdits(Objects.requireNonNull(negativeCaptions)));
            };
        return new Swapped(rows, negatives, control);
      }
    }

    private WordEdits wordEdits(HardNegativeCaptions negativeCaptions) {
      String[] from = new String[size];
      String[] to = new String[size];
      for (int b = 0; b < size; b++) {
        CaptionEdit edit = negativeCaptions.edits()[b];
        if (edit != null && !edit.type().isSwap()) {
          from[b] = edit.replaced();
          to[b] = edit.replacement();
        }
      }
      return new WordEdits(from, to);
    }

    /**
     * The swapped images of a batch.
     *
     * @param rows images with a hard negative, ascending
     */
    private record Swapped(
        int[] rows, HardNegativeImages negatives, @Nullable HardNegativeImages control) {}

    private void addTo(ArtefactProbe probe, Swapped swapped, Tensor fusionTokens) {
      Tensor rows = device.index(swapped.rows);
      Tensor real = fusionTokens.index_select(0, rows).contiguous();
      Tensor negative = replaced(swapped.negatives, fusionTokens, rows).contiguous();
      int count = config.model().patchTokens();
      float[] realTokens = Torch.toFloats(real);
      float[] negativeTokens = Torch.toFloats(negative);
      int[] realCodes = Torch.toInts(dictionary.lookup(real));
      int[] negativeCodes = Torch.toInts(dictionary.lookup(negative));
      int each = count * config.model().width();
      for (int i = 0; i < swapped.rows.length; i++) {
        probe.add(
            Arrays.copyOfRange(realTokens, i * each, (i + 1) * each),
            Arrays.copyOfRange(realCodes, i * count, (i + 1) * count),
            Arrays.copyOfRange(negativeTokens, i * each, (i + 1) * each),
            Arrays.copyOfRange(negativeCodes, i * count, (i + 1) * count));
      }
    }

    private NvaTrace trace(Swapped swapped, Hard hard, Tensor logits) {
      int row = swapped.rows[0];
      HardNegativeImages negatives = swapped.negatives;
      int[] all = Torch.toInts(codes);
      int count = negatives.scores()[row].length;
      List<NvaTrace.Swap> swaps = new ArrayList<>();
      for (int m = 0; m < negatives.positions()[row].length; m++) {
        int position = negatives.positions()[row][m];
        int substitute = negatives.substitutes()[row][m];
        if (substitute >= 0) {
          swaps.add(new NvaTrace.Swap(position, all[row * count + position], substitute));
        }
      }
      return new NvaTrace(
          batch.keys()[row],
          batch.captions()[row],
          negatives.scores()[row],
          swaps,
          match(hard.positives.of(logits), row),
          match(Objects.requireNonNull(hard.images).of(logits), 0));
    }

    private static double match(Tensor logits, int row) {
      try (AutoGradMode off = new AutoGradMode(false)) {
        return torch.softmax(logits.select(0, row), 0).select(0, 1).item_double();
      }
    }

    private Tensor join(Swapped swapped, Tensor fusionInput, Tensor imageCls, Tensor fusionTokens) {
      Tensor rows = device.index(swapped.rows);
      Tensor cls = imageCls.index_select(0, rows);
      Tensor joined =
          Torch.cat(
              0,
              fusionInput,
              network.fusionInput(cls, replaced(swapped.negatives, fusionTokens, rows)));
      return swapped.control == null
          ? joined
          : Torch.cat(
              0, joined, network.fusionInput(cls, replaced(swapped.control, fusionTokens, rows)));
    }

    private static Tensor replaced(HardNegativeImages images, Tensor fusionTokens, Tensor rows) {
      return torch.where(images.swapped(), images.tokens(), fusionTokens).index_select(0, rows);
    }

    /** The pairs of hard negatives in a fusion pass, and their losses. */
    private final class Hard {
      private final FusionPairs.Group positives;
      private final Texts texts;
      private final int[] captionRows;
      private final FusionPairs.@Nullable Group captions;
      private final int[] imageRows;
      private final FusionPairs.@Nullable Group images;
      private final FusionPairs.@Nullable Group controls;
      private final int[] crossedAt;
      private final FusionPairs.@Nullable Group crossed;
      private final FusionPairs.@Nullable Group crossedControls;

      Hard(
          FusionPairs pairs,
          FusionPairs.Group positives,
          Texts texts,
          @Nullable Swapped swapped,
          boolean withCaptions) {
        this.positives = positives;
        this.texts = texts;
        NvaConfig.Control control = config.nva().control();
        boolean matched = swapped != null && control == NvaConfig.Control.MATCHED;
        boolean cross = swapped != null && control == NvaConfig.Control.CROSSED;
        captionRows = texts.negativeRows;
        captions =
            captionRows.length > 0 && (withCaptions || cross)
                ? pairs.add(captionRows, range(texts.negativeFrom, captionRows.length))
                : null;
        imageRows = swapped == null ? new int[0] : swapped.rows;
        images = swapped == null ? null : pairs.add(range(size, imageRows.length), imageRows);
        controls =
            swapped == null || swapped.control == null
                ? null
                : pairs.add(range(size + imageRows.length, imageRows.length), imageRows);
        crossedAt =
            cross || matched
                ? IntStream.range(0, imageRows.length)
                    .filter(i -> texts.negative(imageRows[i]) >= 0)
                    .toArray()
                : new int[0];
        crossed = crossedAt.length == 0 ? null : withNegativeCaptions(pairs, size);
        crossedControls =
            crossed == null || !matched
                ? null
                : withNegativeCaptions(pairs, size + imageRows.length);
      }

      private FusionPairs.Group withNegativeCaptions(FusionPairs pairs, int from) {
        return pairs.add(
            IntStream.of(crossedAt).map(i -> from + i).toArray(),
            IntStream.of(crossedAt).map(i -> texts.negative(imageRows[i])).toArray());
      }

      boolean hasCaptions() {
        return captions != null;
      }

      private Tensor rowsOf(Tensor logits, int[] rows) {
        return positives.of(logits).index_select(0, device.index(rows));
      }

      Tensor captionLoss(Tensor logits) {
        return hardLoss(
            rowsOf(logits, captionRows),
            Objects.requireNonNull(captions).of(logits),
            config.nta().loss());
      }

      Tensor imageLoss(Tensor logits) {
        HardNegativeLoss form = config.nva().loss();
        Tensor negative = Objects.requireNonNull(images).of(logits);
        return switch (config.nva().control()) {
          case NONE -> hardLoss(rowsOf(logits, imageRows), negative, form);
          case IRRELEVANT ->
              mean(
                  hardLoss(rowsOf(logits, imageRows), negative, form),
                  hardLoss(Objects.requireNonNull(controls).of(logits), negative, form));
          case CROSSED -> {
            Tensor loss = hardLoss(rowsOf(logits, imageRows), negative, form);
            if (crossed == null) {
              yield loss;
            }
            Tensor match = crossed.of(logits);
            int[] captionAt =
                IntStream.of(crossedAt)
                    .map(i -> texts.negative(imageRows[i]) - texts.negativeFrom)
                    .toArray();
            Tensor sameImage = negative.index_select(0, device.index(crossedAt));
            Tensor sameCaption =
                Objects.requireNonNull(captions)
                    .of(logits)
                    .index_select(0, device.index(captionAt));
            yield mean(loss, hardLoss(match, sameImage, form), hardLoss(match, sameCaption, form));
          }
          case MATCHED -> {
            Tensor loss = hardLoss(Objects.requireNonNull(controls).of(logits), negative, form);
            yield crossed == null || crossedControls == null
                ? loss
                : mean(loss, hardLoss(crossed.of(logits), crossedControls.of(logits), form));
          }
        };
      }

      private static Tensor mean(Tensor... losses) {
        Tensor sum = losses[0];
        for (int i = 1; i < losses.length; i++) {
          sum = sum.add(losses[i]);
        }
        return sum.mul(new Scalar(1.0 / losses.length));
      }
    }
  }

  /**
   * The loss over match logits of positives and their hard negatives, both B x 2 [mismatch, match].
   */
  static Tensor hardLoss(Tensor positives, Tensor negatives, HardNegativeLoss form) {
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

  private static int[] range(int from, int count) {
    return IntStream.range(from, from + count).toArray();
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
