package org.nasvlp.scoring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.nasvlp.data.image.RgbImage;

class ZeroShotClassifierTest {
  private static final List<String> TEMPLATES = List.of("a {}", "the {} here");

  /** Two classes on two axes, one of which has two captions 90 degrees apart. */
  private static final Map<String, float[]> TEXTS =
      Map.of(
          "a cup", new float[] {1, 0, 0},
          "the cup here", new float[] {0, 1, 0},
          "a plate", new float[] {0, 0, 1},
          "the plate here", new float[] {0, 0, 1});

  private final List<String> asked = new ArrayList<>();
  private final Embedder embedder =
      new Embedder() {
        @Override
        public float[][] images(List<RgbImage> images) {
          return images.stream()
              .map(image -> new float[] {image.red(0, 0) / 5f, 0, image.blue(0, 0) / 5f})
              .toArray(float[][]::new);
        }

        @Override
        public float[][] texts(List<String> captions) {
          asked.addAll(captions);
          return captions.stream().map(TEXTS::get).toArray(float[][]::new);
        }
      };

  private static RgbImage image(int red, int blue) {
    return new RgbImage(1, 1, new byte[] {(byte) red, 0, (byte) blue});
  }

  @Test
  void probabilitiesByHand() {
    var classifier = new ZeroShotClassifier(embedder, 0.5, List.of("cup", "plate"), TEMPLATES);
    assertThat(asked).containsExactly("a cup", "the cup here", "a plate", "the plate here");
    assertThat(classifier.classes()).containsExactly("cup", "plate");
    // (0.6, 0, 0.8): with the mean (1, 1, 0) / √2 a cosine of 0.6 / √2, with the other 0.8.
    double[][] found = classifier.classify(List.of(image(3, 4), image(5, 0)));
    double odds = Math.exp((0.6 / Math.sqrt(2) - 0.8) / 0.5);
    assertThat(found[0][0]).isCloseTo(odds / (1 + odds), within(1e-6));
    assertThat(found[0][1]).isCloseTo(1 / (1 + odds), within(1e-6));
    assertThat(found[1][0]).isGreaterThan(0.8);
    assertThat(classifier.classify(List.of())).isEmpty();
    // So cold that an exponential overflows.
    var cold = new ZeroShotClassifier(embedder, 1e-5, List.of("cup", "plate"), TEMPLATES);
    assertThat(cold.classify(List.of(image(3, 4)))[0]).containsExactly(0.0, 1.0);
  }

  @Test
  void refusesWhatTellsNothingApart() {
    assertThatThrownBy(() -> new ZeroShotClassifier(embedder, 1, List.of("cup"), TEMPLATES))
        .hasMessage("1 classes and 2 templates: 2 and 1 are needed at least");
    assertThatThrownBy(
            () -> new ZeroShotClassifier(embedder, 1, List.of("cup", "plate"), List.of()))
        .hasMessageContaining("0 templates");
    assertThatThrownBy(
            () -> new ZeroShotClassifier(embedder, 1, List.of("cup", "plate"), List.of("a cup")))
        .hasMessage("the template 'a cup' lacks {}");
    assertThatThrownBy(
            () -> new ZeroShotClassifier(embedder, 0, List.of("cup", "plate"), TEMPLATES))
        .hasMessageContaining("temperature is 0.0");
    assertThat(asked).isEmpty();
  }
}
