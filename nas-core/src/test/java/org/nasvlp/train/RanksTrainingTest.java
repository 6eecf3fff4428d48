package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.distributed.RankProcesses;

/** Processes that train together over the loopback interface, against one that trains alone. */
@EnabledOnOs(OS.LINUX)
@Timeout(300)
class RanksTrainingTest {
  private static final Pattern LOSSES = Pattern.compile("losses (\\d+) \\{(.*?)\\} \\{(.*)\\}");
  private static final int STEPS = 20;

  @TempDir private Path folder;

  private RankProcesses start(String name, String kind, int ranks) throws IOException {
    Path own = Files.createDirectories(folder.resolve(name));
    Files.deleteIfExists(own.resolve("meeting"));
    return RankProcesses.start(
        RankTraining.class,
        ranks,
        own,
        Map.of("NAS_TIMEOUT", "60"),
        own.resolve("run").toString(),
        kind,
        String.valueOf(STEPS));
  }

  /** Losses, and numbers of hard negatives, by step and name. */
  private static Map<String, Double> losses(String printed) {
    Map<String, Double> losses = new TreeMap<>();
    printed
        .lines()
        .forEach(
            line -> {
              Matcher matcher = LOSSES.matcher(line);
              if (matcher.matches()) {
                for (int group = 2; group <= 3; group++) {
                  for (String field : matcher.group(group).split(", ", -1)) {
                    String[] parts = field.split("=", -1);
                    if (parts.length < 2) {
                      continue;
                    }
                    String name = "%s %s %d".formatted(matcher.group(1), parts[0], group);
                    losses.put(name, Double.valueOf(parts[1]));
                  }
                }
              }
            });
    return losses;
  }

  /** A line of what was printed, without the identities of arrays in it. */
  private static String line(String printed, String start) {
    return printed
        .lines()
        .filter(line -> line.startsWith(start))
        .findFirst()
        .orElseThrow()
        .replaceAll("\\[D@[0-9a-f]+", "");
  }

  private static List<String> codewords(String printed) {
    return printed.lines().filter(line -> line.startsWith("codewords")).toList();
  }

  @ParameterizedTest
  @CsvSource({
    // queue, soft targets, masked words, hard negative images
    // and a sample that cannot be read, and codewords that start anew
    "plain-broken-restarting-evaluated, 2",
    // and hard negative captions, in the contrast too; images by words, and mirrored ones
    "everything, 4",
    // of a quarter of the captions: some ranks have none
    "everything-few, 4",
    "plain-accumulated-checkpointing, 2",
    // and frozen parameters, and rates by layer
    "everything-layered, 2",
    "plain-wordless, 2",
    // from weights that are distilled from, with their average evaluated
    "plain-distilled-evaluated, 2"
  })
  void ranksLearnWhatOneProcessLearns(String kind, int count) throws Exception {
    try (RankProcesses one = start("one", kind, 1);
        RankProcesses many = start("many", kind, count)) {
      one.await(240);
      many.await(240);
      assertThat(one.printed(0)).contains("done");
      assertThat(many.printed()).doesNotContain("failed");
      Map<String, Double> expected = losses(one.printed(0));
      Map<String, Double> actual = losses(many.printed(0));
      assertThat(expected).containsKeys("1 itc 2", "20 itc 2", "20 mlm 2");
      assertThat(expected.keySet().stream().anyMatch(name -> name.contains("mirror")))
          .isEqualTo(kind.contains("everything"));
      assertThat(expected.getOrDefault("20 distill 2", 0.0) > 1e-4)
          .isEqualTo(kind.contains("distilled"));
      assertThat(actual).hasSameSizeAs(expected);
      expected.forEach((name, loss) -> assertThat(actual.get(name)).isCloseTo(loss, within(1e-5)));
      List<String> first = codewords(many.printed(0));
      assertThat(first).hasSizeGreaterThanOrEqualTo(STEPS);
      String report = line(one.printed(0), "report ");
      assertThat(report.contains("itm")).isEqualTo(kind.contains("evaluated"));
      String restarts = line(one.printed(0), "restarts ");
      if (kind.contains("restarting")) {
        assertThat(restarts).isNotEqualTo("restarts 0");
      }
      for (int rank = 0; rank < count; rank++) {
        assertThat(line(many.printed(rank), "restarts ")).isEqualTo(restarts);
        assertThat(line(many.printed(rank), "report ")).isEqualTo(report);
        assertThat(line(many.printed(rank), "own "))
            .isEqualTo(kind.contains("evaluated") ? "own {rank-and-a-half=0.5}" : "own {}");
        assertThat(codewords(many.printed(rank))).isEqualTo(first);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"contrast, 2", "contrast-checkpointing, 4"})
  void ranksContrastTheBatchesOfAStepAsOneProcessDoesOneBatch(String kind, int count)
      throws Exception {
    try (RankProcesses one = start("one", kind, 1);
        RankProcesses many = start("many", kind, count);
        RankProcesses again = start("again", kind, count)) {
      one.await(240);
      many.await(240);
      again.await(240);
      assertThat(many.printed()).doesNotContain("failed");
      Map<String, Double> expected = losses(one.printed(0));
      Map<String, Double> actual = losses(many.printed(0));
      assertThat(expected)
          .containsOnlyKeys(
              IntStream.rangeClosed(1, STEPS).mapToObj(step -> step + " itc 2").toList());
      assertThat(actual).hasSameSizeAs(expected);
      expected.forEach((name, loss) -> assertThat(actual.get(name)).isCloseTo(loss, within(1e-5)));
      String name = "run/checkpoints/step-%08d/model.safetensors".formatted(STEPS);
      Path model = folder.resolve("many").resolve(name);
      assertThat(folder.resolve("again").resolve(name)).hasSameBinaryContentAs(model);
      assertThat(distance(model, folder.resolve("one").resolve(name))).isLessThan(1e-5);
    }
  }

  /** Euclidean length of the difference of all parameters, over that of the second model's. */
  private static double distance(Path actual, Path expected) throws IOException {
    double difference = 0;
    double length = 0;
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> others = Safetensors.read(actual, arena);
      for (var entry : Safetensors.read(expected, arena).entrySet()) {
        MemorySegment own = entry.getValue().data();
        MemorySegment other = others.get(entry.getKey()).data();
        for (long i = 0; i < own.byteSize() / Float.BYTES; i++) {
          double value = own.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
          double off = value - other.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i);
          difference += off * off;
          length += value * value;
        }
      }
    }
    return Math.sqrt(difference / length);
  }

  @Test
  void matchingWithinARankGivesTheSameBitsAgain() throws Exception {
    try (RankProcesses one = start("one", "everything-own", 2);
        RankProcesses again = start("again", "everything-own", 2)) {
      one.await(240);
      again.await(240);
      assertThat(losses(one.printed(0))).hasSizeGreaterThan(5 * STEPS);
      assertThat(losses(again.printed(0))).isEqualTo(losses(one.printed(0)));
      assertThat(codewords(again.printed(1))).isEqualTo(codewords(one.printed(0)));
    }
  }

  @Test
  void roundedGradientsAreTheSameBitsOnAllRanksAndTrainAlike() throws Exception {
    try (RankProcesses plain = start("plain", "everything", 2);
        RankProcesses rounded = start("rounded", "everything-rounded-timed", 2)) {
      plain.await(240);
      rounded.await(240);
      assertThat(rounded.printed()).doesNotContain("failed");
      assertThat(codewords(rounded.printed(1)))
          .hasSizeGreaterThanOrEqualTo(STEPS)
          .isEqualTo(codewords(rounded.printed(0)));
      Map<String, Double> expected = losses(plain.printed(0));
      Map<String, Double> actual = losses(rounded.printed(0));
      // Nothing has been exchanged yet.
      assertThat(actual.get("1 itc 2")).isEqualTo(expected.get("1 itc 2"));
      assertThat(actual.get("20 itc 2")).isNotEqualTo(expected.get("20 itc 2"));
      // 8 bits: each gradient is off by 2^-8 of itself at most, so is about every update.
      actual.forEach((name, loss) -> assertThat(loss).isCloseTo(expected.get(name), within(0.05)));
      assertThat(line(plain.printed(0), "sections"))
          .contains("exchange=")
          .doesNotContain("waiting");
      assertThat(line(rounded.printed(0), "sections"))
          .contains("exchange=", "waiting for ranks=")
          .doesNotContain("=-");
    }
  }

  @Test
  void aRunGoesOnWithAnotherNumberOfRanks() throws Exception {
    try (RankProcesses one = start("one", "everything", 1);
        RankProcesses two = start("many", "everything-stopped", 2)) {
      two.await(240);
      assertThat(losses(two.printed(0))).containsKey("10 itc 2").doesNotContainKey("11 itc 2");
      try (RankProcesses four = start("many", "everything-resumed", 4)) {
        one.await(240);
        four.await(240);
        assertThat(four.printed()).doesNotContain("failed");
        Map<String, Double> expected = losses(one.printed(0));
        Map<String, Double> actual = losses(four.printed(0));
        assertThat(actual).containsKeys("11 itc 2", "20 nva 2").doesNotContainKey("10 itc 2");
        actual.forEach(
            (name, loss) -> assertThat(loss).isCloseTo(expected.get(name), within(1e-5)));
      }
    }
  }

  @Test
  void aRunWhoseRankIsKilledEndsWithTheSameBits() throws Exception {
    try (RankProcesses whole = start("whole", "everything-broken", 2);
        RankProcesses killed = start("killed", "everything-broken", 2)) {
      while (!killed.printed(0).contains("losses 8 ") && killed.of(0).isAlive()) {
        Thread.sleep(10);
      }
      killed.of(1).destroyForcibly();
      killed.await(60);
      assertThat(killed.printed(0))
          .contains("failed: rank 1 of 2 does not answer")
          .contains("resume from the last checkpoint");
      try (RankProcesses resumed = start("killed", "everything-broken-resumed", 2)) {
        resumed.await(240);
        whole.await(240);
        assertThat(resumed.printed()).doesNotContain("failed");
        assertThat(losses(resumed.printed(0))).doesNotContainKey("1 itc 2").containsKey("20 itc 2");
        assertThat(state("killed")).isEqualTo(state("whole"));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"everything-broken-evaluated-best", "everything-broken-evaluated-best-layered"})
  void aShardedOptimizerChangesNoBit(String kind) throws Exception {
    try (RankProcesses whole = start("whole", kind, 4);
        RankProcesses sharded = start("sharded", kind + "-sharded-stopped", 4)) {
      sharded.await(240);
      assertThat(losses(sharded.printed(0))).containsKey("10 itc 2").doesNotContainKey("11 itc 2");
      try (RankProcesses resumed = start("sharded", kind + "-sharded-resumed", 4)) {
        resumed.await(240);
        whole.await(240);
        assertThat(resumed.printed()).doesNotContain("failed");
        assertThat(losses(resumed.printed(0))).containsKey("20 itc 2");
        assertThat(codewords(resumed.printed(3))).isNotEmpty();
        assertThat(state("sharded")).isEqualTo(state("whole"));
        String best = "run/checkpoints/best-itm/training.safetensors";
        assertThat(folder.resolve("sharded").resolve(best))
            .hasSameBinaryContentAs(folder.resolve("whole").resolve(best));
      }
    }
  }

  /** Sums of what the last checkpoint holds, times aside, and the samples that were skipped. */
  private List<String> state(String name) throws IOException {
    Path checkpoint = folder.resolve(name).resolve("run/checkpoints/step-%08d".formatted(STEPS));
    List<String> state = new ArrayList<>(Files.readAllLines(checkpoint.resolve("SHA256SUMS")));
    // The configuration says whether the optimizer is sharded.
    state.removeIf(line -> line.endsWith("state.json") || line.endsWith("config.json"));
    assertThat(state).hasSizeGreaterThan(2);
    String progress = Files.readString(checkpoint.resolve("state.json"));
    Matcher samples = Pattern.compile("\"samples\":\\{.*?\\}").matcher(progress);
    assertThat(samples.find()).isTrue();
    assertThat(samples.group()).contains("made unreadable by the test");
    state.add(samples.group());
    return state;
  }

  @Test
  void aLossThatIsNotANumberStopsAllAndKeepsThatRanksBatch() throws Exception {
    try (RankProcesses ranks = start("nan", "plain-nan", 2).await(120)) {
      assertThat(ranks.printed(1)).contains("is not finite at step 7 (samples ");
      assertThat(ranks.printed(0)).contains("is not finite at step 7, by samples of another rank");
      assertThat(folder.resolve("nan/run/not-finite-step-00000007.json")).exists();
      assertThat(
              Files.readString(folder.resolve("nan/run/not-finite-step-00000007.json"))
                  .split("key"))
          .hasSize(1 + 4);
    }
  }

  @Test
  void ranksWithAnotherConfigurationSayWhatDiffers() throws Exception {
    try (RankProcesses ranks = start("differently", "plain-differently", 2).await(120)) {
      for (int rank = 0; rank < 2; rank++) {
        assertThat(ranks.printed(rank))
            .contains("optimizer.learningRate is 0.002 on rank 0 and 0.001 on rank 1");
      }
    }
  }

  @Test
  void ncclForATrainingOnTheProcessorIsRefused() throws Exception {
    Path own = Files.createDirectories(folder.resolve("nccl"));
    try (RankProcesses ranks =
        RankProcesses.start(
                RankTraining.class,
                2,
                own,
                Map.of("NAS_TRANSPORT", "nccl"),
                own.resolve("run").toString(),
                "plain",
                "2")
            .await(120)) {
      assertThat(ranks.printed(1))
          .contains("training.device is cpu: set it to cuda, or exchange by gloo");
    }
  }

  @Test
  void aBatchThatCannotBeDividedIsRefused() throws Exception {
    try (RankProcesses ranks = start("three", "plain", 3).await(120)) {
      assertThat(ranks.printed(2))
          .contains("a batch of 8 pairs cannot be divided among 3 ranks: set data.batchSize");
    }
  }
}
