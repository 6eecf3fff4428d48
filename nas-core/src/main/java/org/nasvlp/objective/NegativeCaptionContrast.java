package org.nasvlp.objective;

import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * Image-text contrast in which the batch's hard negative captions are further columns of every
 * image, as NegCLIP has it (Yuksekgonul et al., arXiv 2210.01936): with images V, captions T and
 * the rank's hard negative captions T⁻,
 *
 * <p>L = ½ [H(y, softmax(V [T; T⁻]ᵀ / τ)) + H(y, softmax(T Vᵀ / τ))].
 *
 * <p>H is the cross-entropy, mean over the rank's pairs; the targets y share a row's mass among the
 * columns of the same picture; T and V are those of all ranks. No row is right for a hard negative.
 * NegCLIP's hard negative images come by the batches and are no part of it; {@code nta.inContrast}
 * adds to ITC the hard negative of an image's own caption alone. In place of ITC it goes with
 * {@code objective.itcWeight: 0}.
 */
public final class NegativeCaptionContrast implements Objective {
  private final double weight;

  /**
   * @param weight of the loss in the sum
   * @throws IllegalArgumentException if it is negative or not finite
   */
  public NegativeCaptionContrast(double weight) {
    if (!(weight >= 0) || !Double.isFinite(weight)) {
      throw new IllegalArgumentException(
          "weight is " + weight + ": it must be finite and at least 0");
    }
    this.weight = weight;
  }

  @Override
  public String name() {
    return "negclip";
  }

  @Override
  public double weight(long step, long steps) {
    return weight;
  }

  @Override
  public void captions(CaptionPlan plan) {
    plan.requestHardNegatives();
  }

  @Override
  public Tensor loss(Forward forward) {
    Features features = forward.features();
    WholeBatch whole = features.whole();
    long[] rows = features.batch().imageIds();
    Tensor negatives = features.negativeEmbeddings();
    Tensor columns =
        negatives == null
            ? whole.textEmbeddings()
            : Torch.cat(0, whole.textEmbeddings(), negatives);
    float[] targets = Contrast.targets(rows, whole.imageIds());
    TorchDevice device = TorchDevice.of(columns);
    Tensor toImage = device.floats(targets, rows.length, whole.size());
    Tensor toText =
        device.floats(
            widened(targets, whole.size(), (int) columns.size(0)), rows.length, columns.size(0));
    Tensor temperature = features.temperature();
    return Contrast.softCrossEntropy(
            features.imageEmbeddings().matmul(columns.t()).div(temperature), toText)
        .add(
            Contrast.softCrossEntropy(
                features.textEmbeddings().matmul(whole.imageEmbeddings().t()).div(temperature),
                toImage))
        .mul(new Scalar(0.5));
  }

  /** Rows with zeros behind them. */
  private static float[] widened(float[] rows, int from, int to) {
    float[] wide = new float[rows.length / from * to];
    for (int i = 0; i < rows.length / from; i++) {
      float[] row = Arrays.copyOfRange(rows, i * from, (i + 1) * from);
      System.arraycopy(row, 0, wide, i * to, from);
    }
    return wide;
  }
}
