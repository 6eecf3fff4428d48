package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.objective.ContrastedPairs;
import org.nasvlp.objective.ContrastiveLoss;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.MomentumFeatures;

/**
 * Contrast over all A batches of a step with the memory of one (GradCache; Gao, Zhang, Han and
 * Callan, arXiv 2101.06983). A first pass encodes every batch without a graph and keeps its
 * embeddings; the loss over them all gives each embedding its gradient. The second pass encodes
 * each batch again and sends the gradient kept for it through its encoders.
 *
 * <p>Both passes see the same: the encoders draw nothing, images and captions are the batch's, and
 * hard negative captions of the contrast are drawn in the first pass for both. Queue and dictionary
 * move on once, after the second pass, by all A batches. Belongs to one step and lives in its
 * caller's scope. Of several ranks each has its rows of the loss, over the bank of all.
 */
final class CachedContrast {
  private final ContrastiveLoss contrast;
  private final NasModel model;
  private final Ranks ranks;
  private final double weight;
  private final List<Share> shares = new ArrayList<>();
  private final Tensor patchTokens;
  private final Tensor codes;
  private final double loss;
  private final boolean finite;
  private final Bank bank;

  /**
   * A batch's share.
   *
   * @param negatives hard negative captions that were drawn for it; null for none
   * @param momentum what the momentum encoders see; null in a run without them
   * @param images n x p gradient of its image embeddings
   * @param texts n x p gradient of its text embeddings
   * @param hardNegatives H x p gradient of the embeddings of its hard negatives
   */
  record Share(
      @Nullable HardNegativeCaptions negatives,
      @Nullable MomentumFeatures momentum,
      Tensor images,
      Tensor texts,
      Tensor hardNegatives) {

    /** A scalar whose gradient at the embeddings is the one kept for them. */
    Tensor backwardFrom(Features features) {
      Tensor sum =
          features
              .imageEmbeddings()
              .mul(images)
              .sum()
              .add(features.textEmbeddings().mul(texts).sum());
      Tensor negatives = features.negativeEmbeddings();
      return negatives == null || hardNegatives.size(0) == 0
          ? sum
          : sum.add(negatives.mul(hardNegatives).sum());
    }
  }

  /**
   * What the rows of all ranks are compared with: first all of rank 0, its batches in their order.
   *
   * @param images W x p, with gradient
   * @param texts W x p, with gradient
   * @param momentumImages W x p; null in a run without momentum encoders
   * @param momentumTexts W x p; null in a run without momentum encoders
   */
  private record Bank(
      long[] ids,
      Tensor images,
      Tensor texts,
      @Nullable Tensor momentumImages,
      @Nullable Tensor momentumTexts) {}

  /**
   * The first pass, and the gradient of the loss: the temperature's is added to its own, those of
   * the embeddings are kept. A collective.
   *
   * @param batches of one size
   * @param firstDraw number of the first batch in the run, which randomness depends on
   */
  CachedContrast(
      ContrastiveLoss contrast,
      NasModel model,
      ForwardPass forward,
      Ranks ranks,
      List<Batch> batches,
      int step,
      long steps,
      int firstDraw,
      StepClock clock) {
    this.contrast = contrast;
    this.model = model;
    this.ranks = ranks;
    this.weight = contrast.weight(step, steps);
    int n = batches.getFirst().keys().length;
    int all = n * batches.size();
    TorchDevice device = TorchDevice.of(model.parameters().values());
    int p = model.config().model().projection();
    Tensor images = device.zeros(all, p);
    Tensor texts = device.zeros(all, p);
    Tensor momentumImages = device.zeros(all, p);
    Tensor momentumTexts = device.zeros(all, p);
    Tensor negatives = device.zeros(all, p);
    boolean further = contrast.takesHardNegatives(step, steps);
    long[] ids = new long[all];
    List<Integer> negativeRows = new ArrayList<>();
    int[] counts = new int[batches.size()];
    List<@Nullable HardNegativeCaptions> drawn = new ArrayList<>();
    double softTargets = -1;
    for (int a = 0; a < batches.size(); a++) {
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = Torch.withoutGradient()) {
        Batch batch = batches.get(a);
        ForwardPass.Embedded of = forward.embed(batch, step, steps, firstDraw + a, further, clock);
        images.narrow(0, (long) a * n, n).copy_(of.imageEmbeddings());
        texts.narrow(0, (long) a * n, n).copy_(of.textEmbeddings());
        if (of.momentum() != null) {
          softTargets = of.momentum().softTargets();
          momentumImages.narrow(0, (long) a * n, n).copy_(of.momentum().imageEmbeddings());
          momentumTexts.narrow(0, (long) a * n, n).copy_(of.momentum().textEmbeddings());
        }
        System.arraycopy(batch.imageIds(), 0, ids, a * n, n);
        drawn.add(of.captions().negatives());
        Tensor cls = of.captions().negativeCls();
        if (cls != null) {
          counts[a] = of.captions().negativeRows().length;
          negatives
              .narrow(0, negativeRows.size(), counts[a])
              .copy_(model.network().projectText(cls));
          for (int row : of.captions().negativeRows()) {
            negativeRows.add(a * n + row);
          }
        }
      }
    }
    boolean momentum = softTargets >= 0;
    Tensor hard = negatives.narrow(0, 0, negativeRows.size()).detach().set_requires_grad(true);
    this.bank =
        new Bank(
            ranks.gather(ids),
            ranks.gather(images).detach().set_requires_grad(true),
            ranks.gather(texts).detach().set_requires_grad(true),
            momentum ? ranks.gather(momentumImages) : null,
            momentum ? ranks.gather(momentumTexts) : null);
    clock.mark(StepClock.EXCHANGE);
    long first = (long) ranks.rank() * all;
    Tensor value =
        contrast.loss(
            new ContrastedPairs(
                ids,
                bank.images.narrow(0, first, all),
                bank.texts.narrow(0, first, all),
                momentum
                    ? new MomentumFeatures(softTargets, momentumImages, momentumTexts, null)
                    : null,
                bank.ids,
                bank.momentumImages == null ? bank.images : bank.momentumImages,
                bank.momentumTexts == null ? bank.texts : bank.momentumTexts,
                negativeRows.stream().mapToInt(Integer::intValue).toArray(),
                hard),
            model.network().temperature());
    double own = value.item_double();
    this.finite = Double.isFinite(own);
    double sum = 0;
    for (double[] of : ranks.gatherByRank(own)) {
      sum += of[0];
    }
    this.loss = sum / ranks.size();
    value.mul(new Scalar(weight / ranks.size())).backward();
    Tensor imageGradient = ranks.ownSum(bank.images.grad());
    Tensor textGradient = ranks.ownSum(bank.texts.grad());
    int at = 0;
    for (int a = 0; a < batches.size(); a++) {
      long from = (long) a * n;
      shares.add(
          new Share(
              drawn.get(a),
              momentum
                  ? new MomentumFeatures(
                      softTargets,
                      momentumImages.narrow(0, from, n),
                      momentumTexts.narrow(0, from, n),
                      null)
                  : null,
              imageGradient.narrow(0, from, n),
              textGradient.narrow(0, from, n),
              counts[a] == 0 ? device.zeros(0, p) : hard.grad().narrow(0, at, counts[a])));
      at += counts[a];
    }
    this.patchTokens =
        device.zeros(all, model.config().model().patchTokens(), model.config().model().width());
    this.codes = device.empty(torch.ScalarType.Int, all, model.config().model().patchTokens());
    clock.mark("itc");
  }

  /** The unweighted loss over all batches and ranks. */
  double loss() {
    return loss;
  }

  /** What the loss counts for. */
  double weight() {
    return weight;
  }

  /** Whether the loss of this rank's own rows is finite. */
  boolean isFinite() {
    return finite;
  }

  /** Of the step's batch number {@code a}. */
  Share share(int a) {
    return shares.get(a);
  }

  /** Keeps what the dictionary is moved on by. */
  void keep(int a, Features features) {
    long n = features.size();
    patchTokens.narrow(0, a * n, n).copy_(features.patchTokens().detach());
    codes.narrow(0, a * n, n).copy_(features.codes().tensor());
  }

  /**
   * Moves queue and dictionary on by all batches, as one batch would. A collective.
   *
   * @param restartSeed of the draws for codewords that start anew
   */
  void update(long restartSeed, int step) {
    if (bank.momentumImages != null && bank.momentumTexts != null) {
      contrast.update(bank.momentumImages, bank.momentumTexts, bank.ids);
    }
    var _ = model.dictionary().update(patchTokens, codes, restartSeed, step, ranks);
  }
}
