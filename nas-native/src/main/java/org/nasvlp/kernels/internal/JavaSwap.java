package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;
import org.nasvlp.kernels.TokenSwap.Choose;
import org.nasvlp.kernels.TokenSwap.Substitute;
import org.nasvlp.kernels.TokenSwap.Write;

/** One token swap on the Java heap, after nas_kernels.h. */
final class JavaSwap {
  /** Added to a position in the counter of the draw of a donor. */
  private static final int DONOR_DRAW = 1 << 24;

  private final float[] codewords;
  private final int size;
  private final int width;
  private final TokenSwap params;
  private final SwapInput in;
  private final SwapOutput out;
  private final int count;
  private int[] codes;
  private int[] lists;

  /** For each code, the last image that has it; a mark that spares a set for each image. */
  private final int[] presentIn;

  /** For each code its tokens in the batch, ascending; with donors. */
  private int[][] holders;

  JavaSwap(float[] codewords, int size, int width, TokenSwap params, SwapInput in, SwapOutput out) {
    this.codewords = codewords;
    this.size = size;
    this.width = width;
    this.params = params;
    this.in = in;
    this.out = out;
    this.count = params.tokens();
    this.presentIn = new int[size];
  }

  /** Checks all values, then writes all outputs. */
  void run() {
    lists = ints(in.neighbourLists(), size * params.neighbours());
    long all = (long) params.images() * count;
    if (all > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          params.images() + " images of " + count + " tokens are too many for the java backend");
    }
    codes = ints(in.codes(), (int) all);
    checkRanges();
    checkFinite();
    if (params.donors()) {
      holders = holders();
    }
    Arrays.fill(presentIn, -1);
    for (int b = 0; b < params.images(); b++) {
      swap(b);
    }
  }

  private static int[] ints(MemorySegment from, int length) {
    int[] values = new int[length];
    MemorySegment.copy(from, JAVA_INT, 0, values, 0, length);
    return values;
  }

  private void checkRanges() {
    for (int i = 0; i < lists.length; i++) {
      if (lists[i] < -1 || lists[i] >= size) {
        throw new OutOfRangeException(
            -1,
            String.format(
                "neighbourLists[%d][%d] is %d; it must be in -1..%d",
                i / params.neighbours(), i % params.neighbours(), lists[i], size - 1));
      }
    }
    for (int at = 0; at < codes.length; at++) {
      if (codes[at] < 0 || codes[at] >= size) {
        throw new OutOfRangeException(
            -1,
            String.format(
                "the code of image %d, token %d is %d; it must be in 0..%d",
                at / count, at % count, codes[at], size - 1));
      }
    }
    for (int b = 0; params.byEvidence() && b < params.images(); b++) {
      int row = evidenceRow(b);
      if (row < -1 || row >= in.evidenceRows()) {
        throw new OutOfRangeException(
            -1,
            String.format(
                "evidenceOf[%d] is %d; it must be in -1..%d", b, row, in.evidenceRows() - 1));
      }
    }
  }

  private void checkFinite() {
    for (int b = 0; b < params.images(); b++) {
      for (int i = 0; params.choose() == Choose.RELEVANCE && i < count; i++) {
        long at = (long) b * count + i;
        if (!Float.isFinite(in.text().getAtIndex(JAVA_FLOAT, at))
            || !Float.isFinite(in.image().getAtIndex(JAVA_FLOAT, at))) {
          throw new NonFiniteInputException(
              b, "a similarity of image " + b + " at token " + i + " is NaN or infinite");
        }
      }
      if (params.byEvidence() && evidenceRow(b) >= 0) {
        for (double value : evidence(b)) {
          if (!Double.isFinite(value)) {
            throw new NonFiniteInputException(b, "the evidence of image " + b + " holds " + value);
          }
        }
      }
    }
  }

  private int evidenceRow(int b) {
    return in.evidenceOf().getAtIndex(JAVA_INT, b);
  }

  private double[] evidence(int b) {
    double[] values = new double[size];
    long first = (long) evidenceRow(b) * size * Double.BYTES;
    MemorySegment.copy(in.evidence(), JAVA_DOUBLE, first, values, 0, size);
    return values;
  }

  private int[][] holders() {
    int[] counts = new int[size];
    for (int code : codes) {
      counts[code]++;
    }
    int[][] tokens = new int[size][];
    Arrays.setAll(tokens, z -> new int[counts[z]]);
    for (int at = codes.length - 1; at >= 0; at--) {
      tokens[codes[at]][--counts[codes[at]]] = at;
    }
    return tokens;
  }

  private void swap(int b) {
    int first = b * count;
    int[] own = Arrays.copyOfRange(codes, first, first + count);
    double[] scores = new double[count];
    int[] at = new int[0];
    int[] substitutes = new int[0];
    if (!params.byEvidence() || evidenceRow(b) >= 0) {
      double[] evidence = params.byEvidence() ? evidence(b) : null;
      boolean speaks = true;
      if (params.choose() == Choose.RELEVANCE) {
        relevance(first, scores);
        at = highest(scores, count);
      } else {
        double after = 0;
        int gaining = 0;
        for (int i = 0; i < count; i++) {
          int z = own[i];
          after += evidence[z];
          int best = most(z, evidence, 1, evidence[z]);
          scores[i] = best < 0 ? 0 : evidence[best] - evidence[z];
          gaining += best < 0 ? 0 : 1;
        }
        at = highest(scores, gaining);
        for (int position : at) {
          after += scores[position];
        }
        speaks = !(after <= 0);
      }
      substitutes = new int[at.length];
      Arrays.fill(substitutes, -1);
      if (speaks && params.substitute() == Substitute.DRAW) {
        draw(b, own, at, substitutes);
      } else if (speaks) {
        int sign = params.substitute() == Substitute.MOST_EVIDENCE ? 1 : -1;
        for (int k = 0; k < at.length; k++) {
          substitutes[k] = most(own[at[k]], evidence, sign, Double.NEGATIVE_INFINITY);
        }
      }
    }
    write(b, scores, at, substitutes);
  }

  private void relevance(int first, double[] scores) {
    double[] text = minmax(in.text(), first);
    double[] image = minmax(in.image(), first);
    double weight = params.textWeight();
    for (int i = 0; i < count; i++) {
      scores[i] = weight * text[i] + (1 - weight) * image[i];
    }
  }

  private double[] minmax(MemorySegment similarities, int first) {
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
  private int[] highest(double[] scores, int eligible) {
    Integer[] order = new Integer[scores.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> scores[a] > scores[b] ? -1 : scores[a] < scores[b] ? 1 : a - b);
    int[] at = new int[Math.min(params.chosen(), eligible)];
    Arrays.setAll(at, k -> order[k]);
    return at;
  }

  /**
   * The entry of z's list with most of sign times evidence above a floor, first of equals, or -1.
   */
  private int most(int z, double[] evidence, int sign, double floor) {
    int best = -1;
    double most = floor;
    for (int r = 0; r < params.neighbours(); r++) {
      int other = lists[z * params.neighbours() + r];
      if (other >= 0 && sign * evidence[other] > most) {
        most = sign * evidence[other];
        best = other;
      }
    }
    return best;
  }

  /** Draws a substitute for each distinct code, at its lowest chosen position. */
  private void draw(int b, int[] own, int[] at, int[] substitutes) {
    for (int code : own) {
      presentIn[code] = b;
    }
    int[] lowest = new int[at.length];
    for (int k = 0; k < at.length; k++) {
      lowest[k] = at[k];
      for (int position : at) {
        if (own[position] == own[at[k]]) {
          lowest[k] = Math.min(lowest[k], position);
        }
      }
    }
    int[] candidates = new int[params.neighbours()];
    for (int k = 0; k < at.length; k++) {
      int found = 0;
      for (int r = 0; r < params.neighbours(); r++) {
        int other = lists[own[at[k]] * params.neighbours() + r];
        if (other >= 0 && presentIn[other] != b) {
          candidates[found++] = other;
        }
      }
      substitutes[k] = found == 0 ? -1 : candidates[choice(b, lowest[k], found)];
    }
  }

  private int choice(int b, int position, int among) {
    long id = in.sampleIds().getAtIndex(JAVA_LONG, b);
    long draw = Philox.draw(params.seed(), params.step(), id, position);
    return (int) Math.unsignedMultiplyHigh(draw, among);
  }

  private void write(int b, double[] scores, int[] at, int[] substitutes) {
    long first = (long) b * count;
    long tokenBytes = (long) width * Float.BYTES;
    if (out.swapped().address() != in.tokens().address()) {
      MemorySegment.copy(
          in.tokens(), first * tokenBytes, out.swapped(), first * tokenBytes, count * tokenBytes);
    }
    byte[] replaced = new byte[count];
    for (int k = 0; k < params.chosen(); k++) {
      long place = (long) b * params.chosen() + k;
      boolean chosen = k < at.length;
      out.positions().setAtIndex(JAVA_INT, place, chosen ? at[k] : -1);
      out.substitutes().setAtIndex(JAVA_INT, place, chosen ? substitutes[k] : -1);
      if (chosen && substitutes[k] >= 0) {
        replaced[at[k]] = 1;
        put(b, at[k], substitutes[k]);
      }
    }
    if (out.scores() != null) {
      MemorySegment.copy(scores, 0, out.scores(), JAVA_DOUBLE, first * Double.BYTES, count);
    }
    if (out.mask() != null) {
      MemorySegment.copy(replaced, 0, out.mask(), JAVA_BYTE, first, count);
    }
  }

  /** Writes what comes in the place of one token. */
  private void put(int b, int position, int substitute) {
    long tokenBytes = (long) width * Float.BYTES;
    int at = b * count + position;
    int donor = donor(b, position, substitute);
    if (donor >= 0) {
      MemorySegment.copy(
          in.tokens(), donor * tokenBytes, out.swapped(), at * tokenBytes, tokenBytes);
      return;
    }
    float[] token = Arrays.copyOfRange(codewords, substitute * width, (substitute + 1) * width);
    if (params.write() == Write.RESIDUAL) {
      int from = codes[at] * width;
      for (int t = 0; t < width; t++) {
        float v = in.tokens().getAtIndex(JAVA_FLOAT, (long) at * width + t);
        token[t] = (v - codewords[from + t]) + token[t];
      }
    }
    MemorySegment.copy(token, 0, out.swapped(), JAVA_FLOAT, at * tokenBytes, width);
  }

  /** A token of another image with the code, or -1. */
  private int donor(int b, int position, int code) {
    if (holders == null) {
      return -1;
    }
    int[] others = Arrays.stream(holders[code]).filter(at -> at / count != b).toArray();
    return others.length == 0 ? -1 : others[choice(b, DONOR_DRAW + position, others.length)];
  }
}
