package org.nasvlp.negatives;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MirrorTest {
  @Test
  void aGridOfThreeByThree() {
    assertThat(Mirror.LEFT_RIGHT.positions(3)).containsExactly(2, 1, 0, 5, 4, 3, 8, 7, 6);
    assertThat(Mirror.TOP_BOTTOM.positions(3)).containsExactly(6, 7, 8, 3, 4, 5, 0, 1, 2);
  }

  @ParameterizedTest
  @EnumSource(Mirror.class)
  void twiceGivesTheGridBack(Mirror mirror) {
    for (int side = 1; side <= 5; side++) {
      int[] once = mirror.positions(side);
      for (int i = 0; i < once.length; i++) {
        assertThat(once[once[i]]).isEqualTo(i);
      }
    }
  }
}
