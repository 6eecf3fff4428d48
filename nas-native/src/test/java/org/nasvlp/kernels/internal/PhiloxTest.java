package org.nasvlp.kernels.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.nasvlp.kernels.Kernels;

/** Against the known answers published with Random123. */
class PhiloxTest {
  @Test
  void knownAnswers() {
    assertThat(Philox.block(0, 0, 0, 0, 0, 0))
        .containsExactly(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    assertThat(Philox.block(-1, -1, -1, -1, -1, -1))
        .containsExactly(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    assertThat(Philox.block(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344))
        .containsExactly(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
  }

  @Test
  void drawPlacesSeedSampleStepAndPosition() {
    // The third known answer, put together from the arguments of a draw.
    assertThat(Kernels.draw(0x299f31d0a4093822L, 0x03707344, 0x85a308d3243f6a88L, 0x13198a2e))
        .isEqualTo(0x94fdccebd16cfe09L);
    assertThat(Kernels.draw(0, 0, 0, 0)).isEqualTo(0xe169c58d6627e8d5L);
  }

  @Test
  void uniformIsTheHighProduct() {
    Random random = new Random(5);
    for (int i = 0; i < 1000; i++) {
      long draw = i == 0 ? -1 : i == 1 ? 0 : random.nextLong();
      int n = i % 3 == 0 ? 1 + random.nextInt(4) : 1 + random.nextInt(Integer.MAX_VALUE);
      int expected =
          new BigInteger(Long.toUnsignedString(draw))
              .multiply(BigInteger.valueOf(n))
              .shiftRight(64)
              .intValueExact();
      assertThat(Kernels.uniform(draw, n)).isEqualTo(expected).isBetween(0, n - 1);
    }
    assertThatIllegalArgumentException().isThrownBy(() -> Kernels.uniform(1, 0));
  }
}
