package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.EditType;
import org.nasvlp.train.HardNegativeExample;

class HardNegativePartTest {
  @Test
  void kindsOfEditsTakeTurns() {
    List<HardNegativeExample> all = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      all.add(Samples.hardNegative("a red cup", "a blue cup", EditType.COLOR));
    }
    all.add(Samples.hardNegative("two red cups", "three red cups", EditType.NUMBER));
    all.add(Samples.hardNegative("a red cup", "a red hat", EditType.NOUN));
    List<HardNegativeExample> chosen = HardNegativePart.chosen(all);
    assertThat(chosen).hasSize(HardNegativePart.MOST);
    assertThat(chosen.subList(0, 3))
        .extracting(of -> of.edit().type())
        .containsExactly(EditType.COLOR, EditType.NUMBER, EditType.NOUN);
    assertThat(HardNegativePart.chosen(all.subList(0, 2))).hasSize(2);
    assertThat(HardNegativePart.chosen(List.of())).isEmpty();
  }
}
