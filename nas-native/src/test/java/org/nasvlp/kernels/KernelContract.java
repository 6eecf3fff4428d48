package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every kernel against {@link Reference}, bit for bit, on whatever backends a subclass names. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class KernelContract {
  /**
   * Something to run the kernels on.
   *
   * @param backend the backend
   * @param tier instruction tier, without meaning for other backends than CPU
   * @param threads threads per call
   * @param guardEnd whether guard pages follow, rather than precede, the buffers
   */
  record Target(Backend backend, CpuTier tier, int threads, boolean guardEnd) {
    void select() {
      if (backend == Backend.CPU) {
        Kernels.setTier(tier);
      }
      Kernels.setThreads(threads);
    }

    @Override
    public String toString() {
      return backend
          + (backend == Backend.CPU ? " " + tier : "")
          + ", threads "
          + threads
          + (guardEnd ? ", guard after" : ", guard before");
    }
  }

  private static final int[] WIDTHS = {
    1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65, 96, 127, 129, 192, 200, 255,
    256, 257, 260, 500, 768
  };

  private CpuTier tierBefore;
  private int threadsBefore;

  abstract Stream<Target> targets();

  abstract TestMemory memory(Target target);

  @BeforeAll
  void remember() {
    tierBefore = Kernels.tier();
    threadsBefore = Kernels.threads();
  }

  @AfterAll
  void putBack() {
    Kernels.setTier(tierBefore);
    Kernels.setThreads(threadsBefore);
  }

  private static Codebook codebook(
      Target target, TestMemory memory, float[] e, int size, int width) {
    return Codebook.create(target.backend(), memory.floats(e), size, width);
  }

  @ParameterizedTest
  @MethodSource("targets")
  void lookupFindsTheNearestCodeword(Target target) {
    target.select();
    Samples samples = new Samples(11);
    for (int width : WIDTHS) {
      for (Samples.Kind kind : Samples.Kind.values()) {
        int size = samples.between(1, width > 300 ? 40 : 140);
        int rows = samples.between(1, width > 300 ? 8 : 24);
        float[] e = samples.codewords(kind, size, width);
        float[] x = samples.rows(kind, rows, e, size, width);
        checkLookup(target, e, x, size, width, rows, width, kind.toString());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void lookupOfManyRowsAndCodewords(Target target) {
    target.select();
    Samples samples = new Samples(12);
    for (int[] shape : new int[][] {{700, 33, 400}, {1, 20, 2000}, {1500, 12, 150}}) {
      float[] e = samples.codewords(Samples.Kind.CLUSTERED, shape[0], shape[1]);
      float[] x = samples.rows(Samples.Kind.CLUSTERED, shape[2], e, shape[0], shape[1]);
      checkLookup(target, e, x, shape[0], shape[1], shape[2], shape[1], Arrays.toString(shape));
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void lookupLeavesTheGapBetweenRowsAlone(Target target) {
    target.select();
    Samples samples = new Samples(13);
    for (int width : new int[] {1, 5, 16, 65}) {
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, 37, width);
      float[] x = samples.rows(Samples.Kind.GAUSSIAN, 19, e, 37, width);
      checkLookup(target, e, x, 37, width, 19, width + 1, "stride + 1");
      checkLookup(target, e, x, 37, width, 19, width + 64, "stride + 64");
    }
  }

  /** Puts NaN into the gaps; no byte follows the last row. */
  private static float[] strided(float[] x, int rows, int width, int stride) {
    float[] spread = new float[(rows - 1) * stride + width];
    Arrays.fill(spread, Float.NaN);
    for (int i = 0; i < rows; i++) {
      System.arraycopy(x, i * width, spread, i * stride, width);
    }
    return spread;
  }

  private void checkLookup(
      Target target, float[] e, float[] x, int size, int width, int rows, int stride, String what) {
    int[] expected = new int[rows];
    float[] distances = new float[rows];
    for (int i = 0; i < rows; i++) {
      expected[i] = Reference.nearest(x, i, e, size, width);
      distances[i] = (float) Reference.distance(x, i, e, expected[i], width);
    }
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, size, width)) {
      MemorySegment input = memory.floats(strided(x, rows, width, stride));
      MemorySegment indices = memory.allocate(rows * 4L);
      MemorySegment found = memory.allocate(rows * 4L);
      codebook.lookup(Rows.of(input, rows, stride), indices, found, memory.stream());
      String description = what + ", " + size + " x " + width + ", rows " + rows;
      assertThat(memory.toInts(indices)).as(description).isEqualTo(expected);
      assertThat(memory.toFloats(found)).as(description).isEqualTo(distances);

      MemorySegment alone = memory.allocate(rows * 4L);
      codebook.lookup(Rows.of(input, rows, stride), alone, null, memory.stream());
      assertThat(memory.toInts(alone)).as("without distances").isEqualTo(expected);
      assertThat(codebook.lookup(x)).as("array").isEqualTo(expected);
    }
  }

  /** Rows of the narrower types are looked up as the float32 rows that they stand for. */
  @ParameterizedTest
  @MethodSource("targets")
  void lookupOfNarrowRows(Target target) {
    target.select();
    Samples samples = new Samples(41);
    int size = 37;
    int width = 21;
    int rows = 53;
    int stride = width + 2;
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
    float[] x = samples.rows(Samples.Kind.GAUSSIAN, rows, e, size, width);
    for (ElementType type : new ElementType[] {ElementType.BFLOAT16, ElementType.FLOAT16}) {
      float[] wide = new float[rows * width];
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width)) {
        short[] narrow = new short[(rows - 1) * stride + width];
        Arrays.fill(narrow, (short) 0x7fff);
        for (int i = 0; i < rows; i++) {
          for (int t = 0; t < width; t++) {
            float value = x[i * width + t];
            short bits =
                type == ElementType.BFLOAT16
                    ? (short) (Float.floatToRawIntBits(value) >>> 16)
                    : Float.floatToFloat16(value);
            narrow[i * stride + t] = bits;
            wide[i * width + t] = widened(type, bits);
          }
        }
        int[] expected = new int[rows];
        for (int i = 0; i < rows; i++) {
          expected[i] = Reference.nearest(wide, i, e, size, width);
        }
        MemorySegment input = memory.shorts(narrow);
        MemorySegment indices = memory.allocate(rows * 4L);
        codebook.lookup(new Rows(input, type, rows, stride), indices, null, memory.stream());
        assertThat(memory.toInts(indices)).as("%s", type).isEqualTo(expected);
      }
    }
  }

  /** Every row is counted on one path, and the tier is the one that was asked for. */
  @ParameterizedTest
  @MethodSource("targets")
  void statsTellThePath(Target target) {
    target.select();
    Samples samples = new Samples(43);
    int size = 300;
    int width = 96;
    int rows = 400;
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
    float[] x = samples.rows(Samples.Kind.GAUSSIAN, rows, e, size, width);
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, size, width)) {
      MemorySegment input = memory.floats(x);
      MemorySegment indices = memory.allocate(rows * 4L);
      LookupStats stats =
          codebook.lookupWithStats(
              new Rows(input, ElementType.FLOAT32, rows, width), indices, null, memory.stream());
      assertThat(memory.toInts(indices)).isEqualTo(codebook.lookup(x));
      assertThat(stats.tier()).isEqualTo(target.tier());
      if (target.backend() == Backend.CUDA) {
        assertThat(stats.rowsFloat32()).isEqualTo(rows);
        return;
      }
      boolean int8 = target.tier() != CpuTier.SCALAR;
      assertThat(stats.rowsInt8()).isEqualTo(int8 ? rows : 0);
      assertThat(stats.rowsFloat32()).isZero();
      assertThat(stats.rowsScanned()).isEqualTo(int8 ? 0 : rows);
      assertThat(stats.packingNanos() > 0).isEqualTo(int8);
      assertThatIllegalArgumentException()
          .isThrownBy(
              () ->
                  codebook.lookupWithStats(
                      new Rows(input, ElementType.FLOAT32, 0, width),
                      indices,
                      null,
                      memory.stream()))
          .withMessageContaining("x has 0 rows");
    }
  }

  /** Against exact decimal arithmetic: the contract itself must mean the nearest codeword. */
  @ParameterizedTest
  @MethodSource("targets")
  void lookupAgreesWithExactArithmetic(Target target) {
    target.select();
    Samples samples = new Samples(14);
    for (Samples.Kind kind : Samples.Kind.values()) {
      int width = 37;
      int size = 21;
      float[] e = samples.codewords(kind, size, width);
      float[] x = samples.rows(kind, 6, e, size, width);
      int[] indices;
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width)) {
        indices = codebook.lookup(x);
      }
      for (int i = 0; i < 6; i++) {
        BigDecimal best = exact(x, i, e, 0, width);
        for (int j = 1; j < size; j++) {
          best = best.min(exact(x, i, e, j, width));
        }
        BigDecimal bound = best.multiply(new BigDecimal("1.00000000000001"));
        assertThat(exact(x, i, e, indices[i], width))
            .as("%s row %d", kind, i)
            .isLessThanOrEqualTo(bound);
      }
    }
  }

  private static BigDecimal exact(float[] x, int row, float[] e, int j, int width) {
    BigDecimal sum = BigDecimal.ZERO;
    for (int t = 0; t < width; t++) {
      BigDecimal difference =
          new BigDecimal((double) x[row * width + t])
              .subtract(new BigDecimal((double) e[j * width + t]));
      sum = sum.add(difference.multiply(difference));
    }
    return sum;
  }

  @ParameterizedTest
  @MethodSource("targets")
  void tiesGoToTheLowestIndex(Target target) {
    target.select();
    // Both codewords 1 and 3 are at distance 1 from 2; 0 and 4 are copies of 1 and 3's mirror
    // images.
    float[] e = {5, 1, 3, 1, 3};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 5, 1)) {
      assertThat(codebook.lookup(new float[] {2, 3, 1, 4, -0.0f, 0.0f, 100}))
          .containsExactly(1, 2, 1, 0, 1, 1, 0);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void distanceBeyondFloatIsInfinityAndStillOrdered(Target target) {
    target.select();
    float big = Float.MAX_VALUE;
    float[] e = {big, big, -big, big};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 2, 2)) {
      MemorySegment indices = memory.allocate(8);
      MemorySegment distances = memory.allocate(8);
      MemorySegment x = memory.floats(-big, -big, 1, 0);
      codebook.lookup(Rows.of(x, 2, 2), indices, distances, memory.stream());
      assertThat(memory.toInts(indices)).containsExactly(1, 0);
      assertThat(memory.toFloats(distances))
          .containsExactly(Float.POSITIVE_INFINITY, Float.POSITIVE_INFINITY);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void nonFiniteRowsAreNamed(Target target) {
    target.select();
    Samples samples = new Samples(15);
    int width = 19;
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, 9, width);
    MomentumUpdate update = new MomentumUpdate(0.9, 1e-5, 0);
    float[] poisons = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    for (int bad : new int[] {0, 1, 17, 40, 299}) {
      for (float poison : poisons) {
        float[] x = samples.rows(Samples.Kind.GAUSSIAN, 300, e, 9, width);
        x[bad * width + samples.between(0, width - 1)] = poison;
        x[299 * width] = poison;
        try (TestMemory memory = memory(target);
            Codebook codebook = codebook(target, memory, e, 9, width)) {
          long stream = memory.stream();
          MemorySegment input = memory.floats(x);
          MemorySegment codes = memory.ints(samples.codes(300, 9));
          MemorySegment out = memory.allocate(1200);
          MemorySegment counts = memory.doubles(new double[9]);
          MemorySegment sums = memory.doubles(new double[9 * width]);
          assertBadRow(bad, () -> codebook.lookup(Rows.of(input, 300, width), out, null, stream));
          assertBadRow(bad, () -> codebook.lookup(x));
          assertBadRow(
              bad,
              () -> codebook.accumulate(Rows.of(input, 300, width), codes, counts, sums, stream));
          assertThat(memory.toDoubles(counts)).containsOnly(0);
          assertThat(memory.toDoubles(sums)).containsOnly(0);
          assertBadRow(
              bad, () -> codebook.update(Rows.of(input, 300, width), codes, update, stream));
          assertThat(codebook.state()).isEqualTo(new Reference.State(e, 9, width).toState());
        }
      }
    }
  }

  private static void assertBadRow(int row, Runnable call) {
    assertThatExceptionOfType(NonFiniteInputException.class)
        .isThrownBy(call::run)
        .withMessageContaining("row " + row)
        .satisfies(e -> assertThat(e.row()).isEqualTo(row));
  }

  @ParameterizedTest
  @MethodSource("targets")
  void nonFiniteCodewordsAreNamed(Target target) {
    target.select();
    float[] e = new float[7 * 3];
    e[5 * 3 + 1] = Float.NaN;
    try (TestMemory memory = memory(target)) {
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook(target, memory, e, 7, 3))
          .withMessageContaining("codeword")
          .satisfies(x -> assertThat(x.row()).isEqualTo(5));
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void codesOutOfRangeAreRefused(Target target) {
    target.select();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2, 3, 4}, 2, 2)) {
      MemorySegment x = memory.floats(1, 2, 3, 4, 5, 6);
      MemorySegment counts = memory.doubles(0, 0);
      MemorySegment sums = memory.doubles(0, 0, 0, 0);
      for (int bad : new int[] {-1, 2, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
        MemorySegment codes = memory.ints(0, bad, 1);
        assertThatIllegalArgumentException()
            .isThrownBy(
                () -> codebook.accumulate(Rows.of(x, 3, 2), codes, counts, sums, memory.stream()))
            .withMessageMatching(".*code(s\\[| of row )1.*")
            .isNotInstanceOf(NonFiniteInputException.class);
      }
      assertThat(memory.toDoubles(counts)).containsOnly(0);
      assertThat(memory.toDoubles(sums)).containsOnly(0);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void accumulateAddsInRowOrderHoweverTheRowsAreSplit(Target target) {
    target.select();
    Samples samples = new Samples(16);
    for (int width : WIDTHS) {
      Samples.Kind kind = width % 2 == 0 ? Samples.Kind.MIXED : Samples.Kind.GAUSSIAN;
      int size = samples.between(1, 20);
      int rows = samples.between(1, 60);
      float[] x = samples.values(kind, rows * width);
      int[] codes = samples.codes(rows, size);
      double[] counts = new double[size];
      double[] sums = new double[size * width];
      Arrays.fill(counts, 0.1);
      Arrays.fill(sums, 1.0 / 3);
      double[] startCounts = counts.clone();
      double[] startSums = sums.clone();
      Reference.accumulate(x, width, codes, counts, sums);
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width)) {
        for (int stride : new int[] {width, width + 3}) {
          for (int part : new int[] {rows, 1, 7}) {
            MemorySegment c = memory.doubles(startCounts);
            MemorySegment s = memory.doubles(startSums);
            for (int from = 0; from < rows; from += part) {
              int count = Math.min(part, rows - from);
              float[] slice = Arrays.copyOfRange(x, from * width, (from + count) * width);
              codebook.accumulate(
                  Rows.of(memory.floats(strided(slice, count, width, stride)), count, stride),
                  memory.ints(Arrays.copyOfRange(codes, from, from + count)),
                  c,
                  s,
                  memory.stream());
            }
            assertThat(memory.toDoubles(c)).as("counts, width %d", width).isEqualTo(counts);
            assertThat(memory.toDoubles(s)).as("sums, width %d", width).isEqualTo(sums);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void momentumUpdateOfWorkedNumbers(Target target) {
    target.select();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 3}, 2, 1)) {
      // n = [1.5, 0.5], S = 2, m = [3.5, 1.5], h = [2.5/4*2, 1.5/4*2] = [1.25, 0.75].
      codebook.update(
          Rows.of(memory.floats(2, 4), 2, 1),
          memory.ints(0, 0),
          new MomentumUpdate(0.5, 1, 1),
          memory.stream());
      CodebookState state = codebook.state();
      assertThat(state.n()).containsExactly(1.5, 0.5);
      assertThat(state.m()).containsExactly(3.5f, 1.5f);
      assertThat(state.codewords()).containsExactly(2.8f, 2.0f);
      assertThat(state.deadSteps()).containsExactly(0, 1);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void momentumUpdatesOverManySteps(Target target) {
    target.select();
    Samples samples = new Samples(17);
    for (int width : new int[] {1, 3, 8, 17, 64, 200}) {
      int size = width == 3 ? samples.between(257, 600) : samples.between(2, 40);
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
      Reference.State expected = new Reference.State(e, size, width);
      MomentumUpdate update = new MomentumUpdate(0.9, 1e-5, 0.5);
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width);
          Codebook inTwo = codebook(target, memory, e, size, width)) {
        for (int step = 0; step < 12; step++) {
          int rows = step == 5 ? 0 : samples.between(1, 50);
          float[] x = samples.values(Samples.Kind.GAUSSIAN, rows * width);
          int[] codes = samples.codes(rows, size);
          double[] counts = new double[size];
          double[] sums = new double[size * width];
          Reference.accumulate(x, width, codes, counts, sums);
          expected.apply(counts, sums, update);
          codebook.update(
              Rows.of(memory.floats(x), rows, width), memory.ints(codes), update, memory.stream());
          inTwo.apply(memory.doubles(counts), memory.doubles(sums), update, memory.stream());
          assertThat(codebook.state()).as("step %d", step).isEqualTo(expected.toState());
          assertThat(inTwo.state()).as("step %d", step).isEqualTo(expected.toState());
        }
        // The lookup must see the new codewords, not those of the creation.
        float[] x = samples.values(Samples.Kind.GAUSSIAN, 30 * width);
        int[] nearest = new int[30];
        Arrays.setAll(nearest, i -> Reference.nearest(x, i, expected.e, size, width));
        assertThat(codebook.lookup(x)).isEqualTo(nearest);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void updatesFromRowsOfNarrowElements(Target target) {
    target.select();
    Samples samples = new Samples(22);
    MomentumUpdate update = new MomentumUpdate(0.75, 1e-3, 0.9);
    for (ElementType type : new ElementType[] {ElementType.BFLOAT16, ElementType.FLOAT16}) {
      for (int width : WIDTHS) {
        int size = samples.between(1, 30);
        int rows = samples.between(1, 60);
        int stride = width + samples.between(0, 3);
        short[] stored = new short[(rows - 1) * stride + width];
        Arrays.fill(stored, (short) -1); // not a number
        float[] x = new float[rows * width];
        for (int i = 0; i < x.length; i++) {
          short bits;
          do {
            bits = (short) samples.between(0, 0xffff);
            x[i] = widened(type, bits);
          } while (!(Math.abs(x[i]) < 1e30f));
          stored[i / width * stride + i % width] = bits;
        }
        int[] codes = samples.codes(rows, size);
        double[] counts = new double[size];
        double[] sums = new double[size * width];
        Reference.accumulate(x, width, codes, counts, sums);
        float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
        Reference.State expected = new Reference.State(e, size, width);
        expected.apply(counts, sums, update);
        String what = type + ", width " + width;
        try (TestMemory memory = memory(target);
            Codebook codebook = codebook(target, memory, e, size, width)) {
          MemorySegment input = memory.shorts(stored);
          MemorySegment z = memory.ints(codes);
          long stream = memory.stream();
          MemorySegment c = memory.doubles(new double[size]);
          MemorySegment s = memory.doubles(new double[size * width]);
          codebook.accumulate(new Rows(input, type, rows, stride), z, c, s, stream);
          assertThat(memory.toDoubles(c)).as(what).isEqualTo(counts);
          assertThat(memory.toDoubles(s)).as(what).isEqualTo(sums);
          codebook.update(new Rows(input, type, rows, stride), z, update, stream);
          assertThat(codebook.state()).as(what).isEqualTo(expected.toState());

          int bad = samples.between(0, rows - 1);
          stored[bad * stride + samples.between(0, width - 1)] =
              (short) (type == ElementType.BFLOAT16 ? 0xff80 : 0xfc00);
          MemorySegment broken = memory.shorts(stored);
          assertBadRow(
              bad,
              () -> codebook.accumulate(new Rows(broken, type, rows, stride), z, c, s, stream));
          assertBadRow(
              bad, () -> codebook.update(new Rows(broken, type, rows, stride), z, update, stream));
          assertThat(memory.toDoubles(s)).as(what).isEqualTo(sums);
          assertThat(codebook.state()).as(what).isEqualTo(expected.toState());
        }
      }
    }
  }

  /** The value of 16 bits as IEEE 754 states it. */
  private static float widened(ElementType type, short bits) {
    int fractionBits = type == ElementType.BFLOAT16 ? 7 : 10;
    int mask = (1 << (15 - fractionBits)) - 1;
    int exponent = bits >> fractionBits & mask;
    int fraction = bits & ((1 << fractionBits) - 1);
    double value;
    if (exponent == mask) {
      value = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
    } else if (exponent == 0) {
      value = fraction * Math.pow(2, 1 - mask / 2 - fractionBits);
    } else {
      value = (fraction + (1 << fractionBits)) * Math.pow(2, exponent - mask / 2 - fractionBits);
    }
    return (float) (bits < 0 ? -value : value);
  }

  @ParameterizedTest
  @MethodSource("targets")
  void updateThatWouldNotBeFiniteChangesNothing(Target target) {
    target.select();
    float[] e = {1, 2};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 2, 1)) {
      MomentumUpdate forgetAll = new MomentumUpdate(0, 1e-5, 0);
      MemorySegment zeros = memory.doubles(0, 0);
      MemorySegment poison = memory.doubles(0, Double.NaN);
      MemorySegment ones = memory.doubles(1, 1);
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook.apply(zeros, zeros, forgetAll, memory.stream()));
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook.apply(ones, poison, forgetAll, memory.stream()));
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook.apply(poison, ones, forgetAll, memory.stream()));
      assertThat(codebook.state()).isEqualTo(new Reference.State(e, 2, 1).toState());
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void deadStepsSaturate(Target target) {
    target.select();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2}, 2, 1)) {
      int most = Integer.MAX_VALUE;
      codebook.restore(
          new CodebookState(
              new float[] {1, 2}, new double[] {1, 1}, new float[] {1, 2}, new int[] {most, 4}));
      MemorySegment counts = memory.doubles(1, 1);
      codebook.apply(counts, memory.doubles(1, 2), new MomentumUpdate(0.5, 1, 9), memory.stream());
      assertThat(codebook.state().deadSteps()).containsExactly(most, 5);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void neighbourListsAreSortedByDistanceThenIndex(Target target) {
    target.select();
    Samples samples = new Samples(18);
    for (Samples.Kind kind : Samples.Kind.values()) {
      for (int width : new int[] {1, 6, 17, 64, 130}) {
        int size = samples.between(1, 60);
        int count = samples.between(1, size + 5);
        float[] e = samples.codewords(kind, size, width);
        for (byte[] live : new byte[][] {null, samples.live(size), new byte[size]}) {
          int[] expected = Reference.neighbours(e, size, width, count, live);
          try (TestMemory memory = memory(target);
              Codebook codebook = codebook(target, memory, e, size, width)) {
            MemorySegment out = memory.allocate(4L * size * count);
            codebook.neighbours(
                count, live == null ? null : memory.bytes(live), out, memory.stream());
            assertThat(memory.toInts(out))
                .as("%s, %d x %d, R %d", kind, size, width, count)
                .isEqualTo(expected);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void longNeighbourLists(Target target) {
    target.select();
    Samples samples = new Samples(19);
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, 300, 5);
    for (int count : new int[] {1, 299, 300, 1024}) {
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, 300, 5)) {
        MemorySegment out = memory.allocate(4L * 300 * count);
        codebook.neighbours(count, null, out, memory.stream());
        assertThat(memory.toInts(out)).isEqualTo(Reference.neighbours(e, 300, 5, count, null));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void swapOfWorkedNumbers(Target target) {
    target.select();
    // One image of 5 tokens. text minmax: 0, 1, 0.5, 1, 0.25; image minmax: 1, 0, 0.5, 0, 0.75.
    // With weight 1 the two highest are positions 1 and 3; both have code 2, whose only candidate
    // not in the image is 3, as 0 and 1 occur and -1 is none.
    float[] e = {0, 10, 20, 30};
    TokenSwap.Builder swap = TokenSwap.builder(1, 5, 2, 4).textWeight(1).draws(7, 0);
    TokenSwap codeword = swap.write(TokenSwap.Write.CODEWORD).build();
    TokenSwap residual = swap.write(TokenSwap.Write.RESIDUAL).build();
    int[] lists = new int[16];
    Arrays.fill(lists, -1);
    System.arraycopy(new int[] {1, -1, 3, 0}, 0, lists, 8, 4);
    float[] tokens = {1, 21, 11, 19.5f, 2};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 4, 1)) {
      for (TokenSwap params : new TokenSwap[] {codeword, residual}) {
        MemorySegment positions = memory.allocate(8);
        MemorySegment substitutes = memory.allocate(8);
        MemorySegment swapped = memory.allocate(20);
        codebook.swap(
            params,
            SwapInput.of(memory.floats(tokens), memory.ints(0, 2, 1, 2, 0), memory.ints(lists))
                .withSimilarities(memory.floats(-1, 1, 0, 1, -0.5f), memory.floats(4, 0, 2, 0, 3))
                .withSampleIds(memory.longs(42)),
            SwapOutput.of(positions, substitutes, swapped),
            memory.stream());
        assertThat(memory.toInts(positions)).containsExactly(1, 3);
        assertThat(memory.toInts(substitutes)).containsExactly(3, 3);
        assertThat(memory.toFloats(swapped))
            .containsExactly(
                params.write() == TokenSwap.Write.CODEWORD
                    ? new float[] {1, 30, 11, 30, 2}
                    : new float[] {1, 31, 11, 29.5f, 2});
      }
    }
  }

  /** One image, worked by hand, in both directions and with a veto. */
  @ParameterizedTest
  @MethodSource("targets")
  void swapByEvidenceOfWorkedNumbers(Target target) {
    target.select();
    // Codes 0..3 with evidence -1, 2, 0.5, -4. Code 0 gains 3 from code 1; code 2 gains 1.5 from
    // it;
    // code 1 has no better neighbour. The sum is -1 + 0.5 - 1 + 2 = 0.5, and 6.5 with positions 0,
    // 2.
    float[] e = {0, 10, 20, 30};
    double[] evidence = {
      -1, 2, 0.5, -4, /* and so low that 6 do not make up for it */ -9, -6, -7, 0
    };
    int[] lists = {2, 1, 3, -1, 0, 2, -1, 3, 1, 3, 0, -1, 0, 1, 2, -1};
    float[] tokens = {1, 21, 2, 12};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 4, 1)) {
      for (int row = 0; row < 2; row++) {
        for (TokenSwap.Substitute substitute :
            new TokenSwap.Substitute[] {
              TokenSwap.Substitute.MOST_EVIDENCE, TokenSwap.Substitute.LEAST_EVIDENCE
            }) {
          MemorySegment positions = memory.allocate(8);
          MemorySegment substitutes = memory.allocate(8);
          MemorySegment swapped = memory.allocate(16);
          MemorySegment scores = memory.allocate(32);
          MemorySegment mask = memory.allocate(4);
          codebook.swap(
              TokenSwap.builder(1, 4, 2, 4)
                  .choose(TokenSwap.Choose.GAIN)
                  .substitute(substitute)
                  .write(TokenSwap.Write.RESIDUAL)
                  .build(),
              SwapInput.of(memory.floats(tokens), memory.ints(0, 2, 0, 1), memory.ints(lists))
                  .withEvidence(memory.doubles(evidence), 2, memory.ints(row)),
              SwapOutput.of(positions, substitutes, swapped).withScores(scores).withMask(mask),
              memory.stream());
          String what = substitute + ", row " + row;
          assertThat(memory.toInts(positions)).as(what).containsExactly(0, 2);
          if (row == 1) { // 0's neighbour 3 gains 9 twice: -31 + 18 = -13
            assertThat(memory.toDoubles(scores)).as(what).containsExactly(9, 7, 9, 6);
            assertThat(memory.toInts(substitutes)).as(what).containsExactly(-1, -1);
            assertThat(memory.toFloats(swapped)).as(what).containsExactly(tokens);
            assertThat(memory.toBytes(mask)).as(what).containsOnly(0);
            continue;
          }
          assertThat(memory.toDoubles(scores)).as(what).containsExactly(3, 1.5, 3, 0);
          assertThat(memory.toBytes(mask)).as(what).containsExactly(1, 0, 1, 0);
          boolean most = substitute == TokenSwap.Substitute.MOST_EVIDENCE;
          int code = most ? 1 : 3;
          assertThat(memory.toInts(substitutes)).as(what).containsExactly(code, code);
          assertThat(memory.toFloats(swapped))
              .as(what)
              .containsExactly(1 + e[code], 21, 2 + e[code], 12);
        }
      }
    }
  }

  /** Every combination of rules, at sizes that are multiples of nothing. */
  @ParameterizedTest
  @MethodSource("targets")
  void swapOfRandomImages(Target target) {
    target.select();
    Samples samples = new Samples(20);
    int replaced = 0;
    int kept = 0;
    int untouched = 0;
    for (int round = 0; round < 120; round++) {
      int width = WIDTHS[samples.between(0, 20)];
      int size = samples.between(2, 60);
      int images = samples.between(1, 5);
      int count = samples.between(1, 70);
      int chosen = samples.between(1, count);
      int neighbours = samples.between(1, 12);
      int rows = samples.between(0, images);
      TokenSwap params =
          TokenSwap.builder(images, count, chosen, neighbours)
              .choose(List.of(TokenSwap.Choose.values()).get(round % 2))
              .substitute(List.of(TokenSwap.Substitute.values()).get(round / 2 % 3))
              .write(List.of(TokenSwap.Write.values()).get(round / 6 % 2))
              .donors(round / 12 % 2 == 1)
              .textWeight(samples.between(0, 4) / 4.0)
              .draws(samples.seed(), (int) samples.seed())
              .build();
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
      float[] tokens = samples.values(Samples.Kind.MIXED, images * count * width);
      // Few distinct similarities make ties.
      Samples.Kind kind = round % 3 == 0 ? Samples.Kind.GRID : Samples.Kind.GAUSSIAN;
      float[] text = samples.values(kind, images * count);
      float[] image =
          round % 5 == 0 ? new float[images * count] : samples.values(kind, images * count);
      int[] codes = samples.codes(images * count, samples.between(1, size));
      byte[] live = round % 4 == 0 ? samples.live(size) : null;
      int[] lists = Reference.neighbours(e, size, width, neighbours, live);
      long[] ids = samples.ids(images);
      double[][] evidence = new double[rows][];
      Arrays.setAll(evidence, r -> samples.evidence(size));
      int[] evidenceOf = new int[images];
      Arrays.setAll(evidenceOf, b -> samples.between(-1, rows - 1));
      Reference.Swapped expected =
          Reference.swap(
              params,
              e,
              width,
              new Reference.Images(text, image, evidence, evidenceOf, tokens, codes, lists, ids));
      replaced += (int) Arrays.stream(expected.substitutes()).filter(z -> z >= 0).count();
      kept += (int) Arrays.stream(expected.substitutes()).filter(z -> z < 0).count();
      untouched += (int) Arrays.stream(expected.positions()).filter(i -> i < 0).count();
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width)) {
        boolean relevance = params.choose() == TokenSwap.Choose.RELEVANCE;
        double[] flat = Arrays.stream(evidence).flatMapToDouble(Arrays::stream).toArray();
        MemorySegment original = memory.floats(tokens);
        SwapInput in =
            SwapInput.of(original, memory.ints(codes), memory.ints(lists))
                .withSimilarities(
                    relevance ? memory.floats(text) : null, relevance ? memory.floats(image) : null)
                .withEvidence(
                    rows == 0 ? null : memory.doubles(flat),
                    rows,
                    params.byEvidence() ? memory.ints(evidenceOf) : null)
                .withSampleIds(params.byDraws() ? memory.longs(ids) : null);
        checkSwapOfArrays(
            codebook,
            params,
            expected,
            tokens,
            codes,
            lists,
            text,
            image,
            flat,
            rows,
            evidenceOf,
            ids);
        codebook.reserve(0, ElementType.FLOAT32, images, count);
        for (boolean inPlace : new boolean[] {false, true}) {
          if (inPlace && params.donors()) {
            continue;
          }
          MemorySegment positions = memory.allocate(4L * images * chosen);
          MemorySegment substitutes = memory.allocate(4L * images * chosen);
          MemorySegment scores = memory.allocate(8L * images * count);
          MemorySegment mask = memory.allocate((long) images * count);
          MemorySegment swapped = inPlace ? original : memory.allocate(4L * tokens.length);
          SwapOutput out = SwapOutput.of(positions, substitutes, swapped);
          if (round % 7 != 0) {
            out = out.withScores(scores).withMask(mask);
          }
          if (inPlace) {
            try (Verdict verdict = codebook.verdict()) {
              codebook.enqueueSwap(params, in, out, verdict, memory.stream());
              verdict.check();
            }
          } else {
            codebook.swap(params, in, out, memory.stream());
          }
          String what = params + (inPlace ? " in place" : "");
          assertThat(memory.toInts(positions)).as(what).isEqualTo(expected.positions());
          assertThat(memory.toInts(substitutes)).as(what).isEqualTo(expected.substitutes());
          assertThat(memory.toFloats(swapped)).as(what).isEqualTo(expected.tokens());
          if (round % 7 != 0) {
            assertThat(memory.toDoubles(scores)).as(what).isEqualTo(expected.scores());
            assertThat(memory.toBytes(mask)).as(what).isEqualTo(expected.mask());
          }
        }
      }
    }
    assertThat(replaced).as("tokens that were replaced").isGreaterThan(1000);
    assertThat(kept).as("tokens without a substitute").isGreaterThan(300);
    assertThat(untouched).as("tokens that were not chosen").isGreaterThan(200);
  }

  private static void checkSwapOfArrays(
      Codebook codebook,
      TokenSwap params,
      Reference.Swapped expected,
      float[] tokens,
      int[] codes,
      int[] lists,
      float[] text,
      float[] image,
      double[] evidence,
      int rows,
      int[] evidenceOf,
      long[] ids) {
    float[] before = tokens.clone();
    SwapResult found =
        codebook.swap(
            params,
            SwapInput.of(tokens, codes, lists)
                .withSimilarities(text, image)
                .withEvidence(evidence, rows, evidenceOf)
                .withSampleIds(ids));
    assertThat(found.positions()).as("%s", params).isEqualTo(expected.positions());
    assertThat(found.substitutes()).as("%s", params).isEqualTo(expected.substitutes());
    assertThat(found.swapped()).as("%s", params).isEqualTo(expected.tokens());
    assertThat(found.scores()).as("%s", params).isEqualTo(expected.scores());
    for (int i = 0; i < found.mask().length; i++) {
      assertThat(found.mask()[i]).as("%s", params).isEqualTo(expected.mask()[i] != 0);
    }
    assertThat(tokens).isEqualTo(before);
  }

  /** The same truth by Java arrays: lookup, accumulate, apply, update and neighbour lists. */
  @ParameterizedTest
  @MethodSource("targets")
  void javaArraysGiveTheSameBits(Target target) {
    target.select();
    Samples samples = new Samples(31);
    MomentumUpdate update = new MomentumUpdate(0.7, 1e-5, 0.9);
    for (int width : new int[] {1, 5, 16, 65}) {
      int size = samples.between(2, 40);
      int rows = samples.between(1, 50);
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
      float[] x = samples.rows(Samples.Kind.GAUSSIAN, rows, e, size, width);
      Reference.State state = new Reference.State(e, size, width);
      try (TestMemory memory = memory(target);
          Codebook codebook = codebook(target, memory, e, size, width)) {
        float[] distances = new float[rows];
        int[] codes = codebook.lookup(x, distances);
        for (int i = 0; i < rows; i++) {
          assertThat(codes[i]).isEqualTo(Reference.nearest(x, i, e, size, width));
          assertThat(distances[i]).isEqualTo((float) Reference.distance(x, i, e, codes[i], width));
        }
        boolean[] live = new boolean[size];
        byte[] flags = samples.live(size);
        for (int j = 0; j < size; j++) {
          live[j] = flags[j] != 0;
        }
        assertThat(codebook.neighbours(3, live))
            .isEqualTo(Reference.neighbours(e, size, width, 3, flags));
        assertThat(codebook.neighbours(2, null))
            .isEqualTo(Reference.neighbours(e, size, width, 2, null));

        double[] counts = new double[size];
        double[] sums = new double[size * width];
        Arrays.fill(counts, 0.25);
        double[] expectedCounts = counts.clone();
        double[] expectedSums = sums.clone();
        codebook.accumulate(x, codes, counts, sums);
        Reference.accumulate(x, width, codes, expectedCounts, expectedSums);
        assertThat(counts).isEqualTo(expectedCounts);
        assertThat(sums).isEqualTo(expectedSums);
        codebook.apply(counts, sums, update);
        state.apply(expectedCounts, expectedSums, update);
        assertThat(codebook.state()).isEqualTo(state.toState());

        codebook.update(x, codes, update);
        double[] batchCounts = new double[size];
        double[] batchSums = new double[size * width];
        Reference.accumulate(x, width, codes, batchCounts, batchSums);
        state.apply(batchCounts, batchSums, update);
        assertThat(codebook.state()).isEqualTo(state.toState());

        assertThat(codebook.lookup(new float[0], new float[0])).isEmpty();
        codebook.accumulate(new float[0], new int[0], counts, sums);
        codebook.update(new float[0], new int[0], update);
        state.apply(new double[size], new double[size * width], update);
        assertThat(codebook.state()).isEqualTo(state.toState());
      }
    }
  }

  /** What a refused call was to write stays as it was. */
  @ParameterizedTest
  @MethodSource("targets")
  void refusedJavaArraysAreLeftAlone(Target target) {
    target.select();
    MomentumUpdate update = new MomentumUpdate(0.5, 1e-5, 0);
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2, 3, 4}, 2, 2)) {
      CodebookState before = codebook.state();
      float[] bad = {1, 2, 3, Float.NaN};
      float[] distances = {77, 77};
      double[] counts = {7, 7};
      double[] sums = {7, 7, 7, 7};
      assertBadRow(1, () -> codebook.lookup(bad, distances));
      assertBadRow(1, () -> codebook.accumulate(bad, new int[] {0, 1}, counts, sums));
      assertBadRow(1, () -> codebook.update(bad, new int[] {0, 1}, update));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> codebook.accumulate(new float[] {1, 2}, new int[] {2}, counts, sums))
          .withMessageContaining("2");
      double[] huge = {1e300, 1e300, 1e300, 1e300};
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook.apply(counts, huge, update));
      assertThat(distances).containsOnly(77);
      assertThat(counts).containsOnly(7);
      assertThat(sums).containsOnly(7);
      assertThat(codebook.state()).isEqualTo(before);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void swapRefusesBadInputAndWritesNothing(Target target) {
    target.select();
    TokenSwap params = TokenSwap.builder(2, 2, 1, 2).draws(1, 2).build();
    float[] fine = {1, 2, 3, 4};
    int[] codes = {0, 1, 2, 0};
    int[] lists = {1, 2, 0, 2, 1, -1};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2, 3}, 3, 1)) {
      float[] nan = {1, 2, Float.NaN, 4};
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> swap(codebook, memory, params, nan, fine, codes, lists))
          .satisfies(e -> assertThat(e.row()).isEqualTo(1));
      float[] infinite = {1, Float.NEGATIVE_INFINITY, 3, 4};
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> swap(codebook, memory, params, fine, infinite, codes, lists))
          .satisfies(e -> assertThat(e.row()).isZero());
      int[] badCodes = {0, 1, 3, 0};
      assertThatIllegalArgumentException()
          .isThrownBy(() -> swap(codebook, memory, params, fine, fine, badCodes, lists))
          .withMessageContaining("code of image 1, token 0");
      for (int bad : new int[] {-2, 3}) {
        int[] badLists = {1, 2, 0, 2, 1, bad};
        assertThatIllegalArgumentException()
            .isThrownBy(() -> swap(codebook, memory, params, fine, fine, codes, badLists))
            .withMessageMatching(".*neighbour(_l|L)ists\\[2\\]\\[1\\].*");
      }
      swap(codebook, memory, params, fine, fine, codes, lists);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void swapByEvidenceRefusesBadInputAndWritesNothing(Target target) {
    target.select();
    TokenSwap params =
        TokenSwap.builder(2, 1, 1, 1)
            .choose(TokenSwap.Choose.GAIN)
            .substitute(TokenSwap.Substitute.MOST_EVIDENCE)
            .build();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2}, 2, 1);
        Verdict verdict = codebook.verdict()) {
      MemorySegment positions = memory.ints(77, 77);
      MemorySegment swapped = memory.floats(77, 77);
      SwapOutput out = SwapOutput.of(positions, memory.allocate(8), swapped);
      SwapInput in = SwapInput.of(memory.floats(1, 2), memory.ints(0, 1), memory.ints(1, 0));
      codebook.reserve(0, ElementType.FLOAT32, 2, 1);
      // Row 1 of evidence is bad, and the second image has it; nobody has row 2.
      MemorySegment evidence = memory.doubles(1, 2, 3, Double.NaN, Double.NaN, 4);
      for (int image : new int[] {0, 1}) {
        SwapInput bad = in.withEvidence(evidence, 3, memory.ints(image == 0 ? 1 : 0, 1));
        assertThatExceptionOfType(NonFiniteInputException.class)
            .isThrownBy(() -> codebook.swap(params, bad, out, memory.stream()))
            .withMessageContaining("evidence of image " + image)
            .satisfies(e -> assertThat(e.row()).isEqualTo(image));
        codebook.enqueueSwap(params, bad, out, verdict, memory.stream());
        assertThatExceptionOfType(NonFiniteInputException.class)
            .isThrownBy(verdict::check)
            .satisfies(e -> assertThat(e.row()).isEqualTo(image));
      }
      for (int row : new int[] {-2, 3}) {
        SwapInput bad = in.withEvidence(evidence, 3, memory.ints(0, row));
        assertThatIllegalArgumentException()
            .isThrownBy(() -> codebook.swap(params, bad, out, memory.stream()))
            .withMessageMatching(".*evidence(_o|O)f\\[1\\] is " + row + ".*");
        codebook.enqueueSwap(params, bad, out, verdict, memory.stream());
        assertThatIllegalArgumentException()
            .isThrownBy(verdict::check)
            .withMessageContaining("out of range");
      }
      assertThat(memory.toInts(positions)).containsOnly(77);
      assertThat(memory.toFloats(swapped)).containsOnly(77);
      codebook.swap(params, in.withEvidence(evidence, 3, memory.ints(0, -1)), out, memory.stream());
      assertThat(memory.toInts(positions)).containsExactly(0, -1);
    }
  }

  private static void swap(
      Codebook codebook,
      TestMemory memory,
      TokenSwap params,
      float[] text,
      float[] image,
      int[] codes,
      int[] lists) {
    MemorySegment positions = memory.ints(77, 77);
    MemorySegment substitutes = memory.ints(77, 77);
    MemorySegment swapped = memory.floats(77, 77, 77, 77);
    try {
      codebook.swap(
          params,
          SwapInput.of(memory.floats(1, 2, 3, 4), memory.ints(codes), memory.ints(lists))
              .withSimilarities(memory.floats(text), memory.floats(image))
              .withSampleIds(memory.longs(1, 2)),
          SwapOutput.of(positions, substitutes, swapped),
          memory.stream());
    } catch (IllegalArgumentException e) {
      assertThat(memory.toInts(positions)).containsOnly(77);
      assertThat(memory.toInts(substitutes)).containsOnly(77);
      assertThat(memory.toFloats(swapped)).containsOnly(77);
      throw e;
    }
    assertThat(memory.toInts(positions)).doesNotContain(77);
  }

  @ParameterizedTest
  @MethodSource("targets")
  void restartResetsACode(Target target) {
    target.select();
    float[] e = {1, 2, 3, 4, 5, 6};
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 3, 2)) {
      MemorySegment sums = memory.doubles(9, 9, 9, 9, 9, 9);
      codebook.apply(
          memory.doubles(1, 0, 0), sums, new MomentumUpdate(0.5, 1e-5, 0.9), memory.stream());
      CodebookState before = codebook.state();
      codebook.restart(new int[] {2, 0, 2}, new float[] {7, 7, 8, 9, -1, -2});
      CodebookState after = codebook.state();
      float[] old = before.codewords();
      assertThat(after.codewords()).containsExactly(8, 9, old[2], old[3], -1, -2);
      assertThat(after.m()).containsExactly(8, 9, before.m()[2], before.m()[3], -1, -2);
      assertThat(after.n()).containsExactly(1, before.n()[1], 1);
      assertThat(after.deadSteps()).containsExactly(0, 1, 0);
      assertThat(codebook.lookup(new float[] {-1, -2.5f, 8, 8.5f})).containsExactly(2, 0);

      codebook.restart(new int[0], new float[0]);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> codebook.restart(new int[] {3}, new float[2]))
          .withMessageContaining("codes[0] is 3");
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(() -> codebook.restart(new int[] {0, 1}, new float[] {1, 1, 1, Float.NaN}))
          .satisfies(x -> assertThat(x.row()).isEqualTo(1));
      assertThat(codebook.state()).isEqualTo(after);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void stateGoesOutAndBack(Target target) {
    target.select();
    Samples samples = new Samples(21);
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, 13, 9);
    CodebookState other =
        new CodebookState(
            samples.values(Samples.Kind.MIXED, 13 * 9),
            new double[] {0, 1e-300, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1e300},
            samples.values(Samples.Kind.DENORMAL, 13 * 9),
            samples.codes(13, 1000));
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 13, 9)) {
      assertThat(codebook.state()).isEqualTo(new Reference.State(e, 13, 9).toState());
      codebook.restore(other);
      assertThat(codebook.state()).isEqualTo(other);
      float[] x = samples.rows(Samples.Kind.MIXED, 20, other.codewords(), 13, 9);
      int[] nearest = new int[20];
      Arrays.setAll(nearest, i -> Reference.nearest(x, i, other.codewords(), 13, 9));
      assertThat(codebook.lookup(x)).as("lookup after restore").isEqualTo(nearest);

      double[] negative = other.n().clone();
      negative[3] = -1;
      assertThatIllegalArgumentException()
          .isThrownBy(
              () ->
                  codebook.restore(
                      new CodebookState(other.codewords(), negative, other.m(), other.deadSteps())))
          .withMessageContaining("codeword 3");
      float[] nan = other.m().clone();
      nan[40] = Float.NaN;
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(
              () ->
                  codebook.restore(
                      new CodebookState(other.codewords(), other.n(), nan, other.deadSteps())))
          .satisfies(f -> assertThat(f.row()).isEqualTo(4));
      assertThatIllegalArgumentException()
          .isThrownBy(
              () ->
                  codebook.restore(
                      new CodebookState(new float[9], new double[1], new float[9], new int[1])))
          .withMessageContaining("13");
      assertThat(codebook.state()).isEqualTo(other);
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void nothingToDoIsFine(Target target) {
    target.select();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2}, 2, 1)) {
      MemorySegment none = memory.allocate(0);
      MemorySegment counts = memory.doubles(3, 4);
      MemorySegment sums = memory.doubles(5, 6);
      codebook.lookup(Rows.of(none, 0, 1), none, none, memory.stream());
      codebook.accumulate(Rows.of(none, 0, 1), none, counts, sums, memory.stream());
      assertThat(codebook.lookup(new float[0])).isEmpty();
      assertThat(memory.toDoubles(counts)).containsExactly(3, 4);
      assertThat(memory.toDoubles(sums)).containsExactly(5, 6);
      MemorySegment lists = memory.ints(-1, -1);
      codebook.swap(
          TokenSwap.builder(0, 4, 1, 1).build(),
          SwapInput.of(none, none, lists).withSimilarities(none, none).withSampleIds(none),
          SwapOutput.of(none, none, none),
          memory.stream());
    }
  }

  /** The bits of the calls that wait, and their exceptions. */
  @ParameterizedTest
  @MethodSource("targets")
  void enqueuedCallsDoWhatTheOthersDo(Target target) {
    target.select();
    Samples samples = new Samples(31);
    for (int round = 0; round < 12; round++) {
      int width = samples.between(1, 40);
      int size = samples.between(2, 50);
      int rows = samples.between(2, 60);
      float[] e = samples.codewords(Samples.Kind.GAUSSIAN, size, width);
      float[] x = samples.rows(Samples.Kind.CLUSTERED, rows, e, size, width);
      int[] codes = samples.codes(rows, size);
      int bad = samples.between(0, rows - 1);
      MomentumUpdate update = new MomentumUpdate(0.5, 1e-5, 0.5);
      try (TestMemory memory = memory(target);
          Codebook waiting = codebook(target, memory, e, size, width);
          Codebook codebook = codebook(target, memory, e, size, width);
          Verdict verdict = codebook.verdict()) {
        codebook.reserve(rows, ElementType.FLOAT32, 0, 0);
        Rows input = Rows.of(memory.floats(x), rows, width);
        MemorySegment z = memory.ints(codes);
        MemorySegment indices = memory.allocate(4L * rows);
        MemorySegment expected = memory.allocate(4L * rows);
        waiting.lookup(input, expected, null, memory.stream());
        codebook.enqueueLookup(input, indices, null, verdict, memory.stream());
        verdict.check();
        assertThat(memory.toInts(indices)).isEqualTo(memory.toInts(expected));
        waiting.update(input, z, update, memory.stream());
        codebook.enqueueUpdate(input, z, update, verdict, memory.stream());
        verdict.check();
        CodebookState state = codebook.state();
        assertThat(state).isEqualTo(waiting.state());

        x[bad * width] = Float.NaN;
        Rows broken = Rows.of(memory.floats(x), rows, width);
        codebook.enqueueLookup(broken, indices, null, verdict, memory.stream());
        assertBadRow(bad, verdict::check);
        codebook.enqueueUpdate(broken, z, update, verdict, memory.stream());
        assertBadRow(bad, verdict::check);
        codes[bad] = size;
        codebook.enqueueUpdate(input, memory.ints(codes), update, verdict, memory.stream());
        assertThatIllegalArgumentException()
            .isThrownBy(verdict::check)
            .withMessageContaining("out of range in row " + bad);
        MomentumUpdate forgetting = new MomentumUpdate(0, 1e-30, 0);
        float[] huge = new float[rows * width];
        Arrays.fill(huge, Float.MAX_VALUE);
        codebook.enqueueUpdate(
            Rows.of(memory.floats(huge), rows, width),
            memory.ints(new int[rows]),
            forgetting,
            verdict,
            memory.stream());
        try {
          verdict.check();
          codebook.restore(state);
        } catch (NonFiniteInputException failed) {
          assertThat(failed.row()).isEqualTo(-1);
        }
        assertThat(codebook.state()).isEqualTo(state);
        codebook.enqueueLookup(
            Rows.of(memory.allocate(0), 0, width), memory.allocate(0), null, verdict, 0);
        verdict.check();
      }
    }
  }

  @ParameterizedTest
  @MethodSource("targets")
  void viewsFollowEveryChange(Target target) {
    target.select();
    Samples samples = new Samples(32);
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, 19, 7);
    MemorySegment view;
    try (TestMemory memory = memory(target)) {
      try (Codebook codebook = codebook(target, memory, e, 19, 7)) {
        MomentumUpdate update = new MomentumUpdate(0.5, 1e-5, 0.9);
        codebook.apply(
            memory.doubles(new double[19]), memory.doubles(new double[19 * 7]), update, 0);
        codebook.reserve(5, ElementType.FLOAT32, 0, 0);
        view = codebook.codewordsView();
        assertThat(view.byteSize()).isEqualTo(19 * 7 * 4);
        assertThat(view.isReadOnly()).isTrue();
        assertViews(memory, codebook, view);
        Rows rows = Rows.of(memory.floats(samples.values(Samples.Kind.GAUSSIAN, 35)), 5, 7);
        for (int round = 0; round < 3; round++) {
          codebook.update(rows, memory.ints(samples.codes(5, 19)), update, memory.stream());
          assertViews(memory, codebook, view);
        }
        assertThatIllegalArgumentException()
            .isThrownBy(
                () -> codebook.update(rows, memory.ints(0, 1, 2, 3, 19), update, memory.stream()));
        assertViews(memory, codebook, view);
        codebook.apply(
            memory.doubles(new double[19]),
            memory.doubles(new double[19 * 7]),
            update,
            memory.stream());
        assertViews(memory, codebook, view);
        CodebookState kept = codebook.state();
        codebook.restart(new int[] {3}, new float[] {1, 2, 3, 4, 5, 6, 7});
        assertViews(memory, codebook, view);
        codebook.restore(kept);
        assertViews(memory, codebook, view);
        codebook.reserve(50, ElementType.FLOAT16, 4, 9);
        assertViews(memory, codebook, view);
      }
      assertThat(view.scope().isAlive()).isFalse();
    }
  }

  private static void assertViews(TestMemory memory, Codebook codebook, MemorySegment codewords) {
    CodebookState state = codebook.state();
    assertThat(codebook.codewordsView().address()).isEqualTo(codewords.address());
    assertThat(memory.toFloats(codewords)).isEqualTo(state.codewords());
    assertThat(memory.toDoubles(codebook.nView())).isEqualTo(state.n());
    assertThat(memory.toInts(codebook.deadStepsView())).isEqualTo(state.deadSteps());
  }

  @ParameterizedTest
  @MethodSource("targets")
  void callsAreCounted(Target target) {
    target.select();
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, new float[] {1, 2, 3, 4}, 2, 2)) {
      assertThat(codebook.calls())
          .isEqualTo(new Codebook.Calls(target.backend(), 0, 0, 0, 0, 0, 0));
      Rows x = Rows.of(memory.floats(1, 2), 1, 2);
      MemorySegment codes = memory.ints(0);
      MemorySegment counts = memory.doubles(1, 1);
      MemorySegment sums = memory.doubles(1, 1, 1, 1);
      MemorySegment lists = memory.allocate(8);
      MomentumUpdate update = new MomentumUpdate(0.5, 1e-5, 0);
      codebook.lookup(x, memory.allocate(4), null, memory.stream());
      codebook.lookup(new float[] {1, 2});
      codebook.lookupWithStats(x, memory.allocate(4), null, memory.stream());
      codebook.accumulate(x, codes, counts, sums, memory.stream());
      codebook.apply(counts, sums, update, memory.stream());
      codebook.update(x, codes, update, memory.stream());
      codebook.neighbours(1, null, lists, memory.stream());
      codebook.swap(
          TokenSwap.builder(1, 1, 1, 1).build(),
          SwapInput.of(x.segment(), codes, lists)
              .withSimilarities(memory.floats(1), memory.floats(1))
              .withSampleIds(memory.longs(1)),
          SwapOutput.of(memory.allocate(4), memory.allocate(4), memory.allocate(8)),
          memory.stream());
      codebook.state();
      assertBadRow(0, () -> codebook.lookup(new float[] {1, Float.NaN}));
      Codebook.Calls calls = codebook.calls();
      assertThat(calls).isEqualTo(new Codebook.Calls(target.backend(), 3, 1, 2, 1, 1, 1));
      codebook.close();
      assertThat(codebook.calls()).isEqualTo(calls);
    }
  }

  /** A draw must not depend on anything but its arguments, and must spread evenly. */
  @ParameterizedTest
  @MethodSource("targets")
  void substitutesAreDrawnEvenly(Target target) {
    target.select();
    int images = 4000;
    int neighbours = 8;
    TokenSwap params = TokenSwap.builder(images, 1, 1, neighbours).draws(99, 3).build();
    float[] e = new float[9];
    int[] lists = new int[9 * neighbours];
    for (int r = 0; r < neighbours; r++) {
      lists[r] = r + 1;
    }
    long[] ids = new long[images];
    Arrays.setAll(ids, i -> i);
    int[] hits = new int[9];
    try (TestMemory memory = memory(target);
        Codebook codebook = codebook(target, memory, e, 9, 1)) {
      MemorySegment substitutes = memory.allocate(4L * images);
      codebook.swap(
          params,
          SwapInput.of(
                  memory.floats(new float[images]),
                  memory.ints(new int[images]),
                  memory.ints(lists))
              .withSimilarities(memory.floats(new float[images]), memory.floats(new float[images]))
              .withSampleIds(memory.longs(ids)),
          SwapOutput.of(memory.allocate(4L * images), substitutes, memory.allocate(4L * images)),
          memory.stream());
      for (int z : memory.toInts(substitutes)) {
        hits[z]++;
      }
    }
    for (int r = 1; r <= neighbours; r++) {
      // 500 expected, standard deviation 21.
      assertThat(hits[r]).isCloseTo(500, within(105));
    }
  }
}
