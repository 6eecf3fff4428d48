package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.util.List;

/** The structs of nas_kernels.h, with its names. */
final class Layouts {
  static final StructLayout LOOKUP_STATS =
      MemoryLayout.structLayout(
              JAVA_INT.withName("tier"),
              JAVA_INT.withName("reserved"),
              JAVA_LONG.withName("rows_int8"),
              JAVA_LONG.withName("rows_float32"),
              JAVA_LONG.withName("rows_scanned"),
              JAVA_LONG.withName("candidates"),
              JAVA_LONG.withName("distances"),
              JAVA_LONG.withName("rows_float64"),
              JAVA_LONG.withName("packing_ns"))
          .withName("nas_lookup_stats");

  static final StructLayout SWAP_PARAMS =
      MemoryLayout.structLayout(
              JAVA_LONG.withName("images"),
              JAVA_LONG.withName("tokens"),
              JAVA_LONG.withName("chosen"),
              JAVA_LONG.withName("neighbours"),
              JAVA_LONG.withName("evidence_rows"),
              JAVA_DOUBLE.withName("text_weight"),
              JAVA_LONG.withName("seed"),
              JAVA_INT.withName("step"),
              JAVA_INT.withName("choose"),
              JAVA_INT.withName("substitute"),
              JAVA_INT.withName("sign"),
              JAVA_INT.withName("write"),
              JAVA_INT.withName("donors"))
          .withName("nas_swap_params");

  static final StructLayout SWAP_INPUT =
      MemoryLayout.structLayout(
              ADDRESS.withName("text"),
              ADDRESS.withName("image"),
              ADDRESS.withName("evidence"),
              ADDRESS.withName("evidence_of"),
              ADDRESS.withName("tokens"),
              ADDRESS.withName("codes"),
              ADDRESS.withName("neighbour_lists"),
              ADDRESS.withName("sample_ids"))
          .withName("nas_swap_input");

  static final StructLayout SWAP_OUTPUT =
      MemoryLayout.structLayout(
              ADDRESS.withName("positions"),
              ADDRESS.withName("substitutes"),
              ADDRESS.withName("swapped"),
              ADDRESS.withName("scores"),
              ADDRESS.withName("mask"))
          .withName("nas_swap_output");

  static final StructLayout VERDICT =
      MemoryLayout.structLayout(JAVA_LONG.withName("status"), JAVA_LONG.withName("bad_row"))
          .withName("nas_verdict");

  /** In the order of nas_layouts. */
  static final List<StructLayout> ALL =
      List.of(LOOKUP_STATS, SWAP_PARAMS, SWAP_INPUT, SWAP_OUTPUT, VERDICT);

  private Layouts() {}

  /** Where a field of a struct begins. */
  static long at(StructLayout struct, String field) {
    return struct.byteOffset(PathElement.groupElement(field));
  }

  /** All structs as nas_layouts writes them. */
  static String describe() {
    StringBuilder text = new StringBuilder();
    for (StructLayout struct : ALL) {
      text.append(text.isEmpty() ? "" : "\n");
      text.append(struct.name().orElseThrow()).append(' ').append(struct.byteSize());
      for (MemoryLayout field : struct.memberLayouts()) {
        String name = field.name().orElseThrow();
        text.append(' ').append(name).append('@').append(at(struct, name));
        text.append(':').append(field.byteSize());
      }
    }
    return text.toString();
  }
}
