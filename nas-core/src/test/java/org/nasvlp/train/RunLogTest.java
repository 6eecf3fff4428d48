package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunLogTest {
  @TempDir private Path folder;
  private RunLog log;

  @BeforeEach
  void fill() throws IOException {
    log = new RunLog(folder);
    for (int step = 1; step <= 4; step++) {
      log.append("step", step, Map.of("step", step));
      if (step % 2 == 0) {
        log.append("evaluation", step + 0.5, Map.of("step", step));
      }
    }
  }

  private String text() throws IOException {
    return Files.readString(folder.resolve("log.jsonl"))
        .replace("\"", "")
        .replaceAll("kind:|seconds:", "");
  }

  @Test
  void keepsWhatWasDoneAtTheCheckpoint() throws IOException {
    assertThat(log.rewind(2, false)).isTrue();
    assertThat(text())
        .isEqualTo(
            """
            {step,1.0,step:{step:1}}
            {step,2.0,step:{step:2}}
            {evaluation,2.5,evaluation:{step:2}}
            """);
    assertThat(log.rewind(1, false)).isFalse();
    assertThat(text()).isEqualTo("{step,1.0,step:{step:1}}\n");
    assertThat(log.rewind(0, false)).isFalse();
    assertThat(text()).isEmpty();
  }

  @Test
  void theLastCheckpointComesBeforeTheLastEvaluation() throws IOException {
    assertThat(log.rewind(4, true)).isFalse();
    assertThat(text()).endsWith("{step,4.0,step:{step:4}}\n");
  }

  @Test
  void aLineCutShortGoes() throws IOException {
    String before = text();
    Path file = folder.resolve("log.jsonl");
    Files.writeString(file, "{\"kind\":\"step\",\"sec", StandardOpenOption.APPEND);
    log.rewind(4, false);
    assertThat(text()).isEqualTo(before);
    Files.writeString(file, "{\"kind\":\"step\",\"sec\n{}\n", StandardOpenOption.APPEND);
    log.rewind(4, false);
    assertThat(text()).isEqualTo(before);
  }

  @Test
  void withoutALogThereIsNothingToDo() throws IOException {
    assertThat(new RunLog(folder.resolve("absent")).rewind(3, false)).isFalse();
  }
}
