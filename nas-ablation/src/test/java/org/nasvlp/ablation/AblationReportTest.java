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

  /** Two types with pairs enough, and one with ten. */
  private static FineGrainedReport fineGrained(double colour, double gender, double age) {
    Map<String, AttributeScores> attributes = new LinkedHashMap<>();
    attributes.put("colour", scores(60, colour));
    attributes.put("gender", scores(50, gender));
    attributes.put("age", scores(10, age));
    return new FineGrainedReport(
        attributes,
        scores(120, (3 * colour + gender) / 4),
        scores(120, (colour + gender + age) / 3));
  }

  private static CurvePoint point(long step, double macro, double secondsPerStep) {
    return new CurvePoint(
        step, 8 * step, step * secondsPerStep, 0.5, 0.5, 0.5, macro - 0.05, macro - 0.02, macro);
  }

  private static RunResult run(
      String arm,
      long seed,
      double colour,
      double gender,
      double recall,
      @Nullable Double seconds,
      long memory,
      List<CurvePoint> curve) {
    return new RunResult(
        arm,
        seed,
        300,
        null,
        8,
        1,
        2,
        2,
        "cpu avx2",
        1000,
        new EvaluationReport(
            fineGrained(0.6, 0.6, 0.5),
            fineGrained(colour, gender, 0.5 + 0.1 * seed),
            retrieval(new double[] {recall, 0.5, 0.6}, new double[] {0.1, 0.2, 0.3}),
            retrieval(new double[] {0.43, 0.5, 0.6}, new double[] {0.05, 0.2, 0.3})),
        curve,
        seconds,
        memory,
        0);
  }

  private static RetrievalReport retrieval(double[] text, double[] image) {
    double[] chance = {0.05, 0.25, 0.5};
    return new RetrievalReport(20, 20, text, image, chance, chance);
  }

  /** Baseline: macro 0.6 and 0.8 of the two large types; new: macro 0.85 and 0.87. */
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
            List.of(point(100, 0.52, 0.6), point(200, 0.71, 0.6), point(300, 0.6, 0.6))),
        run(
            "plain",
            2,
            0.8,
            0.8,
            0.44,
            0.7,
            1200,
            List.of(point(100, 0.55, 0.6), point(200, 0.69, 0.6), point(300, 0.8, 0.6))),
        run(
            "new",
            1,
            0.9,
            0.8,
            0.41,
            0.9,
            2200,
            List.of(point(100, 0.7, 1.2), point(200, 0.8, 1.2), point(300, 0.85, 1.2))),
        run(
            "new",
            2,
            0.92,
            0.82,
            0.43,
            0.9,
            2200,
            List.of(point(100, 0.5, 1.2), point(200, 0.9, 1.2), point(300, 0.87, 1.2))));
  }

  /** The same at equal time. */
  private static RunResult timed(
      RunResult run, double minutes, long steps, int parallel, EvaluationReport evaluation) {
    return new RunResult(
        run.arm(),
        run.seed(),
        steps,
        minutes,
        run.batchSize(),
        run.threads(),
        parallel,
        2,
        run.kernels(),
        run.parameters(),
        evaluation,
        List.of(CurvePoint.of(steps, 8 * steps, 60 * minutes, evaluation)),
        run.medianStepSeconds(),
        run.peakMebibytes(),
        0);
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
    // 0.8. Of ten pairs of age 12 and 14 of 20 choices are right.
    assertThat(section(text, "By matching (ITM): caption choice"))
        .contains(
            "| arm | colour (60) | gender (50) | age (10) | all pairs (micro) | attributes (macro)"
                + " |")
        .contains("| plain | 75.0 ± 7.1 | 65.0 ± 21.2 | 13.0 of 20 | 72.5 ± 10.6 | 70.0 ± 14.1 |")
        .contains("| new | 91.0 ± 1.4 | 81.0 ± 1.4 | 13.0 of 20 | 88.5 ± 1.4 | 86.0 ± 1.4 |")
        .contains("\nMacro: mean of the 2 types with at least 50 pairs.\n")
        .doesNotContain("absent");
    assertThat(section(text, "By matching (ITM): image choice"))
        .contains("| plain | 65.0 ± 7.1 | 55.0 ± 21.2 | 11.0 of 20 |");
    // A pair is one decision of the group score: 3 and 4 of 10.
    assertThat(section(text, "By matching (ITM): group score"))
        .contains("| plain | 45.0 ± 7.1 | 35.0 ± 21.2 | 3.5 of 10 |");
    assertThat(section(text, "By contrast (ITC): caption choice"))
        .contains("| plain | 60.0 ± 0.0 | 60.0 ± 0.0 | 10.0 of 20 |");
    assertThat(section(text, "Retrieval by ITC"))
        .contains("| plain | 42.0 ± 2.8 | 50.0 ± 0.0 | 60.0 ± 0.0 | 10.0 ± 0.0 |");
    assertThat(section(text, "Retrieval by ITC, re-ranked by both"))
        .contains("| plain | 43.0 ± 0.0 | 50.0 ± 0.0 | 60.0 ± 0.0 | 5.0 ± 0.0 |");
    // Macro: 16 points, deviations 14.1 + 1.4 = 15.6 < 16; micro: 16, 10.6 + 1.4 < 16.
    String differences = section(text, "Difference from the baseline");
    assertThat(differences).contains("| plain | – |");
    assertThat(differences).contains("| new | +16.0 **apart** | +16.0 **apart** |");
    // ITC is the same in both, as is R@1 on average.
    assertThat(differences).contains("| +0.0 | +0.0 | +0.0 | +0.0 | +0.0 | +0.0 |\n\nMacro: ");
    // The baseline's last macro is 0.7, first reached at 200 and 300; by "new" at 100 and 200.
    assertThat(section(text, "Steps to an accuracy"))
        .contains("| arm | baseline's last macro (70.0 %) | macro 70 % | macro 80 % | macro 90 % |")
        .contains("| baseline's last micro (72.5 %) | micro 70 % |")
        .contains("| plain | 250 ± 71 | 250 ± 71 | 300 (1 of 2) | not reached |")
        .contains("| new | 150 ± 71 | 150 ± 71 | 200 ± 0 | 200 (1 of 2) |");
    // Eight samples and 0.6 or 1.2 seconds a step.
    assertThat(section(text, "Samples to an accuracy"))
        .contains("| plain | 2,000 ± 566 | 2,000 ± 566 | 2,400 (1 of 2) | not reached |")
        .contains("| new | 1,200 ± 566 |");
    assertThat(section(text, "Minutes to an accuracy"))
        .contains("| plain | 2.5 ± 0.7 | 2.5 ± 0.7 | 3.0 (1 of 2) | not reached |")
        .contains("| new | 3.0 ± 1.4 |");
    assertThat(section(text, "Cost"))
        .contains(
            "| plain | 300 ± 0 | 2,400 ± 0 | 3.00 ± 0.00 | 0.600 ± 0.141 | × 1.00 | 1,100 ± 141 |")
        .contains(
            "| new | 300 ± 0 | 2,400 ± 0 | 6.00 ± 0.00 | 0.900 ± 0.000 | × 1.50 | 2,200 ± 0 | ×"
                + " 2.00");
  }

  @Test
  void theBetterScorerStandsFirst() {
    String text = report(runs()).markdown();
    assertThat(text.indexOf("## Better of ITC and ITM"))
        .isBetween(0, text.indexOf("## Overview"))
        .isLessThan(text.indexOf("## By matching"));
    // By ITC colour, gender and macro are 0.6. Gender: 0.6 by ITC and 0.8 by ITM, mean 0.7. Macro
    // is
    // the larger of two means, not the mean of the larger ones.
    assertThat(section(text, "Better of ITC and ITM: caption choice"))
        .contains("| plain | 75.0 ± 7.1 | 70.0 ± 14.1 | 13.0 of 20 | 72.5 ± 10.6 | 70.0 ± 14.1 |")
        .contains(
            "| new | 91.0 ± 1.4 (+16.0 **apart**) | 81.0 ± 1.4 (+11.0) | 13.0 of 20 |"
                + " 88.5 ± 1.4 (+16.0 **apart**) | 86.0 ± 1.4 (+16.0 **apart**) |")
        .contains("Macro: mean of the 2 types");
    // Image choice is 0.1 below caption choice, the group score 0.3.
    assertThat(section(text, "Better of ITC and ITM: image choice"))
        .contains("| plain | 65.0 ± 7.1 | 60.0 ± 14.1 | 11.0 of 20 | 62.5 ± 10.6 | 60.0 ± 14.1 |");
    assertThat(section(text, "Better of ITC and ITM: group score"))
        .contains("| plain | 45.0 ± 7.1 | 40.0 ± 14.1 | 3.5 of 10 | 42.5 ± 10.6 | 40.0 ± 14.1 |");
    // 0.43 and 0.44 of the baseline, where re-ranking helps once; 0.43 twice of the other.
    assertThat(section(text, "Better of ITC and ITM: retrieval"))
        .contains("| plain | 43.5 ± 0.7 | 10.0 ± 0.0 |")
        .contains("| new | 43.0 ± 0.0 (-0.5) | 10.0 ± 0.0 (+0.0) |");
  }

  @Test
  void equalTime() {
    List<RunResult> runs =
        List.of(
            timed(runs().get(0), 2.5, 600, 4, runs().get(0).evaluation()),
            timed(runs().get(2), 2.5, 400, 1, runs().get(2).evaluation()));
    AblationReport report = report(runs);
    String text = report.markdown();
    assertThat(text)
        .contains("Every run: 2.5 minutes of steps of batch 8, waiting for data included")
        .contains("Warning: runs shared processors.** 4 at a time with 1 thread each ran on 2")
        .doesNotContain("Each run has");
    assertThat(section(text, "Cost"))
        .contains("| plain | 600 | 4,800 | 2.50 | 0.500 |")
        .contains("| new | 400 | 3,200 | 2.50 | 0.900 |");
    JsonNode root = JsonMapper.shared().readTree(report.json());
    assertThat(root.get("steps").isNull()).isTrue();
    assertThat(root.get("minutes").doubleValue()).isEqualTo(2.5);
    assertThat(root.get("sharedProcessors").booleanValue()).isTrue();
    assertThat(root.at("/arms/1/values/cost.steps/mean").doubleValue()).isEqualTo(400);
    assertThat(root.at("/arms/1/values/cost.samples/mean").doubleValue()).isEqualTo(3200);

    String quiet =
        report(List.of(timed(runs().get(0), 2.5, 600, 2, runs().get(0).evaluation()))).markdown();
    assertThat(quiet).doesNotContain("Warning");
    assertThat(report(runs()).markdown()).doesNotContain("Warning");
    assertThatThrownBy(() -> report(List.of(runs.getFirst(), runs().get(2))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("new seed 1 (300 steps of batch 8, 1 thread)")
        .hasMessageContaining("plain seed 1 (2.5 minutes of steps of batch 8, 1 thread)");
  }

  @Test
  void withFewPairsOfEveryTypeThereIsNoMacro() {
    FineGrainedReport few =
        new FineGrainedReport(Map.of("age", scores(10, 0.6)), scores(10, 0.6), scores(10, 0.6));
    RunResult run = timed(runs().get(0), 1, 300, 1, new EvaluationReport(few, null, null, null));
    AblationReport report = report(List.of(run));
    String text = report.markdown();
    assertThat(section(text, "Better of ITC and ITM: caption choice"))
        .contains("| arm | age (10) | all pairs (micro) |\n")
        .contains("| plain | 12 of 20 | 60.0 |")
        .contains("No macro: there are no types with at least 50 pairs.");
    assertThat(section(text, "Steps to an accuracy"))
        .contains("| arm | baseline's last micro (60.0 %) | micro 70 % |")
        .contains("| plain | 300 | not reached |");
    assertThat(report.curves()).contains("Micro caption choice, better of ITC and ITM");
    JsonNode values = JsonMapper.shared().readTree(report.json()).at("/arms/0/values");
    assertThat(values.get("itc.captionChoice.macro").get("mean").doubleValue()).isEqualTo(0.6);
    assertThat(values.get("itc.captionChoice.macroLarge")).isNull();
  }

  @Test
  void curvesAreOfTheBetterMacro() {
    String svg = report(runs()).curves();
    assertThat(svg)
        .contains("Macro caption choice, better of ITC and ITM, in %")
        .contains(">minutes of training<", ">samples seen<", ">plain<", ">new<")
        .doesNotContain(">absent<");
    assertThat(report(runs()).markdown()).contains("](curves.svg)");
  }

  @Test
  void oneSeedHasNoDeviationAndNothingIsApart() {
    List<RunResult> runs = List.of(runs().get(0), runs().get(2), runs().get(3));
    String text = report(runs).markdown();
    assertThat(section(text, "By matching (ITM): caption choice"))
        .contains("| plain | 70.0 | 50.0 | 12 of 20 | 65.0 | 60.0 |")
        .contains("| new (2 seeds) | 91.0 ± 1.4 |");
    assertThat(section(text, "Difference from the baseline"))
        .contains("| new (2 seeds) | +26.0 | +23.5 |")
        .doesNotContain("| **apart**");
    assertThat(text).doesNotContain("NaN");
  }

  @Test
  void aNumberThatNoRunHasIsADash() {
    List<RunResult> runs =
        List.of(run("plain", 1, 0.7, 0.5, 0.4, null, 10, List.of(point(300, 0.6, 0.6))));
    assertThat(section(report(runs).markdown(), "Cost"))
        .contains("| plain | 300 | 2,400 | 3.00 | – | – | 10 | × 1.00 |");
  }

  @Test
  void json() {
    JsonNode root = JsonMapper.shared().readTree(report(runs()).json());
    assertThat(root.get("baseline").stringValue()).isEqualTo("plain");
    assertThat(root.get("steps").intValue()).isEqualTo(300);
    assertThat(root.get("arms").size()).isEqualTo(2);
    JsonNode arm = root.get("arms").get(1);
    assertThat(arm.get("name").stringValue()).isEqualTo("new");
    JsonNode macro = arm.get("values").get("itm.captionChoice.macroLarge");
    assertThat(macro.get("n").intValue()).isEqualTo(2);
    assertThat(macro.get("mean").doubleValue()).isCloseTo(0.86, Offset.offset(1e-12));
    assertThat(macro.get("deviation").doubleValue())
        .isCloseTo(0.01 * Math.sqrt(2), Offset.offset(1e-12));
    assertThat(macro.get("difference").doubleValue()).isCloseTo(0.16, Offset.offset(1e-12));
    assertThat(macro.get("overlaps").booleanValue()).isFalse();
    // All three types: (0.9 + 0.8 + 0.6) / 3 and (0.92 + 0.82 + 0.7) / 3.
    assertThat(arm.at("/values/itm.captionChoice.macro/mean").doubleValue())
        .isCloseTo(4.74 / 6, Offset.offset(1e-12));
    assertThat(arm.at("/values/itm.captionChoice.age/mean").doubleValue())
        .isCloseTo(0.65, Offset.offset(1e-12));
    JsonNode better = root.at("/arms/0/values/better.captionChoice.gender");
    assertThat(better.get("mean").doubleValue()).isCloseTo(0.7, Offset.offset(1e-12));
    assertThat(arm.at("/values/better.captionChoice.gender/difference").doubleValue())
        .isCloseTo(0.11, Offset.offset(1e-12));
    assertThat(arm.at("/values/better.captionChoice.gender/overlaps").booleanValue()).isTrue();
    assertThat(root.at("/arms/0/values/retrieval.better.imageToText.R@1/mean").doubleValue())
        .isCloseTo(0.435, Offset.offset(1e-12));
    assertThat(arm.at("/values/retrieval.itc.imageToText.R@1/overlaps").booleanValue()).isTrue();
    assertThat(arm.at("/stepsTo/baselineMacroLarge/mean").doubleValue()).isEqualTo(150);
    assertThat(arm.at("/samplesTo/baselineMacroLarge/mean").doubleValue()).isEqualTo(1200);
    assertThat(arm.at("/minutesTo/baselineMacroLarge/mean").doubleValue())
        .isCloseTo(3, Offset.offset(1e-12));
    assertThat(arm.at("/stepsTo/macroLarge90/n").intValue()).isEqualTo(1);
    // The macro of all types is 0.02 lower, and does not get there.
    assertThat(arm.at("/stepsTo/macro90/n").intValue()).isZero();
    assertThat(root.at("/arms/0/stepsTo/macro90/mean").isNull()).isTrue();
    assertThat(arm.at("/costAgainstBaseline/stepSeconds").doubleValue())
        .isCloseTo(1.5, Offset.offset(1e-12));
    assertThat(root.get("runs").size()).isEqualTo(4);
    assertThat(root.at("/runs/0/curve/1/itmMacro").doubleValue()).isEqualTo(0.69);
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
            null,
            8,
            1,
            2,
            2,
            one.kernels(),
            one.parameters(),
            one.evaluation(),
            one.curve(),
            one.medianStepSeconds(),
            one.peakMebibytes(),
            0);
    assertThatThrownBy(() -> report(List.of(one, longer)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("new seed 1 (400 steps of batch 8, 1 thread)")
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
