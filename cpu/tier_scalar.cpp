/* The scalar tier: the definitions, written out. */
#include "../common/distance.h"
#include "../common/elements.h"
#include "internal.h"

namespace nas {
namespace {

double distance(const float *x, const float *y, int64_t d) { return canonical_distance(x, y, d); }

void distances(const float *x, const float *y, int64_t count, int64_t d, double *out) {
  for (int64_t j = 0; j < count; ++j) out[j] = canonical_distance(x, y + j * d, d);
}

bool all_finite(const float *x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (!is_finite(x[i])) return false;
  }
  return true;
}

/* `type` is not NAS_FLOAT32. */
void widen(const uint16_t *x, int32_t type, int64_t count, float *out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = type == NAS_BFLOAT16 ? widen_bfloat16(x[i]) : widen_float16(x[i]);
  }
}

void add_row(double *sums, const float *x, int64_t count) {
  for (int64_t t = 0; t < count; ++t) sums[t] = add64(sums[t], (double)x[t]);
}

}  // namespace

const Tier kScalarTier = {"scalar", NAS_TIER_SCALAR, distance, distances, all_finite,
                          widen,    add_row,         0,        nullptr,   nullptr,
                          nullptr,  0,               nullptr,  nullptr};

}  // namespace nas
