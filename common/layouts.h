/* What nas_layouts tells. */
#ifndef NAS_COMMON_LAYOUTS_H
#define NAS_COMMON_LAYOUTS_H

#include <stdio.h>

#include "layout_asserts.h"

namespace nas {

struct StructField {
  const char *of, *name;
  size_t of_bytes, offset, bytes;
};

#define NAS_FIELD(type, field) \
  { #type, #field, sizeof(type), offsetof(type, field), sizeof(((type *)nullptr)->field) }

constexpr StructField kStructFields[] = {
    NAS_FIELD(nas_lookup_stats, tier),
    NAS_FIELD(nas_lookup_stats, reserved),
    NAS_FIELD(nas_lookup_stats, rows_int8),
    NAS_FIELD(nas_lookup_stats, rows_float32),
    NAS_FIELD(nas_lookup_stats, rows_scanned),
    NAS_FIELD(nas_lookup_stats, candidates),
    NAS_FIELD(nas_lookup_stats, distances),
    NAS_FIELD(nas_lookup_stats, rows_float64),
    NAS_FIELD(nas_lookup_stats, packing_ns),
    NAS_FIELD(nas_swap_params, images),
    NAS_FIELD(nas_swap_params, tokens),
    NAS_FIELD(nas_swap_params, chosen),
    NAS_FIELD(nas_swap_params, neighbours),
    NAS_FIELD(nas_swap_params, evidence_rows),
    NAS_FIELD(nas_swap_params, text_weight),
    NAS_FIELD(nas_swap_params, seed),
    NAS_FIELD(nas_swap_params, step),
    NAS_FIELD(nas_swap_params, choose),
    NAS_FIELD(nas_swap_params, substitute),
    NAS_FIELD(nas_swap_params, sign),
    NAS_FIELD(nas_swap_params, write),
    NAS_FIELD(nas_swap_params, donors),
    NAS_FIELD(nas_swap_input, text),
    NAS_FIELD(nas_swap_input, image),
    NAS_FIELD(nas_swap_input, evidence),
    NAS_FIELD(nas_swap_input, evidence_of),
    NAS_FIELD(nas_swap_input, tokens),
    NAS_FIELD(nas_swap_input, codes),
    NAS_FIELD(nas_swap_input, neighbour_lists),
    NAS_FIELD(nas_swap_input, sample_ids),
    NAS_FIELD(nas_swap_output, positions),
    NAS_FIELD(nas_swap_output, substitutes),
    NAS_FIELD(nas_swap_output, swapped),
    NAS_FIELD(nas_swap_output, scores),
    NAS_FIELD(nas_swap_output, mask),
    NAS_FIELD(nas_verdict, status),
    NAS_FIELD(nas_verdict, bad_row),
};

#undef NAS_FIELD

/* Writes the lines of nas_layouts; false if they don't fit. */
inline bool write_layouts(char *buffer, size_t capacity) {
  size_t used = 0;
  const char *of = nullptr;
  for (const StructField &field : kStructFields) {
    const bool first = of == nullptr || __builtin_strcmp(field.of, of) != 0;
    for (int part = first ? 0 : 1; part < 2; ++part) {
      char *to = buffer + used;
      const size_t room = capacity - used;
      const int length =
          part == 0 ? snprintf(to, room, "%s%s %zu", of == nullptr ? "" : "\n", field.of, field.of_bytes)
                    : snprintf(to, room, " %s@%zu:%zu", field.name, field.offset, field.bytes);
      if (length < 0 || (size_t)length >= room) return false;
      used += (size_t)length;
    }
    of = field.of;
  }
  return true;
}

}  // namespace nas

#endif
