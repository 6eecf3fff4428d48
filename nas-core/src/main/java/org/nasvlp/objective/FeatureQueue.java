package org.nasvlp.objective;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * The most recent momentum features of images and captions, further negatives of the contrast
 * (MoCo, arXiv 1911.05722; ALBEF, arXiv 2107.07651). A ring: a batch replaces the oldest. Not
 * thread-safe.
 */
public final class FeatureQueue implements AutoCloseable {
  private final Tensor images;
  private final Tensor texts;
  private final long[] ids;
  private int filled;
  private int next;
  private boolean closed;

  /** An empty queue of {@code capacity} features of width {@code width} on a device. */
  FeatureQueue(int capacity, int width, TorchDevice device) {
    try (PointerScope scope = new PointerScope()) {
      images = device.zeros(capacity, width);
      images.retainReference();
      texts = device.zeros(capacity, width);
      texts.retainReference();
    }
    ids = new long[capacity];
  }

  /** How many features it holds. */
  public int filled() {
    return filled;
  }

  /** Row that the next batch begins at. */
  public int next() {
    return next;
  }

  /** Ids of the images, one a row; the queue's own array. */
  public long[] ids() {
    return ids;
  }

  /** Capacity x width features of images; the queue's own memory. */
  public Tensor images() {
    return images;
  }

  /** Capacity x width features of captions; the queue's own memory. */
  public Tensor texts() {
    return texts;
  }

  /** Restores fill and position; the tensors and ids are filled in place by the caller. */
  public void restore(int filled, int next) {
    this.filled = filled;
    this.next = next;
  }

  /** Replaces the oldest features by a batch's. The capacity is a multiple of the batch. */
  public void push(Tensor imageFeatures, Tensor textFeatures, long[] imageIds) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      images.narrow(0, next, imageIds.length).copy_(imageFeatures);
      texts.narrow(0, next, imageIds.length).copy_(textFeatures);
    }
    System.arraycopy(imageIds, 0, ids, next, imageIds.length);
    filled = Math.min(ids.length, Math.max(filled, next + imageIds.length));
    next = (next + imageIds.length) % ids.length;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      images.releaseReference();
      texts.releaseReference();
    }
  }
}
