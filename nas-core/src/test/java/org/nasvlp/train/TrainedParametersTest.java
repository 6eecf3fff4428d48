package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

/** Frozen parameters, and learning rates by layer. */
class TrainedParametersTest {
  @TempDir private Path folder;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() {
    tokenizer = Shapes.tokenizer(folder, 8);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private static NasConfig config(int steps, double decay, String... freeze) {
    return Shapes.config(steps).toBuilder()
        .model(model -> model.imageLayers(3).textLayers(2))
        .optimizer(optimizer -> optimizer.layerDecay(decay).freeze(List.of(freeze)))
        .build();
  }

  /** By hand: three layers above embeddings in the image encoder, two in text, one in fusion. */
  @ParameterizedTest
  @CsvSource({
    "image_encoder.embeddings.cls_token, 0.0625",
    "image_encoder.embeddings.patch_embeddings.projection.weight, 0.0625",
    "image_encoder.encoder.layer.0.layernorm_before.bias, 0.125",
    "image_encoder.encoder.layer.1.attention.attention.key.weight, 0.25",
    "image_encoder.encoder.layer.2.output.dense.weight, 0.5",
    "image_encoder.layernorm.weight, 1",
    "text_encoder.embeddings.word_embeddings.weight, 0.125",
    "text_encoder.encoder.layer.0.output.dense.bias, 0.25",
    "text_encoder.encoder.layer.1.output.dense.bias, 0.5",
    "fusion_encoder.visual_norm.weight, 0.25",
    "fusion_encoder.encoder.layer.0.crossattention.self.key.weight, 0.5",
    "image_projection.weight, 1",
    "match_head.bias, 1",
    "mlm_head.transform.dense.weight, 1",
    "log_temperature, 1"
  })
  void aLayersRateFallsWithEachLayerAboveIt(String name, double rate) {
    try (NasModel model = NasModel.create(config(1, 0.5), tokenizer)) {
      Set<String> names = model.parameters().byName().keySet();
      assertThat(names).contains(name);
      assertThat(new LayerRates(0.5, names).of(name)).isEqualTo(rate);
      assertThat(new LayerRates(1, names).of(name)).isEqualTo(1);
    }
  }

  @Test
  void aDeepTowerIsCountedInNumbersNotInText() {
    Set<String> names = new java.util.HashSet<>();
    for (int layer = 0; layer < 12; layer++) {
      names.add("image_encoder.encoder.layer." + layer + ".output.dense.weight");
    }
    LayerRates rates = new LayerRates(0.75, names);
    // 0.75^12, 0.75^2, 0.75 and 0.75^13.
    assertThat(rates.of("image_encoder.encoder.layer.0.output.dense.weight"))
        .isCloseTo(0.031676352, Offset.offset(1e-9));
    assertThat(rates.of("image_encoder.encoder.layer.10.output.dense.weight")).isEqualTo(0.5625);
    assertThat(rates.of("image_encoder.encoder.layer.11.output.dense.weight")).isEqualTo(0.75);
    assertThat(rates.of("image_encoder.embeddings.cls_token"))
        .isCloseTo(0.023757264, Offset.offset(1e-9));
  }

  /** Each parameter by itself, in float64. */
  @Test
  void threeStepsMatchTheFormulaParameterByParameter() {
    NasConfig config =
        config(10, 0.5, "text_encoder.*", "*.key.weight", "log_temperatur?")
            .withOptimizer(o -> o.learningRate(0.01).weightDecay(0.1));
    OptimizerConfig optimizer = config.optimizer();
    try (NasModel model = NasModel.create(config, tokenizer);
        AdamW adam = new AdamW(optimizer, model.parameters());
        PointerScope scope = new PointerScope()) {
      Map<String, float[]> start = values(model);
      int all = (int) model.parameters().count();
      int frozen =
          start.entrySet().stream()
              .filter(of -> isFrozen(of.getKey()))
              .mapToInt(of -> of.getValue().length)
              .sum();
      assertThat(adam.count()).isEqualTo(all - frozen);
      assertThat(adam.moments().first().numel()).isEqualTo(all - frozen);
      for (int t = 1; t <= 3; t++) {
        float[] gradient = new float[all];
        for (int i = 0; i < all; i++) {
          gradient[i] = gradient(i, t);
        }
        Torch.segment(model.parameters().gradients()).copyFrom(MemorySegment.ofArray(gradient));
        double norm = 0;
        int at = 0;
        for (var of : start.entrySet()) {
          for (int i = 0; i < of.getValue().length; i++, at++) {
            norm += isFrozen(of.getKey()) ? 0 : (double) gradient[at] * gradient[at];
          }
        }
        // A frozen parameter's gradient has no part in the norm.
        assertThat(adam.clip()).isCloseTo(Math.sqrt(norm), Offset.offset(1e-4 * Math.sqrt(norm)));
        Torch.segment(model.parameters().gradients()).copyFrom(MemorySegment.ofArray(gradient));
        adam.step(0.01, t);
      }
      LayerRates rates = new LayerRates(0.5, start.keySet());
      Map<String, float[]> end = values(model);
      int at = 0;
      int decayed = (int) model.parameters().decayed();
      for (var of : start.entrySet()) {
        float[] found = end.get(of.getKey());
        if (isFrozen(of.getKey())) {
          assertThat(found).isEqualTo(of.getValue());
          at += found.length;
          continue;
        }
        double rate = 0.01 * rates.of(of.getKey());
        for (int i = 0; i < found.length; i++, at++) {
          double value = of.getValue()[i];
          double first = 0;
          double second = 0;
          for (int t = 1; t <= 3; t++) {
            float g = gradient(at, t);
            value *= at < decayed ? 1 - rate * 0.1 : 1;
            first = 0.9 * first + 0.1 * g;
            second = 0.999 * second + 0.001 * g * g;
            double m = first / (1 - Math.pow(0.9, (double) t));
            double v = second / (1 - Math.pow(0.999, (double) t));
            value -= rate * m / (Math.sqrt(v) + 1e-8);
          }
          assertThat((double) found[i]).as(of.getKey()).isCloseTo(value, Offset.offset(2e-6));
        }
      }
      assertThat(at).isEqualTo(all);
    }
  }

  private static boolean isFrozen(String name) {
    return name.startsWith("text_encoder.")
        || name.endsWith(".key.weight")
        || name.equals("log_temperature");
  }

  private static float gradient(int at, int step) {
    return (float) Math.sin(at * 0.37 + step);
  }

  private static Map<String, float[]> values(NasModel model) {
    Map<String, float[]> values = new java.util.LinkedHashMap<>();
    model.parameters().byName().forEach((name, of) -> values.put(name, Torch.toFloats(of)));
    return values;
  }

  @Test
  void aPatternWithoutAMatchSaysWhatIsNear() {
    assertThatThrownBy(() -> train(config(1, 1, "image_encoder.*", "img_encoder.*"), "out", false))
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            "optimizer.freeze has 'img_encoder.*', which matches no parameter; near to it are"
                + " image_encoder.*, text_encoder.*, fusion_encoder.*");
    assertThatThrownBy(() -> train(config(1, 1, "match_head.bia"), "out", false))
        .hasMessageContaining("near to it are match_head.bias, ");
    // A dot is a dot.
    assertThatThrownBy(() -> train(config(1, 1, "match_head?bia."), "out", false))
        .hasMessageContaining("matches no parameter");
    assertThatThrownBy(() -> train(config(1, 1, "*"), "out", false))
        .hasMessage("optimizer.freeze [*] leaves no parameter to train");
    assertThatThrownBy(() -> config(1, 1, " ")).hasMessageContaining("optimizer.freeze");
    assertThatThrownBy(() -> config(1, 0)).hasMessageContaining("optimizer.layerDecay");
    assertThatThrownBy(() -> config(1, 1.01)).hasMessageContaining("optimizer.layerDecay");
  }

  private TrainingResult train(NasConfig config, String out, boolean stopsInBetween) {
    List<NasTrainer> trainer = new ArrayList<>();
    trainer.add(
        NasTrainer.builder()
            .config(config)
            .dataset(new Shapes())
            .tokenizer(tokenizer)
            .textEditor(ShapesEditor.factory())
            .output(folder.resolve(out))
            .resume(true)
            .threads(1)
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (stopsInBetween && report.step() == 3) {
                      trainer.getFirst().stop();
                    }
                  }
                })
            .build());
    return trainer.getFirst().run();
  }

  private static Map<String, byte[]> tensors(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, byte[]> all = new HashMap<>();
      Safetensors.read(file, arena)
          .forEach((name, entry) -> all.put(name, entry.data().toArray(ValueLayout.JAVA_BYTE)));
      return all;
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "image_encoder.*",
        "image_encoder.*,image_projection.*,text_encoder.*,text_projection.*",
        "text_encoder.*,*.query.weight",
        "image_encoder.embeddings.*,image_encoder.encoder.layer.0.*",
        "fusion_encoder.*,match_head.*,mlm_head.*"
      })
  void whatIsFrozenStaysAndTheRunResumesToTheBit(String patterns) throws IOException {
    String[] freeze = patterns.split(",", -1);
    NasConfig config = config(6, 0.7, freeze);
    Map<String, byte[]> start;
    try (NasModel model = NasModel.create(config, tokenizer)) {
      model.exportWeights(folder.resolve("start.safetensors"));
      start = tensors(folder.resolve("start.safetensors"));
    }
    Path whole = train(config, "whole", false).checkpoint();
    assertThat(train(config, "parts", true).step()).isEqualTo(3);
    Path parts = train(config, "parts", false).checkpoint();
    Path recomputed =
        train(config.withTraining(t -> t.gradientCheckpointing(true)), "recomputed", false)
            .checkpoint();
    for (String name :
        List.of("model.safetensors", "training.safetensors", "dictionary.safetensors")) {
      byte[] expected = Files.readAllBytes(whole.resolve(name));
      assertThat(Files.readAllBytes(parts.resolve(name))).as(name).isEqualTo(expected);
      assertThat(Files.readAllBytes(recomputed.resolve(name))).as(name).isEqualTo(expected);
    }
    Map<String, byte[]> end = tensors(whole.resolve("model.safetensors"));
    int trained = 0;
    int count = 0;
    for (var of : end.entrySet()) {
      boolean frozen = false;
      for (String pattern : freeze) {
        // Of these patterns a star is at one end.
        String rest = pattern.replace("*", "");
        frozen |=
            pattern.startsWith("*") ? of.getKey().endsWith(rest) : of.getKey().startsWith(rest);
      }
      if (frozen) {
        assertThat(of.getValue()).as(of.getKey()).isEqualTo(start.get(of.getKey()));
      } else if (!of.getKey().endsWith("key.bias")) {
        // That of the keys is the same for every key, and has no gradient but rounding's.
        assertThat(of.getValue()).as(of.getKey()).isNotEqualTo(start.get(of.getKey()));
        trained++;
      }
      count += frozen ? 0 : of.getValue().length;
    }
    assertThat(trained).isGreaterThan(4);
    assertThat(tensors(whole.resolve("training.safetensors")).get("adamw.first")).hasSize(count);
  }

  @Test
  void noGradientIsComputedForWhatIsFrozen() {
    NasConfig config = config(1, 1, "image_encoder.*");
    try (NasModel model = NasModel.create(config, tokenizer);
        AdamW adam = new AdamW(config.optimizer(), model.parameters());
        PointerScope scope = new PointerScope()) {
      assertThat(adam.count()).isPositive();
      var images = Torch.floats(new float[3 * 256], 1, 3, 16, 16);
      assertThat(model.network().encodeImage(images).requires_grad()).isFalse();
      assertThat(model.network().trainsImageEncoder()).isFalse();
      var ids = org.nasvlp.internal.TorchDevice.CPU.index(new int[] {2, 3}).view(1, 2);
      var mask = ids.gt(new org.bytedeco.pytorch.Scalar(0));
      assertThat(model.network().encodeText(ids, mask).requires_grad()).isTrue();
    }
  }
}
