package org.nasvlp.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

class ImageSearchTest {
  /** Pictures of one pixel, whose red part is their number. */
  private static RgbImage picture(String key) throws BadSampleException {
    if (key.equals("gone")) {
      throw new BadSampleException("gone", "the image file does not exist");
    }
    return new RgbImage(1, 1, new byte[] {(byte) Integer.parseInt(key), 0, 0});
  }

  private static final Embedder EAST =
      new Embedder() {
        @Override
        public float[][] images(List<RgbImage> images) {
          throw new AssertionError("the index has them");
        }

        @Override
        public float[][] texts(List<String> captions) {
          return new float[][] {{1, 0}};
        }
      };

  private static EmbeddingIndex index() {
    // Cosines with east: 0.9, 0.8, 0.7, 0.6, and 0.5.
    float[] cosines = {0.9f, 0.8f, 0.7f, 0.6f, 0.5f};
    float[][] embeddings = new float[cosines.length][];
    for (int i = 0; i < cosines.length; i++) {
      embeddings[i] = new float[] {cosines[i], (float) Math.sqrt(1 - cosines[i] * cosines[i])};
    }
    return EmbeddingIndex.of(2, List.of("0", "gone", "2", "3", "4"), embeddings, Map.of());
  }

  @Test
  void candidatesOfContrastAreOrderedByBothLogits() {
    List<String> asked = new ArrayList<>();
    // The fourth matches best, and by more than the contrast sees between it and the first.
    double[] logits = {-1, 0, 1.5, 4, 100};
    ImageTextScorer matcher =
        (images, captions, image, caption) -> {
          asked.addAll(captions);
          double[] scores = new double[image.length];
          for (int i = 0; i < image.length; i++) {
            assertThat(caption[i]).isZero();
            scores[i] = logits[images.get(image[i]).red(0, 0)];
          }
          return scores;
        };
    ImageSearch search = new ImageSearch(EAST, matcher, 0.1, index(), ImageSearchTest::picture);
    ImageSearch.Result result = search.find("a cup", 2, 4);
    // 9 − 1, 7 + 1.5, 6 + 4; the fifth is no candidate, whatever it would be given.
    assertThat(result.pictures()).extracting(ImageSearch.Found::key).containsExactly("3", "2");
    assertThat(result.pictures().getFirst().score()).isCloseTo(10, within(1e-5));
    assertThat(result.pictures().getFirst().similarity()).isCloseTo(0.6, within(1e-6));
    assertThat(result.pictures().getFirst().match())
        .isCloseTo(Math.exp(4) / (1 + Math.exp(4)), within(1e-12));
    assertThat(result.unreadable()).containsExactly("gone: the image file does not exist");
    assertThat(asked).containsExactly("a cup");
    assertThat(search.find("a cup", 5, 5).pictures())
        .extracting(ImageSearch.Found::key)
        .containsExactly("4", "3", "2", "0");
  }

  @Test
  void refusesWhatCannotBeFound() {
    ImageTextScorer none =
        (images, captions, image, caption) -> {
          throw new AssertionError("nothing to judge");
        };
    ImageSearch search = new ImageSearch(EAST, none, 1, index(), ImageSearchTest::picture);
    assertThatThrownBy(() -> search.find(" ", 1, 1)).hasMessageContaining("blank");
    assertThatThrownBy(() -> search.find("x", 0, 1)).hasMessageContaining("top is 0");
    assertThatThrownBy(() -> search.find("x", 3, 2)).hasMessageContaining("candidates 2");
    EmbeddingIndex empty = EmbeddingIndex.of(2, List.of(), new float[0][], Map.of());
    assertThat(new ImageSearch(EAST, none, 1, empty, ImageSearchTest::picture).find("x", 1, 1))
        .isEqualTo(new ImageSearch.Result(List.of(), List.of()));
    EmbeddingIndex gone = EmbeddingIndex.of(2, List.of("gone"), new float[][] {{1, 0}}, Map.of());
    ImageSearch.Result result =
        new ImageSearch(EAST, none, 1, gone, ImageSearchTest::picture).find("x", 1, 1);
    assertThat(result.pictures()).isEmpty();
    assertThat(result.unreadable()).hasSize(1);
  }
}
