package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Numbers worked by hand. */
class LargeTypesTest {
  private static final AttributeScores ALL = new AttributeScores(0, 0, 0, 0, 0, 0);

  private static FineGrainedReport report(AttributeScores... types) {
    Map<String, AttributeScores> byType = new LinkedHashMap<>();
    for (AttributeScores scores : types) {
      byType.put("type " + byType.size(), scores);
    }
    return new FineGrainedReport(byType, ALL, ALL);
  }

  @Test
  void theMacroShownIsOfTypesWithFiftyPairs() {
    FineGrainedReport report =
        report(
            new AttributeScores(50, 0.8, 0.6, 0.5, 0.25, 0.125),
            new AttributeScores(49, 0, 0, 0, 0, 0),
            new AttributeScores(1000, 0.6, 0.5, 0.25, 0.75, 0.375));
    AttributeScores macro = LargeTypes.macro(report).orElseThrow();
    assertThat(macro.pairs()).isEqualTo(1050);
    assertThat(macro.captionChoice()).isEqualTo(0.7);
    assertThat(macro.imageChoice()).isEqualTo(0.55);
    assertThat(macro.text()).isEqualTo(0.375);
    assertThat(macro.image()).isEqualTo(0.5);
    assertThat(macro.group()).isEqualTo(0.25);
    assertThat(LargeTypes.note(report))
        .isEqualTo("macro: mean of the 2 types with at least 50 pairs");
  }

  @Test
  void withFewPairsThereIsNone() {
    FineGrainedReport report = report(new AttributeScores(49, 1, 1, 1, 1, 1));
    assertThat(LargeTypes.macro(report)).isEmpty();
    assertThat(LargeTypes.note(report))
        .isEqualTo("no macro: there are no types with at least 50 pairs");
    assertThat(LargeTypes.note(1, "types", 50, "pairs"))
        .isEqualTo("macro: that of the only one of the types with at least 50 pairs");
  }

  @Test
  void aPairIsTwoChoicesOrOneScore() {
    // 12 of 20 captions, 11 of 20 images, 3, 4 and 2 of 10 pairs.
    AttributeScores scores = new AttributeScores(10, 0.6, 0.55, 0.3, 0.4, 0.2);
    assertThat(List.of(FineGrainedScore.values()).stream().map(score -> score.right(scores)))
        .containsExactly(12L, 11L, 3L, 4L, 2L);
    assertThat(List.of(FineGrainedScore.values()).stream().map(score -> score.decisions(10)))
        .containsExactly(20, 20, 10, 10, 10);
    // A third is no finite fraction: 7 of 21 all the same.
    assertThat(FineGrainedScore.GROUP.right(new AttributeScores(21, 0, 0, 0, 0, 1 / 3.0)))
        .isEqualTo(7);
  }

  @Test
  void smallAndLeftOutCategoriesStayOutOfTheShownMacro() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("on", List.of(new Share(30, 60)));
    categories.put("near", List.of(new Share(60, 60)));
    categories.put("behind", List.of(new Share(12, 20)));
    categories.put("beside", List.of(new Share(45, 50)));
    BenchmarkReport report =
        new BenchmarkReport(
            List.of("accuracy"),
            categories,
            List.of(new Share(147, 190)),
            BenchmarkReport.macro(BenchmarkReport.values(categories), Set.of("near")),
            Set.of("near"),
            190,
            0,
            Rates.NONE,
            50,
            0);
    assertThat(report.largeCategories()).containsExactly("on", "beside");
    assertThat(report.macroOfLarge()).containsExactly((0.5 + 0.9) / 2);
    // All but the one left out: (0.5 + 0.6 + 0.9) / 3.
    assertThat(report.macro().getFirst())
        .isCloseTo(2 / 3.0, org.assertj.core.data.Offset.offset(1e-12));
  }
}
