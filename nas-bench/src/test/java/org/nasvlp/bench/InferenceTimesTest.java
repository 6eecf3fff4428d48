package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InferenceTimesTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");

  @Test
  void bothSidesScoreAlikeAndOnlyOneWaitsWithoutSpinning(@TempDir Path folder) throws Exception {
    InferenceTimes.untrained(NumbersTest.small(), EMOJI.resolve("tokenizer.json"), folder);
    String table = new InferenceTimes(folder, EMOJI.resolve("test.tar"), 1).table(1, 0.01);
    assertThat(table)
        .startsWith("results compared: the 256 scores of all 4 processes are the same to the bit")
        .containsPattern("before it sleeps: nas 0, unset [1-9]\\d+")
        .contains("a process that scores once, wall seconds", "warm, milliseconds a pair");
  }

  @Test
  void noTimeIsToldOfScoresThatDiffer() {
    assertThatThrownBy(
            () ->
                InferenceTimes.compare(
                    List.of(
                        new InferenceTimes.Told("1f", "", 1, 1, 1, 1),
                        new InferenceTimes.Told("1e", "", 1, 1, 1, 1))))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("1f and 1e");
  }
}
