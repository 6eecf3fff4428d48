package org.nasvlp.bench;

import java.util.SplittableRandom;

/**
 * A random lookup problem, made from its seed alone.
 *
 * @param seed what it is made from
 * @param kind what the numbers are like
 * @param shape what the sizes are like
 * @param size K codewords
 * @param width d
 * @param rows number of rows
 * @param codewords K × d
 * @param x rows × d
 */
record SoakProblem(
    long seed,
    Kind kind,
    Shape shape,
    int size,
    int width,
    int rows,
    float[] codewords,
    float[] x) {

  /** What the numbers are like. */
  enum Kind {
    GAUSSIAN,
    /** Codewords in clusters, rows near codewords. */
    CLUSTERED,
    /** Few distinct codewords. */
    DUPLICATES,
    /** Pairs of codewords one unit in the last place apart. */
    NEAR_DUPLICATES,
    /** A common offset of 1e6. */
    FAR_FROM_ORIGIN,
    /** Zeros of both signs, and ones. */
    SIGNED_ZEROS,
    DENORMAL,
    /** 1e30 up to the largest float. */
    HUGE,
    /** 1e-30 to 1e-10. */
    TINY,
    /** Each vector with its own power of ten. */
    MIXED_SCALES,
    /** Small integers: many exact ties. */
    INTEGERS,
    /** Rows that are codewords, some moved by a unit in the last place. */
    CODEWORD_ROWS,
    /** Rows halfway between two codewords, some moved by a unit in the last place. */
    MIDPOINT_ROWS,
    /** One or few components that are not zero. */
    SPARSE,
    /** All components of a vector equal. */
    CONSTANT,
    /** Permutations of one codeword, and constant rows. */
    PERMUTED,
    /** Codewords close around a few points far apart. */
    TIGHT_GROUPS,
    /** The error bound of an int8 screen is attained. */
    ADVERSARIAL
  }

  /** What the sizes are like. */
  enum Shape {
    /** K × d of 100 to 4,000. */
    SMALL,
    /** K × d of 4,000 to 400,000. */
    MEDIUM,
    /** K up to 65,536, d up to 4,096. */
    LARGE,
    /** d of 1 to 5. */
    NARROW,
    /** One codeword. */
    SINGLE,
    /** The width is no multiple of anything. */
    ODD_WIDTH,
    /** Sizes of their own. */
    ADVERSARIAL
  }

  private static final int[] PRIMES = {7, 13, 31, 61, 127, 257, 509, 769, 1021, 2039, 4093};

  /** Makes the problem of a seed. */
  static SoakProblem create(long seed) {
    var random = new SplittableRandom(seed);
    if (random.nextInt(10) == 0) {
      var data = Int8Adversary.create(random);
      int width = data.width();
      return new SoakProblem(
          seed,
          Kind.ADVERSARIAL,
          Shape.ADVERSARIAL,
          data.codewords().length / width,
          width,
          data.rows().length / width,
          data.codewords(),
          data.rows());
    }
    Kind kind = Kind.values()[random.nextInt(Kind.values().length - 1)];
    int draw = random.nextInt(1000);
    Shape shape =
        draw < 600
            ? Shape.SMALL
            : draw < 840
                ? Shape.MEDIUM
                : draw < 850
                    ? Shape.LARGE
                    : draw < 900 ? Shape.NARROW : draw < 920 ? Shape.SINGLE : Shape.ODD_WIDTH;
    int width;
    int size;
    double budget = 8e6;
    switch (shape) {
      case SMALL, MEDIUM -> {
        double area = shape == Shape.SMALL ? log(random, 100, 4000) : log(random, 4000, 400_000);
        width = (int) log(random, 6, Math.min(2048, area / 2));
        size = Math.clamp(Math.round(area / width), 2, 65_536);
        budget = shape == Shape.SMALL ? 8e6 : 4e7;
      }
      case LARGE -> {
        size = random.nextInt(8) == 0 ? 65_536 : (int) log(random, 500, 65_537);
        int widest = Math.min(4096, 12_000_000 / size);
        width = random.nextInt(4) == 0 ? widest : (int) log(random, 2, widest + 1);
        budget = 1e8;
      }
      case NARROW -> {
        width = random.nextInt(1, 6);
        size = (int) log(random, 2, 2000);
      }
      case SINGLE -> {
        width = (int) log(random, 1, 1000);
        size = 1;
      }
      default -> {
        width =
            random.nextBoolean()
                ? PRIMES[random.nextInt(1 + random.nextInt(PRIMES.length))]
                : random.nextInt(1, 200) * 2 + 1;
        size = (int) log(random, 2, Math.max(4, 20_000.0 / width));
      }
    }
    int most = Math.clamp((long) (budget / size / width), 2, 4000);
    int rows = random.nextInt(most / 2, most) + 1;
    var problem =
        new SoakProblem(
            seed, kind, shape, size, width, rows, new float[size * width], new float[rows * width]);
    problem.fill(random);
    return problem;
  }

  private static double log(SplittableRandom random, double low, double high) {
    return low * Math.pow(high / low, random.nextDouble());
  }

  private interface Numbers {
    float next();
  }

  private void fill(SplittableRandom random) {
    switch (kind) {
      case GAUSSIAN -> both(() -> gaussian(random, 1));
      case CLUSTERED -> clustered(random);
      case DUPLICATES -> {
        both(() -> gaussian(random, 1));
        int distinct = random.nextInt(1, 5);
        for (int j = distinct; j < size; j++) {
          copy(codewords, random.nextInt(distinct), codewords, j);
        }
        for (int i = 0; i < rows; i += 2) {
          copy(codewords, random.nextInt(size), x, i);
        }
      }
      case NEAR_DUPLICATES -> nearDuplicates(random);
      case FAR_FROM_ORIGIN -> {
        float spread = random.nextBoolean() ? 1 : 1000;
        both(() -> 1e6f + gaussian(random, spread));
      }
      case SIGNED_ZEROS -> {
        int zeros = random.nextInt(2, 12);
        both(
            () ->
                random.nextInt(zeros) == 0
                    ? random.nextInt(-1, 2)
                    : random.nextBoolean() ? 0.0f : -0.0f);
      }
      case DENORMAL -> {
        int largest = 1 << random.nextInt(1, 24);
        both(
            () ->
                Math.copySign(
                    Float.intBitsToFloat(random.nextInt(largest)),
                    random.nextBoolean() ? 1f : -1f));
      }
      case HUGE -> {
        double scale = Math.pow(10, random.nextInt(30, 39));
        both(
            () ->
                (float) Math.clamp(scale * random.nextGaussian(), -0x1.fffffep127, 0x1.fffffep127));
      }
      case TINY -> {
        float scale = (float) Math.pow(10, random.nextInt(-30, -9));
        both(() -> gaussian(random, scale));
      }
      case MIXED_SCALES -> {
        int decades = random.nextInt(2, 37);
        scaled(random, codewords, size, decades);
        scaled(random, x, rows, decades);
      }
      case INTEGERS -> {
        int largest = 1 + random.nextInt(4) * random.nextInt(4);
        both(() -> random.nextInt(-largest, largest + 1));
      }
      case CODEWORD_ROWS -> {
        both(() -> gaussian(random, 1));
        for (int i = 0; i < rows; i++) {
          copy(codewords, random.nextInt(size), x, i);
          nudge(random, x, i);
        }
      }
      case MIDPOINT_ROWS -> {
        int bits = random.nextInt(4, 20);
        both(() -> Math.scalb((float) Math.rint(Math.scalb(gaussian(random, 1), bits)), -bits));
        for (int i = 0; i < rows; i++) {
          int a = random.nextInt(size) * width;
          int b = random.nextInt(size) * width;
          for (int t = 0; t < width; t++) {
            x[i * width + t] = 0.5f * (codewords[a + t] + codewords[b + t]);
          }
          nudge(random, x, i);
        }
      }
      case SPARSE -> {
        sparse(random, codewords, size);
        sparse(random, x, rows);
      }
      case CONSTANT -> {
        constant(random, codewords, size);
        constant(random, x, rows);
      }
      case PERMUTED -> permuted(random);
      case TIGHT_GROUPS -> tightGroups(random);
      case ADVERSARIAL -> throw new AssertionError("made elsewhere");
    }
  }

  private void tightGroups(SplittableRandom random) {
    int centres = random.nextInt(2, 40);
    float[] middle = new float[centres * width];
    for (int t = 0; t < middle.length; t++) {
      middle[t] = gaussian(random, 20);
    }
    float spread = (float) Math.pow(10, -random.nextDouble(1, 7));
    for (int j = 0; j < size; j++) {
      // Half of them around the first: more than a list of candidates holds.
      int centre = j % 2 == 0 ? 0 : random.nextInt(centres);
      System.arraycopy(middle, centre * width, codewords, j * width, width);
      if (spread < 1e-5f) {
        nudge(random, codewords, j);
      } else {
        for (int t = 0; t < width; t++) {
          codewords[j * width + t] += gaussian(random, spread);
        }
      }
    }
    float noise = random.nextBoolean() ? 1 : spread;
    for (int i = 0; i < rows; i++) {
      copy(codewords, random.nextInt(size), x, i);
      if (random.nextInt(3) == 0) {
        int other = random.nextInt(size) * width;
        for (int t = 0; t < width; t++) {
          x[i * width + t] = 0.5f * (x[i * width + t] + codewords[other + t]);
        }
      }
      for (int t = 0; t < width; t++) {
        x[i * width + t] += gaussian(random, noise);
      }
    }
  }

  private static float gaussian(SplittableRandom random, float scale) {
    return (float) (scale * random.nextGaussian());
  }

  private void both(Numbers numbers) {
    for (int at = 0; at < codewords.length; at++) {
      codewords[at] = numbers.next();
    }
    for (int at = 0; at < x.length; at++) {
      x[at] = numbers.next();
    }
  }

  private void copy(float[] from, int source, float[] to, int target) {
    System.arraycopy(from, source * width, to, target * width, width);
  }

  /** Moves one component of half of the vectors by a unit in the last place. */
  private void nudge(SplittableRandom random, float[] vectors, int index) {
    int at = index * width + random.nextInt(width);
    switch (random.nextInt(4)) {
      case 0 -> vectors[at] = Math.nextUp(vectors[at]);
      case 1 -> vectors[at] = Math.nextDown(vectors[at]);
      default -> {}
    }
  }

  private void clustered(SplittableRandom random) {
    both(() -> gaussian(random, 1));
    float spread = (float) Math.pow(10, random.nextInt(-6, 0));
    int centres = random.nextInt(1, 9);
    for (int j = centres; j < size; j++) {
      int centre = random.nextInt(Math.min(centres, size)) * width;
      for (int t = 0; t < width; t++) {
        codewords[j * width + t] = codewords[centre + t] + spread * codewords[j * width + t];
      }
    }
    for (int i = 0; i < rows; i++) {
      int codeword = random.nextInt(size) * width;
      for (int t = 0; t < width; t++) {
        x[i * width + t] = codewords[codeword + t] + spread * x[i * width + t];
      }
    }
  }

  private void nearDuplicates(SplittableRandom random) {
    both(() -> gaussian(random, 1));
    for (int j = 1; j < size; j += 2) {
      copy(codewords, j - 1, codewords, j);
      int at = j * width + random.nextInt(width);
      codewords[at] =
          random.nextBoolean() ? Math.nextUp(codewords[at]) : Math.nextDown(codewords[at]);
    }
    for (int i = 0; i < rows; i++) {
      float spread = (float) Math.pow(10, random.nextInt(-6, 3));
      int codeword = random.nextInt(size) * width;
      for (int t = 0; t < width; t++) {
        x[i * width + t] = codewords[codeword + t] + spread * x[i * width + t];
      }
    }
  }

  private void scaled(SplittableRandom random, float[] vectors, int count, int decades) {
    for (int j = 0; j < count; j++) {
      float scale = (float) Math.pow(10, random.nextInt(-decades, decades + 1));
      for (int t = 0; t < width; t++) {
        vectors[j * width + t] = gaussian(random, scale);
      }
    }
  }

  private void sparse(SplittableRandom random, float[] vectors, int count) {
    boolean oneHot = random.nextBoolean();
    for (int j = 0; j < count; j++) {
      int ones = oneHot ? 1 : random.nextInt(1, 5);
      for (int one = 0; one < ones; one++) {
        vectors[j * width + random.nextInt(width)] = oneHot ? 1 : gaussian(random, 1);
      }
    }
  }

  private void constant(SplittableRandom random, float[] vectors, int count) {
    for (int j = 0; j < count; j++) {
      float value = random.nextBoolean() ? gaussian(random, 1) : random.nextInt(-3, 4);
      java.util.Arrays.fill(vectors, j * width, (j + 1) * width, value);
    }
  }

  private void permuted(SplittableRandom random) {
    both(() -> gaussian(random, 1));
    for (int j = 1; j < size; j++) {
      copy(codewords, 0, codewords, j);
      for (int t = width - 1; t > 0; t--) {
        int other = random.nextInt(t + 1);
        float kept = codewords[j * width + t];
        codewords[j * width + t] = codewords[j * width + other];
        codewords[j * width + other] = kept;
      }
      nudge(random, codewords, j);
    }
    for (int i = 0; i < rows; i++) {
      float value = gaussian(random, (float) Math.pow(10, random.nextInt(-2, 4)));
      java.util.Arrays.fill(x, i * width, (i + 1) * width, value);
    }
  }
}
