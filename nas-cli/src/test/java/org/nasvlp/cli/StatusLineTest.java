package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class StatusLineTest {
  private final StatusLine line = new StatusLine(false);

  @Test
  void plain() {
    assertThat(StatusLine.plain(Samples.step(120, 1000), 492))
        .isEqualTo(
            "step 120/1000, 8:12 left, 58 pairs/s, loss 12.3 (itc 3.10 itm 0.62),"
                + " codes 412/512, perplexity 233");
    assertThat(StatusLine.plain(Samples.step(1000, 1000), 0)).contains("1000/1000, finishing,");
  }

  @Test
  void aWideTerminalShowsABarAndEverything() {
    String text = line.fitted(Samples.step(500, 1000), 3725, 140);
    assertThat(text)
        .isEqualTo(
            "###############............... step 500/1000 | 1:02:05 left | 58 pairs/s"
                + " | loss 12.3 (itc 3.10 itm 0.62) | codes 412/512, perplexity 233");
  }

  @Test
  void aNarrowTerminalShowsTheNumbersThatMatter() {
    assertThat(line.fitted(Samples.step(500, 1000), 60, 80))
        .isEqualTo(
            "##########.......... 500/1000 1:00 left 58/s itc 3.10 itm 0.62 codes 412 ppl 233");
    for (int columns = 1; columns < 200; columns++) {
      assertThat(line.fitted(Samples.step(500, 1000), 60, columns))
          .hasSizeLessThanOrEqualTo(columns);
    }
  }
}
