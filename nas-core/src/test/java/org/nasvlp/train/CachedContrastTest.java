package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.FirstPairs;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.objective.FeatureQueue;

/** Contrast over the batches of a step, against one batch that holds all their pairs. */
class CachedContrastTest {
  private static final int STEPS = 20;
  private static final int BATCHES = 4;
  private static final int EACH = 4;
  private static final int ALL = BATCHES * EACH;

  @TempDir private Path folder;

  /** With no loss whose draws, or means, depend on how pairs are divided into batches. */
  private static NasConfig config(int queue, double softTargets, boolean inContrast) {
    return Shapes.config(STEPS)
        .withNva(nva -> nva.enabled(false))
        .withNta(nta -> nta.enabled(inContrast).weight(1).inContrast(inContrast))
        .withDictionary(dictionary -> dictionary.commitmentWeight(0))
        .withObjective(
            loss ->
                loss.itmWeight(0).mlmWeight(0).itcWeight(1.5).queue(queue).softTargets(softTargets))
        // With AdamW's own a gradient that is 0 but for rounding, such as a key's bias has, counts
        // as much as any other.
        .withOptimizer(optimizer -> optimizer.clipNorm(0).epsilon(1e-2))
        .withData(data -> data.batchSize(ALL));
  }

  private static NasConfig divided(NasConfig config) {
    return config.toBuilder()
        .objective(loss -> loss.itcOverAccumulation(true))
        .optimizer(optimizer -> optimizer.accumulation(BATCHES))
        .data(data -> data.batchSize(EACH))
        .build();
  }

  /**
   * What a run leaves.
   *
   * @param gradients of the first step and of the last, as the first moments have them
   */
  private record Left(
      List<float[]> gradients,
      float[] parameters,
      float[] codewords,
      List<Map<String, Double>> losses,
      long[] queuedIds,
      float[] queued) {}

  /** Every second picture has two captions. */
  private static Batch paired(Batch b) {
    long[] ids = Arrays.stream(b.imageIds()).map(id -> id / 2).toArray();
    return new Batch(b.step(), b.keys(), b.sampleIds(), ids, b.captions(), b.images(), b.tokens());
  }

  private static List<Batch> parts(Batch b) {
    List<Batch> parts = new ArrayList<>();
    int pixels = b.images().length / ALL;
    for (int from = 0; from < ALL; from += EACH) {
      int to = from + EACH;
      parts.add(
          new Batch(
              b.step(),
              Arrays.copyOfRange(b.keys(), from, to),
              Arrays.copyOfRange(b.sampleIds(), from, to),
              Arrays.copyOfRange(b.imageIds(), from, to),
              Arrays.copyOfRange(b.captions(), from, to),
              Arrays.copyOfRange(b.images(), from * pixels, to * pixels),
              b.tokens().rows(IntStream.range(from, to).toArray())));
    }
    return parts;
  }

  private Left train(NasConfig config) throws InterruptedException {
    boolean whole = config.data().batchSize() == ALL;
    Shapes shapes = new Shapes();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, config.model().textTokens());
        NasModel model = NasModel.create(config, tokenizer);
        TrainingStep step =
            new TrainingStep(
                config,
                model,
                config.nta().enabled()
                    ? NegativeTextAugmentation.prepare(
                        shapes, tokenizer, ShapesEditor.factory(), config.nta(), List.of(), 1)
                    : null,
                2,
                List.of(),
                Ranks.alone());
        BatchLoader loader =
            new BatchLoader(
                shapes,
                tokenizer,
                config.model().imageSize(),
                config(0, 0, false).data(),
                1,
                0,
                FirstPairs.NONE)) {
      List<float[]> gradients = new ArrayList<>();
      List<Map<String, Double>> losses = new ArrayList<>();
      for (int i = 0; i < STEPS; i++) {
        Batch batch = paired(loader.next());
        if (i == 0) {
          model.startDictionary(step.patchTokens(batch));
        }
        List<Batch> batches = whole ? List.of(batch) : parts(batch);
        losses.add(step.take(batches, i, STEPS, /* traced= */ false, /* probe= */ null).losses());
        if (i == 0 || i == STEPS - 1) {
          try (PointerScope scope = new PointerScope()) {
            gradients.add(Torch.toFloats(step.optimizer().moments().first()));
          }
        }
      }
      FeatureQueue queue = step.queue();
      try (PointerScope scope = new PointerScope()) {
        return new Left(
            gradients,
            Torch.toFloats(model.parameters().values()),
            Torch.toFloats(model.dictionary().codewords()),
            losses,
            queue == null ? new long[0] : queue.ids().clone(),
            queue == null
                ? new float[0]
                : Torch.toFloats(Torch.cat(0, queue.images(), queue.texts())));
      }
    }
  }

  /** Euclidean length of the difference over that of what is expected. */
  private static double distance(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double difference = 0;
    double length = 0;
    for (int i = 0; i < actual.length; i++) {
      difference += Math.pow(actual[i] - (double) expected[i], 2);
      length += Math.pow(expected[i], 2);
    }
    return length == 0 ? difference : Math.sqrt(difference / length);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, false, false",
    "0, 0.4, false, false",
    "64, 0, false, true",
    "48, 0.4, false, false",
    "48, 0.4, true, false",
    "0, 0, true, true"
  })
  void batchesOfAStepLearnWhatOneBatchOfAllTheirPairsDoes(
      int queue, double softTargets, boolean inContrast, boolean checkpointing) throws Exception {
    NasConfig config =
        config(queue, softTargets, inContrast)
            .withTraining(training -> training.gradientCheckpointing(checkpointing));
    Left expected = train(config);
    Left actual = train(divided(config));
    assertThat(distance(actual.gradients.getFirst(), expected.gradients.getFirst()))
        .isLessThan(1e-5);
    // Twenty steps' rounding has added up.
    assertThat(distance(actual.gradients.getLast(), expected.gradients.getLast())).isLessThan(3e-5);
    assertThat(distance(actual.parameters, expected.parameters)).isLessThan(3e-5);
    assertThat(distance(actual.codewords, expected.codewords)).isLessThan(1e-5);
    assertThat(actual.queuedIds).isEqualTo(expected.queuedIds);
    assertThat(distance(actual.queued, expected.queued)).isLessThan(1e-5);
    for (int i = 0; i < STEPS; i++) {
      assertThat(actual.losses.get(i).keySet()).isEqualTo(expected.losses.get(i).keySet());
      for (Map.Entry<String, Double> loss : expected.losses.get(i).entrySet()) {
        assertThat(Objects.requireNonNull(actual.losses.get(i).get(loss.getKey())))
            .isCloseTo(loss.getValue(), within(1e-5));
      }
    }
  }

  // The contrast of each batch on its own is another one: the test above tells them apart.
  @Test
  void withoutTheOptionBatchesOfAStepLearnSomethingElse() throws Exception {
    NasConfig config = config(48, 0.4, false);
    NasConfig apart = divided(config).withObjective(loss -> loss.itcOverAccumulation(false));
    assertThat(distance(train(apart).gradients.getFirst(), train(config).gradients.getFirst()))
        .isGreaterThan(0.1);
  }

  @Test
  void withOneBatchAStepTheOptionChangesNoBit() throws Exception {
    NasConfig config = config(48, 0.4, false);
    Left expected = train(config);
    Left actual = train(config.withObjective(loss -> loss.itcOverAccumulation(true)));
    assertThat(actual.parameters).isEqualTo(expected.parameters);
    assertThat(actual.losses).isEqualTo(expected.losses);
  }

  private NasTrainerBuilder trainer(NasConfig config, CaptionTokenizer tokenizer, String output) {
    return NasTrainer.builder()
        .config(config)
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .textEditor(ShapesEditor.factory())
        .output(folder.resolve(output))
        .threads(1);
  }

  // Every loss and quantized tokens; with masked words that momentum encoders judge as well.
  @Test
  void aRunWithAllLossesGivesTheSameBitsAgainAndWhenItIsResumed() throws IOException {
    NasConfig config =
        Shapes.config(12).toBuilder()
            .model(model -> model.fusionInput(ModelConfig.FusionInput.QUANTIZED))
            .nta(nta -> nta.enabled(true).inContrast(true).wordShare(0.5).exactLabels(true))
            .dictionary(dictionary -> dictionary.deadThreshold(2).deadSteps(3))
            .objective(loss -> loss.itcOverAccumulation(true))
            .optimizer(optimizer -> optimizer.accumulation(2))
            .build();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, config.model().textTokens())) {
      List<Map<String, Double>> losses = new ArrayList<>();
      AtomicReference<NasTrainer> running = new AtomicReference<>();
      Path whole = trainer(config, tokenizer, "whole").build().run().checkpoint();
      Path again = trainer(config, tokenizer, "again").build().run().checkpoint();
      NasTrainer first =
          trainer(config, tokenizer, "parts")
              .listener(
                  new TrainingListener() {
                    @Override
                    public void onStep(StepReport report) {
                      losses.add(report.losses());
                      if (report.step() == 5) {
                        running.get().stop();
                      }
                    }
                  })
              .build();
      running.set(first);
      assertThat(first.run().step()).isEqualTo(5);
      assertThat(losses.getLast()).containsKeys("itc", "itm", "nva", "nta", "mlm");
      Path resumed = trainer(config, tokenizer, "parts").resume(true).build().run().checkpoint();
      for (String name :
          List.of("model.safetensors", "dictionary.safetensors", "training.safetensors")) {
        assertThat(again.resolve(name)).hasSameBinaryContentAs(whole.resolve(name));
        assertThat(resumed.resolve(name)).hasSameBinaryContentAs(whole.resolve(name));
      }
    }
  }

  @Test
  void aQueueThatIsNoMultipleOfTheStepsPairsIsRefused() {
    assertThatThrownBy(
            () ->
                Shapes.config(1).toBuilder()
                    .objective(loss -> loss.queue(24).itcOverAccumulation(true))
                    .optimizer(optimizer -> optimizer.accumulation(2))
                    .build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "objective.queue is 24: it must be a multiple of data.batchSize times"
                + " optimizer.accumulation (16) where objective.itcOverAccumulation is true, or 0"
                + " for no queue");
  }

  @Test
  void aLossOfAllBatchesThatIsNotFiniteEndsTheRunBeforeAStep() throws IOException {
    NasConfig config = divided(config(0, 0, false));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, config.model().textTokens())) {
      Path checkpoint =
          trainer(config.withTraining(t -> t.steps(1)), tokenizer, "out")
              .build()
              .run()
              .checkpoint();
      Sums.set(checkpoint.resolve("model.safetensors"), "log_temperature", -Float.MAX_VALUE);
      assertThatThrownBy(
              () ->
                  trainer(config.withTraining(t -> t.steps(5)), tokenizer, "out")
                      .resume(true)
                      .build()
                      .run())
          .isInstanceOf(TrainingException.class)
          .hasMessageContaining("is not finite at step 2")
          .hasMessageContaining("itc");
    }
  }
}
