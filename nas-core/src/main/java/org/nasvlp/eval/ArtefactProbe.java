package org.nasvlp.eval;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;

/**
 * How well a linear classifier tells hard negative images from the true ones they were made of, by
 * statistics of their tokens alone: norms and how often each code occurs. Where it does so much
 * better than chance, matching can be learned without looking at captions.
 *
 * <p>The classifier is a ridge regression on standardised features, trained on four fifths of the
 * images and tested on the last fifth, in turn; an image and its hard negative are never parted.
 * Not thread-safe.
 */
public final class ArtefactProbe {
  private static final int FOLDS = 5;
  private static final int NORMS = 4;

  /** Pull of the weights to 0, in units of a standardised feature's sum of squares. */
  private static final double RIDGE = 0.03;

  private final int codes;
  private final List<float[]> real = new ArrayList<>();
  private final List<float[]> swapped = new ArrayList<>();

  /**
   * A probe without images.
   *
   * @param codes K
   */
  public ArtefactProbe(int codes) {
    this.codes = codes;
  }

  /**
   * What the probe found.
   *
   * @param images hard negative images, as many as true ones
   * @param accuracy share of them all that are told right; chance 1/2
   */
  public record Result(int images, double accuracy) {}

  /**
   * Adds an image and its hard negative.
   *
   * @param tokens N x d, row-major
   * @param tokenCodes N codes of these tokens
   * @param negativeTokens N x d
   * @param negativeCodes N codes of these tokens
   */
  public void add(float[] tokens, int[] tokenCodes, float[] negativeTokens, int[] negativeCodes) {
    real.add(statistics(tokens, tokenCodes));
    swapped.add(statistics(negativeTokens, negativeCodes));
  }

  /** Least, mean and greatest norm, their standard deviation, and the share of each code. */
  private float[] statistics(float[] tokens, int[] tokenCodes) {
    int count = tokenCodes.length;
    int width = tokens.length / count;
    float[] out = new float[NORMS + codes];
    double sum = 0;
    double squares = 0;
    double least = Double.POSITIVE_INFINITY;
    double most = 0;
    for (int i = 0; i < count; i++) {
      double square = 0;
      for (int t = 0; t < width; t++) {
        square += (double) tokens[i * width + t] * tokens[i * width + t];
      }
      double norm = Math.sqrt(square);
      sum += norm;
      squares += square;
      least = Math.min(least, norm);
      most = Math.max(most, norm);
      out[NORMS + tokenCodes[i]] += 1f / count;
    }
    double mean = sum / count;
    out[0] = (float) least;
    out[1] = (float) mean;
    out[2] = (float) most;
    out[3] = (float) Math.sqrt(Math.max(0, squares / count - mean * mean));
    return out;
  }

  /** Images added so far. */
  public int images() {
    return real.size();
  }

  /**
   * Trains and tests the classifier.
   *
   * @throws IllegalStateException with fewer than five images
   */
  public Result result() {
    int images = real.size();
    if (images < FOLDS) {
      throw new IllegalStateException(
          "the probe needs at least " + FOLDS + " images, it has " + images);
    }
    int right = 0;
    for (int fold = 0; fold < FOLDS; fold++) {
      right += rightIn(fold);
    }
    return new Result(images, right / (2.0 * images));
  }

  private int rightIn(int fold) {
    int features = NORMS + codes;
    int testing = (real.size() - fold + FOLDS - 1) / FOLDS;
    float[] train = new float[2 * (real.size() - testing) * features];
    float[] labels = new float[2 * (real.size() - testing)];
    float[] test = new float[2 * testing * features];
    int trainRow = 0;
    int testRow = 0;
    for (int i = 0; i < real.size(); i++) {
      for (int label = 1; label >= -1; label -= 2) {
        float[] row = label == 1 ? real.get(i) : swapped.get(i);
        if (i % FOLDS == fold) {
          System.arraycopy(row, 0, test, testRow++ * features, features);
        } else {
          labels[trainRow] = label;
          System.arraycopy(row, 0, train, trainRow++ * features, features);
        }
      }
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor x = Torch.floats(train, trainRow, features).to(torch.ScalarType.Double);
      Tensor y = Torch.floats(labels, trainRow, 1).to(torch.ScalarType.Double);
      Tensor mean = x.mean(new long[] {0}, true, new ScalarTypeOptional());
      Tensor centred = x.sub(mean);
      Tensor scale =
          centred
              .square()
              .mean(new long[] {0}, true, new ScalarTypeOptional())
              .sqrt()
              .add(new Scalar(1e-9));
      x = centred.div(scale);
      double[] gram = doubles(x.t().matmul(x));
      for (int i = 0; i < features; i++) {
        gram[i * features + i] += RIDGE * trainRow;
      }
      double[] solution = solve(gram, doubles(x.t().matmul(y)));
      Tensor weights = Torch.empty(torch.ScalarType.Double, features, 1);
      Torch.segment(weights).copyFrom(MemorySegment.ofArray(solution));
      Tensor score =
          Torch.floats(test, testRow, features)
              .to(torch.ScalarType.Double)
              .sub(mean)
              .div(scale)
              .matmul(weights);
      float[] scores = Torch.toFloats(score.to(torch.ScalarType.Float).contiguous());
      int right = 0;
      for (int row = 0; row < testRow; row++) {
        right += scores[row] > 0 == (row % 2 == 0) ? 1 : 0;
      }
      return right;
    }
  }

  private static double[] doubles(Tensor x) {
    return Torch.segment(x.contiguous()).toArray(ValueLayout.JAVA_DOUBLE);
  }

  /**
   * Solves a positive definite system by Cholesky's factorisation, in place of the matrix.
   * LibTorch's own solvers are not used: those of this build crash the process.
   */
  static double[] solve(double[] matrix, double[] right) {
    int n = right.length;
    for (int j = 0; j < n; j++) {
      for (int i = j; i < n; i++) {
        double sum = matrix[i * n + j];
        for (int k = 0; k < j; k++) {
          sum -= matrix[i * n + k] * matrix[j * n + k];
        }
        matrix[i * n + j] = i == j ? Math.sqrt(sum) : sum / matrix[j * n + j];
      }
    }
    double[] x = right.clone();
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < i; k++) {
        x[i] -= matrix[i * n + k] * x[k];
      }
      x[i] /= matrix[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
      for (int k = i + 1; k < n; k++) {
        x[i] -= matrix[k * n + i] * x[k];
      }
      x[i] /= matrix[i * n + i];
    }
    return x;
  }
}
