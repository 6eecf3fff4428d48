package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.train.TrainingException;
import org.nasvlp.train.TrainingResult;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The demonstration on the pictures of the repository, with the training itself left out. */
class DemoCommandTest {
  @TempDir private Path folder;

  private final List<TrainingJob> jobs = new ArrayList<>();

  private TestShell shell(boolean stopped) {
    return new TestShell(
        (job, listeners) -> {
          jobs.add(job);
          return new TrainingJob.Run() {
            @Override
            public TrainingResult run() {
              listeners.forEach(listener -> listener.onStep(Samples.step(1, 1500)));
              Path checkpoint = job.output().resolve("checkpoints").resolve("step-00000040");
              return Samples.result(checkpoint, stopped, stopped ? null : Samples.evaluation());
            }

            @Override
            public void stop() {
              throw new AssertionError("nobody asked to stop");
            }
          };
        });
  }

  @Test
  void passesOptionsOnAndPrintsTheTables() throws IOException {
    TestShell shell = shell(false);
    Path out = folder.resolve("out");
    Path json = folder.resolve("deep").resolve("report.json");
    assertThat(
            shell.run(
                "demo",
                "--images",
                "300",
                "--minutes",
                "3",
                "--seed",
                "5",
                "--threads",
                "1",
                "--out",
                out.toString(),
                "--json",
                json.toString()))
        .isZero();
    TrainingJob job = jobs.getFirst();
    assertThat(job.config()).isEqualTo(DemoConfig.create(5, 3));
    assertThat(job.config().training().minutes()).isBetween(1.5, 3.0);
    assertThat(job.threads()).isEqualTo(1);
    assertThat(job.resume()).isFalse();
    assertThat(job.output()).isEqualTo(out);
    // 300 scenes, and each of the 2,990 emoji twice.
    assertThat(job.dataset().size()).isEqualTo(300 + 2 * 2990);
    assertThat(job.benchmark()).isNotNull();
    assertThat(job.benchmark().attributes())
        .contains("relation", "role", "count", "skin tone", "gender", "colour");
    assertThat(shell.out()).contains("Fine differences", "Retrieval", "Checkpoint  ", "Log  ");
    assertThat(shell.err()).contains("step 1/1500");
    JsonNode root = JsonMapper.shared().readTree(Files.readString(json));
    assertThat(root.get("seed").intValue()).isEqualTo(5);
    assertThat(root.get("log").stringValue()).isEqualTo(out.resolve("log.jsonl").toString());
  }

  @Test
  void aStoppedRunIsStatus130AndSaysHowToGoOn() {
    TestShell shell = shell(true);
    Path out = folder.resolve("out");
    assertThat(shell.run("demo", "--images", "64", "--out", out.toString())).isEqualTo(130);
    assertThat(shell.out()).isEmpty();
    assertThat(shell.err())
        .contains("stopped after step 40 of 1500")
        .contains("Checkpoint  " + out.resolve("checkpoints").resolve("step-00000040"))
        .contains("nas demo --resume --out " + out);
  }

  /** The scenes are composed once, in the run's folder, and are there when it is resumed. */
  @Test
  void scenesAreComposedOnceAndStayWithTheRun() throws IOException {
    TestShell shell = shell(false);
    Path out = folder.resolve("out");
    assertThat(shell.run("demo", "--images", "64", "--out", out.toString())).isZero();
    assertThat(shell.err()).contains("scenes composed");
    Path scenes = out.resolve("data").resolve("scenes-train.tar");
    FileTime written = Files.getLastModifiedTime(scenes);
    Files.createFile(out.resolve("lock"));
    assertThat(shell.run("demo", "--resume", "--out", out.toString())).as(shell.err()).isZero();
    assertThat(Files.getLastModifiedTime(scenes)).isEqualTo(written);
    assertThat(jobs).extracting(job -> job.dataset().size()).containsExactly(6044L, 6044L);
    assertThat(shell.run("demo", "--images", "64", "--data", out.toString())).isEqualTo(2);
    assertThat(shell.err()).contains("--images and --data exclude one another");
  }

  @Test
  void neverMixesTwoRuns() throws IOException {
    TestShell shell = shell(false);
    Path out = Files.createDirectory(folder.resolve("out"));
    Files.writeString(out.resolve("log.jsonl"), "{}\n");
    assertThat(shell.run("demo", "--out", out.toString())).isEqualTo(1);
    assertThat(shell.err()).contains(out.toString(), "--resume", "--out").hasLineCount(1);
    assertThat(shell.run("demo", "--resume", "--out", folder.resolve("new").toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("holds no run to resume").hasLineCount(1);
    assertThat(shell.run("demo", "--out", out.resolve("log.jsonl").toString())).isEqualTo(1);
    assertThat(shell.err()).contains("is a file").hasLineCount(1);
    assertThat(jobs).isEmpty();
  }

  /** Of a run that was killed while it prepared, before its first line of log. */
  @ParameterizedTest
  @ValueSource(strings = {"lock", "captions", "weights.json", "checkpoints", "data"})
  void aRunThatWasKilledBeforeItsFirstStepBeginsAnew(String left) throws IOException {
    TestShell shell = shell(false);
    Path out = Files.createDirectory(folder.resolve("out"));
    Files.createFile(out.resolve("lock"));
    if (left.equals("data")) {
      Files.writeString(Files.createDirectory(out.resolve(".data.part")).resolve("test.tar"), "x");
    } else if (left.equals("captions") || left.equals("checkpoints")) {
      Files.writeString(Files.createDirectory(out.resolve(left)).resolve(".part"), "x");
    } else if (left.equals("weights.json")) {
      Files.writeString(out.resolve(left), "{}");
    }
    assertThat(shell.run("demo", "--images", "64", "--out", out.toString()))
        .as(shell.err())
        .isZero();
    assertThat(shell.run("demo", "--images", "64", "--resume", "--out", out.toString()))
        .as(shell.err())
        .isZero();
    assertThat(jobs).extracting(TrainingJob::resume).containsExactly(false, true);
  }

  /** Killed between the first checkpoint's renaming and that of the file which names it. */
  @Test
  void resumesWithTheRunsOwnConfigurationWithoutThePointer() throws IOException {
    TestShell shell = shell(false);
    Path out = folder.resolve("out");
    Path checkpoint = Files.createDirectories(out.resolve("checkpoints").resolve("step-00000040"));
    Files.writeString(checkpoint.resolve("config.json"), DemoConfig.create(9, 2).toJson());
    assertThat(shell.run("demo", "--out", out.toString())).isEqualTo(1);
    assertThat(shell.err()).contains("holds another run");
    assertThat(shell.run("demo", "--images", "64", "--resume", "--out", out.toString()))
        .as(shell.err())
        .isZero();
    assertThat(jobs.getFirst().config()).isEqualTo(DemoConfig.create(9, 2));
  }

  @Test
  void resumesWithTheRunsOwnConfiguration() throws IOException {
    TestShell shell = shell(false);
    Path out = folder.resolve("out");
    Path checkpoint = Files.createDirectories(out.resolve("checkpoints").resolve("step-00000040"));
    Files.writeString(out.resolve("checkpoints").resolve("latest"), "step-00000040\n");
    Files.writeString(checkpoint.resolve("config.json"), DemoConfig.create(9, 2).toJson());
    assertThat(shell.run("demo", "--images", "64", "--resume", "--out", out.toString())).isZero();
    assertThat(jobs.getFirst().resume()).isTrue();
    assertThat(jobs.getFirst().config()).isEqualTo(DemoConfig.create(9, 2));
  }

  @Test
  void aReportThatCannotBeWrittenIsToldBeforeTraining() throws IOException {
    TestShell shell = shell(false);
    Path file = Files.createFile(folder.resolve("file"));
    String out = folder.resolve("out").toString();
    assertThat(shell.run("demo", "--out", out, "--json", folder.toString())).isEqualTo(1);
    assertThat(shell.err()).contains("is a folder", "--json");
    assertThat(shell.run("demo", "--out", out, "--json", file.resolve("x.json").toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("--json");
    assertThat(jobs).isEmpty();
  }

  @Test
  void aFailedTrainingIsStatus1() {
    TestShell shell =
        new TestShell(
            (job, listeners) -> {
              throw new TrainingException("the loss is not finite: lower optimizer.learningRate");
            });
    String emoji = TestShell.home().resolve("data").resolve("noto-emoji").toString();
    assertThat(shell.run("demo", "--data", emoji, "--out", folder.resolve("out").toString()))
        .isEqualTo(1);
    assertThat(shell.err())
        .isEqualTo("nas: the loss is not finite: lower optimizer.learningRate\n");
  }

  @Test
  void theSameSeedAndMinutesGiveTheSameConfiguration() {
    assertThat(DemoConfig.create(1, 14)).isEqualTo(DemoConfig.create(1, 14));
    assertThat(DemoConfig.create(2, 14).training().seed()).isEqualTo(2);
    assertThat(DemoConfig.create(1, 14).training().minutes()).isLessThan(14);
  }
}
