package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** One codebook, many threads. */
class CodebookConcurrencyTest {
  private static final int SIZE = 60;
  private static final int WIDTH = 24;

  static Stream<Backend> hosts() {
    return Stream.of(Backend.CPU, Backend.JAVA).filter(Kernels::isAvailable);
  }

  private static Codebook codebook(Backend backend, float[] e) {
    try (Arena arena = Arena.ofConfined()) {
      return Codebook.create(backend, arena.allocateFrom(JAVA_FLOAT, e), SIZE, WIDTH);
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void lookupsFromManyThreadsUntilSomeoneCloses(Backend backend) throws Exception {
    Samples samples = new Samples(31);
    float[] e = samples.codewords(Samples.Kind.GAUSSIAN, SIZE, WIDTH);
    float[] x = samples.rows(Samples.Kind.GAUSSIAN, 50, e, SIZE, WIDTH);
    int[] expected = new int[50];
    Arrays.setAll(expected, i -> Reference.nearest(x, i, e, SIZE, WIDTH));
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      for (int round = 0; round < 10; round++) {
        Codebook codebook = codebook(backend, e);
        CountDownLatch running = new CountDownLatch(6);
        AtomicInteger done = new AtomicInteger();
        List<Future<Boolean>> callers = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
          boolean segments = i % 2 == 0;
          callers.add(
              threads.submit(
                  () -> {
                    try (Arena arena = Arena.ofConfined()) {
                      MemorySegment input = arena.allocateFrom(JAVA_FLOAT, x);
                      MemorySegment out = arena.allocate(JAVA_INT, 50);
                      while (true) {
                        int[] found;
                        if (segments) {
                          codebook.lookup(Rows.of(input, 50, WIDTH), out, null, 0);
                          found = out.toArray(JAVA_INT);
                        } else {
                          found = codebook.lookup(x);
                        }
                        if (!Arrays.equals(found, expected)) {
                          return false;
                        }
                        done.incrementAndGet();
                        running.countDown();
                      }
                    } catch (IllegalStateException closed) {
                      return closed.getMessage().equals("the codebook is closed");
                    }
                  }));
        }
        running.await();
        codebook.close();
        for (Future<Boolean> caller : callers) {
          assertThat(caller.get()).isTrue();
        }
        assertThat(done.get()).isGreaterThanOrEqualTo(6);
      }
    }
  }

  /** Writers set all to one value, so a reader that sees two has seen half a write. */
  @ParameterizedTest
  @MethodSource("hosts")
  void writesAreNeverSeenInHalves(Backend backend) throws Exception {
    float[] zeros = new float[SIZE * WIDTH];
    try (Codebook codebook = codebook(backend, zeros);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      AtomicBoolean stop = new AtomicBoolean();
      List<Callable<Boolean>> readers = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        readers.add(
            () -> {
              do {
                CodebookState state = codebook.state();
                float value = state.codewords()[0];
                for (float v : state.codewords()) {
                  if (v != value) {
                    return false;
                  }
                }
                for (float v : state.m()) {
                  if (v != value) {
                    return false;
                  }
                }
              } while (!stop.get());
              return true;
            });
      }
      List<Future<Boolean>> running = readers.stream().map(threads::submit).toList();
      int[] all = new int[SIZE];
      Arrays.setAll(all, j -> j);
      for (int step = 1; step <= 300; step++) {
        float[] values = new float[SIZE * WIDTH];
        Arrays.fill(values, step);
        if (step % 2 == 0) {
          codebook.restart(all, values);
        } else {
          double[] n = new double[SIZE];
          codebook.restore(new CodebookState(values, n, values.clone(), new int[SIZE]));
        }
      }
      stop.set(true);
      for (Future<Boolean> reader : running) {
        assertThat(reader.get()).isTrue();
      }
    }
  }

  /** Many codebooks that nobody closes must not exhaust memory: the cleaner frees them. */
  @Test
  void forgottenCodebooksAreFreed() throws Exception {
    assumeTrue(Kernels.isAvailable(Backend.CPU), () -> Kernels.unavailableReason(Backend.CPU));
    float[] e = new float[4096 * 256];
    long before = residentBytes();
    for (int i = 0; i < 200; i++) {
      try (Arena arena = Arena.ofConfined()) {
        Codebook forgotten =
            Codebook.create(Backend.CPU, arena.allocateFrom(JAVA_FLOAT, e), 4096, 256);
        assertThat(forgotten.size()).isEqualTo(4096);
      }
      if (i % 10 == 0) {
        System.gc();
      }
    }
    // Codewords and averages of 200 codebooks alone are 1.6 GiB.
    assertThat(residentBytes() - before).isLessThan(1_000_000_000L);
  }

  private static long residentBytes() throws Exception {
    String statm = java.nio.file.Files.readString(java.nio.file.Path.of("/proc/self/statm"));
    return Long.parseLong(statm.split(" ", -1)[1]) * 4096;
  }
}
