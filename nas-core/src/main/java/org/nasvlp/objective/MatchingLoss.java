package org.nasvlp.objective;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.random.Draws;

/**
 * Image-text matching (ITM; ALBEF, arXiv 2107.07651, section 3.2): the cross-entropy of the match
 * head over the batch's pairs, which match, and over pairs that do not: each caption with a hard
 * image of the batch, and each image with a hard caption, drawn by contrastive similarity ({@link
 * HardNegatives}). Rows without a candidate are left out; so are, with {@code objective.itmShare}
 * below 1, those that contrast tells most surely from all of another image.
 */
public final class MatchingLoss implements Objective {
  private final NasConfig config;
  private final long seed;
  private FusionPlan.@Nullable Pairs positives;
  private FusionPlan.@Nullable Pairs mismatches;

  /** Weight and seed are the configuration's. */
  public MatchingLoss(NasConfig config) {
    this.config = config;
    this.seed = Draws.HARD_NEGATIVES.seed(config.training().seed());
  }

  @Override
  public String name() {
    return "itm";
  }

  @Override
  public double weight(long step, long steps) {
    return config.objective().itmWeight();
  }

  @Override
  public void plan(FusionPlan plan) {
    Features features = plan.features();
    if (weight(features.step(), features.steps()) == 0) {
      positives = null;
      mismatches = null;
      return;
    }
    positives = plan.positives();
    int size = features.size();
    float[] similarity =
        Torch.toFloats(
            features
                .imageEmbeddings()
                .detach()
                .matmul(features.textEmbeddings().detach().t())
                .div(features.temperature().detach()));
    int[] images = draw(features, transpose(similarity, size), 1);
    int[] captions = draw(features, similarity, 0);
    int[] withImage = leastSure(images, transpose(similarity, size), features.batch().imageIds());
    int[] withCaption = leastSure(captions, similarity, features.batch().imageIds());
    mismatches =
        plan.match(
            concat(IntStream.of(withImage).map(b -> images[b]), IntStream.of(withCaption)),
            concat(IntStream.of(withImage), IntStream.of(withCaption).map(b -> captions[b])));
  }

  /** The rows with a hard negative, or the share of them that are least ahead of all others. */
  private int[] leastSure(int[] negatives, float[] similarity, long[] imageIds) {
    int size = negatives.length;
    double[] lead = new double[size];
    for (int i = 0; i < size; i++) {
      double nearest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < size; j++) {
        if (imageIds[j] != imageIds[i]) {
          nearest = Math.max(nearest, similarity[i * size + j]);
        }
      }
      lead[i] = similarity[i * size + i] - nearest;
    }
    int[] rows = IntStream.range(0, size).filter(row -> negatives[row] >= 0).toArray();
    return LeastSure.of(rows, lead, config.objective().itmShare());
  }

  private int[] draw(Features features, float[] similarity, int direction) {
    return HardNegatives.draw(
        similarity,
        features.batch().imageIds(),
        features.batch().sampleIds(),
        seed,
        features.draw(),
        direction);
  }

  private static int[] concat(IntStream first, IntStream second) {
    return IntStream.concat(first, second).toArray();
  }

  private static float[] transpose(float[] square, int size) {
    float[] out = new float[square.length];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        out[j * size + i] = square[i * size + j];
      }
    }
    return out;
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    if (positives == null || mismatches == null) {
      return null;
    }
    Tensor logits = Torch.cat(0, forward.matchLogits(positives), forward.matchLogits(mismatches));
    long[] labels = new long[positives.count() + mismatches.count()];
    Arrays.fill(labels, 0, positives.count(), 1);
    return torch.cross_entropy_loss(logits, TorchDevice.of(logits).longs(labels, labels.length));
  }
}
