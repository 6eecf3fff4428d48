package org.nasvlp.train;

import java.util.List;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.LossPart;
import org.nasvlp.objective.MomentumFeatures;
import org.nasvlp.objective.Objective;
import org.nasvlp.objective.WholeBatch;

/**
 * Makes of several ranks' shares of a batch one batch: what they encode is gathered, and the
 * gradient of what a rank took from another goes back to it.
 *
 * <p>LibTorch's collectives have no gradient. So the gathered tensors begin a graph of their own;
 * once the losses' gradient has reached them it is summed over the ranks, and each rank passes its
 * own rows' on to its encoders.
 */
final class RankExchange {
  private final Ranks ranks;
  private final Tensor imageEmbeddings;
  private final Tensor textEmbeddings;
  private final Tensor captions;
  private final WholeBatch whole;

  private RankExchange(
      Ranks ranks,
      Tensor imageEmbeddings,
      Tensor textEmbeddings,
      Tensor captions,
      WholeBatch whole) {
    this.ranks = ranks;
    this.imageEmbeddings = imageEmbeddings;
    this.textEmbeddings = textEmbeddings;
    this.captions = captions;
    this.whole = whole;
  }

  /**
   * Gathers a batch. A collective.
   *
   * @param imageEmbeddings n x p of the rank's own images
   * @param textEmbeddings n x p of the rank's own true captions
   * @param captions the rank's own, whose features begin a graph
   * @param momentum what the momentum encoders make of them; null in a run without
   * @param withCaptions whether captions are matched with other ranks' images
   */
  static RankExchange of(
      Ranks ranks,
      Batch batch,
      Tensor imageEmbeddings,
      Tensor textEmbeddings,
      EncodedCaptions captions,
      @Nullable MomentumFeatures momentum,
      boolean withCaptions) {
    int own = captions.size();
    Tensor gathered = null;
    Tensor attentionMask = null;
    if (withCaptions) {
      long length = captions.features().size(1);
      long most = length;
      for (double[] of : ranks.gatherByRank((double) length)) {
        most = Math.max(most, (long) of[0]);
      }
      Tensor features = captions.features().detach().narrow(0, 0, own);
      Tensor mask = captions.attentionMask().narrow(0, 0, own);
      gathered = leaf(ranks.gather(Torch.lengthened(features, most)));
      attentionMask = ranks.gather(Torch.lengthened(mask, most));
    }
    WholeBatch whole =
        new WholeBatch(
            ranks,
            ranks.rank() * own,
            ranks.gather(batch.imageIds()),
            ranks.gather(batch.sampleIds()),
            leaf(ranks.gather(imageEmbeddings)),
            leaf(ranks.gather(textEmbeddings)),
            momentum == null ? null : ranks.gather(momentum.imageEmbeddings()),
            momentum == null ? null : ranks.gather(momentum.textEmbeddings()),
            gathered,
            attentionMask);
    return new RankExchange(ranks, imageEmbeddings, textEmbeddings, captions.features(), whole);
  }

  private static Tensor leaf(Tensor tensor) {
    return tensor.set_requires_grad(true);
  }

  /** What all ranks know of the batch. */
  WholeBatch whole() {
    return whole;
  }

  /** The rank's own rows of what was gathered, with the gradient that goes through it. */
  Tensor ownImageEmbeddings() {
    return whole.imageEmbeddings().narrow(0, whole.first(), imageEmbeddings.size(0));
  }

  /** The rank's own rows of what was gathered, with the gradient that goes through it. */
  Tensor ownTextEmbeddings() {
    return whole.textEmbeddings().narrow(0, whole.first(), textEmbeddings.size(0));
  }

  /** Passes on what the losses' gradient has left at what was gathered. A collective. */
  void backward() {
    backward(imageEmbeddings, ownGradient(whole.imageEmbeddings()));
    backward(textEmbeddings, ownGradient(whole.textEmbeddings()));
    Tensor gathered = whole.captions();
    if (gathered != null) {
      Tensor gradient = ownGradient(gathered).narrow(1, 0, captions.size(1));
      try (AutoGradMode off = Torch.withoutGradient()) {
        captions.grad().narrow(0, 0, gradient.size(0)).add_(gradient);
      }
    }
  }

  /** What all ranks' losses say of the rank's own rows. */
  private Tensor ownGradient(Tensor leaf) {
    Tensor gradient = leaf.grad();
    return ranks.ownSum(
        gradient.defined() ? gradient : TorchDevice.of(leaf).zeros(Torch.shape(leaf)));
  }

  private static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  /**
   * The losses of a whole batch, by objective; the same on all ranks but for the factors.
   *
   * @param present whether any rank has one
   * @param values the losses
   * @param factors also by part: what this rank's mean counts for
   * @param hardNegatives of all ranks
   */
  record Averages(boolean[] present, double[] values, double[][] factors, int[] hardNegatives) {}

  /**
   * Averages losses over the ranks, each part by its items. A collective.
   *
   * @param parts by objective, of this rank
   * @param hardNegatives by objective, of this rank
   */
  static Averages average(Ranks ranks, List<List<LossPart>> parts, int[] hardNegatives) {
    int most = Objective.MOST_PARTS;
    int stride = 2 * most + 1;
    double[] own = new double[parts.size() * stride];
    for (int o = 0; o < parts.size(); o++) {
      int at = o * stride;
      for (LossPart part : parts.get(o)) {
        own[at++] = part.items();
        own[at++] = part.mean() == null ? 0 : part.items() * part.mean().item_double();
      }
      own[o * stride + 2 * most] = hardNegatives[o];
    }
    double[] sum = new double[own.length];
    for (double[] of : ranks.gatherByRank(own)) {
      for (int i = 0; i < sum.length; i++) {
        sum[i] += of[i];
      }
    }
    Averages averages =
        new Averages(
            new boolean[parts.size()],
            new double[parts.size()],
            new double[parts.size()][most],
            new int[parts.size()]);
    for (int o = 0; o < parts.size(); o++) {
      int at = o * stride;
      int present = 0;
      for (int p = 0; p < most; p++) {
        double items = sum[at + 2 * p];
        if (items > 0) {
          present++;
          averages.values[o] += sum[at + 2 * p + 1] / items;
          averages.factors[o][p] = own[at + 2 * p] / items;
        }
      }
      averages.present[o] = present > 0;
      averages.hardNegatives[o] = (int) sum[at + 2 * most];
      if (present > 0) {
        averages.values[o] /= present;
        for (int p = 0; p < most; p++) {
          averages.factors[o][p] /= present;
        }
      }
    }
    return averages;
  }
}
