package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.Tier;

/**
 * Patch tokens and a codebook, the same numbers for LibTorch and for the kernels.
 *
 * @param rows N patch tokens
 * @param size K codewords
 * @param width d
 * @param tokens N x d
 * @param codewords K x d
 * @param codebook over the same codewords
 */
record Problem(int rows, int size, int width, Tensor tokens, Tensor codewords, Codebook codebook) {

  /**
   * A problem of a shape "NxKxd".
   *
   * @param clustered tokens near codewords rather than independent standard normals
   * @param tier instruction tier of the kernels, or "best"
   */
  static Problem create(String shape, boolean clustered, int threads, String tier) {
    String[] parts = shape.split("x", -1);
    int rows = Integer.parseInt(parts[0]);
    int size = Integer.parseInt(parts[1]);
    int width = Integer.parseInt(parts[2]);
    Torch.setThreads(threads);
    Kernels.setThreads(threads);
    if (!Kernels.isAvailable(Backend.CPU)) {
      throw new IllegalStateException(
          "the native kernels are not loaded: " + Kernels.unavailableReason(Backend.CPU));
    }
    Kernels.setTier(
        tier.equals("best") ? Kernels.bestTier() : Tier.valueOf(tier.toUpperCase(Locale.ROOT)));
    Random random = new Random(7);
    float[] codewords = normal(random, size * width);
    float[] tokens = normal(random, rows * width);
    if (clustered) {
      for (int i = 0; i < rows; i++) {
        int center = random.nextInt(size);
        for (int t = 0; t < width; t++) {
          tokens[i * width + t] = codewords[center * width + t] + 0.3f * tokens[i * width + t];
        }
      }
    }
    Tensor codewordTensor = Torch.floats(codewords, size, width);
    return new Problem(
        rows,
        size,
        width,
        Torch.floats(tokens, rows, width),
        codewordTensor,
        Codebook.create(Backend.CPU, Torch.segment(codewordTensor), size, width));
  }

  private static float[] normal(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** An empty int32 tensor and its memory. */
  static Tensor ints(long... shape) {
    return Torch.empty(torch.ScalarType.Int, shape);
  }

  MemorySegment lookup(Tensor codes) {
    MemorySegment out = Torch.segment(codes);
    codebook.lookup(Torch.segment(tokens), rows, width, out, null, 0L);
    return out;
  }

  Tensor squaredNorms() {
    return Torch.sum(codewords.square(), 1);
  }

  /** Squared distance of token i to codeword j in float64. */
  static double distance(float[] tokens, float[] codewords, int width, int i, int j) {
    double sum = 0;
    for (int t = 0; t < width; t++) {
      double difference = (double) tokens[i * width + t] - codewords[j * width + t];
      sum += difference * difference;
    }
    return sum;
  }
}
