package org.nasvlp.kernels;

import java.util.Random;

/** Seeded inputs of the kinds that break careless kernels. */
final class Samples {
  /** What the numbers are like. */
  enum Kind {
    /** Independent standard Gaussians. */
    GAUSSIAN,
    /** Rows close to codewords. */
    CLUSTERED,
    /** Far from the origin, where ‖e‖² − 2x·e cancels. */
    OFFSET,
    /** Below the smallest normal float32, with both zeros. */
    DENORMAL,
    /** Near the largest float32, whose squares are beyond it. */
    HUGE,
    /** Scales from 1e-30 to 1e30 side by side. */
    MIXED,
    /** Small integers: many exact ties. */
    GRID,
    /** Every codeword several times. */
    DUPLICATES,
    /** All codewords equal but for the last bit of one element. */
    NEARLY_EQUAL
  }

  private final Random random;

  Samples(long seed) {
    random = new Random(seed);
  }

  float[] values(Kind kind, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = value(kind);
    }
    return values;
  }

  private float value(Kind kind) {
    return switch (kind) {
      case GAUSSIAN, CLUSTERED, DUPLICATES, NEARLY_EQUAL -> (float) random.nextGaussian();
      case OFFSET -> (float) (1e6 + random.nextGaussian());
      case DENORMAL ->
          random.nextInt(4) == 0
              ? (random.nextBoolean() ? 0.0f : -0.0f)
              : (random.nextInt(2001) - 1000) * Float.MIN_VALUE;
      case HUGE -> Float.MAX_VALUE * (2 * random.nextFloat() - 1);
      case MIXED -> (float) (random.nextGaussian() * Math.pow(10, random.nextInt(61) - 30));
      case GRID -> random.nextInt(3) - 1;
    };
  }

  float[] codewords(Kind kind, int size, int width) {
    float[] e = values(kind, size * width);
    if (kind == Kind.DUPLICATES) {
      for (int j = 0; j < size; j++) {
        System.arraycopy(e, random.nextInt(j / 3 + 1) * width, e, j * width, width);
      }
    } else if (kind == Kind.NEARLY_EQUAL) {
      for (int j = 1; j < size; j++) {
        System.arraycopy(e, 0, e, j * width, width);
        int at = j * width + random.nextInt(width);
        e[at] = random.nextBoolean() ? Math.nextUp(e[at]) : Math.nextDown(e[at]);
      }
    }
    return e;
  }

  float[] rows(Kind kind, int rows, float[] codewords, int size, int width) {
    float[] x = values(kind, rows * width);
    for (int i = 0; i < rows; i++) {
      boolean near = kind == Kind.CLUSTERED || kind == Kind.NEARLY_EQUAL || random.nextInt(8) == 0;
      int j = random.nextInt(size);
      for (int t = 0; near && t < width; t++) {
        float noise = kind == Kind.CLUSTERED ? (float) (0.1 * random.nextGaussian()) : 0;
        x[i * width + t] = codewords[j * width + t] + noise;
      }
    }
    return x;
  }

  int[] codes(int count, int size) {
    int[] codes = new int[count];
    for (int i = 0; i < count; i++) {
      codes[i] = random.nextInt(size);
    }
    return codes;
  }

  long[] ids(int count) {
    return random.longs(count).toArray();
  }

  /** Half of it small multiples of 0.5, so that there are ties. */
  double[] evidence(int count) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      values[i] =
          random.nextBoolean() ? (random.nextInt(7) - 3) * 0.5 : random.nextGaussian() - 0.2;
    }
    return values;
  }

  byte[] live(int size) {
    byte[] live = new byte[size];
    for (int j = 0; j < size; j++) {
      live[j] = (byte) (random.nextInt(3) == 0 ? 0 : random.nextInt(255) + 1);
    }
    return live;
  }

  int between(int low, int high) {
    return low + random.nextInt(high - low + 1);
  }

  long seed() {
    return random.nextLong();
  }
}
