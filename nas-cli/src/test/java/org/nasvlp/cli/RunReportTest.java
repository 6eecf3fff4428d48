package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.EditType;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.train.TrainingStart;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class RunReportTest {
  private static RunReport report() {
    return new RunReport(
        "demo",
        DemoConfig.create(7, 14),
        new TrainingStart(0, 1500, 6_700_000, 2990, 0, "cpu, 2 threads", "cpu avx512"),
        Samples.result(Path.of("runs/demo/checkpoints/step-00001500"), false, Samples.evaluation()),
        new NegativeTextAugmentation.Preparation(
            2990, 0, 2500, 10, Map.of(EditType.COLOR, 400L), null, false, List.of()),
        Map.of("backward", 0.4),
        790.4,
        OptionalLong.of(3120),
        Path.of("runs/demo/log.jsonl"));
  }

  @Test
  void text() {
    assertThat(report().text())
        .startsWith("Fine differences")
        .contains("Retrieval among")
        .endsWith(
            """

            Dictionary  412 of 512 codes live, perplexity 233 (as many in even use), 7 restarts
            Losses      itc 3.10 itm 0.62
            Steps       1,500 of 1,500 in 12:05; the command took 13:10
            Skipped     2 bad samples, such as a.png: truncated; b.png: empty caption
            Cut         3 captions were too long
            Memory      3,120 MiB resident at most
            Checkpoint  runs/demo/checkpoints/step-00001500
            Log         runs/demo/log.jsonl
            """);
  }

  @Test
  void json() {
    JsonNode root = JsonMapper.shared().readTree(report().json());
    assertThat(root.get("command").stringValue()).isEqualTo("demo");
    assertThat(root.get("seed").longValue()).isEqualTo(7);
    assertThat(root.get("step").longValue()).isEqualTo(1500);
    assertThat(root.get("stopped").booleanValue()).isFalse();
    assertThat(root.get("seconds").doubleValue()).isEqualTo(790.4);
    assertThat(root.get("peakResidentMiB").longValue()).isEqualTo(3120);
    assertThat(root.get("parameters").longValue()).isEqualTo(6_700_000);
    assertThat(root.get("kernels").stringValue()).isEqualTo("cpu avx512");
    assertThat(root.get("stepSeconds").get("backward").doubleValue()).isEqualTo(0.4);
    JsonNode evaluation = root.get("evaluation");
    assertThat(evaluation.get("headline").doubleValue()).isEqualTo(0.9);
    JsonNode attributes = evaluation.get("itc").get("byAttribute");
    assertThat(attributes.propertyNames()).containsExactly("skin tone", "colour", "age");
    assertThat(attributes.get("colour").get("pairs").intValue()).isEqualTo(1200);
    assertThat(attributes.get("colour").get("captionChoice").doubleValue()).isEqualTo(0.75);
    assertThat(attributes.get("colour").get("imageChoice").doubleValue()).isEqualTo(0.625);
    assertThat(attributes.get("colour").get("group").doubleValue()).isEqualTo(0.3);
    assertThat(evaluation.get("itm").get("macro").get("captionChoice").doubleValue())
        .isEqualTo(0.9);
    assertThat(evaluation.get("chance").get("text").doubleValue()).isEqualTo(0.25);
    JsonNode retrieval = evaluation.get("retrievalItm");
    assertThat(retrieval.get("images").intValue()).isEqualTo(200);
    assertThat(retrieval.get("imageToText").get("R@1").doubleValue()).isEqualTo(0.15);
    assertThat(retrieval.get("textToImage").get("R@10").doubleValue()).isEqualTo(0.6);
    assertThat(root.get("dictionary").get("live").intValue()).isEqualTo(412);
    assertThat(root.get("losses").get("itc").doubleValue()).isEqualTo(3.104);
    assertThat(root.get("skippedExamples").get(1).stringValue()).isEqualTo("b.png: empty caption");
    assertThat(root.get("truncatedCaptions").longValue()).isEqualTo(3);
    assertThat(root.at("/captionEdits/edits/COLOR").longValue()).isEqualTo(400);
    assertThat(root.at("/captionEdits/withoutEdit").longValue()).isEqualTo(10);
    assertThat(root.get("java").stringValue()).contains(Runtime.version().toString());
  }
}
