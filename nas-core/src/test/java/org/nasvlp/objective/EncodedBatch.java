package org.nasvlp.objective;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.train.Shapes;

/**
 * A tiny model whose weights tell things apart, and a batch of six pairs of which the first and the
 * fourth show the same picture. Tensors belong to the caller's scope.
 */
final class EncodedBatch implements AutoCloseable {
  static final int SIZE = 6;
  static final long[] IMAGE_IDS = {1, 2, 3, 1, 5, 6};
  static final long[] SAMPLE_IDS = {10, 11, 12, 13, 14, 15};
  static final int STEP = 4;
  static final int STEPS = 10;

  private static final String[] CAPTIONS = {
    "red square left", "blue bar", "green cross right", "red square", "yellow frame left", "bar"
  };

  /** Hard negatives; the second and the last caption have none. */
  private static final String[][] EDITS = {
    {"red", "blue"}, null, {"green", "red"}, {"square", "bar"}, {"yellow", "green"}, null
  };

  final CaptionTokenizer tokenizer;
  final NasConfig config;
  final NasModel model;
  final Network network;
  final Batch batch;

  EncodedBatch(Path folder, NasConfig config) {
    this.tokenizer = Shapes.tokenizer(folder, 8);
    this.config = config;
    this.model = NasModel.create(config, tokenizer);
    this.network = model.network();
    Random random = new Random(7);
    try (AutoGradMode off = new AutoGradMode(false)) {
      for (var parameter : model.parameters().byName().entrySet()) {
        if (!parameter.getKey().equals("log_temperature")) {
          Tensor value = parameter.getValue();
          value.add_(noise(random, 0.2, Torch.shape(value)));
        }
      }
    }
    int size = config.model().imageSize();
    float[] pixels = new float[SIZE * 3 * size * size];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = 2 * random.nextFloat() - 1;
    }
    int each = pixels.length / SIZE;
    System.arraycopy(pixels, 0, pixels, 3 * each, each);
    String[] keys = IntStream.range(0, SIZE).mapToObj(i -> "key" + i).toArray(String[]::new);
    this.batch =
        new Batch(
            STEP,
            keys,
            SAMPLE_IDS.clone(),
            IMAGE_IDS.clone(),
            CAPTIONS,
            pixels,
            tokenizer.encode(Arrays.asList(CAPTIONS)));
    try (AutoGradMode off = new AutoGradMode(false)) {
      Tensor features = network.encodeImage(pixels());
      model.startDictionary(Torch.toFloats(patches(features)));
    }
  }

  static Tensor noise(Random random, double scale, long... shape) {
    float[] values = new float[Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b))];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (scale * random.nextGaussian());
    }
    return Torch.floats(values, shape);
  }

  private Tensor pixels() {
    int size = config.model().imageSize();
    return Torch.floats(batch.images(), SIZE, 3, size, size);
  }

  private Tensor patches(Tensor features) {
    return features.narrow(1, 1, config.model().patchTokens()).contiguous();
  }

  /** A plan of captions that nothing is asked of yet. */
  CaptionPlan captionPlan() {
    return new CaptionPlan(batch, STEP, STEPS, 2 * STEP);
  }

  /** What the plan's captions and the images are encoded to, without momentum encoders. */
  Features features(CaptionPlan plan) {
    Tensor encoded = network.encodeImage(pixels());
    Tensor cls = encoded.select(1, 0);
    Tensor patches = patches(encoded);
    Tensor codes = model.dictionary().lookup(patches.detach());
    EncodedCaptions captions = captions(plan);
    Tensor images = network.projectImage(cls);
    Tensor texts = network.projectText(captions.cls());
    Tensor negatives = captions.negativeCls();
    return new Features(
        batch,
        STEP,
        STEPS,
        2 * STEP,
        cls,
        patches,
        new PatchCodes(codes),
        patches,
        captions,
        images,
        texts,
        negatives == null ? null : network.projectText(negatives),
        network.temperature(),
        null,
        model.dictionary(),
        WholeBatch.own(batch, images, texts, null));
  }

  /** The same with momentum features. */
  static Features with(Features f, MomentumFeatures momentum) {
    return new Features(
        f.batch(),
        f.step(),
        f.steps(),
        f.draw(),
        f.imageCls(),
        f.patchTokens(),
        f.codes(),
        f.fusionTokens(),
        f.captions(),
        f.imageEmbeddings(),
        f.textEmbeddings(),
        f.negativeEmbeddings(),
        f.temperature(),
        momentum,
        f.dictionary(),
        WholeBatch.own(f.batch(), f.imageEmbeddings(), f.textEmbeddings(), momentum));
  }

  /** The same with other tokens for the fusion encoder. */
  static Features withTokens(Features f, Tensor tokens) {
    return new Features(
        f.batch(),
        f.step(),
        f.steps(),
        f.draw(),
        f.imageCls(),
        f.patchTokens(),
        f.codes(),
        tokens,
        f.captions(),
        f.imageEmbeddings(),
        f.textEmbeddings(),
        f.negativeEmbeddings(),
        f.temperature(),
        f.momentum(),
        f.dictionary(),
        f.whole());
  }

  /** The same with other embeddings, at a temperature. */
  static Features with(Features f, Tensor images, Tensor texts, double temperature) {
    return new Features(
        f.batch(),
        f.step(),
        f.steps(),
        f.draw(),
        f.imageCls(),
        f.patchTokens(),
        f.codes(),
        f.fusionTokens(),
        f.captions(),
        images,
        texts,
        f.negativeEmbeddings(),
        Torch.zeros().fill_(new Scalar(temperature)),
        f.momentum(),
        f.dictionary(),
        WholeBatch.own(f.batch(), images, texts, f.momentum()));
  }

  private EncodedCaptions captions(CaptionPlan plan) {
    HardNegativeCaptions negatives = plan.wantsHardNegatives() ? negatives() : null;
    int[] rows =
        negatives == null
            ? new int[0]
            : IntStream.range(0, SIZE).filter(negatives::isValid).toArray();
    TokenizedCaptions all = batch.tokens();
    MaskedCaptions masked = plan.masked(negatives);
    int length = all.length();
    if (masked != null) {
      all =
          joined(all, new TokenizedCaptions(SIZE, length, masked.ids(), batch.tokens().mask(), 0));
    }
    int negativeFrom = all.rows();
    if (negatives != null) {
      all = joined(all, negatives.tokens().rows(rows));
    }
    Tensor ids = Torch.longs(all.ids(), all.rows(), all.length());
    Tensor mask = mask(all);
    return new EncodedCaptions(
        SIZE, ids, mask, network.encodeText(ids, mask), masked, negatives, rows, negativeFrom);
  }

  /** Hard negative captions, of the same length as the batch's own. */
  HardNegativeCaptions negatives() {
    @Nullable CaptionEdit[] edits = new CaptionEdit[SIZE];
    String[] texts = CAPTIONS.clone();
    for (int b = 0; b < SIZE; b++) {
      if (EDITS[b] != null) {
        texts[b] = CAPTIONS[b].replace(EDITS[b][0], EDITS[b][1]);
        edits[b] = new CaptionEdit(texts[b], EditType.NOUN, EDITS[b][0], EDITS[b][1]);
      }
    }
    return new HardNegativeCaptions(edits, tokenizer.encode(Arrays.asList(texts)), 4);
  }

  private static TokenizedCaptions joined(TokenizedCaptions a, TokenizedCaptions b) {
    long[] ids = Arrays.copyOf(a.ids(), a.ids().length + b.ids().length);
    long[] mask = Arrays.copyOf(a.mask(), ids.length);
    System.arraycopy(b.ids(), 0, ids, a.ids().length, b.ids().length);
    System.arraycopy(b.mask(), 0, mask, a.ids().length, b.ids().length);
    return new TokenizedCaptions(a.rows() + b.rows(), a.length(), ids, mask, 0);
  }

  private static Tensor mask(TokenizedCaptions captions) {
    return Torch.longs(captions.mask(), captions.rows(), captions.length()).ne(new Scalar(0));
  }

  /** Fusion features of one image with one caption row by themselves, 1 x L x d. */
  Tensor fusedAlone(Tensor cls, Tensor tokens, EncodedCaptions captions, int caption) {
    Tensor mask = captions.attentionMask().narrow(0, caption, 1);
    return network.fuse(
        network.imageContext(network.fusionInput(cls, tokens)),
        Torch.index(new int[] {0}),
        network.captionContext(
            network.encodeText(captions.ids().narrow(0, caption, 1), mask), mask),
        Torch.index(new int[] {0}));
  }

  /** Match logits of image row {@code image} of given tokens with a caption row, by themselves. */
  double[] matchAlone(Features features, Tensor tokens, int image, int token, int caption) {
    try (AutoGradMode off = new AutoGradMode(false)) {
      Tensor fused =
          fusedAlone(
              features.imageCls().narrow(0, image, 1),
              tokens.narrow(0, token, 1),
              features.captions(),
              caption);
      float[] logits = Torch.toFloats(network.matchLogits(fused.select(1, 0)));
      return new double[] {logits[0], logits[1]};
    }
  }

  /** Match logits of one of the batch's images with a caption row, by themselves. */
  double[] matchAlone(Features features, int image, int caption) {
    return matchAlone(features, features.fusionTokens(), image, image, caption);
  }

  /** The loss of an objective by itself. */
  Tensor loss(Objective objective, UnaryOperator<Features> change) {
    CaptionPlan captions = captionPlan();
    objective.captions(captions);
    FusionPlan plan = new FusionPlan(change.apply(features(captions)), network);
    plan.positives();
    objective.plan(plan);
    return objective.loss(plan.run());
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
  }
}
