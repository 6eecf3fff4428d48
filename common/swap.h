/* The decisions of nas_swap for one image or one token. */
#ifndef NAS_COMMON_SWAP_H
#define NAS_COMMON_SWAP_H

#include "arithmetic.h"
#include "philox.h"

namespace nas {

/* (s - low) / (high - low) in float64, 0 where high = low. */
NAS_HD double minmax(float s, float low, float high) {
  if (!(low < high)) return 0.0;
  return div64(sub64((double)s, (double)low), sub64((double)high, (double)low));
}

/* lambda*minmax(text) + (1-lambda)*minmax(image). */
NAS_HD double swap_score(double text_weight, float text, float text_low, float text_high,
                         float image, float image_low, float image_high) {
  return add64(mul64(text_weight, minmax(text, text_low, text_high)),
               mul64(sub64(1.0, text_weight), minmax(image, image_low, image_high)));
}

/* Whether position a is chosen before position b: score descending, position ascending. */
NAS_HD bool chosen_before(double score_a, int32_t position_a, double score_b, int32_t position_b) {
  return score_a > score_b || (score_a == score_b && position_a < position_b);
}

/* Bitmap over codes: bit (z & 31) of word z >> 5. */
NAS_HD bool is_present(const uint32_t *present, int32_t z) {
  return (present[z >> 5] >> (z & 31)) & 1u;
}

/* The substitute: candidate number floor(draw*n / 2^64) of the n entries of `list` (R codes) that
 * are neither -1 nor marked in `present`; -1 if n = 0. Entries must be -1..K-1. */
NAS_HD int32_t choose_substitute(const int32_t *list, int64_t R, const uint32_t *present,
                                 uint64_t draw) {
  uint64_t n = 0;
  for (int64_t r = 0; r < R; ++r) {
    if (list[r] >= 0 && !is_present(present, list[r])) ++n;
  }
  if (n == 0) return -1;
  uint64_t wanted = uniform_choice(draw, n);
  for (int64_t r = 0; r < R; ++r) {
    if (list[r] >= 0 && !is_present(present, list[r]) && wanted-- == 0) return list[r];
  }
  return -1;
}

/* (v - e_z) + e_{z'} in float32, rounded after each operation. */
NAS_HD float residual_swap(float v, float codeword, float substitute) {
  return add32(sub32(v, codeword), substitute);
}

}  // namespace nas

#endif
