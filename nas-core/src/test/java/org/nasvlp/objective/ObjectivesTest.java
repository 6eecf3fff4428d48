package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.EditType;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.train.Shapes;

class ObjectivesTest {
  @TempDir java.nio.file.Path folder;

  @Test
  void contrastWorkedByHand() {
    try (PointerScope scope = new PointerScope()) {
      // Row 1: logits (ln 3, 0), target column 0 -> -ln 3/4. Row 2: (0, ln 4), column 1 -> -ln 4/5.
      var logits = Torch.floats(new float[] {(float) Math.log(3), 0, 0, (float) Math.log(4)}, 2, 2);
      var targets = Torch.floats(Contrast.targets(new long[] {1, 2}, new long[] {1, 2}), 2, 2);
      assertThat(Contrast.softCrossEntropy(logits, targets).item_double())
          .isCloseTo(-0.5 * (Math.log(0.75) + Math.log(0.8)), Offset.offset(1e-6));
      // Softened by half towards softmax(0, 0) = (1/2, 1/2): targets (3/4, 1/4) and (1/4, 3/4).
      var soft = Contrast.soften(targets, Torch.zeros(2, 2), 0.5);
      assertThat(Torch.toFloats(soft)).containsExactly(0.75f, 0.25f, 0.25f, 0.75f);
      assertThat(Contrast.softCrossEntropy(logits, soft).item_double())
          .isCloseTo(
              -0.5
                  * (0.75 * Math.log(0.75)
                      + 0.25 * Math.log(0.25)
                      + 0.25 * Math.log(0.2)
                      + 0.75 * Math.log(0.8)),
              Offset.offset(1e-6));
    }
  }

  @Test
  void pairsOfTheSameImageShareTheTarget() {
    assertThat(Contrast.targets(new long[] {7, 8}, new long[] {7, 8, 7}))
        .containsExactly(0.5f, 0, 0.5f, 0, 1, 0);
  }

  @Test
  void maskedCodesAreDrawnEvenlyAmongThoseOfTheirImage() {
    // Image 0 has codes 3 (thrice) and 9, image 1 has 0, 5 and 7, image 2 only 4.
    int[] codes = {3, 3, 9, 3, /**/ 7, 0, 5, 5, /**/ 4, 4, 4, 4};
    long[] samples = {20, 21, 22};
    int[] counts = new int[10];
    int trials = 12_000;
    for (int step = 0; step < trials; step++) {
      long[] hidden = MaskedCodes.draw(codes, 5, step, samples);
      counts[(int) hidden[0]]++;
      counts[(int) hidden[1]]++;
      assertThat(hidden[2]).isEqualTo(4);
      // A sample alone has the draw it has in a batch.
      long[] alone = MaskedCodes.draw(Arrays.copyOfRange(codes, 4, 8), 5, step, new long[] {21});
      assertThat(alone).containsExactly(hidden[1]);
    }
    // Five standard deviations.
    assertThat(counts[3]).isCloseTo(trials / 2, Offset.offset(274));
    assertThat(counts[9]).isCloseTo(trials / 2, Offset.offset(274));
    for (int code : new int[] {0, 5, 7}) {
      assertThat(counts[code]).isCloseTo(trials / 3, Offset.offset(258));
    }
  }

  @Test
  void hardNegativesAreOfOtherImagesAndFollowTheSoftmax() {
    // Sample 0's weights over columns 1, 2 (3 is the same image): softmax(ln 3, 0) = 3/4, 1/4.
    float ln3 = (float) Math.log(3);
    float[] logits = {
      9, ln3, 0, 9, /**/ 0, 9, 0, 0, /**/ 0, 0, 9, 0, /**/ 0, 0, 0, 9,
    };
    long[] images = {5, 6, 7, 5};
    int[] counts = new int[4];
    int trials = 20_000;
    for (int step = 0; step < trials; step++) {
      int[] drawn = HardNegatives.draw(logits, images, new long[] {0, 1, 2, 3}, 11, step, 0);
      for (int i = 0; i < 4; i++) {
        assertThat(images[drawn[i]]).isNotEqualTo(images[i]);
      }
      counts[drawn[0]]++;
    }
    // Standard deviation 0.003 at 20,000 draws.
    assertThat(counts[1] / (double) trials).isCloseTo(0.75, Offset.offset(0.015));
    assertThat(counts[2] / (double) trials).isCloseTo(0.25, Offset.offset(0.015));
  }

  @Test
  void aBatchOfOneImageHasNoHardNegatives() {
    assertThat(
            HardNegatives.draw(new float[9], new long[] {4, 4, 4}, new long[] {0, 1, 2}, 1, 0, 1))
        .containsExactly(-1, -1, -1);
  }

  @Test
  void extremeSimilaritiesStayFinite() {
    float[] logits = {0, 1e30f, -1e30f, 1e30f, 0, -1e30f, -1e30f, -1e30f, 0};
    assertThat(HardNegatives.draw(logits, new long[] {1, 2, 3}, new long[] {0, 1, 2}, 1, 0, 0))
        .startsWith(1, 0);
  }

  @Test
  void theWordsThatAHardNegativeChangesAreMasked() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TokenizedCaptions captions =
          tokenizer.encode(
              List.of("red square left", "blue bar", "red square left", "blue bar", "red bar"));
      // One word; none; two exchanged; one more at the end; a shorter one.
      TokenizedCaptions negatives =
          tokenizer.encode(
              List.of("red square right", "blue bar", "left square red", "blue bar left", "bar"));
      CaptionEdit edit = new CaptionEdit("", EditType.NOUN, "", "");
      HardNegativeCaptions drawn =
          new HardNegativeCaptions(new CaptionEdit[] {edit, null, edit, edit, edit}, negatives, 4);
      long[] samples = {1, 2, 3, 4, 5};
      MaskedCaptions masked = MaskedCaptions.mask(captions, tokenizer, 0, 1, drawn, 3, 0, samples);
      int length = captions.length();
      // [CLS] stands first; "blue bar" itself has no word that the longer caption changes.
      int[] expected = {3, 2 * length + 1, 2 * length + 3, 4 * length + 1};
      assertThat(masked.positions()).isEqualTo(expected);
      for (int i = 0; i < expected.length; i++) {
        assertThat(masked.ids()[expected[i]]).isEqualTo(tokenizer.maskId());
        assertThat(masked.targets()[i]).isEqualTo(captions.ids()[expected[i]]);
      }
      int focused = 0;
      for (int step = 0; step < 4000; step++) {
        focused +=
            MaskedCaptions.mask(captions, tokenizer, 0, 0.25, drawn, 3, step, samples)
                .positions()
                .length;
      }
      assertThat(focused / 4000.0).isBetween(0.9, 1.1);
    }
  }

  @Test
  void maskingFollowsItsRates() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      TokenizedCaptions captions = tokenizer.encode(Arrays.asList("red square left", "blue bar"));
      int chosen = 0;
      int masked = 0;
      int kept = 0;
      int steps = 20_000;
      for (int step = 0; step < steps; step++) {
        MaskedCaptions result =
            MaskedCaptions.mask(captions, tokenizer, 0.15, 0, null, 3, step, new long[] {10, 20});
        for (int i = 0; i < result.positions().length; i++) {
          int at = result.positions()[i];
          assertThat(tokenizer.isSpecial(captions.ids()[at])).isFalse();
          assertThat(captions.mask()[at]).isEqualTo(1);
          assertThat(result.targets()[i]).isEqualTo(captions.ids()[at]);
          chosen++;
          if (result.ids()[at] == tokenizer.maskId()) {
            masked++;
          } else if (result.ids()[at] == captions.ids()[at]) {
            kept++;
          }
        }
        for (int i = 0; i < captions.ids().length; i++) {
          int at = i;
          if (Arrays.stream(result.positions()).noneMatch(p -> p == at)) {
            assertThat(result.ids()[i]).isEqualTo(captions.ids()[i]);
          }
        }
      }
      // 5 words: 100,000 trials, standard deviation 0.0011; 15,000 chosen, at most 0.0033.
      assertThat(chosen / (5.0 * steps)).isCloseTo(0.15, Offset.offset(0.006));
      int vocabulary = tokenizer.vocabularySize();
      assertThat((double) masked / chosen).isCloseTo(0.8 + 0.1 / vocabulary, Offset.offset(0.015));
      assertThat((double) kept / chosen).isCloseTo(0.1 + 0.1 / vocabulary, Offset.offset(0.015));
    }
  }
}
