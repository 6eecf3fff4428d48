package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.nasvlp.train.TrainingStart;

class TrainingDisplayTest {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream err = new PrintStream(bytes, true, StandardCharsets.UTF_8);
  private long seconds;

  private String printed() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private TrainingDisplay display(int columns) {
    return new TrainingDisplay(err, columns, () -> seconds * 1_000_000_000L);
  }

  private static TrainingStart start(long firstStep) {
    return new TrainingStart(firstStep, 100, 6_700_000, 2990, 0, "cpu, 2 threads", "cpu avx512");
  }

  @Test
  void withoutATerminalALineEveryTenSeconds() {
    try (TrainingDisplay display = display(0)) {
      display.onStart(start(20));
      for (int step = 21; step <= 60; step++) {
        seconds += 2;
        display.onStep(Samples.step(step, 100));
      }
      display.onEvaluation(60, Samples.evaluation());
      display.onWarning("careful");
    }
    String[] lines = printed().split("\n", -1);
    assertThat(lines[0])
        .isEqualTo(
            "resuming after step 20: 2,990 pairs, 6.7 million parameters, cpu, 2 threads,"
                + " kernels: cpu avx512");
    // Two seconds a step: the first step, then one line for every five.
    assertThat(lines[1]).startsWith("step 21/100, 2:38 left, 58 pairs/s, loss 12.3");
    assertThat(lines[2]).startsWith("step 26/100, 2:28 left");
    assertThat(lines[8]).startsWith("step 56/100, 1:28 left");
    assertThat(lines[9])
        .isEqualTo(
            "step 60: ITM caption choice 90.0 % (colour 100.0), image choice 80.0 %, group 50.0 %;"
                + " ITC caption choice 66.0 %");
    assertThat(lines[10]).isEqualTo("warning: careful");
    assertThat(lines).hasSize(12);
  }

  /** NO_COLOR asks for what is so in any case. */
  @Test
  void thereAreNoColours() {
    try (TrainingDisplay display = display(120)) {
      display.onStart(start(0));
      display.onStep(Samples.step(50, 100));
      display.onWarning("careful");
    }
    assertThat(printed()).doesNotContain("\u001b");
  }

  @Test
  void saysWhatAnArtefactProbeIs() {
    try (TrainingDisplay display = display(0)) {
      display.onArtefactProbe(60, new org.nasvlp.eval.ArtefactProbe.Result(1200, 0.52));
    }
    assertThat(printed())
        .isEqualTo(
            "step 60: artefact probe 52.0 %: how often a hard negative image is told by its looks"
                + " alone (chance 50; near 100 the model need not read), of 1,200 images\n");
  }

  @Test
  void saysHowManyCaptionsNameOneThing() {
    try (TrainingDisplay display = display(0)) {
      display.onStart(new TrainingStart(0, 100, 6_700_000, 2990, 1234, "cpu", "cpu avx512"));
    }
    assertThat(printed())
        .endsWith("captions that name one thing, which the run begins with: 1,234\n");
  }

  @Test
  void onATerminalABarAndLinesAboveIt() {
    try (TrainingDisplay display = display(120)) {
      display.onStart(start(0));
      seconds = 10;
      display.onStep(Samples.step(50, 100));
      display.onWarning("careful");
    }
    assertThat(printed())
        .contains("\u2588\u2588\u2591\u2591")
        .contains("step 50/100 | 0:10 left | 58 pairs/s | loss 12.3 (itc 3.10 itm 0.62)")
        .contains("codes 412/512, perplexity 233")
        .contains("\rwarning: careful\n");
  }
}
