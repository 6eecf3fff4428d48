package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.model.NasModel;
import org.nasvlp.scoring.ImageTextScorer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The best checkpoints of runs that are cut off end as those of one that nothing happened to. */
class BestInTrainingTest {
  /** What a kill leaves on the disk: nothing is written after it. */
  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** Cuts a run off once it tells of an event of a step. */
  private record Kill(String event, long at) implements TrainingListener {
    private void perhaps(String name, long step) {
      if (name.equals(event) && step == at) {
        throw new Killed();
      }
    }

    @Override
    public void onCheckpoint(long step, Path directory) {
      perhaps("checkpoint", step);
    }

    @Override
    public void onEvaluated(long step, Evaluation evaluation) {
      perhaps("evaluated", step);
    }

    @Override
    public void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {
      perhaps("benchmark", step);
    }
  }

  @TempDir private Path folder;
  private Path pictures;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() throws IOException {
    tokenizer = Shapes.tokenizer(folder, 8);
    pictures = Files.createDirectory(folder.resolve("pictures"));
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private NasTrainerBuilder trainer(String output, int steps) throws IOException {
    NasConfig config =
        Shapes.config(steps)
            .withTraining(training -> training.evaluateEvery(2).keepBest(true).keepCheckpoints(1));
    return NasTrainer.builder()
        .config(config)
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .benchmark(ShapesBenchmarks.pairs(folder))
        .benchmark("crepe", ShapesBenchmarks.published(folder, pictures, 4), pictures)
        .output(folder.resolve(output))
        .resume(true)
        .threads(1);
  }

  private static JsonNode state(Path checkpoint) throws IOException {
    return JsonMapper.shared().readTree(Files.readString(checkpoint.resolve("state.json")));
  }

  /** Of each best checkpoint, and of the newest: its step and what it knows of the best. */
  private Map<String, String> kept(String output) throws IOException {
    Map<String, String> kept = new TreeMap<>();
    try (Stream<Path> checkpoints = Files.list(folder.resolve(output).resolve("checkpoints"))) {
      for (Path checkpoint : checkpoints.filter(Files::isDirectory).toList()) {
        JsonNode state = state(checkpoint);
        kept.put(
            checkpoint.getFileName().toString(), state.get("step") + " knows " + state.get("best"));
      }
    }
    return kept;
  }

  private void cutOff(String output, int steps, String event, long at) throws IOException {
    NasTrainer trainer = trainer(output, steps).listener(new Kill(event, at)).build();
    assertThatThrownBy(trainer::run).isInstanceOf(Killed.class);
  }

  @Test
  void retrievalIsRankedByBothScoresAtTheModelsTemperature() throws IOException {
    // Long enough that both scores say something, and not the same.
    TrainingResult result = trainer("ranked", 1).config(Shapes.config(60)).build().run();
    double[] found = result.evaluation().retrievalItm().textRecall();
    FineGrainedBenchmark pairs = ShapesBenchmarks.pairs(folder);
    try (NasModel model = NasModel.load(result.checkpoint())) {
      ImageTextScorer itc = model.itcScorer();
      ImageTextScorer itm = model.itmScorer();
      double contrast = 1 / model.temperature();
      assertThat(pairs.evaluate(itc, itm, contrast, true).retrievalItm().textRecall())
          .containsExactly(found);
      assertThat(pairs.evaluate(itc, itm, 0, true).retrievalItm().textRecall()).isNotEqualTo(found);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "checkpoint, 2",
    "evaluated, 2",
    "benchmark, 2",
    "checkpoint, 6",
    "evaluated, 6",
    "benchmark, 6"
  })
  void aRunThatIsKilledAndResumedKeepsTheSame(String event, long at) throws IOException {
    trainer("whole", 6).build().run();
    cutOff("cut", 6, event, at);
    trainer("cut", 6).build().run();
    assertThat(kept("cut")).containsKeys("best-itc", "best-crepe-itm").isEqualTo(kept("whole"));
  }

  /** The checkpoint of the step is there before its evaluation then. */
  @ParameterizedTest
  @CsvSource({"checkpoint", "evaluated", "benchmark"})
  void aRunThatIsStoppedAndKilledWhileItEvaluatesKeepsTheSame(String event) throws IOException {
    trainer("whole", 6).build().run();
    AtomicReference<NasTrainer> running = new AtomicReference<>();
    NasTrainer first =
        trainer("cut", 6)
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == 2) {
                      running.get().stop();
                    }
                  }
                })
            .build();
    running.set(first);
    assertThat(first.run().stopped()).isTrue();
    cutOff("cut", 6, event, 2);
    trainer("cut", 6).build().run();
    assertThat(kept("cut")).isEqualTo(kept("whole"));
  }

  @Test
  void theLastCheckpointKnowsWhatTheLastEvaluationFound() throws IOException {
    Path last = trainer("out", 1).build().run().checkpoint();
    assertThat(state(last).get("best").propertyNames())
        .containsExactlyInAnyOrder(
            "itc", "itc-group", "itm", "itm-group", "crepe-itc", "crepe-itm");
    assertThat(kept("out").values()).hasSize(7).containsOnly("1 knows " + state(last).get("best"));
  }

  /** Killed between the removal of an old folder and the renaming of the new one. */
  @Test
  void aMissingBestCheckpointIsMadeUpFor() throws IOException {
    trainer("whole", 6).build().run();
    cutOff("cut", 6, "evaluated", 2);
    Path best = folder.resolve("cut/checkpoints/best-itm");
    try (Stream<Path> files = Files.list(best)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(best);
    trainer("cut", 6).build().run();
    assertThat(kept("cut")).isEqualTo(kept("whole"));
  }
}
