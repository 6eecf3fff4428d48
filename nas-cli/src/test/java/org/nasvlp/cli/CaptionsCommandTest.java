package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CaptionsCommandTest {
  @TempDir private Path folder;

  private final TestShell shell = new TestShell();

  @Test
  void keepsTheEditsBesideTheDataAndShowsOneOfEachType() throws IOException {
    Path data =
        Files.writeString(
            folder.resolve("list.jsonl"),
            """
            {"image": "a.png", "caption": "a red cup to the left of a blue plate"}
            {"image": "b.png", "caption": "a red cup to the left of a blue plate"}
            {"image": "c.png", "caption": "zxcvb"}
            {"image": "d.png", "caption": ""}
            """);
    String tokenizer = TestShell.home().resolve("data/scenes/tokenizer.json").toString();
    String[] command = {
      "data", "captions", data.toString(), "--preset", "emoji", "--tokenizer", tokenizer
    };
    assertThat(shell.run(command)).as(shell.err()).isZero();
    assertThat(shell.out())
        .contains(
            "captions         2 different ones of 4 pairs", "without edit   1", "unreadable     1")
        .containsPattern(
            "color +2 +a red cup to the left of a blue plate -> a blue cup to the left of a blue"
                + " plate")
        .containsPattern("Kept: .*captions/nta-[0-9a-f]{16}\\.edits, [0-9.]+ MB");
    assertThat(folder.resolve("captions")).isDirectoryContaining("glob:**.edits");
    String first = shell.out();
    assertThat(shell.run(command)).isZero();
    assertThat(shell.out()).isEqualTo(first.replace("Kept:", "There already:"));
    // Other settings make other edits, beside them.
    command[4] = "tiny";
    assertThat(shell.run(command)).isZero();
    assertThat(shell.out()).contains("Kept: ");
    try (var files = Files.list(folder.resolve("captions"))) {
      assertThat(files).hasSize(2);
    }
  }

  @Test
  void refusesWhatMakesNone() throws IOException {
    Path data =
        Files.writeString(
            folder.resolve("list.jsonl"), "{\"image\": \"a.png\", \"caption\": \"a red cup\"}");
    assertThat(shell.run("data", "captions", data.toString())).isEqualTo(2);
    assertThat(shell.err()).contains("--config", "--preset");
    assertThat(shell.run("data", "captions", data.toString(), "--preset", "huge")).isEqualTo(1);
    assertThat(shell.err()).contains("huge", "scenes");
    Path config =
        Files.writeString(
            folder.resolve("without.yaml"), "nta: {enabled: false}\nnva: {enabled: false}\n");
    assertThat(shell.run("data", "captions", data.toString(), "--config", config.toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("nta.enabled is false");
    assertThat(shell.run("data", "captions", data.toString(), "--preset", "scenes")).isEqualTo(1);
    assertThat(shell.err()).contains("--tokenizer FILE");
    assertThat(folder.resolve("captions")).doesNotExist();
  }
}
