package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;

class HardNegativeExamplesTest {
  private static final int NEIGHBOURS = 6;

  @TempDir private Path folder;

  private static NasConfig config() {
    return Shapes.config(12).toBuilder()
        .model(model -> model.fusionInput(FusionInput.RESIDUAL))
        .nta(NtaConfig.defaults())
        .nva(
            NvaConfig.defaults().toBuilder()
                .neighbours(NEIGHBOURS)
                .ratio(0.2)
                .choose(NvaConfig.Choose.GAIN)
                .substitute(NvaConfig.Substitute.EVIDENCE)
                .donor(NvaConfig.Donor.CODEWORD)
                .control(NvaConfig.Control.MATCHED)
                .startShare(0.5)
                .rampShare(0.4)
                .build())
        .build();
  }

  private static List<ImageTextPair> shapes() throws Exception {
    Shapes shapes = new Shapes();
    ImageTextPair[] pairs = new ImageTextPair[(int) shapes.size()];
    for (int i = 0; i < pairs.length; i++) {
      pairs[i] = shapes.get(i);
    }
    return List.of(pairs);
  }

  /**
   * An untrained model is nearly blind: this one has weights that tell pictures and words apart.
   */
  private static NasModel model(NasConfig config, CaptionTokenizer tokenizer) throws Exception {
    NasModel model = NasModel.create(config, tokenizer);
    Random random = new Random(7);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      for (var parameter : model.parameters().byName().entrySet()) {
        if (!parameter.getKey().equals("log_temperature")) {
          Tensor value = parameter.getValue();
          float[] noise = new float[(int) value.numel()];
          for (int i = 0; i < noise.length; i++) {
            noise[i] = 0.2f * (float) random.nextGaussian();
          }
          value.add_(Torch.floats(noise, value.numel()).view(Torch.shape(value)));
        }
      }
      int tokens = config.model().patchTokens();
      List<ImageTextPair> pairs = shapes();
      int each = tokens * config.model().width();
      float[] all = new float[pairs.size() * each];
      for (int i = 0; i < pairs.size(); i++) {
        Tensor features = features(model, pairs.get(i)).narrow(1, 1, tokens).contiguous();
        System.arraycopy(Torch.toFloats(features), 0, all, i * each, each);
      }
      model.startDictionary(all);
    }
    return model;
  }

  private static Tensor features(NasModel model, ImageTextPair pair) {
    int size = model.config().model().imageSize();
    float[] pixels = new float[3 * size * size];
    ImageTransform.evaluation(size).apply(pair.image(), "", 0, 0, 0, pixels, 0);
    return model.network().encodeImage(Torch.floats(pixels, 1, 3, size, size));
  }

  /** What a swapped image's tokens give, one by one. */
  private static double matchAfter(NasModel model, ImageTextPair pair, NvaTrace trace) {
    int width = model.config().model().width();
    float[] codewords = model.dictionary().state().codebook().codewords();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      float[] values = Torch.toFloats(features(model, pair));
      for (NvaTrace.Swap swap : trace.swaps()) {
        for (int d = 0; d < width; d++) {
          values[(1 + swap.position()) * width + d] +=
              codewords[swap.substitute() * width + d] - codewords[swap.code() * width + d];
        }
      }
      return match(model, values, pair.caption());
    }
  }

  /** Of tokens (1 + N) x d and a caption. */
  private static double match(NasModel model, float[] values, String caption) {
    int width = model.config().model().width();
    Network network = model.network();
    Tensor swapped = Torch.floats(values, 1, values.length / width, width);
    TokenizedCaptions text = model.tokenizer().encode(List.of(caption));
    Tensor ids = Torch.longs(text.ids(), 1, text.length());
    Tensor mask = Torch.longs(text.mask(), 1, text.length()).ne(new Scalar(0));
    Tensor input =
        network.fusionInput(
            swapped.select(1, 0), swapped.narrow(1, 1, values.length / width - 1).contiguous());
    Tensor fused =
        network.fuse(
            network.imageContext(input),
            Torch.index(new int[] {0}),
            network.captionContext(network.encodeText(ids, mask), mask),
            Torch.index(new int[] {0}));
    Tensor match = torch.softmax(network.matchLogits(fused.select(1, 0)).select(0, 0), 0);
    return match.select(0, 1).item_double();
  }

  @Test
  void examplesAreWhatTheModelSaysOfThem() throws Exception {
    NasConfig config = config();
    List<ImageTextPair> pairs = shapes();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = model(config, tokenizer)) {
      NegativeTextAugmentation captions =
          NegativeTextAugmentation.prepare(
              new Shapes(), tokenizer, ShapesEditor.factory(), config.nta(), List.of(), 1);
      int[][] codes = model.codes(pairs.stream().map(ImageTextPair::image).toList());
      List<HardNegativeExample> examples =
          HardNegativeExamples.of(model, captions, pairs, codes, pairs);
      assertThat(examples).hasSize(pairs.size());
      assertThat(examples.stream().filter(of -> of.swap() != null).count()).isGreaterThan(8);
      for (HardNegativeExample example : examples) {
        ImageTextPair pair = example.pair();
        CaptionEdit edit = example.edit();
        assertThat(edit).isNotNull();
        double[] alone = model.score(pair.image(), List.of(pair.caption(), edit.caption()));
        assertThat(example.match()).isCloseTo(alone[0], within(1e-5));
        assertThat(example.editMatch()).isCloseTo(alone[1], within(1e-5));
        if (example.swap() != null) {
          check(model, codes[pairs.indexOf(pair)], pair, example.swap());
        }
      }
    }
  }

  /** The other way round: each token is put where the mirror shows it. */
  @Test
  void mirroredImagesAreJudgedWithBothCaptions() throws Exception {
    NasConfig config =
        config().toBuilder()
            .nva(
                NvaConfig.defaults().toBuilder()
                    .enabled(false)
                    .neighbours(NEIGHBOURS)
                    .mirrorWeight(1)
                    .build())
            .build();
    List<ImageTextPair> pairs = shapes();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = model(config, tokenizer)) {
      NegativeTextAugmentation captions =
          NegativeTextAugmentation.prepare(
              new Shapes(), tokenizer, ShapesEditor.factory(), config.nta(), List.of(), 1);
      int[][] codes = model.codes(pairs.stream().map(ImageTextPair::image).toList());
      int mirrored = 0;
      for (HardNegativeExample example :
          HardNegativeExamples.of(model, captions, pairs, codes, pairs)) {
        CaptionEdit edit = Objects.requireNonNull(example.edit());
        String caption = example.pair().caption();
        assertThat(example.mirrored() != null).isEqualTo(captions.mirror(caption, edit) != null);
        if (example.mirrored() != null) {
          mirrored++;
          assertThat(example.mirrored().mirror()).isEqualTo(Mirror.LEFT_RIGHT);
          assertThat(example.mirrored().side()).isEqualTo(4);
          assertThat(example.mirrored().match())
              .isCloseTo(matchMirrored(model, example.pair(), caption), within(1e-5));
          assertThat(example.mirrored().editMatch())
              .isCloseTo(matchMirrored(model, example.pair(), edit.caption()), within(1e-5));
        }
      }
      assertThat(mirrored).isPositive();
    }
  }

  private static double matchMirrored(NasModel model, ImageTextPair pair, String caption) {
    int width = model.config().model().width();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      float[] values = Torch.toFloats(features(model, pair));
      float[] turned = values.clone();
      for (int i = 0; i < 16; i++) {
        int from = i / 4 * 4 + 3 - i % 4;
        System.arraycopy(values, (1 + from) * width, turned, (1 + i) * width, width);
      }
      return match(model, turned, caption);
    }
  }

  private static void check(NasModel model, int[] codes, ImageTextPair pair, NvaTrace trace) {
    assertThat(trace.swaps()).hasSizeBetween(1, 4); // a fifth of 16 tokens
    assertThat(trace.scores()).hasSize(16);
    int[] neighbours = model.dictionary().state().neighbours();
    for (NvaTrace.Swap swap : trace.swaps()) {
      assertThat(swap.code()).isEqualTo(codes[swap.position()]);
      assertThat(
              Arrays.copyOfRange(
                  neighbours, swap.code() * NEIGHBOURS, (swap.code() + 1) * NEIGHBOURS))
          .contains(swap.substitute());
    }
    assertThat(trace.matchAfter()).isCloseTo(matchAfter(model, pair, trace), within(1e-5));
  }

  /** Without hard negatives in the configuration there is nothing to show. */
  @Test
  void thereAreNoneWhereTheRunMakesNone() throws Exception {
    NasConfig config =
        config().toBuilder()
            .nta(NtaConfig.defaults().toBuilder().enabled(false).build())
            .nva(NvaConfig.defaults().toBuilder().enabled(false).neighbours(NEIGHBOURS).build())
            .build();
    List<ImageTextPair> pairs = shapes();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = model(config, tokenizer)) {
      int[][] codes = model.codes(pairs.stream().map(ImageTextPair::image).toList());
      assertThat(HardNegativeExamples.of(model, null, pairs, codes, pairs)).isEmpty();
    }
  }
}
