package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every wrong argument is refused by name, before native code sees an address. */
class CodebookArgumentsTest {
  private static final MomentumUpdate UPDATE = new MomentumUpdate(0.9, 1e-5, 0.1);

  private final Arena arena = Arena.ofShared();

  @AfterEach
  void close() {
    arena.close();
  }

  static Stream<Backend> hosts() {
    return Stream.of(Backend.CPU, Backend.JAVA).filter(Kernels::isAvailable);
  }

  private Codebook codebook(Backend backend) {
    MemorySegment e = arena.allocate(3 * 2 * 4, 8);
    return Codebook.create(backend, e, 3, 2);
  }

  private static void refused(ThrowingCallable call, String... words) {
    assertThatIllegalArgumentException()
        .isThrownBy(call)
        .satisfies(e -> assertThat(e.getMessage()).contains(words));
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shapesOfACodebook(Backend backend) {
    MemorySegment e = arena.allocate(24, 4);
    refused(() -> Codebook.create(backend, e, 0, 2), "size is 0", "1..65536");
    refused(() -> Codebook.create(backend, e, 65_537, 2), "size is 65537");
    refused(() -> Codebook.create(backend, e, 3, 0), "width is 0", "1..4096");
    refused(() -> Codebook.create(backend, e, 3, 4097), "width is 4097");
    refused(() -> Codebook.create(backend, e, 3, 3), "codewords", "24 bytes", "36");
    refused(() -> Codebook.create(new float[5], 3, 2), "codewords holds 5", "6");
    assertThatNullPointerException()
        .isThrownBy(() -> Codebook.create(backend, null, 3, 2))
        .withMessageContaining("codewords");
    try (Codebook codebook = Codebook.create(backend, e, 3, 2)) {
      assertThat(codebook.size()).isEqualTo(3);
      assertThat(codebook.width()).isEqualTo(2);
      assertThat(codebook.backend()).isEqualTo(backend);
      assertThat(codebook).hasToString("Codebook[3 x 2, " + backend + "]");
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void segmentsOfALookup(Backend backend) {
    MemorySegment x = arena.allocate(40, 4);
    MemorySegment out = arena.allocate(20, 4);
    MemorySegment heap = MemorySegment.ofArray(new int[100]);
    try (Codebook c = codebook(backend)) {
      refused(
          () -> c.lookup(Rows.of(heap, 5, 2), out, null, 0), "x lies on the Java heap", "off-heap");
      refused(() -> c.lookup(Rows.of(x, 5, 2), heap, null, 0), "indices lies on the Java heap");
      refused(() -> c.lookup(Rows.of(x, 5, 2), out, heap, 0), "distances lies on the Java heap");
      refused(() -> c.lookup(Rows.of(x, 6, 2), out, null, 0), "x holds 40 bytes", "48");
      refused(() -> c.lookup(Rows.of(x, 5, 3), out, null, 0), "x holds 40 bytes", "56");
      refused(() -> c.lookup(Rows.of(x, 5, 2), out.asSlice(0, 19), null, 0), "indices", "19", "20");
      refused(() -> c.lookup(Rows.of(x, 5, 1), out, null, 0), "stride is 1", "width 2");
      refused(() -> c.lookup(Rows.of(x, -1, 2), out, null, 0), "count is -1");
      refused(() -> c.lookup(Rows.of(x, Long.MAX_VALUE / 8, 2), out, null, 0), "x holds");
      refused(() -> c.lookup(Rows.of(x, Long.MAX_VALUE / 2, 8), out, null, 0), "overflow");
      refused(() -> c.lookup(Rows.of(x, 2, Long.MAX_VALUE / 2), out, null, 0), "overflow");
      refused(
          () -> c.lookup(Rows.of(x.asSlice(1), 4, 2), out, null, 0), "x starts at", "aligned to 4");
      refused(
          () -> c.lookup(Rows.of(x, 4, 2), out.asSlice(2), null, 0),
          "indices starts at",
          "aligned");
      refused(() -> c.lookup(Rows.of(x, 5, 2), out.asReadOnly(), null, 0), "indices is read-only");
      refused(() -> c.lookup(Rows.of(x, 5, 2), x, null, 0), "indices overlaps x");
      refused(() -> c.lookup(Rows.of(x, 5, 2), out, out, 0), "distances overlaps indices");
      refused(() -> c.lookup(Rows.of(x, 5, 2), out, null, 1), "stream is 1");
      refused(
          () -> c.lookup(Rows.of(MemorySegment.NULL.reinterpret(40), 5, 2), out, null, 0),
          "x has address 0");
      refused(() -> c.lookup(new float[3]), "3 floats", "width 2");
      assertThatNullPointerException()
          .isThrownBy(() -> c.lookup(Rows.of(null, 5, 2), out, null, 0))
          .withMessageContaining("segment");
      assertThatNullPointerException().isThrownBy(() -> c.lookup(Rows.of(x, 5, 2), null, null, 0));
      assertThatNullPointerException().isThrownBy(() -> c.lookup(null));
      // A read-only x and a stride beyond the width are fine.
      c.lookup(Rows.of(x.asReadOnly(), 3, 4), out, null, 0);
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void deadAndForeignSegments(Backend backend) throws InterruptedException {
    MemorySegment out = arena.allocate(20, 4);
    try (Codebook c = codebook(backend)) {
      MemorySegment freed;
      try (Arena shortLived = Arena.ofConfined()) {
        freed = shortLived.allocate(40, 4);
      }
      assertThatIllegalStateException()
          .isThrownBy(() -> c.lookup(Rows.of(freed, 5, 2), out, null, 0));
      try (Arena other = Arena.ofConfined()) {
        MemorySegment confined = other.allocate(40, 4);
        Throwable[] thrown = new Throwable[1];
        Thread thread =
            new Thread(
                () -> {
                  try {
                    c.lookup(Rows.of(confined, 5, 2), out, null, 0);
                  } catch (WrongThreadException e) {
                    thrown[0] = e;
                  }
                });
        thread.start();
        thread.join();
        assertThat(thrown[0]).isInstanceOf(WrongThreadException.class);
        // The owner itself may use it, whatever threads the backend has.
        c.lookup(Rows.of(confined, 5, 2), out, null, 0);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void segmentsOfAnUpdate(Backend backend) {
    MemorySegment x = arena.allocate(40, 4);
    MemorySegment codes = arena.allocate(20, 4);
    MemorySegment counts = arena.allocate(24, 8);
    MemorySegment sums = arena.allocate(48, 8);
    MemorySegment heap = MemorySegment.ofArray(new double[100]);
    try (Codebook c = codebook(backend)) {
      refused(() -> c.accumulate(Rows.of(heap, 5, 2), codes, counts, sums, 0), "x lies on");
      refused(() -> c.accumulate(Rows.of(x, 5, 2), heap, counts, sums, 0), "codes lies on");
      refused(() -> c.accumulate(Rows.of(x, 5, 2), codes, heap, sums, 0), "counts lies on");
      refused(() -> c.accumulate(Rows.of(x, 5, 2), codes, counts, heap, 0), "sums lies on");
      refused(
          () -> c.accumulate(Rows.of(x, 5, 2), codes.asSlice(4), counts, sums, 0),
          "codes holds 16");
      refused(
          () -> c.accumulate(Rows.of(x, 5, 2), codes, counts.asSlice(8), sums, 0),
          "counts holds 16");
      refused(
          () -> c.accumulate(Rows.of(x, 5, 2), codes, counts, sums.asSlice(8), 0), "sums holds 40");
      refused(
          () -> c.accumulate(Rows.of(x, 5, 2), codes, arena.allocate(40, 8).asSlice(4), sums, 0),
          "counts starts at",
          "aligned to 8");
      refused(
          () -> c.accumulate(Rows.of(x, 5, 2), codes, counts.asReadOnly(), sums, 0),
          "counts is read-only");
      refused(() -> c.accumulate(Rows.of(x, 5, 2), codes, sums, sums, 0), "sums overlaps counts");
      refused(() -> c.accumulate(Rows.of(x, 5, 2), codes, counts, sums, 7), "stream is 7");
      refused(() -> c.apply(counts.asSlice(8), sums, UPDATE, 0), "counts holds 16");
      refused(() -> c.apply(counts, heap, UPDATE, 0), "sums lies on");
      refused(() -> c.apply(counts, sums, UPDATE, 7), "stream is 7");
      refused(() -> c.update(Rows.of(x, 6, 2), codes, UPDATE, 0), "x holds 40");
      refused(() -> c.update(Rows.of(x, 5, 2), codes.asSlice(0, 4), UPDATE, 0), "codes holds 4");
      ElementType half = ElementType.FLOAT16;
      refused(() -> c.update(new Rows(x, half, 11, 2), codes, UPDATE, 0), "x holds 40", "44");
      refused(() -> c.update(new Rows(x.asSlice(1), half, 2, 2), codes, UPDATE, 0), "aligned to 2");
      refused(() -> c.update(new Rows(x, half, 5, 1), codes, UPDATE, 0), "stride is 1");
      refused(
          () -> c.accumulate(new Rows(x, half, 11, 2), codes, counts, sums, 0), "x holds 40", "44");
      refused(() -> c.accumulate(new Rows(x, half, -1, 2), codes, counts, sums, 0), "count is -1");
      assertThatNullPointerException()
          .isThrownBy(() -> c.update(new Rows(x, null, 5, 2), codes, UPDATE, 0))
          .withMessageContaining("type");
      assertThatNullPointerException()
          .isThrownBy(() -> c.accumulate(new Rows(x, null, 5, 2), codes, counts, sums, 0))
          .withMessageContaining("type");
      // Two bytes of alignment are enough for two-byte elements.
      c.update(new Rows(x.asSlice(2), half, 5, 2), codes, UPDATE, 0);
      assertThatNullPointerException().isThrownBy(() -> c.apply(counts, sums, null, 0));
      assertThatNullPointerException().isThrownBy(() -> c.update(Rows.of(x, 5, 2), codes, null, 0));
      c.apply(
          arena.allocateFrom(java.lang.foreign.ValueLayout.JAVA_DOUBLE, 1, 1, 1).asReadOnly(),
          sums,
          UPDATE,
          0);
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void segmentsOfNeighbours(Backend backend) {
    MemorySegment out = arena.allocate(24, 4);
    MemorySegment live = arena.allocate(3, 1);
    try (Codebook c = codebook(backend)) {
      refused(() -> c.neighbours(0, null, out, 0), "neighbours is 0", "1..1024");
      refused(() -> c.neighbours(1025, null, out, 0), "neighbours is 1025");
      refused(() -> c.neighbours(3, null, out, 0), "out holds 24", "36");
      refused(() -> c.neighbours(2, live.asSlice(1), out, 0), "live holds 2");
      refused(() -> c.neighbours(2, out.asSlice(0, 3), out, 0), "out overlaps live");
      refused(() -> c.neighbours(2, null, out.asReadOnly(), 0), "out is read-only");
      refused(() -> c.neighbours(2, null, out, 1), "stream is 1");
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void segmentsOfASwap(Backend backend) {
    TokenSwap relevance = TokenSwap.builder(2, 3, 2, 4).build();
    TokenSwap evidence =
        TokenSwap.builder(2, 3, 2, 4)
            .choose(TokenSwap.Choose.GAIN)
            .substitute(TokenSwap.Substitute.MOST_EVIDENCE)
            .donors(true)
            .build();
    String[] names = {
      "tokens",
      "codes",
      "neighbourLists",
      "text",
      "image",
      "evidence",
      "evidenceOf",
      "sampleIds",
      "positions",
      "substitutes",
      "swapped",
      "scores",
      "mask"
    };
    int[] sizes = {48, 24, 48, 24, 24, 24, 8, 16, 16, 16, 48, 48, 6};
    Set<String> ofEvidence = Set.of("evidence", "evidenceOf");
    try (Codebook c = codebook(backend)) {
      for (int bad = 0; bad < names.length; bad++) {
        TokenSwap params = ofEvidence.contains(names[bad]) ? evidence : relevance;
        MemorySegment[] s = segments(sizes);
        s[bad] = s[bad].asSlice(0, sizes[bad] - 1);
        refused(() -> swap(c, params, s), names[bad] + " holds " + (sizes[bad] - 1));
        MemorySegment[] h = segments(sizes);
        h[bad] = MemorySegment.ofArray(new byte[sizes[bad]]);
        refused(() -> swap(c, params, h), names[bad] + " lies on the Java heap");
        if (!names[bad].equals("mask")) { // of bytes
          MemorySegment[] a = segments(sizes);
          a[bad] = arena.allocate(sizes[bad] + 8, 8).asSlice(2, sizes[bad]);
          refused(() -> swap(c, params, a), names[bad] + " starts at");
        }
        for (int output = 8; output < names.length; output++) {
          MemorySegment[] o = segments(sizes);
          MemorySegment shared = arena.allocate(64, 8);
          o[bad] = shared.asSlice(0, sizes[bad]);
          // Tokens and swapped may coincide, but not overlap in part.
          boolean inPlace = names[bad].equals("tokens") && names[output].equals("swapped");
          o[output] = shared.asSlice(inPlace ? 8 : 0, sizes[output]);
          if (bad != output) {
            refused(() -> swap(c, params, o), "overlaps");
          }
        }
      }
      MemorySegment[] fine = segments(sizes);
      fine[10] = fine[0];
      swap(c, relevance, fine);
      refused(() -> swap(c, evidence, fine), "swapped overlaps tokens");
      fine[10] = arena.allocate(48, 8);
      swap(c, evidence, fine);

      // What the rules do not read may be missing, what they read not.
      fine[3] = null;
      fine[4] = null;
      swap(c, evidence, fine);
      fine[11] = null;
      fine[12] = null;
      swap(c, evidence, fine);
      for (int needed = 5; needed < 8; needed++) {
        MemorySegment[] lacking = fine.clone();
        lacking[needed] = null;
        assertThatNullPointerException()
            .isThrownBy(() -> swap(c, evidence, lacking))
            .withMessageContaining(names[needed]);
      }
      MemorySegment[] dead = segments(sizes);
      try (Arena shortLived = Arena.ofShared()) {
        dead[0] = shortLived.allocate(48, 8);
      }
      assertThatIllegalStateException().isThrownBy(() -> swap(c, relevance, dead));
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void enqueuedCallsNeedAReservationAndAVerdictThatWasAsked(Backend backend) {
    MemorySegment x = arena.allocate(40, 4);
    MemorySegment out = arena.allocate(20, 4);
    try (Codebook c = codebook(backend);
        Verdict verdict = c.verdict()) {
      refused(() -> c.enqueueLookup(Rows.of(x, 0, 2), out, null, verdict, 0), "reserve first");
      refused(() -> c.reserve(-1, ElementType.FLOAT32, 0, 0), "rows is -1");
      refused(() -> c.reserve(0, ElementType.FLOAT32, Long.MAX_VALUE / 4, 2), "overflow");
      assertThatIllegalStateException()
          .isThrownBy(c::codewordsView)
          .withMessageContaining("reserve first");
      assertThatIllegalStateException()
          .isThrownBy(verdict::check)
          .withMessageContaining("no call was enqueued");
      c.reserve(3, ElementType.FLOAT32, 1, 3);
      refused(() -> c.enqueueLookup(Rows.of(x, 4, 2), out, null, verdict, 0), "4 rows", "3 of");
      refused(
          () -> c.enqueueUpdate(new Rows(x, ElementType.FLOAT16, 1, 2), out, UPDATE, verdict, 0),
          "1 rows of FLOAT16");
      TokenSwap params = TokenSwap.builder(2, 3, 2, 4).build();
      int[] sizes = {48, 24, 48, 24, 24, 24, 8, 16, 16, 16, 48, 48, 6};
      MemorySegment[] s = segments(sizes);
      refused(
          () -> c.enqueueSwap(params, input(s), output(s), verdict, 0),
          "2 images of 3 tokens",
          "1 of 3");
      assertThat(verdict.isPending()).isFalse();

      c.enqueueLookup(Rows.of(x, 3, 2), out, null, verdict, 0);
      assertThat(verdict.isPending()).isTrue();
      assertThatIllegalStateException()
          .isThrownBy(() -> c.enqueueUpdate(Rows.of(x, 1, 2), out, UPDATE, verdict, 0))
          .withMessageContaining("last lookup has not been asked");
      verdict.check();
      c.enqueueUpdate(Rows.of(x, 1, 2), out, UPDATE, verdict, 0);
      verdict.check();

      // A bad row that is not asked for comes out when the verdict is closed.
      x.set(ValueLayout.JAVA_FLOAT, 12, Float.NaN);
      Verdict unasked = c.verdict();
      c.enqueueLookup(Rows.of(x, 3, 2), out, null, unasked, 0);
      assertThatExceptionOfType(NonFiniteInputException.class)
          .isThrownBy(unasked::close)
          .satisfies(e -> assertThat(e.row()).isEqualTo(1));
      unasked.close();
      assertThatIllegalStateException()
          .isThrownBy(() -> c.enqueueLookup(Rows.of(x, 1, 2), out, null, unasked, 0))
          .withMessageContaining("closed");
    }
  }

  private MemorySegment[] segments(int[] sizes) {
    return Arrays.stream(sizes)
        .mapToObj(size -> arena.allocate(size, 8))
        .toArray(MemorySegment[]::new);
  }

  private static void swap(Codebook c, TokenSwap params, MemorySegment[] s) {
    c.swap(params, input(s), output(s), 0);
  }

  private static SwapInput input(MemorySegment[] s) {
    return SwapInput.of(s[0], s[1], s[2])
        .withSimilarities(s[3], s[4])
        .withEvidence(s[5], 1, s[6])
        .withSampleIds(s[7]);
  }

  private static SwapOutput output(MemorySegment[] s) {
    return SwapOutput.of(s[8], s[9], s[10]).withScores(s[11]).withMask(s[12]);
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void closedTwiceAndUsedAfterwards(Backend backend) {
    MemorySegment x = arena.allocate(48, 8);
    MemorySegment out = arena.allocate(48, 8);
    MemorySegment sums = arena.allocate(48, 8);
    Codebook c = codebook(backend);
    CodebookState state = c.state();
    c.close();
    c.close();
    Stream.<ThrowingCallable>of(
            () -> c.lookup(Rows.of(x, 1, 2), out, null, 0),
            () -> c.lookup(Rows.of(x, 0, 2), out, null, 0),
            () -> c.lookup(new float[2]),
            () -> c.lookup(new float[0]),
            () -> c.accumulate(Rows.of(x, 1, 2), x.asSlice(8), out, sums, 0),
            () -> c.apply(out, sums, UPDATE, 0),
            () -> c.update(Rows.of(x, 1, 2), out, UPDATE, 0),
            () -> c.neighbours(1, null, out, 0),
            () -> c.restart(new int[0], new float[0]),
            () -> c.restart(new int[1], new float[2]),
            c::state,
            () -> c.restore(state))
        .forEach(
            call ->
                assertThatIllegalStateException()
                    .isThrownBy(call)
                    .withMessage("the codebook is closed"));
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void lengthsOfJavaArrays(Backend backend) {
    try (Codebook c = codebook(backend)) {
      float[] x = new float[4];
      int[] codes = new int[2];
      double[] counts = new double[3];
      double[] sums = new double[6];
      refused(() -> c.lookup(new float[5], new float[2]), "x holds 5", "width 2");
      refused(() -> c.lookup(x, new float[3]), "distances holds 3", "needs 2");
      refused(() -> c.accumulate(x, new int[3], counts, sums), "codes holds 3", "needs 2");
      refused(() -> c.accumulate(x, codes, new double[2], sums), "counts holds 2", "needs 3");
      refused(() -> c.accumulate(x, codes, counts, new double[5]), "sums holds 5", "needs 6");
      refused(() -> c.apply(new double[4], sums, UPDATE), "counts holds 4", "needs 3");
      refused(() -> c.apply(counts, new double[7], UPDATE), "sums holds 7", "needs 6");
      refused(() -> c.update(x, new int[1], UPDATE), "codes holds 1", "needs 2");
      refused(() -> c.neighbours(0, null), "neighbours is 0");
      refused(() -> c.neighbours(1025, null), "neighbours is 1025");
      refused(() -> c.neighbours(1, new boolean[2]), "live holds 2", "needs 3");
      assertThatNullPointerException().isThrownBy(() -> c.update(x, codes, null));
      TokenSwap swap = TokenSwap.builder(1, 2, 1, 1).build();
      SwapInput in =
          SwapInput.of(x, codes, new int[3])
              .withSimilarities(new float[2], new float[2])
              .withSampleIds(new long[1]);
      c.swap(swap, in);
      refused(() -> c.swap(swap, SwapInput.of(new float[6], codes, new int[3])), "tokens holds 6");
      refused(() -> c.swap(swap, SwapInput.of(x, new int[1], new int[3])), "codes holds 4 bytes");
      refused(() -> c.swap(swap, SwapInput.of(x, codes, new int[2])), "neighbourLists holds 8");
      refused(() -> c.swap(swap, in.withSimilarities(new float[1], new float[2])), "text holds 4");
      refused(() -> c.swap(swap, in.withSampleIds(new long[0])), "sampleIds holds");
      refused(
          () -> c.swap(swap, in.withSampleIds(arena.allocate(8, 8))), "sampleIds is no Java array");
      MemorySegment out = arena.allocate(16, 8);
      refused(
          () -> c.swap(swap, in, SwapOutput.of(out, out, out), 0), "tokens lies on the Java heap");
      c.close();
      assertThatIllegalStateException().isThrownBy(() -> c.update(x, codes, UPDATE));
      assertThatIllegalStateException().isThrownBy(() -> c.swap(swap, in));
      assertThatIllegalStateException().isThrownBy(() -> c.neighbours(1, null));
    }
  }

  @Test
  void records() {
    refused(() -> new MomentumUpdate(1, 1e-5, 0), "gamma is 1.0");
    refused(() -> new MomentumUpdate(-0.1, 1e-5, 0), "gamma");
    refused(() -> new MomentumUpdate(Double.NaN, 1e-5, 0), "gamma is NaN");
    refused(() -> new MomentumUpdate(0.5, 0, 0), "epsilon is 0.0");
    refused(() -> new MomentumUpdate(0.5, Double.NaN, 0), "epsilon");
    refused(() -> new MomentumUpdate(0.5, Double.POSITIVE_INFINITY, 0), "epsilon");
    refused(() -> new MomentumUpdate(0.5, 1, -1), "deadThreshold is -1.0");
    refused(() -> new MomentumUpdate(0.5, 1, Double.NaN), "deadThreshold");

    refused(() -> TokenSwap.builder(-1, 1, 1, 1).build(), "images is -1");
    refused(() -> TokenSwap.builder(1, 0, 1, 1).build(), "tokens is 0");
    refused(() -> TokenSwap.builder(1, 4, 5, 1).build(), "chosen is 5", "1..4");
    refused(() -> TokenSwap.builder(1, 4, 0, 1).build(), "chosen is 0");
    refused(() -> TokenSwap.builder(1, 4, 4, 0).build(), "neighbours is 0");
    refused(() -> TokenSwap.builder(1, 4, 4, 1025).build(), "neighbours is 1025");
    TokenSwap.Builder builder = TokenSwap.builder(1, 4, 4, 1);
    refused(() -> builder.textWeight(1.1).build(), "textWeight is 1.1");
    refused(() -> builder.textWeight(Double.NaN).build(), "textWeight is NaN");
    assertThatNullPointerException()
        .isThrownBy(() -> TokenSwap.builder(1, 4, 4, 1).choose(null).build())
        .withMessageContaining("choose");
    assertThatNullPointerException()
        .isThrownBy(() -> TokenSwap.builder(1, 4, 4, 1).substitute(null).build())
        .withMessageContaining("substitute");
    assertThatNullPointerException()
        .isThrownBy(() -> TokenSwap.builder(1, 4, 4, 1).write(null).build())
        .withMessageContaining("write");
    MemorySegment some = arena.allocate(8);
    refused(
        () -> SwapInput.of(some, some, some).withEvidence(some, -1, some), "evidenceRows is -1");

    refused(
        () -> new CodebookState(new float[6], new double[4], new float[6], new int[4]),
        "lengths 6, 4, 6, 4");
    assertThat(new CodebookState(new float[6], new double[3], new float[6], new int[3]))
        .isEqualTo(new CodebookState(new float[6], new double[3], new float[6], new int[3]))
        .hasSameHashCodeAs(new CodebookState(new float[6], new double[3], new float[6], new int[3]))
        .isNotEqualTo(new CodebookState(new float[6], new double[2], new float[6], new int[2]))
        .hasToString("CodebookState[3 x 2]");
  }

  @Test
  void unavailableBackendSaysWhy() {
    if (!Kernels.isAvailable(Backend.CUDA)) {
      assertThatExceptionOfType(NasNativeException.class)
          .isThrownBy(() -> Codebook.create(Backend.CUDA, arena.allocate(24, 4), 3, 2))
          .withMessageContaining("cuda")
          .withMessageContaining(Kernels.unavailableReason(Backend.CUDA));
    }
  }

  @Test
  void settings() {
    int threads = Kernels.threads();
    CpuTier tier = Kernels.tier();
    try {
      refused(() -> Kernels.setThreads(0), "n is 0", "1..1024");
      refused(() -> Kernels.setThreads(1025), "n is 1025");
      assertThat(Kernels.threads()).isEqualTo(threads);
      Kernels.setThreads(3);
      assertThat(Kernels.threads()).isEqualTo(3);
      assertThat(Kernels.describe()).contains("3 threads");
      assertThat(tier).isLessThanOrEqualTo(Kernels.bestTier());
      Kernels.setTier(CpuTier.SCALAR);
      assertThat(Kernels.tier()).isEqualTo(CpuTier.SCALAR);
      if (Kernels.backend() == Backend.CPU) {
        assertThat(Kernels.describe()).isEqualTo("cpu scalar, 3 threads (libnas_kernels ABI 6)");
      }
      CpuTier best = Kernels.bestTier();
      assertThat(Kernels.tiers()).isSorted().startsWith(CpuTier.SCALAR).endsWith(best);
      for (CpuTier other : CpuTier.values()) {
        if (Kernels.tiers().contains(other)) {
          Kernels.setTier(other);
          assertThat(Kernels.tier()).isEqualTo(other);
        } else {
          refused(() -> Kernels.setTier(other), "tier is " + other, best.toString());
        }
      }
    } finally {
      Kernels.setThreads(threads);
      Kernels.setTier(tier);
    }
  }
}
