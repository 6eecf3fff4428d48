package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Native calls allocate nothing on the Java heap once they are compiled. */
class AllocationTest {
  @Test
  void callsAllocateNothing() {
    assumeTrue(Kernels.isAvailable(Backend.CPU), () -> Kernels.unavailableReason(Backend.CPU));
    MomentumUpdate update = new MomentumUpdate(0.99, 1e-5, 0.01);
    try (Arena arena = Arena.ofConfined();
        Codebook codebook =
            Codebook.create(Backend.CPU, arena.allocateFrom(JAVA_FLOAT, 1, 2, 3, 4), 2, 2)) {
      MemorySegment x = arena.allocateFrom(JAVA_FLOAT, 1, 2, 3, 4);
      MemorySegment indices = arena.allocate(JAVA_INT, 2);
      MemorySegment distances = arena.allocate(JAVA_FLOAT, 2);
      MemorySegment counts = arena.allocateFrom(JAVA_DOUBLE, 1, 1);
      MemorySegment sums = arena.allocate(JAVA_DOUBLE, 4);
      MemorySegment lists = arena.allocateFrom(JAVA_INT, 1, 0);
      MemorySegment codes = arena.allocateFrom(JAVA_INT, 1, 0);
      Map<String, Runnable> calls = new LinkedHashMap<>();
      Rows rows = Rows.of(x, 2, 2);
      Rows halves = Rows.of(x, ElementType.BFLOAT16, 2, 2);
      TokenSwap params = TokenSwap.builder(1, 2, 1, 1).build();
      SwapInput in =
          SwapInput.of(x, codes, lists)
              .withSimilarities(x, x)
              .withSampleIds(arena.allocateFrom(JAVA_LONG, 7));
      SwapOutput out =
          SwapOutput.of(
              arena.allocate(JAVA_INT), arena.allocate(JAVA_INT), arena.allocate(JAVA_FLOAT, 4));
      calls.put("lookup", () -> codebook.lookup(rows, indices, distances, 0));
      calls.put("accumulate", () -> codebook.accumulate(rows, indices, counts, sums, 0));
      calls.put("apply", () -> codebook.apply(counts, sums, update, 0));
      calls.put("update", () -> codebook.update(rows, indices, update, 0));
      calls.put("update of bfloat16", () -> codebook.update(halves, indices, update, 0));
      calls.put("neighbours", () -> codebook.neighbours(1, null, lists, 0));
      calls.put("swap", () -> codebook.swap(params, in, out, 0));
      calls.forEach(
          (name, call) ->
              assertThat(leastBytes(call)).as("bytes in 1,000 calls of %s", name).isZero());
    }
  }

  /** The compiler decides when it is done; until then single rounds may allocate. */
  private static long leastBytes(Runnable call) {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    long end = System.nanoTime() + 10_000_000_000L;
    while (least > 0 && System.nanoTime() < end) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1000; i++) {
        call.run();
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    return least;
  }
}
