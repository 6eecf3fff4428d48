package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.kernels.Tier;
import org.nasvlp.kernels.TokenSwap;

/**
 * A codebook on the Java heap. The arithmetic, and the order of every sum, is that stated in
 * nas_kernels.h, so that the bits are those of the native libraries.
 */
final class JavaCodebook implements KernelCodebook {
  /** Floats of x copied to the heap at a time: helper threads cannot see a confined segment. */
  private static final int CHUNK_FLOATS = 1 << 20;

  private static final int BLOCK_ROWS = 16;

  private final int size;
  private final int width;
  private float[] codewords;
  private float[] m;
  private final double[] n;
  private final int[] deadSteps;

  /** Takes the array over. */
  JavaCodebook(float[] codewords, int size, int width) {
    this.size = size;
    this.width = width;
    int bad = firstBadRow(codewords, size);
    if (bad >= 0) {
      throw new NonFiniteInputException(
          bad, "codeword " + bad + " holds NaN or infinity; codewords must be finite");
    }
    this.codewords = codewords;
    this.m = codewords.clone();
    this.n = new double[size];
    Arrays.fill(n, 1.0);
    this.deadSteps = new int[size];
  }

  @Override
  public LookupStats lookup(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment indices,
      MemorySegment distances,
      boolean withStats,
      long stream) {
    int chunk = (int) Math.min(rows, Math.clamp(CHUNK_FLOATS / width, BLOCK_ROWS, 4096));
    float[] values = new float[chunk * width];
    int[] nearest = new int[chunk];
    float[] distance = new float[chunk];
    float[] row = new float[width];
    for (long start = 0; start < rows; start += chunk) {
      int count = (int) Math.min(chunk, rows - start);
      for (int i = 0; i < count; i++) {
        widenRow(x, type, (start + i) * rowStride, row);
        System.arraycopy(row, 0, values, i * width, width);
      }
      requireFinite(values, count, start);
      nearest(values, count, nearest, distance);
      MemorySegment.copy(nearest, 0, indices, JAVA_INT, start * Integer.BYTES, count);
      if (distances != null) {
        MemorySegment.copy(distance, 0, distances, JAVA_FLOAT, start * Float.BYTES, count);
      }
    }
    return withStats ? new LookupStats(Tier.SCALAR, 0, 0, rows, 0, 0, rows, 0) : null;
  }

  @Override
  public int[] lookup(float[] x, int rows) {
    requireFinite(x, rows, 0);
    int[] nearest = new int[rows];
    nearest(x, rows, nearest, new float[rows]);
    return nearest;
  }

  private void nearest(float[] x, int rows, int[] nearest, float[] distances) {
    float[] e = codewords;
    int blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    Parallel.run(
        blocks,
        Libraries.threads(),
        block -> {
          int end = Math.min(rows, (block + 1) * BLOCK_ROWS);
          for (int i = block * BLOCK_ROWS; i < end; i++) {
            double best = Double.POSITIVE_INFINITY;
            int index = 0;
            for (int j = 0; j < size; j++) {
              double distance = distance(x, i * width, e, j * width, width, best);
              if (distance < best) {
                best = distance;
                index = j;
              }
            }
            nearest[i] = index;
            distances[i] = (float) best;
          }
        });
  }

  /**
   * D(x, y), or any value that is at least bound if D is. Every partial sum grows monotonically, in
   * floating point too, so a partial result at or above the bound settles it.
   */
  private static double distance(float[] x, int xo, float[] y, int yo, int width, double bound) {
    double a0 = 0;
    double a1 = 0;
    double a2 = 0;
    double a3 = 0;
    double a4 = 0;
    double a5 = 0;
    double a6 = 0;
    double a7 = 0;
    int t = 0;
    int whole = width & -8;
    while (t < whole) {
      int end = Math.min(whole, t + 64);
      for (; t < end; t += 8) {
        double t0 = (double) x[xo + t] - (double) y[yo + t];
        double t1 = (double) x[xo + t + 1] - (double) y[yo + t + 1];
        double t2 = (double) x[xo + t + 2] - (double) y[yo + t + 2];
        double t3 = (double) x[xo + t + 3] - (double) y[yo + t + 3];
        double t4 = (double) x[xo + t + 4] - (double) y[yo + t + 4];
        double t5 = (double) x[xo + t + 5] - (double) y[yo + t + 5];
        double t6 = (double) x[xo + t + 6] - (double) y[yo + t + 6];
        double t7 = (double) x[xo + t + 7] - (double) y[yo + t + 7];
        a0 += t0 * t0;
        a1 += t1 * t1;
        a2 += t2 * t2;
        a3 += t3 * t3;
        a4 += t4 * t4;
        a5 += t5 * t5;
        a6 += t6 * t6;
        a7 += t7 * t7;
      }
      double partial = ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
      if (partial >= bound) {
        return partial;
      }
    }
    for (int lane = 0; t < width; t++, lane++) {
      double difference = (double) x[xo + t] - (double) y[yo + t];
      double square = difference * difference;
      switch (lane) {
        case 0 -> a0 += square;
        case 1 -> a1 += square;
        case 2 -> a2 += square;
        case 3 -> a3 += square;
        case 4 -> a4 += square;
        case 5 -> a5 += square;
        default -> a6 += square;
      }
    }
    return ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
  }

  @Override
  public void accumulate(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MemorySegment counts,
      MemorySegment sums,
      long stream) {
    float[] row = new float[width];
    for (long i = 0; i < rows; i++) {
      int code = codes.getAtIndex(JAVA_INT, i);
      if (code < 0 || code >= size) {
        throw new IllegalArgumentException(
            "the code of row " + i + " is " + code + "; it must be in 0.." + (size - 1));
      }
      widenRow(x, type, i * rowStride, row);
      requireFinite(row, 1, i);
    }
    for (long i = 0; i < rows; i++) {
      int code = codes.getAtIndex(JAVA_INT, i);
      widenRow(x, type, i * rowStride, row);
      counts.setAtIndex(JAVA_DOUBLE, code, counts.getAtIndex(JAVA_DOUBLE, code) + 1);
      long at = (long) code * width;
      for (int t = 0; t < width; t++) {
        sums.setAtIndex(JAVA_DOUBLE, at + t, sums.getAtIndex(JAVA_DOUBLE, at + t) + row[t]);
      }
    }
  }

  /** The sum of the counts in the 256 lanes of nas_apply. */
  private static double sumInLanes(double[] values) {
    double[] lanes = new double[256];
    for (int j = 0; j < values.length; j++) {
      lanes[j % 256] += values[j];
    }
    for (int half = 128; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) {
        lanes[l] += lanes[l + half];
      }
    }
    return lanes[0];
  }

  @Override
  public void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream) {
    double gamma = update.gamma();
    double rest = 1 - gamma;
    double[] newN = new double[size];
    for (int j = 0; j < size; j++) {
      newN[j] = gamma * n[j] + rest * counts.getAtIndex(JAVA_DOUBLE, j);
    }
    double total = sumInLanes(newN);
    float[] newM = new float[m.length];
    float[] newE = new float[m.length];
    double denominator = total + size * update.epsilon();
    for (int j = 0; j < size; j++) {
      double smoothed = (newN[j] + update.epsilon()) / denominator * total;
      for (int i = j * width; i < (j + 1) * width; i++) {
        newM[i] = (float) (gamma * m[i] + rest * sums.getAtIndex(JAVA_DOUBLE, i));
        newE[i] = (float) (newM[i] / smoothed);
        if (!Float.isFinite(newE[i])) {
          throw new NonFiniteInputException(
              -1,
              "codeword "
                  + j
                  + " would not be finite after the update; counts and sums must be finite and some"
                  + " count above 0");
        }
      }
    }
    m = newM;
    codewords = newE;
    for (int j = 0; j < size; j++) {
      n[j] = newN[j];
      deadSteps[j] =
          newN[j] < update.deadThreshold()
              ? (deadSteps[j] == Integer.MAX_VALUE ? Integer.MAX_VALUE : deadSteps[j] + 1)
              : 0;
    }
  }

  @Override
  public void update(
      MemorySegment x,
      ElementType type,
      long rows,
      long rowStride,
      MemorySegment codes,
      MomentumUpdate update,
      long stream) {
    MemorySegment counts = MemorySegment.ofArray(new double[size]);
    MemorySegment sums = bigZeros();
    accumulate(x, type, rows, rowStride, codes, counts, sums, stream);
    apply(counts, sums, update, stream);
  }

  private MemorySegment bigZeros() {
    return MemorySegment.ofArray(new double[size * width]);
  }

  @Override
  public void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream) {
    byte[] alive = new byte[size];
    if (live == null) {
      Arrays.fill(alive, (byte) 1);
    } else {
      MemorySegment.copy(live, JAVA_BYTE, 0, alive, 0, size);
    }
    int[][] lists = new int[size][];
    Parallel.run(
        size,
        Libraries.threads(),
        j -> lists[j] = neighboursOf(j, Math.min(neighbours, size - 1), alive));
    for (int j = 0; j < size; j++) {
      for (int r = 0; r < neighbours; r++) {
        int code = r < lists[j].length ? lists[j][r] : -1;
        out.setAtIndex(JAVA_INT, (long) j * neighbours + r, code);
      }
    }
  }

  /** Insertion into a short sorted list; equal distances stay in ascending order of code. */
  private int[] neighboursOf(int j, int capacity, byte[] alive) {
    int[] codes = new int[capacity];
    double[] distances = new double[capacity];
    int count = 0;
    for (int l = 0; l < size && capacity > 0; l++) {
      if (l == j || alive[l] == 0) {
        continue;
      }
      double bound = count < capacity ? Double.POSITIVE_INFINITY : distances[count - 1];
      double distance = distance(codewords, j * width, codewords, l * width, width, bound);
      if (!(distance < bound)) {
        continue;
      }
      int at = count < capacity ? count++ : count - 1;
      for (; at > 0 && distances[at - 1] > distance; at--) {
        distances[at] = distances[at - 1];
        codes[at] = codes[at - 1];
      }
      distances[at] = distance;
      codes[at] = l;
    }
    return Arrays.copyOf(codes, count);
  }

  @Override
  public void swap(
      TokenSwap params,
      MemorySegment text,
      MemorySegment image,
      MemorySegment tokens,
      MemorySegment codes,
      MemorySegment neighbourLists,
      MemorySegment sampleIds,
      MemorySegment positions,
      MemorySegment substitutes,
      MemorySegment swapped,
      long stream) {
    int count = params.tokens();
    int chosen = params.chosen();
    checkSwap(params, text, image, codes, neighbourLists);
    Swapper swapper = new Swapper(params, neighbourLists);
    long tokenBytes = (long) width * Float.BYTES;
    float[] token = new float[width];
    for (int b = 0; b < params.images(); b++) {
      long first = (long) b * count;
      int[] imageCodes = new int[count];
      MemorySegment.copy(codes, JAVA_INT, first * Integer.BYTES, imageCodes, 0, count);
      int[] at = highest(scores(text, image, first, count, params.textWeight()), chosen);
      int[] substitute = swapper.substitutes(b, imageCodes, at, sampleIds.getAtIndex(JAVA_LONG, b));
      if (swapped.address() != tokens.address()) {
        MemorySegment.copy(
            tokens, first * tokenBytes, swapped, first * tokenBytes, count * tokenBytes);
      }
      for (int k = 0; k < chosen; k++) {
        positions.setAtIndex(JAVA_INT, (long) b * chosen + k, at[k]);
        substitutes.setAtIndex(JAVA_INT, (long) b * chosen + k, substitute[k]);
        if (substitute[k] < 0) {
          continue;
        }
        long offset = (first + at[k]) * tokenBytes;
        int to = substitute[k] * width;
        if (params.mode() == TokenSwap.Mode.QUANTISED) {
          MemorySegment.copy(codewords, to, swapped, JAVA_FLOAT, offset, width);
        } else {
          int from = imageCodes[at[k]] * width;
          MemorySegment.copy(tokens, JAVA_FLOAT, offset, token, 0, width);
          for (int t = 0; t < width; t++) {
            token[t] = (token[t] - codewords[from + t]) + codewords[to + t];
          }
          MemorySegment.copy(token, 0, swapped, JAVA_FLOAT, offset, width);
        }
      }
    }
  }

  private void checkSwap(
      TokenSwap params,
      MemorySegment text,
      MemorySegment image,
      MemorySegment codes,
      MemorySegment neighbourLists) {
    int count = params.tokens();
    for (long i = 0; i < (long) size * params.neighbours(); i++) {
      int code = neighbourLists.getAtIndex(JAVA_INT, i);
      if (code < -1 || code >= size) {
        throw new IllegalArgumentException(
            String.format(
                "neighbourLists[%d][%d] is %d; it must be in -1..%d",
                i / params.neighbours(), i % params.neighbours(), code, size - 1));
      }
    }
    long all = (long) params.images() * count;
    for (long at = 0; at < all; at++) {
      int code = codes.getAtIndex(JAVA_INT, at);
      if (code < 0 || code >= size) {
        throw new IllegalArgumentException(
            String.format(
                "the code of image %d, token %d is %d; it must be in 0..%d",
                at / count, at % count, code, size - 1));
      }
    }
    for (long at = 0; at < all; at++) {
      if (!Float.isFinite(text.getAtIndex(JAVA_FLOAT, at))
          || !Float.isFinite(image.getAtIndex(JAVA_FLOAT, at))) {
        throw new NonFiniteInputException(
            at / count,
            "a similarity of image "
                + at / count
                + " at token "
                + at % count
                + " is NaN or infinite");
      }
    }
  }

  private static double[] scores(
      MemorySegment text, MemorySegment image, long first, int count, double textWeight) {
    double[] t = minmax(text, first, count);
    double[] v = minmax(image, first, count);
    double[] scores = new double[count];
    for (int i = 0; i < count; i++) {
      scores[i] = textWeight * t[i] + (1 - textWeight) * v[i];
    }
    return scores;
  }

  private static double[] minmax(MemorySegment similarities, long first, int count) {
    double[] values = new double[count];
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      values[i] = similarities.getAtIndex(JAVA_FLOAT, first + i);
      min = Math.min(min, values[i]);
      max = Math.max(max, values[i]);
    }
    double range = max - min;
    for (int i = 0; i < count; i++) {
      values[i] = range == 0 ? 0 : (values[i] - min) / range;
    }
    return values;
  }

  /** Positions of the highest scores, by (score descending, position ascending). */
  private static int[] highest(double[] scores, int chosen) {
    Integer[] order = new Integer[scores.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> scores[a] > scores[b] ? -1 : scores[a] < scores[b] ? 1 : a - b);
    int[] at = new int[chosen];
    Arrays.setAll(at, k -> order[k]);
    return at;
  }

  /** Draws substitutes; holds the marks that spare a set per image. */
  private final class Swapper {
    private final TokenSwap params;
    private final MemorySegment neighbourLists;
    private final int[] presentIn = new int[size];
    private final int[] drawnIn = new int[size];
    private final int[] drawn = new int[size];
    private final int[] candidates;

    Swapper(TokenSwap params, MemorySegment neighbourLists) {
      this.params = params;
      this.neighbourLists = neighbourLists;
      this.candidates = new int[params.neighbours()];
      Arrays.fill(presentIn, -1);
      Arrays.fill(drawnIn, -1);
    }

    int[] substitutes(int b, int[] codes, int[] at, long sampleId) {
      for (int code : codes) {
        presentIn[code] = b;
      }
      int[] ascending = at.clone();
      Arrays.sort(ascending);
      for (int position : ascending) {
        int code = codes[position];
        if (drawnIn[code] != b) {
          drawnIn[code] = b;
          drawn[code] = draw(b, code, sampleId, position);
        }
      }
      int[] substitutes = new int[at.length];
      for (int k = 0; k < at.length; k++) {
        substitutes[k] = drawn[codes[at[k]]];
      }
      return substitutes;
    }

    private int draw(int b, int code, long sampleId, int position) {
      int neighbours = params.neighbours();
      int count = 0;
      for (int r = 0; r < neighbours; r++) {
        int candidate = neighbourLists.getAtIndex(JAVA_INT, (long) code * neighbours + r);
        if (candidate >= 0 && presentIn[candidate] != b) {
          candidates[count++] = candidate;
        }
      }
      if (count == 0) {
        return -1;
      }
      long draw = Philox.draw(params.seed(), params.step(), sampleId, position);
      return candidates[(int) Math.unsignedMultiplyHigh(draw, count)];
    }
  }

  @Override
  public void restart(int[] codes, float[] vectors) {
    for (int i = 0; i < codes.length; i++) {
      int at = codes[i] * width;
      System.arraycopy(vectors, i * width, codewords, at, width);
      System.arraycopy(vectors, i * width, m, at, width);
      n[codes[i]] = 1;
      deadSteps[codes[i]] = 0;
    }
  }

  @Override
  public CodebookState read() {
    return new CodebookState(codewords.clone(), n.clone(), m.clone(), deadSteps.clone());
  }

  @Override
  public void write(CodebookState state) {
    System.arraycopy(state.codewords(), 0, codewords, 0, codewords.length);
    System.arraycopy(state.m(), 0, m, 0, m.length);
    System.arraycopy(state.n(), 0, n, 0, size);
    System.arraycopy(state.deadSteps(), 0, deadSteps, 0, size);
  }

  @Override
  public void free() {
    // Only heap memory.
  }

  /** The elements from `first` on, as float32. */
  private static void widenRow(MemorySegment x, ElementType type, long first, float[] row) {
    switch (type) {
      case FLOAT32 -> MemorySegment.copy(x, JAVA_FLOAT, first * Float.BYTES, row, 0, row.length);
      case BFLOAT16 -> {
        for (int t = 0; t < row.length; t++) {
          row[t] = Float.intBitsToFloat(x.getAtIndex(JAVA_SHORT, first + t) << 16);
        }
      }
      case FLOAT16 -> {
        for (int t = 0; t < row.length; t++) {
          row[t] = Float.float16ToFloat(x.getAtIndex(JAVA_SHORT, first + t));
        }
      }
    }
  }

  private void requireFinite(float[] values, int rows, long start) {
    int bad = firstBadRow(values, rows);
    if (bad >= 0) {
      throw new NonFiniteInputException(
          start + bad, "row " + (start + bad) + " of x holds NaN or infinity");
    }
  }

  private int firstBadRow(float[] values, int rows) {
    for (int i = 0; i < rows; i++) {
      for (int t = i * width; t < (i + 1) * width; t++) {
        if (!Float.isFinite(values[t])) {
          return i;
        }
      }
    }
    return -1;
  }
}
