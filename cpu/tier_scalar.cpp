/* The scalar tier: the definitions, written out. */
#include "../common/distance.h"
#include "../common/elements.h"
#include "../common/update.h"
#include "tier.h"

namespace nas {
namespace {

double distance(const float *x, const float *y, int64_t d) { return canonical_distance(x, y, d); }

void distances(const float *x, const float *y, int64_t count, int64_t d, double *out) {
  for (int64_t j = 0; j < count; ++j) out[j] = canonical_distance(x, y + j * d, d);
}

void distances_of(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                  double *out) {
  for (int64_t c = 0; c < count; ++c) out[c] = canonical_distance(x, y + codes[c] * d, d);
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

float element(const void *x, int32_t type, int64_t i) {
  if (type == NAS_FLOAT32) return static_cast<const float *>(x)[i];
  const uint16_t bits = static_cast<const uint16_t *>(x)[i];
  return type == NAS_BFLOAT16 ? widen_bfloat16(bits) : widen_float16(bits);
}

bool update_code(const CodeUpdate &u, int64_t first, int64_t last) {
  bool finite = true;
  for (int64_t t = first; t < last; ++t) {
    double sum = u.start == nullptr ? 0.0 : u.start[t];
    for (int64_t r = u.begin; r < u.end; ++r) {
      sum = add64(sum, (double)element(u.x, u.type, u.order[r] * u.row_stride + t));
    }
    if (u.sums != nullptr) {
      u.sums[t] = sum;
      continue;
    }
    u.next_m[t] = momentum_sum(u.gamma, u.m[t], sum);
    u.next_e[t] = codeword_element(u.next_m[t], u.h);
    finite &= is_finite(u.next_e[t]);
  }
  return finite;
}

}  // namespace

const Tier kScalarTier = {
    "scalar", NAS_CPU_TIER_SCALAR, distance, distances, distances_of, nullptr, all_finite, widen, 0,
    nullptr, nullptr, nullptr, nullptr, 0, 1, kFine, nullptr, nullptr, update_code};

}  // namespace nas
