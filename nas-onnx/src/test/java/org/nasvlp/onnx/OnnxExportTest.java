package org.nasvlp.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnxruntime.OrtException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

/** ONNX Runtime computes of the graphs what LibTorch does of the model. */
class OnnxExportTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");
  private static final int PICTURES = 64;
  private static final double CLOSE = 1e-4;

  private static final List<String> CAPTIONS =
      List.of(
          "grinning face",
          "a woman running to the left, medium-dark skin tone",
          "Apple",
          "man: blond hair and a very long beard, beside another man with red hair and no beard",
          "?!");

  /** Each differs from the first in what the graphs must take over. */
  private static final String PATCH =
      """
      {"model":{"imageSize":32,"patchSize":8,"width":32,"heads":4,"imageLayers":2,"textLayers":2,
      "fusionLayers":2,"projection":12,"textTokens":16},
      "dictionary":{"codewords":48},"objective":{"queue":0}}
      """;

  private static final String QUANTIZED =
      """
      {"model":{"imageSize":32,"patchSize":8,"width":32,"heads":4,"imageLayers":2,"textLayers":2,
      "fusionLayers":2,"projection":12,"textTokens":16,"fusionInput":"QUANTIZED"},
      "dictionary":{"codewords":48},"objective":{"queue":0}}
      """;

  private static final String CONVOLUTION =
      """
      {"model":{"imageSize":48,"patchSize":8,"stem":"CONVOLUTION","width":40,"heads":5,
      "imageLayers":1,"textLayers":2,"fusionLayers":3,"projection":40,"textTokens":12},
      "dictionary":{"codewords":48},"objective":{"queue":0,"mvmWeight":1}}
      """;

  private static final String ONE_LAYER =
      """
      {"model":{"imageSize":16,"patchSize":2,"stem":"CONVOLUTION","width":8,"heads":1,
      "imageLayers":1,"textLayers":1,"fusionLayers":1,"projection":1,"textTokens":4,
      "fusionInput":"QUANTIZED"},
      "dictionary":{"codewords":48},"objective":{"queue":0}}
      """;

  private static final String ONE_TOKEN_LARGE_EPSILON =
      """
      {"model":{"imageSize":20,"patchSize":20,"width":16,"heads":2,"imageLayers":3,"textLayers":1,
      "fusionLayers":2,"projection":8,"textTokens":30,"imageNormEps":0.01,"textNormEps":0.005},
      "dictionary":{"codewords":48},"objective":{"queue":0}}
      """;

  private static final String WITHOUT_POSITIONS =
      """
      {"model":{"imageSize":16,"patchSize":8,"width":16,"heads":2,"imageLayers":1,"textLayers":1,
      "fusionLayers":2,"projection":8,"textTokens":8,"fusionPositions":"NONE"},
      "dictionary":{"codewords":48},"objective":{"queue":0}}
      """;

  private static final String PRESET = "{\"preset\":\"emoji\"}";

  private static List<RgbImage> pictures;

  @TempDir Path folder;

  @BeforeAll
  static void read() throws IOException, BadSampleException {
    try (ImageTextDataset emoji = ImageTextDataset.open(EMOJI.resolve("test.tar"), 0xFFFFFF)) {
      pictures = new java.util.ArrayList<>();
      for (int i = 0; i < PICTURES; i++) {
        pictures.add(emoji.get(i * 7L % emoji.size()).image());
      }
    }
  }

  /** A model none of whose numbers is 0 or 1, with a dictionary of its own patch tokens. */
  private static NasModel model(String json, CaptionTokenizer tokenizer) {
    NasModel model = NasModel.create(NasConfig.fromJson(json, "test"), tokenizer);
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor values = model.parameters().values();
      float[] noise = new float[(int) values.numel()];
      java.util.Random random = new java.util.Random(5);
      for (int i = 0; i < noise.length; i++) {
        noise[i] = (float) (0.1 * random.nextGaussian());
      }
      values.add_(Torch.floats(noise, noise.length));
      Tensor features = features(model, pictures);
      long tokens = model.config().model().patchTokens();
      model.startDictionary(Torch.toFloats(features.narrow(1, 1, tokens)));
    }
    return model;
  }

  private static CaptionTokenizer tokenizer(int length) throws IOException {
    return CaptionTokenizer.load(EMOJI.resolve("tokenizer.json"), length);
  }

  private static float[] pixels(NasModel model, List<RgbImage> images) {
    int size = model.config().model().imageSize();
    int each = 3 * size * size;
    float[] pixels = new float[images.size() * each];
    for (int i = 0; i < images.size(); i++) {
      ImageTransform.evaluation(size).apply(images.get(i), "", 0, 0, 0, pixels, i * each);
    }
    return pixels;
  }

  private static Tensor features(NasModel model, List<RgbImage> images) {
    long size = model.config().model().imageSize();
    Tensor pixels = Torch.floats(pixels(model, images), images.size(), 3, size, size);
    return model.network().encodeImage(pixels);
  }

  /** What the model's own fusion encoder is given of images. */
  private static float[] fusionInput(NasModel model, List<RgbImage> images) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor features = features(model, images);
      Tensor tokens = features.narrow(1, 1, features.size(1) - 1).contiguous();
      if (model.config().model().fusionInput() == FusionInput.QUANTIZED) {
        tokens = model.dictionary().quantize(tokens, model.dictionary().lookup(tokens));
      }
      return Torch.toFloats(model.network().fusionInput(features.select(1, 0), tokens));
    }
  }

  private static float[] textFeatures(NasModel model, TokenizedCaptions tokens) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor ids = Torch.longs(tokens.ids(), tokens.rows(), tokens.length());
      Tensor mask = Torch.longs(tokens.mask(), tokens.rows(), tokens.length());
      return Torch.toFloats(model.network().encodeText(ids, mask.ne(new Scalar(0))));
    }
  }

  private static float[] flat(float[][] rows) {
    float[] all = new float[rows.length * rows[0].length];
    for (int i = 0; i < rows.length; i++) {
      System.arraycopy(rows[i], 0, all, i * rows[0].length, rows[0].length);
    }
    return all;
  }

  /** The greatest difference, all of which must be small. */
  private static double same(String what, float[] actual, float[] expected) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      assertThat(difference).as("%s [%d]", what, i).isLessThanOrEqualTo(CLOSE);
      worst = Math.max(worst, difference);
    }
    return worst;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        PATCH,
        QUANTIZED,
        CONVOLUTION,
        ONE_LAYER,
        ONE_TOKEN_LARGE_EPSILON,
        WITHOUT_POSITIONS,
        PRESET
      })
  void onnxRuntimeGivesWhatLibTorchGives(String json) throws IOException, OrtException {
    int length = NasConfig.fromJson(json, "test").model().textTokens();
    try (CaptionTokenizer tokenizer = tokenizer(length);
        NasModel model = model(json, tokenizer)) {
      OnnxExport.write(model, folder.resolve("onnx"));
      try (Exported onnx = new Exported(folder.resolve("onnx"))) {
        double worst = images(model, onnx, pictures.subList(0, 1));
        worst = Math.max(worst, images(model, onnx, pictures.subList(1, 4)));
        worst = Math.max(worst, texts(model, onnx, CAPTIONS));
        worst = Math.max(worst, texts(model, onnx, CAPTIONS.subList(2, 3)));
        // One image with several captions, several with one, as many of both.
        worst = Math.max(worst, pairs(model, onnx, pictures.subList(0, 1), CAPTIONS));
        worst = Math.max(worst, pairs(model, onnx, pictures.subList(2, 5), List.of("apple")));
        worst = Math.max(worst, pairs(model, onnx, pictures.subList(5, 10), CAPTIONS));
        System.out.printf("ONNX Runtime beside LibTorch, greatest difference: %.2g%n", worst);
      }
    }
  }

  private static double images(NasModel model, Exported onnx, List<RgbImage> images)
      throws OrtException {
    long count = images.size();
    long patches = model.config().model().patchTokens();
    int size = model.config().model().imageSize();
    var out = onnx.image(pixels(model, images), count, size);
    assertThat(out.get("embedding").shape())
        .containsExactly(count, model.config().model().projection());
    assertThat(out.get("image_tokens").shape())
        .containsExactly(count, 1 + patches, model.config().model().width());
    assertThat(out.get("codes").shape()).containsExactly(count, patches);
    // No patch token of these pictures lies so near to the middle of two codewords that rounding
    // could decide.
    float[] codes = out.get("codes").values();
    int[] found = IntStream.range(0, codes.length).map(i -> (int) codes[i]).toArray();
    assertThat(found)
        .isEqualTo(Stream.of(model.codes(images)).flatMapToInt(Arrays::stream).toArray());
    return Math.max(
        same("embedding", out.get("embedding").values(), flat(model.encodeImage(images))),
        same("image_tokens", out.get("image_tokens").values(), fusionInput(model, images)));
  }

  private static double texts(NasModel model, Exported onnx, List<String> captions)
      throws OrtException {
    TokenizedCaptions tokens = model.tokenizer().encode(captions);
    var out = onnx.text(tokens);
    assertThat(out.get("text_states").shape())
        .containsExactly(tokens.rows(), tokens.length(), model.config().model().width());
    return Math.max(
        same("embedding", out.get("embedding").values(), flat(model.encodeText(captions))),
        same("text_states", out.get("text_states").values(), textFeatures(model, tokens)));
  }

  private static double pairs(
      NasModel model, Exported onnx, List<RgbImage> images, List<String> captions)
      throws OrtException {
    int size = model.config().model().imageSize();
    TokenizedCaptions tokens = model.tokenizer().encode(captions);
    var out =
        onnx.match(
            onnx.image(pixels(model, images), images.size(), size).get("image_tokens"),
            onnx.text(tokens).get("text_states"),
            tokens);
    int count = Math.max(images.size(), captions.size());
    assertThat(out.get("probability").shape()).containsExactly(count);
    double[][] match = model.match(images, captions);
    float[] expected = new float[count];
    float[] logits = new float[count];
    for (int i = 0; i < count; i++) {
      double p = match[i % images.size()][i % captions.size()];
      expected[i] = (float) p;
      logits[i] = (float) Math.log(p / (1 - p));
    }
    return Math.max(
        same("probability", out.get("probability").values(), expected),
        same("logit", out.get("logit").values(), logits));
  }

  /** What a caption is beside others, of whatever length, changes nothing of it. */
  @Test
  void paddingIsNotSeen() throws IOException, OrtException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = model(PATCH, tokenizer)) {
      OnnxExport.write(model, folder.resolve("onnx"));
      try (Exported onnx = new Exported(folder.resolve("onnx"))) {
        TokenizedCaptions alone = tokenizer.encode(List.of("a red apple"));
        TokenizedCaptions padded = alone.padTo(16, tokenizer.padId());
        // Where there is no token any id may stand.
        long[] ids = padded.ids().clone();
        Arrays.fill(ids, alone.length(), 16, 77);
        padded = new TokenizedCaptions(1, 16, ids, padded.mask(), 0);
        var image = onnx.image(pixels(model, pictures.subList(0, 1)), 1, 32).get("image_tokens");
        var one = onnx.text(alone);
        var other = onnx.text(padded);
        same("embedding", other.get("embedding").values(), one.get("embedding").values());
        float[] states = other.get("text_states").values();
        for (int i = alone.length() * 32; i < states.length; i++) {
          assertThat(states[i]).isZero();
        }
        same(
            "logit",
            onnx.match(image, other.get("text_states"), padded).get("logit").values(),
            onnx.match(image, one.get("text_states"), alone).get("logit").values());
      }
    }
  }

  @Test
  void aLongerCaptionThanTheModelsIsRefused() throws IOException, OrtException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = model(PATCH, tokenizer)) {
      OnnxExport.write(model, folder.resolve("onnx"));
      try (Exported onnx = new Exported(folder.resolve("onnx"))) {
        TokenizedCaptions long17 = tokenizer.encode(List.of("apple")).padTo(17, 0);
        assertThatThrownBy(() -> onnx.text(long17))
            .isInstanceOf(OrtException.class)
            .hasMessageContaining("text_encoder.embeddings.placed");
      }
    }
  }

  @Test
  void theFilesSayWhatTheyAre() throws IOException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = model(PATCH, tokenizer)) {
      OnnxExport.Written written = OnnxExport.write(model, folder.resolve("onnx"));
      assertThat(written.files()).allSatisfy(file -> assertThat(file).isRegularFile());
      try (Stream<Path> all = Files.list(folder)) {
        assertThat(all).containsExactly(folder.resolve("onnx"));
      }
      assertThat(written.tokenizer()).hasContent(tokenizer.json());
      TreeSet<String> own = new TreeSet<>(model.parameters().byName().keySet());
      TreeSet<String> left = new TreeSet<>(own);
      for (Path file : written.files().subList(0, 3)) {
        ModelProto onnx;
        try (InputStream in = Files.newInputStream(file)) {
          onnx = ModelProto.parseFrom(in);
        }
        assertThat(onnx.getOpsetImportList()).hasSize(1);
        assertThat(onnx.getOpsetImport(0).getVersion()).isEqualTo(17);
        Map<String, String> metadata = new java.util.HashMap<>();
        onnx.getMetadataPropsList()
            .forEach(entry -> metadata.put(entry.getKey(), entry.getValue()));
        assertThat(metadata)
            .containsEntry("image_size", "32")
            .containsEntry("mean", "0.5,0.5,0.5")
            .containsEntry("std", "0.5,0.5,0.5")
            .containsEntry("background", "#FFFFFF")
            .containsEntry("caption_length", "16")
            .containsEntry("pad_id", Integer.toString(tokenizer.padId()))
            .containsEntry("cls_id", Integer.toString(tokenizer.clsId()))
            .containsEntry("sep_id", Integer.toString(tokenizer.sepId()))
            .containsEntry("temperature", Double.toString(model.temperature()))
            .containsEntry("fingerprint", model.fingerprint());
        assertThat(NasConfig.fromJson(metadata.get("config"), "metadata"))
            .isEqualTo(model.config());
        for (TensorProto tensor : onnx.getGraph().getInitializerList()) {
          left.remove(tensor.getName().replace(".transposed", ""));
        }
      }
      // What is not for asking a model, but for training it.
      assertThat(left)
          .allMatch(name -> name.startsWith("mlm_head.") || name.equals("log_temperature"));
    }
  }

  @Test
  void aFolderWithSomethingInItStaysAsItIs() throws IOException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = model(PATCH, tokenizer)) {
      Path full = Files.createDirectory(folder.resolve("full"));
      Files.writeString(full.resolve("kept"), "kept");
      assertThatThrownBy(() -> OnnxExport.write(model, full))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessageContainingAll("full", "not empty", "name another");
      assertThatThrownBy(() -> OnnxExport.write(model, full.resolve("kept")))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessageContaining("kept");
      assertThat(full.resolve("kept")).hasContent("kept");
      // A file cannot have a folder in it.
      assertThatThrownBy(() -> OnnxExport.write(model, full.resolve("kept/onnx")))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("kept");
      Path empty = Files.createDirectory(folder.resolve("empty"));
      assertThat(OnnxExport.write(model, empty).matcher()).hasParent(empty).exists();
    }
  }

  @Test
  void whatNoFileCouldHoldIsRefused() throws IOException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = model(PATCH, tokenizer)) {
      Path target = folder.resolve("onnx");
      assertThatThrownBy(() -> OnnxExport.write(model, target, 100_000))
          .isInstanceOf(IOException.class)
          .hasMessageContainingAll("encoder.onnx would have", "100000", "--out FILE");
      try (Stream<Path> all = Files.list(folder)) {
        assertThat(all).isEmpty();
      }
    }
  }

  @Test
  void aModelWithoutDictionaryIsRefused() throws IOException {
    try (CaptionTokenizer tokenizer = tokenizer(16);
        NasModel model = NasModel.create(NasConfig.fromJson(PATCH, "test"), tokenizer)) {
      assertThatThrownBy(() -> OnnxExport.write(model, folder.resolve("onnx")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("dictionary has not been started");
      try (Stream<Path> all = Files.list(folder)) {
        assertThat(all).isEmpty();
      }
    }
  }
}
