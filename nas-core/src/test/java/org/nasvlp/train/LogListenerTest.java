package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.Rates;
import org.nasvlp.eval.Share;
import org.nasvlp.negatives.NvaTrace;

class LogListenerTest {
  @TempDir private Path output;
  private long nanos;
  private LogListener listener;

  @BeforeEach
  void open() {
    RunClock clock = new RunClock(() -> nanos);
    clock.resume(100, 80);
    clock.stepTook(1.5004);
    nanos = 2_500_400_000L;
    listener = new LogListener(output, new RunLog(output), clock);
  }

  private void assertLogged(String... lines) throws IOException {
    assertThat(Files.readAllLines(output.resolve("log.jsonl"))).containsExactly(lines);
  }

  private static StepReport step(long step, long steps) {
    return new StepReport(
        step,
        steps,
        1.5,
        Map.of("itc", 1.25),
        0.001,
        2.0,
        0.07,
        Map.of("nva", 4),
        8.5,
        Map.of("data", 0.5),
        new DictionaryHealth(24, 20, 12.5, 1),
        0);
  }

  @Test
  void aStepIsALine() throws IOException {
    listener.onStep(step(3, 9));
    assertLogged(
        """
        {"kind":"step","seconds":102.5,"step":{"step":3,"steps":9,"loss":1.5,"losses":{"itc":1.25},\
        "learningRate":0.001,"gradientNorm":2.0,"temperature":0.07,"hardNegatives":{"nva":4},\
        "pairsPerSecond":8.5,"seconds":{"data":0.5},"dictionary":{"codewords":24,"live":20,\
        "perplexity":12.5,"restarts":1},"skippedSamples":0}}\
        """);
  }

  @Test
  void ofLongRunsFewerAndFewerStepsAreLogged() throws IOException {
    for (long about : new long[] {99_999, 100_010, 999_990, 1_000_100}) {
      for (long step = about - 10; step <= about + 10; step++) {
        listener.onStep(step(step, 2_000_000));
      }
    }
    Pattern number = Pattern.compile("\"step\":(\\d+),\"steps\"");
    List<Long> logged =
        Files.readString(output.resolve("log.jsonl"))
            .lines()
            .map(number::matcher)
            .filter(Matcher::find)
            .map(found -> Long.valueOf(found.group(1)))
            .toList();
    assertThat(logged)
        .containsExactly(
            99_989L,
            99_990L,
            99_991L,
            99_992L,
            99_993L,
            99_994L,
            99_995L,
            99_996L,
            99_997L,
            99_998L,
            99_999L,
            100_000L, // of the first four windows, every step up to here
            100_000L,
            100_010L,
            100_020L,
            999_980L,
            999_990L,
            1_000_000L,
            1_000_100L);
  }

  /** Counted one by one, which is why the docs can tell how large a log becomes. */
  @Test
  void tenTimesTheStepsAreNotTenTimesTheLog() {
    long lines = 0;
    for (long step = 1; step <= 10_000_000; step++) {
      lines += step % LogListener.everySteps(step) == 0 ? 1 : 0;
    }
    assertThat(lines).isEqualTo(100_000 + 90_000 + 90_000);
  }

  /** By the docs' rule: eight times while the number of steps doubles, fewer for many codewords. */
  @Test
  void codewordsAreToldOfEverMoreSeldom() {
    assertThat(
            LongStream.rangeClosed(1, 64).filter(step -> LogListener.tellsOfCodewords(step, 2048)))
        .containsExactly(
            1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L, 13L, 14L, 15L, 16L, 18L, 20L, 22L,
            24L, 26L, 28L, 30L, 32L, 36L, 40L, 44L, 48L, 52L, 56L, 60L, 64L);
    assertThat(
            LongStream.rangeClosed(1, 64).filter(step -> LogListener.tellsOfCodewords(step, 8192)))
        .containsExactly(1L, 2L, 3L, 4L, 6L, 8L, 12L, 16L, 24L, 32L, 48L, 64L);
    assertThat(
            LongStream.rangeClosed(1, 64)
                .filter(step -> LogListener.tellsOfCodewords(step, 65_536)))
        .containsExactly(1L, 2L, 4L, 8L, 16L, 32L, 64L);
  }

  @Test
  void tracesEpochsAndProbesAreLines() throws IOException {
    listener.onNvaTrace(
        3,
        new NvaTrace(
            "k", "c", new double[] {0.5}, List.of(new NvaTrace.Swap(0, 1, 2)), 0.75, 0.25));
    listener.onEpoch(4, 12.5);
    listener.onCodewordUse(4, new double[] {0.75, 0.2500004, 0, 1e-9});
    listener.onArtefactProbe(5, new ArtefactProbe.Result(20, 0.5));
    assertLogged(
        """
        {"kind":"nva_trace","seconds":102.5,"nva_trace":{"step":3,"trace":{"key":"k","caption":"c",\
        "scores":[0.5],"swaps":[{"position":0,"code":1,"substitute":2}],"matchBefore":0.75,\
        "matchAfter":0.25}}}\
        """,
        """
        {"kind":"epoch","seconds":102.5,"epoch":{"step":4,"perplexity":12.5}}\
        """,
        """
        {"kind":"codeword_use","seconds":102.5,"codeword_use":{"step":4,\
        "perMillion":[750000,250000,0,0]}}\
        """,
        """
        {"kind":"artefact_probe","seconds":102.5,"artefact_probe":{"step":5,"result":{"images":20,\
        "accuracy":0.5}}}\
        """);
  }

  @Test
  void anEvaluationIsOneLineWhateverItWasOn() throws IOException {
    BenchmarkReport report =
        new BenchmarkReport(
            List.of("accuracy"),
            Map.of("all", List.of(new Share(1, 2))),
            List.of(new Share(1, 2)),
            List.of(0.5),
            Set.of(),
            2,
            0,
            Rates.NONE,
            50,
            0);
    Evaluation evaluation = new Evaluation(null, Map.of("crepe", Map.of("itc", report)));
    listener.onEvaluated(6, evaluation);
    // The parts are in it.
    listener.onBenchmark(6, "crepe", evaluation.benchmarks().get("crepe"));
    listener.onEvaluated(7, Evaluation.NONE);
    List<String> lines = Files.readAllLines(output.resolve("log.jsonl"));
    assertThat(lines).hasSize(2);
    assertThat(lines.getFirst())
        .startsWith(
            """
            {"kind":"evaluation","seconds":102.5,"evaluation":{"step":6,"stepSeconds":81.5,"report":null,\
            "benchmarks":{"crepe":{"itc":{"metrics":["accuracy"],\
            """);
    assertThat(lines.getLast())
        .isEqualTo(
            """
            {"kind":"evaluation","seconds":102.5,"evaluation":{"step":7,"stepSeconds":81.5,"report":null}}\
            """);
  }

  @Test
  void aLogThatCannotBeWrittenEndsTheRunWithARemedy() throws IOException {
    Files.createDirectory(output.resolve("log.jsonl"));
    assertThatThrownBy(() -> listener.onEpoch(4, 12.5))
        .isInstanceOf(TrainingException.class)
        .hasMessageStartingWith("the run in " + output + " cannot go on: ")
        .hasMessageContaining("log.jsonl")
        .hasMessageContaining("check space and permissions of the output folder")
        .hasMessageEndingWith("(checkpoints written before are complete)");
  }

  @Test
  void aFolderThatHasGoneEndsTheRunAndIsNotMadeAnew() throws IOException {
    Path away = output.resolveSibling(output.getFileName() + "-away");
    Files.move(output, away);
    try {
      assertThatThrownBy(() -> listener.onEpoch(4, 12.5))
          .isInstanceOf(TrainingException.class)
          .hasMessage(
              "the run in "
                  + output
                  + " cannot go on: that folder is gone; put it back, and resume the run");
      assertThat(output).doesNotExist();
    } finally {
      Files.move(away, output);
    }
  }
}
