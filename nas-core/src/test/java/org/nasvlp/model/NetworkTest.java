package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.TorchFiles;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class NetworkTest {
  @TempDir Path folder;

  private static NasConfig config(ModelConfig.Stem stem) {
    return NasConfig.fromJson(
        """
        {"model":{"imageSize":16,"patchSize":4,"stem":"%s","width":16,"heads":2,"imageLayers":1,
        "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8},
        "dictionary":{"codewords":40},"objective":{"queue":0}}
        """
            .formatted(stem),
        "test");
  }

  private static float[] ramp(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) Math.sin(0.7 * i);
    }
    return values;
  }

  @Test
  void shapesAreAsDocumentedForBothStems() {
    for (ModelConfig.Stem stem : ModelConfig.Stem.values()) {
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
          NasModel model = NasModel.create(config(stem), tokenizer);
          PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false)) {
        Network network = model.network();
        Tensor features = network.encodeImage(Torch.floats(ramp(2 * 3 * 256), 2, 3, 16, 16));
        assertThat(Torch.shape(features)).containsExactly(2, 17, 16);
        // Each image alone gives what it gives in a batch.
        Tensor second =
            network.encodeImage(
                Torch.floats(Arrays.copyOfRange(ramp(2 * 3 * 256), 768, 1536), 1, 3, 16, 16));
        assertThat(features.narrow(0, 1, 1).sub(second).abs().max().item_double()).isLessThan(1e-5);
      }
    }
  }

  @Test
  void paddingDoesNotReachACaptionsFeatures() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config(ModelConfig.Stem.PATCH), tokenizer)) {
      float[] alone = model.encodeText(List.of("red bar"))[0];
      float[] padded = model.encodeText(List.of("red bar", "blue frame left right"))[0];
      for (int i = 0; i < alone.length; i++) {
        assertThat(alone[i]).isCloseTo(padded[i], Offset.offset(1e-6f));
      }
    }
  }

  /** One BERT layer in plain float64, from its published definition. */
  @Test
  void theTextLayerIsBerts() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config(ModelConfig.Stem.PATCH), tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      // Biases and norms start at constants that would hide an error.
      for (var parameter : model.parameters().byName().entrySet()) {
        if (!parameter.getKey().equals("log_temperature")) {
          Tensor value = parameter.getValue();
          value.add_(
              Torch.floats(ramp((int) value.numel()), value.numel())
                  .view(Torch.shape(value))
                  .mul(new Scalar(0.1)));
        }
      }
      TokenizedCaptions tokens = tokenizer.encode(List.of("red bar left"));
      int length = tokens.length();
      int d = 16;
      Tensor ids = Torch.longs(tokens.ids(), 1, length);
      Tensor attentionMask = Torch.longs(tokens.mask(), 1, length).ne(new Scalar(0));
      float[] actual = Torch.toFloats(model.network().encodeText(ids, attentionMask));

      Reference reference = Reference.of(model, "", 1e-12);
      double[][] x = embedded(reference, "text_encoder.", tokens);
      bertLayer(reference, "text_encoder.encoder.layer.0.", x);
      for (int i = 0; i < length; i++) {
        for (int t = 0; t < d; t++) {
          assertThat((double) actual[i * d + t]).isCloseTo(x[i][t], Offset.offset(1e-5));
        }
      }
    }
  }

  /** The image encoder in plain float64, from weights in a file under their public names. */
  @Test
  void theImageEncoderIsAViT() throws IOException {
    PublicWeights weights = PublicWeights.vit("vit.", 2, 16, 4, 4, false);
    Path file = weights.write(folder.resolve("vit.safetensors"));
    Reference reference = new Reference(name -> weights.values.get("vit." + name), 1e-4);
    imageEncoderIs(reference, file);
  }

  /** The same from timm's names, of which queries, keys and values are one. */
  @ParameterizedTest
  @ValueSource(strings = {"", "backbone.", "model."})
  void theImageEncoderIsTimmsViT(String prefix) throws IOException {
    PublicWeights weights = new PublicWeights().timm(prefix, 2, 16, 4, 4, false);
    Path file = weights.write(folder.resolve("timm.safetensors"));
    imageEncoderIs(new Reference(name -> timm(weights, prefix, name), 1e-4), file);
  }

  /** Of a ViT under timm's names what HuggingFace's name stands for. */
  private static float[] timm(PublicWeights weights, String prefix, String name) {
    Matcher joined =
        Pattern.compile(
                "encoder\\.layer\\.(\\d+)\\.attention\\.attention\\.(query|key|value)\\.(.+)")
            .matcher(name);
    if (joined.matches()) {
      float[] all =
          weights.values.get(prefix + "blocks." + joined.group(1) + ".attn.qkv." + joined.group(3));
      int third = all.length / 3;
      int part = List.of("query", "key", "value").indexOf(joined.group(2));
      return Arrays.copyOfRange(all, part * third, (part + 1) * third);
    }
    String own =
        name.replace("embeddings.cls_token", "cls_token")
            .replace("embeddings.position_embeddings", "pos_embed")
            .replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
            .replace("encoder.layer.", "blocks.")
            .replace("layernorm_before", "norm1")
            .replace("layernorm_after", "norm2")
            .replace("attention.output.dense", "attn.proj")
            .replace("intermediate.dense", "mlp.fc1")
            .replace("output.dense", "mlp.fc2")
            .replace("layernorm", "norm");
    return weights.values.get(prefix + own);
  }

  private void imageEncoderIs(Reference reference, Path file) throws IOException {
    NasConfig two =
        NasConfig.fromJson(
            """
            {"model":{"imageSize":16,"patchSize":4,"width":16,"heads":2,"imageLayers":2,
            "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8,"imageNormEps":1e-4},
            "dictionary":{"codewords":40},"objective":{"queue":0}}
            """,
            "test");
    float[] pixels = ramp(2 * 3 * 256);
    float[] actual;
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(two, tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      var _ = model.importWeights(PretrainedWeights.none().withImage(file));
      actual = Torch.toFloats(model.network().encodeImage(Torch.floats(pixels, 2, 3, 16, 16)));
    }
    double worst = 0;
    for (int image = 0; image < 2; image++) {
      double[] own = new double[768];
      int from = 768 * image;
      Arrays.setAll(own, i -> pixels[from + i]);
      double[][] features = vit(reference, own, 2);
      for (int i = 0; i < 17; i++) {
        for (int t = 0; t < 16; t++) {
          worst = Math.max(worst, Math.abs(actual[(image * 17 + i) * 16 + t] - features[i][t]));
        }
      }
    }
    System.out.printf("ViT features, greatest difference from float64: %.2g%n", worst);
    assertThat(worst).isLessThanOrEqualTo(1e-5);
  }

  /** What a ViT of width 16 and 4 x 4 patches makes of the pixels of one image. */
  private static double[][] vit(Reference reference, double[] pixels, int layers) {
    double[][] x = new double[17][16];
    float[] kernel = reference.values("embeddings.patch_embeddings.projection.weight");
    float[] bias = reference.values("embeddings.patch_embeddings.projection.bias");
    for (int i = 0; i < 17; i++) {
      for (int t = 0; t < 16; t++) {
        double sum = i == 0 ? reference.at("embeddings.cls_token", 0, t, 16) : bias[t];
        for (int k = 0; i > 0 && k < 48; k++) {
          int y = (i - 1) / 4 * 4 + k % 16 / 4;
          int column = (i - 1) % 4 * 4 + k % 4;
          sum += kernel[t * 48 + k] * pixels[(k / 16 * 16 + y) * 16 + column];
        }
        x[i][t] = sum + reference.at("embeddings.position_embeddings", i, t, 16);
      }
    }
    for (int l = 0; l < layers; l++) {
      String layer = "encoder.layer." + l + ".";
      double[][] normed = new double[17][];
      for (int i = 0; i < 17; i++) {
        normed[i] = reference.norm(x[i], layer + "layernorm_before");
      }
      double[][] attended = reference.attention(normed, normed, layer + "attention.attention.", 2);
      for (int i = 0; i < 17; i++) {
        x[i] = Reference.sum(x[i], reference.dense(attended[i], layer + "attention.output.dense"));
        double[] hidden =
            reference.feedForward(reference.norm(x[i], layer + "layernorm_after"), layer);
        x[i] = Reference.sum(x[i], hidden);
      }
    }
    double[][] out = new double[17][];
    for (int i = 0; i < 17; i++) {
      out[i] = reference.norm(x[i], "layernorm");
    }
    return out;
  }

  /**
   * ALBEF's forward pass in plain float64 from its own names, for networks of one layer and more:
   * image, text and fusion features, embeddings, match logits, masked-language logits.
   */
  @ParameterizedTest
  @CsvSource({"1,1,1", "2,1,2", "3,2,1", "2,3,3"})
  void albefsWeightsComputeWhatAlbefComputes(int imageLayers, int textLayers, int fusionLayers)
      throws IOException {
    NasConfig config =
        config(ModelConfig.Stem.PATCH).toBuilder()
            .model(
                model ->
                    model
                        .imageLayers(imageLayers)
                        .textLayers(textLayers)
                        .fusionLayers(fusionLayers)
                        .fusionPositions(ModelConfig.FusionPositions.NONE))
            .build();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      PublicWeights weights =
          PublicWeights.albef(
              new int[] {imageLayers, textLayers + fusionLayers},
              textLayers,
              16,
              4,
              4,
              8,
              tokenizer.vocabularySize());
      Path file = Files.write(folder.resolve("albef.pth"), TorchFiles.stateDict(weights.entries()));
      WeightReport report = model.importWeights(PretrainedWeights.none().withModel(file));
      assertThat(report.missing()).isEmpty();
      assertThat(report.sources().getFirst().unexpected()).isEmpty();
      assertThat(model.temperature()).isCloseTo(0.07, Offset.offset(1e-7));
      Network network = model.network();
      Reference heads = new Reference(weights.values::get, 1e-12);

      // A pixel p of 0..1 is 2 p - 1 here, and (p - mean) / deviation in ALBEF.
      double[] mean = {0.48145466, 0.4578275, 0.40821073};
      double[] deviation = {0.26862954, 0.26130258, 0.27577711};
      float[] pixels = ramp(768);
      double[] albefs = new double[768];
      Arrays.setAll(albefs, i -> ((pixels[i] + 1.0) / 2 - mean[i / 256]) / deviation[i / 256]);
      double[][] seen =
          vit(
              new Reference(name -> timm(weights, "visual_encoder.", name), 1e-6),
              albefs,
              imageLayers);
      Tensor image = network.encodeImage(Torch.floats(pixels, 1, 3, 16, 16));
      near("image features", image, seen);
      near(
          "image embedding",
          network.projectImage(image.select(1, 0)),
          unit(heads.dense(seen[0], "vision_proj")));

      TokenizedCaptions tokens = tokenizer.encode(List.of("red bar left"));
      int length = tokens.length();
      Reference bert = new Reference(n -> weights.values.get("text_encoder.bert." + n), 1e-12);
      double[][] x = embedded(bert, "", tokens);
      for (int l = 0; l < textLayers; l++) {
        bertLayer(bert, "encoder.layer." + l + ".", x);
      }
      Tensor attentionMask = Torch.longs(tokens.mask(), 1, length).ne(new Scalar(0));
      Tensor text = network.encodeText(Torch.longs(tokens.ids(), 1, length), attentionMask);
      near("text features", text, x);
      near(
          "text embedding",
          network.projectText(text.select(1, 0)),
          unit(heads.dense(x[0], "text_proj")));

      for (int l = textLayers; l < textLayers + fusionLayers; l++) {
        String layer = "text_encoder.bert.encoder.layer." + l + ".";
        fuse(new Reference(name -> weights.values.get(layer + name), 1e-12), x, seen);
      }
      Tensor row = Torch.index(new int[] {0});
      Tensor fused =
          network.fuse(
              network.imageContext(network.fusionInput(image.select(1, 0), image.narrow(1, 1, 16))),
              row,
              network.captionContext(text, attentionMask),
              row);
      near("fusion features", fused, x);
      near("match logits", network.matchLogits(fused.select(1, 0)), heads.dense(x[0], "itm_head"));

      String head = "text_encoder.cls.predictions.";
      double[] hidden = heads.dense(x[1], head + "transform.dense");
      Arrays.setAll(hidden, t -> hidden[t] * 0.5 * (1 + Reference.erf(hidden[t] / Math.sqrt(2))));
      double[] normed = heads.norm(hidden, head + "transform.LayerNorm");
      double[] logits = new double[tokenizer.vocabularySize()];
      for (int token = 0; token < logits.length; token++) {
        logits[token] = heads.values(head + "bias")[token];
        for (int t = 0; t < 16; t++) {
          logits[token] += bert.at("embeddings.word_embeddings.weight", token, t, 16) * normed[t];
        }
      }
      near("masked-language logits", network.maskedLogits(fused.select(1, 1)), logits);
    }
  }

  private static void near(String what, Tensor actual, double[]... rows) {
    double[] expected = Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    float[] values = Torch.toFloats(actual);
    assertThat(values).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < values.length; i++) {
      worst = Math.max(worst, Math.abs(values[i] - expected[i]));
    }
    System.out.printf("%s, greatest difference from float64: %.2g%n", what, worst);
    assertThat(worst).as(what).isLessThanOrEqualTo(1e-5);
  }

  private static double[] unit(double[] x) {
    double length = Math.sqrt(Arrays.stream(x).map(v -> v * v).sum());
    return Arrays.stream(x).map(v -> v / length).toArray();
  }

  /** A BERT's embeddings of width 16 of one caption. */
  private static double[][] embedded(Reference reference, String prefix, TokenizedCaptions tokens) {
    double[][] x = new double[tokens.length()][16];
    for (int i = 0; i < x.length; i++) {
      for (int t = 0; t < 16; t++) {
        x[i][t] =
            reference.at(prefix + "embeddings.word_embeddings.weight", tokens.ids()[i], t, 16)
                + reference.at(prefix + "embeddings.position_embeddings.weight", i, t, 16)
                + reference.at(prefix + "embeddings.token_type_embeddings.weight", 0, t, 16);
      }
      x[i] = reference.norm(x[i], prefix + "embeddings.LayerNorm");
    }
    return x;
  }

  /** One of its layers: x becomes what comes of it. */
  private static void bertLayer(Reference reference, String layer, double[][] x) {
    double[][] attended = reference.attention(x, x, layer + "attention.self.", 2);
    for (int i = 0; i < x.length; i++) {
      double[] out = reference.dense(attended[i], layer + "attention.output.dense");
      x[i] = reference.norm(Reference.sum(x[i], out), layer + "attention.output.LayerNorm");
      x[i] =
          reference.norm(
              Reference.sum(x[i], reference.feedForward(x[i], layer)), layer + "output.LayerNorm");
    }
  }

  /** Fusion layers in plain float64: self-attention, attention to the image, feed-forward. */
  @Test
  void theFusionLayersAttendToTheImage() {
    for (int layers = 1; layers <= 3; layers++) {
      fusionIsThatOfFloat64(layers);
    }
  }

  private void fusionIsThatOfFloat64(int layers) {
    NasConfig config =
        config(ModelConfig.Stem.PATCH).toBuilder()
            .model(model -> model.fusionLayers(layers))
            .build();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      float[] all = ramp((int) model.parameters().count());
      for (int i = 0; i < all.length; i++) {
        all[i] *= 0.5f;
      }
      Torch.segment(model.parameters().values()).copyFrom(MemorySegment.ofArray(all));
      int length = 5;
      int[] kept = {3, 5, 1};
      int[] captionOf = {1, 0, 1, 2};
      int[] imageOf = {0, 1, 1, 0};
      float[] text = ramp(3 * length * 16);
      float[] image = Arrays.copyOfRange(ramp(1000), 300, 300 + 2 * 17 * 16);
      long[] mask = {1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0};
      Network network = model.network();
      Network.ImageContext images = network.imageContext(Torch.floats(image, 2, 17, 16));
      Network.CaptionContext captions =
          network.captionContext(
              Torch.floats(text, 3, length, 16), Torch.longs(mask, 3, length).ne(new Scalar(0)));
      Tensor imageRows = Torch.index(imageOf);
      Tensor captionRows = Torch.index(captionOf);
      float[] actual = Torch.toFloats(network.fuse(images, imageRows, captions, captionRows));
      float[] cls = Torch.toFloats(network.fuseCls(images, imageRows, captions, captionRows));
      double worst = 0;
      for (int row = 0; row < captionOf.length; row++) {
        int tokens = kept[captionOf[row]];
        double[][] x = rows(text, captionOf[row] * length, tokens);
        double[][] seen = rows(image, imageOf[row] * 17, 17);
        for (int layer = 0; layer < layers; layer++) {
          fuse(Reference.of(model, "fusion_encoder.encoder.layer." + layer + ".", 1e-12), x, seen);
        }
        for (int i = 0; i < length; i++) {
          for (int t = 0; t < 16; t++) {
            double expected = i < tokens ? x[i][t] : 0;
            worst = Math.max(worst, Math.abs(actual[(row * length + i) * 16 + t] - expected));
            if (i == 0) {
              worst = Math.max(worst, Math.abs(cls[row * 16 + t] - expected));
            }
          }
        }
      }
      System.out.printf(
          "fusion features of %d layers, greatest difference from float64: %.2g%n", layers, worst);
      assertThat(worst).isLessThanOrEqualTo(1e-5);
    }
  }

  /** One layer of them: x becomes what it has seen. */
  private static void fuse(Reference reference, double[][] x, double[][] seen) {
    fuse(reference, x, seen, (head, from, to, weight) -> weight);
  }

  private static void fuse(Reference reference, double[][] x, double[][] seen, Change change) {
    double[][] self = reference.attention(x, x, "attention.self.", 2);
    for (int i = 0; i < x.length; i++) {
      x[i] =
          reference.norm(
              Reference.sum(x[i], reference.dense(self[i], "attention.output.dense")),
              "attention.output.LayerNorm");
    }
    double[][] cross = reference.attention(x, seen, "crossattention.self.", 2, change);
    for (int i = 0; i < x.length; i++) {
      x[i] =
          reference.norm(
              Reference.sum(x[i], reference.dense(cross[i], "crossattention.output.dense")),
              "crossattention.output.LayerNorm");
      x[i] =
          reference.norm(Reference.sum(x[i], reference.feedForward(x[i], "")), "output.LayerNorm");
    }
  }

  /** Against finite differences in float64 of the match head's log-odds, at every weight. */
  @Test
  void relevanceIsTheWeightTimesWhatItAddsToTheMatch() {
    NasConfig config =
        config(ModelConfig.Stem.PATCH).toBuilder().model(model -> model.fusionLayers(3)).build();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Random random = new Random(11);
      float[] all = new float[(int) model.parameters().count()];
      for (int i = 0; i < all.length; i++) {
        all[i] = (float) (0.4 * random.nextGaussian());
      }
      Torch.segment(model.parameters().values()).copyFrom(MemorySegment.ofArray(all));
      float[] text = ramp(4 * 16);
      float[] image = Arrays.copyOfRange(ramp(1000), 300, 300 + 17 * 16);
      double[][] seen = rows(image, 0, 17);
      Reference head = Reference.of(model, "", 0).held();
      List<Reference> layers = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        layers.add(Reference.of(model, "fusion_encoder.encoder.layer." + i + ".", 1e-12).held());
      }
      for (int layer = 0; layer < 3; layer++) {
        float[] actual =
            Torch.toFloats(
                model
                    .network()
                    .relevance(
                        Torch.floats(image, 1, 17, 16),
                        Torch.floats(text, 1, 4, 16),
                        Torch.longs(new long[] {1, 1, 1, 1}, 1, 4).ne(new Scalar(0)),
                        layer));
        double greatest = 0;
        double worst = 0;
        for (int from = 0; from < 4; from++) {
          for (int to = 0; to < 17; to++) {
            double expected = 0;
            for (int h = 0; h < 2; h++) {
              double[] weight = new double[1];
              double slope =
                  (logOdds(head, layers, text, seen, layer, new int[] {h, from, to}, 1e-5, weight)
                          - logOdds(
                              head,
                              layers,
                              text,
                              seen,
                              layer,
                              new int[] {h, from, to},
                              -1e-5,
                              weight))
                      / 2e-5;
              expected += weight[0] * Math.max(0, slope) / 2;
            }
            greatest = Math.max(greatest, expected);
            worst = Math.max(worst, Math.abs(actual[from * 17 + to] - expected));
          }
        }
        assertThat(greatest).as("layer %d", layer).isGreaterThan(1e-4);
        // Float32 through three layers.
        assertThat(worst).as("layer %d", layer).isLessThan(1e-4 * greatest);
        if (layer == 2) {
          assertThat(Arrays.copyOfRange(actual, 17, 4 * 17)).containsOnly(0);
        }
      }
      assertThat(model.parameters().gradients().abs().max().item_double()).isZero();
    }
  }

  /** The log-odds of a match with one cross-attention weight of a layer changed by a little. */
  private static double logOdds(
      Reference head,
      List<Reference> layers,
      float[] text,
      double[][] seen,
      int changed,
      int[] place,
      double by,
      double[] weight) {
    double[][] x = rows(text, 0, 4);
    for (int i = 0; i < layers.size(); i++) {
      boolean here = i == changed;
      fuse(
          layers.get(i),
          x,
          seen,
          (h, from, to, own) -> {
            if (!here || h != place[0] || from != place[1] || to != place[2]) {
              return own;
            }
            weight[0] = own;
            return own + by;
          });
    }
    double[] logits = head.dense(x[0], "match_head");
    return logits[1] - logits[0];
  }

  @Test
  void codeLogitsAreScaledCosines() throws IOException {
    NasConfig config =
        NasConfig.fromJson(
            config(ModelConfig.Stem.PATCH)
                .toJson()
                .replaceFirst("(\"mvmWeight\" *: *)[0-9.]+", "$11.0"),
            "test");
    assertThat(config.objective().mvmWeight()).isEqualTo(1);
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      float[] cls = ramp(3 * 16);
      float[] codewords = Arrays.copyOfRange(ramp(200), 48, 48 + 5 * 16);
      float[] actual =
          Torch.toFloats(
              model.network().codeLogits(Torch.floats(cls, 3, 16), Torch.floats(codewords, 5, 16)));
      Reference reference = Reference.of(model, "", 0);
      for (int row = 0; row < 3; row++) {
        double[] mapped = reference.dense(rows(cls, row, 1)[0], "mvm_head");
        for (int j = 0; j < 5; j++) {
          double[] codeword = rows(codewords, j, 1)[0];
          double dot = 0;
          double a = 0;
          double b = 0;
          for (int t = 0; t < 16; t++) {
            dot += mapped[t] * codeword[t];
            a += mapped[t] * mapped[t];
            b += codeword[t] * codeword[t];
          }
          assertThat((double) actual[row * 5 + j])
              .isCloseTo(dot / Math.sqrt(a * b) / 0.1, Offset.offset(1e-5));
        }
      }
      float[] tokens = ramp(2 * 16);
      float[] masked =
          Torch.toFloats(
              model
                  .network()
                  .maskTokens(
                      Torch.floats(tokens, 1, 2, 16),
                      Torch.longs(new long[] {0, 1}, 1, 2).ne(new Scalar(0))));
      assertThat(Arrays.copyOf(masked, 16)).isEqualTo(Arrays.copyOf(tokens, 16));
      assertThat(Arrays.copyOfRange(masked, 16, 32)).isEqualTo(reference.values("mvm_mask_token"));
    }
  }

  private static double[][] rows(float[] values, int from, int count) {
    double[][] out = new double[count][16];
    for (int i = 0; i < count; i++) {
      for (int t = 0; t < 16; t++) {
        out[i][t] = values[(from + i) * 16 + t];
      }
    }
    return out;
  }

  /** What becomes of an attention weight. */
  private interface Change {
    double changed(int head, int from, int to, double weight);
  }

  /** Layer arithmetic in plain Java and float64. */
  private record Reference(Function<String, float[]> weights, double eps) {
    /** Over the model's own parameters, whose names begin so. */
    static Reference of(NasModel model, String prefix, double eps) {
      return new Reference(
          name -> Torch.toFloats(model.parameters().byName().get(prefix + name)), eps);
    }

    float[] values(String name) {
      return weights.apply(name);
    }

    /** The same, each parameter read once. */
    Reference held() {
      Map<String, float[]> read = new HashMap<>();
      return new Reference(name -> read.computeIfAbsent(name, weights), eps);
    }

    double[] feedForward(double[] x, String layer) {
      double[] hidden = dense(x, layer + "intermediate.dense");
      for (int t = 0; t < hidden.length; t++) {
        hidden[t] *= 0.5 * (1 + erf(hidden[t] / Math.sqrt(2)));
      }
      return dense(hidden, layer + "output.dense");
    }

    double at(String name, long row, int column, int width) {
      return values(name)[(int) row * width + column];
    }

    static double[] sum(double[] a, double[] b) {
      double[] out = new double[a.length];
      Arrays.setAll(out, i -> a[i] + b[i]);
      return out;
    }

    double[] dense(double[] x, String name) {
      float[] weight = values(name + ".weight");
      float[] bias = values(name + ".bias");
      double[] out = new double[bias.length];
      for (int o = 0; o < out.length; o++) {
        out[o] = bias[o];
        for (int i = 0; i < x.length; i++) {
          out[o] += (double) weight[o * x.length + i] * x[i];
        }
      }
      return out;
    }

    double[] norm(double[] x, String name) {
      double mean = Arrays.stream(x).average().orElse(0);
      double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElse(0);
      float[] weight = values(name + ".weight");
      float[] bias = values(name + ".bias");
      double[] out = new double[x.length];
      Arrays.setAll(out, i -> (x[i] - mean) / Math.sqrt(variance + eps) * weight[i] + bias[i]);
      return out;
    }

    /** Of tokens x to tokens y. */
    double[][] attention(double[][] x, double[][] y, String prefix, int heads) {
      return attention(x, y, prefix, heads, (head, from, to, weight) -> weight);
    }

    /** The same with weights that are told, and changed, before they are used. */
    double[][] attention(double[][] x, double[][] y, String prefix, int heads, Change change) {
      int length = x.length;
      int d = x[0].length;
      int each = d / heads;
      double[][] q = new double[length][];
      double[][] k = new double[y.length][];
      double[][] v = new double[y.length][];
      for (int i = 0; i < length; i++) {
        q[i] = dense(x[i], prefix + "query");
      }
      for (int j = 0; j < y.length; j++) {
        k[j] = dense(y[j], prefix + "key");
        v[j] = dense(y[j], prefix + "value");
      }
      double[][] out = new double[length][d];
      for (int h = 0; h < heads; h++) {
        for (int i = 0; i < length; i++) {
          double[] weights = new double[y.length];
          double total = 0;
          for (int j = 0; j < y.length; j++) {
            double dot = 0;
            for (int t = h * each; t < (h + 1) * each; t++) {
              dot += q[i][t] * k[j][t];
            }
            weights[j] = Math.exp(dot / Math.sqrt(each));
            total += weights[j];
          }
          for (int j = 0; j < y.length; j++) {
            double weight = change.changed(h, i, j, weights[j] / total);
            for (int t = h * each; t < (h + 1) * each; t++) {
              out[i][t] += weight * v[j][t];
            }
          }
        }
      }
      return out;
    }

    /** erf by its Maclaurin series, exact to float64 for the small arguments here. */
    static double erf(double x) {
      double sum = 0;
      double term = x;
      for (int n = 0; n < 80; n++) {
        sum += term / (2 * n + 1);
        term *= -x * x / (n + 1);
      }
      return 2 / Math.sqrt(Math.PI) * sum;
    }
  }
}
