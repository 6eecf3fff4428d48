package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.kernels.Kernels;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class NasTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '"',
      textBlock =
          """
          "";                               nas: Missing command
          fly;                              nas: Unmatched argument at index 0: 'fly'
          demo --minutes x;                 'x' is not a double
          demo --minutes 0;                 0.0 is not above 0
          demo --minutes NaN;               NaN is not above 0
          demo --seed 1.5;                  '1.5' is not a long
          demo --threads 0;                 0 is not between 1 and 1024
          demo --resume --seed 3;           leave out --seed and --minutes
          demo --unknown;                   Unknown option: '--unknown'
          train --config;                   Missing required parameter for option '--config'
          train --config c.json --steps 0;  0 is not above 0
          train --config c.json --benchmark x=y; there is no benchmark 'x'
          train --config c.json --benchmark-images valse=d; has no --benchmark valse
          train --config c.json --device gpu; gpu is not cpu, cuda, cuda:N or auto
          train --config c.json --rank-timeout 0; 0 is not between 1 and 604800
          train --config c.json --rendezvous x;   x is not file:PATH or HOST:PORT
          train --config c.json --rendezvous file:; file: is not file:PATH or HOST:PORT
          launch -- env;                    Missing required option: '--procs=N'
          launch --procs x -- env;          'x' is not an int
          launch --procs 0 -- env;          0 is not between 1 and 1024
          launch --procs -1 -- env;         -1 is not between 1 and 1024
          launch --procs 2;                 Missing command: name it behind --
          launch --procs 2 -- fly;          Unmatched argument at index 0: 'fly'
          launch --procs 2 -- train --out;  Missing required parameter for option '--out'
          launch --procs 2 -- train --config c.json --threads x; 'x' is not an int
          launch --procs 2 -- launch --procs 2 -- env; launch knows no ranks
          launch --procs 2 -- demo;         demo knows no ranks
          launch --procs 2 -- --verbose env; the first word behind -- is --verbose
          launch --procs 2 --rendezvous head -- env; head is not file:PATH or HOST:PORT
          eval --benchmark valse --device cuda:x; cuda:x is not cpu, cuda, cuda:N or auto
          score;                            'IMAGE'
          score a.png;                      'CAPTION'
          score a.png %20;                  A caption is blank
          ablate --steps 0;                 0 is not above 0
          ablate --seeds 1,x;               'x' is not a long
          ablate --parallel 0;              0 is not above 0
          eval --benchmark x --scores s;    there is no benchmark 'x'
          eval --benchmark valse;           Name either --checkpoint or --scores
          eval --benchmark valse --scores s; --data is needed
          eval --benchmark valse --scores s --data d --mode itm; belong to --checkpoint
          eval --benchmark winoground --scores s --leave-out f;  --leave-out needs --data
          eval --benchmark vsr --checkpoint c --data d --mode itc; which a cosine does not say
          eval --benchmark valse --scores s --data d --split x; belong to --benchmark retrieval
          eval --benchmark retrieval --scores s --data d; needs --checkpoint
          eval --benchmark retrieval --checkpoint c --data d --dump f; not for --benchmark retrieval
          eval --benchmark valse --scores s --data d --max-items 0; must be above 0
          eval --benchmark retrieval --checkpoint c --data d --rerank 0; must be above 0
          data;                             nas data: Missing command
          data emoji --style;               '--style'
          data check d --max-unpacked 0;    '--max-unpacked': it is not above 0
          """)
  void wrongUsageIsStatus2WithAHint(String line, String message) {
    TestShell shell = new TestShell();
    String[] args =
        line.isEmpty()
            ? new String[0]
            : line.replaceAll(" +", " ").replace("%20", "\t").split(" ", -1);
    assertThat(shell.run(args)).isEqualTo(2);
    assertThat(shell.err()).contains(message).containsIgnoringCase("--help");
    assertThat(shell.out()).isEmpty();
  }

  /** ARO's authors' list of relations names some that a part of the file lacks. */
  @Test
  void whatIsToBeLeftOutMayBeAbsent() throws IOException {
    Path data =
        Files.writeString(
            folder.resolve("relation.json"),
            """
            [{"image_path": "a.png", "true_caption": "x on y", "false_caption": "y on x",
              "relation_name": "on"},
             {"image_path": "a.png", "true_caption": "x in y", "false_caption": "y in x",
              "relation_name": "in"}]
            """);
    Path scores =
        Files.writeString(
            folder.resolve("s.jsonl"),
            "{\"id\": 1, \"itm\": [[1, 0]]}\n{\"id\": 2, \"itm\": [[0, 1]]}\n");
    Path list = Files.writeString(folder.resolve("list.txt"), "in\nnear\nnext to\n");
    Path json = folder.resolve("eval.json");
    TestShell shell = new TestShell();
    String[] args = {
      "eval",
      "--benchmark",
      "aro-relation",
      "--data",
      data.toString(),
      "--scores",
      scores.toString(),
      "--leave-out",
      list.toString(),
      "--json",
      json.toString()
    };
    assertThat(shell.run(args)).as(shell.err()).isZero();
    assertThat(shell.err()).contains("2 of 3 categories", "the first: near");
    assertThat(
            JsonMapper.shared()
                .readTree(json.toFile())
                .at("/results/itm/macro/accuracy")
                .asDouble())
        .isEqualTo(1);
  }

  @Test
  void aCheckNamesNoMoreReasonsThanAPersonReads() throws IOException {
    Files.write(folder.resolve("a.png"), new RgbImage(1, 1, new byte[3]).png());
    StringBuilder table = new StringBuilder("image,caption\na.png,one\n");
    for (char name = 'a'; name < 'a' + 25; name++) {
      table.append("../").append(name).append(",one\n");
    }
    Path list = Files.writeString(folder.resolve("list.csv"), table);
    TestShell shell = new TestShell();
    assertThat(shell.run("data", "check", list.toString())).isEqualTo(1);
    assertThat(shell.out()).contains("../a leads out", "5 more reasons; --json lists them all");
  }

  @Test
  void whatIsNearlyRightIsSuggested() {
    TestShell shell = new TestShell();
    assertThat(shell.run("trian")).isEqualTo(2);
    assertThat(shell.err()).contains("'trian'", "Did you mean: nas train");
    assertThat(shell.run("demo", "--minuts", "3")).isEqualTo(2);
    assertThat(shell.err()).contains("'--minuts'", "--minutes");
  }

  @Test
  void helpOnACommandIsThatCommandsHelp() {
    TestShell shell = new TestShell();
    assertThat(shell.run("help", "data")).isZero();
    assertThat(shell.out()).contains("nas data", "scenes", "shard");
    assertThat(shell.run("help", "nonsense")).isEqualTo(2);
  }

  /** As bash itself completes with the printed script. */
  @Test
  @EnabledIf(value = "hasBash", disabledReason = "there is no /bin/bash")
  void bashCompletesCommandsAndOptions() throws Exception {
    TestShell shell = new TestShell();
    assertThat(shell.run("completion")).isZero();
    Path script = Files.writeString(folder.resolve("completion"), shell.out());
    assertThat(completed(script, "nas", "tr")).containsExactly("train");
    assertThat(completed(script, "nas", "data", "sc")).containsExactly("scenes");
    assertThat(completed(script, "nas", "demo", "--minu")).containsExactly("--minutes");
  }

  static boolean hasBash() {
    return Files.isExecutable(Path.of("/bin/bash"));
  }

  private static List<String> completed(Path script, String... words) throws Exception {
    String line =
        "source '%s'; COMP_WORDS=(%s); COMP_CWORD=%d; _complete_nas; printf '%%s\\n' ${COMPREPLY[@]}"
            .formatted(script, String.join(" ", words), words.length - 1);
    Process bash =
        new ProcessBuilder("/bin/bash", "-c", line)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    List<String> reply =
        new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    assertThat(bash.waitFor()).as("%s", reply).isZero();
    return reply;
  }

  @Test
  void helpAndVersionGoToStdout() {
    TestShell shell = new TestShell();
    assertThat(shell.run("--help")).isZero();
    assertThat(shell.out()).contains("demo", "train", "score", "env", "130");
    assertThat(shell.run("demo", "--help")).isZero();
    assertThat(shell.out())
        .contains("--minutes", "--seed", "--out", "--resume", "--json", "--threads");
    assertThat(shell.run("--version")).isZero();
    assertThat(shell.out()).startsWith("nas ");
    assertThat(shell.err()).isEmpty();
  }

  @Test
  void failuresAreStatus1AndOneLine() {
    TestShell shell = new TestShell();
    String absent = folder.resolve("absent").toString();
    String[][] commands = {
      {"demo", "--data", absent, "--out", folder.resolve("out").toString()},
      {"train", "--config", absent + ".json"},
      {"score", absent + ".png", "a cat", "--checkpoint", absent},
    };
    for (String[] command : commands) {
      assertThat(shell.run(command)).isEqualTo(1);
      assertThat(shell.err()).startsWith("nas: ").contains(absent).hasLineCount(1);
      assertThat(shell.out()).isEmpty();
    }
  }

  @Test
  void stackTracesOnlyWhenAskedFor() {
    TestShell shell = new TestShell();
    String absent = folder.resolve("absent").toString();
    assertThat(shell.run("--verbose", "score", "a.png", "b", "--checkpoint", absent)).isEqualTo(1);
    assertThat(shell.err()).contains("\tat org.nasvlp.cli.ScoreCommand");
    System.clearProperty("org.slf4j.simpleLogger.defaultLogLevel");
  }

  private static Stream<Arguments> errors() {
    Throwable cause = new IllegalStateException("LibTorch could not be loaded; add it");
    return Stream.of(
        Arguments.of(new OutOfMemoryError("Java heap space"), "out of memory", "-Xmx"),
        Arguments.of(
            new OutOfMemoryError("Physical memory usage is too high: > maxPhysicalBytes (1979M)"),
            "maxPhysicalBytes (1979M)",
            "--memory"),
        Arguments.of(
            new OutOfMemoryError("unable to create native thread: possibly out of memory"),
            "unable to create native thread",
            "--threads"),
        Arguments.of(new ExceptionInInitializerError(cause), cause.getMessage(), ""),
        Arguments.of(
            new NoClassDefFoundError("Could not initialize class X")
                .initCause(new ExceptionInInitializerError(cause)),
            cause.getMessage(),
            ""),
        Arguments.of(
            new NoClassDefFoundError("org/nasvlp/text/en/English"),
            "org/nasvlp/text/en/English",
            "build the program anew"),
        Arguments.of(
            new UnsatisfiedLinkError("/tmp/libx.so: wrong ELF class"),
            "/tmp/libx.so: wrong ELF class",
            "build the program anew"),
        Arguments.of(new StackOverflowError(), "StackOverflowError", "--verbose"),
        Arguments.of(new AssertionError("what\n\tat native"), "AssertionError: what", "--verbose"),
        Arguments.of(
            new IllegalStateException("the batch loader failed: x", new OutOfMemoryError("heap")),
            "out of memory",
            "-Xmx"));
  }

  /** Whatever is thrown, the user sees what went wrong and what to do, and no stack trace. */
  @ParameterizedTest
  @MethodSource("errors")
  void errorsAreStatus1AndOneLine(Throwable error, String told, String remedy) {
    TestShell shell =
        new TestShell(
            (job, listeners) -> {
              if (error instanceof Error e) {
                throw e;
              }
              throw (RuntimeException) error;
            });
    String out = folder.resolve("out").toString();
    String emoji = TestShell.home().resolve("data").resolve("noto-emoji").toString();
    assertThat(shell.run("demo", "--data", emoji, "--out", out)).isEqualTo(1);
    assertThat(shell.err()).startsWith("nas: ").contains(told, remedy).hasLineCount(1);
    assertThat(shell.run("demo", "--data", emoji, "--out", out, "--verbose")).isEqualTo(1);
    assertThat(shell.err()).startsWith("nas: ").contains("\tat org.nasvlp.cli.");
    System.clearProperty("org.slf4j.simpleLogger.defaultLogLevel");
  }

  @Test
  void envTellsVersionsAndBackends() {
    TestShell shell = new TestShell();
    assertThat(shell.run("env")).isZero();
    assertThat(shell.out())
        .contains("java", Runtime.version().toString())
        .contains("kernels          " + Kernels.describe())
        .containsPattern("libtorch +2\\.\\d+\\.\\d+")
        .containsPattern("libtorch threads \\d+")
        .containsPattern("gpu +\\S")
        .containsPattern("gloo +available")
        .containsPattern("nccl +(not available: .+|[0-9]+\\.[0-9]+\\.[0-9]+)")
        .containsPattern("interfaces +.*127\\.0\\.0\\.1")
        .containsPattern("cluster +none")
        .doesNotContain("rank variables");

    assertThat(shell.run("env", "--json")).isZero();
    JsonNode facts = JsonMapper.shared().readTree(shell.out());
    assertThat(facts.get("kernels").stringValue()).isEqualTo(Kernels.describe());
    assertThat(facts.get("processors").stringValue())
        .startsWith(Integer.toString(Runtime.getRuntime().availableProcessors()));
  }

  @Test
  void envTellsWhatIsMadeOfAClustersVariables() {
    TestShell shell =
        new TestShell(
            TrainingJob.Factory::trainer,
            Map.of(
                "SLURM_JOB_ID", "7",
                "SLURM_STEP_NUM_TASKS", "4",
                "SLURM_PROCID", "3",
                "SLURM_LOCALID", "1",
                "SLURM_STEP_NODELIST", "n[1-2]",
                "NAS_INTERFACE", "ib0"));
    assertThat(shell.run("env")).isZero();
    assertThat(shell.out())
        .containsPattern(
            "rank variables +SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=3 .*NAS_INTERFACE=ib0")
        .containsPattern(
            "cluster +rank 3 of 4, local rank 1; meeting at n1:20007 by ib0; .* 600 s");

    shell = new TestShell(TrainingJob.Factory::trainer, Map.of("WORLD_SIZE", "2"));
    assertThat(shell.run("env")).isEqualTo(1);
    assertThat(shell.out()).containsPattern("cluster +failed: .*RANK is not set");
  }

  @Test
  void dataFolders() throws IOException {
    TestShell shell = new TestShell();
    Path config = Files.writeString(folder.resolve("c.json"), "{\"preset\": \"tiny\"}");
    Path data = Files.createDirectory(folder.resolve("data"));
    assertThat(shell.run("train", "--config", config.toString(), "--data", data.toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("tokenizer.json", "--tokenizer");
    assertThat(
            shell.run(
                "train", "--config", config.toString(), "--data", data.toString(), "--test", "x"))
        .isEqualTo(1);
    assertThat(shell.err()).contains("--test and --pairs belong together");
    Files.createFile(data.resolve("train.tar"));
    assertThat(shell.run("demo", "--data", data.toString())).isEqualTo(1);
    assertThat(shell.err()).contains("test.tar: no such file");
  }
}
