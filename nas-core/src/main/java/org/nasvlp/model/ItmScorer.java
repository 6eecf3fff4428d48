package org.nasvlp.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Torch;
import org.nasvlp.scoring.ImageTextScorer;

/** Scores by the match head's log-odds of match against mismatch. */
final class ItmScorer implements ImageTextScorer {
  /** Images of which the fusion encoder's context is held. */
  private static final int IMAGES = 64;

  /** Combinations that go through the fusion encoder at once. */
  private static final int COMBINATIONS = 128;

  private final Network network;
  private final ModelInputs inputs;
  private final Supplier<VisualDictionary> dictionary;
  private final Lifetime lifetime;

  ItmScorer(
      Network network,
      ModelInputs inputs,
      Supplier<VisualDictionary> dictionary,
      Lifetime lifetime) {
    this.network = network;
    this.inputs = inputs;
    this.dictionary = dictionary;
    this.lifetime = lifetime;
  }

  @Override
  public double[] score(
      List<RgbImage> images, List<String> captions, int[] imageIndex, int[] captionIndex) {
    double[] scores = new double[imageIndex.length];
    Integer[] order = new Integer[scores.length];
    Arrays.setAll(order, k -> k);
    // By image, so that each is encoded once while no more than a chunk of them is held.
    Arrays.sort(order, Comparator.comparingInt(k -> imageIndex[k]));
    try (Lifetime.Use use = lifetime.use()) {
      int from = 0;
      while (from < order.length) {
        List<RgbImage> chunk = new ArrayList<>();
        int[] rows = new int[order.length - from];
        int to = from;
        int last = -1;
        while (to < order.length) {
          int image = imageIndex[order[to]];
          if (image != last) {
            if (chunk.size() == IMAGES) {
              break;
            }
            chunk.add(images.get(image));
            last = image;
          }
          rows[to - from] = chunk.size() - 1;
          to++;
        }
        List<String> texts = new ArrayList<>();
        for (int k = from; k < to; k++) {
          texts.add(captions.get(captionIndex[order[k]]));
        }
        double[] chunkScores = score(chunk, Arrays.copyOf(rows, to - from), texts);
        for (int k = from; k < to; k++) {
          scores[order[k]] = chunkScores[k - from];
        }
        from = to;
      }
    }
    return scores;
  }

  /** The scores of image {@code rows[k]} with text k. */
  private double[] score(List<RgbImage> images, int[] rows, List<String> texts) {
    double[] scores = new double[rows.length];
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor features = network.encodeImage(inputs.pixels(images));
      Network.ImageContext context =
          network.imageContext(fusionInput(network, dictionary, features));
      for (int from = 0; from < rows.length; from += COMBINATIONS) {
        int to = Math.min(rows.length, from + COMBINATIONS);
        try (PointerScope inner = new PointerScope()) {
          ModelInputs.Text text = inputs.text(texts.subList(from, to));
          Tensor encoded = network.encodeText(text.ids(), text.attentionMask());
          Tensor cls =
              network.fuseCls(
                  context,
                  inputs.index(Arrays.copyOfRange(rows, from, to)),
                  network.captionContext(encoded, text.attentionMask()),
                  inputs.index(IntStream.range(0, to - from).toArray()));
          Tensor match = network.matchLogits(cls);
          float[] logits = ModelInputs.finite("a match logit", Torch.toFloats(match));
          for (int k = from; k < to; k++) {
            scores[k] = (double) logits[2 * (k - from) + 1] - logits[2 * (k - from)];
          }
        }
      }
    }
    return scores;
  }

  /** What the fusion encoder sees of encoded images: the form that positives have in training. */
  static Tensor fusionInput(
      Network network, Supplier<VisualDictionary> dictionary, Tensor features) {
    Tensor tokens = features.narrow(1, 1, network.config().patchTokens()).contiguous();
    if (network.config().fusionInput() == FusionInput.QUANTIZED) {
      VisualDictionary codes = dictionary.get();
      tokens = codes.quantize(tokens, codes.lookup(tokens));
    }
    return network.fusionInput(features.select(1, 0), tokens);
  }
}
