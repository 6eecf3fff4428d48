package org.nasvlp.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.train.TrainingResult;

class InterruptionTest {
  @TempDir private Path folder;

  /** The command in a JVM of its own, with a training that runs until it is stopped. */
  static final class Endless {
    private Endless() {}

    public static void main(String[] args) {
      Shell usual = Shell.ofProcess();
      Shell shell =
          new Shell(
              usual.out(),
              usual.err(),
              0,
              usual.environment(),
              usual.interruption(),
              (job, listeners) -> new EndlessRun(job, usual));
      shell.interruption().install(shell.err());
      int status = Nas.execute(shell, args);
      shell.interruption().finished();
      System.exit(status);
    }
  }

  private record EndlessRun(TrainingJob job, Shell shell, CountDownLatch stopped)
      implements TrainingJob.Run {
    EndlessRun(TrainingJob job, Shell shell) {
      this(job, shell, new CountDownLatch(1));
    }

    @Override
    public TrainingResult run() {
      shell.err().println("training");
      try {
        stopped.await();
        // A step and a checkpoint take their time.
        TimeUnit.MILLISECONDS.sleep(500);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      return Samples.result(job.output().resolve("step-00000040"), true, null);
    }

    @Override
    public void stop() {
      stopped.countDown();
    }
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  @Timeout(360)
  void controlCLeavesACheckpointAndSaysWhere() throws IOException, InterruptedException {
    assertThat(interrupt("INT")).isEqualTo(130);
    assertThat(interrupt("TERM")).isEqualTo(143);
  }

  private int interrupt(String signal) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    if (OS.LINUX.isCurrentOs()) {
      // A build that runs in the background may have inherited an ignored Ctrl-C.
      command.addAll(List.of("env", "--default-signal=INT,TERM"));
    }
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-Xmx512m");
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("--sun-misc-unsafe-memory-access=allow");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Endless.class.getName());
    command.addAll(List.of("demo", "--images", "64", "--out", folder.resolve(signal).toString()));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("NAS_HOME", TestShell.home().toString());
    Process process = builder.start();
    // Reading its output cannot be interrupted, so that no time limit ends it.
    CompletableFuture.delayedExecutor(150, TimeUnit.SECONDS).execute(process::destroyForcibly);
    try (BufferedReader output = process.inputReader(UTF_8)) {
      String line = output.readLine();
      while (line != null && !line.equals("training")) {
        line = output.readLine();
      }
      assertThat(line).isEqualTo("training");
      assertThat(
              new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid()))
                  .start()
                  .waitFor())
          .isZero();
      assertThat(output.lines().collect(Collectors.joining("\n")))
          .contains("stopping after this step")
          .contains("stopped after step 40 of 1500")
          .contains("Checkpoint  " + folder.resolve(signal).resolve("step-00000040"))
          .contains("nas demo --resume");
    } finally {
      process.destroyForcibly();
    }
    return process.waitFor();
  }
}
