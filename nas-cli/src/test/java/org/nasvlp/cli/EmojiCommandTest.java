package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The command around the script, with programs that only tell how they were called. */
@DisabledOnOs(OS.WINDOWS)
class EmojiCommandTest {
  @TempDir private Path folder;

  private void program(String name, String text) throws IOException {
    Path file = Files.writeString(folder.resolve(name), "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwx------"));
  }

  private TestShell shell() {
    return new TestShell(folder.toString());
  }

  @Test
  void drivesTheScript() throws IOException {
    program("python3", "echo \"$@\"; echo told >&2");
    program("npm", "");
    program("mvn", "");
    TestShell shell = shell();
    Path out = folder.resolve("made");
    String script = TestShell.home().resolve("tools/make-emoji-data").toString();
    assertThat(shell.run("data", "emoji", "--style", "twitter", "--out", out.toString())).isZero();
    assertThat(shell.out()).isEqualTo(script + " --style twitter --out " + out + "\n");
    assertThat(shell.err())
        .isEqualTo("told\nmade " + out + "; train on it with --data " + out + "\n");
    assertThat(script).satisfies(path -> assertThat(Path.of(path)).isRegularFile());
  }

  @Test
  void packagesThatAreThereNeedNoNetwork() throws IOException {
    program("python3", "echo \"$@\"; exit 3");
    TestShell shell = shell();
    assertThat(
            shell.run(
                "data", "emoji", "--style", "GOOGLE", "--images", "/a.tgz", "--names", "/b.jar"))
        .isEqualTo(1);
    assertThat(shell.out())
        .contains("--style google", "runs/data/noto-emoji", "--images /a.tgz --names /b.jar");
    assertThat(shell.err()).doesNotContain("made");
  }

  @Test
  void fluentPicturesNeedADecoderOfWebp() throws IOException {
    program("python3", "echo \"$@\"");
    TestShell shell = shell();
    String[] line = {
      "data",
      "emoji",
      "--style",
      "fluent",
      "--images",
      "/a.tgz",
      "--names",
      "/b.jar",
      "--out",
      folder.resolve("made").toString()
    };
    assertThat(shell.run(line)).isEqualTo(1);
    assertThat(shell.err()).contains("dwebp is needed", "apt install webp").hasLineCount(1);
    assertThat(shell.out()).isEmpty();
    program("dwebp", "");
    assertThat(shell.run(line)).isZero();
    assertThat(shell.out()).contains("--style fluent --out " + folder.resolve("made"));
  }

  @Test
  void eachStyleHasItsFolder() throws IOException {
    for (String name : List.of("python3", "npm", "mvn", "dwebp")) {
      program(name, "echo \"$@\"; exit 3");
    }
    TestShell shell = shell();
    assertThat(shell.run("data", "emoji", "--style", "twitter")).isEqualTo(1);
    assertThat(shell.out()).contains("--style twitter", "runs/data/twemoji");
    assertThat(shell.run("data", "emoji", "--style", "fluent")).isEqualTo(1);
    assertThat(shell.out()).contains("--style fluent", "runs/data/fluent-emoji");
  }

  @Test
  void whatIsMissingIsNamedWithTheRemedy() throws IOException {
    TestShell shell = shell();
    assertThat(shell.run("data", "emoji", "--style", "twitter")).isEqualTo(1);
    assertThat(shell.err()).contains("python3 is needed", "install Python 3.9").hasLineCount(1);
    program("python3", "");
    assertThat(shell.run("data", "emoji", "--style", "twitter")).isEqualTo(1);
    assertThat(shell.err()).contains("npm is needed", "--images TGZ").hasLineCount(1);
    program("npm", "");
    assertThat(shell.run("data", "emoji", "--style", "twitter")).isEqualTo(1);
    assertThat(shell.err()).contains("mvn is needed", "--names JAR").hasLineCount(1);

    String full = folder.toString();
    assertThat(shell.run("data", "emoji", "--style", "twitter", "--out", full)).isEqualTo(1);
    assertThat(shell.err()).contains(full, "is not empty", "--out").hasLineCount(1);
    assertThat(shell.run("data", "emoji", "--style", "apple")).isEqualTo(2);
    assertThat(shell.err()).contains("apple", "GOOGLE, TWITTER, FLUENT");
    assertThat(shell.run("data", "emoji")).isEqualTo(2);
    assertThat(shell.err()).contains("--style");
    assertThat(shell.run("data")).isEqualTo(2);
    assertThat(shell.err()).contains("Missing command", "emoji");
  }
}
