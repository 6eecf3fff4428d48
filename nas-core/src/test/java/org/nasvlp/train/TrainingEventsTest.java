package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.negatives.NvaTrace;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The events of a run, their order, and what its log holds by then. */
class TrainingEventsTest {
  private static final int STEPS = 8;

  @TempDir private Path folder;
  private final List<String> told = new ArrayList<>();
  private final Thread thread = Thread.currentThread();

  /** Notes events, each with the kind and step of the log's last line. */
  private final class Notes implements TrainingListener {
    private void note(String event) {
      assertThat(Thread.currentThread()).isSameAs(thread);
      Path log = folder.resolve("out/log.jsonl");
      String last = "nothing";
      try {
        if (Files.exists(log)) {
          JsonNode line = JsonMapper.shared().readTree(Files.readAllLines(log).getLast());
          String kind = line.get("kind").asString();
          last = kind + " " + line.get(kind).get("step").asInt();
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      told.add(event + ": " + last);
    }

    @Override
    public void onStart(TrainingStart start) {
      note("start");
    }

    @Override
    public void onStep(StepReport report) {
      note("step " + report.step());
    }

    @Override
    public void onNvaTrace(long step, NvaTrace trace) {
      note("trace " + step);
    }

    @Override
    public void onEpoch(long step, double perplexity) {
      assertThat(perplexity).isBetween(1.0, 24.0);
      note("epoch " + step);
    }

    @Override
    public void onCodewordUse(long step, double[] shares) {
      assertThat(shares).hasSize(24);
      assertThat(Arrays.stream(shares).sum()).isCloseTo(1, Offset.offset(1e-9));
      note("use " + step);
    }

    @Override
    public void onEvaluated(long step, Evaluation evaluation) {
      assertThat(evaluation.metrics()).containsKeys("itc", "itm", "crepe-itc", "crepe-itm");
      note("evaluated " + step);
    }

    @Override
    public void onArtefactProbe(long step, ArtefactProbe.Result result) {
      note("probe " + step);
    }

    @Override
    public void onEvaluation(long step, EvaluationReport report) {
      note("pairs " + step);
    }

    @Override
    public void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {
      note(name + " " + step);
    }

    @Override
    public void onCheckpoint(long step, Path directory) {
      assertThat(directory.resolve("state.json")).exists();
      note("checkpoint " + step);
    }

    @Override
    public void onEnd(TrainingResult result) {
      note("end");
    }
  }

  @Test
  void eventsComeInTheirOrderAndAfterTheirLineInTheLog() throws IOException {
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    NasConfig config =
        Shapes.config(STEPS).withTraining(training -> training.evaluateEvery(4).checkpointEvery(3));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TrainingResult result =
          NasTrainer.builder()
              .config(config)
              .dataset(new Shapes())
              .tokenizer(tokenizer)
              .benchmark(ShapesBenchmarks.pairs(folder))
              .benchmark("crepe", ShapesBenchmarks.published(folder, pictures, 4), pictures)
              .output(folder.resolve("out"))
              .threads(1)
              .traceEvery(2)
              .listener(new Notes())
              .build()
              .run();
      assertThat(result.step()).isEqualTo(STEPS);
    }
    // 32 pairs in batches of 8: an epoch is four steps.
    assertThat(told)
        .containsExactly(
            "start: nothing",
            "step 1: step 1",
            "use 1: codeword_use 1",
            "step 2: step 2",
            "trace 2: nva_trace 2",
            "use 2: codeword_use 2",
            "step 3: step 3",
            "use 3: codeword_use 3",
            "checkpoint 3: codeword_use 3",
            "step 4: step 4",
            "trace 4: nva_trace 4",
            "epoch 4: epoch 4",
            "use 4: codeword_use 4",
            "evaluated 4: evaluation 4",
            "probe 4: artefact_probe 4",
            "pairs 4: artefact_probe 4",
            "crepe 4: artefact_probe 4",
            "step 5: step 5",
            "use 5: codeword_use 5",
            "step 6: step 6",
            "trace 6: nva_trace 6",
            "use 6: codeword_use 6",
            "checkpoint 6: codeword_use 6",
            "step 7: step 7",
            "use 7: codeword_use 7",
            "step 8: step 8",
            "trace 8: nva_trace 8",
            "epoch 8: epoch 8",
            "use 8: codeword_use 8",
            "checkpoint 8: codeword_use 8",
            "evaluated 8: evaluation 8",
            "probe 8: artefact_probe 8",
            "pairs 8: artefact_probe 8",
            "crepe 8: artefact_probe 8",
            "end: artefact_probe 8");
  }
}
