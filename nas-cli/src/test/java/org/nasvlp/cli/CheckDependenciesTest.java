package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code tools/check-dependencies} on a list of two jars. */
class CheckDependenciesTest {
  // printf 'one' | sha256sum, and 'two'.
  private static final String ONE =
      "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
  private static final String TWO =
      "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

  @TempDir private Path folder;
  private String lock;
  private String licenses;

  @BeforeEach
  void layOut() throws IOException {
    Files.writeString(folder.resolve("one.jar"), "one");
    Files.writeString(folder.resolve("two.jar"), "two");
    list("1.0");
    lock = "# a comment\na.b:one:1.0 " + ONE + "\na.b:two:linux:2.0-x " + TWO + "\n";
    licenses = "Words.\n\na.b:one:1.0 | One | MIT\na.b:two:2.0-x | Two | BSD\n";
  }

  /** As Maven's dependency plugin writes it. */
  private void list(String version) throws IOException {
    Files.writeString(
        folder.resolve("list"),
        """

        The following files have been resolved:
           a.b:one:jar:%s:compile:%2$s/one.jar -- module one (auto)
           a.b:two:jar:linux:2.0-x:runtime:%2$s/two.jar
        """
            .formatted(version, folder));
  }

  private String check(int status) throws Exception {
    Files.writeString(folder.resolve("lock"), lock);
    Files.writeString(folder.resolve("licenses"), licenses);
    Process process =
        new ProcessBuilder(
                "bash",
                TestShell.home().resolve("tools/check-dependencies").toString(),
                "--list",
                folder.resolve("list").toString(),
                "--lock",
                folder.resolve("lock").toString(),
                "--licenses",
                folder.resolve("licenses").toString())
            .redirectErrorStream(true)
            .start();
    String told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(told).isEqualTo(status);
    return told;
  }

  @Test
  void whatIsLockedPasses() throws Exception {
    assertThat(check(0)).contains("2 jars are those of");
  }

  @Test
  void anotherFileOfTheSameVersionIsTold() throws Exception {
    Files.writeString(folder.resolve("two.jar"), "tWo");
    assertThat(check(1))
        .contains("a.b:two:linux:2.0-x is another file than the locked one", TWO, "--write")
        .doesNotContain("a.b:one");
  }

  @Test
  void anotherVersionIsTold() throws Exception {
    list("1.1");
    assertThat(check(1)).contains("a.b:one is 1.1, locked is 1.0").doesNotContain("a.b:two");
  }

  @Test
  void oneMoreAndOneLessAreTold() throws Exception {
    lock = lock.replace("a.b:one", "a.b:other");
    assertThat(check(1)).contains("a.b:one:1.0 is not in", "a.b:other:1.0 is locked, but not used");
  }

  @Test
  void aLibraryWithoutALicenseIsTold() throws Exception {
    licenses = licenses.replace("a.b:two:2.0-x | Two | BSD\n", "a.b:three:3 | Three | BSD\n");
    assertThat(check(1)).contains("missing: a.b:two:2.0-x", "not used: a.b:three:3");
  }

  @Test
  void withoutABuildItSaysWhatToDo() throws Exception {
    Files.delete(folder.resolve("list"));
    assertThat(check(1)).contains("is missing: run mvn package first");
  }
}
