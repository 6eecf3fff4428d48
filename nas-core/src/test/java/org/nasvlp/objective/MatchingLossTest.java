package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class MatchingLossTest {
  private static final int SIZE = EncodedBatch.SIZE;

  /** Similarities of images (rows) and captions; so far apart that every draw is certain. */
  private static final float[][] SIMILARITY = {
    {.9f, .1f, .8f, .95f, .2f, .0f},
    {.3f, .9f, .1f, .0f, .2f, .7f},
    {.5f, .4f, .9f, .6f, .1f, .2f},
    {.9f, .2f, .3f, .9f, .6f, .1f},
    {.1f, .6f, .2f, .3f, .9f, .5f},
    {.0f, .5f, .7f, .2f, .3f, .9f},
  };

  @TempDir private Path folder;

  /** Embeddings whose products are those similarities: unit vectors, and columns. */
  private static Features similar(Features features) {
    float[] images = new float[SIZE * 16];
    float[] texts = new float[SIZE * 16];
    for (int i = 0; i < SIZE; i++) {
      images[i * 16 + i] = 1;
      for (int j = 0; j < SIZE; j++) {
        texts[j * 16 + i] = SIMILARITY[i][j];
      }
    }
    return EncodedBatch.with(
        features, Torch.floats(images, SIZE, 16), Torch.floats(texts, SIZE, 16), 1e-4);
  }

  @Test
  void everyRowMeetsItsHardestOfAnotherPicture() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope()) {
      Features features = similar(batch.features(batch.captionPlan()));
      MatchingLoss objective = new MatchingLoss(batch.config);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      Tensor loss = objective.loss(plan.run());
      double sum = 0;
      for (int i = 0; i < SIZE; i++) {
        int image = -1;
        int caption = -1;
        for (int j = 0; j < SIZE; j++) {
          if (EncodedBatch.IMAGE_IDS[j] != EncodedBatch.IMAGE_IDS[i]) {
            image = image < 0 || SIMILARITY[j][i] > SIMILARITY[image][i] ? j : image;
            caption = caption < 0 || SIMILARITY[i][j] > SIMILARITY[i][caption] ? j : caption;
          }
        }
        sum -= Truth.logSoftmax(batch.matchAlone(features, i, i), 1);
        sum -= Truth.logSoftmax(batch.matchAlone(features, image, i), 0);
        sum -= Truth.logSoftmax(batch.matchAlone(features, i, caption), 0);
      }
      assertThat(loss.item_double()).isCloseTo(sum / (3 * SIZE), Offset.offset(5e-5));
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1, 2, 3.5})
  void aFocusCountsPairsByWhatIsMissedOfThem(double focus) {
    NasConfig config = Shapes.config(10).withObjective(loss -> loss.itmFocus(focus));
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      Arrays.fill(batch.batch.imageIds(), 1);
      Features features = similar(batch.features(batch.captionPlan()));
      MatchingLoss objective = new MatchingLoss(config);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      double sum = 0;
      for (int i = 0; i < SIZE; i++) {
        double log = Truth.logSoftmax(batch.matchAlone(features, i, i), 1);
        sum -= Math.pow(1 - Math.exp(log), focus) * log;
      }
      Tensor loss = objective.loss(plan.run());
      assertThat(loss.item_double()).isCloseTo(sum / SIZE, Offset.offset(5e-5));
    }
  }

  @Test
  void aPairThatIsToldQuiteSurelyHasAGradient() {
    // Beyond 17 float32 has 1 for the sigmoid: nothing is missed.
    for (double focus : new double[] {1, 2.5}) {
      try (PointerScope scope = new PointerScope()) {
        Tensor logits = Torch.floats(new float[] {-40, 40, 1, 0.5f}, 2, 2).set_requires_grad(true);
        MatchingLoss.focal(logits, Torch.longs(new long[] {1, 0}, 2), focus).backward();
        float[] gradient = Torch.toFloats(logits.grad());
        double p = 1 / (1 + Math.exp(-0.5));
        // d/dz of -(1-p)^g log p, p = sigmoid(z): (1-p)^g (g p log p - (1-p)), and half of it.
        double expected = Math.pow(1 - p, focus) * (focus * p * Math.log(p) - (1 - p)) / 2;
        assertThat(gradient[0]).isZero();
        assertThat((double) gradient[2]).isCloseTo(expected, Offset.offset(1e-6));
        assertThat((double) gradient[3]).isCloseTo(-expected, Offset.offset(1e-6));
      }
    }
  }

  @Test
  void aBatchOfOnePictureHasNothingButMatches() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope()) {
      Arrays.fill(batch.batch.imageIds(), 1);
      Features features = similar(batch.features(batch.captionPlan()));
      MatchingLoss objective = new MatchingLoss(batch.config);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      Tensor loss = objective.loss(plan.run());
      double sum = 0;
      for (int i = 0; i < SIZE; i++) {
        sum -= Truth.logSoftmax(batch.matchAlone(features, i, i), 1);
      }
      assertThat(loss.item_double()).isCloseTo(sum / SIZE, Offset.offset(5e-5));
    }
  }

  @Test
  void withoutWeightThereIsNoLoss() {
    NasConfig config = Shapes.config(10).withObjective(loss -> loss.itmWeight(0));
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      Features features = similar(batch.features(batch.captionPlan()));
      MatchingLoss objective = new MatchingLoss(config);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      Forward forward = plan.run();
      assertThat(objective.loss(forward)).isNull();
    }
  }

  @Test
  void withAShareOnlyRowsThatContrastIsLeastSureOfMeetAnother() {
    NasConfig config = Shapes.config(10).withObjective(loss -> loss.itmShare(0.3));
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      Features features = similar(batch.features(batch.captionPlan()));
      MatchingLoss objective = new MatchingLoss(config);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      Tensor loss = objective.loss(plan.run());
      double sum = 0;
      for (int i = 0; i < SIZE; i++) {
        sum -= Truth.logSoftmax(batch.matchAlone(features, i, i), 1);
      }
      // Two of six each way, the ceiling of 1.8.
      List<int[]> images = new ArrayList<>();
      List<int[]> captions = new ArrayList<>();
      for (int i = 0; i < SIZE; i++) {
        int image = -1;
        int caption = -1;
        for (int j = 0; j < SIZE; j++) {
          if (EncodedBatch.IMAGE_IDS[j] != EncodedBatch.IMAGE_IDS[i]) {
            image = image < 0 || SIMILARITY[j][i] > SIMILARITY[image][i] ? j : image;
            caption = caption < 0 || SIMILARITY[i][j] > SIMILARITY[i][caption] ? j : caption;
          }
        }
        images.add(new int[] {image, i});
        captions.add(new int[] {i, caption});
      }
      images.sort(
          Comparator.comparingDouble(
              pair -> SIMILARITY[pair[1]][pair[1]] - SIMILARITY[pair[0]][pair[1]]));
      captions.sort(
          Comparator.comparingDouble(
              pair -> SIMILARITY[pair[0]][pair[0]] - SIMILARITY[pair[0]][pair[1]]));
      for (int[] pair : concat(images.subList(0, 2), captions.subList(0, 2))) {
        sum -= Truth.logSoftmax(batch.matchAlone(features, pair[0], pair[1]), 0);
      }
      assertThat(loss.item_double()).isCloseTo(sum / (SIZE + 4), Offset.offset(5e-5));
    }
  }

  private static List<int[]> concat(List<int[]> one, List<int[]> two) {
    List<int[]> all = new ArrayList<>(one);
    all.addAll(two);
    return all;
  }

  @Test
  void ofEquallySureRowsTheFirstAreTaken() {
    double[] lead = {1, 0, 0, -1, 0};
    int[] rows = {0, 1, 2, 4};
    assertThat(LeastSure.of(rows, lead, 0.5)).containsExactly(1, 2);
    assertThat(LeastSure.of(rows, lead, 0.51)).containsExactly(1, 2, 4);
    assertThat(LeastSure.of(rows, lead, 1)).isSameAs(rows);
    assertThat(LeastSure.of(rows, lead, 0)).isEmpty();
    assertThat(LeastSure.of(new int[0], lead, 0.5)).isEmpty();
  }
}
