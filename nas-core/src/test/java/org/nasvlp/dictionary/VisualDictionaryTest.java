package org.nasvlp.dictionary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
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
        if (mode == FusionInput.QUANTIZED) {
          tokens = dictionary.quantise(tokens, codes).contiguous();
        }
        float[] similarity = new float[batch * count];
        for (int i = 0; i < similarity.length; i++) {
          similarity[i] = i % count;
        }
        Tensor scores = Torch.floats(similarity, batch, count);
        var nva = new NegativeVisualAugmentation(nva(0.3, NvaConfig.Donor.CODEWORD), mode, 77);
        assertThat(nva.chosen(count)).isEqualTo(3);
        var negatives =
            nva.swap(
                dictionary,
                new NegativeVisualAugmentation.Images(
                    tokens, codes, scores, scores, new long[] {1, 2, 3, 4, 5}, 0));
        float[] before = Torch.toFloats(tokens);
        float[] after = Torch.toFloats(negatives.tokens());
        int swapped = 0;
        for (int b = 0; b < batch; b++) {
          boolean any = false;
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
              any = true;
            }
          }
          assertThat(negatives.valid()[b]).isEqualTo(any);
          swapped += any ? 1 : 0;
        }
        assertThat(negatives.count()).isEqualTo(swapped).isPositive();
        assertThat(negatives.tokens().sub(tokens).abs().amax().gt(new Scalar(0)).item_bool())
            .isTrue();
      }
    }
  }

  private static NvaConfig nva(double ratio, NvaConfig.Donor donor) {
    return NvaConfig.defaults().toBuilder()
        .ratio(ratio)
        .neighbours(8)
        .choose(NvaConfig.Choose.RELEVANCE)
        .substitute(NvaConfig.Substitute.DRAW)
        .donor(donor)
        .control(NvaConfig.Control.NONE)
        .build();
  }

  /** 32 codewords at 0, 10, 20, ... on a line, and 2 images of 4 tokens near some of them. */
  private static VisualDictionary line() {
    float[] features = new float[32];
    for (int i = 0; i < 32; i++) {
      features[i] = 10 * i;
    }
    return VisualDictionary.start(config(32), features, 1, 1);
  }

  private static int codeAt(VisualDictionary dictionary, float value) {
    try (PointerScope scope = new PointerScope()) {
      return Torch.segment(dictionary.lookup(Torch.floats(new float[] {value}, 1, 1, 1)))
          .get(ValueLayout.JAVA_INT, 0);
    }
  }

  private static NegativeVisualAugmentation.Images images(
      VisualDictionary dictionary, float[] values) {
    Tensor tokens = Torch.floats(values, 2, 4, 1);
    Tensor scores = Torch.floats(new float[] {0, 1, 2, 3, 3, 2, 1, 0}, 2, 4);
    return new NegativeVisualAugmentation.Images(
        tokens, dictionary.lookup(tokens), scores, scores, new long[] {7, 8}, 3);
  }

  @Test
  void theLeastRelevantTokensAreSwappedForAControl() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(8);
      var images = images(dictionary, new float[] {0, 51, 100, 149, 200, 201, 252, 300});
      var augmentation =
          new NegativeVisualAugmentation(
              nva(0.5, NvaConfig.Donor.CODEWORD), FusionInput.QUANTIZED, 5);
      assertThat(augmentation.swap(dictionary, images).positions())
          .isDeepEqualTo(new int[][] {{3, 2}, {0, 1}});
      assertThat(augmentation.swapIrrelevant(dictionary, images).positions())
          .isDeepEqualTo(new int[][] {{0, 1}, {3, 2}});
    }
  }

  @Test
  void aDonorIsARealTokenOfTheSubstitutesCode() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      // The substitutes of 1 are the codes of 10 and 20: 11 and 19 of the other image have them.
      var images = images(dictionary, new float[] {300, 300, 300, 1, 11, 19, 300, 300});
      int[] seen = new int[2];
      for (int seed = 0; seed < 50; seed++) {
        var negatives =
            new NegativeVisualAugmentation(
                    nva(0.25, NvaConfig.Donor.TOKEN), FusionInput.RESIDUAL, seed)
                .swap(dictionary, images);
        float put = Torch.toFloats(negatives.tokens())[3];
        assertThat(put).isIn(11f, 19f);
        seen[put == 11 ? 0 : 1]++;
      }
      assertThat(seen[0]).isBetween(10, 40);
    }
  }

  @Test
  void tokensAreSwappedTowardsAWord() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      int ten = codeAt(dictionary, 10);
      int twenty = codeAt(dictionary, 20);
      int thirty = codeAt(dictionary, 30);
      int far = codeAt(dictionary, 300);
      WordCodes words = new WordCodes(List.of("red", "blue"), 32);
      // Red images hold the code of 20, blue ones that of 10; all hold the code of 300.
      for (int i = 0; i < 20; i++) {
        words.add(
            new String[] {"a red cup", "a blue cup"},
            new int[] {twenty, thirty, far, far, ten, far, far, far});
      }
      var images = images(dictionary, new float[] {300, 21, 300, 22, 300, 300, 300, 11});
      var augmentation =
          new NegativeVisualAugmentation(
              nva(0.5, NvaConfig.Donor.CODEWORD), FusionInput.RESIDUAL, 5);
      var negatives =
          augmentation.swapTowards(
              dictionary,
              words,
              images,
              new NegativeVisualAugmentation.WordEdits(
                  new String[] {"red", "blue"}, new String[] {"blue", null}));
      // Both tokens of the code of 20 take the code of 10 and keep their residuals of 1 and 2.
      assertThat(negatives.positions()[0]).containsExactly(1, 3);
      assertThat(negatives.substitutes()[0]).containsExactly(ten, ten);
      assertThat(Torch.toFloats(negatives.tokens()))
          .containsExactly(300, 11, 300, 12, 300, 300, 300, 11);
      assertThat(negatives.valid()).containsExactly(true, false);
      // From red to blue nothing near 300 speaks for blue: an image without red codes stays.
      assertThat(
              augmentation
                  .swapTowards(
                      dictionary,
                      words,
                      images(dictionary, new float[] {300, 300, 300, 300, 300, 300, 300, 300}),
                      new NegativeVisualAugmentation.WordEdits(
                          new String[] {"red", "green"}, new String[] {"blue", "red"}))
                  .valid())
          .containsExactly(false, false);
    }
  }

  @Test
  void theSameTokensAreSwappedBackTowardsTheirOwnWord() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      int ten = codeAt(dictionary, 10);
      int twenty = codeAt(dictionary, 20);
      int thirty = codeAt(dictionary, 30);
      int far = codeAt(dictionary, 300);
      WordCodes words = new WordCodes(List.of("red", "blue"), 32);
      // Red images hold the codes of 20 and 30, blue ones that of 10.
      for (int i = 0; i < 20; i++) {
        words.add(
            new String[] {"a red cup", "a blue cup"},
            new int[] {twenty, thirty, far, far, ten, far, far, far});
      }
      var images = images(dictionary, new float[] {300, 21, 300, 22, 300, 300, 300, 11});
      var edits =
          new NegativeVisualAugmentation.WordEdits(
              new String[] {"red", "blue"}, new String[] {"blue", null});
      var augmentation =
          new NegativeVisualAugmentation(
              nva(0.5, NvaConfig.Donor.CODEWORD), FusionInput.RESIDUAL, 5);
      var towards = augmentation.swapTowards(dictionary, words, images, edits);
      var back = augmentation.swapBack(dictionary, words, images, edits);
      // Of the neighbours of 20, 30 speaks for red and 10 for blue.
      assertThat(back.positions()).isEqualTo(towards.positions());
      assertThat(towards.substitutes()[0]).containsExactly(ten, ten);
      assertThat(back.substitutes()[0]).containsExactly(thirty, thirty);
      assertThat(Torch.toFloats(back.tokens()))
          .containsExactly(300, 31, 300, 32, 300, 300, 300, 11);
      assertThat(back.valid()).isEqualTo(towards.valid());
    }
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
}
