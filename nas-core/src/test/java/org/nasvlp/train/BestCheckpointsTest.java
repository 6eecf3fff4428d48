package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.checkpoint.Checkpoints;

class BestCheckpointsTest {
  @TempDir private Path output;
  private BestCheckpoints best;
  private final List<Map<String, Double>> written = new ArrayList<>();

  @BeforeEach
  void open() {
    best = new BestCheckpoints(output);
  }

  /** A checkpoint that holds its step; of those before, none is kept. */
  private BestCheckpoints.Current at(int step) {
    return () -> {
      written.add(Map.copyOf(best.values()));
      return Checkpoints.write(
          output,
          step,
          1,
          directory -> Files.writeString(directory.resolve("step"), String.valueOf(step)));
    };
  }

  private String kept(String name) throws IOException {
    return Files.readString(output.resolve("checkpoints").resolve(name).resolve("step"));
  }

  @Test
  void eachMetricKeepsItsBest() throws IOException {
    best.keep(1, Map.of("itc", 0.5, "itm", 0.4), at(1));
    assertThat(kept("best-itc")).isEqualTo("1");
    assertThat(kept("best-itm")).isEqualTo("1");
    best.keep(2, Map.of("itc", 0.6, "itm", 0.3, "crepe-itm", 0.0), at(2));
    assertThat(kept("best-itc")).isEqualTo("2");
    assertThat(kept("best-itm")).isEqualTo("1");
    assertThat(kept("best-crepe-itm")).isEqualTo("2");
    assertThat(best.values()).isEqualTo(Map.of("itc", 0.6, "itm", 0.4, "crepe-itm", 0.0));
  }

  @Test
  void theCheckpointIsWrittenOnceAndKnowsAllMetricsThatItIsBestBy() throws IOException {
    best.keep(1, Map.of("itc", 0.5, "itm", 0.4, "itm-group", 0.1), at(1));
    assertThat(written).containsExactly(Map.of("itc", 0.5, "itm", 0.4, "itm-group", 0.1));
  }

  @Test
  void whatIsNotBetterIsNotKept() throws IOException {
    best.keep(1, Map.of("itc", 0.5), at(1));
    BestCheckpoints.Current none = () -> fail("asked for a checkpoint");
    best.keep(2, Map.of("itc", 0.5), none);
    best.keep(2, Map.of("itc", 0.4), none);
    best.keep(2, Map.of("itc", Double.NaN, "itm", Double.NaN), none);
    best.keep(2, Map.of(), none);
    assertThat(best.values()).isEqualTo(Map.of("itc", 0.5));
    assertThat(kept("best-itc")).isEqualTo("1");
  }

  @Test
  void aResumedRunHasToBeatWhatWasReachedBefore() throws IOException {
    best.keep(1, Map.of("itc", 0.5), at(1));
    BestCheckpoints resumed = new BestCheckpoints(output);
    resumed.restore(best.values(), best.steps(), 1, null);
    resumed.keep(2, Map.of("itc", 0.45), at(2));
    assertThat(kept("best-itc")).isEqualTo("1");
    resumed.keep(3, Map.of("itc", 0.55), at(3));
    assertThat(kept("best-itc")).isEqualTo("3");
  }

  /** Killed after the checkpoint was written, and before all of its names were made. */
  @Test
  void aResumedRunKeepsWhatItsCheckpointIsBestBy() throws IOException {
    best.keep(1, Map.of("itc", 0.5, "itm", 0.4), at(1));
    assertThatThrownBy(
            () ->
                best.keep(
                    2,
                    Map.of("itc", 0.6, "itm", 0.3),
                    () -> {
                      at(2).write();
                      throw new IOException("killed");
                    }))
        .hasMessage("killed");
    assertThat(kept("best-itc")).isEqualTo("1");
    BestCheckpoints resumed = new BestCheckpoints(output);
    resumed.restore(best.values(), best.steps(), 2, Checkpoints.latest(output).orElseThrow());
    assertThat(kept("best-itc")).isEqualTo("2");
    assertThat(kept("best-itm")).isEqualTo("1");
    assertThat(resumed.values()).isEqualTo(Map.of("itc", 0.6, "itm", 0.4));
    assertThat(resumed.steps()).isEqualTo(Map.of("itc", 2, "itm", 1));
  }
}
