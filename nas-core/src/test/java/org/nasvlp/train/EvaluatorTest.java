package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.Share;
import org.nasvlp.scoring.ImageTextScorer;

class EvaluatorTest {
  /** Right about everything: knows the shape's colour from its darkest channels. */
  private static final ImageTextScorer RIGHT =
      (images, captions, imageIndex, captionIndex) -> {
        double[] scores = new double[imageIndex.length];
        for (int k = 0; k < scores.length; k++) {
          String caption = captions.get(captionIndex[k]);
          scores[k] = caption.startsWith(colour(images.get(imageIndex[k]).rgb())) ? 1 : 0;
        }
        return scores;
      };

  /** Wrong about everything. */
  private static final ImageTextScorer WRONG =
      (images, captions, imageIndex, captionIndex) -> {
        double[] scores = RIGHT.score(images, captions, imageIndex, captionIndex);
        for (int k = 0; k < scores.length; k++) {
          scores[k] = -scores[k];
        }
        return scores;
      };

  @TempDir private Path folder;
  private Path pictures;
  private final List<String> warnings = new ArrayList<>();

  @BeforeEach
  void makePictures() throws IOException {
    pictures = Files.createDirectory(folder.resolve("pictures"));
  }

  private static String colour(byte[] rgb) {
    for (int at = 0; at < rgb.length; at += 3) {
      if (rgb[at + 1] != -1) {
        return (rgb[at] & 0xFF) > 0x80 ? "red" : "blue";
      }
    }
    throw new AssertionError("a white picture");
  }

  private Evaluator published(int readable) throws IOException {
    return new Evaluator(
        null,
        Map.of(
            "crepe",
            new Evaluator.Published(
                ShapesBenchmarks.published(folder, pictures, readable), pictures)),
        0xFFFFFF,
        warnings::add);
  }

  @Test
  void publishedBenchmarksAreScoredBothWays() throws IOException {
    Evaluation found = published(4).evaluate(RIGHT, WRONG, 0, false);
    assertThat(found.report()).isNull();
    Map<String, BenchmarkReport> byWay = found.benchmarks().get("crepe");
    assertThat(byWay).containsOnlyKeys("itc", "itm");
    assertThat(byWay.get("itc").all()).containsExactly(new Share(4, 4));
    assertThat(byWay.get("itm").all()).containsExactly(new Share(0, 4));
    assertThat(found.metrics()).isEqualTo(Map.of("crepe-itc", 1.0, "crepe-itm", 0.0));
    assertThat(warnings).isEmpty();
  }

  @Test
  void itemsWithoutAPictureAreTold() throws IOException {
    Evaluation found = published(3).evaluate(RIGHT, RIGHT, 0, false);
    assertThat(found.benchmarks().get("crepe").get("itc").all()).containsExactly(new Share(3, 3));
    assertThat(found.benchmarks().get("crepe").get("itm").unscored()).isEqualTo(1);
    assertThat(warnings)
        .singleElement()
        .asString()
        .startsWith("1 of 4 items of crepe were not scored, their images cannot be read: ")
        .contains("3.png");
  }

  @Test
  void withoutAnyPictureThereIsNoReport() throws IOException {
    Evaluation found = published(0).evaluate(RIGHT, RIGHT, 0, false);
    assertThat(found.benchmarks()).isEqualTo(Map.of("crepe", Map.of()));
    assertThat(found.metrics()).isEmpty();
    assertThat(warnings).singleElement().asString().startsWith("4 of 4 items of crepe");
  }

  @Test
  void aFolderThatHasGoneIsNamed() throws IOException {
    Evaluator evaluator = published(0);
    Files.delete(pictures);
    assertThatThrownBy(() -> evaluator.evaluate(RIGHT, RIGHT, 0, false))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(pictures.toString());
  }

  @Test
  void pairsGiveTheirOwnMetrics() throws IOException {
    Evaluator evaluator =
        new Evaluator(ShapesBenchmarks.pairs(folder), Map.of(), 0xFFFFFF, warnings::add);
    Evaluation found = evaluator.evaluate(RIGHT, WRONG, 0, false);
    EvaluationReport report = found.report();
    assertThat(report).isNotNull();
    assertThat(report.itc().all().pairs()).isEqualTo(2);
    assertThat(report.retrievalItc()).isNull();
    assertThat(found.metrics())
        .isEqualTo(Map.of("itc", 1.0, "itc-group", 1.0, "itm", 0.0, "itm-group", 0.0));
    assertThat(found.benchmarks()).isEmpty();
    assertThat(evaluator.evaluate(RIGHT, WRONG, 0, true).report().retrievalItm()).isNotNull();
  }

  @Test
  void candidatesAreRankedByTheSumOfBothScores() throws IOException {
    Shapes shapes = new Shapes();
    ImageTextScorer exact =
        (images, captions, imageIndex, captionIndex) -> {
          double[] scores = new double[imageIndex.length];
          for (int k = 0; k < scores.length; k++) {
            String caption = captionOf(shapes, images.get(imageIndex[k]).rgb());
            scores[k] = captions.get(captionIndex[k]).equals(caption) ? 1 : 0;
          }
          return scores;
        };
    ImageTextScorer nothing = (images, captions, image, caption) -> new double[image.length];
    Evaluator evaluator =
        new Evaluator(ShapesBenchmarks.pairs(folder), Map.of(), 0xFFFFFF, warnings::add);
    // A tie is wrong.
    assertThat(evaluator.evaluate(exact, nothing, 0, true).report().retrievalItm().textRecall()[0])
        .isZero();
    assertThat(evaluator.evaluate(exact, nothing, 1, true).report().retrievalItm().textRecall()[0])
        .isOne();
  }

  private static String captionOf(Shapes shapes, byte[] rgb) {
    for (int i = 0; i < shapes.size(); i++) {
      try {
        if (Arrays.equals(shapes.get(i).image().rgb(), rgb)) {
          return shapes.get(i).caption();
        }
      } catch (BadSampleException e) {
        throw new AssertionError(e);
      }
    }
    throw new AssertionError("no shape");
  }

  @Test
  void withoutABenchmarkThereIsNothingToDo() throws IOException {
    Evaluator none = new Evaluator(null, Map.of(), 0, warnings::add);
    assertThat(none.isIdle()).isTrue();
    assertThat(none.evaluate(RIGHT, RIGHT, 0, true)).isEqualTo(Evaluation.NONE);
    assertThat(published(4).isIdle()).isFalse();
    assertThat(new Evaluator(ShapesBenchmarks.pairs(folder), Map.of(), 0, warnings::add).isIdle())
        .isFalse();
  }
}
