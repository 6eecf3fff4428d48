package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.nasvlp.kernels.internal.JavaDistances;
import org.nasvlp.kernels.internal.Segments;

/**
 * K-means: codewords that rows of features gather around, by Lloyd's algorithm (IEEE Trans. Inf.
 * Theory 28, 1982) from the seeding of k-means++ (Arthur and Vassilvitskii, SODA 2007).
 *
 * <p>It is exact: each row goes to the nearest codeword as {@link Codebook#lookup} defines it, and
 * a codeword becomes the mean of its rows, summed in float64 in the rows' order and rounded to
 * float32. The same rows and seed give the same bits with any number of threads, on every
 * instruction tier and with or without native code. A codeword that no row is nearest to moves to
 * one of the rows that are farthest from theirs, the lowest first among equals; it stays where all
 * rows lie on codewords.
 *
 * <p>It runs on the host, also where {@link Kernels#backend()} is CUDA, and takes 12 bytes for each
 * row and some 30 for each element of a codeword besides what it is given. Several threads may use
 * it at the same time.
 *
 * @param codewords K × d float32, row by row
 * @param codes for each row the index of the nearest of these codewords
 * @param inertia the rows' squared distances to them, each rounded to float32, summed in float64
 * @param iterations how often the codewords were moved
 * @param converged whether moving them once more would change nothing
 */
@SuppressWarnings("ArrayRecordComponent") // a result that is read, not compared
public record KMeans(
    float[] codewords, int[] codes, double inertia, int iterations, boolean converged) {
  /** Moves of the codewords after which {@link #fit(float[], int, int)} stops. */
  public static final int MOST_ITERATIONS = 100;

  /**
   * Fits K codewords to rows on the Java heap, with seed 0 and at most {@value #MOST_ITERATIONS}
   * iterations.
   *
   * @param rows float32, row by row; copied
   * @param width width d of a row
   * @param k number of codewords, at most as many as rows
   * @throws NonFiniteInputException with the lowest row that is not finite
   */
  public static KMeans fit(float[] rows, int width, int k) {
    return fit(rows, width, k, 0, MOST_ITERATIONS);
  }

  /**
   * Fits K codewords to rows on the Java heap.
   *
   * @param rows float32, row by row; copied
   * @param width width d of a row
   * @param k number of codewords, at most as many as rows
   * @param seed of the start
   * @param mostIterations most moves of the codewords; with 0 they are the start's
   * @throws NonFiniteInputException with the lowest row that is not finite
   */
  public static KMeans fit(float[] rows, int width, int k, long seed, int mostIterations) {
    Objects.requireNonNull(rows, "rows");
    if (width < 1 || rows.length % width != 0) {
      throw new IllegalArgumentException(
          "rows holds " + rows.length + " floats, which is no multiple of the width " + width);
    }
    try (Arena arena = Arena.ofShared()) {
      MemorySegment copy = arena.allocateFrom(JAVA_FLOAT, rows);
      return fit(Rows.of(copy, rows.length / width, width), width, k, seed, mostIterations);
    }
  }

  /**
   * Fits K codewords to rows.
   *
   * @param rows in host memory
   * @param width width d of a row
   * @param k number of codewords, at most as many as rows
   * @param seed of the start
   * @param mostIterations most moves of the codewords; with 0 they are the start's
   * @throws NonFiniteInputException with the lowest row that is not finite
   */
  public static KMeans fit(Rows rows, int width, int k, long seed, int mostIterations) {
    return refine(host(), rows, start(rows, width, k, seed), width, mostIterations);
  }

  /**
   * Moves given codewords to fit rows, for example those that an earlier fit ended with.
   *
   * @param rows in host memory
   * @param start K × width float32, row by row; at most as many codewords as rows
   * @param width width d of a row
   * @param mostIterations most moves of the codewords
   * @throws NonFiniteInputException with the lowest row, or codeword, that is not finite
   */
  public static KMeans refine(Rows rows, float[] start, int width, int mostIterations) {
    return refine(host(), rows, start, width, mostIterations);
  }

  /**
   * Codewords to start from: rows, each next one drawn with a probability in proportion to its
   * squared distance to the nearest so far.
   *
   * @param rows in host memory
   * @param width width d of a row
   * @param k number of codewords, at most as many as rows
   * @param seed decides the draws
   * @return k × width float32, row by row
   * @throws NonFiniteInputException with the lowest row that is not finite
   */
  public static float[] start(Rows rows, int width, int k, long seed) {
    int count = check(rows, width, k);
    requireFinite(rows, width);
    float[] codewords = new float[k * width];
    double[] nearest = new double[count];
    Arrays.fill(nearest, Double.POSITIVE_INFINITY);
    int[] owners = new int[count];
    float[] row = new float[width];
    int chosen = Kernels.uniform(Kernels.draw(seed, 0, 0, 0), count);
    for (int j = 0; ; j++) {
      Segments.widen(rows, chosen, row);
      System.arraycopy(row, 0, codewords, j * width, width);
      if (j == k - 1) {
        return codewords;
      }
      JavaDistances.lower(rows, codewords, width, j + 1, nearest, owners);
      double total = 0; // in the order of the rows: the same bits however many threads there are
      for (double distance : nearest) {
        total += distance;
      }
      chosen = draw(nearest, total, Kernels.draw(seed, 0, 0, j + 1));
    }
  }

  /** Rows lie on the host, and so must the codebook. */
  static Backend host() {
    Backend chosen = Kernels.backend();
    if (chosen != Backend.CUDA) {
      return chosen;
    }
    return Kernels.isAvailable(Backend.CPU) ? Backend.CPU : Backend.JAVA;
  }

  /** An index with a probability in proportion to its weight; any if all weights are 0. */
  private static int draw(double[] weights, double total, long draw) {
    if (total == 0) {
      return Kernels.uniform(draw, weights.length);
    }
    double target = (draw >>> 11) * 0x1.0p-53 * total;
    int last = -1;
    for (int i = 0; i < weights.length; i++) {
      if (weights[i] > 0) {
        last = i;
        target -= weights[i];
        if (target < 0) {
          break;
        }
      }
    }
    return last;
  }

  static KMeans refine(Backend backend, Rows rows, float[] start, int width, int mostIterations) {
    Objects.requireNonNull(start, "start");
    if (width < 1 || start.length % width != 0) {
      throw new IllegalArgumentException(
          "start holds " + start.length + " floats, which is no multiple of the width " + width);
    }
    int k = start.length / width;
    int count = check(rows, width, k);
    if (mostIterations < 0) {
      throw new IllegalArgumentException(
          "mostIterations is " + mostIterations + "; it must be at least 0");
    }
    float[] codewords = start.clone();
    int[] all = IntStream.range(0, k).toArray();
    try (Arena arena = Arena.ofShared();
        Codebook codebook =
            Codebook.create(backend, arena.allocateFrom(JAVA_FLOAT, start), k, width)) {
      MemorySegment codes = arena.allocate((long) Integer.BYTES * count, 64);
      MemorySegment distances = arena.allocate((long) Float.BYTES * count, 64);
      MemorySegment before = arena.allocate((long) Integer.BYTES * count, 64);
      MemorySegment counts = arena.allocate((long) Double.BYTES * k, 64);
      MemorySegment sums = arena.allocate((long) Double.BYTES * k * width, 64);
      boolean filled = false;
      for (int iteration = 0; ; iteration++) {
        codebook.lookup(rows, codes, distances, 0);
        boolean converged = iteration > 0 && !filled && codes.mismatch(before) < 0;
        if (converged || iteration == mostIterations) {
          double inertia = 0;
          for (int i = 0; i < count; i++) {
            inertia += distances.getAtIndex(JAVA_FLOAT, i);
          }
          return new KMeans(codewords, codes.toArray(JAVA_INT), inertia, iteration, converged);
        }
        before.copyFrom(codes);
        counts.fill((byte) 0);
        sums.fill((byte) 0);
        codebook.accumulate(rows, codes, counts, sums, 0);
        move(codewords, width, counts, sums);
        filled = fill(codewords, width, counts, rows, distances);
        codebook.restart(all, codewords);
      }
    }
  }

  /** Moves codewords to the means of their rows. */
  private static void move(float[] codewords, int width, MemorySegment counts, MemorySegment sums) {
    for (int j = 0; j < codewords.length / width; j++) {
      double n = counts.getAtIndex(JAVA_DOUBLE, j);
      for (int t = 0; n > 0 && t < width; t++) {
        int i = j * width + t;
        codewords[i] = (float) (sums.getAtIndex(JAVA_DOUBLE, i) / n);
      }
    }
  }

  /**
   * Moves codewords without rows to those rows that are farthest from theirs.
   *
   * @return whether any was moved
   */
  private static boolean fill(
      float[] codewords, int width, MemorySegment counts, Rows rows, MemorySegment distances) {
    int[] empty =
        IntStream.range(0, codewords.length / width)
            .filter(j -> counts.getAtIndex(JAVA_DOUBLE, j) == 0)
            .toArray();
    if (empty.length == 0) {
      return false;
    }
    List<Integer> farthest =
        IntStream.range(0, (int) rows.count())
            .filter(i -> distances.getAtIndex(JAVA_FLOAT, i) > 0)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer i) -> -distances.getAtIndex(JAVA_FLOAT, i)))
            .limit(empty.length)
            .toList();
    float[] row = new float[width];
    for (int e = 0; e < farthest.size(); e++) {
      Segments.widen(rows, farthest.get(e), row);
      System.arraycopy(row, 0, codewords, empty[e] * width, width);
    }
    return !farthest.isEmpty();
  }

  /**
   * Checks sizes; the codebook checks the rest.
   *
   * @return how many rows there are
   */
  private static int check(Rows rows, int width, int k) {
    Objects.requireNonNull(rows, "rows");
    if (k < 1 || k > Codebook.MAX_SIZE) {
      throw new IllegalArgumentException("k is " + k + "; it must be in 1.." + Codebook.MAX_SIZE);
    }
    if (width < 1 || width > Codebook.MAX_WIDTH) {
      throw new IllegalArgumentException(
          "width is " + width + "; it must be in 1.." + Codebook.MAX_WIDTH);
    }
    if (rows.count() < k || rows.count() > Integer.MAX_VALUE / 2) {
      throw new IllegalArgumentException(
          "%d rows for %d codewords; there must be at least as many, and at most %d"
              .formatted(rows.count(), k, Integer.MAX_VALUE / 2));
    }
    Segments.input(
        "rows",
        rows.segment(),
        Segments.rowBytes(rows.count(), rows.stride(), width) / Float.BYTES * rows.type().bytes(),
        rows.type().bytes());
    return (int) rows.count();
  }

  private static void requireFinite(Rows rows, int width) {
    float[] row = new float[width];
    for (long i = 0; i < rows.count(); i++) {
      Segments.widen(rows, i, row);
      for (int t = 0; t < width; t++) {
        if (!Float.isFinite(row[t])) {
          throw new NonFiniteInputException(
              i, "row %d of rows holds %s at column %d".formatted(i, row[t], t));
        }
      }
    }
  }
}
