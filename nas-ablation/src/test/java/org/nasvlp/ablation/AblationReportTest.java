package org.nasvlp.ablation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.RetrievalReport;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tables of numbers worked out by hand. */
class AblationReportTest {
  private static final List<AblationArm> ARMS =
      List.of(
          new AblationArm("plain", "{\"nva\": {\"enabled\": false}}"),
          new AblationArm("new", "{}"),
          new AblationArm("absent", "{}"));

  private static AttributeScores scores(int pairs, double caption) {
    return new AttributeScores(pairs, caption, caption - 0.1, 0.3, 0.2, caption - 0.3);
  }

  private static FineGrainedReport fineGrained(double colour, double age) {
    Map<String, AttributeScores> attributes = new LinkedHashMap<>();
    attributes.put("colour", scores(30, colour));
    attributes.put("age", scores(10, age));
    return new FineGrainedReport(
        attributes, scores(40, (3 * colour + age) / 4), scores(40, (colour + age) / 2));
  }

  private static CurvePoint point(long step, double macro) {
    return new CurvePoint(step, 0.5, 0.5, macro - 0.05, macro);
  }

  private static RunResult run(
      String arm,
      long seed,
      double colour,
      double age,
      double recall,
      @Nullable Double seconds,
      long memory,
      List<CurvePoint> curve) {
    return new RunResult(
        arm,
        seed,
        300,
        8,
        1,
        "cpu avx2",
        1000,
        new EvaluationReport(
            fineGrained(0.6, 0.5),
            fineGrained(colour, age),
            new RetrievalReport(
                20, 20, new double[] {recall, 0.5, 0.6}, new double[] {0.1, 0.2, 0.3}),
            null),
        curve,
        seconds,
        memory,
        0);
  }

  /** Baseline: macro 0.6 and 0.8; new: macro 0.85 and 0.87. */
  private static List<RunResult> runs() {
    return List.of(
        run(
            "plain",
            1,
            0.7,
            0.5,
            0.40,
            0.5,
            1000,
            List.of(point(100, 0.52), point(200, 0.71), point(300, 0.6))),
        run(
            "plain",
            2,
            0.8,
            0.8,
            0.44,
            0.7,
            1200,
            List.of(point(100, 0.55), point(200, 0.69), point(300, 0.8))),
        run(
            "new",
            1,
            0.9,
            0.8,
            0.41,
            0.9,
            2200,
            List.of(point(100, 0.7), point(200, 0.8), point(300, 0.85))),
        run(
            "new",
            2,
            0.92,
            0.82,
            0.43,
            0.9,
            2200,
            List.of(point(100, 0.5), point(200, 0.9), point(300, 0.87))));
  }

  private static AblationReport report(List<RunResult> runs) {
    return new AblationReport("./nas ablate --seeds 1,2", 2, ARMS, runs, List.of("new seed 3"));
  }

  private static String section(String markdown, String title) {
    int from = markdown.indexOf("## " + title + "\n");
    assertThat(from).as(title).isNotNegative();
    int to = markdown.indexOf("\n## ", from);
    return markdown.substring(from, to < 0 ? markdown.length() : to);
  }

  @Test
  void markdown() {
    String text = report(runs()).markdown();
    assertThat(text)
        .contains("```\n./nas ablate --seeds 1,2\n```")
        .contains("Every run: 300 steps of batch 8. Seeds 1, 2.")
        .contains("Kernels: cpu avx2; 1 thread a run, 2 runs at a time.")
        .contains("- plain: `{\"nva\":{\"enabled\":false}}`")
        .contains("Not finished, and not in the tables: new seed 3.");
    // Means 0.75 and 0.65, deviations 0.1 / sqrt 2 and 0.3 / sqrt 2; micro 0.65, 0.8; macro 0.6,
    // 0.8.
    assertThat(section(text, "By matching (ITM): caption choice"))
        .contains("| arm | colour (30) | age (10) | all pairs (micro) | attributes (macro) |")
        .contains("| plain | 75.0 ± 7.1 | 65.0 ± 21.2 | 72.5 ± 10.6 | 70.0 ± 14.1 |")
        .contains("| new | 91.0 ± 1.4 | 81.0 ± 1.4 | 88.5 ± 1.4 | 86.0 ± 1.4 |")
        .doesNotContain("absent");
    assertThat(section(text, "By matching (ITM): image choice")).contains("| plain | 65.0 ± 7.1 |");
    assertThat(section(text, "By matching (ITM): group score")).contains("| plain | 45.0 ± 7.1 |");
    assertThat(section(text, "By contrast (ITC): caption choice"))
        .contains("| plain | 60.0 ± 0.0 | 50.0 ± 0.0 |");
    assertThat(section(text, "Retrieval by ITC"))
        .contains("| plain | 42.0 ± 2.8 | 50.0 ± 0.0 | 60.0 ± 0.0 | 10.0 ± 0.0 |");
    assertThat(text).doesNotContain("re-ranked");
    // Macro: 16 points, deviations 14.1 + 1.4 = 15.6 < 16; micro: 16, 10.6 + 1.4 < 16.
    String differences = section(text, "Difference from the baseline");
    assertThat(differences).contains("| plain | – |");
    assertThat(differences).contains("| new | +16.0 **apart** | +16.0 **apart** |");
    // ITC is the same in both, as is R@1 on average.
    assertThat(differences.strip()).endsWith("| +0.0 | +0.0 | +0.0 | +0.0 | +0.0 | +0.0 |");
    // The baseline's last macro is 0.7, first reached at 200 and 300; by "new" at 100 and 200.
    assertThat(section(text, "Steps to an accuracy"))
        .contains("| arm | baseline's last macro (70.0 %) | macro 70 % | macro 80 % | macro 90 % |")
        .contains("| plain | 250 ± 71 | 250 ± 71 | 300 (1 of 2) | not reached |")
        .contains("| new | 150 ± 71 | 150 ± 71 | 200 ± 0 | 200 (1 of 2) |");
    assertThat(section(text, "Cost"))
        .contains("| plain | 0.600 ± 0.141 | × 1.00 | 1,100 ± 141 | × 1.00 |")
        .contains("| new | 0.900 ± 0.000 | × 1.50 | 2,200 ± 0 | × 2.00 |");
  }

  @Test
  void oneSeedHasNoDeviationAndNothingIsApart() {
    List<RunResult> runs = List.of(runs().get(0), runs().get(2), runs().get(3));
    String text = report(runs).markdown();
    assertThat(section(text, "By matching (ITM): caption choice"))
        .contains("| plain | 70.0 | 50.0 | 65.0 | 60.0 |")
        .contains("| new (2 seeds) | 91.0 ± 1.4 |");
    assertThat(section(text, "Difference from the baseline"))
        .contains("| new (2 seeds) | +26.0 | +23.5 |")
        .doesNotContain("| **apart**");
    assertThat(text).doesNotContain("NaN");
  }

  @Test
  void aNumberThatNoRunHasIsADash() {
    List<RunResult> runs =
        List.of(run("plain", 1, 0.7, 0.5, 0.4, null, 10, List.of(point(300, 0.6))));
    assertThat(section(report(runs).markdown(), "Cost"))
        .contains("| plain | – | – | 10 | × 1.00 |");
  }

  @Test
  void json() {
    JsonNode root = JsonMapper.shared().readTree(report(runs()).json());
    assertThat(root.get("baseline").stringValue()).isEqualTo("plain");
    assertThat(root.get("steps").intValue()).isEqualTo(300);
    assertThat(root.get("arms").size()).isEqualTo(2);
    JsonNode arm = root.get("arms").get(1);
    assertThat(arm.get("name").stringValue()).isEqualTo("new");
    JsonNode macro = arm.get("values").get("itm.captionChoice.macro");
    assertThat(macro.get("n").intValue()).isEqualTo(2);
    assertThat(macro.get("mean").doubleValue()).isCloseTo(0.86, Offset.offset(1e-12));
    assertThat(macro.get("deviation").doubleValue())
        .isCloseTo(0.01 * Math.sqrt(2), Offset.offset(1e-12));
    assertThat(macro.get("difference").doubleValue()).isCloseTo(0.16, Offset.offset(1e-12));
    assertThat(macro.get("overlaps").booleanValue()).isFalse();
    assertThat(arm.at("/values/retrieval.itc.imageToText.R@1/overlaps").booleanValue()).isTrue();
    assertThat(arm.at("/stepsTo/baselineMacro/mean").doubleValue()).isEqualTo(150);
    assertThat(arm.at("/stepsTo/macro90/n").intValue()).isEqualTo(1);
    assertThat(root.at("/arms/0/stepsTo/macro90/mean").isNull()).isTrue();
    assertThat(arm.at("/costAgainstBaseline/stepSeconds").doubleValue())
        .isCloseTo(1.5, Offset.offset(1e-12));
    assertThat(root.get("runs").size()).isEqualTo(4);
    assertThat(root.at("/runs/0/curve/1/itmMacro").doubleValue()).isEqualTo(0.71);
    assertThat(root.at("/unfinished/0").stringValue()).isEqualTo("new seed 3");
  }

  @Test
  void runsOfOtherLengthsAreNotCompared() {
    RunResult one = runs().getFirst();
    RunResult longer =
        new RunResult(
            "new",
            1,
            400,
            8,
            1,
            one.kernels(),
            one.parameters(),
            one.evaluation(),
            one.curve(),
            one.medianStepSeconds(),
            one.peakMebibytes(),
            0);
    assertThatThrownBy(() -> report(List.of(one, longer)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("new seed 1 (400 steps of batch 8, 1 threads)")
        .hasMessageContaining("plain seed 1 (300 steps");
  }

  @Test
  void intervalsThatTouchOverlap() {
    Statistic low = Statistic.of(List.of(1.0, 3.0)); // 2 ± sqrt 2
    assertThat(low.deviation()).isCloseTo(Math.sqrt(2), Offset.offset(1e-12));
    assertThat(low.overlaps(Statistic.of(List.of(4.5, 4.5)))).isFalse();
    assertThat(low.overlaps(Statistic.of(List.of(3.4, 3.4)))).isTrue();
    assertThat(low.overlaps(Statistic.of(List.of(3.0)))).isNull();
  }
}
