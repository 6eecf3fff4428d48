package org.nasvlp.kernels;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** The contract of nas_kernels.h written down as plainly as it reads, on Java arrays. */
final class Reference {
  private Reference() {}

  /** A codebook's state. */
  static final class State {
    final int size;
    final int width;
    float[] e;
    float[] m;
    double[] n;
    int[] dead;

    State(float[] codewords, int size, int width) {
      this.size = size;
      this.width = width;
      e = codewords.clone();
      m = codewords.clone();
      n = new double[size];
      Arrays.fill(n, 1.0);
      dead = new int[size];
    }

    CodebookState toState() {
      return new CodebookState(e, n, m, dead);
    }

    void apply(double[] counts, double[] sums, MomentumUpdate update) {
      double gamma = update.gamma();
      for (int j = 0; j < size; j++) {
        n[j] = gamma * n[j] + (1 - gamma) * counts[j];
      }
      double total = laneSum(n, 0, 1);
      for (int j = 0; j < size; j++) {
        double h = (n[j] + update.epsilon()) / (total + size * update.epsilon()) * total;
        for (int t = 0; t < width; t++) {
          int i = j * width + t;
          m[i] = (float) (gamma * (double) m[i] + (1 - gamma) * sums[i]);
          e[i] = (float) ((double) m[i] / h);
        }
        dead[j] = n[j] < update.deadThreshold() ? dead[j] + 1 : 0;
      }
    }
  }

  /** What the sum holds of the indices that are {@code lane} modulo {@code apart}; 256 lanes. */
  private static double laneSum(double[] values, int lane, int apart) {
    if (apart < 256) {
      return laneSum(values, lane, 2 * apart) + laneSum(values, lane + apart, 2 * apart);
    }
    double sum = 0;
    for (int j = lane; j < values.length; j += 256) {
      sum += values[j];
    }
    return sum;
  }

  static double distance(float[] x, int xRow, float[] y, int yRow, int width) {
    double[] lane = new double[8];
    for (int i = 0; i < width; i++) {
      double t = (double) x[xRow * width + i] - (double) y[yRow * width + i];
      lane[i % 8] = lane[i % 8] + t * t;
    }
    return ((lane[0] + lane[4]) + (lane[2] + lane[6]))
        + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }

  static int nearest(float[] x, int row, float[] codewords, int size, int width) {
    int nearest = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int j = 0; j < size; j++) {
      double distance = distance(x, row, codewords, j, width);
      if (distance < least) {
        nearest = j;
        least = distance;
      }
    }
    return nearest;
  }

  static void accumulate(float[] x, int width, int[] codes, double[] counts, double[] sums) {
    for (int i = 0; i < codes.length; i++) {
      counts[codes[i]] += 1;
      for (int t = 0; t < width; t++) {
        sums[codes[i] * width + t] += (double) x[i * width + t];
      }
    }
  }

  static int[] neighbours(float[] codewords, int size, int width, int count, byte[] live) {
    int[] out = new int[size * count];
    Arrays.fill(out, -1);
    for (int j = 0; j < size; j++) {
      int code = j;
      double[] distances = new double[size];
      Arrays.setAll(distances, l -> distance(codewords, code, codewords, l, width));
      int[] sorted =
          IntStream.range(0, size)
              .filter(l -> l != code && (live == null || live[l] != 0))
              .boxed()
              .sorted(Comparator.comparingDouble((Integer l) -> distances[l]).thenComparing(l -> l))
              .limit(count)
              .mapToInt(l -> l)
              .toArray();
      System.arraycopy(sorted, 0, out, j * count, sorted.length);
    }
    return out;
  }

  /** What a swap puts out. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Swapped(int[] positions, int[] substitutes, float[] tokens) {}

  static Swapped swap(
      TokenSwap p,
      float[] codewords,
      int width,
      float[] text,
      float[] image,
      float[] tokens,
      int[] codes,
      int[] lists,
      long[] ids) {
    int[] positions = new int[p.images() * p.chosen()];
    int[] substitutes = new int[p.images() * p.chosen()];
    float[] swapped = tokens.clone();
    for (int b = 0; b < p.images(); b++) {
      int first = b * p.tokens();
      double[] scores = new double[p.tokens()];
      for (int i = 0; i < p.tokens(); i++) {
        scores[i] =
            p.textWeight() * minmax(text, first, p.tokens(), i)
                + (1 - p.textWeight()) * minmax(image, first, p.tokens(), i);
      }
      List<Integer> chosen =
          IntStream.range(0, p.tokens())
              .boxed()
              .sorted(
                  Comparator.comparingDouble((Integer i) -> -scores[i])
                      .thenComparing(Comparator.naturalOrder()))
              .limit(p.chosen())
              .toList();
      Set<Integer> present = new HashSet<>();
      for (int i = 0; i < p.tokens(); i++) {
        present.add(codes[first + i]);
      }
      Map<Integer, Integer> lowest = new HashMap<>();
      for (int position : chosen) {
        lowest.merge(codes[first + position], position, Math::min);
      }
      for (int k = 0; k < p.chosen(); k++) {
        int position = chosen.get(k);
        int z = codes[first + position];
        List<Integer> candidates = new ArrayList<>();
        for (int r = 0; r < p.neighbours(); r++) {
          int candidate = lists[z * p.neighbours() + r];
          if (candidate != -1 && !present.contains(candidate)) {
            candidates.add(candidate);
          }
        }
        int substitute = -1;
        if (!candidates.isEmpty()) {
          long draw = Kernels.draw(p.seed(), p.step(), ids[b], lowest.get(z));
          substitute =
              candidates.get(
                  new BigInteger(Long.toUnsignedString(draw))
                      .multiply(BigInteger.valueOf(candidates.size()))
                      .shiftRight(64)
                      .intValueExact());
        }
        positions[b * p.chosen() + k] = position;
        substitutes[b * p.chosen() + k] = substitute;
        for (int t = 0; t < width && substitute >= 0; t++) {
          int at = (first + position) * width + t;
          float to = codewords[substitute * width + t];
          swapped[at] =
              p.mode() == TokenSwap.Mode.QUANTISED
                  ? to
                  : (tokens[at] - codewords[z * width + t]) + to;
        }
      }
    }
    return new Swapped(positions, substitutes, swapped);
  }

  private static double minmax(float[] s, int first, int count, int i) {
    double min = Double.POSITIVE_INFINITY;
    double max = Double.NEGATIVE_INFINITY;
    for (int k = first; k < first + count; k++) {
      min = Math.min(min, s[k]);
      max = Math.max(max, s[k]);
    }
    return max == min ? 0 : ((double) s[first + i] - min) / (max - min);
  }
}
