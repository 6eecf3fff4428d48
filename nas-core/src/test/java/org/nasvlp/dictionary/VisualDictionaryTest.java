package org.nasvlp.dictionary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.negatives.NegativeVisualAugmentation;

class VisualDictionaryTest {
  private static final int WIDTH = 3;

  private static DictionaryConfig config(int codewords) {
    return new DictionaryConfig(codewords, 0.5, 1e-5, 0.3, 2, 0, 1);
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
  void quantisedTokensHaveTheCodewordsValueAndTheTokensGradient() {
    try (VisualDictionary dictionary = VisualDictionary.start(config(4), corners(), WIDTH, 1);
        PointerScope scope = new PointerScope()) {
      Tensor tokens = Torch.floats(new float[] {9, 2, 1, 29, 9, -1}, 1, 2, WIDTH);
      tokens.set_requires_grad(true);
      Tensor codes = dictionary.lookup(tokens);
      Tensor quantised = dictionary.quantise(tokens, codes);
      float[] values = Torch.toFloats(quantised.detach());
      float[] expected = {10, 1, 0, 30, 9, 0};
      for (int i = 0; i < values.length; i++) {
        assertThat(values[i]).isCloseTo(expected[i], Offset.offset(1e-5f));
      }
      Tensor weights = Torch.floats(new float[] {1, 2, 3, 4, 5, 6}, 1, 2, WIDTH);
      quantised.mul(weights).sum().backward();
      assertThat(Torch.toFloats(tokens.grad())).containsExactly(1, 2, 3, 4, 5, 6);
    }
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

  @Test
  void hardNegativeImagesDifferAtTheChosenTokensOnly() {
    int batch = 5;
    int count = 9;
    int width = 4;
    Random random = new Random(2);
    float[] features = new float[64 * width];
    for (int i = 0; i < features.length; i++) {
      features[i] = (float) random.nextGaussian();
    }
    for (FusionInput mode : FusionInput.values()) {
      try (VisualDictionary dictionary = VisualDictionary.start(config(32), features, width, 1);
          PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false)) {
        dictionary.refreshNeighbours(8);
        float[] raw = Arrays.copyOf(features, batch * count * width);
        Tensor tokens = Torch.floats(raw, batch, count, width);
        Tensor codes = dictionary.lookup(tokens);
        if (mode == FusionInput.QUANTISED) {
          tokens = dictionary.quantise(tokens, codes).contiguous();
        }
        float[] similarity = new float[batch * count];
        for (int i = 0; i < similarity.length; i++) {
          similarity[i] = i % count;
        }
        Tensor scores = Torch.floats(similarity, batch, count);
        var nva =
            new NegativeVisualAugmentation(
                new NvaConfig(true, 0.3, 8, 0.5, 1, 0, 0, NvaConfig.Loss.BALANCED), mode, 77);
        assertThat(nva.chosen(count)).isEqualTo(3);
        var negatives =
            nva.swap(dictionary, tokens, codes, scores, scores, new long[] {1, 2, 3, 4, 5}, 0);
        float[] before = Torch.toFloats(tokens);
        float[] after = Torch.toFloats(negatives.tokens());
        int swapped = 0;
        for (int b = 0; b < batch; b++) {
          for (int i = 0; i < count; i++) {
            boolean flagged =
                Torch.segment(negatives.swapped()).get(ValueLayout.JAVA_BYTE, b * count + i) != 0;
            int from = (b * count + i) * width;
            boolean same =
                Arrays.equals(
                    Arrays.copyOfRange(before, from, from + width),
                    Arrays.copyOfRange(after, from, from + width));
            assertThat(same).isEqualTo(!flagged);
            if (flagged) {
              // The scores rise with the position: the last three are chosen.
              assertThat(i).isGreaterThanOrEqualTo(count - 3);
              swapped++;
            }
          }
        }
        assertThat(negatives.count()).isEqualTo(swapped).isPositive();
        assertThat(negatives.tokens().sub(tokens).abs().amax().gt(new Scalar(0)).item_bool())
            .isTrue();
      }
    }
  }
}
