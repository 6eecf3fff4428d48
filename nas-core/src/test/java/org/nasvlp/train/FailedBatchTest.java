package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.data.Batch;
import org.nasvlp.data.text.TokenizedCaptions;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class FailedBatchTest {
  private static final int SIZE = 2;

  @TempDir private Path output;

  /** Two pairs whose numbers begin with {@code first}; captions of {@code length} tokens. */
  private static Batch batch(int first, int length) {
    float[] images = new float[2 * 3 * SIZE * SIZE];
    for (int i = 0; i < images.length; i++) {
      images[i] = first + i / 100f;
    }
    images[3] = Float.NaN;
    long[] ids = new long[2 * length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = first * 10L + i;
    }
    return new Batch(
        0,
        new String[] {"k" + first, "k" + (first + 1)},
        new long[] {first, first + 1},
        new long[] {first, first + 1},
        new String[] {"\"a\" ü " + first, "b " + first},
        images,
        new TokenizedCaptions(2, length, ids, new long[ids.length], 0));
  }

  private TrainingException failure(int step, Batch... batches) {
    return new FailedBatch(output, SIZE)
        .failure("the loss {itc=NaN}", step, List.of(batches), null, null);
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(output)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private void assertHolds(int step, Batch... batches) throws IOException {
    String name = "not-finite-step-%08d".formatted(step);
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> saved =
          Safetensors.read(output.resolve(name + ".safetensors"), arena);
      assertThat(saved).hasSize(2 * batches.length);
      for (int a = 0; a < batches.length; a++) {
        Safetensors.Entry images = saved.get("images." + a);
        assertThat(images.shape()).containsExactly(2, 3, SIZE, SIZE);
        assertThat(images.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
            .containsExactly(batches[a].images());
        Safetensors.Entry ids = saved.get("ids." + a);
        assertThat(ids.shape()).containsExactly(2, batches[a].tokens().length());
        assertThat(ids.data().toArray(ValueLayout.JAVA_LONG_UNALIGNED))
            .containsExactly(batches[a].tokens().ids());
      }
    }
    JsonNode samples =
        JsonMapper.shared().readTree(Files.readString(output.resolve(name + ".json")));
    assertThat(samples.size()).isEqualTo(2 * batches.length);
    for (int i = 0; i < samples.size(); i++) {
      assertThat(samples.get(i).get("key").asString()).isEqualTo(batches[i / 2].keys()[i % 2]);
      assertThat(samples.get(i).get("caption").asString())
          .isEqualTo(batches[i / 2].captions()[i % 2]);
    }
  }

  @Test
  void everyBatchOfTheStepIsSavedAndTheMessageSaysWhere() throws IOException {
    Batch[] batches = {batch(1, 3), batch(5, 4)};
    RuntimeException cause = new IllegalStateException("row 3");
    TrainingException failure =
        new FailedBatch(output, SIZE)
            .failure("the gradient", 12, List.of(batches), Path.of("runs/step-00000010"), cause);
    assertThat(failure)
        .hasMessage(
            "the gradient is not finite at step 12 (samples k1, k2, k5, k6; they are saved in "
                + output.resolve("not-finite-step-00000012.safetensors")
                + "): lower optimizer.learningRate, or look at these samples; the last checkpoint"
                + " is runs/step-00000010")
        .hasCause(cause);
    assertHolds(12, batches);
    assertThat(files())
        .containsExactly("not-finite-step-00000012.json", "not-finite-step-00000012.safetensors");
  }

  @Test
  void aSecondTryOfTheStepReplacesTheFirst() throws IOException {
    Files.writeString(output.resolve(".not-finite-step-00000003.writing"), "cut short");
    assertThat(failure(3, batch(1, 3), batch(5, 4)))
        .hasMessageEndingWith("no checkpoint was written yet");
    assertThat(failure(3, batch(9, 6))).hasMessageContaining("they are saved in");
    assertHolds(3, batch(9, 6));
    TrainingException _ = failure(4, batch(1, 3));
    assertHolds(3, batch(9, 6));
    assertHolds(4, batch(1, 3));
    assertThat(files()).hasSize(4);
  }

  @Test
  void thatItCannotBeSavedIsToldAndHidesNothing() throws IOException {
    Path taken = Files.createDirectory(output.resolve("not-finite-step-00000003.safetensors"));
    Files.writeString(taken.resolve("file"), "x");
    assertThat(failure(3, batch(1, 3)))
        .hasMessageStartingWith("the loss {itc=NaN} is not finite at step 3 (samples k1, k2; they")
        .hasMessageContaining("they could not be saved")
        .hasMessageContaining(taken.toString());
    assertThat(files()).containsExactly("not-finite-step-00000003.safetensors");
  }
}
