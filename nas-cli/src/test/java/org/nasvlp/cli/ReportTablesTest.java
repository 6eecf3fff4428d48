package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.RewordedScores;

class ReportTablesTest {
  @Test
  void fineGrainedTable() {
    assertThat(ReportTables.fineGrained(Samples.evaluation()))
        .isEqualTo(
            """
            Fine differences: choices between two real pairs, % right (a tie is wrong)
                                          caption     image      text     image     group
                                  pairs    choice    choice     score     score     score
            by contrast (ITC)
              skin tone             400      98.8     100.0      90.0      80.0      70.0
              colour              1,200      75.0      62.5      50.0      40.0      30.0
              age                     6   3 of 12   6 of 12    0 of 6    0 of 6    0 of 6
              pairs (micro)       1,606      80.0      70.0      60.0      50.0      40.0
              attributes (macro)  1,600      86.9      81.3      70.0      60.0      50.0
              macro: mean of the 2 types with at least 50 pairs
            by matching (ITM)
              colour              1,200     100.0     100.0     100.0     100.0     100.0
              pairs (micro)       1,606      80.0      70.0      60.0      50.0      40.0
              attributes (macro)  1,200     100.0     100.0     100.0     100.0     100.0
              macro: that of the only one of the types with at least 50 pairs
            chance                           50.0      50.0      25.0      25.0      16.7
            """);
  }

  @Test
  void withFewPairsOfEveryTypeThereIsNoMacro() {
    AttributeScores age = new AttributeScores(6, 0.25, 0.5, 0, 0, 0);
    FineGrainedReport few = new FineGrainedReport(Map.of("age", age), age, age);
    assertThat(ReportTables.fineGrained(new EvaluationReport(few, null, null, null)))
        .contains("  age                     6   3 of 12")
        .contains("  pairs (micro)           6      25.0")
        .contains("  no macro: there are no types with at least 50 pairs\n")
        .doesNotContain("(macro)");
  }

  @Test
  void standingSaysWhatMatchingGainsAndWhatIsNoBetterThanGuessing() {
    AttributeScores few = new AttributeScores(6, 1, 1, 1, 1, 1);
    // Of 200 decisions a guess has a deviation of 3.54 points: 57.07 is where guessing ends.
    Map<String, AttributeScores> contrast =
        Map.of("role", choice(100, 0.56), "age", few, "size", choice(100, 0.58));
    Map<String, AttributeScores> matching =
        Map.of("role", choice(100, 0.57), "age", few, "size", choice(100, 0.9));
    AttributeScores all = choice(206, 0.7);
    FineGrainedReport itc = new FineGrainedReport(contrast, all, all);
    FineGrainedReport itm = new FineGrainedReport(matching, all, all);
    assertThat(ReportTables.standing(new EvaluationReport(itc, itm, null, null)).lines())
        .hasSize(4)
        .startsWith(
            "Where each type stands: caption choice, % right",
            "        contrast  matching      gain")
        .contains(
            "  role      56.0      57.0      +1.0  not told apart: as a guess would do",
            "  size      58.0      90.0     +32.0  told apart");
    assertThat(
            ReportTables.standing(
                new EvaluationReport(
                    itc,
                    new FineGrainedReport(Map.of("size", choice(100, 0.5)), all, all),
                    null,
                    null)))
        .endsWith("  size      58.0      50.0      -8.0  in part\n");
    assertThat(ReportTables.standing(new EvaluationReport(itc, null, null, null))).isEmpty();
  }

  private static AttributeScores choice(int pairs, double share) {
    return new AttributeScores(pairs, share, share, share, share, share);
  }

  @Test
  void rewordingsHaveATableOfTheirOwn() {
    assertThat(ReportTables.reworded(Samples.evaluation())).isEmpty();
    FineGrainedReport plain = Samples.evaluation().itc();
    FineGrainedReport itc =
        new FineGrainedReport(
            plain.byAttribute(),
            plain.all(),
            plain.macro(),
            Map.of("colour", new RewordedScores(2400, 0.75, 0.5)));
    FineGrainedReport itm =
        new FineGrainedReport(
            plain.byAttribute(),
            plain.all(),
            plain.macro(),
            Map.of("colour", new RewordedScores(2400, 0.8, 0.625)));
    assertThat(ReportTables.reworded(new EvaluationReport(itc, itm, null, null)))
        .isEqualTo(
            """
            True rewordings against the false caption, % right: the rewording; it and the caption
                                 rewordings       ITC      both       ITM      both
              colour                  2,400      75.0      50.0      80.0      62.5
              attributes (macro)      2,400      75.0      50.0      80.0      62.5
              chance                             50.0      33.3      50.0      33.3
            """);
    assertThat(ReportTables.reworded(new EvaluationReport(itc, null, null, null)))
        .contains("  colour                  2,400      75.0      50.0");
  }

  @Test
  void retrievalTable() {
    assertThat(ReportTables.retrieval(Samples.evaluation()))
        .isEqualTo(
            """
            Retrieval among 200 images and 100 captions, % found
                                           image to text             text to image
                                     R@1     R@5    R@10       R@1     R@5    R@10
            ITC                     10.0    20.0    30.0      40.0    50.0    60.0
            ITC, then both          15.0    25.0    30.0      45.0    55.0    60.0
            chance                   1.0     5.0    10.0       0.5     2.5     5.0
            """);
  }

  @Test
  void whatWasNotMeasuredIsNotShown() {
    EvaluationReport itcOnly = new EvaluationReport(Samples.evaluation().itc(), null, null, null);
    assertThat(ReportTables.fineGrained(itcOnly)).contains("ITC").doesNotContain("ITM");
    assertThat(ReportTables.retrieval(itcOnly)).isEmpty();
  }
}
