package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KMeansTest {
  /** Lloyd's algorithm as it is described, row by row. */
  private static KMeans lloyd(float[] rows, int width, float[] start, int mostIterations) {
    int count = rows.length / width;
    int k = start.length / width;
    float[] codewords = start.clone();
    int[] before = null;
    boolean filled = false;
    for (int iteration = 0; ; iteration++) {
      int[] codes = new int[count];
      float[] distances = new float[count];
      double inertia = 0;
      for (int i = 0; i < count; i++) {
        double best = Double.POSITIVE_INFINITY;
        for (int j = 0; j < k; j++) {
          double distance = Reference.distance(rows, i, codewords, j, width);
          if (distance < best) {
            best = distance;
            codes[i] = j;
          }
        }
        distances[i] = (float) best;
        inertia += distances[i];
      }
      boolean converged = !filled && Arrays.equals(codes, before);
      if (converged || iteration == mostIterations) {
        return new KMeans(codewords, codes, inertia, iteration, converged);
      }
      before = codes;
      List<Integer> empty = new ArrayList<>();
      for (int j = 0; j < k; j++) {
        double[] sum = new double[width];
        int n = 0;
        for (int i = 0; i < count; i++) {
          if (codes[i] == j) {
            n++;
            for (int t = 0; t < width; t++) {
              sum[t] += rows[i * width + t];
            }
          }
        }
        if (n == 0) {
          empty.add(j);
        }
        for (int t = 0; n > 0 && t < width; t++) {
          codewords[j * width + t] = (float) (sum[t] / n);
        }
      }
      filled = false;
      Set<Integer> taken = new HashSet<>();
      for (int j : empty) {
        int farthest = -1;
        for (int i = 0; i < count; i++) {
          if (!taken.contains(i) && distances[i] > (farthest < 0 ? 0 : distances[farthest])) {
            farthest = i;
          }
        }
        if (farthest >= 0) {
          taken.add(farthest);
          System.arraycopy(rows, farthest * width, codewords, j * width, width);
          filled = true;
        }
      }
    }
  }

  private static void assertSame(KMeans fit, KMeans expected) {
    assertThat(fit.codewords()).containsExactly(expected.codewords());
    assertThat(fit.codes()).containsExactly(expected.codes());
    assertThat(fit.inertia()).isEqualTo(expected.inertia());
    assertThat(fit.iterations()).isEqualTo(expected.iterations());
    assertThat(fit.converged()).isEqualTo(expected.converged());
  }

  private static float[] random(long seed, int count, int width, int values) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] rows = new float[count * width];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = values == 0 ? (float) random.nextGaussian() : random.nextInt(values);
    }
    return rows;
  }

  /**
   * Bit for bit, on every host backend, in one or several threads; of few values many rows are
   * equal, and codewords lose all of theirs.
   */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 0, 9",
    "50, 3, 4, 0, 100",
    "200, 16, 33, 0, 7",
    "300, 2, 40, 3, 100",
    "90, 1, 30, 5, 100",
    "400, 8, 3, 0, 0",
    "64, 5, 64, 2, 100"
  })
  void isLloydsAlgorithm(int count, int width, int k, int values, int most) {
    float[] rows = random(count, count, width, values);
    float[] start = Arrays.copyOf(rows, k * width);
    // Far from all rows: a codeword that has none from the beginning.
    Arrays.fill(start, 0, width, k > 1 ? 50 : 0);
    KMeans expected = lloyd(rows, width, start, most);
    int threads = Kernels.threads();
    try (Arena arena = Arena.ofShared()) {
      Rows given = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, rows), count, width);
      for (Backend backend : List.of(Backend.JAVA, Backend.CPU)) {
        for (int n = 1; n <= 3 && Kernels.isAvailable(backend); n += 2) {
          Kernels.setThreads(n);
          assertSame(KMeans.refine(backend, given, start, width, most), expected);
        }
      }
    } finally {
      Kernels.setThreads(threads);
    }
  }

  @Test
  void findsWhatItShouldByHand() {
    KMeans fit = KMeans.fit(new float[] {0, 11, 1, 10}, 1, 2);
    float[] sorted = fit.codewords().clone();
    Arrays.sort(sorted);
    assertThat(sorted).containsExactly(0.5f, 10.5f);
    assertThat(fit.codes()[0]).isEqualTo(fit.codes()[2]).isNotEqualTo(fit.codes()[1]);
    assertThat(fit.codes()[1]).isEqualTo(fit.codes()[3]);
    assertThat(fit.inertia()).isEqualTo(4 * 0.25);
    assertThat(fit.converged()).isTrue();
  }

  /**
   * The codeword far off first moves to the zeros, where one is already, and then to a row of use.
   */
  @Test
  void noCodewordIsLeftOverWhereItCouldHelp() {
    try (Arena arena = Arena.ofShared()) {
      Rows rows = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0, 0, 20, 22), 4, 1);
      KMeans fit = KMeans.refine(rows, new float[] {3, 21, 1000}, 1, 100);
      assertThat(fit.codewords()).containsExactly(0, 22, 20);
      assertThat(fit.inertia()).isZero();
    }
  }

  @Test
  void moreIterationsNeverFitWorse() {
    float[] rows = random(3, 500, 6, 0);
    try (Arena arena = Arena.ofShared()) {
      Rows given = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, rows), 500, 6);
      double before = Double.POSITIVE_INFINITY;
      for (int most = 0; most < 8; most++) {
        KMeans fit = KMeans.fit(given, 6, 20, 7, most);
        assertThat(fit.iterations()).isEqualTo(most);
        assertSame(fit, KMeans.fit(rows, 6, 20, 7, most));
        assertThat(fit.inertia()).isLessThan(before);
        before = fit.inertia();
      }
    }
  }

  /** Narrow rows with gaps between them are the rows that they widen to. */
  @ParameterizedTest
  @CsvSource({"BFLOAT16", "FLOAT16"})
  void rowsMayBeNarrowAndApart(ElementType type) {
    int count = 60;
    float[] rows = random(5, count, 2, 9);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment narrow = arena.allocate(count * 3L * Short.BYTES, 64);
      for (int i = 0; i < count * 2; i++) {
        narrow.setAtIndex(
            ValueLayout.JAVA_SHORT,
            i / 2 * 3L + i % 2,
            type == ElementType.FLOAT16
                ? Float.floatToFloat16(rows[i])
                : (short) (Float.floatToIntBits(rows[i]) >>> 16));
      }
      KMeans fit = KMeans.fit(new Rows(narrow, type, count, 3), 2, 5, 0, 100);
      assertSame(fit, KMeans.fit(rows, 2, 5));
    }
  }

  /**
   * Distances taken anew from all codewords so far. Of wide rows most sums are left early; of rows
   * in clusters most are not taken at all.
   */
  @ParameterizedTest
  @CsvSource({
    "80, 1, 9, 0",
    "700, 5, 20, 0",
    "600, 200, 12, 0",
    "900, 7, 30, 12",
    "800, 2, 40, 25"
  })
  void eachNextRowIsDrawnByItsDistanceToTheNearest(int count, int width, int k, int clusters) {
    float[] rows = random(width, count, width, 0);
    float[] centers = random(clusters, clusters, width, 0);
    for (int i = 0; clusters > 0 && i < rows.length; i++) {
      rows[i] += 30 * centers[i / width % clusters * width + i % width];
    }
    List<Integer> chosen = new ArrayList<>();
    chosen.add(Kernels.uniform(Kernels.draw(5, 0, 0, 0), count));
    while (chosen.size() < k) {
      double[] nearest =
          IntStream.range(0, count)
              .mapToDouble(
                  i ->
                      chosen.stream()
                          .mapToDouble(c -> Reference.distance(rows, i, rows, c, width))
                          .min()
                          .orElseThrow())
              .toArray();
      double total = 0;
      for (double distance : nearest) {
        total += distance;
      }
      double left = (Kernels.draw(5, 0, 0, chosen.size()) >>> 11) * 0x1.0p-53 * total;
      int next = 0;
      while (left >= nearest[next]) {
        left -= nearest[next++];
      }
      chosen.add(next);
    }
    int threads = Kernels.threads();
    try (Arena arena = Arena.ofShared()) {
      Rows given = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, rows), count, width);
      for (int n = 1; n <= 3; n += 2) {
        Kernels.setThreads(n);
        float[] start = KMeans.start(given, width, k, 5);
        for (int j = 0; j < k; j++) {
          int at = chosen.get(j) * width;
          assertThat(Arrays.copyOfRange(start, j * width, (j + 1) * width))
              .containsExactly(Arrays.copyOfRange(rows, at, at + width));
        }
      }
    } finally {
      Kernels.setThreads(threads);
    }
  }

  @Test
  void startsFromRowsInProportionToTheirDistance() {
    float[] rows = {0, 1, 3};
    int far = 0;
    int first = 0;
    try (Arena arena = Arena.ofShared()) {
      Rows given = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, rows), 3, 1);
      for (int seed = 0; seed < 3000; seed++) {
        float[] start = KMeans.start(given, 1, 2, seed);
        assertThat(start).isEqualTo(KMeans.start(given, 1, 2, seed)).doesNotHaveDuplicates();
        if (start[0] == 0) {
          first++;
          far += start[1] == 3 ? 1 : 0;
        }
      }
    }
    // The first is any of the three; after 0, of 1 and 9 parts nine. Five standard deviations.
    assertThat(first / 3000.0).isCloseTo(1 / 3.0, within(0.045));
    assertThat((double) far / first).isCloseTo(0.9, within(0.05));
  }

  @Test
  void equalRowsMayAllBeCodewords() {
    KMeans fit = KMeans.fit(new float[12], 2, 4);
    assertThat(fit.codewords()).containsOnly(0);
    assertThat(fit.codes()).containsOnly(0);
    assertThat(fit.inertia()).isZero();
    assertThat(fit.converged()).isTrue();
  }

  @Test
  void badInputIsNamed() {
    assertThatThrownBy(() -> KMeans.fit(new float[6], 2, 4))
        .hasMessageContaining("3 rows for 4 codewords; there must be at least as many");
    assertThatThrownBy(() -> KMeans.fit(new float[7], 2, 2))
        .hasMessageContaining("rows holds 7 floats, which is no multiple of the width 2");
    assertThatThrownBy(() -> KMeans.fit(new float[6], 2, 0)).hasMessageContaining("k is 0");
    for (int bad = 0; bad < 5; bad++) {
      float[] rows = new float[10];
      rows[2 * bad + 1] = Float.NaN;
      int row = bad;
      for (int k = 1; k <= 3; k++) {
        int size = k;
        assertThatThrownBy(() -> KMeans.fit(rows, 2, size))
            .isInstanceOfSatisfying(
                NonFiniteInputException.class, e -> assertThat(e.row()).isEqualTo(row));
      }
    }
    try (Arena arena = Arena.ofShared()) {
      Rows given = Rows.of(arena.allocate(40, 64), 5, 2);
      assertThatThrownBy(() -> KMeans.refine(given, new float[3], 2, 1))
          .hasMessageContaining("start holds 3 floats");
      assertThatThrownBy(() -> KMeans.refine(given, new float[4], 2, -1))
          .hasMessageContaining("mostIterations is -1");
    }
  }
}
