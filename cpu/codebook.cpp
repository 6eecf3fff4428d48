/* Creating, reading, writing and restarting codewords. */
#include <string.h>

#include <new>

#include "../common/arithmetic.h"
#include "codebook.h"
#include "failures.h"
#include "float_environment.h"
#include "screen.h"
#include "tier.h"

namespace nas {

/* The first of `count` vectors of width d that is not finite, or -1. */
static int64_t first_non_finite(const Tier &tier, const float *vectors, int64_t count, int64_t d) {
  for (int64_t j = 0; j < count; ++j) {
    if (!tier.all_finite(vectors + j * d, d)) return j;
  }
  return -1;
}

}  // namespace nas

using namespace nas;

nas_status nas_codebook_create(const float *codewords, int64_t K, int64_t d, int64_t *bad_row,
                               void *stream, nas_codebook **codebook) {
  static const char *const function = "nas_codebook_create";
  if (bad_row != nullptr) *bad_row = -1;
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(void *)));
  NAS_TRY(check_pointer(function, "codewords", codewords, alignof(float)));
  NAS_TRY(check_stream(function, stream));
  if (K < 1 || K > NAS_MAX_CODEWORDS) {
    return fail(NAS_INVALID_ARGUMENT, "%s: K is %lld, must be 1 to %d codewords", function,
                (long long)K, NAS_MAX_CODEWORDS);
  }
  if (d < 1 || d > NAS_MAX_WIDTH) {
    return fail(NAS_INVALID_ARGUMENT, "%s: d is %lld, must be a width of 1 to %d", function,
                (long long)d, NAS_MAX_WIDTH);
  }
  FloatEnvironment environment;
  int64_t bad = first_non_finite(current_tier(), codewords, K, d);
  if (bad >= 0) {
    if (bad_row != nullptr) *bad_row = bad;
    return fail(NAS_NON_FINITE, "%s: codeword %lld has a NaN or an infinity", function,
                (long long)bad);
  }
  nas_codebook *created = new (std::nothrow) nas_codebook;
  if (created == nullptr) return out_of_memory(function, sizeof(nas_codebook));
  created->K = K;
  created->d = d;
  if (!created->e.allocate(K * d) || !created->m.allocate(K * d) || !created->n.allocate(K) ||
      !created->dead_steps.allocate(K)) {
    delete created;
    return out_of_memory(function, 3 * K * d * (int64_t)sizeof(float));
  }
  memcpy(created->e.get(), codewords, (size_t)(K * d) * sizeof(float));
  memcpy(created->m.get(), codewords, (size_t)(K * d) * sizeof(float));
  for (int64_t j = 0; j < K; ++j) {
    created->n[j] = 1.0;
    created->dead_steps[j] = 0;
  }
  *codebook = created;
  return NAS_OK;
}

nas_status nas_codebook_close(nas_codebook *codebook) {
  delete codebook;
  return NAS_OK;
}

nas_status nas_codebook_shape(const nas_codebook *codebook, int64_t *K, int64_t *d) {
  static const char *const function = "nas_codebook_shape";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "K", K, alignof(int64_t)));
  NAS_TRY(check_pointer(function, "d", d, alignof(int64_t)));
  *K = codebook->K;
  *d = codebook->d;
  return NAS_OK;
}

/* Alignment of the optional arrays of read and write. */
static nas_status check_state(const char *function, const float *codewords, const double *n,
                              const float *m, const int32_t *dead_steps) {
  if (codewords != nullptr) {
    NAS_TRY(check_pointer(function, "codewords", codewords, alignof(float)));
  }
  if (n != nullptr) NAS_TRY(check_pointer(function, "n", n, alignof(double)));
  if (m != nullptr) NAS_TRY(check_pointer(function, "m", m, alignof(float)));
  if (dead_steps != nullptr) {
    NAS_TRY(check_pointer(function, "dead_steps", dead_steps, alignof(int32_t)));
  }
  return NAS_OK;
}

nas_status nas_codebook_read(const nas_codebook *codebook, float *codewords, double *n, float *m,
                             int32_t *dead_steps, void *stream) {
  static const char *const function = "nas_codebook_read";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_state(function, codewords, n, m, dead_steps));
  NAS_TRY(check_stream(function, stream));
  const size_t K = (size_t)codebook->K, elements = K * (size_t)codebook->d;
  if (codewords != nullptr) memcpy(codewords, codebook->e.get(), elements * sizeof(float));
  if (n != nullptr) memcpy(n, codebook->n.get(), K * sizeof(double));
  if (m != nullptr) memcpy(m, codebook->m.get(), elements * sizeof(float));
  if (dead_steps != nullptr) memcpy(dead_steps, codebook->dead_steps.get(), K * sizeof(int32_t));
  return NAS_OK;
}

nas_status nas_codebook_write(nas_codebook *codebook, const float *codewords, const double *n,
                              const float *m, const int32_t *dead_steps, void *stream) {
  static const char *const function = "nas_codebook_write";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_state(function, codewords, n, m, dead_steps));
  NAS_TRY(check_stream(function, stream));
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int64_t K = codebook->K, d = codebook->d;
  if (codewords != nullptr) {
    int64_t bad = first_non_finite(tier, codewords, K, d);
    if (bad >= 0) {
      return fail(NAS_NON_FINITE, "%s: codeword %lld has a NaN or an infinity", function,
                  (long long)bad);
    }
  }
  if (n != nullptr) {
    for (int64_t j = 0; j < K; ++j) {
      if (!is_finite(n[j])) {
        return fail(NAS_NON_FINITE, "%s: n[%lld] is not finite", function, (long long)j);
      }
      if (n[j] < 0) {
        return fail(NAS_INVALID_ARGUMENT, "%s: n[%lld] is %g, must not be negative", function,
                    (long long)j, n[j]);
      }
    }
  }
  if (m != nullptr) {
    int64_t bad = first_non_finite(tier, m, K, d);
    if (bad >= 0) {
      return fail(NAS_NON_FINITE, "%s: m of codeword %lld has a NaN or an infinity", function,
                  (long long)bad);
    }
  }
  if (dead_steps != nullptr) {
    for (int64_t j = 0; j < K; ++j) {
      if (dead_steps[j] < 0) {
        return fail(NAS_INVALID_ARGUMENT, "%s: dead_steps[%lld] is %d, must not be negative",
                    function, (long long)j, (int)dead_steps[j]);
      }
    }
  }
  const size_t elements = (size_t)(K * d);
  if (n != nullptr) memcpy(codebook->n.get(), n, (size_t)K * sizeof(double));
  if (m != nullptr) memcpy(codebook->m.get(), m, elements * sizeof(float));
  if (dead_steps != nullptr) {
    memcpy(codebook->dead_steps.get(), dead_steps, (size_t)K * sizeof(int32_t));
  }
  if (codewords != nullptr) {
    memcpy(codebook->e.get(), codewords, elements * sizeof(float));
    invalidate(*codebook);
  }
  return NAS_OK;
}

nas_status nas_restart(nas_codebook *codebook, const int32_t *codes, const float *vectors,
                       int64_t count, void *stream) {
  static const char *const function = "nas_restart";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_stream(function, stream));
  const int64_t d = codebook->d;
  int64_t bytes;
  if (count < 0 || __builtin_mul_overflow(count, d * (int64_t)sizeof(float), &bytes)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: count is %lld, must be at least 0 and count * d in range",
                function, (long long)count);
  }
  if (count == 0) return NAS_OK;
  NAS_TRY(check_pointer(function, "codes", codes, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "vectors", vectors, alignof(float)));
  FloatEnvironment environment;
  for (int64_t i = 0; i < count; ++i) {
    if (codes[i] < 0 || codes[i] >= codebook->K) {
      return fail(NAS_INVALID_ARGUMENT, "%s: codes[%lld] is %d, must be 0 to %lld", function,
                  (long long)i, (int)codes[i], (long long)codebook->K - 1);
    }
  }
  int64_t bad = first_non_finite(current_tier(), vectors, count, d);
  if (bad >= 0) {
    return fail(NAS_NON_FINITE, "%s: vector %lld has a NaN or an infinity", function, (long long)bad);
  }
  for (int64_t i = 0; i < count; ++i) {
    const int64_t j = codes[i];
    memcpy(&codebook->e[j * d], vectors + i * d, (size_t)d * sizeof(float));
    memcpy(&codebook->m[j * d], vectors + i * d, (size_t)d * sizeof(float));
    codebook->n[j] = 1.0;
    codebook->dead_steps[j] = 0;
  }
  invalidate(*codebook);
  return NAS_OK;
}
