package org.nasvlp.dictionary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.NonFiniteInputException;

class VisualDictionaryTest {
  private static final int WIDTH = 3;

  private static DictionaryConfig config(int codewords) {
    return DictionaryConfig.defaults(codewords).toBuilder()
        .momentum(0.5)
        .deadThreshold(0.3)
        .deadSteps(2)
        .collapseShare(0.05)
        .build();
  }

  private static float[] corners() {
    // Four well separated points, each three times.
    float[] features = new float[12 * WIDTH];
    for (int i = 0; i < 12; i++) {
      features[i * WIDTH] = (i % 4) * 10;
      features[i * WIDTH + 1] = (i % 4) * (i % 4);
    }
    return features;
  }

  @Test
  void kMeansPlusPlusTakesEveryClusterOnce() {
    for (long seed = 0; seed < 50; seed++) {
      try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, seed);
          PointerScope scope = new PointerScope()) {
        float[] codewords = Torch.toFloats(dictionary.codewords());
        double[] first = new double[4];
        Arrays.setAll(first, j -> codewords[j * WIDTH]);
        assertThat(first).containsExactlyInAnyOrder(0, 10, 20, 30);
      }
    }
  }

  @Test
  void moreCodewordsThanDistinctFeaturesStillStart() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(6), corners(), WIDTH, 1)) {
      assertThat(dictionary.size()).isEqualTo(6);
    }
    assertThatThrownBy(() -> VisualDictionary.start(config(13), corners(), WIDTH, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("13 codewords")
        .hasMessageContaining("lower dictionary.codewords");
  }

  @Test
  void quantizedTokensHaveTheCodewordsValueAndTheTokensGradient() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {9, 2, 1, 29, 9, -1}, 1, 2, WIDTH);
      tokens.set_requires_grad(true);
      Tensor codes = dictionary.lookup(tokens);
      Tensor quantized = dictionary.quantize(tokens, codes);
      float[] values = Torch.toFloats(quantized.detach());
      float[] expected = {10, 1, 0, 30, 9, 0};
      for (int i = 0; i < values.length; i++) {
        assertThat(values[i]).isCloseTo(expected[i], Offset.offset(1e-5f));
      }
      Tensor weights = Torch.floats(new float[] {1, 2, 3, 4, 5, 6}, 1, 2, WIDTH);
      quantized.mul(weights).sum().backward();
      assertThat(Torch.toFloats(tokens.grad())).containsExactly(1, 2, 3, 4, 5, 6);
    }
  }

  /** The gradient by the matrix of the rotation, in float64. */
  @Test
  void rotatedTokensHaveTheCodewordsValueAndATurnedGradient() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      float[] given = {9, 2, 1, 29, 9, -1, 8, -3, 2};
      double[] codewords = {10, 1, 0, 30, 9, 0, 10, 1, 0};
      float[] weights = {1, 2, 3, 4, 5, 6, -1, 0, 2};
      Tensor tokens = Torch.floats(given, 1, 3, WIDTH);
      tokens.set_requires_grad(true);
      Tensor rotated = dictionary.rotate(tokens, dictionary.lookup(tokens));
      float[] values = Torch.toFloats(rotated.detach());
      rotated.mul(Torch.floats(weights, 1, 3, WIDTH)).sum().backward();
      float[] gradient = Torch.toFloats(tokens.grad());
      for (int i = 0; i < 3; i++) {
        double[] e = unit(given[3 * i], given[3 * i + 1], given[3 * i + 2]);
        double[] q = unit(codewords[3 * i], codewords[3 * i + 1], codewords[3 * i + 2]);
        double[] r = unit(e[0] + q[0], e[1] + q[1], e[2] + q[2]);
        double scale = q[3] / e[3];
        for (int column = 0; column < WIDTH; column++) {
          double expected = 0;
          for (int row = 0; row < WIDTH; row++) {
            double matrix =
                (row == column ? 1 : 0) - 2 * r[row] * r[column] + 2 * q[row] * e[column];
            expected += scale * matrix * weights[3 * i + row];
          }
          assertThat((double) gradient[3 * i + column]).isCloseTo(expected, Offset.offset(1e-4));
          assertThat((double) values[3 * i + column])
              .isCloseTo(codewords[3 * i + column], Offset.offset(1e-4));
        }
      }
    }
  }

  /** A token of zeros, the opposite of its codeword, and a codeword of zeros. */
  @Test
  void whatHasNoDirectionRotatesToSomethingFinite() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {0, 0, 0, -10, -1, 0, 1, 0, 0}, 1, 3, WIDTH);
      tokens.set_requires_grad(true);
      Tensor codes = dictionary.lookup(tokens);
      int ten = Torch.toInts(dictionary.lookup(Torch.floats(new float[] {10, 1, 0}, 1, 1, 3)))[0];
      Torch.segment(codes).setAtIndex(ValueLayout.JAVA_INT, 1, ten);
      Tensor rotated = dictionary.rotate(tokens, codes);
      rotated.sum().backward();
      for (Tensor of : List.of(rotated.detach(), tokens.grad())) {
        for (float value : Torch.toFloats(of)) {
          assertThat(value).isFinite();
        }
      }
    }
  }

  /** A direction, and behind it the length. */
  private static double[] unit(double x, double y, double z) {
    double length = Math.sqrt(x * x + y * y + z * z);
    return new double[] {x / length, y / length, z / length, length};
  }

  @Test
  void theUpdateMovesHalfwayAndUnusedCodesRestart() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      // Every token is at the corner (0, 0, 0), so that three codes go unused.
      Tensor tokens = Torch.floats(new float[] {0.1f, 0, 0, 0.3f, 0, 0}, 1, 2, WIDTH);
      Tensor codes = dictionary.lookup(tokens);
      int home = Torch.segment(codes).get(ValueLayout.JAVA_INT, 0);
      // n of unused codes: 0.5, then 0.25 and 0.125, both below the threshold: restart after three.
      assertThat(dictionary.update(tokens, codes, 1, 0)).isZero();
      var state = dictionary.state().codebook();
      assertThat(state.n()[home]).isEqualTo(0.5 * 1 + 0.5 * 2);
      // m = (0 + 0.4) / 2, n = 1.5; smoothing shifts by about 1e-5.
      assertThat(state.codewords()[home * WIDTH])
          .isCloseTo((float) (0.2 / 1.5), Offset.offset(1e-5f));
      assertThat(dictionary.health().live()).isEqualTo(4);
      assertThat(dictionary.update(tokens, codes, 1, 1)).isZero();
      assertThat(dictionary.health().live()).isEqualTo(1);
      assertThat(dictionary.update(tokens, codes, 1, 2)).isEqualTo(3);
      state = dictionary.state().codebook();
      for (int j = 0; j < 4; j++) {
        if (j != home) {
          assertThat(state.n()[j]).isEqualTo(1);
          assertThat(state.deadSteps()[j]).isZero();
          assertThat(state.codewords()[j * WIDTH]).isIn(0.1f, 0.3f);
          assertThat(state.m()[j * WIDTH]).isEqualTo(state.codewords()[j * WIDTH]);
        }
      }
      assertThat(dictionary.health().restarts()).isEqualTo(3);
    }
  }

  @Test
  void perplexityOfEvenUseIsTheNumberOfCodes() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1)) {
      assertThat(dictionary.health().perplexity()).isCloseTo(4, Offset.offset(1e-12));
    }
  }

  @Test
  void useIsTheShareOfTheSmoothedCounts() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      assertThat(dictionary.use()).containsExactly(0.25, 0.25, 0.25, 0.25);
      Tensor tokens = Torch.floats(new float[] {1, 0, 0, 1, 0, 0}, 2, WIDTH);
      dictionary.update(tokens, dictionary.lookup(tokens), 1, 1);
      double[] n = dictionary.state().codebook().n();
      double sum = Arrays.stream(n).sum();
      assertThat(dictionary.use())
          .containsExactly(
              Arrays.stream(n).map(count -> count / sum).toArray(), Offset.offset(1e-15));
      assertThat(Arrays.stream(dictionary.use()).max().orElseThrow()).isGreaterThan(0.25);
    }
  }

  @Test
  void aNonFiniteTokenIsNamed() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {1, 2, 3, Float.NaN, 0, 0}, 2, WIDTH);
      assertThatThrownBy(() -> dictionary.lookup(tokens))
          .isInstanceOfSatisfying(
              NonFiniteInputException.class, e -> assertThat(e.row()).isEqualTo(1));
      assertThatThrownBy(() -> dictionary.lookup(Torch.zeros(2, 5)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("width 5")
          .hasMessageContaining("width 3");
    }
  }

  /** 32 codewords at 0, 10, 20, ... on a line, and 2 images of 4 tokens near some of them. */
  private static VisualDictionary line() {
    float[] features = new float[32];
    for (int i = 0; i < 32; i++) {
      features[i] = 10 * i;
    }
    return VisualDictionary.start(config(32), features, 1, 1);
  }

  @Test
  void anEpochsPerplexityWorkedByHand() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      // Of eight tokens four have one code, two another, and two a third: entropy 1.5 bits.
      Tensor tokens = Torch.floats(new float[] {0, 0, 0, 0, 50, 50, 90, 90}, 2, 4, 1);
      dictionary.update(tokens, dictionary.lookup(tokens), 1, 0);
      assertThat(dictionary.endEpoch()).isCloseTo(Math.pow(2, 1.5), Offset.offset(1e-9));
      Tensor one = Torch.floats(new float[] {0, 0}, 1, 2, 1);
      dictionary.update(one, dictionary.lookup(one), 1, 1);
      assertThat(dictionary.endEpoch()).isCloseTo(1, Offset.offset(1e-9));
    }
  }

  @Test
  void codewordsAreSeenWhereTheyLie() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      Tensor codewords = dictionary.codewords();
      float[] before = Torch.toFloats(codewords);
      Tensor tokens = Torch.floats(new float[] {4, 4, 4, 4}, 1, 4, 1);
      dictionary.update(tokens, dictionary.lookup(tokens), 1, 0);
      assertThat(Torch.toFloats(codewords))
          .isNotEqualTo(before)
          .isEqualTo(dictionary.state().codebook().codewords());
      assertThat(dictionary.calls().stateReads()).isEqualTo(1);
    }
  }

  @Test
  void anEnqueuedLookupGivesTheCodesOfOneThatWaitsAndTellsOfABadToken() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {4, 149, 31, 310}, 1, 4, 1);
      assertThat(Torch.toInts(dictionary.enqueueLookup(tokens)))
          .isEqualTo(Torch.toInts(dictionary.lookup(tokens)));
      dictionary.check();
      Tensor bad = Torch.floats(new float[] {4, 149, Float.NaN, 310}, 1, 4, 1);
      assertThatThrownBy(
              () -> {
                dictionary.enqueueLookup(bad);
                dictionary.check();
              })
          .isInstanceOf(NonFiniteInputException.class)
          .hasMessageContaining("row 2");
      // What was told is not told again.
      dictionary.check();
    }
  }

  @Test
  void aStateIsPutBackWithListsAndCounts() {
    VisualDictionary.Saved saved;
    int[] lists;
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {4, 149, 31, 310}, 1, 4, 1);
      dictionary.update(tokens, dictionary.lookup(tokens), 1, 0);
      dictionary.refreshNeighbours(3);
      saved = dictionary.state();
      lists = Torch.toInts(dictionary.neighbours());
    }
    try (VisualDictionary again = VisualDictionary.restore(config(32), 1, saved, "cpu");
        PointerScope scope = new PointerScope()) {
      assertThat(Torch.toInts(again.neighbours())).isEqualTo(lists);
      assertThat(again.neighbourCount()).isEqualTo(3);
      assertThat(again.state()).usingRecursiveComparison().isEqualTo(saved);
    }
  }

  @Test
  void afterCloseEveryUseIsRefused() {
    VisualDictionary dictionary = line();
    dictionary.close();
    dictionary.close();
    for (Runnable use :
        List.<Runnable>of(
            dictionary::codewords,
            dictionary::health,
            dictionary::state,
            dictionary::endEpoch,
            dictionary::calls,
            () -> dictionary.refreshNeighbours(2),
            () -> dictionary.lookup(Torch.zeros(1, 1)))) {
      assertThatThrownBy(use::run)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the dictionary is closed");
    }
  }
}
