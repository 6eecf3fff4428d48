package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TorchFiles;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class PretrainedWeightsTest {
  private static final int D = 16;
  private static final int GRID = 4;
  private static final int TOKENS = 8;

  @TempDir Path folder;
  private CaptionTokenizer tokenizer;
  private NasModel model;

  private static NasConfig config() {
    return NasConfig.fromJson(
        """
        {"model":{"imageSize":16,"patchSize":4,"width":16,"heads":2,"imageLayers":2,
        "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8},
        "dictionary":{"codewords":40},"objective":{"queue":0}}
        """,
        "test");
  }

  @BeforeEach
  void open() {
    tokenizer = Shapes.tokenizer(folder, TOKENS);
    model = NasModel.create(config(), tokenizer);
  }

  @AfterEach
  void close() {
    model.close();
    tokenizer.close();
  }

  private float[] parameter(String name) {
    return Torch.toFloats(model.parameters().byName().get(name));
  }

  private static PublicWeights vit(int grid) {
    return PublicWeights.vit("vit.", 2, D, 4, grid, false);
  }

  private PublicWeights bert() {
    return PublicWeights.bert("bert.", 3, D, tokenizer.vocabularySize(), 12, false);
  }

  @ParameterizedTest
  @ValueSource(strings = {"vit.", "deit.", ""})
  void imageWeightsReachTheImageEncoder(String prefix) throws IOException {
    PublicWeights weights = PublicWeights.vit(prefix, 3, D, 4, GRID, false);
    Path file = weights.write(folder.resolve("vit.safetensors"));
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(file));
    WeightReport.Source source = report.sources().getFirst();
    List<String> loaded =
        model.parameters().byName().keySet().stream()
            .filter(name -> name.startsWith("image_encoder."))
            .toList();
    assertThat(source.loaded()).containsExactlyInAnyOrderElementsOf(loaded);
    for (String name : loaded) {
      assertThat(parameter(name))
          .as(name)
          .containsExactly(weights.values.get(prefix + name.substring("image_encoder.".length())));
    }
    assertThat(source.resized()).isEmpty();
    // The third layer has no place in the model; every tensor is accounted for.
    assertThat(source.unexpected())
        .contains("classifier.weight", prefix + "encoder.layer.2.output.dense.bias");
    assertThat(source.loaded().size() + source.unexpected().size())
        .isEqualTo(weights.values.size());
    assertThat(report.missing()).contains("match_head.weight").doesNotContainAnyElementsOf(loaded);
    assertThat(report.missing().size() + loaded.size())
        .isEqualTo(model.parameters().byName().size());
    assertThat(source.notes()).anyMatch(note -> note.contains("no config.json"));
    assertThat(report.text())
        .contains(loaded.size() + " parameters loaded", "unexpected, not used: 18 tensors")
        .contains("fusion_encoder.encoder.layer.*.crossattention.self.query.weight");
  }

  @Test
  void distillationTokenIsLeftOutAndTold() throws IOException {
    PublicWeights weights = PublicWeights.vit("deit.", 2, D, 4, GRID, true);
    Path file = weights.write(folder.resolve("deit.safetensors"));
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(file));
    float[] given = weights.values.get("deit.embeddings.position_embeddings");
    float[] loaded = parameter("image_encoder.embeddings.position_embeddings");
    assertThat(Arrays.copyOf(loaded, D)).containsExactly(Arrays.copyOf(given, D));
    assertThat(Arrays.copyOfRange(loaded, D, loaded.length))
        .containsExactly(Arrays.copyOfRange(given, 2 * D, given.length));
    WeightReport.Source source = report.sources().getFirst();
    assertThat(source.unexpected()).contains("deit.embeddings.distillation_token");
    assertThat(source.notes()).anyMatch(note -> note.contains("distillation"));
    assertThat(source.resized()).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 6})
  void positionsAreInterpolatedBicubically(int grid) throws IOException {
    PublicWeights weights = vit(grid);
    Path file = weights.write(folder.resolve("vit.safetensors"));
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(file));
    float[] given = weights.values.get("vit.embeddings.position_embeddings");
    float[] loaded = parameter("image_encoder.embeddings.position_embeddings");
    assertThat(Arrays.copyOf(loaded, D)).containsExactly(Arrays.copyOf(given, D));
    for (int y = 0; y < GRID; y++) {
      for (int x = 0; x < GRID; x++) {
        for (int t = 0; t < D; t++) {
          double expected = 0;
          double[] wy = new double[grid];
          double[] wx = new double[grid];
          cubic(y, grid, wy);
          cubic(x, grid, wx);
          for (int i = 0; i < grid; i++) {
            for (int j = 0; j < grid; j++) {
              expected += wy[i] * wx[j] * given[(1 + i * grid + j) * D + t];
            }
          }
          assertThat((double) loaded[(1 + y * GRID + x) * D + t])
              .isCloseTo(expected, Offset.offset(1e-6));
        }
      }
    }
    assertThat(report.sources().getFirst().resized())
        .singleElement()
        .satisfies(
            resized -> {
              assertThat(resized.from()).containsExactly(1L, 1L + (long) grid * grid, (long) D);
              assertThat(resized.how()).contains("bicubic");
            });
  }

  /** Keys' cubic convolution (a = -0.75), corners not aligned, edges repeated. */
  private static void cubic(int to, int size, double[] weights) {
    double at = (to + 0.5) * size / GRID - 0.5;
    int base = (int) Math.floor(at);
    for (int k = -1; k <= 2; k++) {
      double x = Math.abs(at - (base + k));
      double a = -0.75;
      double w =
          x <= 1
              ? (a + 2) * x * x * x - (a + 3) * x * x + 1
              : a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a;
      weights[Math.clamp(base + k, 0, size - 1)] += w;
    }
  }

  @ParameterizedTest
  @CsvSource({"bert.,false", "bert.,true", "'',false"})
  void textWeightsReachTextAndFusionEncoder(String prefix, boolean old) throws IOException {
    PublicWeights weights = PublicWeights.bert(prefix, 3, D, tokenizer.vocabularySize(), 12, old);
    Path file = weights.write(folder.resolve("text").resolve("bert.safetensors"));
    WeightReport report = model.importWeights(PretrainedWeights.none().withText(file));
    Map<String, String> expected = new LinkedHashMap<>();
    for (String name : weights.values.keySet()) {
      String plain = name.startsWith(prefix) ? name.substring(prefix.length()) : name;
      plain = plain.replace("LayerNorm.gamma", "LayerNorm.weight");
      plain = plain.replace("LayerNorm.beta", "LayerNorm.bias");
      if (plain.startsWith("embeddings.") || plain.startsWith("encoder.layer.0.")) {
        expected.put("text_encoder." + plain, name);
      } else if (plain.startsWith("encoder.layer.1.")) {
        expected.put("fusion_encoder." + plain.replace("layer.1.", "layer.0."), name);
      } else if (plain.startsWith("cls.predictions.")) {
        expected.put(plain.replace("cls.predictions.", "mlm_head."), name);
      }
    }
    WeightReport.Source source = report.sources().getFirst();
    assertThat(source.loaded()).containsExactlyInAnyOrderElementsOf(expected.keySet());
    expected.forEach(
        (parameter, name) -> {
          float[] loaded = parameter(parameter);
          assertThat(loaded)
              .as(parameter)
              .containsExactly(Arrays.copyOf(weights.values.get(name), loaded.length));
        });
    assertThat(source.unexpected())
        .contains(prefix + "pooler.dense.weight", prefix + "encoder.layer.2.output.dense.bias");
    assertThat(source.resized())
        .extracting(WeightReport.Resized::parameter)
        .containsExactly("text_encoder.embeddings.position_embeddings.weight");
    assertThat(report.missing())
        .contains("fusion_encoder.encoder.layer.0.crossattention.self.query.weight")
        .doesNotContain("fusion_encoder.encoder.layer.0.attention.self.query.weight");
    assertThat(source.notes()).anyMatch(note -> note.contains("no vocab.txt"));
  }

  @Test
  void wordsAreMatchedByTokenWhereTheVocabulariesDiffer() throws IOException {
    List<String> tokens = new ArrayList<>(tokenizer.vocabulary().keySet());
    Collections.sort(tokens);
    tokens.remove("cross");
    Collections.shuffle(tokens, new Random(3));
    tokens.add(2, "[unused7]");
    tokens.add("zebra");
    PublicWeights weights = PublicWeights.bert("bert.", 2, D, tokens.size() + 3, 12, false);
    Path file = weights.write(folder.resolve("bert").resolve("model.safetensors"));
    Files.write(file.resolveSibling("vocab.txt"), tokens);
    String words = "text_encoder.embeddings.word_embeddings.weight";
    float[] before = parameter(words);
    WeightReport report = model.importWeights(PretrainedWeights.none().withText(file.getParent()));
    float[] after = parameter(words);
    float[] bias = parameter("mlm_head.bias");
    tokenizer
        .vocabulary()
        .forEach(
            (token, id) -> {
              int row = tokens.indexOf(token);
              float[] expected =
                  row < 0
                      ? Arrays.copyOfRange(before, id * D, id * D + D)
                      : Arrays.copyOfRange(
                          weights.values.get("bert.embeddings.word_embeddings.weight"),
                          row * D,
                          row * D + D);
              assertThat(Arrays.copyOfRange(after, id * D, id * D + D))
                  .as(token)
                  .containsExactly(expected);
              assertThat(bias[id])
                  .isEqualTo(row < 0 ? 0f : weights.values.get("cls.predictions.bias")[row]);
            });
    assertThat(report.sources().getFirst().notes())
        .anyMatch(note -> note.contains("1 of the tokenizer's") && note.contains("cross"));
    assertThat(report.sources().getFirst().resized())
        .extracting(WeightReport.Resized::parameter)
        .contains(words, "mlm_head.bias");
  }

  @Test
  void halvesAndDoublesAreReadAsFloats() throws IOException {
    PublicWeights weights = vit(GRID);
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>(weights.entries());
    Map<String, float[]> expected = new LinkedHashMap<>();
    Safetensors.Type[] types = {
      Safetensors.Type.F16, Safetensors.Type.BF16, Safetensors.Type.F64, Safetensors.Type.F32
    };
    int k = 0;
    for (String name : List.copyOf(entries.keySet())) {
      Safetensors.Type type = types[k++ % 4];
      float[] values = weights.values.get(name);
      float[] rounded = values.clone();
      java.nio.ByteBuffer bytes =
          java.nio.ByteBuffer.allocate(8 * values.length).order(java.nio.ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < values.length; i++) {
        switch (type) {
          case F16 -> {
            bytes.putShort(Float.floatToFloat16(values[i]));
            rounded[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
          }
          case BF16 -> {
            int bits = Float.floatToRawIntBits(values[i]) >>> 16;
            bytes.putShort((short) bits);
            rounded[i] = Float.intBitsToFloat(bits << 16);
          }
          // Below half of a unit in the last place: rounds back.
          case F64 -> bytes.putDouble(values[i] * (1 + 1e-9));
          default -> bytes.putFloat(values[i]);
        }
      }
      expected.put(name, rounded);
      entries.put(
          name,
          new Safetensors.Entry(
              type,
              entries.get(name).shape(),
              MemorySegment.ofArray(Arrays.copyOf(bytes.array(), bytes.position()))));
    }
    Path file = folder.resolve("mixed.safetensors");
    Safetensors.write(file, entries);
    var _ = model.importWeights(PretrainedWeights.none().withImage(file));
    for (String name : expected.keySet()) {
      if (name.startsWith("vit.")) {
        assertThat(parameter("image_encoder." + name.substring(4)))
            .as(name)
            .containsExactly(expected.get(name));
      }
    }
  }

  @Test
  void shardsAreReadByTheirIndex() throws IOException {
    PublicWeights weights = vit(GRID);
    Shards parts = new Shards(weights, "safetensors");
    Path shards = Files.createDirectory(folder.resolve("shards"));
    Safetensors.write(shards.resolve("a.safetensors"), parts.first);
    Safetensors.write(shards.resolve("b.safetensors"), parts.second);
    Path index = Files.writeString(shards.resolve("model.safetensors.index.json"), parts.index());
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(shards));
    assertThat(report.loaded()).isEqualTo(weights.values.size() - 2);
    Files.delete(shards.resolve("b.safetensors"));
    unchanged(PretrainedWeights.none().withImage(index), "b.safetensors", "index.json");
    Files.copy(shards.resolve("a.safetensors"), shards.resolve("b.safetensors"));
    unchanged(PretrainedWeights.none().withImage(index), "b.safetensors", "lacks");
    Files.writeString(index, "{\"weight_map\":{\"x\":\"../a.safetensors\"}}");
    unchanged(PretrainedWeights.none().withImage(index), "../a.safetensors");
    Files.writeString(index, "{}");
    unchanged(PretrainedWeights.none().withImage(index), "weight_map");
  }

  private Path torch(String name, PublicWeights weights) throws IOException {
    return Files.write(folder.resolve(name), TorchFiles.stateDict(weights.entries()));
  }

  private PublicWeights albef(int textLayers) {
    return PublicWeights.albef(
        new int[] {2, 2}, textLayers, D, 4, GRID, 8, tokenizer.vocabularySize());
  }

  /** What of it computes the same as ALBEF is NetworkTest's. */
  @Test
  void albefsCopiesAndQueuesAreLeftOutAndTheRestIsTold() throws IOException {
    PublicWeights weights = albef(1).add("cls_head.weight", 3, D);
    Path file = torch("albef.pth", weights);
    WeightReport report = model.importWeights(PretrainedWeights.none().withModel(file));
    WeightReport.Source source = report.sources().getFirst();
    assertThat(source.unexpected()).containsExactly("cls_head.weight");
    assertThat(report.missing())
        .containsExactly("fusion_encoder.visual_norm.bias", "fusion_encoder.visual_norm.weight");
    long left =
        weights.values.keySet().stream()
            .filter(name -> name.contains("_m.") || name.contains("queue"))
            .count();
    assertThat(source.notes())
        .anyMatch(note -> note.startsWith(left + 2 + " tensors are left out"))
        .anyMatch(note -> note.contains("model.fusionPositions NONE"))
        .anyMatch(note -> note.contains("CLIP's mean"))
        .anyMatch(note -> note.contains("heads 64 wide") && note.contains("8 wide"));
    assertThat(parameter("text_projection.weight"))
        .containsExactly(weights.values.get("text_proj.weight"));
    // The image encoder alone, of the same file.
    try (NasModel other = NasModel.create(config(), tokenizer)) {
      WeightReport image = other.importWeights(PretrainedWeights.none().withImage(file));
      assertThat(image.missing()).noneMatch(name -> name.startsWith("image_encoder."));
      for (String name : image.sources().getFirst().loaded()) {
        assertThat(Torch.toFloats(other.parameters().byName().get(name)))
            .as(name)
            .containsExactly(parameter(name));
      }
    }
  }

  @Test
  void weightsThatAreNotAlbefsChangeNothing() throws IOException {
    Path two = torch("two.pth", albef(2).add("text_encoder.bert.encoder.layer.2.x", 1));
    // Without cross-attention nothing tells where the fusion encoder begins.
    assertThat(model.importWeights(PretrainedWeights.none().withModel(two)).missing())
        .contains("fusion_encoder.encoder.layer.0.crossattention.self.query.weight");
    unchanged(
        PretrainedWeights.none().withModel(torch("zero.pth", albef(0))),
        "begins at layer 0",
        "not ALBEF's");
    NasConfig three = config().merge("{\"model\":{\"textLayers\":3}}", "test");
    try (NasModel other = NasModel.create(three, tokenizer)) {
      Path file = torch("one.pth", albef(1));
      assertThatThrownBy(() -> other.importWeights(PretrainedWeights.none().withModel(file)))
          .isInstanceOf(IOException.class)
          .hasMessageContainingAll("layer 1", "textLayers is 3", "set model.textLayers to 1");
    }
    Path cut = Files.write(folder.resolve("cut.pth"), new byte[] {1, 2, 3});
    unchanged(PretrainedWeights.none().withModel(cut), "cut.pth is no PyTorch file");
    PublicWeights odd = albef(1).add("temp", new float[] {-1}, 1);
    unchanged(PretrainedWeights.none().withModel(torch("odd.pth", odd)), "temp", "NaN");
    PublicWeights wide = albef(1).add("itm_head.weight", 3, D);
    unchanged(PretrainedWeights.none().withModel(torch("w.pth", wide)), "itm_head", "[3, 16]");
    PublicWeights narrow = albef(1).add("visual_encoder.blocks.0.attn.qkv.bias", 3L * D - 3);
    unchanged(PretrainedWeights.none().withModel(torch("n.pth", narrow)), "qkv.bias (query)");
  }

  @Test
  void timmsVitsOfOtherLayersAreRefused() throws IOException {
    PublicWeights scaled = timm("", false).add("blocks.1.ls1.gamma", D);
    badImage(scaled, "blocks.1.ls1.gamma", "lacks", "plain ViT");
    badImage(timm("", false).add("norm_pre.weight", D), "norm_pre.weight", "lacks");
    badImage(timm("", false).add("blocks.0.attn.q_norm.weight", 8), "q_norm");
    badImage(timm("", false).remove("cls_token"), "does not hold ViT", "timm");
    badImage(timm("", false).add("blocks.0.attn.qkv.weight", 3L * D + 1, D), "qkv", "[49, 16]");
  }

  private static PublicWeights timm(String prefix, boolean distilled) {
    return new PublicWeights().timm(prefix, 2, D, 4, GRID, distilled);
  }

  @Test
  void timmsDistillationTokenIsLeftOutAndWhatIsNotKnownIsTold() throws IOException {
    PublicWeights weights = timm("", true).add("head.weight", 3, D).add("blocks.2.norm1.bias", D);
    Path file = weights.write(folder.resolve("timm.safetensors"));
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(file));
    WeightReport.Source source = report.sources().getFirst();
    assertThat(source.unexpected())
        .containsExactly("blocks.2.norm1.bias", "dist_token", "head.weight");
    assertThat(report.text()).contains("3 tensors: blocks.*.norm1.bias, dist_token, head.weight");
    assertThat(report.missing()).noneMatch(name -> name.startsWith("image_encoder."));
    assertThat(source.notes())
        .anyMatch(note -> note.contains("scale of pixels"))
        .anyMatch(note -> note.contains("distillation"));
    float[] given = weights.values.get("pos_embed");
    assertThat(parameter("image_encoder.embeddings.position_embeddings"))
        .startsWith(Arrays.copyOf(given, D))
        .endsWith(Arrays.copyOfRange(given, 2 * D, given.length));
  }

  @Test
  void pyTorchsOwnFilesAreReadLikeSafetensors() throws IOException {
    PublicWeights weights = vit(GRID);
    Path file = weights.write(folder.resolve("vit.safetensors"));
    WeightReport.Source expected =
        model.importWeights(PretrainedWeights.none().withImage(file)).sources().getFirst();
    float[] values = Torch.toFloats(model.parameters().values());
    Path bin = Files.createDirectory(folder.resolve("hf")).resolve("pytorch_model.bin");
    Files.write(bin, TorchFiles.stateDict(weights.entries()));
    for (Path path : List.of(bin, bin.getParent())) {
      try (NasModel other = NasModel.create(config(), tokenizer)) {
        WeightReport.Source source =
            other.importWeights(PretrainedWeights.none().withImage(path)).sources().getFirst();
        assertThat(source.loaded()).isEqualTo(expected.loaded());
        assertThat(source.unexpected()).isEqualTo(expected.unexpected());
        assertThat(source.notes()).isEqualTo(expected.notes());
        assertThat(Torch.toFloats(other.parameters().values())).containsExactly(values);
      }
    }
    // What training programs write says which of its parts was taken.
    WeightFile whole;
    try (Arena arena = Arena.ofConfined()) {
      whole = WeightFile.open(Path.of("src/test/resources/torch/checkpoint-2.pth"), arena);
    }
    assertThat(whole.notes())
        .containsExactly(
            "its tensors are those under the key model",
            "all its names begin with module., which is taken off");
  }

  @Test
  void shardsOfPyTorchAreReadByTheirIndex() throws IOException {
    PublicWeights weights = vit(GRID);
    Shards shards = new Shards(weights, "bin");
    Path at = Files.createDirectory(folder.resolve("shards"));
    Files.write(at.resolve("a.bin"), TorchFiles.stateDict(shards.first));
    Files.write(at.resolve("b.bin"), TorchFiles.stateDict(shards.second));
    Files.writeString(at.resolve("pytorch_model.bin.index.json"), shards.index());
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(at));
    assertThat(report.loaded()).isEqualTo(weights.values.size() - 2);
    assertThat(parameter("image_encoder.layernorm.bias"))
        .containsExactly(weights.values.get("vit.layernorm.bias"));
  }

  /** Weights in two parts, a and b. */
  private static final class Shards {
    final Map<String, Safetensors.Entry> first = new LinkedHashMap<>();
    final Map<String, Safetensors.Entry> second = new LinkedHashMap<>();
    private final StringBuilder map = new StringBuilder();

    Shards(PublicWeights weights, String ending) {
      weights
          .entries()
          .forEach(
              (name, entry) -> {
                boolean a = name.hashCode() % 2 == 0;
                (a ? first : second).put(name, entry);
                map.append(map.isEmpty() ? "" : ",");
                map.append("\"%s\":\"%s.%s\"".formatted(name, a ? "a" : "b", ending));
              });
    }

    String index() {
      return "{\"weight_map\":{" + map + "}}";
    }
  }

  /** The import fails with that in its message, and leaves every parameter as it was. */
  private void unchanged(PretrainedWeights weights, String... message) {
    float[] before = Torch.toFloats(model.parameters().values());
    assertThatThrownBy(() -> model.importWeights(weights))
        .isInstanceOf(IOException.class)
        .message()
        .contains(message)
        .hasSizeLessThan(700);
    assertThat(Torch.toFloats(model.parameters().values())).containsExactly(before);
  }

  private void badImage(PublicWeights weights, String... message) throws IOException {
    Path file = weights.write(folder.resolve("bad.safetensors"));
    unchanged(PretrainedWeights.none().withImage(file), message);
  }

  private void badText(PublicWeights weights, String... message) throws IOException {
    Path file = weights.write(folder.resolve("text").resolve("bad.safetensors"));
    // Good image weights are read first: they must not stay behind.
    Path image = vit(GRID).write(folder.resolve("good.safetensors"));
    unchanged(new PretrainedWeights(null, image, file), message);
  }

  @Test
  void badWeightsChangeNothing() throws IOException {
    String last = "vit.encoder.layer.1.output.dense.weight";
    badImage(vit(GRID).add(last, 16, 60), "bad.safetensors", last, "[16, 60]", "model.width");
    float[] nan = new float[D];
    nan[5] = Float.NaN;
    badImage(vit(GRID).add("vit.layernorm.bias", nan, D), "vit.layernorm.bias", "element 5");
    badImage(vit(GRID).add("vit.embeddings.position_embeddings", 1, 16, D), "15 patches", "square");
    badImage(vit(GRID).add("vit.embeddings.position_embeddings", 1, 17, 8), "[1, 17, 8]");
    badImage(vit(GRID).remove("vit.embeddings.cls_token"), "does not hold ViT", "classifier.bias");
    badImage(PublicWeights.bert("", 2, D, 15, 12, false), "does not hold ViT");
    badImage(new PublicWeights(), "does not hold ViT", "0 tensors");
    badImage(vit(GRID).add("layernorm.bias", D), "twice", "vit.layernorm.bias", "layernorm.bias");

    badText(PublicWeights.vit("", 2, D, 4, GRID, false), "does not hold BERT");
    badText(bert().add("bert.embeddings.position_embeddings.weight", 6, D), "6", "textTokens");
    badText(bert().add("bert.embeddings.word_embeddings.weight", 99, D), "99 rows", "vocab.txt");
    badText(bert().add("bert.embeddings.token_type_embeddings.weight", 1, D), "[1, 16]");
    badText(bert().add("cls.predictions.bias", 14), "cls.predictions.bias", "14 rows");
  }

  @Test
  void typesThatAreNoWeightsAreRefused() throws IOException {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>(vit(GRID).entries());
    entries.put(
        "vit.layernorm.bias",
        new Safetensors.Entry(
            Safetensors.Type.I64, new long[] {D}, MemorySegment.ofArray(new byte[8 * D])));
    Path file = folder.resolve("typed.safetensors");
    Safetensors.write(file, entries);
    PretrainedWeights weights = PretrainedWeights.none().withImage(file);
    unchanged(weights, "typed.safetensors", "vit.layernorm.bias", "I64", "BF16");
    // Such a tensor may stand in the file where the model does not need it.
    entries.put("vit.embeddings.position_ids", entries.remove("vit.layernorm.bias"));
    Files.delete(file);
    Safetensors.write(file, entries);
    WeightReport report = model.importWeights(weights);
    assertThat(report.missing()).contains("image_encoder.layernorm.bias");
    assertThat(report.sources().getFirst().unexpected()).contains("vit.embeddings.position_ids");
  }

  @Test
  void otherFormatsAndCutFilesAreRefused() throws IOException {
    Path file = vit(GRID).write(folder.resolve("w").resolve("model.safetensors"));
    byte[] all = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(all, all.length - 1));
    unchanged(PretrainedWeights.none().withImage(file), "model.safetensors", "cut short");
    Files.delete(file);
    PretrainedWeights directory = PretrainedWeights.none().withImage(file.getParent());
    unchanged(directory, "model.safetensors.index.json");
    Path bin = file.resolveSibling("pytorch_model.bin");
    Files.write(bin, new byte[] {'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    unchanged(directory, "pytorch_model.bin", "it was cut");
    Files.copy(
        Path.of("src/test/resources/torch/legacy.pt"), bin, StandardCopyOption.REPLACE_EXISTING);
    unchanged(PretrainedWeights.none().withText(bin), "pytorch_model.bin", "torch.save");
    unchanged(PretrainedWeights.none().withText(folder.resolve("absent")), "absent");
    assertThatThrownBy(() -> model.importWeights(PretrainedWeights.none()))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "{\"num_attention_heads\":2,\"layer_norm_eps\":1e-5}; model.imageNormEps to 1.0E-5",
        "{\"num_attention_heads\":4,\"layer_norm_eps\":1e-6}; model.heads to 4",
        "{\"layer_norm_eps\":1e-6}; num_attention_heads is 12",
        "{\"num_attention_heads\":2}; layer_norm_eps is 1.0E-12",
        "{\"num_attention_heads\":2,\"layer_norm_eps\":1e-6,\"hidden_act\":\"gelu_new\"};"
            + " hidden_act is gelu_new",
        "{\"model_type\":\"bert\",\"num_attention_heads\":2,\"layer_norm_eps\":1e-6};"
            + " model_type is bert",
        "{; not valid JSON"
      })
  void aConfigBesideTheWeightsMustFit(String json, String message) throws IOException {
    Path file = vit(GRID).write(folder.resolve("hf").resolve("model.safetensors"));
    Path beside = Files.writeString(file.resolveSibling("config.json"), json);
    unchanged(PretrainedWeights.none().withImage(file), "config.json", message);
    Files.writeString(
        beside, "{\"model_type\":\"vit\",\"num_attention_heads\":2,\"layer_norm_eps\":1e-06}");
    WeightReport report = model.importWeights(PretrainedWeights.none().withImage(file));
    assertThat(report.sources().getFirst().notes()).isEmpty();
    Files.writeString(
        file.resolveSibling("preprocessor_config.json"),
        "{\"image_mean\":[0.485,0.456,0.406],\"image_std\":[0.5,0.5,0.5]}");
    report = model.importWeights(PretrainedWeights.none().withImage(file));
    assertThat(report.sources().getFirst().notes())
        .singleElement()
        .satisfies(note -> assertThat(note).contains("image_mean", "0.485"));
  }

  @Test
  void exportedWeightsComeBackBitForBit() throws IOException {
    // Every parameter away from its start, which a second model shares.
    float[] values = new float[(int) model.parameters().count()];
    Random random = new Random(8);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    Torch.segment(model.parameters().values()).copyFrom(MemorySegment.ofArray(values));
    Path file = folder.resolve("deep").resolve("out.safetensors");
    model.exportWeights(file);
    try (Arena arena = Arena.ofConfined()) {
      Safetensors.Contents contents = Safetensors.open(file, arena);
      assertThat(contents.tensors().keySet())
          .containsExactlyInAnyOrderElementsOf(model.parameters().byName().keySet());
      assertThat(contents.metadata()).containsEntry("format", "pt");
      assertThat(NasConfig.fromJson(contents.metadata().get("nas_config"), "x"))
          .isEqualTo(model.config());
    }
    assertThat(file.getParent().toFile().list()).containsExactly("out.safetensors");
    assertThatThrownBy(() -> model.exportWeights(file))
        .isInstanceOf(FileAlreadyExistsException.class)
        .hasMessageContaining("out.safetensors");
    try (NasModel second = NasModel.create(config(), tokenizer)) {
      WeightReport report = second.importWeights(PretrainedWeights.none().withModel(file));
      assertThat(report.missing()).isEmpty();
      assertThat(report.sources().getFirst().unexpected()).isEmpty();
      assertThat(report.sources().getFirst().resized()).isEmpty();
      assertThat(report.sources().getFirst().notes()).isEmpty();
      assertThat(Torch.toFloats(second.parameters().values())).containsExactly(values);
    }
    for (String field : List.of("\"heads\":4", "\"imageNormEps\":1e-5", "\"textNormEps\":1e-5")) {
      NasConfig changed = config().merge("{\"model\":{" + field + "}}", "test");
      try (NasModel other = NasModel.create(changed, tokenizer)) {
        assertThatThrownBy(() -> other.importWeights(PretrainedWeights.none().withModel(file)))
            .isInstanceOf(IOException.class)
            .hasMessageContaining("model." + field.split("\"", -1)[1]);
      }
    }
    Path vit = vit(GRID).write(folder.resolve("vit.safetensors"));
    unchanged(PretrainedWeights.none().withModel(vit), "does not hold weights exported");
  }
}
