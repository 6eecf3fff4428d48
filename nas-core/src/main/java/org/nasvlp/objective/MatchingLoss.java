package org.nasvlp.objective;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
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
 * below 1, those that contrast tells most surely from all of another image. With {@code
 * objective.itmFocus} above 0 it is the focal loss (Lin et al., arXiv 1708.02002): the mean of -(1
 * - p)^gamma log p, p being the probability of a pair's true label. Of several ranks the batch is
 * that of all, with {@code objective.itmAcrossRanks}, or each rank's own.
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
    Candidates of = candidates(features);
    int size = of.imageIds.length;
    float[] similarity =
        Torch.toFloats(
            of.images.detach().matmul(of.texts.detach().t()).div(features.temperature().detach()));
    int[] images = draw(of, transpose(similarity, size), features.draw(), 1);
    int[] captions = draw(of, similarity, features.draw(), 0);
    int[] withImage = leastSure(images, transpose(similarity, size), of.imageIds);
    int[] withCaption = leastSure(captions, similarity, of.imageIds);
    // A pair is fused where its image is: captions are the smaller of the two to move.
    int[] imageOf = concat(IntStream.of(withImage).map(b -> images[b]), IntStream.of(withCaption));
    int[] captionOf =
        concat(IntStream.of(withImage), IntStream.of(withCaption).map(b -> captions[b]));
    int[] own =
        IntStream.range(0, imageOf.length).filter(i -> of.isOwn(imageOf[i], features)).toArray();
    mismatches =
        plan.match(
            IntStream.of(own).map(i -> imageOf[i] - of.first).toArray(),
            captionRows(plan, of, IntStream.of(own).map(i -> captionOf[i]).toArray()));
  }

  /**
   * The pairs that hard negatives are drawn from: the whole batch, or the rank's share of it.
   *
   * @param first of the rank's own rows
   */
  private record Candidates(
      Tensor images, Tensor texts, long[] imageIds, long[] sampleIds, int first) {
    boolean isOwn(int row, Features features) {
      return row >= first && row < first + features.size();
    }
  }

  private Candidates candidates(Features features) {
    WholeBatch whole = features.whole();
    if (whole.captions() != null) {
      return new Candidates(
          whole.imageEmbeddings(),
          whole.textEmbeddings(),
          whole.imageIds(),
          whole.sampleIds(),
          whole.first());
    }
    return new Candidates(
        features.imageEmbeddings(),
        features.textEmbeddings(),
        features.batch().imageIds(),
        features.batch().sampleIds(),
        0);
  }

  /** Rows of the plan for captions of the candidates: those of other ranks are added to it. */
  private static int[] captionRows(FusionPlan plan, Candidates of, int[] captions) {
    Features features = plan.features();
    int[] foreign =
        IntStream.of(captions)
            .filter(row -> !of.isOwn(row, features))
            .distinct()
            .sorted()
            .toArray();
    Tensor encoded = features.whole().captions();
    Tensor attentionMask = features.whole().attentionMask();
    int from = 0;
    if (foreign.length > 0 && encoded != null && attentionMask != null) {
      Tensor rows = TorchDevice.of(encoded).index(foreign);
      from = plan.addCaptions(encoded.index_select(0, rows), attentionMask.index_select(0, rows));
    }
    int added = from;
    return IntStream.of(captions)
        .map(
            row ->
                of.isOwn(row, features)
                    ? row - of.first
                    : added + Arrays.binarySearch(foreign, row))
        .toArray();
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

  private int[] draw(Candidates of, float[] similarity, int draw, int direction) {
    return HardNegatives.draw(similarity, of.imageIds, of.sampleIds, seed, draw, direction);
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
    Tensor target = TorchDevice.of(logits).longs(labels, labels.length);
    double focus = config.objective().itmFocus();
    return focus == 0 ? torch.cross_entropy_loss(logits, target) : focal(logits, target, focus);
  }

  /** The mean over rows of logits of -(1 - p)^focus log p, p being that of the row's target. */
  static Tensor focal(Tensor logits, Tensor target, double focus) {
    Tensor log = torch.log_softmax(logits, 1).gather(1, target.unsqueeze(1));
    Tensor miss = log.exp().neg().add(new Scalar(1));
    return miss.pow(new Scalar(focus)).mul(log).mean().neg();
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Tensor loss = loss(forward);
    return List.of(
        loss == null || positives == null || mismatches == null
            ? LossPart.NONE
            : new LossPart(loss, positives.count() + mismatches.count()));
  }
}
