package org.nasvlp.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * Image-text contrast by a sigmoid for each combination, as SigLIP has it (Zhai et al., arXiv
 * 2303.15343): over the B images of the rank and the W captions of all ranks,
 *
 * <p>L = -(1/B) Σ_i Σ_j log σ(z_ij (cos(v_i, t_j) / τ + b)),
 *
 * <p>z_ij 1 where image and caption are of the same picture and -1 else, τ the model's learned
 * temperature. The bias b is given: the paper learns it, from -10 on. In place of ITC it goes with
 * {@code objective.itcWeight: 0}.
 */
public final class SigmoidContrast implements Objective {
  private final double weight;
  private final double bias;

  /**
   * @param weight of the loss in the sum
   * @param bias b, added to each logit; near log(1 / (W - 1)) the loss begins as small as it can
   *     for embeddings that know nothing
   * @throws IllegalArgumentException if the weight is negative, or one of them is not finite
   */
  public SigmoidContrast(double weight, double bias) {
    if (!(weight >= 0) || !Double.isFinite(weight) || !Double.isFinite(bias)) {
      throw new IllegalArgumentException(
          "weight is %s and bias %s: the weight must be at least 0, and both finite"
              .formatted(weight, bias));
    }
    this.weight = weight;
    this.bias = bias;
  }

  @Override
  public String name() {
    return "sigmoid";
  }

  @Override
  public double weight(long step, long steps) {
    return weight;
  }

  @Override
  public Tensor loss(Forward forward) {
    Features features = forward.features();
    Tensor images = features.imageEmbeddings();
    long[] rows = features.batch().imageIds();
    long[] columns = features.whole().imageIds();
    float[] signs = new float[rows.length * columns.length];
    for (int i = 0; i < rows.length; i++) {
      for (int j = 0; j < columns.length; j++) {
        signs[i * columns.length + j] = rows[i] == columns[j] ? 1 : -1;
      }
    }
    Tensor logits =
        images
            .matmul(features.whole().textEmbeddings().t())
            .div(features.temperature())
            .add(new Scalar(bias));
    Tensor sign = TorchDevice.of(images).floats(signs, rows.length, columns.length);
    return Torch.sum(torch.log_sigmoid(logits.mul(sign)), 1).mean().neg();
  }
}
