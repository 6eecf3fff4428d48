package org.nasvlp.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NasConfigTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"tiny", "base"})
  void presetsSurviveTheirOwnJson(String preset) {
    NasConfig config = NasConfig.preset(preset);
    assertThat(NasConfig.fromJson(config.toJson(), "test")).isEqualTo(config);
  }

  @Test
  void fieldsLeftOutAreThePresets() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("c.yaml"),
            """
            preset: base
            training:
              seed: 9
            nva:
              loss: PAIRWISE
            """);
    NasConfig config = NasConfig.load(file);
    assertThat(config.model()).isEqualTo(NasConfig.base().model());
    assertThat(config.training().seed()).isEqualTo(9);
    assertThat(config.training().steps()).isEqualTo(NasConfig.base().training().steps());
    assertThat(config.nva().loss()).isEqualTo(HardNegativeLoss.PAIRWISE);
    Path json = Files.writeString(folder.resolve("c.json"), "{\"training\":{\"seed\":9}}");
    assertThat(NasConfig.load(json).model()).isEqualTo(NasConfig.tiny().model());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"trainning\":{}}|unknown field trainning",
        "{\"nva\":{\"radios\":3}}|unknown field nva.radios",
        "{\"data\":{\"batchSize\":1}}|data.batchSize is 1: it must lie between 2",
        "{\"data\":{\"batchSize\":48}}|objective.queue is 2048: it must be a multiple of"
            + " data.batchSize",
        "{\"data\":{\"batchSize\":\"many\"}}|data.batchSize",
        "{\"data\":{\"batchSize\":2.5}}|data.batchSize",
        "{\"data\":7}|data must be an object",
        "{\"model\":{\"imageSize\":65}}|model.imageSize is 65: it must be a multiple of"
            + " model.patchSize (8)",
        "{\"model\":{\"width\":100}}|model.width is 100: it must be a multiple of 4 and of"
            + " model.heads",
        "{\"model\":{\"stem\":\"WAVELET\"}}|model.stem",
        "{\"nva\":{\"ratio\":0}}|nva.ratio is 0.0: it must lie in (0, 1]",
        "{\"nva\":{\"radius\":600}}|nva.radius is 600: it must be below dictionary.codewords (512)",
        "{\"optimizer\":{\"finalLearningRate\":1}}|optimizer.finalLearningRate is 1.0",
        "{\"preset\":\"huge\"}|unknown preset 'huge'",
        "[]|a configuration is an object",
        "{\"data\":|test.json",
        "{\"model\":null}|model must be an object",
        "{\"training\":{\"steps\":null}}|training.steps",
      })
  void whatIsWrongIsNamed(String json, String message) {
    assertThatThrownBy(() -> NasConfig.fromJson(json, "test.json"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("test.json: ")
        .hasMessageContaining(message);
  }

  @Test
  void otherFileTypesAreRefused() {
    assertThatThrownBy(() -> NasConfig.load(folder.resolve("c.toml")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(".json, .yaml or .yml");
  }
}
