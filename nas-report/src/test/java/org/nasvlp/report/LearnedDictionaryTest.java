package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.nasvlp.data.image.RgbImage;

class LearnedDictionaryTest {
  /** 16 even codes are in each of 20 red pictures, 16 odd ones in each of 20 blue ones. */
  @Test
  void wordsSpeakForTheCodesOfTheirPictures() {
    LearnedDictionary dictionary = Samples.dictionary(32, "blue");
    assertThat(dictionary.side()).isEqualTo(4);
    assertThat(dictionary.unused()).isZero();
    assertThat(dictionary.codewords()).hasSize(32);
    for (LearnedDictionary.Codeword codeword : dictionary.codewords()) {
      assertThat(codeword.patches()).isEqualTo(20);
      assertThat(codeword.inPictures()).isEqualTo(20);
      assertThat(codeword.places()).hasSize(8);
      assertThat(codeword.places())
          .extracting(LearnedDictionary.Place::picture)
          .doesNotHaveDuplicates();
      LearnedDictionary.Word word = codeword.words().getFirst();
      assertThat(codeword.words()).hasSize(1);
      assertThat(word.word()).isEqualTo(codeword.code() % 2 == 0 ? "red" : "blue");
      // P(z) = 20.5 / 41; P(z | w) = (20 + 8 P(z)) / 28.
      assertThat(word.lift()).isCloseTo(24.0 / 28 / 0.5, within(1e-9));
    }
  }

  @Test
  void codesAreInTheOrderOfTheirUse() {
    int[][] codes = {{5, 5, 1, 5}, {1, 5, 0, 0}, {0, 5, 1, 1}};
    RgbImage picture = Samples.picture(1, 2, 3);
    LearnedDictionary dictionary =
        LearnedDictionary.of(
            Samples.codewords(7),
            List.of(picture, picture, picture),
            List.of("one", "two", "three"),
            codes,
            2);
    assertThat(dictionary.codewords())
        .extracting(LearnedDictionary.Codeword::code)
        .containsExactly(5, 1, 0);
    assertThat(dictionary.unused()).isEqualTo(4);
    LearnedDictionary.Codeword five = dictionary.codewords().getFirst();
    assertThat(five.patches()).isEqualTo(5);
    assertThat(five.inPictures()).isEqualTo(3);
    assertThat(five.places())
        .containsExactly(new LearnedDictionary.Place(0, 0), new LearnedDictionary.Place(1, 1));
    assertThat(five.neighbours()).containsExactly(6, 4);
    assertThat(five.words()).as("each word is in one caption only").isEmpty();
    assertThat(dictionary.codewords().getLast().neighbours()).containsExactly(1);
  }

  /** A patch with half a patch around it, and a line where both meet. */
  @Test
  void stripsShowThePatch() {
    byte[] rgb = new byte[3 * 16 * 16];
    for (int y = 0; y < 16; y++) {
      for (int x = 0; x < 16; x++) {
        rgb[3 * (16 * y + x)] = (byte) (16 * (y / 4 * 4 + x / 4)); // red tells the patch
      }
    }
    LearnedDictionary dictionary =
        new LearnedDictionary(4, List.of(new RgbImage(16, 16, rgb)), List.of(), 0);
    List<LearnedDictionary.Place> places =
        List.of(new LearnedDictionary.Place(0, 6), new LearnedDictionary.Place(0, 0));
    RgbImage strip = PatchStrip.of(dictionary, places, 8);
    assertThat(strip.height()).isEqualTo(8);
    assertThat(strip.width()).isEqualTo(17);
    for (int i = 2; i < 6; i++) {
      assertThat(strip.red(i, 3)).as("patch 6").isEqualTo(16 * 6);
      assertThat(strip.red(9 + i, 3)).as("patch 0").isZero();
    }
    assertThat(strip.red(0, 3)).as("left of patch 6").isEqualTo(16 * 5);
    assertThat(strip.red(3, 0)).as("above patch 6").isEqualTo(16 * 2);
    assertThat(strip.red(9, 3)).as("outside of the picture").isEqualTo(0x88);
    assertThat(List.of(strip.red(1, 3), strip.green(1, 3), strip.blue(1, 3)))
        .as("frame")
        .containsExactly(0xE1, 0x1D, 0x8F);
    assertThat(PatchStrip.color(dictionary, places)).isEqualTo("#300000");
  }
}
