package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;

class ChosenConfigTest {
  private static final long GIB = 1L << 30;
  private static final int WORDS = 8000;

  @TempDir private Path folder;

  private static ChosenConfig choose(long pairs, boolean gpu, long memory) {
    return ChosenConfig.of(pairs, WORDS, 0, true, new ChosenConfig.Machine(gpu, GIB / 2, memory));
  }

  @ParameterizedTest
  @CsvSource({
    "8, false, emoji, 8, 1000",
    "50, false, emoji, 32, 1000",
    "2990, false, emoji, 64, 1000",
    "49999, false, emoji, 64, 15624",
    "50000, false, tiny, 64, 15625",
    "50000, true, tiny, 64, 15625",
    "200000, false, tiny, 64, 20000",
    "10000000, true, base, 64, 100000",
    "9000000000000000, false, tiny, 64, 20000"
  })
  void asManyPairsAsThereAre(long pairs, boolean gpu, String preset, int batch, int steps)
      throws IOException {
    ChosenConfig chosen = choose(pairs, gpu, 64 * GIB);
    assertThat(chosen.preset()).isEqualTo(preset);
    assertThat(chosen.config().data().batchSize()).isEqualTo(batch);
    assertThat(chosen.config().training().steps()).isEqualTo(steps);
    // The file that is shown says the same.
    Path file = Files.writeString(folder.resolve("config.yaml"), chosen.yaml());
    assertThat(NasConfig.load(file)).isEqualTo(chosen.config());
    assertThat(chosen.text()).contains("preset " + preset + " (", "  preset: " + preset + "\n");
  }

  /** Less memory takes smaller batches first, then a smaller model, and then there is none. */
  @Test
  void asMuchAsTheMemoryHolds() {
    int before = Integer.MAX_VALUE;
    boolean smaller = false;
    for (long memory = 8 * GIB; ; memory -= GIB / 16) {
      ChosenConfig chosen;
      try {
        chosen = choose(100_000, false, memory);
      } catch (CommandFailure e) {
        assertThat(e)
            .hasMessageContaining("MiB of memory, and this machine or container has")
            .hasMessageContaining("--config");
        break;
      }
      int batch = chosen.config().data().batchSize();
      RunNeeds needs = RunNeeds.of(chosen.config(), WORDS, 0, true, 1);
      assertThat(needs.bytes(GIB / 2)).isLessThanOrEqualTo(memory);
      if (!smaller && chosen.preset().equals("emoji")) {
        smaller = true;
        assertThat(before).isEqualTo(8);
        assertThat(chosen.text()).contains("preset tiny would not fit into this memory");
      } else {
        assertThat(batch).isLessThanOrEqualTo(before);
      }
      before = batch;
    }
    assertThat(smaller).isTrue();
    assertThat(before).isEqualTo(8);
  }

  @Test
  void tooFewPairsAreRefused() {
    assertThatThrownBy(() -> choose(7, false, GIB))
        .isInstanceOf(CommandFailure.class)
        .hasMessage("7 pairs are too few to train on: at least 8 are needed");
  }

  @Test
  void theCommandTellsWhatItChose() throws IOException {
    TestShell shell = new TestShell();
    StringBuilder list = new StringBuilder("image,caption\n");
    for (int i = 0; i < 10; i++) {
      Files.write(folder.resolve(i + ".png"), new RgbImage(1, 1, new byte[3]).png());
      list.append(i).append(".png,a red cup\n");
    }
    String pairs = Files.writeString(folder.resolve("pairs.csv"), list).toString();
    String out = folder.resolve("out").toString();
    assertThat(shell.run("train", "--data", pairs, "--out", out, "--memory")).isEqualTo(1);
    assertThat(shell.err())
        .contains("--tokenizer FILE, which this makes: nas data tokenizer " + pairs)
        .contains(" --size 8000 --out tokenizer.json");
    String tokenizer = TestShell.home().resolve("data/scenes/tokenizer.json").toString();
    String[] train = {"train", "--data", pairs, "--tokenizer", tokenizer, "--out", out, "--memory"};
    assertThat(shell.run(train)).as(shell.err()).isZero();
    assertThat(shell.err())
        .contains("no --config is given", "preset emoji", "10 pairs", "data: {batchSize: 8}");
    assertThat(shell.out()).contains("a step ");
    assertThat(Path.of(out)).doesNotExist();

    TestShell rank =
        new TestShell(
            TrainingJob.Factory::trainer,
            java.util.Map.of(
                "RANK",
                "0",
                "WORLD_SIZE",
                "2",
                "LOCAL_RANK",
                "0",
                "MASTER_ADDR",
                "127.0.0.1",
                "MASTER_PORT",
                "29400"));
    assertThat(rank.run(train)).isEqualTo(2);
    assertThat(rank.err()).contains("need a --config FILE");
  }
}
