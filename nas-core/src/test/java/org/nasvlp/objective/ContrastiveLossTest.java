package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class ContrastiveLossTest {
  private static final int SIZE = EncodedBatch.SIZE;

  private static final int QUEUE = 4 * SIZE;

  @TempDir private Path folder;

  private static NasConfig config(int queue, boolean inContrast) {
    return Shapes.config(10)
        .withObjective(objective -> objective.queue(queue))
        .withNta(
            nta -> nta.enabled(inContrast).inContrast(inContrast).loss(HardNegativeLoss.BALANCED));
  }

  private static Tensor units(Random random) {
    return Torch.unit(EncodedBatch.noise(random, 1, SIZE, 16));
  }

  private static double[][] rows(Tensor tensor) {
    return Truth.rows(Torch.toFloats(tensor), (int) tensor.size(0));
  }

  /** H(targets, softmax(rows · bankᵀ / τ)), mean, with one more column for each row or none. */
  private static double oneWay(
      double[][] rows,
      double[][] slowRows,
      double[][] bank,
      long[] bankIds,
      double alpha,
      double temperature,
      double[] further) {
    double sum = 0;
    for (int i = 0; i < rows.length; i++) {
      int columns = bank.length + (further.length > 0 ? 1 : 0);
      double[] logits = new double[columns];
      double[] slow = new double[bank.length];
      long id = EncodedBatch.IMAGE_IDS[i];
      long same = Arrays.stream(bankIds).filter(other -> other == id).count();
      for (int j = 0; j < bank.length; j++) {
        logits[j] = Truth.dot(rows[i], bank[j]) / temperature;
        slow[j] = Truth.dot(slowRows[i], bank[j]) / temperature;
      }
      double[] momentum = Truth.softmax(slow);
      double[] target = new double[columns];
      for (int j = 0; j < bank.length; j++) {
        double label = bankIds[j] == id ? 1.0 / same : 0;
        target[j] = alpha * momentum[j] + (1 - alpha) * label;
      }
      if (further.length > 0) {
        logits[bank.length] = further[i];
      }
      sum += Truth.crossEntropy(target, logits) / rows.length;
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"0, 0, false", "0.4, 0, false", "0.4, 1, false", "0, 5, true", "0.7, 3, true"})
  void theLossIsThatOfItsFormula(double alpha, int earlier, boolean inContrast) {
    NasConfig config = config(QUEUE, inContrast);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        ContrastiveLoss objective = new ContrastiveLoss(config, "cpu");
        PointerScope scope = new PointerScope()) {
      CaptionPlan captions = batch.captionPlan();
      if (inContrast) {
        captions.requestHardNegatives();
      }
      Features encoded = batch.features(captions);
      Random random = new Random(11);
      // Of four batches the queue holds the newest of each place in its ring.
      double[][] queuedImages = new double[QUEUE][];
      double[][] queuedTexts = new double[QUEUE][];
      long[] queuedIds = new long[QUEUE];
      for (int e = 0; e < earlier; e++) {
        MomentumFeatures old = new MomentumFeatures(alpha, units(random), units(random), null);
        long[] ids = random.longs(SIZE, 1, 8).toArray();
        objective.update(EncodedBatch.with(withIds(encoded, ids), old));
        for (int i = 0; i < SIZE; i++) {
          queuedImages[e % 4 * SIZE + i] = rows(old.imageEmbeddings())[i];
          queuedTexts[e % 4 * SIZE + i] = rows(old.textEmbeddings())[i];
          queuedIds[e % 4 * SIZE + i] = ids[i];
        }
      }
      int filled = Math.min(earlier, 4) * SIZE;
      assertThat(Objects.requireNonNull(objective.queue()).filled()).isEqualTo(filled);
      MomentumFeatures momentum = new MomentumFeatures(alpha, units(random), units(random), null);
      double temperature = 0.3;
      Features features =
          EncodedBatch.with(
              EncodedBatch.with(encoded, momentum), units(random), units(random), temperature);
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      double loss = objective.loss(plan.run()).item_double();

      double[][] imageBank = bank(rows(momentum.imageEmbeddings()), queuedImages, filled);
      double[][] textBank = bank(rows(momentum.textEmbeddings()), queuedTexts, filled);
      long[] ids = Arrays.copyOf(EncodedBatch.IMAGE_IDS, SIZE + filled);
      System.arraycopy(queuedIds, 0, ids, SIZE, filled);
      double[][] images = rows(features.imageEmbeddings());
      double[] further = new double[inContrast ? SIZE : 0];
      Arrays.fill(further, -1e4);
      for (int i = 0; inContrast && i < SIZE; i++) {
        int row = features.captions().negativeRow(i);
        if (row >= 0) {
          Tensor cls = features.captions().features().select(0, row).narrow(0, 0, 1);
          further[i] = Truth.dot(images[i], rows(batch.network.projectText(cls))[0]) / temperature;
        }
      }
      double toText =
          oneWay(
              images, rows(momentum.imageEmbeddings()), textBank, ids, alpha, temperature, further);
      double toImage =
          oneWay(
              rows(features.textEmbeddings()),
              rows(momentum.textEmbeddings()),
              imageBank,
              ids,
              alpha,
              temperature,
              new double[0]);
      assertThat(loss).isCloseTo((toText + toImage) / 2, Offset.offset(2e-5));
    }
  }

  private static double[][] bank(double[][] batch, double[][] queue, int filled) {
    List<double[]> all = new ArrayList<>(Arrays.asList(batch));
    all.addAll(Arrays.asList(queue).subList(0, filled));
    return all.toArray(double[][]::new);
  }

  private static Features withIds(Features f, long[] ids) {
    Batch b = f.batch();
    Batch with =
        new Batch(b.step(), b.keys(), b.sampleIds(), ids, b.captions(), b.images(), b.tokens());
    return new Features(
        with,
        f.step(),
        f.steps(),
        f.draw(),
        f.imageCls(),
        f.patchTokens(),
        f.codes(),
        f.fusionTokens(),
        f.captions(),
        f.imageEmbeddings(),
        f.textEmbeddings(),
        f.negativeEmbeddings(),
        f.temperature(),
        f.momentum(),
        f.dictionary(),
        WholeBatch.own(with, f.imageEmbeddings(), f.textEmbeddings(), f.momentum()));
  }

  @Test
  void withoutMomentumEncodersTheBankIsTheBatchItselfWithGradient() {
    NasConfig config = config(0, false);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        ContrastiveLoss objective = new ContrastiveLoss(config, "cpu");
        PointerScope scope = new PointerScope()) {
      Random random = new Random(3);
      Tensor images = units(random).set_requires_grad(true);
      Tensor texts = units(random);
      Features features =
          EncodedBatch.with(batch.features(batch.captionPlan()), images, texts, 0.5);
      FusionPlan plan = new FusionPlan(features, batch.network);
      plan.positives();
      Forward forward = plan.run();
      Tensor loss = objective.loss(forward);
      double[][] i = rows(images.detach());
      double[][] t = rows(texts);
      assertThat(loss.item_double()).isCloseTo(plain(i, t), Offset.offset(2e-6));
      loss.backward();
      // The whole derivative by one element, through rows and bank: (L(x+h) - L(x-h)) / 2h.
      double h = 1e-5;
      i[2][5] += h;
      double above = plain(i, t);
      i[2][5] -= 2 * h;
      double below = plain(i, t);
      assertThat(rows(images.grad())[2][5])
          .isCloseTo((above - below) / (2 * h), Offset.offset(1e-5));
    }
  }

  private static double plain(double[][] images, double[][] texts) {
    double[] none = new double[0];
    long[] ids = EncodedBatch.IMAGE_IDS;
    return (oneWay(images, images, texts, ids, 0, 0.5, none)
            + oneWay(texts, texts, images, ids, 0, 0.5, none))
        / 2;
  }
}
