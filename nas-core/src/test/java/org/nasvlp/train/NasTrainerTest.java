package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

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
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.TooManyBadSamplesException;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class NasTrainerTest {
  @TempDir Path folder;
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
    return trainer(config, output, new Shapes());
  }

  private NasTrainerBuilder trainer(NasConfig config, String output, ImageTextDataset dataset) {
    return NasTrainer.builder()
        .config(config)
        .dataset(dataset)
        .tokenizer(tokenizer)
        .textEditor(ShapesEditor.factory())
        .output(folder.resolve(output))
        .threads(1);
  }

  /** The tensors of a checkpoint, as bytes. */
  private static List<byte[]> tensors(Path checkpoint) throws IOException {
    List<byte[]> all = new ArrayList<>();
    for (String name :
        List.of("model.safetensors", "dictionary.safetensors", "training.safetensors")) {
      all.add(Files.readAllBytes(checkpoint.resolve(name)));
    }
    return all;
  }

  private static void assertSame(Path a, Path b) throws IOException {
    List<byte[]> first = tensors(a);
    List<byte[]> second = tensors(b);
    for (int i = 0; i < first.size(); i++) {
      assertThat(first.get(i)).isEqualTo(second.get(i));
    }
  }

  @ParameterizedTest
  @EnumSource(ModelConfig.FusionInput.class)
  void fiftyStepsLowerEveryLoss(ModelConfig.FusionInput input) {
    NasConfig config = Shapes.config(50).withModel(model -> model.fusionInput(input));
    List<StepReport> reports = new ArrayList<>();
    TrainingResult result =
        trainer(config, "out")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    reports.add(report);
                  }
                })
            .build()
            .run();
    assertThat(result.step()).isEqualTo(50);
    assertThat(result.stopped()).isFalse();
    assertThat(reports).hasSize(50);
    for (String name : List.of("itc", "mlm")) {
      double before =
          reports.subList(0, 5).stream().mapToDouble(r -> r.losses().get(name)).average().orElse(0);
      double after =
          reports.subList(45, 50).stream()
              .mapToDouble(r -> r.losses().get(name))
              .average()
              .orElse(0);
      assertThat(after).as(name).isLessThan(0.95 * before);
    }
    double before =
        reports.subList(0, 5).stream().mapToDouble(StepReport::loss).average().orElse(0);
    double after =
        reports.subList(45, 50).stream().mapToDouble(StepReport::loss).average().orElse(0);
    assertThat(after).isLessThan(0.9 * before);
    assertThat(result.losses()).containsOnlyKeys("itc", "itm", "nva", "mlm");
    assertThat(result.dictionary().live()).isPositive();
  }

  private static NasConfig withMaskedCodes(NasConfig config) {
    return config.withObjective(objective -> objective.mvmWeight(1));
  }

  @Test
  void maskedCodesAreLearned() {
    List<Map<String, Double>> without = new ArrayList<>();
    trainer(Shapes.config(1), "without").listener(collecting(without)).build().run();
    List<Map<String, Double>> with = new ArrayList<>();
    TrainingResult result =
        trainer(withMaskedCodes(Shapes.config(200)), "with")
            .listener(collecting(with))
            .build()
            .run();
    // The other parameters begin with the same values.
    Map<String, Double> first = new HashMap<>(with.getFirst());
    assertThat(first.remove("mvm")).isBetween(0.5 * Math.log(24), 3 * Math.log(24));
    assertThat(first.keySet()).isEqualTo(without.getFirst().keySet());
    // More pairs are fused at once, of which some of OpenBLAS's kernels make other last bits.
    without
        .getFirst()
        .forEach((name, loss) -> assertThat(first.get(name)).isCloseTo(loss, within(2e-6)));
    // Hidden codes are more even than codes in use, so that knowing how often each is used, and
    // nothing of the picture, cannot bring the loss below the logarithm of the perplexity.
    double last =
        with.subList(150, 200).stream()
            .mapToDouble(step -> step.get("mvm"))
            .average()
            .orElseThrow();
    assertThat(last).isLessThan(0.9 * Math.log(result.dictionary().perplexity()));
  }

  private static TrainingListener collecting(List<Map<String, Double>> losses) {
    return new TrainingListener() {
      @Override
      public void onStep(StepReport report) {
        losses.add(report.losses());
      }
    };
  }

  @Test
  void theSameSeedGivesTheSameBitsAndAnotherDoesNot() throws IOException {
    Path a = trainer(Shapes.config(6), "a").build().run().checkpoint();
    Path b = trainer(Shapes.config(6), "b").build().run().checkpoint();
    assertSame(a, b);
    NasConfig other = Shapes.config(6).withTraining(training -> training.seed(4));
    Path c = trainer(other, "c").build().run().checkpoint();
    assertThat(tensors(c).getFirst()).isNotEqualTo(tensors(a).getFirst());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aStoppedAndResumedRunEndsWithTheSameBits(boolean maskedCodes) throws IOException {
    NasConfig config = maskedCodes ? withMaskedCodes(Shapes.config(14)) : Shapes.config(14);
    Path whole = trainer(config, "whole").build().run().checkpoint();

    AtomicReference<NasTrainer> running = new AtomicReference<>();
    NasTrainer first =
        trainer(config, "parts")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == 5) {
                      running.get().stop();
                    }
                  }
                })
            .build();
    running.set(first);
    TrainingResult stopped = first.run();
    assertThat(stopped.stopped()).isTrue();
    assertThat(stopped.step()).isEqualTo(5);
    TrainingResult resumed = trainer(config, "parts").resume(true).build().run();
    assertThat(resumed.step()).isEqualTo(14);
    assertSame(whole, resumed.checkpoint());
  }

  @Test
  void checkpointsAreWrittenOnTheWayAndOldOnesDropped() throws IOException {
    NasConfig config =
        Shapes.config(10).withTraining(training -> training.checkpointEvery(2).keepCheckpoints(2));
    trainer(config, "out").build().run();
    try (var files = Files.list(folder.resolve("out/checkpoints"))) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("step-00000008", "step-00000010", "latest");
    }
    // Ten steps, the codewords' use after each, two epochs.
    assertThat(Files.readAllLines(folder.resolve("out/log.jsonl"))).hasSize(10 + 10 + 2);
  }

  @Test
  void gradientCheckpointingChangesNoBit() throws IOException {
    Path kept = trainer(Shapes.config(6), "kept").build().run().checkpoint();
    NasConfig config =
        Shapes.config(6).withTraining(training -> training.gradientCheckpointing(true));
    Path computed = trainer(config, "computed").build().run().checkpoint();
    assertSame(kept, computed);
  }

  @Test
  void aRunIsNotOverwrittenUnasked() {
    trainer(Shapes.config(1), "out").build().run();
    assertThatThrownBy(() -> trainer(Shapes.config(1), "out").build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("already holds a run")
        .hasMessageContaining("resume it, or choose another output");
  }

  @Test
  void aCurriculumBeginsWithPairsThatNameOneThing() {
    NasConfig config =
        Shapes.config(3).toBuilder()
            .nta(nta -> nta.enabled(true))
            .data(data -> data.singleThingSteps(100))
            .build();
    Shapes shapes = new Shapes();
    Set<String> read = ConcurrentHashMap.newKeySet();
    ImageTextDataset recording =
        new ImageTextDataset() {
          @Override
          public long size() {
            return shapes.size();
          }

          @Override
          public ImageTextPair get(long index) throws BadSampleException {
            ImageTextPair pair = shapes.get(index);
            read.add(pair.caption());
            return pair;
          }

          @Override
          public ImageCaption caption(long index) throws BadSampleException {
            return shapes.caption(index);
          }

          @Override
          public String name() {
            return shapes.name();
          }
        };
    List<Long> told = new ArrayList<>();
    trainer(config, "out", recording)
        .textEditor(ShapesEditor.factory("red"))
        .listener(
            new TrainingListener() {
              @Override
              public void onStart(TrainingStart start) {
                told.add(start.singleThingPairs());
              }
            })
        .build()
        .run();
    assertThat(told).containsExactly(8L);
    assertThat(read).hasSize(8).allMatch(caption -> caption.startsWith("red "));
    assertThatThrownBy(
            () ->
                trainer(config, "none")
                    .textEditor(ShapesEditor.factory("frame left"))
                    .build()
                    .run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("4 of the 32 captions of shapes name one thing")
        .hasMessageContaining("set data.singleThingSteps to 0");
  }

  @Test
  void anotherConfigurationIsNotResumed() {
    trainer(Shapes.config(2), "out").build().run();
    NasConfig other = Shapes.config(2).withObjective(objective -> objective.itcWeight(2));
    assertThatThrownBy(() -> trainer(other, "out").resume(true).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("another objective")
        .hasMessageContaining("itcWeight=1.0");
  }

  @ParameterizedTest
  @CsvSource({
    "match_head.weight, the loss {",
    "image_encoder.layernorm.weight, the image encoder's features"
  })
  void aRunThatIsNoLongerFiniteStopsWithTheSamplesNamed(String parameter, String what)
      throws IOException {
    Path checkpoint = trainer(Shapes.config(1), "out").build().run().checkpoint();
    Sums.fill(checkpoint.resolve("model.safetensors"), parameter, Float.MAX_VALUE);
    assertThatThrownBy(() -> trainer(Shapes.config(5), "out").resume(true).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageStartingWith(what)
        .hasMessageContaining("is not finite at step 2")
        .hasMessageContaining("lower optimizer.learningRate")
        .hasMessageContaining("-square-")
        .hasMessageContaining("not-finite-step-00000002.safetensors")
        .hasMessageContaining(checkpoint.toString());
  }

  @Test
  void theBatchThatIsNotFiniteIsKept() throws IOException {
    Path checkpoint = trainer(Shapes.config(1), "out").build().run().checkpoint();
    Sums.set(checkpoint.resolve("model.safetensors"), "match_head.weight", Float.MAX_VALUE);
    assertThatThrownBy(() -> trainer(Shapes.config(5), "out").resume(true).build().run())
        .isInstanceOf(TrainingException.class);
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> saved =
          Safetensors.read(folder.resolve("out/not-finite-step-00000002.safetensors"), arena);
      assertThat(saved.get("images.0").shape()).containsExactly(8, 3, Shapes.SIZE, Shapes.SIZE);
      assertThat(saved.get("ids.0").shape()[0]).isEqualTo(8);
    }
    assertThat(folder.resolve("out/not-finite-step-00000002.json"))
        .content()
        .contains("square left", "\"key\"");
  }

  @Test
  void accumulatedBatchesMakeAStep() throws IOException {
    NasConfig config = Shapes.config(6);
    NasConfig twice = config.withOptimizer(optimizer -> optimizer.accumulation(2));
    List<Map<String, Double>> losses = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            losses.add(report.losses());
          }
        };
    Path whole = trainer(twice, "twice").listener(listener).build().run().checkpoint();
    // The first step's loss is the mean of what two steps without any learning would have.
    NasConfig still =
        Shapes.config(2)
            .withOptimizer(
                optimizer ->
                    optimizer
                        .learningRate(1e-30)
                        .finalLearningRate(0)
                        .warmupShare(0)
                        .weightDecay(0)
                        .clipNorm(0));
    List<Map<String, Double>> single = new ArrayList<>();
    trainer(frozen(still), "single")
        .listener(
            new TrainingListener() {
              @Override
              public void onStep(StepReport report) {
                single.add(report.losses());
              }
            })
        .build()
        .run();
    losses.clear();
    trainer(frozen(twice), "frozen").listener(listener).build().run();
    assertThat(losses.getFirst().get("itm"))
        .isCloseTo(
            (single.get(0).get("itm") + single.get(1).get("itm")) / 2,
            org.assertj.core.data.Offset.offset(1e-6));

    AtomicReference<NasTrainer> running = new AtomicReference<>();
    NasTrainer first =
        trainer(twice, "parts")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == 3) {
                      running.get().stop();
                    }
                  }
                })
            .build();
    running.set(first);
    first.run();
    assertSame(whole, trainer(twice, "parts").resume(true).build().run().checkpoint());
  }

  /** Without hard negatives made from the dictionary, which moves with every batch. */
  private static NasConfig frozen(NasConfig config) {
    return config.withNva(nva -> nva.enabled(false));
  }

  /**
   * Hard negative captions, some of them from the model's own proposals, and images swapped towards
   * their words.
   */
  private static NasConfig directed(NasConfig config, NvaConfig.Control control) {
    return config.toBuilder()
        .nta(
            NtaConfig.defaults().toBuilder()
                .inContrast(true)
                .wordShare(control == NvaConfig.Control.MATCHED ? 0.5 : 0)
                .build())
        .nva(
            NvaConfig.defaults().toBuilder()
                .neighbours(12)
                .similarity(NvaConfig.Similarity.RAW)
                .donor(NvaConfig.Donor.TOKEN)
                .control(control)
                .weight(0.5)
                .startShare(0)
                .rampShare(0)
                .build())
        .build();
  }

  @Test
  void captionEditsMadeBeforehandAreFoundAndLeaveTheRunAsItIs() throws Exception {
    NasConfig config = directed(Shapes.config(3), NvaConfig.Control.MATCHED);
    Path ready = folder.resolve("ready");
    List<NegativeTextAugmentation.Preparation> told = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onCaptionEdits(NegativeTextAugmentation.Preparation edits) {
            told.add(edits);
          }
        };
    // Nothing there yet: the run makes its own, and writes nothing there.
    Path own =
        trainer(config, "own").captionEdits(ready).listener(listener).build().run().checkpoint();
    assertThat(ready).doesNotExist();
    assertThat(folder.resolve("own/captions")).isDirectoryContaining("glob:**.edits");
    NegativeTextAugmentation.Preparation made =
        NegativeTextAugmentation.prepare(
                new Shapes(), tokenizer, ShapesEditor.factory(), config.nta(), List.of(ready), 9)
            .preparation();
    Path found =
        trainer(config, "found").captionEdits(ready).listener(listener).build().run().checkpoint();
    assertThat(folder.resolve("found/captions")).doesNotExist();
    assertThat(told).extracting(of -> of.fromCache()).containsExactly(false, true);
    assertThat(told.get(1).cacheFile()).isEqualTo(made.cacheFile());
    assertSame(own, found);
    // Edits of other captions under that name are not used.
    Files.write(made.cacheFile(), new byte[200]);
    Path anew =
        trainer(config, "anew").captionEdits(ready).listener(listener).build().run().checkpoint();
    assertThat(told.get(2).fromCache()).isFalse();
    assertThat(told.get(2).notes())
        .singleElement()
        .asString()
        .contains(made.cacheFile().toString(), "cannot be used");
    assertSame(own, anew);
  }

  @ParameterizedTest
  @EnumSource(
      value = NvaConfig.Control.class,
      names = {"CROSSED", "MATCHED"})
  void directedNegativesAreMadeAndResumedToTheSameBits(NvaConfig.Control control)
      throws IOException {
    NasConfig config = directed(Shapes.config(30), control);
    List<StepReport> reports = new ArrayList<>();
    AtomicReference<NasTrainer> running = new AtomicReference<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            reports.add(report);
          }
        };
    Path whole = trainer(config, "whole").listener(listener).build().run().checkpoint();
    assertThat(reports)
        .anySatisfy(
            report -> {
              assertThat(report.losses()).containsKeys("nva", "nta");
              assertThat(report.hardNegatives().get("nva")).isPositive();
            })
        .allSatisfy(
            report -> {
              assertThat(report.hardNegatives().get("nta")).isBetween(1, 8);
              assertThat(report.losses().values()).allMatch(Double::isFinite);
            });
    NasTrainer first =
        trainer(config, "parts")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == 17) {
                      running.get().stop();
                    }
                  }
                })
            .build();
    running.set(first);
    first.run();
    assertSame(whole, trainer(config, "parts").resume(true).build().run().checkpoint());
  }

  @Test
  void publishedBenchmarksAreEvaluatedOnTheWay() throws Exception {
    Shapes shapes = new Shapes();
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    StringBuilder items = new StringBuilder();
    for (int i = 0; i < 4; i++) {
      String name = i + ".png";
      if (i < 3) {
        Files.write(pictures.resolve(name), shapes.encodedImage(i));
      }
      items
          .append(i == 0 ? "{" : ",")
          .append(
              """
              "%d": {"filename": "%s", "caption": "%s", "negative_caption": "green frame right"}
              """
                  .formatted(i, name, shapes.get(i).caption()));
    }
    Path file = Files.writeString(folder.resolve("replace_att.json"), items + "}");
    PublishedBenchmark crepe = PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file);
    NasConfig config =
        Shapes.config(6).withTraining(training -> training.evaluateEvery(2).keepBest(true));
    List<String> told = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {
            byWay.forEach(
                (way, report) ->
                    told.add(step + " " + name + " " + way + " " + report.all().getFirst().of()));
          }

          @Override
          public void onWarning(String message) {
            told.add(message);
          }
        };
    TrainingResult result =
        trainer(config, "out").benchmark("crepe", crepe, pictures).listener(listener).build().run();
    assertThat(told).hasSize(9).contains("2 crepe itc 3", "4 crepe itm 3", "6 crepe itm 3");
    assertThat(told.getFirst()).contains("1 of 4 items of crepe were not scored", "3.png");
    assertThat(result.evaluation()).isNull();
    // The last evaluation is that of the model as it was kept.
    try (NasModel model = NasModel.load(result.checkpoint())) {
      ItemScores scores =
          crepe.score(pictures, 0xFFFFFF, Map.of("itm", model.itmScorer()), done -> {}).scores();
      assertThat(result.benchmarks().get("crepe").get("itm"))
          .isEqualTo(crepe.report(scores, "itm", Set.of()));
    }
    try (var files = Files.list(folder.resolve("out/checkpoints"))) {
      assertThat(files.map(found -> found.getFileName().toString()))
          .contains("best-crepe-itc", "best-crepe-itm");
    }
    assertThat(
            Files.readAllLines(folder.resolve("out/log.jsonl")).stream()
                .filter(line -> line.contains("\"crepe\":{\"itc\":{\"metrics\":[\"accuracy\"]")))
        .hasSize(3);
    assertThatThrownBy(() -> NasTrainer.builder().benchmark("itm", crepe, pictures))
        .hasMessageContaining("called 'itm'");
    assertThatThrownBy(() -> NasTrainer.builder().benchmark("crepe", crepe, file))
        .hasMessageContaining("no such folder");
    assertThatThrownBy(
            () ->
                NasTrainer.builder()
                    .benchmark("crepe", crepe, pictures)
                    .benchmark("crepe", crepe, pictures))
        .hasMessageContaining("two benchmarks");
  }

  @Test
  void hardNegativeImagesAreTracedIfAskedFor() {
    List<NvaTrace> traces = new ArrayList<>();
    trainer(Shapes.config(6), "out")
        .traceEvery(3)
        .listener(
            new TrainingListener() {
              @Override
              public void onNvaTrace(long step, NvaTrace trace) {
                assertThat(step % 3).isZero();
                traces.add(trace);
              }
            })
        .build()
        .run();
    assertThat(traces).hasSize(2);
    for (NvaTrace trace : traces) {
      assertThat(trace.caption()).isNotBlank();
      assertThat(trace.scores()).hasSize(16);
      assertThat(trace.swaps()).isNotEmpty().hasSizeLessThanOrEqualTo(4);
      assertThat(trace.matchBefore()).isBetween(0.0, 1.0);
      double last = Double.POSITIVE_INFINITY;
      for (NvaTrace.Swap swap : trace.swaps()) {
        assertThat(swap.substitute()).isNotEqualTo(swap.code());
        assertThat(trace.scores()[swap.position()]).isLessThanOrEqualTo(last);
        last = trace.scores()[swap.position()];
      }
    }
  }

  @Test
  void badSamplesAreCountedAndTooManyStopTheRun() {
    NasConfig config = Shapes.config(12);
    assertThatThrownBy(() -> trainer(config, "out", Shapes.withBroken(5)).build().run())
        .isInstanceOf(TooManyBadSamplesException.class)
        .hasMessageContaining("shape 5");
    NasConfig tolerant = config.withData(data -> data.maxBadShare(0.2));
    TrainingResult result = trainer(tolerant, "out2", Shapes.withBroken(5)).build().run();
    assertThat(result.skippedSamples()).isEqualTo(1);
    assertThat(result.skippedExamples()).containsExactly("shape 5: made unreadable by the test");
  }

  @Test
  void anOutputThatCannotBeMadeIsNamed() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> trainer(Shapes.config(1), "file/out").build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("output folder");
  }

  @Test
  void aDamagedCheckpointIsNamed() throws IOException {
    Path checkpoint = trainer(Shapes.config(1), "out").build().run().checkpoint();
    Path file = checkpoint.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length - 100));
    Sums.seal(checkpoint);
    assertThatThrownBy(() -> trainer(Shapes.config(2), "out").resume(true).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("model.safetensors")
        .hasMessageContaining("cut short");
    assertThatThrownBy(() -> NasModel.load(checkpoint))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("cut short");
  }

  @Test
  void theTimeBudgetBoundsTheSteps() {
    NasConfig config =
        Shapes.config(1_000_000)
            .withTraining(training -> training.minutes(0.05).keepCheckpoints(1));
    TrainingResult result = trainer(config, "out").build().run();
    assertThat(result.stopped()).isFalse();
    assertThat(result.step()).isEqualTo(result.steps()).isLessThan(100_000);
  }

  /** A run that is stopped half-way and goes on has the same budget as one that is not. */
  @Test
  void aBudgetOfStepsIsUsedUpByThem() throws IOException {
    NasConfig config =
        Shapes.config(1_000_000)
            .withTraining(training -> training.stepMinutes(0.05).keepCheckpoints(1));
    AtomicReference<NasTrainer> running = new AtomicReference<>();
    List<Long> planned = new ArrayList<>();
    NasTrainer first =
        trainer(config, "out")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStart(TrainingStart start) {
                    planned.add(start.steps());
                  }

                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() >= report.steps() / 2) {
                      running.get().stop();
                    }
                  }
                })
            .build();
    running.set(first);
    assertThat(first.run().stopped()).isTrue();
    // The rehearsal gives the plan before the first step.
    assertThat(planned).singleElement().satisfies(n -> assertThat(n).isBetween(2L, 100_000L));
    TrainingResult result = trainer(config, "out").resume(true).build().run();
    assertThat(result.stopped()).isFalse();
    assertThat(result.step()).isEqualTo(result.steps());
    JsonNode state =
        JsonMapper.shared().readTree(Files.readString(result.checkpoint().resolve("state.json")));
    // One step more or less, and no single one takes a second.
    assertThat(state.get("stepSeconds").doubleValue()).isBetween(2.0, 4.0);
  }

  @Test
  void aLoadedModelScoresAsTheTrainedOne() throws Exception {
    Path checkpoint = trainer(Shapes.config(20), "out").build().run().checkpoint();
    List<String> captions = List.of("red square left", "blue square left", "red bar right");
    Shapes shapes = new Shapes();
    try (NasModel one = NasModel.load(checkpoint);
        NasModel two = NasModel.load(folder.resolve("out"))) {
      double[] scores = one.score(shapes.get(0).image(), captions);
      assertThat(scores).hasSize(3).isEqualTo(two.score(shapes.get(0).image(), captions));
      for (double score : scores) {
        assertThat(score).isBetween(0.0, 1.0);
      }
      // Alone or in a batch: a caption's score depends on its image and itself.
      assertThat(one.score(shapes.get(0).image(), captions.subList(1, 2))[0])
          .isCloseTo(scores[1], org.assertj.core.data.Offset.offset(1e-5));
      for (float[] embedding : one.encodeImage(List.of(shapes.get(3).image()))) {
        double norm = 0;
        for (float value : embedding) {
          norm += (double) value * value;
        }
        assertThat(norm).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-5));
      }
    }
  }

  @Test
  void initialWeightsAreWhereAFreshRunStarts() throws IOException {
    // With a momentum of 1 the momentum encoders stay what they were at the start.
    NasConfig config = Shapes.config(1).withObjective(objective -> objective.encoderMomentum(1));
    Path file = folder.resolve("weights.safetensors");
    float[] given;
    NasConfig seed = config.withTraining(training -> training.seed(77));
    try (NasModel other = NasModel.create(seed, tokenizer)) {
      given = Torch.toFloats(other.parameters().values());
      other.exportWeights(file);
    }
    PretrainedWeights weights = PretrainedWeights.none().withModel(file);
    List<WeightReport> reports = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onWeights(WeightReport report) {
            reports.add(report);
          }

          @Override
          public void onWarning(String message) {
            warnings.add(message);
          }
        };
    TrainingResult result =
        trainer(config, "out").initialWeights(weights).listener(listener).build().run();
    assertThat(reports).singleElement().satisfies(r -> assertThat(r.missing()).isEmpty());
    assertThat(warnings).isEmpty();
    assertThat(folder.resolve("out").resolve("weights.json")).content().contains(file.toString());
    try (Arena arena = Arena.ofConfined()) {
      Path training = result.checkpoint().resolve("training.safetensors");
      MemorySegment momentum = Safetensors.read(training, arena).get("momentum").data();
      assertThat(momentum.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED)).containsExactly(given);
    }

    TrainingResult resumed =
        trainer(config, "out")
            .initialWeights(weights)
            .resume(true)
            .listener(listener)
            .build()
            .run();
    assertThat(reports).hasSize(1);
    assertThat(warnings)
        .singleElement()
        .satisfies(w -> assertThat(w).contains("weights are not loaded", "step-00000001"));
    assertThat(resumed.checkpoint()).isEqualTo(result.checkpoint());

    Path absent = folder.resolve("absent.safetensors");
    NasTrainer broken =
        trainer(config, "other").initialWeights(PretrainedWeights.none().withImage(absent)).build();
    assertThatThrownBy(broken::run)
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("absent.safetensors");
  }
}
