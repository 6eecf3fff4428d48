package org.nasvlp.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;

class NtaConfigTest {
  private static NtaConfig config(double weight, double words, Map<EditType, Double> types) {
    return NtaConfig.defaults().toBuilder()
        .weight(weight)
        .loss(HardNegativeLoss.PAIRWISE)
        .inContrast(true)
        .wordShare(words)
        .typeWeights(types)
        .build();
  }

  @Test
  void typesLeftOutWeighOne() {
    NtaConfig config = config(1, 0, Map.of(EditType.NOUN, 2.0));
    assertThat(config.typeWeights())
        .hasSize(EditType.values().length - 1)
        .containsEntry(EditType.NOUN, 2.0)
        .containsEntry(EditType.TONE, 1.0)
        .doesNotContainKey(EditType.WORD);
  }

  @Test
  void valuesOutOfRangeAreNamed() {
    assertThatThrownBy(() -> config(-1, 0, Map.of())).hasMessageContaining("nta.weight is -1");
    assertThatThrownBy(() -> NtaConfig.defaults().toBuilder().share(-0.1).build())
        .hasMessageContaining("nta.share is -0.1");
    assertThatThrownBy(() -> config(1, 1.5, Map.of())).hasMessageContaining("nta.wordShare is 1.5");
    assertThatThrownBy(() -> config(1, 0, Map.of(EditType.NOUN, Double.NaN)))
        .hasMessageContaining("nta.typeWeights.NOUN is NaN");
    assertThatThrownBy(() -> config(1, 0, Map.of(EditType.WORD, 1.0)))
        .hasMessageContaining("nta.wordShare sets");
    NtaConfig defaults = NtaConfig.defaults();
    Map<EditType, Double> none = new java.util.EnumMap<>(defaults.typeWeights());
    none.replaceAll((type, weight) -> 0.0);
    assertThatThrownBy(() -> config(1, 0, none)).hasMessageContaining("must leave one type");
    assertThat(config(1, 1, none).wordShare()).isEqualTo(1);
  }

  @Test
  void jsonIsReadBack() {
    JsonMapper json = JsonMapper.builder().build();
    NtaConfig config = config(0.5, 0.25, Map.of(EditType.NOUN, 0.0));
    assertThat(json.readValue(json.writeValueAsString(config), NtaConfig.class)).isEqualTo(config);
  }
}
