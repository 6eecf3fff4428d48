/* The decisions of nas_swap for one image or one token. */
#ifndef NAS_COMMON_SWAP_H
#define NAS_COMMON_SWAP_H

#include "arithmetic.h"
#include "philox.h"

namespace nas {

/* (s - low) / (high - low) in float64, 0 where high = low. Never -0: of zeros of both signs `low` is either,
 * by the order of comparing, and -0 - 0 is -0 until 0 is added. */
NAS_HD double minmax(float s, float low, float high) {
  if (!(low < high)) return 0.0;
  return div64(add64(sub64((double)s, (double)low), 0.0), sub64((double)high, (double)low));
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

/* The bucket, 0..buckets-1, of a score. A score above another one is in the same bucket or an earlier one. */
NAS_HD int32_t bucket_of(double score, int32_t buckets) {
  const int32_t place = (int32_t)mul64(score, (double)buckets); /* scores: 0 to about 1 */
  return place < buckets ? buckets - 1 - place : 0;
}

/* A gain as a share, 0 to 1, of the largest finite one, which is above 0, for bucket_of: keeps the order. */
NAS_HD double gain_share(double gain, double largest) {
  return gain > largest ? 1.0 : div64(gain, largest);
}

/* Bitmap over codes: bit (z & 31) of word z >> 5. */
NAS_HD bool is_present(const uint32_t *present, int32_t z) {
  return (present[z >> 5] >> (z & 31)) & 1u;
}

/* Whether an entry of a list, -1..K-1, is a candidate of an image that has the codes in `present`. */
NAS_HD bool is_candidate(const uint32_t *present, int32_t entry) {
  return entry >= 0 && !is_present(present, entry);
}

/* The position in the counter of the draw of a donor, apart from those of codes in images of up to 2^24
 * tokens. */
NAS_HD uint32_t donor_coordinate(int32_t position) { return ((uint32_t)1 << 24) + (uint32_t)position; }

/* (v - e_z) + e_{z'} in float32, rounded after each operation. */
NAS_HD float residual_swap(float v, float codeword, float substitute) {
  return add32(sub32(v, codeword), substitute);
}

/* For divisions by 1..4096 that cost a product. In the ranges stated the rounding of the reciprocal adds
 * less than 1/value to a quotient, so that it does not reach the next whole number. */
struct Divisor {
  uint64_t reciprocal;       /* 2^63 / value, rounded up */
  uint32_t small_reciprocal; /* 2^31 / value, rounded up */
  uint32_t value;
};

NAS_HD Divisor divisor(uint32_t value) {
  return Divisor{(((uint64_t)1 << 63) + value - 1) / value,
                 (uint32_t)((((uint64_t)1 << 31) + value - 1) / value), value};
}

/* n / by.value for n below 2^51. */
NAS_HD uint64_t quotient(uint64_t n, const Divisor &by) { return high_product(2 * n, by.reciprocal); }

/* The same for n below 2^19. */
NAS_HD uint32_t small_quotient(uint32_t n, const Divisor &by) {
  return (uint32_t)((uint64_t)(2 * n) * by.small_reciprocal >> 32);
}

}  // namespace nas

#endif
