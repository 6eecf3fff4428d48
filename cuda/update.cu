/*
 * The momentum update: sums per code in row order, and the step that they drive.
 *
 * Rows are grouped by a stable least-significant-digit radix sort of their codes (8 bits a pass).
 * Thread t of a block owns digit t and walks over the block's 1,024 codes in order, so ranks need
 * no atomics and the sort is stable by construction. Then one thread per (code, column) adds the
 * code's rows in ascending order. Bound by memory: x is read twice, once to be inspected.
 */
#include <cmath>

#include "../common/elements.h"
#include "../common/update.h"
#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kDigits = 256;
constexpr int kSortTile = 1024;
constexpr int64_t kChunkRows = 1 << 20; /* rows sorted at a time: bounds the scratch memory */
constexpr int kColumns = 128;           /* columns per block of the sums */

struct Float32 {
  using Type = float;
  NAS_HD float widen(float a) { return a; }
};
struct Bfloat16 {
  using Type = uint16_t;
  NAS_HD float widen(uint16_t a) { return widen_bfloat16(a); }
};
struct Float16 {
  using Type = uint16_t;
  NAS_HD float widen(uint16_t a) { return widen_float16(a); }
};

/* A warp per row. *lowest: 2*row for a code out of range, 2*row + 1 for a non-finite row. */
template <class E>
__global__ void __launch_bounds__(256)
    accumulate_check_kernel(const typename E::Type *x, int64_t rows, int64_t row_stride, int64_t d,
                            const int32_t *codes, int64_t K, unsigned long long *lowest) {
  const int lane = (int)threadIdx.x % 32;
  const int64_t warps = (int64_t)gridDim.x * 8;
  for (int64_t row = (int64_t)blockIdx.x * 8 + threadIdx.x / 32; row < rows; row += warps) {
    bool bad = false;
    for (int64_t t = lane; t < d; t += 32) bad = bad || !is_finite(E::widen(x[row * row_stride + t]));
    if (bad) atomicMin(lowest, 2ull * (unsigned long long)row + 1ull);
    if (lane == 0 && (codes[row] < 0 || codes[row] >= K)) {
      atomicMin(lowest, 2ull * (unsigned long long)row);
    }
  }
}

/* counts[block * 256 + digit]: how many codes of the block's tile have that digit. */
__global__ void __launch_bounds__(kDigits)
    sort_count_kernel(const int32_t *codes, int64_t rows, int shift, uint32_t *counts) {
  __shared__ uint8_t digits[kSortTile];
  const int64_t first = (int64_t)blockIdx.x * kSortTile;
  const int here = (int)(rows - first < kSortTile ? rows - first : kSortTile);
  for (int i = (int)threadIdx.x; i < here; i += kDigits) {
    digits[i] = (uint8_t)((uint32_t)codes[first + i] >> shift);
  }
  __syncthreads();
  uint32_t count = 0;
  for (int i = 0; i < here; ++i) count += digits[i] == threadIdx.x ? 1u : 0u;
  counts[(int64_t)blockIdx.x * kDigits + threadIdx.x] = count;
}

/* Counts to first places, in the order (digit, block). One block. */
__global__ void __launch_bounds__(kDigits) sort_scan_kernel(uint32_t *counts, int64_t blocks) {
  __shared__ uint32_t totals[kDigits];
  uint32_t total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += counts[b * kDigits + threadIdx.x];
  totals[threadIdx.x] = total;
  __syncthreads();
  uint32_t place = 0;
  for (int digit = 0; digit < (int)threadIdx.x; ++digit) place += totals[digit];
  for (int64_t b = 0; b < blocks; ++b) {
    const uint32_t count = counts[b * kDigits + threadIdx.x];
    counts[b * kDigits + threadIdx.x] = place;
    place += count;
  }
}

/* rows_in NULL stands for 0, 1, 2, ... */
__global__ void __launch_bounds__(kDigits)
    sort_place_kernel(const int32_t *codes_in, const int32_t *rows_in, int64_t rows, int shift,
                      const uint32_t *places, int32_t *codes_out, int32_t *rows_out) {
  __shared__ int32_t tile_codes[kSortTile];
  __shared__ int32_t tile_rows[kSortTile];
  const int64_t first = (int64_t)blockIdx.x * kSortTile;
  const int here = (int)(rows - first < kSortTile ? rows - first : kSortTile);
  for (int i = (int)threadIdx.x; i < here; i += kDigits) {
    tile_codes[i] = codes_in[first + i];
    tile_rows[i] = rows_in == nullptr ? (int32_t)(first + i) : rows_in[first + i];
  }
  __syncthreads();
  uint32_t place = places[(int64_t)blockIdx.x * kDigits + threadIdx.x];
  for (int i = 0; i < here; ++i) {
    if ((((uint32_t)tile_codes[i] >> shift) & (kDigits - 1u)) == threadIdx.x) {
      codes_out[place] = tile_codes[i];
      rows_out[place] = tile_rows[i];
      ++place;
    }
  }
}

/* begins and ends of each code's run in the sorted codes; both zero beforehand, and left so where
 * *lowest says that a code may be out of range. */
__global__ void find_runs_kernel(const int32_t *codes, int64_t rows,
                                 const unsigned long long *lowest, int32_t *begins,
                                 int32_t *ends) {
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows || *lowest != kNone) return;
  const int32_t code = codes[i];
  if (i == 0 || codes[i - 1] != code) begins[code] = (int32_t)i;
  if (i == rows - 1 || codes[i + 1] != code) ends[code] = (int32_t)(i + 1);
}

/* Block (code, group of columns); a thread per column. */
template <class E>
__global__ void __launch_bounds__(kColumns)
    sum_runs_kernel(const typename E::Type *x, int64_t row_stride, int64_t d,
                    const int32_t *sorted_rows, const int32_t *begins, const int32_t *ends, double *counts, double *sums) {
  constexpr int kAhead = 8;
  const int64_t code = blockIdx.x;
  const int32_t begin = begins[code];
  const int32_t end = ends[code];
  if (begin == end) return;
  const int64_t t = (int64_t)blockIdx.y * kColumns + threadIdx.x;
  if (t < d) {
    double sum = sums[code * d + t];
    int32_t i = begin;
    for (; i + kAhead <= end; i += kAhead) {
      float value[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        value[k] = E::widen(x[(int64_t)sorted_rows[i + k] * row_stride + t]);
      }
#pragma unroll
      for (int k = 0; k < kAhead; ++k) sum = add64(sum, (double)value[k]);
    }
    for (; i < end; ++i) {
      sum = add64(sum, (double)E::widen(x[(int64_t)sorted_rows[i] * row_stride + t]));
    }
    sums[code * d + t] = sum;
  }
  if (blockIdx.y == 0 && threadIdx.x == 0) {
    double count = counts[code];
    const double added = (double)(end - begin);
    if (count == floor(count) && fabs(count) + added <= 0x1p53) {
      count += added; /* exact, and so are the steps by 1 */
    } else {
      for (int32_t i = begin; i < end; ++i) count = add64(count, 1.0);
    }
    counts[code] = count;
  }
}

__global__ void apply_counts_kernel(const double *n, const int32_t *dead, const double *counts,
                                    int64_t K, double gamma, double dead_threshold, double *next_n,
                                    int32_t *next_dead) {
  const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= K) return;
  const double value = momentum(gamma, n[j], counts[j]);
  next_n[j] = value;
  next_dead[j] = next_dead_steps(value, dead_threshold, dead[j]);
}

/* *S = n_0 + n_1 + ... ascending, then h_j. One block; thread 0 adds. */
__global__ void __launch_bounds__(256)
    apply_smooth_kernel(const double *n, int64_t K, double epsilon, double *h) {
  constexpr int kTile = 2048;
  __shared__ double tile[kTile];
  __shared__ double total;
  double sum = 0.0;
  for (int64_t first = 0; first < K; first += kTile) {
    const int here = (int)(K - first < kTile ? K - first : kTile);
    for (int i = (int)threadIdx.x; i < here; i += 256) tile[i] = n[first + i];
    __syncthreads();
    if (threadIdx.x == 0) {
      int i = 0;
      if (first == 0) sum = tile[i++];
#pragma unroll 8
      for (; i < here; ++i) sum = add64(sum, tile[i]);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) total = sum;
  __syncthreads();
  for (int64_t j = threadIdx.x; j < K; j += 256) h[j] = smoothed_count(n[j], total, K, epsilon);
}

/* Block per code. *lowest: the lowest code whose new n, m or codeword is not finite. */
__global__ void __launch_bounds__(128)
    apply_codewords_kernel(const float *m, const double *sums, const double *h,
                           const double *next_n, int64_t d, double gamma, float *next_m,
                           float *next_e, unsigned long long *lowest) {
  const int64_t j = blockIdx.x;
  bool bad = !is_finite(next_n[j]);
  for (int64_t t = threadIdx.x; t < d; t += blockDim.x) {
    const float value = momentum_sum(gamma, m[j * d + t], sums[j * d + t]);
    const float element = codeword_element(value, h[j]);
    next_m[j * d + t] = value;
    next_e[j * d + t] = element;
    bad = bad || !is_finite(value) || !is_finite(element);
  }
  if (bad) atomicMin(lowest, (unsigned long long)j);
}

struct Batch {
  const void *x;
  int32_t type;
  int64_t rows, row_stride;
  const int32_t *codes;
};

struct Momentum {
  double gamma, epsilon, dead_threshold;
};

void require_batch(const nas_codebook *codebook, const Batch &batch) {
  require_type(batch.type);
  require_rows(batch.rows, batch.row_stride, codebook->d);
}

void require_batch_memory(const nas_codebook *codebook, const Batch &batch) {
  if (batch.rows == 0) return;
  require_device(batch.x, "x", batch.type == NAS_FLOAT32 ? 4 : 2, codebook->device);
  require_device(batch.codes, "codes", 4, codebook->device);
}

void require_momentum(const Momentum &momentum) {
  if (!(momentum.gamma >= 0.0 && momentum.gamma < 1.0)) {
    fail(NAS_INVALID_ARGUMENT, "gamma is %g, outside 0 <= gamma < 1", momentum.gamma);
  }
  if (!(momentum.epsilon > 0.0) || !is_finite(momentum.epsilon)) {
    fail(NAS_INVALID_ARGUMENT, "epsilon is %g, not a finite number above 0", momentum.epsilon);
  }
  if (!(momentum.dead_threshold >= 0.0)) {
    fail(NAS_INVALID_ARGUMENT, "dead_threshold is %g, below 0", momentum.dead_threshold);
  }
}

/* The scratch arrays of add_rows. Take no less memory for more rows. */
struct SortPlan {
  int64_t chunk; /* rows at a time */
  size_t places_at, codes_at[2], rows_at[2], runs_at;

  SortPlan(Layout &layout, int64_t K, int64_t rows) {
    chunk = rows < kChunkRows ? rows : kChunkRows;
    const int64_t chunk_blocks = (chunk + kSortTile - 1) / kSortTile;
    places_at = layout.add<uint32_t>(chunk_blocks * kDigits);
    for (int i = 0; i < 2; ++i) {
      codes_at[i] = layout.add<int32_t>(chunk);
      rows_at[i] = layout.add<int32_t>(chunk);
    }
    runs_at = layout.add<int32_t>(2 * K);
  }
};

/* Launches what adds rows >= 1 to counts and sums, or nothing if the input is bad: *lowest, kNone
 * beforehand, is then as accumulate_check_kernel says. */
template <class E>
void add_rows(const nas_codebook *codebook, const Batch &batch, const SortPlan &plan,
              const Arrays &scratch, unsigned long long *lowest, double *counts, double *sums,
              cudaStream_t on) {
  const typename E::Type *x = (const typename E::Type *)batch.x;
  const int64_t K = codebook->K;
  const int64_t d = codebook->d;
  const int64_t rows = batch.rows;
  const int64_t chunk = plan.chunk;
  uint32_t *places = scratch.at<uint32_t>(plan.places_at);
  int32_t *begins = scratch.at<int32_t>(plan.runs_at);
  int32_t *ends = begins + K;

  launch("accumulate_check", accumulate_check_kernel<E>, dim3(blocks_for(rows, 8, 1 << 16)),
         dim3(256), on, x, rows, batch.row_stride, d, batch.codes, K, lowest);
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t here = rows - first < chunk ? rows - first : chunk;
    const unsigned blocks = blocks_for(here, kSortTile);
    const int32_t *from_codes = batch.codes + first;
    const int32_t *from_rows = nullptr;
    int pass = 0;
    for (int shift = 0; pass == 0 || (K - 1) >> shift != 0; shift += 8, ++pass) {
      int32_t *to_codes = scratch.at<int32_t>(plan.codes_at[pass % 2]);
      int32_t *to_rows = scratch.at<int32_t>(plan.rows_at[pass % 2]);
      launch("sort_count", sort_count_kernel, dim3(blocks), dim3(kDigits), on, from_codes, here,
             shift, places);
      launch("sort_scan", sort_scan_kernel, dim3(1), dim3(kDigits), on, places, (int64_t)blocks);
      launch("sort_place", sort_place_kernel, dim3(blocks), dim3(kDigits), on, from_codes,
             from_rows, here, shift, (const uint32_t *)places, to_codes, to_rows);
      from_codes = to_codes;
      from_rows = to_rows;
    }
    fill_bytes(begins, 0, 2 * K, on);
    launch("find_runs", find_runs_kernel, dim3(blocks_for(here, 256)), dim3(256), on, from_codes,
           here, (const unsigned long long *)lowest, begins, ends);
    launch("sum_runs", sum_runs_kernel<E>, dim3((unsigned)K, blocks_for(d, kColumns)),
           dim3(kColumns), on, x + first * batch.row_stride, batch.row_stride, d, from_rows,
           (const int32_t *)begins, (const int32_t *)ends, counts, sums);
  }
}

void add_batch(const nas_codebook *codebook, const Batch &batch, const SortPlan &plan,
               const Arrays &scratch, unsigned long long *lowest, double *counts, double *sums,
               cudaStream_t on) {
  if (batch.rows == 0) return;
  switch (batch.type) {
    case NAS_BFLOAT16:
      return add_rows<Bfloat16>(codebook, batch, plan, scratch, lowest, counts, sums, on);
    case NAS_FLOAT16:
      return add_rows<Float16>(codebook, batch, plan, scratch, lowest, counts, sums, on);
    default: return add_rows<Float32>(codebook, batch, plan, scratch, lowest, counts, sums, on);
  }
}

/* Fails where add_batch found the input bad. */
void require_good(const nas_codebook *codebook, const Batch &batch, unsigned long long bad,
                  int64_t *bad_row, cudaStream_t on) {
  if (bad == kNone) return;
  if (bad_row != nullptr) *bad_row = (int64_t)(bad / 2);
  if (bad % 2 == 0) {
    fail(NAS_INVALID_ARGUMENT, "codes[%llu] is %d, outside 0..%lld", bad / 2,
         value_at(batch.codes, bad / 2, on), (long long)(codebook->K - 1));
  }
  fail(NAS_NON_FINITE, "row %llu of x holds a NaN or an infinity", bad / 2);
}

/* Launches one step from counts and sums into codebook->next. h: K scratch values; *lowest, kNone
 * beforehand: the lowest code of which something would not be finite. */
void launch_step(const nas_codebook *codebook, const double *counts, const double *sums,
                 const Momentum &momentum, double *h, unsigned long long *lowest,
                 cudaStream_t on) {
  const int64_t K = codebook->K;
  const int64_t d = codebook->d;
  const State &state = codebook->state;
  const State &next = codebook->next;
  launch("apply_counts", apply_counts_kernel, dim3(blocks_for(K, 256)), dim3(256), on,
         (const double *)state.n, (const int32_t *)state.dead, counts, K, momentum.gamma,
         momentum.dead_threshold, next.n, next.dead);
  launch("apply_smooth", apply_smooth_kernel, dim3(1), dim3(256), on, (const double *)next.n, K,
         momentum.epsilon, h);
  launch("apply_codewords", apply_codewords_kernel, dim3((unsigned)K), dim3(128), on,
         (const float *)state.m, sums, (const double *)h, (const double *)next.n, d, momentum.gamma,
         next.m, next.e, lowest);
  build_screen(next, K, d, on);
}

/* Fails where launch_step found a code that would not be finite. */
void require_finite(unsigned long long bad, const double *counts, cudaStream_t on) {
  if (bad == kNone) return;
  fail(NAS_NON_FINITE,
       "codeword %llu would not be finite; check its counts and sums (counts %g)", bad,
       value_at(counts, bad, on));
}

/* The scratch arrays of an update. Take no less memory for more rows. */
struct Plan {
  Layout layout;
  size_t lowest_at; /* of add_batch, and of launch_step */
  size_t counts_at, sums_at, h_at;
  SortPlan sort;

  Plan(int64_t K, int64_t d, int64_t rows)
      : lowest_at(layout.add<unsigned long long>(2)),
        counts_at(layout.add<double>(K)),
        sums_at(layout.add<double>(K * d)),
        h_at(layout.add<double>(K)),
        sort(layout, K, rows) {}
};

/* Launches an update into codebook->next. */
void launch_update(const nas_codebook *codebook, const Batch &batch, const Momentum &momentum,
                   const Plan &plan, const Arrays &scratch, cudaStream_t on) {
  unsigned long long *lowest = scratch.at<unsigned long long>(plan.lowest_at);
  double *counts = scratch.at<double>(plan.counts_at);
  double *sums = scratch.at<double>(plan.sums_at);
  fill_bytes(lowest, 0xff, 2, on);
  fill_bytes(counts, 0, codebook->K, on);
  fill_bytes(sums, 0, codebook->K * codebook->d, on);
  add_batch(codebook, batch, plan.sort, scratch, &lowest[0], counts, sums, on);
  launch_step(codebook, counts, sums, momentum, scratch.at<double>(plan.h_at), &lowest[1], on);
}

/* The verdict of an update, and, if that is good, the new state in the place of the old one. A
 * state's memory is a multiple of 16 bytes. */
__global__ void __launch_bounds__(256)
    update_commit_kernel(const unsigned long long *lowest, const uint4 *next, uint4 *state,
                         int64_t count, nas_verdict *verdict) {
  const bool bad_row = lowest[0] != kNone;
  const bool bad = bad_row || lowest[1] != kNone;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    const bool bad_code = bad_row && lowest[0] % 2 == 0;
    verdict->status = !bad ? NAS_OK : bad_code ? NAS_INVALID_ARGUMENT : NAS_NON_FINITE;
    verdict->bad_row = bad_row ? (int64_t)(lowest[0] / 2) : -1;
  }
  if (bad) return;
  const int64_t stride = (int64_t)gridDim.x * 256;
  for (int64_t i = (int64_t)blockIdx.x * 256 + threadIdx.x; i < count; i += stride) {
    state[i] = next[i];
  }
}

}  // namespace

size_t update_bytes(const nas_codebook *codebook, const Reservation &most) {
  return Plan(codebook->K, codebook->d, most.rows < 0 ? 0 : most.rows).layout.bytes();
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_accumulate(const nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                          int64_t row_stride, const int32_t *codes, double *counts, double *sums,
                          int64_t *bad_row, void *stream) {
  return call("nas_accumulate", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    const Batch batch{x, type, rows, row_stride, codes};
    require_batch(codebook, batch);
    set_shape("rows %lld, K %lld, d %lld", (long long)rows, (long long)codebook->K,
              (long long)codebook->d);
    DeviceGuard guard(codebook->device);
    require_device(counts, "counts", 8, codebook->device);
    require_device(sums, "sums", 8, codebook->device);
    require_batch_memory(codebook, batch);
    if (rows == 0) return;
    cudaStream_t on = (cudaStream_t)stream;
    Layout layout;
    const size_t lowest_at = layout.add<unsigned long long>(1);
    const SortPlan plan(layout, codebook->K, rows);
    Scratch scratch(codebook->cache, layout, on);
    unsigned long long *lowest = scratch.at<unsigned long long>(lowest_at);
    fill_bytes(lowest, 0xff, 1, on);
    add_batch(codebook, batch, plan, scratch.arrays(), lowest, counts, sums, on);
    unsigned long long bad = kNone;
    fetch(&bad, lowest, 1, on);
    require_good(codebook, batch, bad, bad_row, on);
  });
}

nas_status nas_apply(nas_codebook *codebook, const double *counts, const double *sums,
                     double gamma, double epsilon, double dead_threshold, void *stream) {
  return call("nas_apply", [&] {
    require_pointer(codebook, "codebook");
    const Momentum momentum{gamma, epsilon, dead_threshold};
    require_momentum(momentum);
    set_shape("K %lld, d %lld", (long long)codebook->K, (long long)codebook->d);
    DeviceGuard guard(codebook->device);
    require_device(counts, "counts", 8, codebook->device);
    require_device(sums, "sums", 8, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    if (codebook->next.memory.data() == nullptr) codebook->next.allocate(codebook->K, codebook->d);
    Layout layout;
    const size_t lowest_at = layout.add<unsigned long long>(1);
    const size_t h_at = layout.add<double>(codebook->K);
    Scratch scratch(codebook->cache, layout, on);
    unsigned long long *lowest = scratch.at<unsigned long long>(lowest_at);
    fill_bytes(lowest, 0xff, 1, on);
    launch_step(codebook, counts, sums, momentum, scratch.at<double>(h_at), lowest, on);
    unsigned long long bad = kNone;
    fetch(&bad, lowest, 1, on);
    require_finite(bad, counts, on);
    commit(codebook, on);
  });
}

nas_status nas_update(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                      int64_t row_stride, const int32_t *codes, double gamma, double epsilon,
                      double dead_threshold, int64_t *bad_row, void *stream) {
  return call("nas_update", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    const Batch batch{x, type, rows, row_stride, codes};
    require_batch(codebook, batch);
    const Momentum momentum{gamma, epsilon, dead_threshold};
    require_momentum(momentum);
    const int64_t K = codebook->K;
    const int64_t d = codebook->d;
    set_shape("rows %lld, K %lld, d %lld", (long long)rows, (long long)K, (long long)d);
    DeviceGuard guard(codebook->device);
    require_batch_memory(codebook, batch);
    cudaStream_t on = (cudaStream_t)stream;
    if (codebook->next.memory.data() == nullptr) codebook->next.allocate(K, d);
    const Plan plan(K, d, rows);
    Scratch scratch(codebook->cache, plan.layout, on);
    launch_update(codebook, batch, momentum, plan, scratch.arrays(), on);
    unsigned long long bad[2];
    fetch(bad, scratch.at<unsigned long long>(plan.lowest_at), 2, on);
    require_good(codebook, batch, bad[0], bad_row, on);
    require_finite(bad[1], scratch.at<double>(plan.counts_at), on);
    commit(codebook, on);
  });
}

nas_status nas_update_enqueue(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, const int32_t *codes, double gamma,
                              double epsilon, double dead_threshold, nas_verdict *verdict,
                              void *stream) {
  return call("nas_update_enqueue", [&] {
    require_pointer(codebook, "codebook");
    const Batch batch{x, type, rows, row_stride, codes};
    require_batch(codebook, batch);
    const Momentum momentum{gamma, epsilon, dead_threshold};
    require_momentum(momentum);
    require_reserved_rows(codebook, type, rows);
    set_shape("rows %lld, K %lld, d %lld", (long long)rows, (long long)codebook->K,
              (long long)codebook->d);
    DeviceGuard guard(codebook->device);
    require_device(verdict, "verdict", 8, codebook->device);
    require_batch_memory(codebook, batch);
    cudaStream_t on = (cudaStream_t)stream;
    const Plan plan(codebook->K, codebook->d, rows);
    const Arrays scratch = reserved_arrays(codebook, plan.layout);
    launch_update(codebook, batch, momentum, plan, scratch, on);
    const Buffer &state = codebook->state.memory;
    const int64_t count = (int64_t)(state.bytes() / sizeof(uint4));
    launch("update_commit", update_commit_kernel, dim3(blocks_for(count, 4 * 256, 1 << 16)),
           dim3(256), on, (const unsigned long long *)scratch.at<unsigned long long>(plan.lowest_at),
           (const uint4 *)codebook->next.memory.data(), (uint4 *)state.data(), count, verdict);
  });
}

}  // extern "C"
