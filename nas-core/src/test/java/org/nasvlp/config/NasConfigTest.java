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
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class NasConfigTest {
  @TempDir Path folder;

  @ParameterizedTest
  @MethodSource("org.nasvlp.config.NasConfig#presets")
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
            optimizer: {epsilon: 1e-7}
            """);
    NasConfig config = NasConfig.load(file);
    assertThat(config.model()).isEqualTo(NasConfig.preset("base").model());
    assertThat(config.training().seed()).isEqualTo(9);
    assertThat(config.training().steps()).isEqualTo(NasConfig.preset("base").training().steps());
    assertThat(config.nva().loss()).isEqualTo(HardNegativeLoss.PAIRWISE);
    assertThat(config.optimizer().epsilon()).isEqualTo(1e-7);
    Path json = Files.writeString(folder.resolve("c.json"), "{\"training\":{\"seed\":9}}");
    assertThat(NasConfig.load(json).model()).isEqualTo(NasConfig.preset("tiny").model());
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
        "{\"nva\":{\"neighbours\":600}}|nva.neighbours is 600: it must be below"
            + " dictionary.codewords (512)",
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

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"nva": {"radius": 8}}                    | nva.radius is now nva.neighbours
          {"dictionary": {"neighbourSteps": 5}}     | dictionary.neighbourRefreshSteps
          {"model": {"fusionInput": "QUANTISED"}}   | is now model.fusionInput QUANTIZED
          {"nva": {"substitute": "WORD"}}           | nva.choose GAIN with nva.substitute EVIDENCE
          {"nva": {"substitute": "NEIGHBOUR"}}      | nva.choose RELEVANCE with nva.substitute DRAW
          {"nta": {"typeWeights": {"COLOUR": 2}}}   | nta.typeWeights.COLOR
          """)
  void namesOfEarlierVersionsAreToldTheNewOnes(String json, String message) {
    assertThatThrownBy(() -> NasConfig.fromJson(json, "config.json"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("config.json: written for an earlier version: ")
        .hasMessageContaining(message);
    assertThatThrownBy(() -> NasConfig.preset("tiny").merge(json, "an arm"))
        .hasMessageStartingWith("an arm: written for an earlier version: ")
        .hasMessageContaining(message);
  }

  @Test
  void allEarlierNamesAreToldAtOnce() {
    assertThatThrownBy(
            () ->
                NasConfig.fromJson(
                    "{\"nva\":{\"radius\":8,\"substitute\":\"WORD\"}}", "config.json"))
        .hasMessageContaining("nva.radius is now nva.neighbours; nva.substitute WORD is now");
  }

  @Test
  void mergingChangesTheFieldsNamedAlone() {
    NasConfig emoji = NasConfig.preset("emoji");
    assertThat(emoji.merge("{\"nva\":{\"ratio\":0.25},\"training\":{\"seed\":3}}", "x"))
        .isEqualTo(emoji.withNva(nva -> nva.ratio(0.25)).withTraining(t -> t.seed(3)));
    assertThat(emoji.merge("{}", "x")).isEqualTo(emoji);
    assertThatThrownBy(() -> emoji.merge("{\"preset\":\"tiny\"}", "x"))
        .hasMessageContaining("x: unknown field preset");
    assertThatThrownBy(() -> emoji.merge("[]", "x")).hasMessageContaining("is an object of");
  }

  @Test
  void everySectionCanBeChanged() {
    NasConfig tiny = NasConfig.preset("tiny");
    NasConfig changed =
        tiny.withModel(model -> model.width(96))
            .withDictionary(dictionary -> dictionary.codewords(64))
            .withNva(nva -> nva.neighbours(7))
            .withNta(nta -> nta.weight(0.5))
            .withObjective(objective -> objective.queue(640))
            .withOptimizer(optimizer -> optimizer.beta1(0.8))
            .withData(data -> data.batchSize(32))
            .withTraining(training -> training.steps(11));
    assertThat(changed)
        .isEqualTo(
            NasConfig.fromJson(
                """
                {"model": {"width": 96}, "dictionary": {"codewords": 64}, "nva": {"neighbours": 7},
                 "nta": {"weight": 0.5}, "objective": {"queue": 640}, "optimizer": {"beta1": 0.8},
                 "data": {"batchSize": 32}, "training": {"steps": 11}}
                """,
                "test"));
    assertThat(tiny).isEqualTo(NasConfig.preset("tiny"));
  }

  @Test
  void whatHoldsOnlyTogetherIsChangedTogether() {
    NasConfig tiny = NasConfig.preset("tiny");
    assertThatThrownBy(() -> tiny.withData(data -> data.batchSize(48)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("objective.queue is 2048: it must be a multiple of data.batchSize");
    NasConfig curriculum = tiny.withData(data -> data.singleThingSteps(100));
    assertThatThrownBy(() -> curriculum.withNta(nta -> nta.enabled(false)))
        .hasMessageContaining("data.singleThingSteps is 100: it must be 0 where nta.enabled");
    NasConfig mirrored = tiny.withNva(nva -> nva.mirrorWeight(1));
    assertThatThrownBy(() -> mirrored.withNta(nta -> nta.enabled(false)))
        .hasMessageContaining("nva.mirrorWeight is 1.0: it must be 0 where nta.enabled is false");
    NasConfig both =
        tiny.toBuilder()
            .data(data -> data.batchSize(48))
            .objective(objective -> objective.queue(480))
            .build();
    assertThat(both.data().batchSize()).isEqualTo(48);
    assertThat(both.objective().queue()).isEqualTo(480);
  }

  @ParameterizedTest
  @EnumSource(NvaConfig.Control.class)
  void controlsThatNeedEvidenceAreRefusedWithoutIt(NvaConfig.Control control) {
    NvaConfigBuilder drawn =
        NvaConfig.defaults().toBuilder()
            .choose(NvaConfig.Choose.RELEVANCE)
            .substitute(NvaConfig.Substitute.DRAW)
            .control(control);
    if (control == NvaConfig.Control.CROSSED || control == NvaConfig.Control.MATCHED) {
      assertThatThrownBy(drawn::build)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("nva.control is " + control)
          .hasMessageContaining("nva.substitute is not EVIDENCE");
    } else {
      assertThat(drawn.build().usesWords()).isFalse();
    }
    NvaConfig towards = NvaConfig.defaults().toBuilder().control(control).build();
    assertThat(towards.usesWords()).isTrue();
    assertThat(towards.toBuilder().choose(NvaConfig.Choose.RELEVANCE).build().usesWords()).isTrue();
    assertThat(towards.toBuilder().enabled(false).build().usesWords()).isFalse();
  }

  @Test
  void gainNeedsWordsWhateverTheSubstitute() {
    NvaConfig config =
        NvaConfig.defaults().toBuilder()
            .substitute(NvaConfig.Substitute.DRAW)
            .control(NvaConfig.Control.NONE)
            .build();
    assertThat(config.choose()).isEqualTo(NvaConfig.Choose.GAIN);
    assertThat(config.usesWords()).isTrue();
  }

  @Test
  void otherFileTypesAreRefused() {
    assertThatThrownBy(() -> NasConfig.load(folder.resolve("c.toml")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(".json, .yaml or .yml");
  }
}
