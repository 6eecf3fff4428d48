package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class CosineCodebookTest {
  private static final int COUNT = 300;
  private static final int SIZE = 40;
  private static final int WIDTH = 19;

  private final SplittableRandom random = new SplittableRandom(9);

  private float[] vectors(int count) {
    float[] values = new float[count * WIDTH];
    for (int i = 0; i < count; i++) {
      double length = Math.exp(4 * random.nextGaussian());
      for (int t = 0; t < WIDTH; t++) {
        values[i * WIDTH + t] = (float) (length * random.nextGaussian());
      }
    }
    return values;
  }

  private static double cosine(float[] x, int i, float[] e, int j) {
    double dot = 0;
    double xx = 0;
    double ee = 0;
    for (int t = 0; t < WIDTH; t++) {
      double a = x[i * WIDTH + t];
      double b = e[j * WIDTH + t];
      dot += a * b;
      xx += a * a;
      ee += b * b;
    }
    return dot / Math.sqrt(xx * ee);
  }

  private static List<Backend> backends() {
    List<Backend> backends = new ArrayList<>(List.of(Backend.JAVA));
    if (Kernels.isAvailable(Backend.CPU)) {
      backends.add(Backend.CPU);
    }
    return backends;
  }

  /** Of these rows no two codewords' cosines are closer than float32 can tell. */
  @Test
  void findsTheHighestCosine() {
    float[] codewords = vectors(SIZE);
    float[] x = vectors(COUNT);
    for (Backend backend : backends()) {
      try (Arena arena = Arena.ofShared();
          CosineCodebook codebook = CosineCodebook.create(backend, codewords, SIZE, WIDTH)) {
        MemorySegment codes = arena.allocate(4L * COUNT, 64);
        MemorySegment cosines = arena.allocate(4L * COUNT, 64);
        codebook.lookup(
            Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, x), COUNT, WIDTH), codes, cosines);
        for (int i = 0; i < COUNT; i++) {
          int best = 0;
          for (int j = 1; j < SIZE; j++) {
            best = cosine(x, i, codewords, j) > cosine(x, i, codewords, best) ? j : best;
          }
          assertThat(codes.getAtIndex(ValueLayout.JAVA_INT, i)).isEqualTo(best);
          // Rounding of the entries to float32 and of the distance: some 1e-7 each.
          assertThat((double) cosines.getAtIndex(ValueLayout.JAVA_FLOAT, i))
              .isCloseTo(cosine(x, i, codewords, best), within(1e-6));
        }
        assertThat(codebook.lookup(x)).containsExactly(codes.toArray(ValueLayout.JAVA_INT));
      }
    }
  }

  /** By the formula of {@link MomentumUpdate} on unit vectors, and the same on all backends. */
  @Test
  void anUpdateTurnsCodewords() {
    MomentumUpdate update = new MomentumUpdate(0.75, 1e-5, 0);
    List<CodebookState> states = new ArrayList<>();
    for (Backend backend : backends()) {
      try (Arena arena = Arena.ofShared();
          CosineCodebook codebook =
              CosineCodebook.create(backend, new float[] {2, 0, 0, 5}, 2, 2)) {
        Rows rows = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, 30, 40, 0, 7), 2, 2);
        codebook.update(rows, arena.allocateFrom(ValueLayout.JAVA_INT, 0, 1), update);
        CodebookState state = codebook.codebook().state();
        states.add(state);
        // m of the first is ¾ (1, 0) + ¼ (0.6, 0.8), which keeps its length.
        assertThat(state.m()[0]).isCloseTo(0.9f, within(1e-6f));
        assertThat(state.m()[1]).isCloseTo(0.2f, within(1e-6f));
        double length = Math.hypot(0.9, 0.2);
        assertThat((double) state.codewords()[0]).isCloseTo(0.9 / length, within(1e-6));
        assertThat((double) state.codewords()[1]).isCloseTo(0.2 / length, within(1e-6));
        assertThat(state.codewords()[2]).isZero();
        assertThat(state.codewords()[3]).isEqualTo(1);
        assertThat(state.n()).containsExactly(1, 1);
      }
    }
    assertThat(states).allMatch(states.getFirst()::equals);
    try (CosineCodebook codebook = CosineCodebook.create(new float[] {2, 0, 0, 5}, 2, 2)) {
      codebook.update(new float[] {30, 40, 0, 7}, new int[] {0, 1}, update);
      assertThat(codebook.codebook().state()).isEqualTo(states.getFirst());
      assertThatThrownBy(() -> codebook.update(new float[3], new int[] {0, 1}, update))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("x holds 3 floats, but 2 codes of width 2 need 4");
    }
  }

  @Test
  void lengthsDoNotMatter() {
    float[] codewords = vectors(SIZE);
    float[] x = vectors(COUNT);
    float[] longer = x.clone();
    for (int i = 0; i < longer.length; i++) {
      longer[i] *= 1024;
    }
    try (CosineCodebook codebook = CosineCodebook.create(codewords, SIZE, WIDTH)) {
      assertThat(codebook.lookup(longer)).containsExactly(codebook.lookup(x));
      assertThat(codebook.lookup(new float[WIDTH])).hasSize(1);
      assertThat(codebook.lookup(new float[0])).isEmpty();
    }
  }

  @Test
  void badInputIsNamed() {
    assertThatThrownBy(() -> CosineCodebook.create(new float[] {1, 0, 0, 0}, 2, 2))
        .hasMessageContaining("codeword 1 is zero and has no direction");
    assertThatThrownBy(() -> CosineCodebook.create(new float[3], 2, 2))
        .hasMessageContaining("codewords holds 3 floats");
    try (CosineCodebook codebook = CosineCodebook.create(new float[] {1, 0, 0, 1}, 2, 2)) {
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
        assertThatThrownBy(() -> codebook.lookup(new float[] {1, 2, bad, 2}))
            .isInstanceOfSatisfying(
                NonFiniteInputException.class, e -> assertThat(e.row()).isEqualTo(1));
      }
      assertThatThrownBy(() -> codebook.lookup(new float[3]))
          .hasMessageContaining("no multiple of the width 2");
    }
  }
}
