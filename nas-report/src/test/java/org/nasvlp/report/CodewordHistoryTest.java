package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class CodewordHistoryTest {
  private final CodewordHistory history = new CodewordHistory();

  @Test
  void isEmptyBeforeAnythingIsTold() {
    assertThat(history.steps(64)).isEmpty();
    assertThat(history.curve(0, 64)).isEqualTo(new CodewordHistory.Curve(0, List.of()));
  }

  @Test
  void aCurveIsInPercentOfItsLargest() {
    history.add(1, new int[] {400_000, 0, 600_000});
    history.add(2, new int[] {800_000, 0, 200_000});
    history.add(4, new int[] {100_000, 0});
    assertThat(history.steps(64)).containsExactly(1L, 2L, 4L);
    CodewordHistory.Curve first = history.curve(0, 64);
    assertThat(first.perMillionAtMost()).isEqualTo(800_000);
    assertThat(first.percent()).containsExactly(50, 100, 13);
    assertThat(history.curve(1, 64).percent()).containsExactly(0, 0, 0);
    assertThat(history.curve(2, 64).percent()).containsExactly(100, 33, 0);
  }

  @Test
  void ofManyStepsSomeAreShownTheFirstAndTheLastAmongThem() {
    for (int step = 1; step <= 11; step++) {
      history.add(step, new int[] {step, 11 - step});
    }
    assertThat(history.steps(6)).containsExactly(1L, 3L, 5L, 7L, 9L, 11L);
    assertThat(history.curve(0, 6).percent()).containsExactly(9, 27, 45, 64, 82, 100);
    assertThat(history.curve(1, 3).percent()).containsExactly(100, 50, 0);
    assertThat(history.steps(1)).containsExactly(1L);
  }
}
