package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScenesCommandTest {
  @TempDir private Path folder;

  private final TestShell shell = new TestShell();

  @Test
  void makesAFolderThatTheOtherCommandsTake() {
    String out = folder.resolve("scenes").toString();
    assertThat(shell.run("data", "scenes", "--out", out, "--images", "40", "--pairs", "2"))
        .isZero();
    assertThat(shell.out())
        .matches(
            "40 training pictures with \\d+ captions in 1 file, 36 test pictures in 18 pairs:"
                + " .*\\R");
    DataFiles files = DataFiles.complete(folder.resolve("scenes"));
    assertThat(files.train()).isRegularFile();
    assertThat(shell.run("data", "check", files.train().toString())).isZero();
  }

  @Test
  void refusesWhatCannotBeMade() throws IOException {
    String out = folder.resolve("scenes").toString();
    assertThat(shell.run("data", "scenes", "--out", out, "--images", "5", "--size", "16"))
        .isEqualTo(2);
    assertThat(shell.err())
        .contains("side is 16: it must be 32 to 512: five things need 32 pixels");
    assertThat(shell.run("data", "scenes", "--out", out, "--images", "0")).isEqualTo(2);
    assertThat(shell.err()).contains("images is 0: it must be 1 to 100,000,000");
    assertThat(
            shell.run(
                "data", "scenes", "--out", out, "--images", "5", "--emoji", folder.toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("train.tar: no such file");
    assertThat(
            shell.run(
                "data", "scenes", "--out", out, "--images", "5", "--emoji", "x", "--shapes-only"))
        .isEqualTo(2);
    assertThat(folder.resolve("scenes")).doesNotExist();
    Path full = Files.createFile(Files.createDirectory(folder.resolve("full")).resolve("mine"));
    assertThat(shell.run("data", "scenes", "--out", full.getParent().toString(), "--images", "5"))
        .isEqualTo(1);
    assertThat(shell.err()).contains("exists and is not empty");
    assertThat(full).exists();
  }

  @Test
  void preparedFoldersHoldOneShardSeveralOrAMixture() throws IOException {
    Path data = Files.createDirectory(folder.resolve("data"));
    Files.createFile(data.resolve("tokenizer.json"));
    Files.createDirectory(data.resolve("train"));
    // A folder of pictures may be called train.
    assertThat(DataFiles.choose(data, null, null, null).train()).isEqualTo(data);
    Files.createFile(data.resolve("train.json"));
    Files.createFile(data.resolve("test.json"));
    Files.createFile(data.resolve("pairs.json"));
    DataFiles mixture = DataFiles.choose(data, null, null, null);
    assertThat(mixture.train()).isEqualTo(data.resolve("train.json"));
    assertThat(mixture.test()).isEqualTo(data.resolve("test.json"));
    assertThat(DataFiles.complete(data)).isEqualTo(mixture);
    Files.createFile(data.resolve("train").resolve("train-000000.tar"));
    assertThat(DataFiles.complete(data).train()).isEqualTo(data.resolve("train"));
    Files.createFile(data.resolve("train.tar"));
    assertThat(DataFiles.complete(data).train()).isEqualTo(data.resolve("train.tar"));
  }
}
