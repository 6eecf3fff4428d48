package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.train.StepReport;

/** Machines of which a formula tells how long a step takes with so many threads. */
class ThreadPacerTest {
  private final List<Integer> used = new ArrayList<>();
  private final List<String> told = new ArrayList<>();
  private int now;
  private int step;

  private ThreadPacer pacer(int most) {
    now = most;
    return new ThreadPacer(
        most,
        threads -> {
          now = threads;
          used.add(threads);
        },
        told::add);
  }

  private void steps(ThreadPacer pacer, int count, IntToDoubleFunction seconds) {
    for (int i = 0; i < count; i++) {
      double all = seconds.applyAsDouble(now);
      pacer.onStep(
          new StepReport(
              ++step,
              1000,
              1,
              Map.of(),
              1e-4,
              1,
              0.07,
              Map.of(),
              100,
              Map.of("backward", 0.75 * all, "forward", 0.25 * all),
              new DictionaryHealth(8, 8, 8, 0),
              0));
    }
  }

  @Test
  void whereThreadsPayAllAreUsed() {
    ThreadPacer pacer = pacer(16);
    // At first everything is cold.
    steps(pacer, 3, threads -> 5);
    steps(pacer, 200, threads -> 1.0 / threads);
    // One less costs 7 %, within what noise might do; a half is not tried any more after 8.
    assertThat(used).containsExactly(15, 8, 16);
    assertThat(now).isEqualTo(16);
    assertThat(told).isEmpty();
  }

  @Test
  void whereTwoProcessorsAreOneCoreOneThreadIsUsed() {
    ThreadPacer pacer = pacer(2);
    steps(pacer, 100, threads -> 0.2);
    assertThat(used).containsExactly(1);
    assertThat(told)
        .containsExactly(
            "1 of 2 threads from now on: a step takes 0.200 s, with 2 it takes 0.200 s");
  }

  /** Within what noise does, fewer are as good; with more to lose, not. */
  @Test
  void ofEqualNumbersTheFewestAreUsed() {
    steps(pacer(2), 40, threads -> threads == 2 ? 0.2 : 0.202);
    assertThat(now).isEqualTo(1);
    steps(pacer(2), 40, threads -> threads == 2 ? 0.2 : 0.21);
    assertThat(now).isEqualTo(2);
  }

  @Test
  void aCoreThatAnotherProgramHoldsIsLeftToIt() {
    ThreadPacer pacer = pacer(8);
    // With all eight each operation waits for the one that gets half a core.
    steps(pacer, 100, threads -> (threads == 8 ? 2.0 : 1.0) / threads);
    assertThat(now).isEqualTo(7);
    assertThat(told).singleElement().asString().startsWith("7 of 8 threads from now on");
  }

  @Test
  void whenStepsBecomeSlowItTriesAnew() {
    ThreadPacer pacer = pacer(8);
    steps(pacer, 40, threads -> 1.0 / threads);
    assertThat(now).isEqualTo(8);
    steps(pacer, 100, threads -> (threads == 8 ? 2.0 : 1.0) / threads);
    assertThat(now).isEqualTo(7);
    // And when the other program has ended, after a while.
    steps(pacer, 300, threads -> 1.0 / threads);
    assertThat(now).isEqualTo(8);
    assertThat(told).hasSize(2);
    assertThat(told.getLast())
        .isEqualTo("8 of 8 threads from now on: a step takes 0.125 s, with 4 it takes 0.250 s");
  }

  @Test
  void aSlowStepNowAndThenIsNoReason() {
    ThreadPacer pacer = pacer(4);
    steps(pacer, 240, threads -> step % 4 == 0 ? 9 : 1.0 / threads);
    assertThat(used).containsExactly(3, 4);
  }

  @Test
  void withOneThreadThereIsNothingToFind() {
    ThreadPacer pacer = pacer(1);
    steps(pacer, 1000, threads -> step % 2 == 0 ? 9 : 1);
    assertThat(used).isEmpty();
  }
}
