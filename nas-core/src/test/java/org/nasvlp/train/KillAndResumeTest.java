package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Runs in JVMs of their own, ended by SIGKILL, end as one that nothing happened to. */
@EnabledOnOs(OS.LINUX)
class KillAndResumeTest {
  private static final int STEPS = 60;
  private static final int SIGCONT = 18;
  private static final int SIGSTOP = 19;

  @TempDir private Path folder;

  /** A run, from its newest checkpoint if it has one; tells every step on stdout. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws IOException {
      Path output = Path.of(args[0]);
      Path words = Files.createDirectories(output.resolveSibling(output.getFileName() + "-words"));
      NasConfig config =
          Shapes.config(STEPS)
              .withTraining(training -> training.checkpointEvery(1).keepCheckpoints(2))
              .withData(data -> data.maxBadShare(0.2));
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(words, 8)) {
        TrainingResult result =
            NasTrainer.builder()
                .config(config)
                // Counts of bad samples have to survive as well.
                .dataset(Shapes.withBroken(5))
                .tokenizer(tokenizer)
                .output(output)
                .resume(true)
                .threads(1)
                .listener(
                    new TrainingListener() {
                      @Override
                      public void onStep(StepReport report) {
                        System.out.println("step " + report.step());
                      }
                    })
                .build()
                .run();
        System.out.println("done " + result.skippedSamples() + " " + result.skippedExamples());
      }
    }
  }

  private Process start(Path output) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("java.class.path"),
            Child.class.getName(),
            output.toString())
        .redirectError(output.resolveSibling(output.getFileName() + ".err").toFile())
        .start();
  }

  /** Runs to the end; returns what the run told last. */
  private String finish(Path output) throws IOException, InterruptedException {
    Process process = start(output);
    String last = "";
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        last = line;
      }
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor())
        .as(Files.readString(output.resolveSibling(output.getFileName() + ".err")))
        .isZero();
    assertThat(last).startsWith("done ");
    return last;
  }

  /** Kills a run a while after some of its steps. */
  private void killAtRandom(Path output, Random random) throws Exception {
    Process process = start(output);
    int steps = 1 + random.nextInt(15);
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      for (int i = 0; i < steps; i++) {
        String line = lines.readLine();
        assertThat(line)
            .as(() -> "the run ended early; see " + output + ".err")
            .startsWith("step ");
      }
      TimeUnit.MICROSECONDS.sleep(random.nextInt(20_000));
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor()).isEqualTo(128 + 9);
  }

  /** A moment in the writing of a checkpoint, as the files tell it. */
  private interface Moment {
    boolean isNow(Path checkpoints) throws IOException;
  }

  private static List<Path> list(Path folder, String glob) throws IOException {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> paths = Files.newDirectoryStream(folder, glob)) {
      paths.forEach(found::add);
    } catch (NoSuchFileException e) {
      return List.of();
    }
    return found;
  }

  /** The folder under a temporary name holds at least so many files, the last perhaps in part. */
  private static Moment writing(int files) {
    return checkpoints -> {
      for (Path temporary : list(checkpoints, ".writing-*")) {
        if (list(temporary, "*").size() >= files) {
          return true;
        }
      }
      return false;
    };
  }

  /** The newest folder is in place, and {@code latest} still names the one before. */
  private static boolean renamed(Path checkpoints) throws IOException {
    List<Path> folders = list(checkpoints, "step-*");
    Path latest = checkpoints.resolve("latest");
    return !folders.isEmpty()
        && Files.exists(latest)
        && !folders.stream()
            .map(path -> path.getFileName().toString())
            .max(String::compareTo)
            .orElseThrow()
            .equals(Files.readString(latest).strip());
  }

  /** Freezes a run again and again until it stands at that moment, and kills it there. */
  private void killAt(Path output, Moment moment) throws Throwable {
    MethodHandle kill =
        Linker.nativeLinker()
            .downcallHandle(
                Linker.nativeLinker().defaultLookup().findOrThrow("kill"),
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    Process process = start(output);
    int pid = Math.toIntExact(process.pid());
    Path checkpoints = output.resolve("checkpoints");
    try {
      while (true) {
        assertThat(process.isAlive())
            .as(() -> "the run ended before that moment came; see " + output + ".err")
            .isTrue();
        if (moment.isNow(checkpoints)) {
          int stopped = (int) kill.invokeExact(pid, SIGSTOP);
          assertThat(stopped).isZero();
          while (!isFrozen(pid)) {
            Thread.onSpinWait();
          }
          if (moment.isNow(checkpoints)) {
            break;
          }
          int continued = (int) kill.invokeExact(pid, SIGCONT);
          assertThat(continued).isZero();
        }
        TimeUnit.MICROSECONDS.sleep(100);
      }
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor()).isEqualTo(128 + 9);
    assertThat(moment.isNow(checkpoints)).as("killed at the moment meant").isTrue();
  }

  /** Whether every thread of a process has stopped. */
  private static boolean isFrozen(int pid) throws IOException {
    for (Path thread : list(Path.of("/proc/" + pid + "/task"), "*")) {
      try {
        String stat = Files.readString(thread.resolve("stat"));
        if (stat.charAt(stat.lastIndexOf(')') + 2) != 'T') {
          return false;
        }
      } catch (IOException e) {
        // A thread that has just ended.
      }
    }
    return true;
  }

  @Test
  @Timeout(300)
  void aRunKilledAtAnyMomentEndsWithTheBitsOfOneThatWasNot() throws Throwable {
    Path whole = folder.resolve("whole");
    List<Callable<String>> runs =
        List.of(
            () -> finish(whole),
            () -> {
              Path output = folder.resolve("random");
              Random random = new Random(20_241_215);
              for (int i = 0; i < 3; i++) {
                killAtRandom(output, random);
              }
              return finish(output);
            },
            () -> {
              Path output = folder.resolve("writing");
              try {
                killAt(output, writing(1));
                killAt(output, writing(3));
                killAt(output, KillAndResumeTest::renamed);
              } catch (Exception | Error e) {
                throw e;
              } catch (Throwable e) {
                throw new AssertionError(e);
              }
              return finish(output);
            });
    List<String> told = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      for (Future<String> run : threads.invokeAll(runs)) {
        told.add(run.get());
      }
    }
    assertThat(told.getFirst()).isEqualTo("done 1 [shape 5: made unreadable by the test]");
    assertThat(new HashSet<>(told)).hasSize(1);
    for (String name : List.of("random", "writing")) {
      assertSame(whole, folder.resolve(name));
    }
  }

  private static void assertSame(Path whole, Path output) throws IOException {
    Path expected = whole.resolve("checkpoints");
    Path found = output.resolve("checkpoints");
    assertThat(files(found)).as("nothing is left behind").isEqualTo(files(expected));
    for (String name : files(expected)) {
      byte[] bytes = Files.readAllBytes(found.resolve(name));
      if (name.endsWith("state.json")) {
        assertThat(withoutTimes(new String(bytes, StandardCharsets.UTF_8)))
            .as(name)
            .isEqualTo(withoutTimes(Files.readString(expected.resolve(name))));
      } else if (name.endsWith("SHA256SUMS")) {
        assertThat(withoutState(found.resolve(name)))
            .as(name)
            .hasSize(5)
            .isEqualTo(withoutState(expected.resolve(name)));
      } else {
        assertThat(bytes).as(name).isEqualTo(Files.readAllBytes(expected.resolve(name)));
      }
    }
    assertThat(log(output)).as("each line once").isEqualTo(log(whole));
    assertThat(log(output).stream().filter(line -> line.get("kind").stringValue().equals("step")))
        .as("each step once")
        .hasSize(STEPS);
  }

  /** Without the sum of a file that holds times. */
  private static List<String> withoutState(Path sums) throws IOException {
    return Files.readAllLines(sums).stream().filter(line -> !line.endsWith("state.json")).toList();
  }

  private static Set<String> files(Path checkpoints) throws IOException {
    Set<String> names = new HashSet<>();
    try (Stream<Path> paths = Files.walk(checkpoints)) {
      paths
          .filter(Files::isRegularFile)
          .forEach(path -> names.add(checkpoints.relativize(path).toString()));
    }
    assertThat(names).contains("latest", "step-00000060/model.safetensors").hasSizeGreaterThan(8);
    return names;
  }

  private static List<JsonNode> log(Path output) throws IOException {
    return Files.readAllLines(output.resolve("log.jsonl")).stream()
        .map(KillAndResumeTest::withoutTimes)
        .toList();
  }

  /** Without what depends on the clock. */
  private static JsonNode withoutTimes(String json) {
    ObjectNode node = (ObjectNode) JsonMapper.shared().readTree(json);
    node.remove("seconds");
    node.remove("stepSeconds");
    if (node.get("evaluation") instanceof ObjectNode evaluation) {
      evaluation.remove("stepSeconds");
    }
    if (node.get("step") instanceof ObjectNode step) {
      step.remove("pairsPerSecond");
      step.remove("seconds");
    }
    return node;
  }
}
