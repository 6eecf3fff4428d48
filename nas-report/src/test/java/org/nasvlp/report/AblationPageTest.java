package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class AblationPageTest {
  private static final String RESULTS =
      """
      {"command": "./nas ablate 'TYPE'", "steps": 600, "minutes": null, "batchSize": 64,
       "threads": 1, "parallel": 2, "sharedProcessors": true, "baseline": "plain",
       "arms": [
         {"name": "plain", "patch": {"nva": {"enabled": false}}, "seeds": [1, 2],
          "values": {
            "better.captionChoice.TYPE": {"n": 2, "mean": 0.5, "deviation": 0.01},
            "better.captionChoice.rare": {"n": 2, "mean": 0.55, "deviation": 0.01},
            "better.captionChoice.micro": {"n": 2, "mean": 0.5, "deviation": 0.02},
            "cost.minutes": {"n": 2, "mean": 3, "deviation": 0.5}},
          "stepsTo": {"baselineMicro": {"accuracy": 0.5, "n": 2, "mean": 500},
                      "micro70": {"accuracy": 0.7, "n": 0, "mean": null},
                      "macro70": {"accuracy": 0.7, "n": 0, "mean": null}},
          "costAgainstBaseline": {"stepSeconds": 1}},
         {"name": "+nva", "patch": {}, "seeds": [1, 2],
          "values": {
            "better.captionChoice.TYPE": {"n": 2, "mean": 0.6, "deviation": 0.02,
              "difference": 0.1, "overlaps": false},
            "better.captionChoice.rare": {"n": 2, "mean": 0.5, "deviation": 0.01,
              "difference": -0.05, "overlaps": false},
            "better.captionChoice.micro": {"n": 2, "mean": 0.4999, "deviation": 0.02,
              "difference": -0.0001, "overlaps": true},
            "cost.minutes": {"n": 2, "mean": 4, "deviation": 0.25}},
          "stepsTo": {"baselineMicro": {"accuracy": 0.5, "n": 1, "mean": 300},
                      "micro70": {"accuracy": 0.7, "n": 0, "mean": null}},
          "costAgainstBaseline": {"stepSeconds": 1.25}}],
       "unfinished": ["<b>broken seed 1"],
       "runs": [{"evaluation": {"itc": {"byAttribute": {
         "TYPE": {"pairs": 100}, "rare": {"pairs": 10}}}}}]}
      """;

  @TempDir private Path folder;

  /** A folder as an ablation leaves it, with a type of a test's choice. */
  static Path ablation(Path folder, String type) throws IOException {
    Path output = Files.createDirectories(folder.resolve("ablation"));
    String quoted = JsonMapper.shared().writeValueAsString(type);
    Files.writeString(
        output.resolve("results.json"),
        RESULTS.replace("TYPE", quoted.substring(1, quoted.length() - 1)));
    Files.writeString(
        output.resolve("curves.svg"),
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>");
    for (String arm : List.of("plain", "+nva")) {
      new RunFolder(output.resolve("runs").resolve(arm).resolve("seed-1").resolve("training"))
          .steps(60)
          .evaluation(60, "colour", 100, 0.8, 0.9)
          .read();
    }
    return output;
  }

  private static List<String> rows(Document page) {
    return ReportPageTest.elements(page, "tr").stream()
        .map(
            row -> {
              StringBuilder text = new StringBuilder();
              for (int i = 0; i < row.getChildNodes().getLength(); i++) {
                text.append(i == 0 ? "" : " | ")
                    .append(row.getChildNodes().item(i).getTextContent());
              }
              return text.toString();
            })
        .toList();
  }

  @Test
  void showsWhatTheVariantsReach() throws Exception {
    Path written = AblationPage.write(ablation(folder, ReportPageTest.NASTY));
    String text = Files.readString(written);
    Document page = ReportPageTest.parse(text);
    assertThat(rows(page))
        .contains(
            "every run | 600 steps of batch 64",
            "baseline | plain",
            "not finished | <b>broken seed 1",
            "plain | 50.0 ± 1.0 | 11.0 of 20 | 50.0 ± 2.0",
            "+nva | 60.0 ± 2.0 (+10.0 apart) | 10.0 of 20 | 50.0 ± 2.0 (+0.0)",
            "variant | baseline's last micro (50.0 %) | micro 70 %",
            "plain | 500 | not reached",
            "+nva | 300 (1 of 2) | not reached",
            "plain | 3.00 ± 0.50 | × 1.00",
            "+nva | 4.00 ± 0.25 | × 1.25");
    // At equal steps it does not matter who shared processors.
    assertThat(text).doesNotContain("shared processors", "<script", "http:", "https:");
    assertThat(ReportPageTest.elements(page, "a"))
        .extracting(link -> link.getAttribute("href"))
        .contains("compared.html")
        .filteredOn(link -> !link.startsWith("#"))
        .hasSize(1);
    // The large type and all pairs; 10 points of 40 from the middle, and 3 to each side.
    List<Element> dots =
        ReportPageTest.elements(page, "i").stream()
            .filter(of -> List.of("dot", "band").contains(of.getAttribute("class")))
            .toList();
    assertThat(dots).hasSize(4);
    assertThat(dots.get(0).getAttribute("style")).endsWith("left: 67.50%; width: 15.00%");
    assertThat(dots.get(1).getAttribute("style")).endsWith("left: 75.00%");
    String compared = Files.readString(written.resolveSibling("compared.html"));
    assertThat(compared).contains("<h1>Runs plain, +nva</h1>");
  }

  @Test
  void equalTimeIsToldWithWhatDisturbsIt() throws Exception {
    Path output = ablation(folder, "colour");
    ObjectNode results =
        (ObjectNode) JsonMapper.shared().readTree(Files.readString(output.resolve("results.json")));
    results.put("minutes", 2.5).putNull("steps");
    Files.writeString(output.resolve("results.json"), results.toString());
    String text = Files.readString(AblationPage.write(output));
    assertThat(text)
        .contains("2.5 minutes of steps of batch 64", "The runs had more threads than the machine");
  }

  @Test
  void runsThatAreGoneAndResultsThatAreMissing() throws Exception {
    Path output = ablation(folder, "colour");
    Files.delete(output.resolve("curves.svg"));
    Files.delete(output.resolve("runs/plain/seed-1/training/log.jsonl"));
    assertThat(Files.readString(AblationPage.write(output))).doesNotContain("<img");
    assertThat(Files.readString(output.resolve("compared.html"))).contains("<h1>Run +nva</h1>");
    Path results = output.resolve("results.json");
    for (String wrong : List.of("{", "{}", "[]")) {
      Files.writeString(results, wrong);
      assertThatThrownBy(() -> AblationPage.write(output))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("results.json: ");
    }
    Files.delete(results);
    assertThatThrownBy(() -> AblationPage.write(output)).hasMessageContaining("no such file");
  }
}
