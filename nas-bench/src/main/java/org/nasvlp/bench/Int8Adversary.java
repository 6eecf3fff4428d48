package org.nasvlp.bench;

import java.util.random.RandomGenerator;

/**
 * Lookup problems on which an int8 screen's error bound is attained.
 *
 * <p>The screen in question centres rows and codewords by the codebook's mean, A = x − μ and B_j =
 * e_j − μ, rounds each to multiples of its own scale, max|A|/127 and max|B_j|/127 or, on tiers
 * without VNNI, max|A|/63 and max|B_j|/64, and estimates t_j = ‖B_j‖²/2 − A·B_j with an error of at
 * most E_j = ‖A‖‖B_j − B̂_j‖ + ‖A − Â‖‖B̂_j‖. By Cauchy-Schwarz the error is E_j only if A is
 * parallel to the rounding residual of B_j, or B̂_j to that of A. Here it is: the residuals of a
 * row's nearest and second nearest codeword are parallel to the row and opposite (or the two
 * codewords are parallel and opposite to the row's residual), and their true t differ by less than
 * 0.02 % of E. A bound smaller by 1/1000 then loses the nearest codeword.
 *
 * <p>The codebook holds −b with every b, so that μ is exactly zero or a common offset. All scales
 * are powers of two and every number is exact in float32. {@code cpu/tests/adversarial.h} makes the
 * same problems.
 */
final class Int8Adversary {
  /** Finest fraction of a scale step: 7 bits of integer, one of offset and 16 of fraction. */
  private static final double GRID = 0x1p-16;

  /** Components, zero in the row, that tune the second codeword's norm. */
  private static final int TUNING = 6;

  private final RandomGenerator random;
  private final Levels levels;
  private final int width;
  private final float[] codewords;
  private final float[] rows;
  private int codewordCount;
  private int rowCount;

  private Int8Adversary(RandomGenerator random, Levels levels, int width, int size, int rows) {
    this.random = random;
    this.levels = levels;
    this.width = width;
    this.codewords = new float[size * width];
    this.rows = new float[rows * width];
  }

  /** A scale is the largest magnitude divided by this. */
  record Levels(int row, int codeword) {
    static final Levels FINE = new Levels(127, 127);
    static final Levels COARSE = new Levels(63, 64);
  }

  /** Codewords and rows, each a multiple of {@code width}, and what they are rounded to. */
  record Data(Levels levels, int width, float[] codewords, float[] rows) {}

  /** A random adversarial problem. */
  static Data create(RandomGenerator random) {
    Levels levels = random.nextBoolean() ? Levels.FINE : Levels.COARSE;
    int range = random.nextInt(20);
    int width =
        range < 3
            ? random.nextInt(48, 512)
            : range < 18 ? random.nextInt(512, 2049) : random.nextInt(2049, 4097);
    int fillers = random.nextBoolean() ? random.nextInt(4) : random.nextInt(40);
    return random.nextBoolean()
        ? codewordResiduals(random, levels, width, random.nextInt(1, 4), fillers)
        : rowResiduals(random, levels, width, random.nextInt(4), fillers, random.nextInt(1, 8));
  }

  /** Rows without a residual, parallel to those of their codewords. */
  private static Data codewordResiduals(
      RandomGenerator random, Levels levels, int width, int pairs, int fillers) {
    var problem = new Int8Adversary(random, levels, width, 2 * (2 * pairs + fillers), 2 * pairs);
    double step = Math.scalb(1.0, random.nextInt(-20, 11));
    for (int pair = 0; pair < pairs; pair++) {
      problem.addPair(step);
    }
    for (int filler = 0; filler < fillers; filler++) {
      problem.addFiller(20 * step, step * 0x1p-10);
    }
    return problem.finish(step);
  }

  private void addPair(double step) {
    int[] order = permutation(width);
    int free = random.nextInt(TUNING + 1, TUNING + 12);
    double rowStep = step * (2 << random.nextInt(6));
    int most = levels.codeword();
    double half = 0.5 - Math.scalb(1.0, -random.nextInt(8, 16));
    boolean constant = random.nextBoolean();
    double[] row = new double[width];
    double[] first = new double[width];
    double[] second = new double[width];
    double[] residual = new double[width];
    for (int f = TUNING; f < free; f++) {
      int integer = f == TUNING ? most : random.nextInt(most + 1);
      first[order[f]] = (random.nextBoolean() ? step : -step) * integer;
      second[order[f]] = (random.nextBoolean() ? step : -step) * integer;
    }
    for (int f = free; f < width; f++) {
      int t = order[f];
      double sign = random.nextBoolean() ? 1 : -1;
      int multiple = constant || f == free ? levels.row() : random.nextInt(1, levels.row() + 1);
      residual[t] = sign * step * GRID * Math.rint(half * multiple / levels.row() / GRID);
      row[t] = sign * rowStep * multiple;
      int integer = random.nextInt(-most / 4, most - 7);
      first[t] = sign * step * integer + residual[t];
      second[t] = sign * step * (integer + random.nextInt(-3, 4)) - residual[t];
    }
    /* Whole steps bring the second codeword just ahead of the first, a longer norm just behind it. */
    double target = half(first, row);
    double gap = half(second, row) - target;
    while (gap > 0) {
      int t = order[random.nextInt(free, width)];
      double move = Math.copySign(step, row[t]);
      double change = move * (second[t] + move / 2 - row[t]);
      if (change < -16 * step * step && Math.abs(second[t] + move) < (most - 1) * step) {
        second[t] += move;
        gap += change;
      }
    }
    while (gap < -1.5 * most * most * step * step) {
      int t = order[random.nextInt(free, width)];
      double move = -Math.copySign(step, row[t]);
      double change = move * (second[t] + move / 2 - row[t]);
      if (change > 16 * step * step && Math.abs(second[t] + move) < (most - 1) * step) {
        second[t] += move;
        gap += change;
      }
    }
    gap = half(second, row) - target;
    long squares = (long) Math.floor(-2 * gap / (step * step)) + 1;
    for (int f = 0; f < TUNING && squares > 0; f++) {
      long root = Math.min(most, (long) Math.sqrt((double) squares));
      if (f == TUNING - 1 && root * root < squares) {
        root = Math.min(most, root + 1);
      }
      second[order[f]] = root * step;
      squares -= root * root;
    }
    addCodeword(first);
    addCodeword(second);
    addRow(row);
  }

  /** Codewords without a residual, parallel to those of the rows. */
  private static Data rowResiduals(
      RandomGenerator random, Levels levels, int width, int similar, int fillers, int rows) {
    var problem = new Int8Adversary(random, levels, width, 2 * (1 + similar + fillers), 2 * rows);
    double rowStep = Math.scalb(1.0, random.nextInt(-20, 11));
    double step = rowStep * (1 << random.nextInt(7));
    int[] order = problem.permutation(width);
    int free = 2 + similar + random.nextInt(6);
    free += (width - free + 1) % 2;
    double[] codeword = new double[width];
    for (int f = free; f < width; f++) {
      codeword[order[f]] =
          random.nextBoolean() ? levels.codeword() * step : -levels.codeword() * step;
    }
    problem.addCodeword(codeword);
    for (int f = 1; f <= similar; f++) {
      double[] other = codeword.clone();
      other[order[f]] = step * random.nextInt(1, 9);
      problem.addCodeword(other);
    }
    for (int filler = 0; filler < fillers; filler++) {
      problem.addFiller(3 * 127 * step, step * 0x1p-6);
    }
    for (int row = 0; row < rows; row++) {
      problem.addRow(rowOf(random, levels.row(), order, free, similar, codeword, rowStep));
    }
    return problem.finish(rowStep);
  }

  /** A row with a residual along the codeword, but all but orthogonal to it. */
  private static double[] rowOf(
      RandomGenerator random,
      int levels,
      int[] order,
      int free,
      int similar,
      double[] codeword,
      double rowStep) {
    int width = codeword.length;
    int signed = width - free;
    int[] integers = new int[width];
    long sum = 0;
    for (int f = free; f < width; f++) {
      integers[f] = random.nextInt(1 - levels, levels - 1);
      sum += integers[f];
    }
    /* The integers sum to half a step for each component below zero, which the residuals undo. */
    long excess = sum + (signed - 1) / 2;
    while (excess != 0) {
      int f = random.nextInt(free, width);
      int moved = integers[f] - Long.signum(excess);
      if (moved >= 1 - levels && moved <= levels - 2) {
        integers[f] = moved;
        excess -= Long.signum(excess);
      }
    }
    int below = (1 << 15) - random.nextInt(1, 9);
    int extra = below % signed;
    double[] row = new double[width];
    row[order[0]] = random.nextBoolean() ? levels * rowStep : -levels * rowStep;
    for (int f = 1 + similar; f < free; f++) {
      row[order[f]] = rowStep * random.nextInt(-levels, levels + 1);
    }
    int rotation = random.nextInt(signed);
    for (int f = free; f < width; f++) {
      int units = below / signed + ((f + rotation) % signed < extra ? 1 : 0);
      double value = rowStep * (integers[f] + 0.5 - units * GRID);
      row[order[f]] = Math.copySign(value, value * codeword[order[f]]);
    }
    return row;
  }

  /** ‖B‖²/2 − A·B. */
  private static double half(double[] codeword, double[] row) {
    double sum = 0;
    for (int t = 0; t < codeword.length; t++) {
      sum += codeword[t] * (0.5 * codeword[t] - row[t]);
    }
    return sum;
  }

  private void addFiller(double scale, double grid) {
    double[] codeword = new double[width];
    for (int t = 0; t < width; t++) {
      codeword[t] = grid * Math.rint(scale * random.nextGaussian() / grid);
    }
    addCodeword(codeword);
  }

  private void addCodeword(double[] codeword) {
    for (int t = 0; t < width; t++) {
      codewords[codewordCount * width + t] = (float) codeword[t];
      codewords[(codewordCount + 1) * width + t] = (float) -codeword[t];
    }
    codewordCount += 2;
  }

  private void addRow(double[] row) {
    for (int t = 0; t < width; t++) {
      rows[rowCount * width + t] = (float) row[t];
      rows[(rowCount + 1) * width + t] = (float) -row[t];
    }
    rowCount += 2;
  }

  /** Shuffles the codewords and, sometimes, moves all of the problem by an exact offset. */
  private Data finish(double step) {
    int[] order = permutation(codewordCount);
    float[] shuffled = new float[codewords.length];
    for (int j = 0; j < codewordCount; j++) {
      System.arraycopy(codewords, j * width, shuffled, order[j] * width, width);
    }
    if (random.nextInt(3) == 0) {
      float[] offset = new float[width];
      for (int t = 0; t < width; t++) {
        offset[t] = (float) (step * random.nextInt(-128, 128));
      }
      for (float[] vectors : new float[][] {shuffled, rows}) {
        for (int at = 0; at < vectors.length; at++) {
          vectors[at] += offset[at % width];
        }
      }
    }
    return new Data(levels, width, shuffled, rows);
  }

  private int[] permutation(int count) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int other = random.nextInt(i + 1);
      order[i] = order[other];
      order[other] = i;
    }
    return order;
  }
}
