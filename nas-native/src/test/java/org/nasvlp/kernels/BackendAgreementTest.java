package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** A few training steps at real widths give the same bits in native code and in plain Java. */
class BackendAgreementTest {
  private static final int SIZE = 512;
  private static final int WIDTH = 192;
  private static final int IMAGES = 4;
  private static final int TOKENS = 64;
  private static final int CHOSEN = 10;
  private static final int NEIGHBOURS = 33;

  @Test
  void nativeAndJavaGiveTheSameBits() {
    assumeTrue(Kernels.isAvailable(Backend.CPU), () -> Kernels.unavailableReason(Backend.CPU));
    List<Object> expected = steps(Backend.JAVA);
    CpuTier before = Kernels.tier();
    try {
      for (CpuTier tier : Kernels.tiers()) {
        Kernels.setTier(tier);
        List<Object> found = steps(Backend.CPU);
        assertThat(found).hasSameSizeAs(expected);
        for (int i = 0; i < found.size(); i++) {
          assertThat(Objects.deepEquals(found.get(i), expected.get(i)))
              .as("%s, array %d of all steps", tier, i)
              .isTrue();
        }
      }
    } finally {
      Kernels.setTier(before);
    }
  }

  private static List<Object> steps(Backend backend) {
    Samples samples = new Samples(41);
    List<Object> seen = new ArrayList<>();
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, SIZE, WIDTH);
    int rows = IMAGES * TOKENS;
    try (Arena arena = Arena.ofConfined();
        Codebook codebook =
            Codebook.create(backend, arena.allocateFrom(JAVA_FLOAT, e), SIZE, WIDTH)) {
      MemorySegment indices = arena.allocate(JAVA_INT, rows);
      MemorySegment distances = arena.allocate(JAVA_FLOAT, rows);
      MemorySegment counts = arena.allocate(JAVA_DOUBLE, SIZE);
      MemorySegment sums = arena.allocate(JAVA_DOUBLE, SIZE * WIDTH);
      MemorySegment lists = arena.allocate(JAVA_INT, SIZE * NEIGHBOURS);
      MemorySegment positions = arena.allocate(JAVA_INT, IMAGES * CHOSEN);
      MemorySegment substitutes = arena.allocate(JAVA_INT, IMAGES * CHOSEN);
      MemorySegment swapped = arena.allocate(JAVA_FLOAT, (long) rows * WIDTH);
      MemorySegment scores = arena.allocate(JAVA_DOUBLE, rows);
      MemorySegment mask = arena.allocate(rows);
      for (int step = 0; step < 3; step++) {
        float[] values = samples.rows(Samples.Kind.CLUSTERED, rows, e, SIZE, WIDTH);
        MemorySegment x = arena.allocateFrom(JAVA_FLOAT, values);
        codebook.lookup(Rows.of(x, rows, WIDTH), indices, distances, 0);
        codebook.neighbours(NEIGHBOURS, null, lists, 0);
        codebook.swap(
            TokenSwap.builder(IMAGES, TOKENS, CHOSEN, NEIGHBOURS)
                .choose(step == 1 ? TokenSwap.Choose.GAIN : TokenSwap.Choose.RELEVANCE)
                .substitute(
                    switch (step) {
                      case 0 -> TokenSwap.Substitute.DRAW;
                      case 1 -> TokenSwap.Substitute.MOST_EVIDENCE;
                      default -> TokenSwap.Substitute.LEAST_EVIDENCE;
                    })
                .write(TokenSwap.Write.RESIDUAL)
                .donors(step == 2)
                .draws(9, step)
                .build(),
            SwapInput.of(x, indices, lists)
                .withSimilarities(
                    arena.allocateFrom(JAVA_FLOAT, samples.values(Samples.Kind.GAUSSIAN, rows)),
                    arena.allocateFrom(JAVA_FLOAT, samples.values(Samples.Kind.GAUSSIAN, rows)))
                .withEvidence(
                    arena.allocateFrom(JAVA_DOUBLE, samples.evidence(2 * SIZE)),
                    2,
                    arena.allocateFrom(JAVA_INT, 1, 0, -1, 1))
                .withSampleIds(arena.allocateFrom(JAVA_LONG, samples.ids(IMAGES))),
            SwapOutput.of(positions, substitutes, swapped).withScores(scores).withMask(mask),
            0);
        codebook.accumulate(Rows.of(x, rows, WIDTH), indices, counts, sums, 0);
        codebook.update(Rows.of(x, rows, WIDTH), indices, new MomentumUpdate(0.99, 1e-5, 0.01), 0);
        // The rows as bfloat16; as float16 the same bits are just some numbers.
        MemorySegment narrow = arena.allocate(JAVA_SHORT, (long) rows * WIDTH);
        for (int i = 0; i < values.length; i++) {
          narrow.setAtIndex(JAVA_SHORT, i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
        }
        MomentumUpdate halves = new MomentumUpdate(0.9, 1e-5, 0.01);
        codebook.update(new Rows(narrow, ElementType.BFLOAT16, rows, WIDTH), indices, halves, 0);
        codebook.update(new Rows(narrow, ElementType.FLOAT16, rows, WIDTH), indices, halves, 0);
        seen.add(indices.toArray(JAVA_INT));
        seen.add(distances.toArray(JAVA_FLOAT));
        seen.add(counts.toArray(JAVA_DOUBLE));
        seen.add(sums.toArray(JAVA_DOUBLE));
        seen.add(lists.toArray(JAVA_INT));
        seen.add(positions.toArray(JAVA_INT));
        seen.add(substitutes.toArray(JAVA_INT));
        seen.add(swapped.toArray(JAVA_FLOAT));
        seen.add(scores.toArray(JAVA_DOUBLE));
        seen.add(mask.toArray(JAVA_BYTE));
        CodebookState state = codebook.state();
        seen.add(state.codewords());
        seen.add(state.n());
        seen.add(state.m());
        seen.add(state.deadSteps());
      }
    }
    return seen;
  }
}
