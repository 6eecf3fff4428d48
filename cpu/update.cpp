/* The momentum update: sums by code, then one step of every codeword. */
#include "../common/update.h"

#include <atomic>

#include "screen.h"

using namespace nas;

nas_status nas_accumulate(const nas_codebook *codebook, const float *x, int64_t rows,
                          int64_t row_stride, const int32_t *codes, double *counts, double *sums,
                          int64_t *bad_row, void *stream) {
  static const char *const function = "nas_accumulate";
  if (bad_row != nullptr) *bad_row = -1;
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  const int64_t K = codebook->K, d = codebook->d;
  NAS_TRY(check_rows(function, "x", x, NAS_FLOAT32, rows, row_stride, d));
  NAS_TRY(check_stream(function, stream));
  NAS_TRY(check_pointer(function, "counts", counts, alignof(double)));
  NAS_TRY(check_pointer(function, "sums", sums, alignof(double)));
  if (rows == 0) return NAS_OK;
  NAS_TRY(check_pointer(function, "codes", codes, alignof(int32_t)));
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int threads = rows * d < 1 << 14 ? 1 : thread_limit();

  int64_t bad_code = rows;
  for (int64_t i = 0; i < rows; ++i) {
    if (codes[i] < 0 || codes[i] >= K) {
      bad_code = i;
      break;
    }
  }
  std::atomic<int64_t> bad_value{rows};
  const int64_t block = 256;
  auto check = [&](int64_t task, int) {
    const int64_t from = task * block, to = rows - from < block ? rows : from + block;
    for (int64_t i = from; i < to && i < bad_value.load(std::memory_order_relaxed); ++i) {
      if (tier.all_finite(x + i * row_stride, d)) continue;
      int64_t seen = bad_value.load(std::memory_order_relaxed);
      while (i < seen && !bad_value.compare_exchange_weak(seen, i, std::memory_order_relaxed)) {
      }
    }
  };
  parallel((rows + block - 1) / block, threads, check);
  const int64_t first_bad = bad_value.load();
  if (bad_code < rows && bad_code <= first_bad) {
    if (bad_row != nullptr) *bad_row = bad_code;
    return fail(NAS_INVALID_ARGUMENT, "%s: codes[%lld] is %d, must be 0 to %lld", function,
                (long long)bad_code, (int)codes[bad_code], (long long)K - 1);
  }
  if (first_bad < rows) {
    if (bad_row != nullptr) *bad_row = first_bad;
    return fail(NAS_NON_FINITE, "%s: row %lld of x has a NaN or an infinity", function,
                (long long)first_bad);
  }

  /* Stable counting sort: order[start[z]..start[z+1]) are the rows of code z, ascending. */
  Buffer<int64_t> start, order;
  if (!start.allocate(K + 2) || !order.allocate(rows)) {
    return out_of_memory(function, (rows + K) * (int64_t)sizeof(int64_t));
  }
  for (int64_t z = 0; z < K + 2; ++z) start[z] = 0;
  for (int64_t i = 0; i < rows; ++i) ++start[codes[i] + 2];
  for (int64_t z = 2; z < K + 2; ++z) start[z] += start[z - 1];
  for (int64_t i = 0; i < rows; ++i) order[start[codes[i] + 1]++] = i;

  for (int64_t z = 0; z < K; ++z) {
    for (int64_t r = start[z]; r < start[z + 1]; ++r) counts[z] = add64(counts[z], 1.0);
  }
  /* Every sum belongs to one task: a strip of the width and a range of the codes. */
  const int64_t strip = 128, ranges = K < 32 ? K : 32;
  auto add = [&](int64_t task, int) {
    const int64_t t0 = task / ranges * strip, width = d - t0 < strip ? d - t0 : strip;
    const int64_t range = task % ranges;
    for (int64_t z = K * range / ranges; z < K * (range + 1) / ranges; ++z) {
      for (int64_t r = start[z]; r < start[z + 1]; ++r) {
        tier.add_row(sums + z * d + t0, x + order[r] * row_stride + t0, width);
      }
    }
  };
  parallel((d + strip - 1) / strip * ranges, threads, add);
  return NAS_OK;
}

nas_status nas_apply(nas_codebook *codebook, const double *counts, const double *sums, double gamma,
                     double epsilon, double dead_threshold, void *stream) {
  static const char *const function = "nas_apply";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "counts", counts, alignof(double)));
  NAS_TRY(check_pointer(function, "sums", sums, alignof(double)));
  NAS_TRY(check_stream(function, stream));
  if (!(gamma >= 0.0 && gamma < 1.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: gamma is %g, must be at least 0 and below 1", function,
                gamma);
  }
  if (!(epsilon > 0.0) || !is_finite(epsilon)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: epsilon is %g, must be above 0 and finite", function,
                epsilon);
  }
  if (!(dead_threshold >= 0.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: dead_threshold is %g, must be at least 0", function,
                dead_threshold);
  }
  FloatEnvironment environment;
  const int64_t K = codebook->K, d = codebook->d;
  const int threads = K * d < 1 << 14 ? 1 : thread_limit();
  Buffer<double> n;
  if (!n.allocate(K)) return out_of_memory(function, K * (int64_t)sizeof(double));
  double S = 0.0;
  for (int64_t j = 0; j < K; ++j) {
    n[j] = momentum(gamma, codebook->n[j], counts[j]);
    S = j == 0 ? n[j] : add64(S, n[j]);
  }

  /* The values are computed twice, first to see that all are finite. */
  std::atomic<int64_t> bad{K};
  auto check = [&](int64_t j, int) {
    const double h = smoothed_count(n[j], S, K, epsilon);
    bool finite = is_finite(n[j]);
    for (int64_t t = 0; t < d; ++t) {
      const float m = momentum_sum(gamma, codebook->m[j * d + t], sums[j * d + t]);
      finite &= is_finite(m) && is_finite(codeword_element(m, h));
    }
    if (finite) return;
    int64_t seen = bad.load(std::memory_order_relaxed);
    while (j < seen && !bad.compare_exchange_weak(seen, j, std::memory_order_relaxed)) {
    }
  };
  parallel(K, threads, check);
  if (bad.load() < K) {
    return fail(NAS_NON_FINITE,
                "%s: codeword %lld would not be finite; check its counts and sums (counts %g)",
                function, (long long)bad.load(), counts[bad.load()]);
  }
  auto commit = [&](int64_t j, int) {
    const double h = smoothed_count(n[j], S, K, epsilon);
    for (int64_t t = 0; t < d; ++t) {
      const float m = momentum_sum(gamma, codebook->m[j * d + t], sums[j * d + t]);
      codebook->m[j * d + t] = m;
      codebook->e[j * d + t] = codeword_element(m, h);
    }
    codebook->n[j] = n[j];
    codebook->dead_steps[j] = next_dead_steps(n[j], dead_threshold, codebook->dead_steps[j]);
  };
  parallel(K, threads, commit);
  invalidate(*codebook);
  return NAS_OK;
}
