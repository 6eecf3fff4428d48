package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.CaptionTokenizer;

class MemoryTest {
  /** By then the hard negative images have set in, and the JVM has compiled what it will. */
  private static final int FROM = 800;

  private static final int STEPS = 1400;

  @TempDir Path folder;

  /** The child process: a run with every loss, which prints its resident KiB. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      Path folder = Path.of(args[0]);
      NasConfig config =
          Shapes.config(STEPS)
              .with(
                  new NvaConfig(
                      true,
                      0.5,
                      8,
                      0.5,
                      NvaConfig.Similarity.PROJECTED,
                      NvaConfig.Substitute.WORD,
                      NvaConfig.Donor.TOKEN,
                      NvaConfig.Control.MATCHED,
                      1,
                      0.25,
                      0.15,
                      HardNegativeLoss.PAIRWISE))
              .with(
                  new NtaConfig(
                      true, 1, 0, 0, HardNegativeLoss.BALANCED, false, 0.5, true, Map.of()));
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
        NasTrainer.builder()
            .config(config)
            .dataset(new Shapes())
            .tokenizer(tokenizer)
            .output(folder.resolve("out"))
            .threads(1)
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == FROM || report.step() == STEPS) {
                      System.out.println(residentKiB());
                    }
                  }
                })
            .build()
            .run();
      }
    }
  }

  /** In a process of its own, with a heap that is all resident from the start. */
  @Test
  void nativeMemoryStaysFlatOverHundredsOfSteps() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xms512m",
                "-Xmx512m",
                "-XX:+AlwaysPreTouch",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                folder.toString())
            .redirectError(folder.resolve("err").toFile())
            .start();
    String printed;
    try {
      printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor()).as(Files.readString(folder.resolve("err"))).isZero();
    List<Long> resident = printed.lines().map(Long::valueOf).toList();
    assertThat(resident).hasSize(2);
    // A leaked tensor of a batch's patch tokens (8 x 16 x 32 float32) a step would be 9,600 KiB.
    assertThat(resident.get(1) - resident.get(0)).as("KiB, of %s", resident).isLessThan(8_000);
  }

  private static long residentKiB() {
    try {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmRSS"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
