package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.nasvlp.eval.FineGrainedMetrics.PairScores;

class FineGrainedMetricsTest {
  /**
   * Worked by hand. Row = (aa, ab, ba, bb): caption right for a: aa > ab; for b: bb > ba; image
   * right for caption a: aa > ba; for caption b: bb > ab.
   */
  @Test
  void handWorkedExample() {
    FineGrainedReport report =
        FineGrainedMetrics.report(
            List.of(
                // all four right
                new PairScores("colour", 3, 1, 2, 4),
                // captions: 2 > 1 yes, 9 > 8 yes; images: 2 > 8 no, 9 > 1 yes
                new PairScores("colour", 2, 1, 8, 9),
                // captions: 5 > 7 no, 8 > 1 yes; images: 5 > 1 yes, 8 > 7 yes
                new PairScores("colour", 5, 7, 1, 8),
                // captions: tie no, 3 > 0 yes; images: 1 > 0 yes, 3 > 1 yes
                new PairScores("clock", 1, 1, 0, 3)));

    assertThat(report.byAttribute().keySet()).containsExactly("colour", "clock");
    AttributeScores colour = report.byAttribute().get("colour");
    assertThat(colour)
        .isEqualTo(new AttributeScores(3, 5 / 6.0, 5 / 6.0, 2 / 3.0, 2 / 3.0, 1 / 3.0));
    assertThat(report.byAttribute().get("clock"))
        .isEqualTo(new AttributeScores(1, 0.5, 1, 0, 1, 0));
    assertThat(report.all()).isEqualTo(new AttributeScores(4, 0.75, 0.875, 0.5, 0.75, 0.25));
    assertThat(report.macro().pairs()).isEqualTo(4);
    assertThat(report.macro().captionChoice()).isCloseTo(2 / 3.0, within(1e-12));
    assertThat(report.macro().imageChoice()).isCloseTo(11 / 12.0, within(1e-12));
    assertThat(report.macro().text()).isCloseTo(1 / 3.0, within(1e-12));
    assertThat(report.macro().image()).isCloseTo(5 / 6.0, within(1e-12));
    assertThat(report.macro().group()).isCloseTo(1 / 6.0, within(1e-12));
  }

  @Test
  void rewordingsWorkedByHand() {
    double none = Double.NaN;
    FineGrainedReport report =
        FineGrainedMetrics.report(
            List.of(
                // a: 2 > 1 yes, caption 3 > 1 too; b: 2 > 2 is a tie, no
                new PairScores("colour", 3, 1, 2, 4, 2, 2),
                // a: 9 > 7 yes, though its caption 5 > 7 is not; b has none
                new PairScores("colour", 5, 7, 1, 8, 9, none),
                // b: 1 > 0 yes, caption 3 > 0 too
                new PairScores("clock", 1, 1, 0, 3, none, 1),
                new PairScores("age", 1, 0, 0, 1)));
    assertThat(report.reworded())
        .containsExactly(
            Map.entry("colour", new RewordedScores(3, 2 / 3.0, 1 / 3.0)),
            Map.entry("clock", new RewordedScores(1, 1, 1)));
    RewordedScores macro = report.rewordedMacro().orElseThrow();
    assertThat(macro.rewordings()).isEqualTo(4);
    assertThat(macro.choice()).isCloseTo(5 / 6.0, within(1e-12));
    assertThat(macro.both()).isCloseTo(2 / 3.0, within(1e-12));
    PairScores plain = new PairScores("age", 1, 0, 0, 1);
    assertThat(FineGrainedMetrics.report(List.of(plain)).rewordedMacro()).isEmpty();
  }

  @Test
  void randomScoresReachChance() {
    SplittableRandom random = new SplittableRandom(5);
    List<PairScores> pairs = new ArrayList<>();
    for (int i = 0; i < 40_000; i++) {
      pairs.add(
          new PairScores(
              "any",
              random.nextDouble(),
              random.nextDouble(),
              random.nextDouble(),
              random.nextDouble(),
              random.nextDouble(),
              random.nextDouble()));
    }
    FineGrainedReport report = FineGrainedMetrics.report(pairs);
    RewordedScores reworded = report.rewordedMacro().orElseThrow();
    assertThat(reworded.choice()).isCloseTo(RewordedScores.chance().choice(), within(0.01));
    assertThat(reworded.both()).isCloseTo(RewordedScores.chance().both(), within(0.01));
    AttributeScores scores = report.all();
    AttributeScores chance = AttributeScores.chance();
    // four standard deviations of a share among 40,000 are at most 0.01
    assertThat(scores.captionChoice()).isCloseTo(chance.captionChoice(), within(0.01));
    assertThat(scores.imageChoice()).isCloseTo(chance.imageChoice(), within(0.01));
    assertThat(scores.text()).isCloseTo(chance.text(), within(0.01));
    assertThat(scores.image()).isCloseTo(chance.image(), within(0.01));
    assertThat(scores.group()).isCloseTo(chance.group(), within(0.01));
  }
}
