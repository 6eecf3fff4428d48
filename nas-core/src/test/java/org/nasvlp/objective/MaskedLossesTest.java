package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Objects;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.random.Draws;
import org.nasvlp.train.Shapes;

/** Masked language modelling, masked visual modelling, and commitment. */
class MaskedLossesTest {
  private static final int SIZE = EncodedBatch.SIZE;

  @TempDir private Path folder;

  private static NasConfig config(double maskRatio) {
    return Shapes.config(10)
        .withObjective(objective -> objective.mvmWeight(0.5).maskRatio(maskRatio));
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, 0.3})
  void wordsAreToldFromPictureAndRest(double alpha) {
    try (EncodedBatch batch = new EncodedBatch(folder, config(0.4));
        PointerScope scope = new PointerScope()) {
      MaskedLanguageLoss objective =
          new MaskedLanguageLoss(batch.config, batch.network, batch.tokenizer);
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      MaskedCaptions masked = Objects.requireNonNull(captions.masked(null));
      int count = masked.positions().length;
      assertThat(count).isBetween(2, 12);
      int words = batch.tokenizer.vocabularySize();
      Features features = batch.features(captions);
      Tensor slow = EncodedBatch.noise(new Random(5), 2, count, words);
      if (alpha >= 0) {
        features =
            EncodedBatch.with(
                features,
                new MomentumFeatures(
                    alpha, features.imageEmbeddings(), features.textEmbeddings(), slow));
      }
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      objective.plan(plan);
      double loss = Objects.requireNonNull(objective.loss(plan.run())).item_double();

      double sum = 0;
      int length = batch.batch.tokens().length();
      double[][] momentum = Truth.rows(Torch.toFloats(slow), count);
      for (int m = 0; m < count; m++) {
        int image = masked.positions()[m] / length;
        int column = masked.positions()[m] % length;
        try (AutoGradMode off = new AutoGradMode(false)) {
          Tensor fused =
              batch.fusedAlone(
                  features.imageCls().narrow(0, image, 1),
                  features.fusionTokens().narrow(0, image, 1),
                  features.captions(),
                  SIZE + image);
          double[] logits =
              Truth.rows(Torch.toFloats(batch.network.maskedLogits(fused.select(1, column))), 1)[0];
          double hard = -Truth.logSoftmax(logits, (int) masked.targets()[m]);
          double soft = Truth.crossEntropy(Truth.softmax(momentum[m]), logits);
          sum += alpha < 0 ? hard : (1 - alpha) * hard + alpha * soft;
        }
      }
      assertThat(loss).isCloseTo(sum / count, Offset.offset(1e-4));
    }
  }

  @Test
  void withoutAMaskedTokenThereIsNoLoss() {
    try (EncodedBatch batch = new EncodedBatch(folder, config(0));
        PointerScope scope = new PointerScope()) {
      assertThat(
              batch.loss(
                  new MaskedLanguageLoss(batch.config, batch.network, batch.tokenizer), f -> f))
          .isNull();
    }
  }

  @Test
  void captionsAreMaskedOnce() {
    try (EncodedBatch batch = new EncodedBatch(folder, config(0.4))) {
      MaskedLanguageLoss objective =
          new MaskedLanguageLoss(batch.config, batch.network, batch.tokenizer);
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      assertThatThrownBy(() -> objective.captions(captions))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("two objectives mask the captions");
      CaptionPlan other = batch.captionPlan();
      other.mask(negatives -> new MaskedCaptions(new long[3], new int[] {1}, new long[] {7}));
      assertThatThrownBy(() -> other.masked(null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("masked captions of 3 tokens");
    }
  }

  @Test
  void paddingMovesThePositionsOfMasks() {
    MaskedCaptions masked =
        new MaskedCaptions(
            new long[] {1, 2, 3, 4, 5, 6}, new int[] {1, 3, 5}, new long[] {7, 8, 9});
    MaskedCaptions padded = masked.padTo(2, 5, 0);
    assertThat(padded.ids()).containsExactly(1, 2, 3, 0, 0, 4, 5, 6, 0, 0);
    assertThat(padded.positions()).containsExactly(1, 5, 7);
    assertThat(padded.targets()).containsExactly(7, 8, 9);
  }

  @Test
  void hiddenCodesAreToldByCosines() {
    try (EncodedBatch batch = new EncodedBatch(folder, config(0.4));
        PointerScope scope = new PointerScope()) {
      Features features = batch.features(batch.captionPlan());
      MaskedVisualLoss objective = new MaskedVisualLoss(batch.config, batch.network);
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      objective.plan(plan);
      double loss = Objects.requireNonNull(objective.loss(plan.run())).item_double();

      int[] codes = features.codes().host();
      int count = codes.length / SIZE;
      int width = batch.config.model().width();
      long seed = Draws.MASKED_CODES.seed(batch.config.training().seed());
      long[] hidden = MaskedCodes.draw(codes, seed, features.draw(), EncodedBatch.SAMPLE_IDS);
      float[] tokens = Torch.toFloats(features.fusionTokens());
      float[] mask = parameter(batch, "mvm_mask_token");
      for (int i = 0; i < codes.length; i++) {
        if (codes[i] == hidden[i / count]) {
          System.arraycopy(mask, 0, tokens, i * width, width);
        }
      }
      Tensor maskedTokens = Torch.floats(tokens, SIZE, count, width);
      double[][] weight = Truth.rows(parameter(batch, "mvm_head.weight"), width);
      float[] bias = parameter(batch, "mvm_head.bias");
      int size = batch.model.dictionary().size();
      double[][] codewords = Truth.rows(Torch.toFloats(batch.model.dictionary().codewords()), size);
      double sum = 0;
      for (int b = 0; b < SIZE; b++) {
        double[] cls;
        try (AutoGradMode off = new AutoGradMode(false)) {
          Tensor fused =
              batch.fusedAlone(
                  features.imageCls().narrow(0, b, 1),
                  maskedTokens.narrow(0, b, 1),
                  features.captions(),
                  b);
          cls = Truth.rows(Torch.toFloats(fused.select(1, 0)), 1)[0];
        }
        double[] mapped = new double[width];
        for (int i = 0; i < width; i++) {
          mapped[i] = Truth.dot(weight[i], cls) + bias[i];
        }
        double[] logits = new double[size];
        for (int j = 0; j < size; j++) {
          double norms =
              Math.sqrt(Truth.dot(mapped, mapped) * Truth.dot(codewords[j], codewords[j]));
          logits[j] = Truth.dot(mapped, codewords[j]) / norms / 0.1;
        }
        sum -= Truth.logSoftmax(logits, (int) hidden[b]);
      }
      assertThat(loss).isCloseTo(sum / SIZE, Offset.offset(1e-4));
    }
  }

  private static float[] parameter(EncodedBatch batch, String name) {
    return Torch.toFloats(Objects.requireNonNull(batch.model.parameters().byName().get(name)));
  }

  @Test
  void commitmentIsTheMeanSquareOfWhatTheCodewordsLeave() {
    try (EncodedBatch batch = new EncodedBatch(folder, config(0.4));
        PointerScope scope = new PointerScope()) {
      CommitmentLoss objective = new CommitmentLoss(batch.config);
      Features features = batch.features(batch.captionPlan());
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      double loss = objective.loss(plan.run()).item_double();
      int width = batch.config.model().width();
      float[] tokens = Torch.toFloats(features.patchTokens());
      float[] codewords = Torch.toFloats(batch.model.dictionary().codewords());
      int[] codes = features.codes().host();
      double sum = 0;
      for (int i = 0; i < tokens.length; i++) {
        double left = (double) tokens[i] - codewords[codes[i / width] * width + i % width];
        sum += left * left;
      }
      assertThat(sum).isPositive();
      assertThat(loss).isCloseTo(sum / tokens.length, Offset.offset(1e-6 * (1 + loss)));
    }
  }
}
