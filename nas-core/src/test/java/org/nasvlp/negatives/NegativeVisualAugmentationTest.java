package org.nasvlp.negatives;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;
import org.nasvlp.negatives.NegativeVisualAugmentation.Images;

class NegativeVisualAugmentationTest {
  private static DictionaryConfig config(int codewords) {
    return DictionaryConfig.defaults(codewords);
  }

  private static NvaConfig drawn(double ratio, NvaConfig.Donor donor, NvaConfig.Control control) {
    return NvaConfig.defaults().toBuilder()
        .ratio(ratio)
        .neighbours(8)
        .choose(NvaConfig.Choose.RELEVANCE)
        .substitute(NvaConfig.Substitute.DRAW)
        .donor(donor)
        .control(control)
        .build();
  }

  private static NvaConfig byWords(double ratio) {
    return NvaConfig.defaults().toBuilder().ratio(ratio).build();
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
          tokens = dictionary.quantize(tokens, codes).contiguous();
        }
        float[] similarity = new float[batch * count];
        for (int i = 0; i < similarity.length; i++) {
          similarity[i] = i % count;
        }
        Tensor scores = Torch.floats(similarity, batch, count);
        var nva =
            new NegativeVisualAugmentation(
                drawn(0.3, NvaConfig.Donor.CODEWORD, NvaConfig.Control.NONE), mode, 77);
        assertThat(nva.chosen(count)).isEqualTo(3);
        var negatives =
            nva.negatives(
                dictionary,
                new NegativeVisualAugmentation.Images(
                    tokens, codes, scores, scores, null, new long[] {1, 2, 3, 4, 5}, 0));
        float[] before = Torch.toFloats(tokens);
        float[] after = Torch.toFloats(negatives.tokens());
        List<Integer> rows = new ArrayList<>();
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
          if (any) {
            rows.add(b);
          }
        }
        assertThat(negatives.rows())
            .containsExactly(rows.stream().mapToInt(Integer::intValue).toArray())
            .isNotEmpty();
        assertThat(negatives.tokens().sub(tokens).abs().amax().gt(new Scalar(0)).item_bool())
            .isTrue();
      }
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

  private static int codeAt(VisualDictionary dictionary, float value) {
    try (PointerScope scope = new PointerScope()) {
      return Torch.segment(dictionary.lookup(Torch.floats(new float[] {value}, 1, 1, 1)))
          .get(ValueLayout.JAVA_INT, 0);
    }
  }

  private static Images images(
      VisualDictionary dictionary, float[] values, WordCodes.@Nullable Evidence evidence) {
    Tensor tokens = Torch.floats(values, 2, 4, 1);
    Tensor scores = Torch.floats(new float[] {0, 1, 2, 3, 3, 2, 1, 0}, 2, 4);
    return new Images(
        tokens, dictionary.lookup(tokens), scores, scores, evidence, new long[] {7, 8}, 3);
  }

  private static int[] ints(Tensor tensor, int row) {
    return Torch.toInts(tensor.select(0, row));
  }

  @Test
  void theLeastRelevantTokensAreSwappedForAControl() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(8);
      Images images = images(dictionary, new float[] {0, 51, 100, 149, 200, 201, 252, 300}, null);
      var augmentation =
          new NegativeVisualAugmentation(
              drawn(0.5, NvaConfig.Donor.CODEWORD, NvaConfig.Control.IRRELEVANT),
              FusionInput.QUANTIZED,
              5);
      HardNegativeImages negatives = augmentation.negatives(dictionary, images);
      assertThat(ints(negatives.positions(), 0)).containsExactly(3, 2);
      assertThat(ints(negatives.positions(), 1)).containsExactly(0, 1);
      HardNegativeImages controls = augmentation.controls(dictionary, images);
      assertThat(controls).isNotNull();
      assertThat(ints(controls.positions(), 0)).containsExactly(0, 1);
      assertThat(ints(controls.positions(), 1)).containsExactly(3, 2);
    }
  }

  @Test
  void aDonorIsARealTokenOfTheSubstitutesCode() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      // The substitutes of 1 are the codes of 10 and 20: 11 and 19 of the other image have them.
      Images images = images(dictionary, new float[] {300, 300, 300, 1, 11, 19, 300, 300}, null);
      int[] seen = new int[2];
      for (int seed = 0; seed < 50; seed++) {
        var negatives =
            new NegativeVisualAugmentation(
                    drawn(0.25, NvaConfig.Donor.TOKEN, NvaConfig.Control.NONE),
                    FusionInput.RESIDUAL,
                    seed)
                .negatives(dictionary, images);
        float put = Torch.toFloats(negatives.tokens())[3];
        assertThat(put).isIn(11f, 19f);
        seen[put == 11 ? 0 : 1]++;
      }
      assertThat(seen[0]).isBetween(10, 40);
    }
  }

  /** Red images hold the codes of 20 and 30, blue ones that of 10; all hold the code of 300. */
  private static WordCodes redAndBlue(VisualDictionary dictionary) {
    int ten = codeAt(dictionary, 10);
    int far = codeAt(dictionary, 300);
    WordCodes words = new WordCodes(List.of("red", "blue"), 32);
    for (int i = 0; i < 20; i++) {
      words.add(
          new String[] {"a red cup", "a blue cup"},
          new int[] {codeAt(dictionary, 20), codeAt(dictionary, 30), far, far, ten, far, far, far});
    }
    return words;
  }

  @Test
  void tokensAreSwappedTowardsAWordAndBackTowardsTheirOwn() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      int ten = codeAt(dictionary, 10);
      int thirty = codeAt(dictionary, 30);
      WordCodes words = redAndBlue(dictionary);
      Images images =
          images(
              dictionary,
              new float[] {300, 21, 300, 22, 300, 300, 300, 11},
              words.evidence(new String[] {"red", "blue"}, new String[] {"blue", null}));
      var augmentation = new NegativeVisualAugmentation(byWords(0.5), FusionInput.RESIDUAL, 5);
      HardNegativeImages towards = augmentation.negatives(dictionary, images);
      // Both tokens of the code of 20 take the code of 10 and keep their residuals of 1 and 2.
      assertThat(ints(towards.positions(), 0)).containsExactly(1, 3);
      assertThat(ints(towards.substitutes(), 0)).containsExactly(ten, ten);
      assertThat(Torch.toFloats(towards.tokens()))
          .containsExactly(300, 11, 300, 12, 300, 300, 300, 11);
      assertThat(towards.rows()).containsExactly(0);
      // Of the neighbours of 20, 30 speaks for red and 10 for blue.
      HardNegativeImages back = augmentation.controls(dictionary, images);
      assertThat(back).isNotNull();
      assertThat(Torch.toInts(back.positions())).isEqualTo(Torch.toInts(towards.positions()));
      assertThat(ints(back.substitutes(), 0)).containsExactly(thirty, thirty);
      assertThat(Torch.toFloats(back.tokens()))
          .containsExactly(300, 31, 300, 32, 300, 300, 300, 11);
      assertThat(back.rows()).containsExactly(0);
    }
  }

  @Test
  void anImageWhoseCodesStillSpeakForTheOldWordStays() {
    try (VisualDictionary dictionary = line();
        PointerScope scope = new PointerScope()) {
      dictionary.refreshNeighbours(2);
      WordCodes words = redAndBlue(dictionary);
      // Nothing near 300 speaks for blue; "green" was never seen.
      Images images =
          images(
              dictionary,
              new float[] {300, 300, 300, 300, 300, 300, 300, 300},
              words.evidence(new String[] {"red", "green"}, new String[] {"blue", "red"}));
      var augmentation = new NegativeVisualAugmentation(byWords(0.5), FusionInput.RESIDUAL, 5);
      assertThat(augmentation.negatives(dictionary, images).rows()).isEmpty();
    }
  }

  /** The rules by evidence written out over arrays, for whole batches of random codes. */
  @ParameterizedTest
  @EnumSource(FusionInput.class)
  void swapsByEvidenceAreThoseOfTheRulesWrittenOut(FusionInput mode) {
    Random random = new Random(11);
    int width = 5;
    int size = 32;
    int r = 7;
    float[] features = new float[96 * width];
    for (int i = 0; i < features.length; i++) {
      features[i] = (float) random.nextGaussian();
    }
    try (VisualDictionary dictionary = VisualDictionary.start(config(size), features, width, 1)) {
      dictionary.refreshNeighbours(r);
      for (int round = 0; round < 40; round++) {
        int batch = 1 + random.nextInt(6);
        int count = 1 + random.nextInt(19);
        NvaConfig config =
            byWords(0.05 + 0.9 * random.nextDouble()).toBuilder().neighbours(r).build();
        var augmentation = new NegativeVisualAugmentation(config, mode, round);
        try (PointerScope scope = new PointerScope()) {
          float[] tokens = new float[batch * count * width];
          for (int i = 0; i < tokens.length; i++) {
            tokens[i] = (float) random.nextGaussian();
          }
          Tensor values = Torch.floats(tokens, batch, count, width);
          Tensor codes = dictionary.lookup(values);
          double[] evidence = new double[2 * size];
          for (int i = 0; i < evidence.length; i++) {
            // Coarse, so that there are ties.
            evidence[i] = 0.5 * random.nextInt(-3, 5);
          }
          int[] of = new int[batch];
          Arrays.setAll(of, b -> random.nextInt(-1, 2));
          Images images =
              new Images(
                  values,
                  codes,
                  values,
                  values,
                  new WordCodes.Evidence(evidence, 2, of),
                  new long[batch],
                  round);
          WrittenOut expected =
              new WrittenOut(
                  dictionary, Torch.toInts(codes), evidence, of, augmentation.chosen(count));
          expected.assertEquals(augmentation.negatives(dictionary, images), tokens, mode, false);
          HardNegativeImages controls = augmentation.controls(dictionary, images);
          assertThat(controls).isNotNull();
          expected.assertEquals(controls, tokens, mode, true);
        }
      }
    }
  }

  /** Which tokens are chosen, and both of their substitutes, by plain loops. */
  private static final class WrittenOut {
    private final int count;
    private final int width;
    private final int[] codes;
    private final float[] codewords;
    private final int[][] positions;
    private final int[][] towards;
    private final int[][] back;

    WrittenOut(VisualDictionary dictionary, int[] codes, double[] evidence, int[] of, int chosen) {
      int size = dictionary.size();
      int r = dictionary.neighbourCount();
      int[] lists = Torch.toInts(dictionary.neighbours());
      this.codes = codes;
      this.count = codes.length / of.length;
      this.width = dictionary.width();
      this.codewords = Torch.toFloats(dictionary.codewords());
      positions = new int[of.length][chosen];
      towards = new int[of.length][chosen];
      back = new int[of.length][chosen];
      for (int b = 0; b < of.length; b++) {
        Arrays.fill(positions[b], -1);
        Arrays.fill(towards[b], -1);
        Arrays.fill(back[b], -1);
        if (of[b] < 0) {
          continue;
        }
        double[] v = Arrays.copyOfRange(evidence, of[b] * size, (of[b] + 1) * size);
        double after = 0;
        boolean[] taken = new boolean[count];
        double[] gains = new double[count];
        int[] best = new int[count];
        for (int i = 0; i < count; i++) {
          int z = codes[b * count + i];
          after += v[z];
          best[i] = z;
          for (int other : Arrays.copyOfRange(lists, z * r, (z + 1) * r)) {
            best[i] = other >= 0 && v[other] > v[best[i]] ? other : best[i];
          }
          gains[i] = v[best[i]] - v[z];
        }
        for (int m = 0; m < chosen; m++) {
          int most = -1;
          for (int i = 0; i < count; i++) {
            if (!taken[i] && gains[i] > 0 && (most < 0 || gains[i] > gains[most])) {
              most = i;
            }
          }
          if (most >= 0) {
            taken[most] = true;
            positions[b][m] = most;
            after += gains[most];
          }
        }
        if (after <= 0) {
          continue;
        }
        for (int m = 0; m < chosen && positions[b][m] >= 0; m++) {
          int z = codes[b * count + positions[b][m]];
          towards[b][m] = best[positions[b][m]];
          for (int other : Arrays.copyOfRange(lists, z * r, (z + 1) * r)) {
            if (other >= 0 && (back[b][m] < 0 || v[other] < v[back[b][m]])) {
              back[b][m] = other;
            }
          }
        }
      }
    }

    void assertEquals(
        HardNegativeImages images, float[] tokens, FusionInput mode, boolean control) {
      int[][] substitutes = control ? back : towards;
      float[] expected = tokens.clone();
      List<Integer> rows = new ArrayList<>();
      for (int b = 0; b < positions.length; b++) {
        assertThat(ints(images.positions(), b)).containsExactly(positions[b]);
        assertThat(ints(images.substitutes(), b)).containsExactly(substitutes[b]);
        for (int m = 0; m < positions[b].length; m++) {
          if (substitutes[b][m] < 0) {
            continue;
          }
          if (rows.isEmpty() || rows.getLast() != b) {
            rows.add(b);
          }
          int at = b * count + positions[b][m];
          for (int t = 0; t < width; t++) {
            float put = codewords[substitutes[b][m] * width + t];
            expected[at * width + t] =
                mode == FusionInput.QUANTIZED
                    ? put
                    : expected[at * width + t] - codewords[codes[at] * width + t] + put;
          }
        }
      }
      assertThat(Torch.toFloats(images.tokens())).containsExactly(expected);
      assertThat(images.rows()).containsExactly(rows.stream().mapToInt(i -> i).toArray());
    }
  }
}
