package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.CpuTier;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.Rows;
import org.nasvlp.libtorch.LibTorch;

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
   * A problem of a shape and a kind of data: see {@link Numbers#create}. Prints which BLAS LibTorch
   * uses.
   *
   * @param tier instruction tier of the kernels, or "best"
   */
  static Problem create(String shape, String data, int threads, String tier) {
    LibTorch.setThreads(threads);
    System.out.println("# " + TorchBlas.use(threads));
    Kernels.setThreads(threads);
    if (!Kernels.isAvailable(Backend.CPU)) {
      throw new IllegalStateException(
          "the native kernels are not loaded: " + Kernels.unavailableReason(Backend.CPU));
    }
    Kernels.setTier(
        tier.equals("best") ? Kernels.bestTier() : CpuTier.valueOf(tier.toUpperCase(Locale.ROOT)));
    Numbers numbers = Numbers.create(shape, data);
    int rows = numbers.rows();
    int size = numbers.size();
    int width = numbers.width();
    Tensor codewordTensor = Tensors.floats(numbers.codewords(), size, width);
    return new Problem(
        rows,
        size,
        width,
        Tensors.floats(numbers.tokens(), rows, width),
        codewordTensor,
        Codebook.create(Backend.CPU, Tensors.segment(codewordTensor), size, width));
  }

  /** An empty int32 tensor and its memory. */
  static Tensor ints(long... shape) {
    return Tensors.empty(torch.ScalarType.Int, shape);
  }

  MemorySegment lookup(Tensor codes) {
    MemorySegment out = Tensors.segment(codes);
    codebook.lookup(Rows.of(Tensors.segment(tokens), rows, width), out, null, 0L);
    return out;
  }

  Tensor squaredNorms() {
    return Tensors.sum(codewords.square(), 1);
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
