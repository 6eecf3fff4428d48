package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.ImageTextScorer;

class ScoreTableTest {
  private final List<Integer> calls = new ArrayList<>();

  /** Each picture is its number; a score is 1000 times that and the number in the caption. */
  private final ImageTextScorer numbers =
      (images, captions, imageIndex, captionIndex) -> {
        calls.add(images.size());
        double[] scores = new double[imageIndex.length];
        for (int k = 0; k < scores.length; k++) {
          RgbImage image = images.get(imageIndex[k]);
          scores[k] =
              1000.0 * (256 * image.red(0, 0) + image.green(0, 0))
                  + Integer.parseInt(captions.get(captionIndex[k]));
        }
        return scores;
      };

  private static List<RgbImage> images(int count) {
    return IntStream.range(0, count)
        .mapToObj(i -> new RgbImage(1, 1, new byte[] {(byte) (i >> 8), (byte) i, 0}))
        .toList();
  }

  private static List<String> captions(int count) {
    return IntStream.range(0, count).mapToObj(Integer::toString).toList();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 64", "64, 7, 3, 1000", "65, 7, 7, 448", "300, 9, 5, 1200", "300, 9, 0, 1"})
  void allScoresAreThereHoweverManyCallsItTakes(int images, int captions, int kept, int most) {
    double[][] all = new double[images][kept];
    long[] combinations =
        IntStream.range(0, images)
            .mapToLong(i -> ScoreTable.combination(i * 7 % images, i % captions))
            .toArray();
    ScoreTable table =
        ScoreTable.ofAll(
            "ITC", numbers, images(images), captions(captions), combinations.clone(), all, most);
    for (int i = 0; i < images; i++) {
      for (int c = 0; c < kept; c++) {
        assertThat(all[i][c]).isEqualTo(1000.0 * i + c);
      }
    }
    for (long combination : combinations) {
      int image = (int) (combination >>> 32);
      int caption = (int) combination;
      assertThat(table.at(image, caption)).isEqualTo(1000.0 * image + caption);
    }
    // What is encoded at once comes in whole chunks, and no picture twice.
    assertThat(calls.stream().mapToInt(Integer::intValue).sum()).isEqualTo(images);
    assertThat(calls.subList(0, calls.size() - 1)).allMatch(size -> size % 64 == 0);
    assertThat(calls).allMatch(size -> (long) size * captions <= Math.max(most, 64 * captions));
  }

  @Test
  void aScoreThatIsNaNIsNamedByItsPicture() {
    ImageTextScorer broken =
        (images, captions, imageIndex, captionIndex) -> {
          double[] scores = numbers.score(images, captions, imageIndex, captionIndex);
          for (int k = 0; k < scores.length; k++) {
            scores[k] = scores[k] == 70_001 ? Double.NaN : scores[k];
          }
          return scores;
        };
    assertThatThrownBy(
            () ->
                ScoreTable.ofAll(
                    "ITC", broken, images(80), captions(2), new long[0], new double[80][2], 128))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageStartingWith("the ITC scorer gave NaN for image 70 with caption '1'");
  }

  @Test
  void aCombinationThatWasNotAskedForIsRefused() {
    ScoreTable table =
        ScoreTable.of(
            "ITM", numbers, images(2), captions(2), new long[] {ScoreTable.combination(1, 0)});
    assertThat(table.at(1, 0)).isEqualTo(1000);
    assertThatThrownBy(() -> table.at(0, 1)).hasMessage("image 0 with caption 1 was not scored");
  }
}
