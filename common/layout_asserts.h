/* The layouts of nas_kernels.h that bindings rely on. C11 and C++. */
#ifndef NAS_COMMON_LAYOUT_ASSERTS_H
#define NAS_COMMON_LAYOUT_ASSERTS_H

#include <assert.h>
#include <stddef.h>

#include "nas_kernels.h"

#define NAS_AT(type, field, place) \
  static_assert(offsetof(type, field) == (place), #type "." #field " is not at " #place)

static_assert(sizeof(void *) == 8, "pointers are passed as 64 bits");
static_assert(sizeof(nas_status) == 4, "a status is 32 bits");

static_assert(sizeof(nas_lookup_stats) == 64, "nas_lookup_stats");
NAS_AT(nas_lookup_stats, tier, 0);
NAS_AT(nas_lookup_stats, rows_int8, 8);
NAS_AT(nas_lookup_stats, rows_float32, 16);
NAS_AT(nas_lookup_stats, rows_scanned, 24);
NAS_AT(nas_lookup_stats, candidates, 32);
NAS_AT(nas_lookup_stats, distances, 40);
NAS_AT(nas_lookup_stats, rows_float64, 48);
NAS_AT(nas_lookup_stats, packing_ns, 56);

static_assert(sizeof(nas_verdict) == 16, "nas_verdict");
NAS_AT(nas_verdict, status, 0);
NAS_AT(nas_verdict, bad_row, 8);

static_assert(sizeof(nas_swap_params) == 80, "nas_swap_params");
NAS_AT(nas_swap_params, images, 0);
NAS_AT(nas_swap_params, tokens, 8);
NAS_AT(nas_swap_params, chosen, 16);
NAS_AT(nas_swap_params, neighbours, 24);
NAS_AT(nas_swap_params, evidence_rows, 32);
NAS_AT(nas_swap_params, text_weight, 40);
NAS_AT(nas_swap_params, seed, 48);
NAS_AT(nas_swap_params, step, 56);
NAS_AT(nas_swap_params, choose, 60);
NAS_AT(nas_swap_params, substitute, 64);
NAS_AT(nas_swap_params, sign, 68);
NAS_AT(nas_swap_params, write, 72);
NAS_AT(nas_swap_params, donors, 76);

static_assert(sizeof(nas_swap_input) == 64, "nas_swap_input");
NAS_AT(nas_swap_input, text, 0);
NAS_AT(nas_swap_input, image, 8);
NAS_AT(nas_swap_input, evidence, 16);
NAS_AT(nas_swap_input, evidence_of, 24);
NAS_AT(nas_swap_input, tokens, 32);
NAS_AT(nas_swap_input, codes, 40);
NAS_AT(nas_swap_input, neighbour_lists, 48);
NAS_AT(nas_swap_input, sample_ids, 56);

static_assert(sizeof(nas_swap_output) == 40, "nas_swap_output");
NAS_AT(nas_swap_output, positions, 0);
NAS_AT(nas_swap_output, substitutes, 8);
NAS_AT(nas_swap_output, swapped, 16);
NAS_AT(nas_swap_output, scores, 24);
NAS_AT(nas_swap_output, mask, 32);

#undef NAS_AT

#endif
