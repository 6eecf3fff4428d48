package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;

/** The average of the parameters, distillation from the start, and the guard, in training. */
class FineTuningTest {
  private static final int STEPS = 6;

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

  private NasTrainerBuilder trainer(NasConfig config, String output) {
    return NasTrainer.builder()
        .config(config)
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .textEditor(ShapesEditor.factory())
        .output(folder.resolve(output))
        .threads(1);
  }

  /** Without momentum encoders for the losses. */
  private static NasConfig plain() {
    return Shapes.config(STEPS)
        .withObjective(loss -> loss.queue(0).softTargets(0).softTargetRamp(0))
        .withTraining(training -> training.evaluateEvery(1));
  }

  private static NasConfig averaged() {
    return plain().withTraining(training -> training.evaluateAverage(true));
  }

  private static Metric recording(List<float[]> values) {
    return model -> {
      try (PointerScope scope = new PointerScope()) {
        values.add(Torch.toFloats(model.parameters().values()));
      }
      return 1;
    };
  }

  private static void assertSame(Path a, Path b, String... names) throws IOException {
    for (String name : names) {
      assertThat(Files.readAllBytes(a.resolve(name)))
          .as(name)
          .isEqualTo(Files.readAllBytes(b.resolve(name)));
    }
  }

  @Test
  void theAverageIsEvaluatedAndTheParametersAreTrained() throws IOException {
    float[] start;
    try (NasModel model = NasModel.create(plain(), tokenizer);
        PointerScope scope = new PointerScope()) {
      start = Torch.toFloats(model.parameters().values());
    }
    List<float[]> trained = new ArrayList<>();
    Path own =
        trainer(plain(), "own").metric("seen", recording(trained)).build().run().checkpoint();
    List<float[]> seen = new ArrayList<>();
    Path average =
        trainer(averaged(), "average").metric("seen", recording(seen)).build().run().checkpoint();
    assertSame(own, average, "model.safetensors", "dictionary.safetensors");
    assertThat(trained).hasSize(STEPS);
    assertThat(seen).hasSize(STEPS);
    double[] expected = new double[start.length];
    for (int i = 0; i < start.length; i++) {
      expected[i] = start[i];
    }
    for (int t = 0; t < STEPS; t++) {
      for (int i = 0; i < start.length; i++) {
        expected[i] = 0.9 * expected[i] + 0.1 * trained.get(t)[i];
        assertThat((double) seen.get(t)[i]).isCloseTo(expected[i], Offset.offset(1e-6));
      }
    }
    assertThat(seen.getLast()).isNotEqualTo(trained.getLast());
    try (NasModel model = NasModel.load(folder.resolve("average"));
        PointerScope scope = new PointerScope()) {
      assertThat(Torch.toFloats(model.parameters().values())).isEqualTo(trained.getLast());
      model.readAverage(folder.resolve("average"));
      assertThat(Torch.toFloats(model.parameters().values())).isEqualTo(seen.getLast());
      assertThatThrownBy(() -> model.readAverage(own))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("training.safetensors has no average")
          .hasMessageContaining("training.evaluateAverage");
      model.exportWeights(folder.resolve("model.safetensors"));
      assertThatThrownBy(() -> model.readAverage(folder.resolve("model.safetensors")))
          .hasMessageContaining("is no checkpoint");
      assertThat(Torch.toFloats(model.parameters().values())).isEqualTo(seen.getLast());
    }
  }

  private PretrainedWeights startWeights() throws IOException {
    Path file = folder.resolve("start.safetensors");
    if (!Files.exists(file)) {
      NasConfig config = plain().withTraining(training -> training.seed(8));
      try (NasModel model = NasModel.load(trainer(config, "start").build().run().checkpoint())) {
        model.exportWeights(file);
      }
    }
    return PretrainedWeights.none().withModel(file);
  }

  private static NasConfig distilled() {
    return averaged().withObjective(loss -> loss.distillWeight(2));
  }

  @Test
  void distillationBeginsAtZeroAndARunResumesToTheBit() throws IOException {
    PretrainedWeights weights = startWeights();
    List<Double> losses = new ArrayList<>();
    TrainingListener reading =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            losses.add(report.losses().get("distill"));
          }
        };
    Path whole =
        trainer(distilled(), "whole")
            .initialWeights(weights)
            .listener(reading)
            .build()
            .run()
            .checkpoint();
    assertThat(losses).hasSize(STEPS).doesNotContainNull();
    assertThat(losses.getFirst()).isCloseTo(0, Offset.offset(1e-6));
    assertThat(losses.getLast()).isGreaterThan(1e-4);
    TrainingResult stopped =
        trainer(distilled(), "parts").initialWeights(weights).listener(stopAt(3)).build().run();
    assertThat(stopped.step()).isEqualTo(3);
    // The weights file may have gone: the checkpoint has what is distilled from.
    Path parts = trainer(distilled(), "parts").resume(true).build().run().checkpoint();
    assertSame(whole, parts, "model.safetensors", "dictionary.safetensors", "training.safetensors");
    // It has an influence.
    Path without =
        trainer(averaged(), "without").initialWeights(weights).build().run().checkpoint();
    assertThat(Files.readAllBytes(without.resolve("model.safetensors")))
        .isNotEqualTo(Files.readAllBytes(whole.resolve("model.safetensors")));
    assertThatThrownBy(() -> trainer(distilled(), "random").build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("objective.distillWeight is 2.0")
        .hasMessageContaining("weights to start from");
  }

  private static TrainingListener stopAt(long step) {
    return new TrainingListener() {
      private boolean stops;

      @Override
      public void onStep(StepReport report) {
        stops = report.step() == step;
      }

      @Override
      public boolean wantsStop() {
        return stops;
      }
    };
  }

  /** Gives the values one after the other. */
  private static Metric values(double... values) {
    int[] next = {0};
    return model -> values[next[0]++];
  }

  private static NasConfig guarded() {
    return Shapes.config(STEPS)
        .withTraining(training -> training.evaluateEvery(2).keepBest(true).checkpointEvery(2));
  }

  private static TrainingListener guardOf(Map<Long, String> told) {
    return new TrainingListener() {
      @Override
      public void onGuard(long step, String metric, double start, double value) {
        told.put(step, metric + " " + start + " " + value);
      }
    };
  }

  @Test
  void aRunEndsOnceTheGuardHasFallenTooFar() throws IOException {
    Map<Long, String> told = new LinkedHashMap<>();
    TrainingResult result =
        trainer(guarded(), "out")
            .metric("kept", values(0.75, 0.5, 0.25))
            .metric("aim", values(0.1, 0.2, 0.3))
            .guard("kept", 0.25)
            .listener(guardOf(told))
            .build()
            .run();
    // Exactly by the drop after two steps, by more after four.
    assertThat(told).containsExactly(Map.entry(4L, "kept 0.75 0.25"));
    assertThat(result.stopped()).isTrue();
    assertThat(result.step()).isEqualTo(4);
    Path checkpoints = folder.resolve("out/checkpoints");
    // The better aim of the fourth step does not count.
    assertThat(Files.readString(checkpoints.resolve("best-aim/state.json")))
        .contains("\"step\":2")
        .contains("\"startMetrics\":{\"aim\":0.1,\"kept\":0.75}");
    assertThat(checkpoints.resolve("best-kept")).exists();
  }

  @Test
  void theStartsValueOutlivesAResume() {
    Map<Long, String> told = new LinkedHashMap<>();
    trainer(guarded(), "out")
        .metric("kept", values(0.75, 0.7))
        .guard("kept", 0.25)
        .listener(stopAt(3))
        .build()
        .run();
    TrainingResult result =
        trainer(guarded(), "out")
            .metric("kept", values(0.3, 0.3))
            .guard("kept", 0.25)
            .resume(true)
            .listener(guardOf(told))
            .build()
            .run();
    assertThat(told).containsExactly(Map.entry(4L, "kept 0.75 0.3"));
    assertThat(result.stopped()).isTrue();
  }

  /** A run that fails before its first checkpoint begins anew, and its log too. */
  @Test
  void theStartStandsInTheLogOnce() throws IOException {
    TrainingListener failing =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            throw new IllegalStateException("made to fail");
          }
        };
    assertThatThrownBy(
            () ->
                trainer(guarded(), "out")
                    .metric("kept", values(0.75))
                    .guard("kept", 0.25)
                    .listener(failing)
                    .build()
                    .run())
        .hasMessageContaining("made to fail");
    Path log = folder.resolve("out/log.jsonl");
    assertThat(evaluations(log)).isEqualTo(1);
    trainer(guarded(), "out")
        .metric("kept", values(0.7, 0.7, 0.7, 0.7))
        .guard("kept", 0.25)
        .build()
        .run();
    // At the start, after steps 2 and 4, and at the end.
    assertThat(evaluations(log)).isEqualTo(4);
    assertThat(Files.readString(log)).contains("\"kept\":0.7").doesNotContain("\"kept\":0.75");
  }

  private static long evaluations(Path log) throws IOException {
    return Files.readAllLines(log).stream()
        .filter(line -> line.contains("\"kind\":\"evaluation\""))
        .count();
  }

  @Test
  void aGuardWithoutItsMetricIsRefusedBeforeTheFirstStep() {
    assertThatThrownBy(
            () ->
                trainer(guarded(), "out")
                    .metric("kept", values(0.75))
                    .guard("keeps", 0.1)
                    .build()
                    .run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("the guard watches 'keeps'")
        .hasMessageContaining("[kept]");
    assertThat(folder.resolve("out/checkpoints")).doesNotExist();
    assertThatThrownBy(() -> trainer(guarded(), "out").guard("kept", -1))
        .hasMessageContaining("drop is -1.0");
    assertThatThrownBy(() -> trainer(guarded(), "out").guard("kept", Double.NaN))
        .hasMessageContaining("drop is NaN");
  }
}
