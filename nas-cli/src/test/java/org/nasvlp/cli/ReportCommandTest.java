package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportCommandTest {
  @TempDir private Path folder;

  private final TestShell shell = new TestShell();

  private Path run() throws IOException {
    Path run = Files.createDirectory(folder.resolve("run"));
    Files.createFile(run.resolve("log.jsonl"));
    return run;
  }

  @Test
  void optionsThatDoNotGoTogetherAreWrongUsage() throws IOException {
    String run = run().toString();
    assertThat(shell.run("report", run, run, "--data", "x")).isEqualTo(2);
    assertThat(shell.err()).contains("--data is for one run");
    assertThat(shell.run("report", run, "--test", "x")).isEqualTo(2);
    assertThat(shell.err()).contains("--test and --pairs need --data");
    assertThat(Path.of(run, "report.html")).doesNotExist();
  }

  @Test
  void aRunWithoutACheckpointHasAPageAndNoPictures() throws IOException {
    Path run = run();
    assertThat(shell.run("report", run.toString(), "--data", folder.toString())).isEqualTo(1);
    assertThat(shell.err()).contains(run.toString(), "no checkpoint yet").hasLineCount(1);
    assertThat(shell.run("report", run.toString())).as(shell.err()).isZero();
    assertThat(run.resolve("report.html")).exists();
  }
}
