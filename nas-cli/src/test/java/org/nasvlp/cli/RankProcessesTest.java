package org.nasvlp.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class RankProcessesTest {
  /** Longer than any test: whoever waits so long has hung. */
  private static final RankProcesses.Patience ENDLESS =
      new RankProcesses.Patience(Duration.ofHours(1), Duration.ofHours(1));

  /** A rank that does what the word of its rank says, and leaves its number in a folder. */
  static final class Child {
    private static final int LINES = 300;

    private Child() {}

    public static void main(String[] words) throws InterruptedException, IOException {
      Path folder = Path.of(System.getProperty("folder"));
      int rank = Integer.parseInt(System.getenv("RANK"));
      String word = words[rank];
      switch (word) {
        case "watch" -> RankProcesses.endWithLauncher(Shell.ofProcess());
        case "ignore" -> Runtime.getRuntime().addShutdownHook(new Thread(Child::sleep));
        case "finish" ->
            Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> System.out.println("written a checkpoint")));
        default -> {
          // Nothing to prepare.
        }
      }
      System.out.println("pid " + ProcessHandle.current().pid());
      Files.createFile(folder.resolve(Integer.toString(rank)));
      switch (word) {
        case "print" -> print();
        case "fail" -> System.exit(7);
        case "fail later" -> {
          while (folder.toFile().list().length < words.length) {
            Thread.sleep(20);
          }
          Thread.sleep(1000);
          System.exit(9);
        }
        case "end" -> {
          // Nothing is wrong.
        }
        default -> sleep();
      }
    }

    /** Lines in pieces, between which other ranks print, and a bar that rewinds its line. */
    private static void print() {
      PrintStream out = new PrintStream(System.out, true, UTF_8);
      for (int line = 0; line < LINES; line++) {
        for (String piece : List.of("a", " line\u00e9 ", Integer.toString(line), "\n")) {
          (line % 2 == 0 ? out : System.err).print(line % 2 == 0 ? piece : piece.replace('é', 'e'));
          (line % 2 == 0 ? out : System.err).flush();
        }
      }
      out.print("\r##..\r####\nthe last");
    }

    private static void sleep() {
      try {
        new CountDownLatch(1).await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** {@code nas launch} as its process sees it, with children of this test. */
  static final class Launcher {
    private Launcher() {}

    public static void main(String[] words) throws IOException, InterruptedException {
      Shell shell = Shell.ofProcess();
      shell.interruption().install(shell.err());
      RankProcesses ranks = new RankProcesses(shell, ENDLESS);
      try (Interruption.Guard guard = shell.interruption().during("stopping", ranks::stop)) {
        shell
            .out()
            .println(
                "ended with "
                    + ranks.run(
                        child(Path.of(System.getProperty("folder")), words),
                        environments(words.length)));
      }
      shell.interruption().finished();
    }
  }

  @TempDir private Path folder;

  private final Chunks out = new Chunks();
  private final Chunks err = new Chunks();

  /** Where two streams lead to one terminal, what is written at once stays together. */
  private static final class Chunks extends ByteArrayOutputStream {
    private final List<String> chunks = new ArrayList<>();

    @Override
    public synchronized void write(byte[] bytes, int from, int length) {
      chunks.add(new String(bytes, from, length, UTF_8));
      super.write(bytes, from, length);
    }
  }

  private RankProcesses ranks(RankProcesses.Patience patience) {
    Shell shell =
        new Shell(
            new PrintStream(out, true, UTF_8),
            new PrintStream(err, true, UTF_8),
            0,
            Map.of(),
            new Interruption(),
            TrainingJob.Factory::trainer);
    return new RankProcesses(shell, patience);
  }

  private static List<String> java(Class<?> program, String... words) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx64m", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName()));
    command.addAll(List.of(words));
    return command;
  }

  private List<String> command(String... words) {
    return child(folder, words);
  }

  private static List<String> child(Path folder, String... words) {
    List<String> command = java(Child.class, words);
    command.add(1, "-Dfolder=" + folder);
    return command;
  }

  private static List<Map<String, String>> environments(int count) {
    return IntStream.range(0, count)
        .mapToObj(rank -> Map.of("RANK", Integer.toString(rank)))
        .toList();
  }

  private int run(RankProcesses.Patience patience, String... words)
      throws IOException, InterruptedException {
    return ranks(patience).run(command(words), environments(words.length));
  }

  private static List<ProcessHandle> alive(String output) {
    List<ProcessHandle> alive = new ArrayList<>();
    Matcher pids = Pattern.compile("pid (\\d+)").matcher(output);
    while (pids.find()) {
      ProcessHandle.of(Long.parseLong(pids.group(1)))
          .filter(ProcessHandle::isAlive)
          .ifPresent(alive::add);
    }
    return alive;
  }

  @Test
  void everyLineStandsWholeBehindItsRank() throws Exception {
    assertThat(run(ENDLESS, "print", "print", "print")).isZero();
    List<String> lines = out.toString(UTF_8).lines().toList();
    List<String> errors = err.toString(UTF_8).lines().toList();
    for (int rank = 0; rank < 3; rank++) {
      String label = "[" + rank + "] ";
      List<String> expected =
          new ArrayList<>(
              List.of(
                  lines.stream()
                      .filter(line -> line.startsWith(label + "pid "))
                      .findFirst()
                      .orElseThrow()));
      List<String> expectedErrors = new ArrayList<>();
      for (int line = 0; line < Child.LINES; line++) {
        (line % 2 == 0 ? expected : expectedErrors)
            .add(label + (line % 2 == 0 ? "a line\u00e9 " : "a linee ") + line);
      }
      // What rewinds a line ends it.
      expected.addAll(List.of(label, label + "##..", label + "####", label + "the last"));
      assertThat(lines.stream().filter(line -> line.startsWith(label)).toList())
          .isEqualTo(expected);
      assertThat(errors.stream().filter(line -> line.startsWith(label)).toList())
          .isEqualTo(expectedErrors);
    }
    assertThat(lines).hasSize(3 * (Child.LINES / 2 + 5));
    assertThat(errors).hasSize(3 * Child.LINES / 2);
    assertThat(out.chunks)
        .containsExactlyElementsOf(lines.stream().map(line -> line + "\n").toList());
    assertThat(err.chunks)
        .containsExactlyElementsOf(errors.stream().map(line -> line + "\n").toList());
  }

  @Test
  void theFirstFailureIsToldAndTheOthersMayEndByThemselves() throws Exception {
    assertThat(run(ENDLESS, "fail later", "fail", "end")).isEqualTo(7);
    assertThat(err.toString(UTF_8))
        .isEqualTo(
            "nas: rank 1 ended with exit status 7; the others have 3600 s to end by themselves\n");
  }

  @Test
  void whoHangsIsEnded() throws Exception {
    RankProcesses.Patience patience =
        new RankProcesses.Patience(Duration.ofMillis(100), Duration.ofHours(1));
    assertThat(run(patience, "hang", "fail later", "hang")).isEqualTo(9);
    assertThat(err.toString(UTF_8))
        .contains("rank 1 ended with exit status 9")
        .endsWith("nas: ending ranks 0, 2\n");
    assertThat(out.toString(UTF_8)).contains("[0] pid ", "[2] pid ");
    assertThat(alive(out.toString(UTF_8))).isEmpty();
  }

  @Test
  void whoDoesNotEndWhenAskedIsKilled() throws Exception {
    RankProcesses.Patience patience =
        new RankProcesses.Patience(Duration.ofMillis(100), Duration.ofMillis(100));
    assertThat(run(patience, "ignore", "fail later")).isEqualTo(9);
    assertThat(err.toString(UTF_8)).endsWith("nas: ending rank 0\nnas: killing rank 0\n");
    assertThat(alive(out.toString(UTF_8))).isEmpty();
  }

  @Test
  void aRequestToStopReachesEveryRank() throws Exception {
    RankProcesses ranks = ranks(ENDLESS);
    CompletableFuture<Integer> status =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return ranks.run(command("finish", "finish"), environments(2));
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              }
            });
    while (!out.toString(UTF_8).matches("(?s).*pid .*pid .*")) {
      Thread.sleep(20);
    }
    ranks.stop();
    assertThat(status.get()).isEqualTo(143);
    assertThat(out.toString(UTF_8)).contains("[0] written a", "[1] written a");
    assertThat(err.toString(UTF_8)).isEmpty();
  }

  @Test
  void whatCannotBeStartedIsAnErrorAndEndsWhatWas() throws Exception {
    assertThatThrownBy(() -> ranks(ENDLESS).run(List.of("/nowhere/java"), environments(2)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("/nowhere/java");

    // A value that no environment can hold.
    List<Map<String, String>> environments = List.of(Map.of("RANK", "0"), Map.of("RANK", "\0"));
    RankProcesses ranks = ranks(ENDLESS);
    assertThatThrownBy(() -> ranks.run(command("hang", "hang"), environments))
        .isInstanceOf(IllegalArgumentException.class);
    for (ProcessHandle child : ProcessHandle.current().children().toList()) {
      if (child.info().commandLine().orElse("").contains(folder.toString())) {
        child.onExit().get(100, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void aLauncherPassesItsEndOn() throws Exception {
    assertThat(launcher(folder, "TERM", "finish", "finish"))
        .contains("stopping", "[0] written a", "[1] written a", "ended with 143");
  }

  @Test
  void ranksEndWithALauncherThatIsKilled() throws Exception {
    assertThat(alive(launcher(folder, "KILL", "watch", "watch"))).isEmpty();
  }

  /** What a launcher prints that gets a signal; after the end of its ranks. */
  private static String launcher(Path folder, String signal, String... words) throws Exception {
    List<String> command = java(Launcher.class, words);
    command.add(1, "-Dfolder=" + folder);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    CompletableFuture.delayedExecutor(200, TimeUnit.SECONDS).execute(process::destroyForcibly);
    StringBuilder output = new StringBuilder();
    try (BufferedReader lines = process.inputReader(UTF_8)) {
      List<ProcessHandle> ranks = List.of();
      while (ranks.size() < words.length) {
        output.append(lines.readLine()).append('\n');
        ranks = alive(output.toString());
      }
      new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
      for (ProcessHandle rank : ranks) {
        rank.onExit().get(100, TimeUnit.SECONDS);
      }
      lines.lines().forEach(line -> output.append(line).append('\n'));
    } finally {
      process.destroyForcibly();
    }
    process.waitFor();
    return output.toString();
  }
}
