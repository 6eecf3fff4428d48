package org.nasvlp.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

/** Runs the command in this JVM and keeps what it prints. */
final class TestShell {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final Shell shell;

  TestShell(TrainingJob.Factory trainings) {
    this(trainings, Map.of("NAS_HOME", home().toString()));
  }

  /** With programs in one folder only. */
  TestShell(String path) {
    this(TrainingJob.Factory::trainer, Map.of("NAS_HOME", home().toString(), "PATH", path));
  }

  TestShell(TrainingJob.Factory trainings, Map<String, String> environment) {
    this(trainings, environment, 0);
  }

  /** A terminal of so many columns. */
  static TestShell terminal(int columns) {
    Map<String, String> environment =
        Map.of("NAS_HOME", home().toString(), "NAS_COMMAND", "./my nas");
    return new TestShell(TrainingJob.Factory::trainer, environment, columns);
  }

  private TestShell(TrainingJob.Factory trainings, Map<String, String> environment, int columns) {
    shell =
        new Shell(
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            columns,
            environment,
            new Interruption(),
            trainings);
  }

  TestShell() {
    this(TrainingJob.Factory::trainer);
  }

  /** The repository's root; Maven runs tests in the module's folder. */
  static Path home() {
    return Path.of("").toAbsolutePath().getParent();
  }

  int run(String... args) {
    out.reset();
    err.reset();
    return Nas.execute(shell, args);
  }

  /** Runs a suggested command as a shell takes it, but for the program's name. */
  int paste(String line) throws IOException {
    Process words = new ProcessBuilder("sh", "-c", "printf '%s\\n' " + line).start();
    String[] all =
        new String(words.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split("\n", -1);
    return run(java.util.Arrays.copyOfRange(all, 1, all.length - 1));
  }

  Shell shell() {
    return shell;
  }

  String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  String err() {
    return err.toString(StandardCharsets.UTF_8);
  }
}
