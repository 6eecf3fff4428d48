package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TerminalProgressTest {
  @Test
  void aTerminalShowsOneLineInPlaceAndThenNone() {
    TestShell shell = TestShell.terminal(40);
    try (TerminalProgress progress = new TerminalProgress(shell.shell(), "items", 2000)) {
      for (long done = 1; done <= 2000; done++) {
        progress.accept(done);
      }
    }
    String[] shown = shell.err().split("\r", -1);
    assertThat(shown).contains("1 of 2,000 items, 0 %", "2,000 of 2,000 items, 100 %");
    // Each percent once; before each the line is blank, and at the end it is.
    assertThat(shown).hasSize(1 + 2 * (101 + 1)).endsWith(" ".repeat(39), "");
    assertThat(shell.err()).doesNotContain("\n").doesNotContain("\u001b");
  }

  @Test
  void aLineIsCutToTheTerminal() {
    TestShell shell = TestShell.terminal(10);
    TerminalProgress.show(shell.shell(), "0123456789abc");
    assertThat(shell.err()).endsWith("\r012345678");
  }

  @Test
  void nothingIsShownElsewhere() {
    TestShell shell = new TestShell();
    try (TerminalProgress progress = new TerminalProgress(shell.shell(), "items", 0)) {
      progress.accept(0);
      progress.accept(1);
    }
    TerminalProgress.show(shell.shell(), "line");
    assertThat(shell.err()).isEmpty();
  }
}
