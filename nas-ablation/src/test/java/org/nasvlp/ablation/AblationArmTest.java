package org.nasvlp.ablation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;

class AblationArmTest {
  @TempDir private Path folder;

  @Test
  void aPatchChangesItsFieldsAlone() {
    NasConfig base = NasConfig.preset("tiny");
    NasConfig config = new AblationArm("a", "{\"nva\": {\"neighbours\": 3}}").apply(base);
    assertThat(config.nva().neighbours()).isEqualTo(3);
    assertThat(config.nva().ratio()).isEqualTo(base.nva().ratio());
    assertThat(config.toBuilder().nva(base.nva()).build()).isEqualTo(base);
    assertThat(new AblationArm("a", "{}").apply(base)).isEqualTo(base);
  }

  @Test
  void theBuiltInArmsFitEveryPreset() {
    List<AblationArm> arms = AblationArm.builtIn();
    assertThat(arms.stream().map(AblationArm::name))
        .startsWith("itc+itm+mlm", "+vd", "+vd+nva")
        .endsWith("full");
    for (AblationArm arm : arms) {
      for (String preset : NasConfig.presets()) {
        assertThat(arm.apply(NasConfig.preset(preset))).as(arm.name()).isNotNull();
      }
    }
    assertThat(arms.getFirst().apply(NasConfig.preset("tiny")).nva().enabled()).isFalse();
    assertThat(arms.stream().map(arm -> arm.apply(NasConfig.preset("tiny"))))
        .doesNotHaveDuplicates();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      textBlock =
          """
          {"nva": {"radios": 3}};           unknown field nva.radios
          {"nvb": {}};                      unknown field nvb
          {"nva": 3};                       nva must be an object
          {"nva": {"ratio": 2}};            nva.ratio is 2.0: it must lie in (0, 1]
          {"nva": {"neighbours": "many"}};      nva.neighbours
          """)
  void aWrongPatchNamesTheArmAndTheField(String patch, String message) {
    AblationArm arm = new AblationArm("odd", patch);
    assertThatThrownBy(() -> arm.apply(NasConfig.preset("tiny")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("arm odd")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"training.seed", "training.steps", "training.minutes", "data.batchSize"})
  void whatArmsShareStaysOutOfAPatch(String field) {
    String[] parts = field.split("\\.", -1);
    assertThatThrownBy(
            () -> new AblationArm("a", "{\"%s\": {\"%s\": 4}}".formatted(parts[0], parts[1])))
        .hasMessageContaining("arm a: " + field + " cannot differ between arms");
    assertThatThrownBy(() -> new AblationArm("a", "{\"preset\": \"base\"}"))
        .hasMessageContaining("preset cannot differ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".", "..", "a/b", "a b", "é"})
  void aNameMustServeAsAFolder(String name) {
    assertThatThrownBy(() -> new AblationArm(name, "{}"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("arm '" + name + "'");
  }

  @Test
  void files() throws IOException {
    Path yaml =
        Files.writeString(
            folder.resolve("arms.yaml"),
            "- name: one\n- name: two\n  patch: {nva: {neighbours: 2}}\n");
    assertThat(AblationArm.load(yaml))
        .containsExactly(
            new AblationArm("one", "{}"), new AblationArm("two", "{\"nva\": {\"neighbours\": 2}}"));
    Path json = Files.writeString(folder.resolve("arms.json"), "[{\"name\": \"one\"}]");
    assertThat(AblationArm.load(json)).containsExactly(new AblationArm("one", "{}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      textBlock =
          """
          {};                                      must be a list of at least one arm
          [];                                      must be a list of at least one arm
          [{"patch": {}}];                         entry 1 needs a text as "name"
          [3];                                     entry 1 needs a text as "name"
          [{"name": "a", "pach": {}}];             entry 1: unknown field pach
          [{"name": "a", "patch": 3}];             arm a: its patch must be an object
          [{"name": "a"}, {"name": "a"}];          entry 2: the name a occurs twice
          [{"name": "a";                           arms.json: line 1
          [{"name": "a"}] [];                      arms.json: line 1: Trailing token
          [{"name": "a", "name": "b"}];            arms.json: line 1: Duplicate Object property "name"
          """)
  void aBadFileIsNamed(String text, String message) throws IOException {
    Path file = Files.writeString(folder.resolve("arms.json"), text);
    assertThatThrownBy(() -> AblationArm.load(file))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(message);
    assertThatThrownBy(() -> AblationArm.load(folder.resolve("arms.txt")))
        .hasMessageContaining(".json, .yaml or .yml");
  }
}
