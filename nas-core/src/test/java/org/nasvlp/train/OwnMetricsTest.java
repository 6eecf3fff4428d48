package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;

/** Metrics of a program's own in a training. */
class OwnMetricsTest {
  private static final String CAPTION = "red square left";

  @TempDir private Path folder;
  private final Map<Long, Evaluation> evaluations = new TreeMap<>();
  private final List<String> warnings = new ArrayList<>();

  private final TrainingListener memory =
      new TrainingListener() {
        @Override
        public void onEvaluated(long step, Evaluation evaluation) {
          evaluations.put(step, evaluation);
        }

        @Override
        public void onWarning(String message) {
          warnings.add(message);
        }
      };

  private NasTrainerBuilder trainer(CaptionTokenizer tokenizer, int steps) {
    return NasTrainer.builder()
        .config(
            Shapes.config(steps)
                .withTraining(
                    training -> training.evaluateEvery(2).keepBest(true).keepCheckpoints(1)))
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .output(folder.resolve("out"))
        .threads(1)
        .listener(memory);
  }

  private static double embedding(NasModel model) {
    return model.encodeText(List.of(CAPTION))[0][0];
  }

  /** Without any benchmark: logged, told, returned, and the best kept, which is not the last. */
  @Test
  void aMetricIsTakenOfTheModelOfItsStep() throws IOException {
    double[] values = {1, 3, 2};
    int[] calls = new int[1];
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TrainingResult result =
          trainer(tokenizer, 6)
              .metric("mine", model -> values[calls[0]++])
              .metric("first-number", OwnMetricsTest::embedding)
              .build()
              .run();
      assertThat(evaluations.keySet()).containsExactly(2L, 4L, 6L);
      assertThat(evaluations.values().stream().map(of -> of.metrics().get("mine")).toList())
          .containsExactly(1.0, 3.0, 2.0);
      assertThat(result.ownMetrics()).isEqualTo(evaluations.get(6L).ownMetrics());
      assertThat(result.ownMetrics().keySet()).containsExactly("mine", "first-number");
      Path best = folder.resolve("out/checkpoints/best-mine");
      assertThat(Files.readString(best.resolve("state.json"))).contains("\"step\":4");
      try (NasModel model = NasModel.load(best);
          NasModel last = NasModel.load(result.checkpoint())) {
        assertThat(embedding(model)).isEqualTo(evaluations.get(4L).metrics().get("first-number"));
        assertThat(embedding(last)).isEqualTo(result.ownMetrics().get("first-number"));
        assertThat(embedding(last)).isNotEqualTo(embedding(model));
      }
    }
    List<String> lines =
        Files.readAllLines(folder.resolve("out/log.jsonl")).stream()
            .filter(line -> line.contains("\"kind\":\"evaluation\""))
            .toList();
    assertThat(lines).hasSize(3);
    assertThat(lines.get(1))
        .contains("\"report\":null,\"metrics\":{\"mine\":3.0,\"first-number\":");
    assertThat(warnings).isEmpty();
  }

  @Test
  void earlyStoppingWatchesIt() {
    double[] values = {5, 4, 4, 9};
    int[] calls = new int[1];
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TrainingResult result =
          trainer(tokenizer, 8)
              .metric("mine", model -> values[calls[0]++])
              .listener(EarlyStopping.on("mine", 2, 0))
              .build()
              .run();
      assertThat(result.stopped()).isTrue();
      assertThat(result.step()).isEqualTo(6);
      assertThat(result.ownMetrics()).isEmpty();
    }
  }

  /** What a model learns does not depend on being measured. */
  @Test
  void measuringChangesNothing() throws IOException {
    List<byte[]> parameters = new ArrayList<>();
    for (boolean measured : new boolean[] {false, true}) {
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
        NasTrainerBuilder builder =
            trainer(tokenizer, 4).output(folder.resolve("measured-" + measured));
        if (measured) {
          builder.metric("mine", OwnMetricsTest::embedding);
        }
        Path last = builder.build().run().checkpoint();
        parameters.add(Files.readAllBytes(last.resolve("model.safetensors")));
      }
    }
    assertThat(parameters.getFirst()).isEqualTo(parameters.getLast());
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void aValueThatIsNoneIsToldAndNeverBest(double value) throws IOException {
    double[] values = {0.5, value};
    int[] calls = new int[1];
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TrainingResult result =
          trainer(tokenizer, 4).metric("mine", model -> values[calls[0]++]).build().run();
      assertThat(result.ownMetrics().get("mine")).isNaN();
    }
    assertThat(warnings)
        .containsExactly(
            "the metric 'mine' is %s after step 4: it counts as no value, and as no best"
                .formatted(value));
    assertThat(Files.readString(folder.resolve("out/checkpoints/best-mine/state.json")))
        .contains("\"step\":2");
    assertThat(Files.readString(folder.resolve("out/log.jsonl")))
        .contains("\"metrics\":{\"mine\":\"NaN\"}");
  }

  @Test
  void aMetricThatFailsEndsTheRunByItsName() throws IOException {
    IOException cause = new IOException("no such picture");
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      NasTrainer trainer =
          trainer(tokenizer, 4)
              .metric("fine", model -> 1)
              .metric(
                  "broken",
                  model -> {
                    throw cause;
                  })
              .build();
      assertThatThrownBy(trainer::run)
          .isInstanceOf(TrainingException.class)
          .hasMessage(
              "the metric 'broken' failed after step 2: java.io.IOException: no such picture")
          .hasCause(cause);
    }
    assertThat(Checkpoints.latest(folder.resolve("out"))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Mine", "a b", "../x", "itm", "itc-mine", "crepe-itm", "-a", "a/b"})
  void namesThatAreNoneAreRefused(String name) {
    assertThatThrownBy(() -> NasTrainer.builder().metric(name, model -> 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a metric is called '" + name + "'");
  }

  @Test
  void namesAreTakenOnce() {
    NasTrainerBuilder builder = NasTrainer.builder().metric("mine", model -> 0);
    assertThatThrownBy(() -> builder.metric("mine", model -> 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("two metrics are called 'mine'");
    assertThatThrownBy(() -> builder.metric("other", null))
        .isInstanceOf(NullPointerException.class)
        .hasMessage("metric");
  }
}
