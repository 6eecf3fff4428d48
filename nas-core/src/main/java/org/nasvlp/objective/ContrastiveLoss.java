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
 * image's row only. The bank is that of all ranks.
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
    MomentumFeatures momentum = features.momentum();
    Tensor temperature = features.temperature();
    Tensor images = features.imageEmbeddings();
    Tensor texts = features.textEmbeddings();
    long[] rowIds = features.batch().imageIds();
    WholeBatch whole = features.whole();
    long[] columnIds = columnIds(whole.imageIds());
    Tensor imageBank =
        whole.momentumImages() == null ? whole.imageEmbeddings() : whole.momentumImages();
    Tensor textBank =
        whole.momentumTexts() == null ? whole.textEmbeddings() : whole.momentumTexts();
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
    Tensor negatives = features.negativeEmbeddings();
    if (negatives != null && addsHardNegatives(features)) {
      toText = Torch.cat(1, toText, hardNegatives(features, negatives).unsqueeze(1));
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

  private boolean addsHardNegatives(Features features) {
    return config.nta().inContrast()
        && config.nta().weightAt(features.step(), features.steps()) > 0;
  }

  /** B logits of the images to their own captions' hard negatives. */
  private Tensor hardNegatives(Features features, Tensor negatives) {
    Tensor index = device.index(features.captions().negativeRows());
    Tensor own =
        Torch.sum(features.imageEmbeddings().index_select(0, index).mul(negatives), 1)
            .div(features.temperature());
    return device.zeros(features.size()).fill_(new Scalar(ABSENT)).index_copy(0, index, own);
  }

  @Override
  public void update(Features features) {
    WholeBatch whole = features.whole();
    if (queue != null && whole.momentumImages() != null && whole.momentumTexts() != null) {
      queue.push(whole.momentumImages(), whole.momentumTexts(), whole.imageIds());
    }
  }

  @Override
  public void close() {
    if (queue != null) {
      queue.close();
    }
  }
}
