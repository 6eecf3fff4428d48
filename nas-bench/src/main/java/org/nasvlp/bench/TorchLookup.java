package org.nasvlp.bench;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * LibTorch's two ways to a nearest codeword, both in float32. The matrix of all distances is made
 * for as many rows at a time as fit into {@link #MOST_BYTES}, into memory that is kept between
 * calls where LibTorch allows that.
 */
final class TorchLookup {
  /** Most bytes of the matrix of distances. */
  static final long MOST_BYTES = 512L << 20;

  /** Some of the rows, and where their distances and codes go. */
  private record Chunk(Tensor tokens, Tensor scores, Tensor codes) {}

  private final Problem problem;
  private final boolean cdist;
  private final Tensor codes;
  private final Tensor squaredNorms;
  private final Tensor transposed;
  private final List<Chunk> chunks = new ArrayList<>();

  /** By {@code cdist}, or else by {@code addmm}; {@code argmin} follows either. */
  TorchLookup(Problem problem, boolean cdist) {
    this.problem = problem;
    this.cdist = cdist;
    int rows = problem.rows();
    int most = Math.clamp(MOST_BYTES / Float.BYTES / problem.size(), 1, rows);
    codes = Tensors.empty(torch.ScalarType.Long, rows);
    squaredNorms = Tensors.sum(problem.codewords().square(), 1);
    transposed = problem.codewords().t();
    Tensor scores = Tensors.empty(torch.ScalarType.Float, cdist ? 0 : most, problem.size());
    for (int from = 0; from < rows; from += most) {
      int count = Math.min(most, rows - from);
      chunks.add(
          new Chunk(
              problem.tokens().narrow(0, from, count),
              cdist ? scores : scores.narrow(0, 0, count),
              codes.narrow(0, from, count)));
    }
  }

  /** How many times the matrix of distances is made. */
  int chunks() {
    return chunks.size();
  }

  /** The nearest codeword of every row, as float32 sees it; needs a PointerScope. */
  Tensor run() {
    for (Chunk chunk : chunks) {
      Tensor scores;
      if (cdist) {
        scores = torch.cdist(chunk.tokens, problem.codewords(), 2, new LongOptional());
      } else {
        /* ‖e_j‖² - 2 x·e_j: what is left out is the same for all j. */
        scores =
            torch.addmm_out(
                chunk.scores,
                squaredNorms,
                chunk.tokens,
                transposed,
                new Scalar(1),
                new Scalar(-2));
      }
      torch.argmin_out(chunk.codes, scores, new LongOptional(1), false);
    }
    return codes;
  }

  /** The codes of the last run. */
  long[] codes() {
    return Tensors.segment(codes).toArray(ValueLayout.JAVA_LONG);
  }
}
