package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
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
   * Gathers a batch, in two collectives: what its rows are, then all that was made of them.
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
    Rows rows = Rows.gather(ranks, batch, captions.features().size(1));
    List<Tensor> parts = new ArrayList<>(List.of(imageEmbeddings, textEmbeddings));
    if (momentum != null) {
      parts.add(momentum.imageEmbeddings());
      parts.add(momentum.textEmbeddings());
    }
    if (withCaptions) {
      parts.add(Torch.lengthened(captions.features().narrow(0, 0, own), rows.length));
      parts.add(
          Torch.lengthened(
              captions.attentionMask().narrow(0, 0, own).to(torch.ScalarType.Float), rows.length));
    }
    List<Tensor> all = gather(ranks, parts);
    int from = momentum == null ? 2 : 4;
    WholeBatch whole =
        new WholeBatch(
            ranks,
            ranks.rank() * own,
            rows.imageIds,
            rows.sampleIds,
            leaf(all.get(0)),
            leaf(all.get(1)),
            momentum == null ? null : all.get(2),
            momentum == null ? null : all.get(3),
            withCaptions ? leaf(all.get(from)) : null,
            withCaptions ? all.get(from + 1).ne(new Scalar(0)) : null);
    return new RankExchange(ranks, imageEmbeddings, textEmbeddings, captions.features(), whole);
  }

  /**
   * What the rows of the whole batch are.
   *
   * @param imageIds of all ranks
   * @param sampleIds of all ranks
   * @param length of the longest rank's captions
   */
  private record Rows(long[] imageIds, long[] sampleIds, long length) {
    static Rows gather(Ranks ranks, Batch batch, long length) {
      int own = batch.imageIds().length;
      int stride = 2 * own + 1;
      long[] mine = new long[stride];
      System.arraycopy(batch.imageIds(), 0, mine, 0, own);
      System.arraycopy(batch.sampleIds(), 0, mine, own, own);
      mine[2 * own] = length;
      long[] all = ranks.gather(mine);
      long[] imageIds = new long[ranks.size() * own];
      long[] sampleIds = new long[imageIds.length];
      long most = 0;
      for (int rank = 0; rank < ranks.size(); rank++) {
        System.arraycopy(all, rank * stride, imageIds, rank * own, own);
        System.arraycopy(all, rank * stride + own, sampleIds, rank * own, own);
        most = Math.max(most, all[rank * stride + 2 * own]);
      }
      return new Rows(imageIds, sampleIds, most);
    }
  }

  /** All ranks' rows of float32 tensors n x ..., in one collective. */
  private static List<Tensor> gather(Ranks ranks, List<Tensor> own) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor all = ranks.gather(sideBySide(own));
      List<Tensor> parts = new ArrayList<>();
      long at = 0;
      for (Tensor part : own) {
        long[] shape = Torch.shape(part);
        long width = part.numel() / shape[0];
        shape[0] = all.size(0);
        parts.add(all.narrow(1, at, width).contiguous().view(shape));
        at += width;
      }
      return parts;
    }
  }

  /** Tensors n x ... as one, n rows of all their values. */
  private static Tensor sideBySide(List<Tensor> parts) {
    return Torch.cat(
        1, parts.stream().map(part -> part.reshape(part.size(0), -1)).toArray(Tensor[]::new));
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
    List<Tensor> leaves = new ArrayList<>(List.of(whole.imageEmbeddings(), whole.textEmbeddings()));
    Tensor gathered = whole.captions();
    if (gathered != null) {
      leaves.add(gathered);
    }
    Tensor own = ranks.ownSum(sideBySide(leaves.stream().map(RankExchange::gradient).toList()));
    long width = imageEmbeddings.size(1);
    backward(imageEmbeddings, own.narrow(1, 0, width));
    backward(textEmbeddings, own.narrow(1, width, width));
    if (gathered != null && captions.requires_grad()) {
      long length = captions.size(1);
      long d = captions.size(2);
      try (AutoGradMode off = Torch.withoutGradient()) {
        captions
            .grad()
            .narrow(0, 0, own.size(0))
            .add_(own.narrow(1, 2 * width, length * d).reshape(own.size(0), length, d));
      }
    }
  }

  private static Tensor gradient(Tensor leaf) {
    Tensor gradient = leaf.grad();
    return gradient.defined() ? gradient : TorchDevice.of(leaf).zeros(Torch.shape(leaf));
  }

  private static void backward(Tensor output, Tensor gradient) {
    if (!output.requires_grad()) {
      return; // of frozen parameters alone
    }
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
