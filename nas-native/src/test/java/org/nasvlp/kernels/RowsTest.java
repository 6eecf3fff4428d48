package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RowsTest {
  private static Rows rows(Arena arena, ElementType type, int count, int stride) {
    MemorySegment segment = arena.allocate((long) count * stride * type.bytes(), 64);
    for (int i = 0; i < count * stride; i++) {
      switch (type) {
        case FLOAT32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
        default -> segment.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) i);
      }
    }
    return new Rows(segment, type, count, stride);
  }

  @ParameterizedTest
  @EnumSource
  void aMaskKeepsRowsInOrder(ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      Rows kept = rows(arena, type, 4, 5).where(new boolean[] {false, true, false, true}, 3, arena);
      assertThat(kept.count()).isEqualTo(2);
      assertThat(kept.stride()).isEqualTo(3);
      assertThat(kept.type()).isEqualTo(type);
      int[] values = {5, 6, 7, 15, 16, 17};
      for (int i = 0; i < values.length; i++) {
        assertThat(
                type == ElementType.FLOAT32
                    ? (int) kept.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i)
                    : kept.segment().getAtIndex(ValueLayout.JAVA_SHORT, i))
            .isEqualTo(values[i]);
      }
      assertThat(kept.segment().address() % 64).isZero();
    }
  }

  /** A batch with padding moves the codebook as the batch without it does. */
  @Test
  void paddingDoesNotCount() {
    float[] codewords = {0, 0, 10, 10};
    float[] padded = {1, 1, 900, 900, 9, 8, 900, 900};
    float[] plain = {1, 1, 9, 8};
    MomentumUpdate update = new MomentumUpdate(0.5, 1e-5, 0);
    try (Arena arena = Arena.ofShared();
        Codebook one = Codebook.create(codewords, 2, 2);
        Codebook other = Codebook.create(codewords, 2, 2)) {
      Rows all = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, padded), 4, 2);
      Rows kept = all.where(new boolean[] {true, false, true, false}, 2, arena);
      MemorySegment codes = arena.allocate(8, 64);
      one.lookup(kept, codes, null, 0);
      one.update(kept, codes, update, 0);
      Rows without = Rows.of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, plain), 2, 2);
      other.lookup(without, codes, null, 0);
      other.update(without, codes, update, 0);
      assertThat(one.state()).isEqualTo(other.state());
      assertThat(all.where(new boolean[4], 2, arena).count()).isZero();
    }
  }

  @Test
  void badMasksAreNamed() {
    try (Arena arena = Arena.ofConfined()) {
      Rows rows = rows(arena, ElementType.FLOAT32, 4, 5);
      assertThatThrownBy(() -> rows.where(new boolean[3], 5, arena))
          .hasMessage("mask holds 3 values for 4 rows; it needs one a row");
      assertThatThrownBy(() -> rows.where(new boolean[4], 6, arena))
          .hasMessageContaining("width is 6; it must be in 1..5, the stride");
    }
  }
}
