package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;

class LaunchCommandTest {
  private static final Map<String, String> RANK_1 =
      Map.of(
          "NAS_HOME", TestShell.home().toString(),
          "RANK", "1",
          "WORLD_SIZE", "2",
          "MASTER_ADDR", "head",
          "MASTER_PORT", "1234");

  @TempDir private Path folder;

  @Test
  void ranksSeeWhoTheyAreAndShareTheProcessors() {
    TestShell shell = new TestShell();
    assertThat(shell.run("launch", "--procs", "2", "--rank-timeout", "77", "--", "env"))
        .as(shell.err())
        .isZero();
    int share = Math.max(1, Runtime.getRuntime().availableProcessors() / 2);
    for (int rank = 0; rank < 2; rank++) {
      Matcher matcher =
          Pattern.compile(
                  "\\[%d\\] cluster +rank %d of 2, local rank %d; meeting at (.*) by lo.*; .* 77 s"
                      .formatted(rank, rank, rank))
              .matcher(shell.out());
      assertThat(matcher.find()).as(shell.out()).isTrue();
      // A private folder, which is gone.
      assertThat(Path.of(matcher.group(1)).getParent()).doesNotExist();
      assertThat(shell.out())
          .containsPattern("\\[%d\\] processors +%d\\b".formatted(rank, share))
          .containsPattern("\\[%d\\] libtorch threads +%d\\b".formatted(rank, share));
    }
  }

  @Test
  void theStatusIsThatOfTheRankThatFailed() {
    TestShell shell = new TestShell();
    String absent = folder.resolve("absent.yaml").toString();
    assertThat(shell.run("launch", "--procs", "2", "--", "train", "--config", absent)).isEqualTo(1);
    assertThat(shell.err())
        .contains("[0] nas: " + absent + ": no such file")
        .contains("[1] nas: " + absent + ": no such file");
  }

  @Test
  void ranksLaunchNoRanks() {
    for (Map<String, String> environment :
        List.of(
            RANK_1,
            Map.of("WORLD_SIZE", "1", "RANK", "0"),
            Map.of(
                "SLURM_STEP_NUM_TASKS", "2",
                "SLURM_PROCID", "0",
                "SLURM_STEP_NODELIST", "a",
                "SLURM_JOB_ID", "1"))) {
      TestShell shell = new TestShell(TrainingJob.Factory::trainer, environment);
      assertThat(shell.run("launch", "--procs", "2", "--", "env")).isEqualTo(1);
      assertThat(shell.err()).contains("one of several already", "without launch").hasLineCount(1);
    }
  }

  @Test
  void aFileOfAnEarlierLaunchIsRefused() throws IOException {
    Path file = Files.createFile(folder.resolve("meet"));
    TestShell shell = new TestShell();
    String[] launch = {"launch", "--procs", "2", "--rendezvous", "file:" + file, "--", "env"};
    assertThat(shell.run(launch)).isEqualTo(1);
    assertThat(shell.err()).contains(file + ": exists already").hasLineCount(1);
  }

  /** Trains as rank 1 of 2 with a trainer that only tells. */
  private TestShell train(
      List<TrainingJob> jobs, Map<String, String> environment, String... options)
      throws IOException {
    Path config = Files.writeString(folder.resolve("config.yaml"), "preset: tiny\n");
    TestShell shell =
        new TestShell(
            (job, listeners) -> {
              jobs.add(job);
              return new Told(listeners.getFirst());
            },
            environment);
    List<String> line = new ArrayList<>();
    line.addAll(List.of("train", "--config", config.toString(), "--ignore-memory"));
    line.addAll(List.of("--out", folder.resolve("out").toString()));
    line.addAll(List.of(options));
    assertThat(shell.run(line.toArray(String[]::new))).as(shell.err()).isZero();
    return shell;
  }

  private record Told(TrainingListener listener) implements TrainingJob.Run {
    @Override
    public TrainingResult run() {
      listener.onStart(new TrainingStart(0, 2, 1_000_000, 10, 0, "cpu", "java"));
      listener.onStep(Samples.step(1, 2));
      listener.onWarning("mind the gap");
      return Samples.result(Path.of("step-00000040"), false, null);
    }

    @Override
    public void stop() {
      // It has ended.
    }
  }

  @Test
  void otherRanksThan0TellWarningsAlone() throws IOException {
    List<TrainingJob> jobs = new ArrayList<>();
    // Rank 0 was quicker.
    Files.createDirectories(folder.resolve("out/checkpoints/step-00000001"));
    Files.writeString(folder.resolve("out/checkpoints/latest"), "step-00000001");
    TestShell shell = train(jobs, RANK_1);
    assertThat(shell.out()).isEmpty();
    assertThat(shell.err().lines().filter(line -> !line.contains("memory")))
        .containsExactly("warning: mind the gap");
    assertThat(jobs.getFirst().cluster())
        .isEqualTo(
            new Cluster(
                1,
                2,
                0,
                "head",
                1234,
                null,
                null,
                Cluster.Transport.GLOO,
                Cluster.DEFAULT_TIMEOUT));
    assertThat(folder.resolve("out")).isDirectoryNotContaining("glob:**.html");
  }

  @Test
  void rank0TellsOfAll() throws IOException {
    List<TrainingJob> jobs = new ArrayList<>();
    Map<String, String> environment = new HashMap<>(RANK_1);
    environment.put("RANK", "0");
    TestShell shell = train(jobs, environment, "--no-report");
    assertThat(shell.out()).contains("Checkpoint  step-00000040");
    assertThat(shell.err()).contains("10 pairs", "step 1/2", "warning: mind the gap");
    assertThat(jobs.getFirst().cluster().rank()).isZero();
  }

  @Test
  void theRanksOfAMachineShareItsMemory() throws IOException {
    List<TrainingJob> jobs = new ArrayList<>();
    Map<String, String> environment = new HashMap<>(RANK_1);
    environment.put("LOCAL_WORLD_SIZE", "4");
    assertThat(train(jobs, environment, "--memory").out()).isEmpty();
    environment.put("RANK", "0");
    long mebibytes = ((ProcessMemory.availableBytes() / 4) + (1 << 20) - 1) >> 20;
    assertThat(train(jobs, environment, "--memory").out())
        .contains("of          " + Text.count(mebibytes) + " MiB", "each of 4 ranks");
    assertThat(jobs).isEmpty();
  }

  @Test
  void optionsCountBeforeTheEnvironment() throws IOException {
    List<TrainingJob> jobs = new ArrayList<>();
    train(
        jobs,
        RANK_1,
        "--rendezvous",
        "file:/net/meet",
        "--interface",
        "ib0",
        "--rank-timeout",
        "9",
        "--transport",
        "nccl");
    assertThat(jobs.getFirst().cluster())
        .isEqualTo(
            new Cluster(
                1,
                2,
                0,
                "",
                0,
                Path.of("/net/meet"),
                "ib0",
                Cluster.Transport.NCCL,
                Duration.ofSeconds(9)));
    train(jobs, Map.of("NAS_HOME", TestShell.home().toString()), "--no-report");
    assertThat(jobs.getLast().cluster()).isEqualTo(Cluster.alone());
  }
}
