package org.nasvlp.dictionary;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class WordCodesTest {
  @Test
  void evidenceWorkedByHand() {
    WordCodes words = new WordCodes(List.of("red", "blue"), 3);
    // One step, so that all weights are equal: two red images with codes {0, 1} and {0}, one blue
    // image with {1, 2}, one with neither word and code 2.
    words.add(
        new String[] {"a red cup", "red red car", "blue cup", "a dog"},
        new int[] {0, 1, 0, 0, 1, 2, 2, 2});
    double[] evidence = words.evidence("red", "blue");
    // P(z) = (count + 1/2) / (4 + 1); P(z | w) = (count + 8 P(z)) / (images + 8).
    double[] prior = {2.5 / 5, 2.5 / 5, 2.5 / 5};
    double[] red = {2, 1, 0};
    double[] blue = {0, 1, 1};
    for (int z = 0; z < 3; z++) {
      double p = (blue[z] + 8 * prior[z]) / 9;
      double q = (red[z] + 8 * prior[z]) / 10;
      assertThat(evidence[z]).isCloseTo(Math.log(p / q), Offset.offset(1e-12));
      assertThat(words.evidence("red")[z]).isCloseTo(Math.log(q / prior[z]), Offset.offset(1e-12));
    }
  }

  @Test
  void olderImagesWeighLessAndStateCarriesOver() {
    WordCodes words = new WordCodes(List.of("red", "blue"), 2);
    String[] both = {"red", "blue"};
    for (int i = 0; i < 3000; i++) {
      words.add(both, new int[] {0, 1});
    }
    WordCodes other = new WordCodes(List.of("blue", "red"), 2);
    other.restore(words.state());
    for (int i = 0; i < 3000; i++) {
      words.add(both, new int[] {1, 0});
      other.add(both, new int[] {1, 0});
    }
    // Ten half-lives later the new association stands.
    assertThat(words.evidence("red", "blue")[0]).isGreaterThan(2);
    assertThat(other.evidence("red", "blue")).containsExactly(words.evidence("red", "blue"));
    assertThat(words.state()).doesNotContain(Double.POSITIVE_INFINITY, Double.NaN);
  }

  @Test
  void whatIsNotKnown() {
    WordCodes words = new WordCodes(List.of("red"), 2);
    assertThat(words.knows("red")).isFalse();
    words.add(new String[] {"red"}, new int[] {0});
    assertThat(words.knows("red")).isTrue();
    assertThatThrownBy(() -> words.evidence("red", "green"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'green'");
    assertThatThrownBy(() -> words.evidence("green"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("'green'");
    assertThatThrownBy(() -> words.restore(new double[3]))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("expected " + words.stateSize());
  }

  @Test
  void theLongestWordsAtAPlaceCount() {
    WordCodes words = new WordCodes(List.of("light", "medium", "medium light"), 2);
    words.add(new String[] {"man medium light skin tone"}, new int[] {0});
    assertThat(words.knows("medium light")).isTrue();
    assertThat(words.knows("light")).isFalse();
    assertThat(words.knows("medium")).isFalse();
    words.add(new String[] {"lamp of medium size light"}, new int[] {1});
    assertThat(words.knows("light")).isTrue();
    assertThat(words.knows("medium")).isTrue();
  }
}
