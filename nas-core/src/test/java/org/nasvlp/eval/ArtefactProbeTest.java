package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;

class ArtefactProbeTest {
  private static final int COUNT = 16;
  private static final int WIDTH = 8;
  private static final int CODES = 20;

  private final Random random = new Random(5);

  private float[] tokens(double scale) {
    float[] tokens = new float[COUNT * WIDTH];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (float) (scale * random.nextGaussian());
    }
    return tokens;
  }

  private int[] codes(int among) {
    return random.ints(COUNT, 0, among).toArray();
  }

  @Test
  void equalStatisticsAreToldByChance() {
    ArtefactProbe probe = new ArtefactProbe(CODES);
    for (int i = 0; i < 600; i++) {
      probe.add(tokens(1), codes(CODES), tokens(1), codes(CODES));
    }
    assertThat(probe.result().images()).isEqualTo(600);
    // 1,200 answers by chance: a standard deviation of 1.4 %.
    assertThat(probe.result().accuracy()).isBetween(0.44, 0.56);
  }

  @Test
  void anotherNormIsToldSurely() {
    ArtefactProbe probe = new ArtefactProbe(CODES);
    for (int i = 0; i < 100; i++) {
      probe.add(tokens(1), codes(CODES), tokens(2), codes(CODES));
    }
    assertThat(probe.result().accuracy()).isGreaterThan(0.95);
  }

  @Test
  void otherCodesAreTold() {
    ArtefactProbe probe = new ArtefactProbe(CODES);
    for (int i = 0; i < 200; i++) {
      probe.add(tokens(1), codes(CODES / 2), tokens(1), codes(CODES));
    }
    assertThat(probe.result().accuracy()).isGreaterThan(0.95);
  }

  @Test
  void fewImagesAreRefused() {
    ArtefactProbe probe = new ArtefactProbe(CODES);
    probe.add(tokens(1), codes(CODES), tokens(1), codes(CODES));
    assertThatThrownBy(probe::result)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("at least 5 images, it has 1");
  }
}
