package org.nasvlp.kernels;

import static org.nasvlp.kernels.TokenSwap.Substitute.DRAW;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
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

  /**
   * What a swap is made from.
   *
   * @param evidence one row for each hard negative caption
   * @param evidenceOf the row of each image, or -1
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Images(
      float[] text,
      float[] image,
      double[][] evidence,
      int[] evidenceOf,
      float[] tokens,
      int[] codes,
      int[] lists,
      long[] ids) {}

  /** What a swap puts out. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Swapped(
      int[] positions, int[] substitutes, float[] tokens, double[] scores, byte[] mask) {}

  static Swapped swap(TokenSwap p, float[] codewords, int width, Images of) {
    int all = p.images() * p.tokens();
    int[] positions = new int[p.images() * p.chosen()];
    int[] substitutes = new int[p.images() * p.chosen()];
    Arrays.fill(positions, -1);
    Arrays.fill(substitutes, -1);
    Swapped out =
        new Swapped(positions, substitutes, of.tokens().clone(), new double[all], new byte[all]);
    for (int b = 0; b < p.images(); b++) {
      boolean byEvidence = p.choose() == TokenSwap.Choose.GAIN || p.substitute() != DRAW;
      if (byEvidence && of.evidenceOf()[b] < 0) {
        continue;
      }
      double[] evidence = byEvidence ? of.evidence()[of.evidenceOf()[b]] : null;
      int first = b * p.tokens();
      int[] codes = Arrays.copyOfRange(of.codes(), first, first + p.tokens());
      double[] scores = new double[p.tokens()];
      List<Integer> chosen = new ArrayList<>();
      boolean leave = false;
      if (p.choose() == TokenSwap.Choose.RELEVANCE) {
        for (int i = 0; i < p.tokens(); i++) {
          scores[i] =
              p.textWeight() * minmax(of.text(), first, p.tokens(), i)
                  + (1 - p.textWeight()) * minmax(of.image(), first, p.tokens(), i);
          chosen.add(i);
        }
        chosen.sort(
            Comparator.comparingDouble((Integer i) -> -scores[i])
                .thenComparing(Comparator.naturalOrder()));
        chosen = chosen.subList(0, p.chosen());
      } else {
        leave = chooseByGain(p, codes, evidence, of.lists(), scores, chosen);
      }
      System.arraycopy(scores, 0, out.scores(), first, p.tokens());
      for (int k = 0; k < chosen.size(); k++) {
        int position = chosen.get(k);
        int z = codes[position];
        int substitute =
            leave
                ? -1
                : switch (p.substitute()) {
                  case DRAW -> draw(p, codes, chosen, z, of, b);
                  case MOST_EVIDENCE ->
                      most(z, evidence, 1, Double.NEGATIVE_INFINITY, of.lists(), p.neighbours());
                  case LEAST_EVIDENCE ->
                      most(z, evidence, -1, Double.NEGATIVE_INFINITY, of.lists(), p.neighbours());
                };
        positions[b * p.chosen() + k] = position;
        substitutes[b * p.chosen() + k] = substitute;
        if (substitute >= 0) {
          out.mask()[first + position] = 1;
          write(p, codewords, width, of, b, position, substitute, out.tokens());
        }
      }
    }
    return out;
  }

  /** Adds the chosen positions; whether the image is to be left as it is. */
  private static boolean chooseByGain(
      TokenSwap p, int[] codes, double[] evidence, int[] lists, double[] gain, List<Integer> at) {
    int[] best = new int[codes.length];
    double after = 0;
    for (int i = 0; i < codes.length; i++) {
      int z = codes[i];
      after += evidence[z];
      best[i] = most(z, evidence, 1, evidence[z], lists, p.neighbours());
      gain[i] = best[i] < 0 ? 0 : evidence[best[i]] - evidence[z];
    }
    Integer[] order = new Integer[codes.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Double.compare(gain[b], gain[a]));
    for (int m = 0; m < p.chosen() && best[order[m]] >= 0; m++) {
      at.add(order[m]);
      after += gain[order[m]];
    }
    return after <= 0;
  }

  private static int most(
      int z, double[] evidence, int sign, double floor, int[] lists, int radius) {
    int best = -1;
    double most = floor;
    for (int r = 0; r < radius; r++) {
      int other = lists[z * radius + r];
      if (other >= 0 && sign * evidence[other] > most) {
        most = sign * evidence[other];
        best = other;
      }
    }
    return best;
  }

  private static int draw(TokenSwap p, int[] codes, List<Integer> chosen, int z, Images of, int b) {
    Set<Integer> present = new HashSet<>();
    for (int code : codes) {
      present.add(code);
    }
    int lowest = chosen.stream().filter(i -> codes[i] == z).min(Integer::compare).orElseThrow();
    List<Integer> candidates = new ArrayList<>();
    for (int r = 0; r < p.neighbours(); r++) {
      int candidate = of.lists()[z * p.neighbours() + r];
      if (candidate != -1 && !present.contains(candidate)) {
        candidates.add(candidate);
      }
    }
    return candidates.isEmpty()
        ? -1
        : candidates.get(choice(p, of.ids()[b], lowest, candidates.size()));
  }

  private static int choice(TokenSwap p, long id, int position, int among) {
    long draw = Kernels.draw(p.seed(), p.step(), id, position);
    return new BigInteger(Long.toUnsignedString(draw))
        .multiply(BigInteger.valueOf(among))
        .shiftRight(64)
        .intValueExact();
  }

  private static void write(
      TokenSwap p,
      float[] codewords,
      int width,
      Images of,
      int b,
      int position,
      int substitute,
      float[] out) {
    int at = b * p.tokens() + position;
    List<Integer> donors = new ArrayList<>();
    for (int other = 0; p.donors() && other < of.codes().length; other++) {
      if (other / p.tokens() != b && of.codes()[other] == substitute) {
        donors.add(other);
      }
    }
    int donor =
        donors.isEmpty()
            ? -1
            : donors.get(choice(p, of.ids()[b], position + (1 << 24), donors.size()));
    for (int t = 0; t < width; t++) {
      float to = codewords[substitute * width + t];
      float own = codewords[of.codes()[at] * width + t];
      out[at * width + t] =
          donor >= 0
              ? of.tokens()[donor * width + t]
              : p.write() == TokenSwap.Write.CODEWORD
                  ? to
                  : (of.tokens()[at * width + t] - own) + to;
    }
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
