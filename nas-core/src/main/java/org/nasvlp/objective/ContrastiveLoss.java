package org.nasvlp.objective;

import java.util.Arrays;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * Image-text contrast (ITC), as ALBEF has it (arXiv 2107.07651, section 3.2): with embeddings I and
 * T, temperature τ and a bank of momentum embeddings Ĩ, T̃ (this batch's, then the queue's)
 *
 * <p>L = ½ [H(y_t, softmax(I T̃ᵀ / τ)) + H(y_i, softmax(T Ĩᵀ / τ))],
 *
 * <p>H the cross-entropy, mean over the batch. The targets y share a row's mass among the columns
 * of the same picture; a share alpha of it is the momentum encoders' own distribution ({@link
 * Contrast#soften}). Without momentum encoders the bank is the batch's own embeddings, with
 * gradient. With {@code nta.inContrast} a hard negative caption is one more column, of its own
 * image's row only. The bank is that of all ranks, and with {@code objective.itcOverAccumulation}
 * that of all batches of a step.
 */
public final class ContrastiveLoss implements Objective, AutoCloseable {
  /** Logit of a column that is not there. */
  private static final double ABSENT = -1e4;

  private final NasConfig config;
  private final TorchDevice device;
  private final @Nullable FeatureQueue queue;

  /**
   * With an empty queue, if the configuration asks for one.
   *
   * @param device where the model computes: {@code cpu} or {@code cuda:N}
   */
  public ContrastiveLoss(NasConfig config, String device) {
    this.config = config;
    this.device = TorchDevice.of(device);
    int capacity = config.objective().queue();
    this.queue =
        capacity > 0 ? new FeatureQueue(capacity, config.model().projection(), this.device) : null;
  }

  /** Momentum features of earlier batches, part of a checkpoint; null if none are kept. */
  public @Nullable FeatureQueue queue() {
    return queue;
  }

  @Override
  public String name() {
    return "itc";
  }

  @Override
  public double weight(long step, long steps) {
    return config.objective().itcWeight();
  }

  @Override
  public Tensor loss(Forward forward) {
    Features features = forward.features();
    WholeBatch whole = features.whole();
    boolean further = takesHardNegatives(features.step(), features.steps());
    return loss(
        new ContrastedPairs(
            features.batch().imageIds(),
            features.imageEmbeddings(),
            features.textEmbeddings(),
            features.momentum(),
            whole.imageIds(),
            whole.momentumImages() == null ? whole.imageEmbeddings() : whole.momentumImages(),
            whole.momentumTexts() == null ? whole.textEmbeddings() : whole.momentumTexts(),
            further ? features.captions().negativeRows() : new int[0],
            further ? features.negativeEmbeddings() : null),
        features.temperature());
  }

  /**
   * The loss of pairs, whatever batches they were encoded in.
   *
   * @param temperature a scalar with gradient
   * @return a scalar with gradient
   */
  public Tensor loss(ContrastedPairs pairs, Tensor temperature) {
    MomentumFeatures momentum = pairs.momentum();
    Tensor images = pairs.imageEmbeddings();
    Tensor texts = pairs.textEmbeddings();
    long[] rowIds = pairs.imageIds();
    long[] columnIds = columnIds(pairs.bankIds());
    Tensor imageBank = pairs.imageBank();
    Tensor textBank = pairs.textBank();
    if (queue != null && queue.filled() > 0) {
      imageBank = Torch.cat(0, imageBank, queue.images().narrow(0, 0, queue.filled()));
      textBank = Torch.cat(0, textBank, queue.texts().narrow(0, 0, queue.filled()));
    }
    Tensor labels =
        device.floats(Contrast.targets(rowIds, columnIds), rowIds.length, columnIds.length);
    Tensor toText = images.matmul(textBank.t()).div(temperature);
    Tensor toImage = texts.matmul(imageBank.t()).div(temperature);
    Tensor textTargets = labels;
    Tensor imageTargets = labels;
    if (momentum != null && momentum.softTargets() > 0) {
      textTargets = soften(labels, momentum.imageEmbeddings(), textBank, momentum, temperature);
      imageTargets = soften(labels, momentum.textEmbeddings(), imageBank, momentum, temperature);
    }
    Tensor negatives = pairs.negativeEmbeddings();
    if (negatives != null && pairs.negativeRows().length > 0) {
      Tensor own = hardNegatives(images, negatives, pairs.negativeRows(), temperature);
      toText = Torch.cat(1, toText, own.unsqueeze(1));
      textTargets = Torch.cat(1, textTargets, device.zeros(rowIds.length, 1));
    }
    return Contrast.softCrossEntropy(toText, textTargets)
        .add(Contrast.softCrossEntropy(toImage, imageTargets))
        .mul(new Scalar(0.5));
  }

  /** Image ids of the bank: this batch's, then the queue's. */
  private long[] columnIds(long[] batchIds) {
    if (queue == null || queue.filled() == 0) {
      return batchIds;
    }
    long[] ids = Arrays.copyOf(batchIds, batchIds.length + queue.filled());
    System.arraycopy(queue.ids(), 0, ids, batchIds.length, queue.filled());
    return ids;
  }

  private static Tensor soften(
      Tensor labels, Tensor rows, Tensor bank, MomentumFeatures momentum, Tensor temperature) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor logits = rows.matmul(bank.t()).div(temperature.detach());
      return Contrast.soften(labels, logits, momentum.softTargets());
    }
  }

  /** Whether hard negative captions are columns of the contrast at a step. */
  public boolean takesHardNegatives(long step, long steps) {
    return config.nta().inContrast() && config.nta().weightAt(step, steps) > 0;
  }

  /** Logits of the images to their own captions' hard negatives, one a row of the images. */
  private Tensor hardNegatives(Tensor images, Tensor negatives, int[] rows, Tensor temperature) {
    Tensor index = device.index(rows);
    Tensor own = Torch.sum(images.index_select(0, index).mul(negatives), 1).div(temperature);
    return device.zeros(images.size(0)).fill_(new Scalar(ABSENT)).index_copy(0, index, own);
  }

  @Override
  public void update(Features features) {
    WholeBatch whole = features.whole();
    if (whole.momentumImages() != null && whole.momentumTexts() != null) {
      update(whole.momentumImages(), whole.momentumTexts(), whole.imageIds());
    }
  }

  /**
   * Moves the queue on, if there is one, by momentum features W x p of images and captions.
   *
   * @param imageIds of the W pairs
   */
  public void update(Tensor momentumImages, Tensor momentumTexts, long[] imageIds) {
    if (queue != null) {
      queue.push(momentumImages, momentumTexts, imageIds);
    }
  }

  @Override
  public void close() {
    if (queue != null) {
      queue.close();
    }
  }
}
