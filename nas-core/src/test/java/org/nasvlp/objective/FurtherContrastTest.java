package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.BiFunction;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

/** The contrasts that a program may add, against float64 by their papers' formulas. */
class FurtherContrastTest {
  private static final int SIZE = EncodedBatch.SIZE;
  private static final long[] IDS = EncodedBatch.IMAGE_IDS;
  private static final Offset<Double> CLOSE = Offset.offset(2e-5);

  @TempDir private Path folder;

  private static double[][] rows(@Nullable Tensor tensor) {
    return tensor == null
        ? new double[0][]
        : Truth.rows(Torch.toFloats(tensor.detach()), (int) tensor.size(0));
  }

  /** Embeddings of a batch drawn by a seed, and what an objective makes of them. */
  private final class Drawn implements AutoCloseable {
    private final EncodedBatch batch;
    private final PointerScope scope;
    private final CaptionPlan captions;
    private Features features;
    private double[][] images;
    private double[][] texts;
    private double[][] negatives;
    private double temperature;

    Drawn(Objective objective) {
      NasConfig config = Shapes.config(10);
      batch = new EncodedBatch(folder, config);
      scope = new PointerScope();
      captions = batch.captionPlan();
      objective.captions(captions);
    }

    double loss(Objective objective, int seed, double at) {
      Random random = new Random(seed);
      temperature = at;
      features =
          EncodedBatch.with(
              batch.features(captions),
              Torch.unit(EncodedBatch.noise(random, 1, SIZE, 16)).set_requires_grad(true),
              Torch.unit(EncodedBatch.noise(random, 1, SIZE, 16)).set_requires_grad(true),
              at);
      images = rows(features.imageEmbeddings());
      texts = rows(features.textEmbeddings());
      negatives = rows(features.negativeEmbeddings());
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      Tensor loss = objective.loss(plan.run());
      loss.backward();
      return loss.item_double();
    }

    /**
     * Of the derivative by every element of the images and captions the farthest from a truth's.
     */
    void requireGradient(BiFunction<double[][], double[][], Double> truth) {
      requireGradient(images, features.imageEmbeddings(), truth);
      requireGradient(texts, features.textEmbeddings(), truth);
    }

    private void requireGradient(
        double[][] values, Tensor tensor, BiFunction<double[][], double[][], Double> truth) {
      double[][] gradient = rows(tensor.grad());
      double h = 1e-6;
      for (int i = 0; i < values.length; i++) {
        for (int k = 0; k < values[i].length; k++) {
          double value = values[i][k];
          values[i][k] = value + h;
          double above = truth.apply(images, texts);
          values[i][k] = value - h;
          double below = truth.apply(images, texts);
          values[i][k] = value;
          assertThat(gradient[i][k])
              .as("%d, %d", i, k)
              .isCloseTo((above - below) / (2 * h), Offset.offset(1e-4));
        }
      }
    }

    @Override
    public void close() {
      scope.close();
      batch.close();
    }
  }

  @ParameterizedTest
  @CsvSource({"-10, 0.07", "-1.5, 0.5", "0, 1"})
  void aSigmoidForEachCombination(double bias, double temperature) {
    Objective objective = new SigmoidContrast(0.5, bias);
    assertThat(objective.weight(0, 10)).isEqualTo(0.5);
    try (Drawn drawn = new Drawn(objective)) {
      double loss = drawn.loss(objective, 3, temperature);
      BiFunction<double[][], double[][], Double> truth =
          (images, texts) -> {
            double sum = 0;
            for (int i = 0; i < SIZE; i++) {
              for (int j = 0; j < SIZE; j++) {
                double logit = Truth.dot(images[i], texts[j]) / temperature + bias;
                sum += Math.log1p(Math.exp(IDS[i] == IDS[j] ? -logit : logit));
              }
            }
            return sum / SIZE;
          };
      assertThat(loss).isCloseTo(truth.apply(drawn.images, drawn.texts), CLOSE);
      drawn.requireGradient(truth);
      assertThat(drawn.captions.wantsHardNegatives()).isFalse();
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.2, 1})
  void hardNegativesOfAllAreColumnsOfEach(double temperature) {
    Objective objective = new NegativeCaptionContrast(1);
    try (Drawn drawn = new Drawn(objective)) {
      double loss = drawn.loss(objective, 5, temperature);
      assertThat(drawn.negatives).hasNumberOfRows(4);
      BiFunction<double[][], double[][], Double> truth =
          (images, texts) -> {
            double sum = 0;
            for (int i = 0; i < SIZE; i++) {
              double[] toText = new double[SIZE + 4];
              double[] toImage = new double[SIZE];
              double[] target = new double[SIZE];
              long id = IDS[i];
              long same = Arrays.stream(IDS).filter(other -> other == id).count();
              for (int j = 0; j < SIZE; j++) {
                toText[j] = Truth.dot(images[i], texts[j]) / temperature;
                toImage[j] = Truth.dot(texts[i], images[j]) / temperature;
                target[j] = IDS[j] == id ? 1.0 / same : 0;
              }
              for (int j = 0; j < 4; j++) {
                toText[SIZE + j] = Truth.dot(images[i], drawn.negatives[j]) / temperature;
              }
              sum += Truth.crossEntropy(Arrays.copyOf(target, SIZE + 4), toText);
              sum += Truth.crossEntropy(target, toImage);
            }
            return sum / (2 * SIZE);
          };
      assertThat(loss).isCloseTo(truth.apply(drawn.images, drawn.texts), CLOSE);
      drawn.requireGradient(truth);
    }
  }

  /** The margin is 0 in the first batch and the mean lead of the one before in each later one. */
  @Test
  void theMarginGrowsWithWhatIsAheadAlready() {
    CrossModalRank objective = new CrossModalRank(0.2, 0.05);
    try (Drawn drawn = new Drawn(objective)) {
      double margin = 0;
      boolean capped = false;
      for (int seed = 1; seed <= 12; seed++) {
        double loss = drawn.loss(objective, seed, 2);
        double before = margin;
        int[] rows = drawn.features.captions().negativeRows();
        assertThat(rows).containsExactly(0, 2, 3, 4);
        BiFunction<double[][], double[][], Double> truth =
            (images, texts) -> {
              double sum = 0;
              for (int k = 0; k < rows.length; k++) {
                sum += Math.max(0, before - lead(images, texts, drawn, rows[k], k));
              }
              return sum / rows.length;
            };
        assertThat(loss)
            .as("batch %d", seed)
            .isCloseTo(truth.apply(drawn.images, drawn.texts), CLOSE);
        drawn.requireGradient(truth);
        double mean = 0;
        for (int k = 0; k < rows.length; k++) {
          mean += lead(drawn.images, drawn.texts, drawn, rows[k], k) / rows.length;
        }
        capped |= mean > 0.05;
        margin = Math.clamp(mean, 0, 0.05);
        objective.update(drawn.features);
      }
      assertThat(capped).isTrue();
    }
  }

  /** The divergence from the softmaxes of another model, whatever the temperature of this one. */
  @ParameterizedTest
  @ValueSource(doubles = {0.07, 1})
  void contrastAsTheModelOfTheStart(double temperature) {
    NasConfig other =
        Shapes.config(10)
            .withTraining(training -> training.seed(99))
            .withObjective(loss -> loss.temperature(0.2));
    NasConfig config = Shapes.config(10).withObjective(loss -> loss.distillWeight(0.5));
    try (EncodedBatch start = new EncodedBatch(folder, other)) {
      Objective objective = new DistillationLoss(config, start.network);
      assertThat(objective.weight(0, 10)).isEqualTo(0.5);
      try (Drawn drawn = new Drawn(objective)) {
        double loss = drawn.loss(objective, 3, temperature);
        Features features = start.features(drawn.captions);
        double[][] images = rows(features.imageEmbeddings());
        double[][] texts = rows(features.textEmbeddings());
        BiFunction<double[][], double[][], Double> truth =
            (v, t) -> {
              double sum = 0;
              for (int i = 0; i < SIZE; i++) {
                sum += divergence(cosines(images[i], texts), cosines(v[i], t), 2 * 0.2);
                sum += divergence(cosines(texts[i], images), cosines(t[i], v), 2 * 0.2);
              }
              return sum / (2 * SIZE);
            };
        assertThat(loss).isPositive().isCloseTo(truth.apply(drawn.images, drawn.texts), CLOSE);
        drawn.requireGradient(truth);
        assertThat(truth.apply(images, texts)).isZero();
      }
    }
  }

  private static double[] cosines(double[] row, double[][] columns) {
    return Arrays.stream(columns).mapToDouble(column -> Truth.dot(row, column)).toArray();
  }

  private static double divergence(double[] expected, double[] cosines, double scale) {
    double all = Arrays.stream(expected).map(c -> Math.exp(c / scale)).sum();
    double own = Arrays.stream(cosines).map(c -> Math.exp(c / scale)).sum();
    double sum = 0;
    for (int j = 0; j < cosines.length; j++) {
      double p = Math.exp(expected[j] / scale) / all;
      sum += p * Math.log(p / (Math.exp(cosines[j] / scale) / own));
    }
    return sum;
  }

  private static double lead(
      double[][] images, double[][] texts, Drawn drawn, int row, int negative) {
    return (Truth.dot(images[row], texts[row]) - Truth.dot(images[row], drawn.negatives[negative]))
        / drawn.temperature;
  }

  @Test
  void aBatchWithoutHardNegativesHasNoRank() {
    CrossModalRank objective = new CrossModalRank(1, 10);
    try (Drawn drawn = new Drawn(new SigmoidContrast(1, 0))) {
      FusionPlan plan = new FusionPlan(drawn.batch.features(drawn.captions), drawn.batch.network);
      plan.positives();
      Forward forward = plan.run();
      assertThat(objective.loss(forward)).isNull();
      assertThat(objective.parts(forward)).containsExactly(LossPart.NONE);
      objective.update(forward.features());
      // Contrast does without.
      assertThat(new NegativeCaptionContrast(1).loss(forward).item_double()).isPositive();
    }
  }

  @Test
  void weightsThatAreNoneAreRefused() {
    assertThatThrownBy(() -> new SigmoidContrast(-1, 0)).hasMessageContaining("weight is -1.0");
    assertThatThrownBy(() -> new SigmoidContrast(1, Double.NaN)).hasMessageContaining("bias NaN");
    assertThatThrownBy(() -> new NegativeCaptionContrast(Double.POSITIVE_INFINITY))
        .hasMessageContaining("weight is Infinity");
    assertThatThrownBy(() -> new CrossModalRank(1, -2)).hasMessageContaining("margin -2.0");
  }
}
