package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.PublishedBenchmark;

/** Listeners that stop a run, and the one that prints. */
class StoppingTest {
  @TempDir private Path folder;

  private PublishedBenchmark benchmark(Path pictures) throws Exception {
    Shapes shapes = new Shapes();
    Files.createDirectories(pictures);
    Files.write(pictures.resolve("0.png"), shapes.encodedImage(0));
    Path file =
        Files.writeString(
            folder.resolve("replace_att.json"),
            "{\"0\": {\"filename\": \"0.png\", \"caption\": \"%s\", \"negative_caption\": \"x\"}}"
                .formatted(shapes.get(0).caption()));
    return PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file);
  }

  private TrainingResult train(NasConfig config, Path out, TrainingListener... listeners)
      throws Exception {
    Path pictures = folder.resolve("pictures");
    PublishedBenchmark crepe = benchmark(pictures);
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      NasTrainerBuilder builder =
          NasTrainer.builder()
              .config(config)
              .dataset(new Shapes())
              .tokenizer(tokenizer)
              .textEditor(ShapesEditor.factory())
              .benchmark("crepe", crepe, pictures)
              .output(out)
              .threads(1);
      for (TrainingListener listener : listeners) {
        builder.listener(listener);
      }
      return builder.build().run();
    }
  }

  private static NasConfig config(int steps) {
    return Shapes.config(steps)
        .withTraining(training -> training.evaluateEvery(2).checkpointEvery(3).keepBest(true))
        .withNta(nta -> nta.enabled(true));
  }

  /** Wants to stop once an event of a step was told. */
  private static final class Stop implements TrainingListener {
    private final long atStep;
    private final long atEvaluation;
    private boolean wants;

    Stop(long atStep, long atEvaluation) {
      this.atStep = atStep;
      this.atEvaluation = atEvaluation;
    }

    @Override
    public void onStep(StepReport report) {
      wants |= report.step() == atStep;
    }

    @Override
    public void onEvaluated(long step, Evaluation evaluation) {
      wants |= step == atEvaluation;
    }

    @Override
    public boolean wantsStop() {
      return wants;
    }
  }

  @Test
  void aListenerStopsAfterAStepOrAnEvaluation() throws Exception {
    TrainingResult step = train(config(9), folder.resolve("step"), new Stop(3, -1));
    assertThat(step.step()).isEqualTo(3);
    assertThat(step.stopped()).isTrue();
    assertThat(step.checkpoint()).hasFileName("step-00000003");
    TrainingResult evaluation =
        train(config(9), folder.resolve("evaluation"), new Stop(-1, -1), new Stop(-1, 4));
    assertThat(evaluation.step()).isEqualTo(4);
    assertThat(evaluation.stopped()).isTrue();
    assertThat(evaluation.checkpoint()).hasFileName("step-00000004");
    // At the planned end there is nothing left to stop.
    TrainingResult whole = train(config(4), folder.resolve("whole"), new Stop(-1, 4));
    assertThat(whole.stopped()).isFalse();
  }

  private static Evaluation evaluation(double itc) {
    AttributeScores scores = new AttributeScores(10, itc, 0, 0, 0, 0);
    FineGrainedReport report = new FineGrainedReport(Map.of("age", scores), scores, scores);
    return new Evaluation(new EvaluationReport(report, null, null, null), Map.of());
  }

  @Test
  void earlyStoppingCountsEvaluationsWithoutANewBest() {
    EarlyStopping stopping = EarlyStopping.on("itc", 2, 0.05);
    double[] values = {0.5, 0.54, 0.56, 0.5, 0.62, 0.66, Double.NaN};
    // Better by more than 0.05 than the best so far: the first, the third and the fifth.
    boolean[] stop = {false, false, false, false, false, false, true};
    for (int i = 0; i < values.length; i++) {
      assertThat(stopping.wantsStop()).isFalse();
      stopping.onEvaluated(10L * (i + 1), evaluation(values[i]));
      assertThat(stopping.wantsStop()).as("evaluation " + i).isEqualTo(stop[i]);
    }
    assertThat(stopping.best()).isEqualTo(0.62);
    assertThat(stopping.bestStep()).isEqualTo(50);
    assertThatThrownBy(() -> EarlyStopping.on("itm", 1, 0).onEvaluated(1, evaluation(0.5)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("'itm'")
        .hasMessageContaining("[itc, itc-group]");
    assertThatThrownBy(() -> EarlyStopping.on("itc", 0, 0)).hasMessageContaining("patience is 0");
    assertThatThrownBy(() -> EarlyStopping.on("itc", 1, Double.NaN))
        .hasMessageContaining("leastGain is NaN");
  }

  @Test
  void earlyStoppingEndsARunAndTheConsoleTellsOfIt() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    // One pair: it is right or it is not, and never better by one.
    TrainingResult result =
        train(
            config(20),
            folder.resolve("early"),
            EarlyStopping.on("crepe-itc", 3, 1),
            TrainingListener.console(out));
    assertThat(result.stopped()).isTrue();
    assertThat(result.step()).isEqualTo(8);
    assertThat(bytes.toString(StandardCharsets.UTF_8).lines().toList())
        .anyMatch(line -> line.matches("begins with step 1 of 20: 32 pairs, .*, cpu, 1 thread; .*"))
        .anyMatch(line -> line.startsWith("hard negative captions for "))
        .anyMatch(line -> line.matches("step 4: evaluation: crepe-itc [01]\\.000, .*"))
        .anyMatch(line -> line.startsWith("step 8: checkpoint "))
        .last()
        .asString()
        .matches("stopped at step 8 of 20 after \\d+ s; 0 bad samples skipped");
  }
}
