/* The momentum update: sums by code, then one step of every codeword. */
#include "../common/update.h"

#include <algorithm>
#include <atomic>

#include "../common/elements.h"
#include "calls.h"
#include "codebook.h"
#include "failures.h"
#include "float_environment.h"
#include "memory.h"
#include "parallel.h"
#include "screen.h"
#include "tier.h"

namespace nas {
namespace {

/* Feature rows and their codes, as a caller gave them. */
struct Batch {
  const void *x;
  int32_t type;
  int64_t rows, row_stride;
  const int32_t *codes;

};

struct Momentum {
  double gamma, epsilon, dead_threshold;
};

/* Below this many elements a call is over before another thread has woken up. */
const int64_t kWorthThreads = 1 << 14;

/* A code without rows costs about as much as this many rows: m is read, m and e are written. */
const int64_t kCodeCost = 3;

/* Whether new values go past the caches: memory need not be read then only to
 * be overwritten. Rows of whole cache lines are aligned like the first. */
bool worth_streaming(int64_t K, int64_t d) { return d % 16 == 0 && K * d >= 1 << 20; }

nas_status check_batch(const char *function, const Batch &batch, int64_t d) {
  NAS_TRY(check_rows(function, "x", batch.x, batch.type, batch.rows, batch.row_stride, d));
  if (batch.rows == 0) return NAS_OK;
  return check_pointer(function, "codes", batch.codes, alignof(int32_t));
}

nas_status check_momentum(const char *function, const Momentum &momentum) {
  if (!(momentum.gamma >= 0.0 && momentum.gamma < 1.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: gamma is %g, must be at least 0 and below 1", function,
                momentum.gamma);
  }
  if (!(momentum.epsilon > 0.0) || !is_finite(momentum.epsilon)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: epsilon is %g, must be above 0 and finite", function,
                momentum.epsilon);
  }
  if (!(momentum.dead_threshold >= 0.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: dead_threshold is %g, must be at least 0", function,
                momentum.dead_threshold);
  }
  return NAS_OK;
}

/* Finite elements have no exponent of ones only. */
bool all_finite16(const uint16_t *x, int64_t count, uint16_t exponent) {
  uint16_t bad = 0;
  for (int64_t t = 0; t < count; ++t) bad |= (uint16_t)((x[t] & exponent) == exponent);
  return bad == 0;
}

bool row_finite(const Tier &tier, const Batch &batch, int64_t row, int64_t d) {
  if (batch.type == NAS_FLOAT32) {
    return tier.all_finite(static_cast<const float *>(batch.x) + row * batch.row_stride, d);
  }
  return all_finite16(static_cast<const uint16_t *>(batch.x) + row * batch.row_stride, d,
                      batch.type == NAS_BFLOAT16 ? 0x7f80 : 0x7c00);
}

/* The lowest row below `limit` that is not finite, or `limit`. */
int64_t first_bad_row(const Tier &tier, const Batch &batch, int64_t limit, int64_t d, int threads) {
  std::atomic<int64_t> bad{limit};
  const int64_t block = 256;
  auto check = [&](int64_t task, int) {
    const int64_t from = task * block, to = limit - from < block ? limit : from + block;
    for (int64_t i = from; i < to && i < bad.load(std::memory_order_relaxed); ++i) {
      if (row_finite(tier, batch, i, d)) continue;
      int64_t seen = bad.load(std::memory_order_relaxed);
      while (i < seen && !bad.compare_exchange_weak(seen, i, std::memory_order_relaxed)) {
      }
    }
  };
  parallel((limit + block - 1) / block, threads, check);
  return bad.load();
}

nas_status fail_code(const char *function, const Batch &batch, int64_t row, int64_t K,
                     int64_t *bad_row) {
  if (bad_row != nullptr) *bad_row = row;
  return fail(NAS_INVALID_ARGUMENT, "%s: codes[%lld] is %d, must be 0 to %lld", function,
              (long long)row, (int)batch.codes[row], (long long)K - 1);
}

nas_status fail_row(const char *function, int64_t row, int64_t *bad_row) {
  if (bad_row != nullptr) *bad_row = row;
  return fail(NAS_NON_FINITE, "%s: row %lld of x has a NaN or an infinity", function, (long long)row);
}

/* The rows by code: order[start[z]..start[z+1]) are those of code z, ascending. */
struct Groups {
  Buffer<int64_t> start, order;

  bool allocate(int64_t K, int64_t rows) { return start.allocate(K + 2) && order.allocate(rows); }

  /* Counts the codes. Returns the first row whose code is out of range, or the number of rows. */
  int64_t count(const Batch &batch, int64_t K) {
    std::fill_n(start.get(), K + 2, 0);
    int64_t *counts = start.get() + 2;
    for (int64_t i = 0; i < batch.rows; ++i) {
      if ((uint32_t)batch.codes[i] >= (uint32_t)K) return i;
      ++counts[batch.codes[i]];
    }
    return batch.rows;
  }

  /* Of code z between count() and sort(). */
  int64_t counted(int64_t z) const { return start[z + 2]; }

  void sort(const Batch &batch, int64_t K) {
    for (int64_t z = 2; z < K + 2; ++z) start[z] += start[z - 1];
    int64_t *next = start.get() + 1;
    for (int64_t i = 0; i < batch.rows; ++i) order[next[batch.codes[i]]++] = i;
  }
};

/* Runs body(z, first, last) for every code and all columns, in ranges of codes with about the same
 * work. Where one code has much of it, the columns are divided too. */
template <typename F>
void for_codes(int64_t K, int64_t d, const int64_t *start, int64_t largest, int threads, F &body) {
  const int64_t rows = start == nullptr ? 0 : start[K], total = rows + kCodeCost * K;
  const int64_t ranges = threads == 1 ? 1 : std::min<int64_t>(K, 8 * threads);
  int64_t strip = d;
  if (threads > 1 && largest > total / (2 * threads)) {
    strip = std::max<int64_t>(64, (d / (2 * threads) + 63) / 64 * 64);
  }
  const int64_t strips = (d + strip - 1) / strip;
  auto first_code = [&](int64_t range) {
    int64_t low = 0, high = K;
    while (low < high) {
      const int64_t z = (low + high) / 2;
      const int64_t before = kCodeCost * z + (start == nullptr ? 0 : start[z]);
      if (before < total / ranges * range) {
        low = z + 1;
      } else {
        high = z;
      }
    }
    return low;
  };
  auto run = [&](int64_t task, int) {
    const int64_t range = task / strips, first = task % strips * strip;
    const int64_t end = range + 1 == ranges ? K : first_code(range + 1);
    for (int64_t z = first_code(range); z < end; ++z) body(z, first, std::min(first + strip, d));
  };
  parallel(ranges * strips, threads, run);
}

/* The parts of an update that all codes share. */
CodeUpdate common_part(const Batch &batch, const Groups &groups, int64_t d) {
  CodeUpdate update{};
  update.x = batch.x;
  update.type = batch.type;
  update.row_stride = batch.row_stride;
  update.order = groups.order.get();
  update.rows = batch.rows;
  /* Some KiB ahead of the rows being added, which leaves room in the first-level cache. */
  const int64_t row_bytes = std::min<int64_t>(d, 1024) * (int64_t)element_bytes(batch.type);
  update.ahead = std::max<int64_t>(4, std::min<int64_t>(32, 12288 / row_bytes));
  return update;
}

/* counts[z] += 1 for every row. */
double add_ones(double count, int64_t rows) {
  const double most = 9007199254740992.0; /* 2^53 */
  if (count >= 0.0 && count + (double)rows <= most && count == (double)(int64_t)count) {
    return count + (double)rows; /* exact, and so is every step by 1 */
  }
  for (int64_t r = 0; r < rows; ++r) count = add64(count, 1.0);
  return count;
}

/* Writes the new n, and returns their sum in ascending order. */
template <typename F>
double step_counts(nas_codebook &codebook, double gamma, F count) {
  for (int64_t j = 0; j < codebook.K; ++j) {
    codebook.next_n[j] = momentum(gamma, codebook.n[j], count(j));
  }
  return sum_counts(&codebook.next_n[0], codebook.K);
}

/* The lowest code whose new n or codeword is not finite, or K. */
int64_t first_bad_code(const nas_codebook &codebook, const Tier &tier) {
  int64_t j = 0;
  while (j < codebook.K && is_finite(codebook.next_n[j]) &&
         tier.all_finite(&codebook.next_e[j * codebook.d], codebook.d)) {
    ++j;
  }
  return j;
}

/* Makes the new values the codebook's own. */
void commit(nas_codebook &codebook, double dead_threshold) {
  for (int64_t j = 0; j < codebook.K; ++j) {
    codebook.dead_steps[j] =
        next_dead_steps(codebook.next_n[j], dead_threshold, codebook.dead_steps[j]);
  }
  codebook.n.swap(codebook.next_n);
  codebook.m.swap(codebook.next_m);
  codebook.e.swap(codebook.next_e);
  invalidate(codebook);
}

}  // namespace

bool allocate_next(nas_codebook &codebook) {
  const int64_t elements = codebook.K * codebook.d;
  return (codebook.next_n.get() != nullptr || codebook.next_n.allocate(codebook.K)) &&
         (codebook.next_m.get() != nullptr || codebook.next_m.allocate(elements)) &&
         (codebook.next_e.get() != nullptr || codebook.next_e.allocate(elements));
}

}  // namespace nas

using namespace nas;

nas_status nas_accumulate(const nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                          int64_t row_stride, const int32_t *codes, double *counts, double *sums,
                          int64_t *bad_row, void *stream) {
  static const char *const function = "nas_accumulate";
  if (bad_row != nullptr) *bad_row = -1;
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  const int64_t K = codebook->K, d = codebook->d;
  const Batch batch{x, type, rows, row_stride, codes};
  NAS_TRY(check_stream(function, stream));
  NAS_TRY(check_batch(function, batch, d));
  NAS_TRY(check_pointer(function, "counts", counts, alignof(double)));
  NAS_TRY(check_pointer(function, "sums", sums, alignof(double)));
  if (rows == 0) return NAS_OK;
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int threads = rows * d < kWorthThreads ? 1 : thread_limit();

  Groups groups;
  if (!groups.allocate(K, rows)) {
    return out_of_memory(function, (rows + K) * (int64_t)sizeof(int64_t));
  }
  const int64_t bad_code = groups.count(batch, K);
  const int64_t bad = first_bad_row(tier, batch, bad_code, d, threads);
  if (bad < bad_code) return fail_row(function, bad, bad_row);
  if (bad_code < rows) return fail_code(function, batch, bad_code, K, bad_row);

  int64_t largest = 0;
  for (int64_t z = 0; z < K; ++z) {
    largest = std::max(largest, groups.counted(z));
    counts[z] = add_ones(counts[z], groups.counted(z));
  }
  groups.sort(batch, K);
  const CodeUpdate common = common_part(batch, groups, d);
  auto add = [&](int64_t z, int64_t first, int64_t last) {
    CodeUpdate update = common;
    update.begin = groups.start[z];
    update.end = groups.start[z + 1];
    if (update.begin == update.end) return;
    update.sums = sums + z * d;
    update.start = update.sums;
    tier.update_code(update, first, last);
  };
  for_codes(K, d, groups.start.get(), largest, threads, add);
  return NAS_OK;
}

nas_status nas_apply(nas_codebook *codebook, const double *counts, const double *sums, double gamma,
                     double epsilon, double dead_threshold, void *stream) {
  static const char *const function = "nas_apply";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "counts", counts, alignof(double)));
  NAS_TRY(check_pointer(function, "sums", sums, alignof(double)));
  NAS_TRY(check_stream(function, stream));
  NAS_TRY(check_momentum(function, {gamma, epsilon, dead_threshold}));
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int64_t K = codebook->K, d = codebook->d;
  if (!allocate_next(*codebook)) {
    return out_of_memory(function, 2 * K * d * (int64_t)sizeof(float));
  }
  const double S = step_counts(*codebook, gamma, [&](int64_t j) { return counts[j]; });
  std::atomic<bool> finite{true};
  auto step = [&](int64_t j, int64_t first, int64_t last) {
    CodeUpdate update{};
    update.start = sums + j * d;
    update.m = &codebook->m[j * d];
    update.next_m = &codebook->next_m[j * d];
    update.next_e = &codebook->next_e[j * d];
    update.stream = worth_streaming(K, d);
    update.gamma = gamma;
    update.h = smoothed_count(codebook->next_n[j], S, K, epsilon);
    if (!tier.update_code(update, first, last)) finite.store(false, std::memory_order_relaxed);
  };
  for_codes(K, d, nullptr, 0, K * d < kWorthThreads ? 1 : thread_limit(), step);
  if (!finite.load()) {
    const int64_t bad = first_bad_code(*codebook, tier);
    return fail(NAS_NON_FINITE,
                "%s: codeword %lld would not be finite; check its counts and sums (counts %g)",
                function, (long long)bad, counts[bad]);
  }
  commit(*codebook, dead_threshold);
  return NAS_OK;
}

nas_status nas::update_all(const char *function, nas_codebook *codebook, const void *x, int32_t type,
                           int64_t rows, int64_t row_stride, const int32_t *codes, double gamma,
                           double epsilon, double dead_threshold, nas_verdict *verdict, void *stream) {
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  const int64_t K = codebook->K, d = codebook->d;
  const Batch batch{x, type, rows, row_stride, codes};
  NAS_TRY(check_stream(function, stream));
  NAS_TRY(check_batch(function, batch, d));
  NAS_TRY(check_momentum(function, {gamma, epsilon, dead_threshold}));
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int threads = (rows + K) * d < kWorthThreads ? 1 : thread_limit();

  Groups groups;
  if (!groups.allocate(K, rows) || !allocate_next(*codebook)) {
    return out_of_memory(function, rows * (int64_t)sizeof(int64_t) +
                                       2 * K * d * (int64_t)sizeof(float));
  }
  const int64_t bad_code = groups.count(batch, K);
  if (bad_code < rows) {
    const int64_t bad = first_bad_row(tier, batch, bad_code, d, threads);
    return bad < bad_code
               ? judge(verdict, fail_row(function, bad, nullptr), bad)
               : judge(verdict, fail_code(function, batch, bad_code, K, nullptr), bad_code);
  }
  int64_t largest = 0;
  const double S = step_counts(*codebook, gamma, [&](int64_t z) {
    largest = std::max(largest, groups.counted(z));
    return (double)groups.counted(z);
  });
  groups.sort(batch, K);

  /* Every row is read once: a sum of finite float32 values in float64 cannot overflow, so that a row
   * that is not finite shows in its codeword. */
  const CodeUpdate common = common_part(batch, groups, d);
  std::atomic<bool> finite{true};
  auto step = [&](int64_t z, int64_t first, int64_t last) {
    CodeUpdate update = common;
    update.begin = groups.start[z];
    update.end = groups.start[z + 1];
    update.m = &codebook->m[z * d];
    update.next_m = &codebook->next_m[z * d];
    update.next_e = &codebook->next_e[z * d];
    update.stream = worth_streaming(K, d);
    update.gamma = gamma;
    update.h = smoothed_count(codebook->next_n[z], S, K, epsilon);
    if (!tier.update_code(update, first, last)) finite.store(false, std::memory_order_relaxed);
  };
  for_codes(K, d, groups.start.get(), largest, threads, step);
  if (!finite.load()) {
    const int64_t bad = first_bad_row(tier, batch, rows, d, threads);
    if (bad < rows) return judge(verdict, fail_row(function, bad, nullptr), bad);
    const int64_t code = first_bad_code(*codebook, tier);
    return judge(verdict,
                 fail(NAS_NON_FINITE, "%s: codeword %lld would not be finite (%lld rows)", function,
                      (long long)code, (long long)(groups.start[code + 1] - groups.start[code])),
                 -1);
  }
  commit(*codebook, dead_threshold);
  return NAS_OK;
}

nas_status nas_update(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                      int64_t row_stride, const int32_t *codes, double gamma, double epsilon,
                      double dead_threshold, int64_t *bad_row, void *stream) {
  if (bad_row != nullptr) *bad_row = -1;
  nas_verdict verdict{NAS_OK, -1};
  NAS_TRY(update_all("nas_update", codebook, x, type, rows, row_stride, codes, gamma, epsilon,
                     dead_threshold, &verdict, stream));
  if (bad_row != nullptr) *bad_row = verdict.bad_row;
  return (nas_status)verdict.status;
}
