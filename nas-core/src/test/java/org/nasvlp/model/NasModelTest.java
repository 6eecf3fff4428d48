package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;
import org.nasvlp.train.Shapes;

class NasModelTest {
  private static final int D = 16;
  private static final List<RgbImage> IMAGES = List.of(new RgbImage(16, 16, new byte[3 * 256]));
  private static final List<String> CAPTIONS = List.of("red bar");

  @TempDir Path folder;

  private static NasConfig config() {
    return NasConfig.fromJson(
        """
        {"model":{"imageSize":16,"patchSize":4,"width":16,"heads":2,"imageLayers":1,
        "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8},
        "dictionary":{"codewords":40},"objective":{"queue":0,"mvmWeight":1}}
        """,
        "test");
  }

  private static NasModel started(CaptionTokenizer tokenizer) {
    NasModel model = NasModel.create(config(), tokenizer);
    float[] tokens = new float[50 * D];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (float) Math.sin(0.7 * i);
    }
    model.startDictionary(tokens);
    return model;
  }

  /** Over more images than are encoded at once; the nearest codeword is found the long way. */
  @Test
  void codesAreTheNearestCodewords() {
    List<RgbImage> images = new ArrayList<>();
    for (int i = 0; i < 70; i++) {
      byte[] rgb = new byte[3 * 256];
      for (int j = 0; j < rgb.length; j++) {
        rgb[j] = (byte) (i * j * 7 + j / 3);
      }
      images.add(new RgbImage(16, 16, rgb));
    }
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = started(tokenizer)) {
      int[][] codes = model.codes(images);
      float[] codewords = model.dictionary().state().codebook().codewords();
      ImageTransform transform = ImageTransform.evaluation(16);
      assertThat(codes).hasNumberOfRows(70);
      for (int i : new int[] {0, 63, 64, 69}) {
        float[] pixels = new float[3 * 256];
        transform.apply(images.get(i), "", 0, 0, 0, pixels, 0);
        float[] tokens;
        try (PointerScope scope = new PointerScope()) {
          tokens =
              Torch.toFloats(
                  model.network().encodeImage(Torch.floats(pixels, 1, 3, 16, 16)).detach());
        }
        int[] nearest = new int[16];
        for (int n = 0; n < 16; n++) {
          double least = Double.POSITIVE_INFINITY;
          for (int k = 0; k < 40; k++) {
            double distance = 0;
            for (int d = 0; d < D; d++) {
              double difference = (double) tokens[(1 + n) * D + d] - codewords[k * D + d];
              distance += difference * difference;
            }
            if (distance < least) {
              least = distance;
              nearest[n] = k;
            }
          }
        }
        assertThat(codes[i]).isEqualTo(nearest);
      }
    }
  }

  private static NasModel twoLayers(CaptionTokenizer tokenizer) {
    NasConfig two = config().toBuilder().model(model -> model.fusionLayers(2)).build();
    return NasModel.create(two, tokenizer);
  }

  @Test
  void wordsHaveTheRelevanceOfTheirTokens() {
    byte[] rgb = new byte[3 * 256];
    new java.util.Random(5).nextBytes(rgb);
    RgbImage image = new RgbImage(16, 16, rgb);
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 6);
        NasModel model = twoLayers(tokenizer);
        PointerScope scope = new PointerScope()) {
      model.startDictionary(new float[50 * D]);
      // "x" and "y" are one unknown token each; five tokens and two special ones are too many.
      WordRelevance found = model.wordRelevance(image, "Red, bar-x left y");
      assertThat(found.words()).containsExactly("red", "bar", "x", "left", "y");
      assertThat(found.patches()).hasDimensions(5, 16);
      assertThat(found.patches()[4]).as("cut off").containsOnly(0);
      assertThat(found.match())
          .isCloseTo(model.score(image, List.of("Red, bar-x left y"))[0], Offset.offset(1e-6));
      float[] pixels = new float[3 * 256];
      ImageTransform.evaluation(16).apply(image, "", 0, 0, 0, pixels, 0);
      var tokens = tokenizer.encode(List.of("red bar x left"));
      float[] all;
      try (AutoGradMode off = new AutoGradMode(false)) {
        Network network = model.network();
        Tensor features = network.encodeImage(Torch.floats(pixels, 1, 3, 16, 16));
        Tensor patches = features.narrow(1, 1, 16).contiguous();
        if (model.config().model().fusionInput() == ModelConfig.FusionInput.QUANTIZED) {
          VisualDictionary dictionary = model.dictionary();
          patches = dictionary.quantize(patches, dictionary.lookup(patches));
        }
        Tensor mask = Torch.longs(tokens.mask(), 1, 6).ne(new Scalar(0));
        all =
            Torch.toFloats(
                network.relevance(
                    network.fusionInput(features.select(1, 0), patches),
                    network.encodeText(Torch.longs(tokens.ids(), 1, 6), mask),
                    mask,
                    0));
      }
      double sum = 0;
      for (int word = 0; word < 4; word++) {
        for (int i = 0; i < 16; i++) {
          float expected = all[(1 + word) * 17 + 1 + i];
          assertThat(found.patches()[word][i]).isCloseTo(expected, Offset.offset(1e-9f));
          sum += expected;
        }
      }
      assertThat(sum).isPositive();
      double[] shares = found.shares();
      assertThat(Arrays.stream(shares).sum()).isCloseTo(1, Offset.offset(1e-12));
      double first = 0;
      for (float value : found.patches()[0]) {
        first += value;
      }
      assertThat(shares[0]).isCloseTo(first / sum, Offset.offset(1e-6));
    }
  }

  @Test
  void wordsOfALastFusionLayerDoNotReachTheMatchHead() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel two = twoLayers(tokenizer);
        NasModel one = started(tokenizer)) {
      two.startDictionary(new float[50 * D]);
      for (int layer : new int[] {-1, 0, 2}) {
        assertThatThrownBy(() -> two.wordRelevance(IMAGES.getFirst(), "red bar", layer))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContainingAll("layer " + layer, "1 to 1", "2");
      }
      assertThatThrownBy(() -> one.wordRelevance(IMAGES.getFirst(), "red bar"))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(new WordRelevance(List.of("a"), new float[1][3], 0.5).shares()).containsExactly(0);
    assertThatThrownBy(() -> new WordRelevance(List.of("a"), new float[2][3], 0.5))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void matchesManyAsItScoresEach() {
    List<RgbImage> images = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      byte[] rgb = new byte[3 * 256];
      new java.util.Random(i).nextBytes(rgb);
      images.add(new RgbImage(16, 16, rgb));
    }
    List<String> captions = List.of("red bar", "blue square left");
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = started(tokenizer)) {
      double[][] match = model.match(images, captions);
      assertThat(match).hasDimensions(3, 2);
      for (int i = 0; i < 3; i++) {
        for (int c = 0; c < 2; c++) {
          assertThat(match[i][c])
              .isCloseTo(
                  model.score(images.get(i), captions.subList(c, c + 1))[0], Offset.offset(1e-6))
              .isBetween(0.0, 1.0);
        }
      }
      assertThat(match[0][0]).isNotCloseTo(match[0][1], Offset.offset(1e-6));
      assertThat(model.match(List.of(), captions)).isEmpty();
      assertThat(model.match(images, List.of())).hasDimensions(3, 0);
    }
  }

  @Test
  void anExportedFileIsAWholeModel() throws IOException {
    Path file = folder.resolve("model.nas.safetensors");
    Path without = folder.resolve("without.safetensors");
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = started(tokenizer);
        NasModel unstarted = NasModel.create(config(), tokenizer)) {
      model.exportWeights(file);
      unstarted.exportWeights(without);
      byte[] noise = new byte[3 * 256];
      new java.util.Random(4).nextBytes(noise);
      List<RgbImage> images = List.of(IMAGES.getFirst(), new RgbImage(16, 16, noise));
      try (NasModel loaded = NasModel.load(file)) {
        assertThat(loaded.config()).isEqualTo(model.config());
        assertThat(loaded.tokenizer().json()).isEqualTo(tokenizer.json());
        assertThat(loaded.encodeImage(images)).isDeepEqualTo(model.encodeImage(images));
        assertThat(loaded.encodeText(CAPTIONS)).isDeepEqualTo(model.encodeText(CAPTIONS));
        assertThat(loaded.score(images.get(1), CAPTIONS))
            .isEqualTo(model.score(images.get(1), CAPTIONS));
        assertThat(loaded.codes(images)).isDeepEqualTo(model.codes(images));
        assertThat(loaded.fingerprint()).isEqualTo(model.fingerprint()).hasSize(64);
        Torch.segment(loaded.parameters().values()).set(ValueLayout.JAVA_FLOAT, 0, 0.5f);
        assertThat(loaded.fingerprint()).isNotEqualTo(model.fingerprint());
        assertThat(loaded.dictionary().state().codebook().n())
            .isEqualTo(model.dictionary().state().codebook().n());
      }
      // Without a dictionary it scores all the same.
      try (NasModel loaded = NasModel.load(without)) {
        assertThat(loaded.encodeText(CAPTIONS)).isDeepEqualTo(unstarted.encodeText(CAPTIONS));
        assertThatThrownBy(() -> loaded.codes(images))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("dictionary has not been started");
      }
    }
    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length - 1));
    assertThatThrownBy(() -> NasModel.load(file)).hasMessageContaining(file.toString());
    // The last tensor but the counters is a codeword sum or a count: its last byte makes it a NaN.
    byte[] wrong = whole.clone();
    Arrays.fill(wrong, whole.length - 4, whole.length, (byte) 0xFF);
    Files.write(file, wrong);
    assertThatThrownBy(() -> NasModel.load(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.toString());
  }

  @Test
  void weightsAloneAreNoModel() throws IOException {
    Path checkpoint = Files.createDirectory(folder.resolve("checkpoint"));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = started(tokenizer)) {
      model.write(checkpoint);
    }
    Path weights = checkpoint.resolve("model.safetensors");
    assertThatThrownBy(() -> NasModel.load(weights))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(weights.toString())
        .hasMessageContaining("no nas_config")
        .hasMessageContaining("its folder " + checkpoint);
    Path text = Files.writeString(folder.resolve("notes.txt"), "no model at all");
    assertThatThrownBy(() -> NasModel.load(text))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(text + " is not a readable safetensors file");
  }

  @Test
  void everyUseAfterCloseIsRefused() throws IOException {
    Path checkpoint = Files.createDirectory(folder.resolve("checkpoint"));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        PointerScope scope = new PointerScope()) {
      NasModel model = started(tokenizer);
      assertThat(model.temperature())
          .isCloseTo(config().objective().temperature(), Offset.offset(1e-6));
      model.write(checkpoint);
      Embedder embedder = model.embedder();
      ImageTextScorer itc = model.itcScorer();
      ImageTextScorer itm = model.itmScorer();
      Network network = model.network();
      Parameters parameters = model.parameters();
      Tensor pixels = Torch.zeros(1, 3, 16, 16);
      Tensor ids = Torch.longs(new long[] {2, 3}, 1, 2);
      Tensor mask = ids.ne(new Scalar(0));
      Tensor cls = Torch.zeros(1, D);
      Tensor tokens = Torch.zeros(1, 16, D);
      Network.ImageContext context = network.imageContext(network.fusionInput(cls, tokens));
      Network.CaptionContext captions = network.captionContext(Torch.zeros(1, 2, D), mask);

      model.close();
      Map<String, ThrowingCallable> uses = new LinkedHashMap<>();
      uses.put("encodeImage", () -> model.encodeImage(IMAGES));
      uses.put("encodeText", () -> model.encodeText(CAPTIONS));
      uses.put("score", () -> model.score(IMAGES.getFirst(), CAPTIONS));
      uses.put("codes", () -> model.codes(IMAGES));
      uses.put("embedder", model::embedder);
      uses.put("itcScorer", model::itcScorer);
      uses.put("itmScorer", model::itmScorer);
      uses.put("images of an embedder", () -> embedder.images(IMAGES));
      uses.put("texts of an embedder", () -> embedder.texts(CAPTIONS));
      uses.put("an ITC scorer", () -> itc.score(IMAGES, CAPTIONS, new int[1], new int[1]));
      uses.put("an ITM scorer", () -> itm.score(IMAGES, CAPTIONS, new int[1], new int[1]));
      uses.put("dictionary", () -> model.dictionary().health());
      uses.put("startDictionary", () -> model.startDictionary(new float[50 * D]));
      uses.put("temperature", model::temperature);
      uses.put("fingerprint", model::fingerprint);
      uses.put("tokenizer", model::tokenizer);
      uses.put("network", model::network);
      uses.put("parameters", model::parameters);
      uses.put("momentumCopy", model::momentumCopy);
      uses.put("read", () -> model.read(checkpoint));
      uses.put("write", () -> model.write(checkpoint));
      uses.put("exportWeights", () -> model.exportWeights(folder.resolve("out.safetensors")));
      uses.put(
          "importWeights",
          () -> model.importWeights(PretrainedWeights.none().withModel(checkpoint)));
      uses.put("values", parameters::values);
      uses.put("gradients", parameters::gradients);
      uses.put("byName", parameters::byName);
      uses.put("count", parameters::count);
      uses.put("decayed", parameters::decayed);
      uses.put("network.encodeImage", () -> network.encodeImage(pixels));
      uses.put("network.recomputedImage", () -> network.recomputedImage(pixels));
      uses.put("network.encodeText", () -> network.encodeText(ids, mask));
      uses.put("network.projectImage", () -> network.projectImage(cls));
      uses.put("network.projectText", () -> network.projectText(cls));
      uses.put("network.fusionInput", () -> network.fusionInput(cls, tokens));
      uses.put("network.imageContext", () -> network.imageContext(tokens));
      uses.put(
          "network.fuse",
          () -> network.fuse(context, Torch.index(new int[1]), captions, Torch.index(new int[1])));
      uses.put(
          "network.fuseCls",
          () ->
              network.fuseCls(context, Torch.index(new int[1]), captions, Torch.index(new int[1])));
      uses.put("network.captionContext", () -> network.captionContext(Torch.zeros(1, 2, D), mask));
      uses.put("network.matchLogits", () -> network.matchLogits(cls));
      uses.put("network.maskedLogits", () -> network.maskedLogits(cls));
      uses.put("network.maskTokens", () -> network.maskTokens(tokens, Torch.zeros(1, 16).ne(cls)));
      uses.put("network.codeLogits", () -> network.codeLogits(cls, Torch.zeros(40, D)));
      uses.put("network.temperature", network::temperature);
      uses.put("network.clampTemperature", () -> network.clampTemperature(0.1, 1));
      uses.forEach(
          (name, use) ->
              assertThatThrownBy(use)
                  .as(name)
                  .isInstanceOf(IllegalStateException.class)
                  .hasMessage("the model is closed"));
      assertThat(folder.resolve("out.safetensors")).doesNotExist();
      assertThat(model.config()).isEqualTo(config());
      assertThatCode(model::close).doesNotThrowAnyException();
    }
  }

  /** A value for a parameter of a public method. */
  private static Object argument(Type type, Path checkpoint) {
    return switch (type.getTypeName()) {
      case "java.nio.file.Path" -> checkpoint;
      case "int" -> 1;
      case "long" -> 1L;
      case "int[]" -> new int[1];
      case "float[]" -> new float[50 * D];
      case "java.util.List<org.nasvlp.data.image.RgbImage>" -> IMAGES;
      case "java.util.List<java.lang.String>" -> CAPTIONS;
      case "org.nasvlp.data.image.RgbImage" -> IMAGES.getFirst();
      case "java.lang.String" -> CAPTIONS.getFirst();
      case "org.nasvlp.model.PretrainedWeights" -> PretrainedWeights.none();
      case "org.bytedeco.pytorch.Tensor" -> Torch.zeros(1, 16, D);
      case "org.nasvlp.distributed.Ranks" -> Ranks.alone();
      case "org.nasvlp.kernels.TokenSwap" -> TokenSwap.builder(1, 16, 1, 1).build();
      case "org.nasvlp.kernels.SwapInput" ->
          SwapInput.of(
              MemorySegment.ofArray(new float[16 * D]),
              MemorySegment.ofArray(new int[16]),
              MemorySegment.ofArray(new int[40]));
      case "org.nasvlp.kernels.SwapOutput" ->
          SwapOutput.of(
              MemorySegment.ofArray(new int[1]),
              MemorySegment.ofArray(new int[1]),
              MemorySegment.ofArray(new float[16 * D]));
      default -> throw new AssertionError("no value is known for a " + type);
    };
  }

  /** Every public method of a type, those aside that are named, refuses to work. */
  private static void assertClosed(
      Class<?> type, Object closed, String message, Path checkpoint, String... aside) {
    Set<String> names = new TreeSet<>();
    for (Method method : type.getMethods()) {
      if (Modifier.isStatic(method.getModifiers())
          || method.getDeclaringClass() == Object.class
          || List.of(aside).contains(method.getName())) {
        continue;
      }
      Object[] arguments =
          Arrays.stream(method.getGenericParameterTypes())
              .map(parameter -> argument(parameter, checkpoint))
              .toArray();
      names.add(method.getName());
      assertThatThrownBy(() -> method.invoke(closed, arguments))
          .as(method.toString())
          .isInstanceOf(InvocationTargetException.class)
          .cause()
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(message);
    }
    assertThat(names).isNotEmpty();
  }

  @Test
  void everyPublicMethodRefusesAfterClose() throws IOException {
    Path checkpoint = Files.createDirectory(folder.resolve("checkpoint"));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        PointerScope scope = new PointerScope()) {
      NasModel model = started(tokenizer);
      model.write(checkpoint);
      VisualDictionary replaced = model.dictionary();
      model.read(checkpoint);
      VisualDictionary dictionary = model.dictionary();
      Embedder embedder = model.embedder();
      List<ImageTextScorer> scorers = List.of(model.itcScorer(), model.itmScorer());
      assertThat(dictionary.health().codewords()).isEqualTo(40);
      assertClosed(
          VisualDictionary.class, replaced, "the dictionary is closed", checkpoint, "close");

      model.close();
      String closed = "the model is closed";
      assertClosed(NasModel.class, model, closed, checkpoint, "config", "close");
      assertClosed(Embedder.class, embedder, closed, checkpoint);
      for (ImageTextScorer scorer : scorers) {
        assertClosed(ImageTextScorer.class, scorer, closed, checkpoint);
      }
      assertClosed(
          VisualDictionary.class, dictionary, "the dictionary is closed", checkpoint, "close");
      dictionary.close();
    }
  }

  @Test
  void aLoadedModelClosesItsTokenizer() throws IOException {
    Path checkpoint = Files.createDirectory(folder.resolve("step-00000001"));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = started(tokenizer)) {
      model.write(checkpoint);
      float[][] expected = model.encodeText(CAPTIONS);
      NasModel loaded = NasModel.load(checkpoint);
      assertThat(loaded.encodeText(CAPTIONS)).isDeepEqualTo(expected);
      loaded.close();
      loaded.close();
      assertThatThrownBy(() -> loaded.encodeText(CAPTIONS))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the model is closed");
      assertThat(model.encodeText(CAPTIONS)).isDeepEqualTo(expected);
    }
  }

  /** Threads that score while another closes get all of a result, or the refusal. */
  @Test
  void closingWaitsForWhatIsUnderWay() throws Exception {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        ExecutorService threads = Executors.newFixedThreadPool(3)) {
      for (int round = 0; round < 5; round++) {
        NasModel model = started(tokenizer);
        double[] expected = model.score(IMAGES.getFirst(), CAPTIONS);
        CountDownLatch working = new CountDownLatch(3);
        Callable<Integer> work =
            () -> {
              int results = 0;
              try {
                while (true) {
                  assertThat(model.score(IMAGES.getFirst(), CAPTIONS)).isEqualTo(expected);
                  if (++results == 1) {
                    working.countDown();
                  }
                }
              } catch (IllegalStateException e) {
                assertThat(e).hasMessage("the model is closed");
                return results;
              }
            };
        List<Future<Integer>> running = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          running.add(threads.submit(work));
        }
        working.await();
        model.close();
        for (Future<Integer> thread : running) {
          assertThat(get(thread)).isPositive();
        }
      }
    }
  }

  private static int get(Future<Integer> future) throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    }
  }
}
