package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;

/** A run's checkpoint whose files were changed after it was written, or never fit. */
class DamagedCheckpointTest {
  @TempDir private Path folder;
  private CaptionTokenizer tokenizer;
  private Path checkpoint;

  @BeforeEach
  void train() {
    tokenizer = Shapes.tokenizer(folder, 8);
    checkpoint = trainer(1).build().run().checkpoint();
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private NasTrainerBuilder trainer(int steps) {
    return NasTrainer.builder()
        .config(Shapes.config(steps))
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .output(folder.resolve("out"))
        .threads(1);
  }

  private void assertNotResumed(String... message) {
    assertThatThrownBy(() -> trainer(2).resume(true).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContainingAll(message);
  }

  private void assertNotLoaded(String... message) {
    assertThatThrownBy(() -> NasModel.load(checkpoint).close())
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "state.json",
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "dictionary.safetensors",
        "training.safetensors"
      })
  void aFlippedBitIsFound(String name) throws IOException {
    Path file = checkpoint.resolve(name);
    byte[] bytes = Files.readAllBytes(file);
    // A digit, where one can be found, so that the file stays readable.
    int at = bytes.length - 1;
    for (int i = bytes.length - 1; i >= 0 && name.endsWith(".json"); i--) {
      if (bytes[i] == '1') {
        at = i;
        break;
      }
    }
    bytes[at] ^= 1;
    Files.write(file, bytes);
    String[] message = {file.toString(), "SHA256SUMS", "remove this checkpoint"};
    assertNotResumed(message);
    if (!name.equals("state.json") && !name.equals("training.safetensors")) {
      assertNotLoaded(message);
    }
    if (name.equals("model.safetensors")) {
      try (NasModel model = NasModel.create(Shapes.config(1), tokenizer)) {
        PretrainedWeights weights = PretrainedWeights.none().withModel(checkpoint);
        assertThatThrownBy(() -> model.importWeights(weights))
            .isInstanceOf(IOException.class)
            .hasMessageContainingAll(message);
      }
    }
  }

  @Test
  void theRunGoesOnFromTheCheckpointBefore() throws IOException {
    trainer(2).resume(true).build().run();
    Path newest = folder.resolve("out/checkpoints/step-00000002");
    Path file = newest.resolve("training.safetensors");
    Files.write(file, new byte[] {1, 2, 3});
    assertNotResumed(file.toString(), "remove this checkpoint");
    try (var files = Files.list(newest)) {
      for (Path each : files.toList()) {
        Files.delete(each);
      }
    }
    Files.delete(newest);
    assertThat(trainer(2).resume(true).build().run().step()).isEqualTo(2);
    assertThat(file).exists();
  }

  /** As versions before the list wrote it; what the message says makes it readable. */
  @Test
  void aCheckpointWithoutItsListSaysHowToMakeIt() throws Exception {
    Files.deleteIfExists(checkpoint.resolve("SHA256SUMS"));
    assertNotResumed(checkpoint.toString(), "has no SHA256SUMS");
    assertThatThrownBy(() -> NasModel.load(checkpoint).close())
        .isInstanceOf(IOException.class)
        .satisfies(
            refusal -> {
              Matcher remedy = Pattern.compile("\\((cd .*)\\)").matcher(refusal.getMessage());
              assertThat(remedy.find()).isTrue();
              Process shell =
                  new ProcessBuilder("sh", "-c", remedy.group(1)).redirectErrorStream(true).start();
              assertThat(new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                  .isEmpty();
              assertThat(shell.waitFor()).isZero();
            });
    NasModel.load(checkpoint).close();
    assertThat(trainer(2).resume(true).build().run().step()).isEqualTo(2);
  }

  @Test
  void theListIsOneThatSha256sumChecks() throws Exception {
    Process check =
        new ProcessBuilder("sha256sum", "--check", "--strict", "--status", "SHA256SUMS")
            .directory(checkpoint.toFile())
            .inheritIO()
            .start();
    assertThat(check.waitFor()).isZero();
    assertThat(Files.readAllLines(checkpoint.resolve("SHA256SUMS"))).hasSize(6);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "no sums", "0123  model.safetensors"})
  void aDamagedListIsNamed(String text) throws IOException {
    Path file = Files.writeString(checkpoint.resolve("SHA256SUMS"), text);
    assertNotLoaded(file.toString());
    assertNotResumed(file.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "model.safetensors, match_head.weight, NaN, NaN",
    "model.safetensors, log_temperature, Infinity, Infinity",
    "model.safetensors, text_encoder.embeddings.word_embeddings.weight, -Infinity, -Infinity",
    "dictionary.safetensors, codewords, NaN, NaN",
    "dictionary.safetensors, m, Infinity, Infinity",
    "dictionary.safetensors, n, -1, -1",
    "dictionary.safetensors, n, NaN, NaN",
    "dictionary.safetensors, dead_steps, -1, -1",
    "dictionary.safetensors, restarts, -1, -1",
    "dictionary.safetensors, epoch_counts, -1, -1",
    "dictionary.safetensors, neighbours, 24, 24",
    "dictionary.safetensors, neighbours, -2, -2"
  })
  void aNumberThatNoModelHasIsNamedByItsTensor(String file, String name, double value, String told)
      throws IOException {
    Path path = checkpoint.resolve(file);
    Sums.set(path, name, value);
    String[] message = {path.toString(), "tensor " + name + " holds " + told, "earlier checkpoint"};
    assertNotLoaded(message);
    assertNotResumed(message);
  }

  @Test
  void neighboursOfAnotherRankAreNamed() throws IOException {
    Path path = checkpoint.resolve("dictionary.safetensors");
    Sums.change(
        path,
        "neighbours",
        entry -> new Safetensors.Entry(entry.type(), new long[] {entry.count()}, entry.data()));
    assertNotLoaded(path.toString(), "neighbours is I32 [96]");
  }

  @ParameterizedTest
  @CsvSource({
    "adamw.first, NaN, NaN",
    "adamw.second, -1, -1",
    "momentum, NaN, NaN",
    "queue.images, Infinity, Infinity",
    "queue.texts, NaN, NaN"
  })
  void aNumberThatNoTrainingHasIsNamedByItsTensor(String name, double value, String told)
      throws IOException {
    Path path = checkpoint.resolve("training.safetensors");
    Sums.set(path, name, value);
    assertNotResumed(path.toString(), "tensor " + name + " holds " + told, "earlier checkpoint");
  }

  /** Finite weights can still be too large to compute with. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "image_encoder.layernorm.weight",
        "text_encoder.encoder.layer.0.output.LayerNorm.weight"
      })
  void scoresThatAreNotNumbersAreRefused(String name) throws Exception {
    Sums.fill(checkpoint.resolve("model.safetensors"), name, Float.MAX_VALUE);
    RgbImage image = new Shapes().get(0).image();
    List<String> captions = List.of("red bar", "blue frame");
    try (NasModel model = NasModel.load(checkpoint)) {
      List<ThrowingCallable> uses =
          List.of(
              () -> model.score(image, captions),
              () ->
                  model.itcScorer().score(List.of(image), captions, new int[2], new int[] {0, 1}));
      for (ThrowingCallable use : uses) {
        assertThatThrownBy(use)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContainingAll("not finite", "earlier checkpoint");
      }
    }
  }
}
