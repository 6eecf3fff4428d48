/*
 * The momentum update: sums per code in row order, and the step that they drive.
 *
 * Rows are grouped by a stable least-significant-digit radix sort of their codes, 8 bits a pass: one pass up
 * to 256 codes, two beyond. Ranks within a warp come from __match_any_sync, in the order of the lanes, so that
 * the sort needs no atomics and is stable by construction. Then a thread per (code, column) adds the code's
 * rows in ascending order, and, in an update of at most kChunkRows rows, makes the new codeword of the sum at
 * once. Bound by memory: x and m are read once, m and e written once. A sum of finite float32 values in
 * float64 cannot overflow, so that a row that is not finite shows in its sum and is looked for only then.
 */
#include <cmath>
#include <type_traits>

#include "../common/elements.h"
#include "../common/update.h"
#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kDigits = 256;
constexpr int kThreads = 256; /* of a block that sorts: one for each digit */
constexpr int kWarps = kThreads / kWarp;
#if defined(NAS_EMULATION) /* so that small problems take several tiles and chunks */
constexpr int kRounds = 2;
constexpr int64_t kChunkRows = 1300;
constexpr int kLongRun = 40;
#else
constexpr int kRounds = 8;
constexpr int64_t kChunkRows = 1 << 20; /* rows sorted at a time: bounds the scratch memory */
constexpr int kLongRun = 256;           /* rows of a code beyond which blocks of their own add them */
#endif
constexpr int kSortTile = kThreads * kRounds; /* codes of a block; a warp takes kWarp * kRounds in a row */
constexpr int kStepThreads = 128;
constexpr int kElementThreads = 256; /* of a block with a thread for an element */
constexpr int kSumThreads = 64; /* of a block that adds rows; 1 or 4 columns each */
constexpr int kSumBlocks = 16;  /* of them at a time on a multiprocessor: 64 registers a thread */
constexpr int kAhead = 8;       /* rows loaded before they are added */
constexpr int kStages = 4;      /* of the ring for long runs */
constexpr int kStageRows = 16;  /* of a stage */

/* What can be wrong with a batch or a step; kNone where nothing is. */
enum Fault {
  kBadCode,     /* the lowest row whose code is out of range */
  kBadRow,      /* the lowest row that is not finite */
  kBadCodeword, /* the lowest code whose new n, m or codeword is not finite */
  kFaults
};

/* Element types: what a row holds, four of them, and their values. */
struct Float32 {
  using Type = float;
  using Four = float4;
  NAS_HD float widen(float a) { return a; }
  NAS_HD void widen(const float4 &a, float (&out)[4]) {
    out[0] = a.x;
    out[1] = a.y;
    out[2] = a.z;
    out[3] = a.w;
  }
};
template <class Self>
struct Narrow {
  using Type = uint16_t;
  using Four = uint2;
  NAS_HD void widen(const uint2 &a, float (&out)[4]) {
    out[0] = Self::widen((uint16_t)a.x);
    out[1] = Self::widen((uint16_t)(a.x >> 16));
    out[2] = Self::widen((uint16_t)a.y);
    out[3] = Self::widen((uint16_t)(a.y >> 16));
  }
};
struct Bfloat16 : Narrow<Bfloat16> {
  using Narrow<Bfloat16>::widen;
  NAS_HD float widen(uint16_t a) { return widen_bfloat16(a); }
};
struct Float16 : Narrow<Float16> {
  using Narrow<Float16>::widen;
  NAS_HD float widen(uint16_t a) { return widen_float16(a); }
};

/* kWide neighbouring elements of a row in one load: 1 or 4. */
template <class E, int kWide>
struct Piece;

template <class E>
struct Piece<E, 1> {
  typename E::Type bits;
  __device__ __forceinline__ void load(const typename E::Type *from) { bits = *from; }
  __device__ __forceinline__ void get(float (&out)[1]) const { out[0] = E::widen(bits); }
};

template <class E>
struct Piece<E, 4> {
  typename E::Four bits;
  __device__ __forceinline__ void load(const typename E::Type *from) {
    bits = *(const typename E::Four *)from;
  }
  __device__ __forceinline__ void get(float (&out)[4]) const { E::widen(bits, out); }
};

/* ---------------------------------------------------------------- the sort */

/* The codes of one lane of a block's tile, in the order of the rounds. */
struct Lane {
  int32_t code[kRounds];
  int digit[kRounds]; /* kDigits where there is no code */

  __device__ __forceinline__ void load(const int32_t *codes, int64_t rows, int shift) {
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const int64_t i = place(round);
      const bool real = i < rows;
      code[round] = real ? codes[i] : 0;
      digit[round] = real ? (int)((uint32_t)code[round] >> shift & (kDigits - 1u)) : kDigits;
    }
  }

  /* Of the lane's code of that round among all. */
  __device__ __forceinline__ static int64_t place(int round) {
    const int64_t first = (int64_t)blockIdx.x * kSortTile;
    return first + (int64_t)(threadIdx.x / kWarp * kRounds + round) * kWarp + threadIdx.x % kWarp;
  }
};

/* How often each warp of the block has each digit. The last one counts what is none. */
struct Histogram {
  uint32_t count[kWarps][kDigits + 1];

  __device__ __forceinline__ void fill(const Lane &lane) {
    const int warp = (int)threadIdx.x / kWarp;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) count[w][threadIdx.x] = 0;
    if (threadIdx.x < kWarps) count[threadIdx.x][kDigits] = 0;
    __syncthreads();
#pragma unroll
    for (int round = 0; round < kRounds; ++round) {
      const unsigned same = __match_any_sync(kAllLanes, (unsigned)lane.digit[round]);
      if (__ffs((int)same) - 1 == (int)threadIdx.x % kWarp) {
        count[warp][lane.digit[round]] += (uint32_t)__popc(same);
      }
      __syncwarp();
    }
    __syncthreads();
  }
};

/* counts[block * 256 + digit]: how many codes of the block's tile have that digit. faults[kBadCode] may be
 * NULL. */
__global__ void __launch_bounds__(kThreads)
    sort_count_kernel(const int32_t *codes, int64_t rows, int shift, int64_t K, int64_t first_row,
                      uint32_t *counts, unsigned long long *faults) {
  __shared__ Histogram histogram;
  Lane lane;
  lane.load(codes, rows, shift);
  if (faults != nullptr) {
#pragma unroll
    for (int round = kRounds - 1; round >= 0; --round) {
      if (lane.digit[round] < kDigits && (lane.code[round] < 0 || lane.code[round] >= K)) {
        atomicMin(&faults[kBadCode], (unsigned long long)(first_row + Lane::place(round)));
      }
    }
  }
  histogram.fill(lane);
  uint32_t count = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) count += histogram.count[w][threadIdx.x];
  counts[(int64_t)blockIdx.x * kDigits + threadIdx.x] = count;
}

/* Puts a tile's codes and rows at their places, with the counts of all `gridDim.x` tiles. rows_in NULL
 * stands for 0, 1, 2, ... */
__global__ void __launch_bounds__(kThreads)
    sort_place_kernel(const int32_t *codes_in, const int32_t *rows_in, int64_t rows, int shift,
                      const uint32_t *counts, int32_t *codes_out, int32_t *rows_out) {
  __shared__ Histogram histogram;
  __shared__ uint32_t totals[2][kDigits];
  const int thread = (int)threadIdx.x;
  const int warp = thread / kWarp;
  Lane lane;
  lane.load(codes_in, rows, shift);
  int32_t row[kRounds];
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const int64_t i = Lane::place(round);
    row[round] = rows_in == nullptr || i >= rows ? (int32_t)i : rows_in[i];
  }

  uint32_t before = 0; /* of this thread's digit, in the tiles before */
  uint32_t total = 0;
#pragma unroll 8
  for (unsigned b = 0; b < gridDim.x; ++b) {
    const uint32_t count = counts[(int64_t)b * kDigits + thread];
    before += b < blockIdx.x ? count : 0;
    total += count;
  }
  totals[0][thread] = total;
  histogram.fill(lane);
  int side = 0;
  for (int apart = 1; apart < kDigits; apart *= 2) { /* sums of all up to and with the own */
    totals[side ^ 1][thread] =
        totals[side][thread] + (thread >= apart ? totals[side][thread - apart] : 0);
    side ^= 1;
    __syncthreads();
  }
  uint32_t next = totals[side][thread] - total + before;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const uint32_t count = histogram.count[w][thread];
    histogram.count[w][thread] = next;
    next += count;
  }
  __syncthreads();

#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const int digit = lane.digit[round];
    const unsigned same = __match_any_sync(kAllLanes, (unsigned)digit);
    const unsigned before_own = same & ((1u << thread % kWarp) - 1u);
    const uint32_t at = histogram.count[warp][digit] + (uint32_t)__popc(before_own);
    __syncwarp();
    if (before_own == 0) histogram.count[warp][digit] += (uint32_t)__popc(same);
    __syncwarp();
    if (digit < kDigits) {
      codes_out[at] = lane.code[round];
      rows_out[at] = row[round];
    }
  }
}

/* The first of `rows` sorted codes that is not below `code`. */
__device__ __forceinline__ int32_t lower_bound(const int32_t *codes, int32_t rows, int64_t code) {
  int32_t low = 0;
  int32_t high = rows;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (codes[middle] < code) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* A code's rows among the sorted ones. */
struct __align__(8) Run {
  int32_t begin, end;
};

/* The codes with more than kLongRun rows, in any order. */
struct LongRuns {
  int32_t *last; /* index of the last one; -1 before the first */
  int32_t *codes;

  __device__ __forceinline__ void add(const Run &run, int64_t j) const {
    if (run.end - run.begin > kLongRun) codes[atomicAdd(last, 1) + 1] = (int32_t)j;
  }
};

/* The run of code j; none if a code is out of range, as the sort then has not the order of the codes. */
__device__ __forceinline__ Run find_run(const int32_t *codes, int32_t rows, int64_t j,
                                        const unsigned long long *faults) {
  if (faults[kBadCode] != kNone) return Run{0, 0};
  return Run{lower_bound(codes, rows, j), lower_bound(codes, rows, j + 1)};
}

/* count + 1 + 1 + ..., `ones` times. */
__device__ __forceinline__ double add_ones(double count, int32_t ones) {
  if (ones == 0) return count; /* -0 stays */
  if (count == floor(count) && fabs(count) + (double)ones <= 0x1p53) {
    return add64(count, (double)ones); /* exact, and so are the steps by 1 */
  }
  for (int32_t i = 0; i < ones; ++i) count = add64(count, 1.0);
  return count;
}

/* counts_out[j] = counts_in[j], or 0 where that is NULL, and 1 for every row; runs[j]. */
__global__ void find_runs_kernel(const int32_t *codes, int32_t rows, int64_t K,
                                 const unsigned long long *faults, const double *counts_in,
                                 double *counts_out, Run *runs, LongRuns long_runs) {
  const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= K) return;
  const Run run = find_run(codes, rows, j, faults);
  runs[j] = run;
  long_runs.add(run, j);
  counts_out[j] = add_ones(counts_in == nullptr ? 0.0 : counts_in[j], run.end - run.begin);
}

/* ---------------------------------------------------------------- the step */

/* gamma, epsilon and what else a step is made with. */
struct Momentum {
  double gamma, epsilon, dead_threshold;
};

/* Where a step begins and where it goes. */
struct Step {
  Momentum momentum;
  int64_t K, d;
  const double *n; /* K */
  const float *m;  /* K x d */
  const int32_t *dead;
  double *next_n;
  float *next_m;
  float *next_e;
  int32_t *next_dead;
  double *total; /* S */
  unsigned long long *faults;
};

__device__ __forceinline__ void step_count(const Step &step, int64_t j, double count) {
  const double value = momentum(step.momentum.gamma, step.n[j], count);
  step.next_n[j] = value;
  step.next_dead[j] = next_dead_steps(value, step.momentum.dead_threshold, step.dead[j]);
}

/* kWide neighbouring float32, in one access. */
template <int kWide>
__device__ __forceinline__ void load_floats(const float *from, float (&out)[kWide]) {
  if constexpr (kWide == 4) {
    Float32::widen(*(const float4 *)from, out);
  } else {
    out[0] = *from;
  }
}
template <int kWide>
__device__ __forceinline__ void store_floats(float *to, const float (&value)[kWide]) {
  if constexpr (kWide == 4) {
    *(float4 *)to = float4{value[0], value[1], value[2], value[3]};
  } else {
    *to = value[0];
  }
}

/* Elements i .. i + kWide - 1 of the new m and e, with h of their code; whether all are finite. */
template <int kWide>
__device__ __forceinline__ bool step_elements(const Step &step, int64_t i, const double (&sum)[kWide],
                                              double h) {
  float m[kWide];
  float e[kWide];
  load_floats(step.m + i, m);
  bool fine = true;
#pragma unroll
  for (int c = 0; c < kWide; ++c) {
    m[c] = momentum_sum(step.momentum.gamma, m[c], sum[c]);
    e[c] = codeword_element(m[c], h);
    fine = fine && is_finite(m[c]) && is_finite(e[c]);
  }
  store_floats(step.next_m + i, m);
  store_floats(step.next_e + i, e);
  return fine;
}

__device__ __forceinline__ double step_smooth(const Step &step, int64_t j) {
  return smoothed_count(step.next_n[j], *step.total, step.K, step.momentum.epsilon);
}

__global__ void step_counts_kernel(Step step, const double *counts) {
  const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j < step.K) step_count(step, j, counts[j]);
}

/* The same with the counts of a batch's sorted codes; runs[j]. */
__global__ void step_runs_kernel(Step step, const int32_t *codes, int32_t rows, Run *runs,
                                 LongRuns long_runs) {
  const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= step.K) return;
  const Run run = find_run(codes, rows, j, step.faults);
  runs[j] = run;
  long_runs.add(run, j);
  step_count(step, j, (double)(run.end - run.begin));
}

/* *total = S as sum_counts() adds it. One block. */
__global__ void __launch_bounds__(kSumLanes) step_total_kernel(Step step) {
  __shared__ double lanes[kSumLanes];
  const int lane = (int)threadIdx.x;
  double sum = 0.0;
#pragma unroll 8
  for (int64_t j = lane; j < step.K; j += kSumLanes) sum = add64(sum, step.next_n[j]);
  lanes[lane] = sum;
  __syncthreads();
  for (int half = kSumLanes / 2; half > 0; half /= 2) {
    if (lane < half) lanes[lane] = add64(lanes[lane], lanes[lane + half]);
    __syncthreads();
  }
  if (lane == 0) *step.total = lanes[0];
}

/* Block per code: the new m and codeword from its sums. */
__global__ void __launch_bounds__(kStepThreads) step_codewords_kernel(Step step, const double *sums) {
  const int64_t j = blockIdx.x;
  const double h = step_smooth(step, j);
  bool fine = is_finite(step.next_n[j]);
  for (int64_t t = threadIdx.x; t < step.d; t += kStepThreads) {
    const double sum[1] = {sums[j * step.d + t]};
    fine = step_elements(step, j * step.d + t, sum, h) && fine;
  }
  if (!fine) atomicMin(&step.faults[kBadCodeword], (unsigned long long)j);
}

/* ---------------------------------------------------------------- the sums */

/* What a kernel adds: the rows of sorted_rows that runs says, of x. */
struct Addends {
  const void *x;
  int64_t rows, row_stride, d;
  int64_t first_row; /* of x within the batch, for faults */
  const int32_t *sorted_rows;
  const Run *runs;
  LongRuns long_runs;
  int most_long; /* codes with long runs at most; their blocks come first */
  unsigned long long *faults;
};

/* Columns t .. t + kWide - 1 of the run's rows, added to sum in order. All threads of a warp; t < d. */
template <class E, int kWide>
__device__ __forceinline__ void add_run(const Addends &of, const Run &run, int64_t t,
                                        double (&sum)[kWide]) {
  const typename E::Type *columns = (const typename E::Type *)of.x + t;
  const int lane = (int)threadIdx.x % kWarp;
  auto add = [&](const Piece<E, kWide> &piece) {
    float value[kWide];
    piece.get(value);
#pragma unroll
    for (int c = 0; c < kWide; ++c) sum[c] = add64(sum[c], (double)value[c]);
  };
  auto row_at = [&](int32_t i) { return of.sorted_rows[i < run.end ? i : run.end - 1]; };
  int32_t row = run.begin < run.end ? row_at(run.begin + lane) : 0;
  for (int32_t begin = run.begin; begin < run.end; begin += kWarp) {
    const int count = run.end - begin < kWarp ? run.end - begin : kWarp;
    const int64_t own = row * of.row_stride;
    const unsigned low = (unsigned)own;
    const unsigned high = (unsigned)((uint64_t)own >> 32);
    auto load = [&](Piece<E, kWide> &piece, int from) {
      const uint64_t at = (uint64_t)__shfl_sync(kAllLanes, high, from) << 32 |
                          __shfl_sync(kAllLanes, low, from);
      piece.load(columns + (int64_t)at);
    };
    row = row_at(begin + kWarp + lane); /* of the next turn */
    int first = 0;
    for (; first + kAhead <= count; first += kAhead) {
      Piece<E, kWide> piece[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k) load(piece[k], first + k);
#pragma unroll
      for (int k = 0; k < kAhead; ++k) add(piece[k]);
    }
    if (first == count) continue;
    Piece<E, kWide> piece[kAhead]; /* the last row's again beyond it */
#pragma unroll
    for (int k = 0; k < kAhead; ++k) load(piece[k], (first + k) % kWarp);
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (first + k < count) add(piece[k]);
    }
  }
}

/* Where the rows of a long run pass through: a row's columns of one block. */
template <class E>
struct __align__(16) Ring {
  typename E::Type element[kStages][kStageRows][kSumThreads];
};

/* sum + column first + thread of the run's rows, in order, the rows' loads far ahead. Columns by fours, all
 * threads of the block; those beyond d get anything. */
template <class E>
__device__ __forceinline__ double add_long_run(const Addends &of, const Run &run, int64_t first,
                                               Ring<E> &ring, double sum) {
  constexpr int kFours = kSumThreads / 4;            /* pieces of a row in the ring */
  constexpr int kTurns = kStageRows * kFours / kSumThreads; /* of a thread that fills a stage */
  const int own_row = (int)threadIdx.x / kFours;
  const int own_piece = (int)threadIdx.x % kFours;
  const int64_t column = first + 4 * own_piece < of.d ? first + 4 * own_piece : 0;
  const typename E::Type *x = (const typename E::Type *)of.x + column;
  const int count = run.end - run.begin;
  const int stages = (count + kStageRows - 1) / kStageRows;
  int32_t rows[kTurns]; /* of the stage to be filled next */
  auto find_rows = [&](int stage) {
#pragma unroll
    for (int k = 0; k < kTurns; ++k) {
      const int i = stage * kStageRows + k * (kStageRows / kTurns) + own_row;
      rows[k] = of.sorted_rows[run.begin + (i < count ? i : count - 1)];
    }
  };
  auto fill = [&](int stage) {
    if (stage < stages) {
#pragma unroll
      for (int k = 0; k < kTurns; ++k) {
        copy_ahead<sizeof(typename E::Four)>(
            &ring.element[stage % kStages][k * (kStageRows / kTurns) + own_row][4 * own_piece],
            x + rows[k] * of.row_stride);
      }
      find_rows(stage + 1);
    }
    end_copies();
  };
  find_rows(0);
  for (int stage = 0; stage < kStages - 1; ++stage) fill(stage);
  for (int stage = 0; stage < stages; ++stage) {
    fill(stage + kStages - 1);
    wait_ahead<kStages - 1>();
    __syncthreads();
    const auto &from = ring.element[stage % kStages];
    const int here = count - stage * kStageRows;
    if (here >= kStageRows) {
#pragma unroll
      for (int r = 0; r < kStageRows; ++r) {
        sum = add64(sum, (double)E::widen(from[r][threadIdx.x]));
      }
    } else {
      for (int r = 0; r < here; ++r) sum = add64(sum, (double)E::widen(from[r][threadIdx.x]));
    }
    __syncthreads();
  }
  return sum;
}

/* Looks for the run's lowest row that is not finite there, if the sums are not. */
template <class E, int kWide>
__device__ __forceinline__ void check_run(const Addends &of, const Run &run, int64_t t,
                                          const double (&sum)[kWide]) {
  bool fine = true;
#pragma unroll
  for (int c = 0; c < kWide; ++c) fine = fine && is_finite(sum[c]);
  if (fine) return;
  for (int32_t i = run.begin; i < run.end; ++i) {
    Piece<E, kWide> piece;
    piece.load((const typename E::Type *)of.x + of.sorted_rows[i] * of.row_stride + t);
    float value[kWide];
    piece.get(value);
    for (int c = 0; c < kWide; ++c) fine = is_finite(value[c]) && (c == 0 || fine);
    if (fine) continue;
    atomicMin(&of.faults[kBadRow], (unsigned long long)(of.first_row + of.sorted_rows[i]));
    return;
  }
}

/* Where a code is out of range there are no runs, and a row below it may not be finite: the whole grid looks
 * through all rows then. Whether it did. */
template <class E>
__device__ __forceinline__ bool search_rows(const Addends &of) {
  if (of.faults[kBadCode] == kNone) return false;
  const typename E::Type *x = (const typename E::Type *)of.x;
  for (int64_t row = blockIdx.x; row < of.rows; row += gridDim.x) {
    bool fine = true;
    for (int64_t t = threadIdx.x; t < of.d; t += kSumThreads) {
      fine = is_finite(E::widen(x[row * of.row_stride + t])) && fine;
    }
    if (!fine) atomicMin(&of.faults[kBadRow], (unsigned long long)(of.first_row + row));
  }
  return true;
}

/* Adds up the rows of a block's code and columns: those of one code with a long run, 64 columns, or of any
 * other code, 64 * kWide. first(t, j, sum) sets the sums to begin with, zeros at
 * first; last(t, j, sum) takes them. */
template <class E, int kWide, class First, class Last>
__device__ __forceinline__ void add_rows(const Addends &of, First &&first, Last &&last) {
  if (search_rows<E>(of)) return;
  int64_t block = blockIdx.x;
  if constexpr (kWide == 4) {
    __shared__ Ring<E> ring;
    const int64_t groups = (of.d + kSumThreads - 1) / kSumThreads;
    if (block < of.most_long * groups) {
      const int64_t number = block / groups;
      if (number > *of.long_runs.last) return;
      const int64_t j = of.long_runs.codes[number];
      const Run run = of.runs[j];
      const int64_t columns = block % groups * kSumThreads;
      const int64_t t = columns + threadIdx.x;
      double sum[1] = {0.0};
      if (t < of.d) first(t, j, sum);
      sum[0] = add_long_run<E>(of, run, columns, ring, sum[0]);
      if (t >= of.d) return;
      check_run<E, 1>(of, run, t, sum);
      return last(t, j, sum);
    }
    block -= of.most_long * groups;
  }
  const int64_t groups = (of.d + kSumThreads * kWide - 1) / (kSumThreads * kWide);
  const int64_t j = block / groups;
  const Run run = of.runs[j];
  if (kWide == 4 && run.end - run.begin > kLongRun) return;
  const int64_t t = (block % groups * kSumThreads + threadIdx.x) * kWide;
  const bool real = t < of.d;
  double sum[kWide] = {};
  if (real) first(t, j, sum);
  add_run<E, kWide>(of, run, real ? t : 0, sum);
  if (!real) return;
  check_run<E, kWide>(of, run, t, sum);
  last(t, j, sum);
}

/* out = in + the codes' rows; `in` NULL stands for zeros. Codes without rows are left out unless `whole`. */
template <class E, int kWide>
__global__ void __launch_bounds__(kSumThreads, kSumBlocks)
    sum_runs_kernel(Addends of, const double *in, double *out, bool whole) {
  add_rows<E, kWide>(
      of,
      [=](int64_t t, int64_t j, auto &sum) {
        if (in == nullptr) return; /* zeros already */
        const double *from = in + j * of.d + t;
        for (double &value : sum) value = *from++;
      },
      [=](int64_t t, int64_t j, const auto &sum) {
        const Run run = of.runs[j];
        if (!whole && run.begin == run.end) return;
        double *to = out + j * of.d + t;
        for (const double value : sum) *to++ = value;
      });
}

/* The same, and the step in one: the sums are not stored. */
template <class E, int kWide>
__global__ void __launch_bounds__(kSumThreads, kSumBlocks)
    update_codewords_kernel(Addends of, Step step) {
  add_rows<E, kWide>(
      of, [](int64_t, int64_t, auto &) {},
      [=](int64_t t, int64_t j, const auto &sum) {
        const bool fine = step_elements(step, j * of.d + t, sum, step_smooth(step, j));
        if (!fine || !is_finite(step.next_n[j])) {
          atomicMin(&step.faults[kBadCodeword], (unsigned long long)j);
        }
      });
}

/* Block per code: what sum_runs made becomes the caller's, if nothing is wrong. */
__global__ void __launch_bounds__(kStepThreads)
    accumulate_commit_kernel(const unsigned long long *faults, const Run *runs, int64_t d, bool whole,
                             const double *new_counts, const double *new_sums, double *counts,
                             double *sums) {
  if (faults[kBadCode] != kNone || faults[kBadRow] != kNone) return;
  const int64_t j = blockIdx.x;
  if (!whole && runs[j].begin == runs[j].end) return;
  for (int64_t t = threadIdx.x; t < d; t += kStepThreads) sums[j * d + t] = new_sums[j * d + t];
  if (threadIdx.x == 0) counts[j] = new_counts[j];
}

/* The verdict of an update, and, if that is good, the new e, m, n and dead in the place of the old ones. */
__global__ void __launch_bounds__(kElementThreads)
    update_commit_kernel(const unsigned long long *faults, const uint4 *next, uint4 *state,
                         int64_t count, nas_verdict *verdict) {
  const unsigned long long code = faults[kBadCode];
  const unsigned long long row = faults[kBadRow];
  const bool bad_batch = code != kNone || row != kNone;
  const bool bad = bad_batch || faults[kBadCodeword] != kNone;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    const bool by_code = bad_batch && code <= row;
    verdict->status = !bad ? NAS_OK : by_code ? NAS_INVALID_ARGUMENT : NAS_NON_FINITE;
    verdict->bad_row = !bad_batch ? -1 : (int64_t)(by_code ? code : row);
  }
  if (bad) return;
  const int64_t stride = (int64_t)gridDim.x * kElementThreads;
  for (int64_t i = (int64_t)blockIdx.x * kElementThreads + threadIdx.x; i < count; i += stride) {
    state[i] = next[i];
  }
}

/* ---------------------------------------------------------------- launches */

struct Batch {
  const void *x;
  int32_t type;
  int64_t rows, row_stride;
  const int32_t *codes;
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

/* The scratch arrays of a batch. Take no less memory for more rows. */
struct Plan {
  int64_t chunk; /* rows at a time */
  bool whole;    /* several chunks: sums of all codes are kept between them */
  Layout layout;
  size_t faults_at, total_at, counts_at, sums_at, runs_at, long_at;
  size_t digits_at, codes_at[2], rows_at[2]; /* of the sort */

  int64_t most_long() const { return chunk / (kLongRun + 1); }

  /* `sums`: whether there are sums even of one chunk. */
  Plan(int64_t K, int64_t d, int64_t rows, bool sums) {
    chunk = rows < kChunkRows ? rows : kChunkRows;
    whole = rows > kChunkRows;
    faults_at = layout.add<unsigned long long>(kFaults);
    total_at = layout.add<double>(1);
    counts_at = layout.add<double>(K);
    runs_at = layout.add<Run>(K);
    long_at = layout.add<int32_t>(1 + most_long());
    digits_at = layout.add<uint32_t>((chunk + kSortTile - 1) / kSortTile * kDigits);
    for (int i = 0; i < 2; ++i) {
      codes_at[i] = layout.add<int32_t>(chunk);
      rows_at[i] = layout.add<int32_t>(chunk);
    }
    sums_at = layout.add<double>(sums || whole ? product(K, d, "K * d") : 0);
  }
};

/* The rows of a chunk in the order of their codes. */
struct Sorted {
  const int32_t *codes, *rows;
};

/* Launches the sort of rows first .. first + here - 1; at least one. Looks at the codes, too. */
Sorted launch_sort(const nas_codebook *codebook, const Batch &batch, int64_t first, int64_t here,
                   const Plan &plan, const Arrays &scratch, cudaStream_t on) {
  const int64_t K = codebook->K;
  const dim3 blocks(blocks_for(here, kSortTile));
  uint32_t *digits = scratch.at<uint32_t>(plan.digits_at);
  Sorted sorted{batch.codes + first, nullptr};
  int pass = 0;
  for (int shift = 0; pass == 0 || (K - 1) >> shift != 0; shift += 8, ++pass) {
    int32_t *codes = scratch.at<int32_t>(plan.codes_at[pass % 2]);
    int32_t *rows = scratch.at<int32_t>(plan.rows_at[pass % 2]);
    launch("sort_count", sort_count_kernel, blocks, dim3(kThreads), on, sorted.codes, here, shift, K,
           first, digits,
           pass == 0 ? scratch.at<unsigned long long>(plan.faults_at) : nullptr);
    launch("sort_place", sort_place_kernel, blocks, dim3(kThreads), on, sorted.codes, sorted.rows, here,
           shift, (const uint32_t *)digits, codes, rows);
    sorted = Sorted{codes, rows};
  }
  return sorted;
}

LongRuns long_runs(const Plan &plan, const Arrays &scratch) {
  int32_t *memory = scratch.at<int32_t>(plan.long_at);
  return LongRuns{memory, memory + 1};
}

Addends addends(const nas_codebook *codebook, const Batch &batch, int64_t first, int64_t here,
                const Sorted &sorted, const Plan &plan, const Arrays &scratch) {
  const int64_t bytes = batch.type == NAS_FLOAT32 ? 4 : 2;
  Addends of;
  of.x = (const char *)batch.x + first * batch.row_stride * bytes;
  of.rows = here;
  of.row_stride = batch.row_stride;
  of.d = codebook->d;
  of.first_row = first;
  of.sorted_rows = sorted.rows;
  of.runs = scratch.at<Run>(plan.runs_at);
  of.long_runs = long_runs(plan, scratch);
  of.most_long = (int)plan.most_long();
  of.faults = scratch.at<unsigned long long>(plan.faults_at);
  return of;
}

/* body(E, columns of a thread) with the batch's element type. */
template <class Body>
void with_type(const Addends &of, int32_t type, Body &&body) {
  auto with_width = [&](auto element) {
    using E = decltype(element);
    constexpr int kFour = 4;
    const bool wide = of.d % kFour == 0 && of.row_stride % kFour == 0 &&
                      (uintptr_t)of.x % sizeof(typename E::Four) == 0;
    if (wide) return body(element, std::integral_constant<int, kFour>());
    return body(element, std::integral_constant<int, 1>());
  };
  switch (type) {
    case NAS_BFLOAT16: return with_width(Bfloat16());
    case NAS_FLOAT16: return with_width(Float16());
    default: return with_width(Float32());
  }
}

/* As add_rows() expects them: at most 65,536 * 64 and 64 * 4,080. */
dim3 sum_blocks(const Addends &of, int64_t K, int wide) {
  const int64_t columns = (int64_t)kSumThreads * wide;
  int64_t blocks = K * ((of.d + columns - 1) / columns);
  if (wide == 4) blocks += of.most_long * ((of.d + kSumThreads - 1) / kSumThreads);
  return dim3((unsigned)blocks);
}

/* Launches what puts counts and sums (NULL: zeros) and the batch's rows together into the scratch arrays.
 * rows >= 1. */
void launch_sums(const nas_codebook *codebook, const Batch &batch, const double *counts,
                 const double *sums, const Plan &plan, const Arrays &scratch, cudaStream_t on) {
  const int64_t K = codebook->K;
  double *new_counts = scratch.at<double>(plan.counts_at);
  double *new_sums = scratch.at<double>(plan.sums_at);
  for (int64_t first = 0; first < batch.rows; first += plan.chunk) {
    const int64_t left = batch.rows - first;
    const int64_t here = left < plan.chunk ? left : plan.chunk;
    const Sorted sorted = launch_sort(codebook, batch, first, here, plan, scratch, on);
    const Addends of = addends(codebook, batch, first, here, sorted, plan, scratch);
    fill_bytes(of.long_runs.last, 0xff, 1, on);
    launch("find_runs", find_runs_kernel, dim3(blocks_for(K, kStepThreads)), dim3(kStepThreads), on, sorted.codes,
           (int32_t)here, K, (const unsigned long long *)of.faults,
           first == 0 ? counts : (const double *)new_counts, new_counts, scratch.at<Run>(plan.runs_at),
           of.long_runs);
    with_type(of, batch.type, [&](auto element, auto wide) {
      launch("sum_runs", sum_runs_kernel<decltype(element), wide()>, sum_blocks(of, K, wide()),
             dim3(kSumThreads), on, of, first == 0 ? sums : (const double *)new_sums, new_sums,
             plan.whole && first == 0);
    });
  }
}

/* The step from the codebook's state to codebook->next. */
Step step_of(const nas_codebook *codebook, const Momentum &momentum, const Plan &plan,
             const Arrays &scratch) {
  const State &state = codebook->state;
  const State &next = codebook->next;
  Step step;
  step.momentum = momentum;
  step.K = codebook->K;
  step.d = codebook->d;
  step.n = state.n;
  step.m = state.m;
  step.dead = state.dead;
  step.next_n = next.n;
  step.next_m = next.m;
  step.next_e = next.e;
  step.next_dead = next.dead;
  step.total = scratch.at<double>(plan.total_at);
  step.faults = scratch.at<unsigned long long>(plan.faults_at);
  return step;
}

void launch_total(const Step &step, cudaStream_t on) {
  launch("step_total", step_total_kernel, dim3(1), dim3(kSumLanes), on, step);
}

/* Launches the step from counts and sums; the screening arrays of the next state are not made. */
void launch_step(const Step &step, const double *counts, const double *sums, cudaStream_t on) {
  launch("step_counts", step_counts_kernel, dim3(blocks_for(step.K, kElementThreads)), dim3(kElementThreads), on, step, counts);
  launch_total(step, on);
  launch("step_codewords", step_codewords_kernel, dim3((unsigned)step.K), dim3(kStepThreads), on, step,
         sums);
}

/* Launches an update into codebook->next; the screening arrays are not made. */
void launch_update(const nas_codebook *codebook, const Batch &batch, const Momentum &momentum,
                   const Plan &plan, const Arrays &scratch, cudaStream_t on) {
  const int64_t K = codebook->K;
  const Step step = step_of(codebook, momentum, plan, scratch);
  fill_bytes(step.faults, 0xff, kFaults, on);
  if (plan.whole) {
    launch_sums(codebook, batch, nullptr, nullptr, plan, scratch, on);
    return launch_step(step, scratch.at<double>(plan.counts_at), scratch.at<double>(plan.sums_at), on);
  }
  Sorted sorted{nullptr, nullptr};
  if (batch.rows > 0) sorted = launch_sort(codebook, batch, 0, batch.rows, plan, scratch, on);
  const Addends of = addends(codebook, batch, 0, batch.rows, sorted, plan, scratch);
  fill_bytes(of.long_runs.last, 0xff, 1, on);
  launch("step_runs", step_runs_kernel, dim3(blocks_for(K, kStepThreads)), dim3(kStepThreads), on, step, sorted.codes,
         (int32_t)batch.rows, scratch.at<Run>(plan.runs_at), of.long_runs);
  launch_total(step, on);
  with_type(of, batch.type, [&](auto element, auto wide) {
    launch("update_codewords", update_codewords_kernel<decltype(element), wide()>,
           sum_blocks(of, K, wide()), dim3(kSumThreads), on, of, step);
  });
}

/* Fails where a batch was found to be bad. */
void require_good_batch(const nas_codebook *codebook, const Batch &batch,
                        const unsigned long long *found, int64_t *bad_row, cudaStream_t on) {
  const unsigned long long code = found[kBadCode];
  const unsigned long long row = found[kBadRow];
  if (code == kNone && row == kNone) return;
  if (bad_row != nullptr) *bad_row = (int64_t)(code <= row ? code : row);
  if (code <= row) {
    fail(NAS_INVALID_ARGUMENT, "codes[%llu] is %d, outside 0..%lld", code,
         value_at(batch.codes, code, on), (long long)(codebook->K - 1));
  }
  fail(NAS_NON_FINITE, "row %llu of x holds a NaN or an infinity", row);
}

template <class E, int kWide>
void load_sums() {
  load(sum_runs_kernel<E, kWide>);
  load(update_codewords_kernel<E, kWide>);
}

}  // namespace

void load_update_kernels() {
  load(sort_count_kernel);
  load(sort_place_kernel);
  load(find_runs_kernel);
  load(step_counts_kernel);
  load(step_runs_kernel);
  load(step_total_kernel);
  load(step_codewords_kernel);
  load(update_commit_kernel);
  load_sums<Float32, 1>();
  load_sums<Float32, 4>();
  load_sums<Bfloat16, 1>();
  load_sums<Bfloat16, 4>();
  load_sums<Float16, 1>();
  load_sums<Float16, 4>();
}

size_t update_bytes(const nas_codebook *codebook, const Reservation &most) {
  return Plan(codebook->K, codebook->d, most.rows < 0 ? 0 : most.rows, false).layout.bytes();
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
    const Plan plan(codebook->K, codebook->d, rows, true);
    Scratch scratch(codebook->cache, plan.layout, on);
    unsigned long long *faults = scratch.at<unsigned long long>(plan.faults_at);
    fill_bytes(faults, 0xff, kFaults, on);
    launch_sums(codebook, batch, counts, sums, plan, scratch.arrays(), on);
    launch("accumulate_commit", accumulate_commit_kernel, dim3((unsigned)codebook->K), dim3(kStepThreads),
           on, (const unsigned long long *)faults, (const Run *)scratch.at<Run>(plan.runs_at),
           codebook->d, plan.whole, (const double *)scratch.at<double>(plan.counts_at),
           (const double *)scratch.at<double>(plan.sums_at), counts, sums);
    unsigned long long found[kFaults];
    fetch(found, faults, kFaults, on);
    require_good_batch(codebook, batch, found, bad_row, on);
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
    const Plan plan(codebook->K, codebook->d, 0, false);
    Scratch scratch(codebook->cache, plan.layout, on);
    const Step step = step_of(codebook, momentum, plan, scratch.arrays());
    fill_bytes(step.faults, 0xff, kFaults, on);
    launch_step(step, counts, sums, on);
    build_screen(codebook->next, codebook->K, codebook->d, on);
    unsigned long long found[kFaults];
    fetch(found, step.faults, kFaults, on);
    const unsigned long long bad = found[kBadCodeword];
    if (bad != kNone) {
      fail(NAS_NON_FINITE,
           "codeword %llu would not be finite; check its counts and sums (counts %g)", bad,
           value_at(counts, bad, on));
    }
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
    const Plan plan(K, d, rows, false);
    Scratch scratch(codebook->cache, plan.layout, on);
    launch_update(codebook, batch, momentum, plan, scratch.arrays(), on);
    build_screen(codebook->next, K, d, on);
    unsigned long long found[kFaults];
    fetch(found, scratch.at<unsigned long long>(plan.faults_at), kFaults, on);
    require_good_batch(codebook, batch, found, bad_row, on);
    if (found[kBadCodeword] != kNone) {
      fail(NAS_NON_FINITE, "codeword %llu would not be finite", found[kBadCodeword]);
    }
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
    const Plan plan(codebook->K, codebook->d, rows, false);
    const Arrays scratch = reserved_arrays(codebook, plan.layout);
    launch_update(codebook, batch, momentum, plan, scratch, on);
    const State &state = codebook->state;
    const int64_t count = (int64_t)(state.own_bytes / sizeof(uint4));
    launch("update_commit", update_commit_kernel, dim3(blocks_for(count, 4 * kElementThreads, kMostBlocks)),
           dim3(kElementThreads), on,
           (const unsigned long long *)scratch.at<unsigned long long>(plan.faults_at),
           (const uint4 *)codebook->next.memory.data(), (uint4 *)state.memory.data(), count, verdict);
    build_screen(state, codebook->K, codebook->d, on); /* of the old codewords again after a bad batch */
  });
}

}  // extern "C"
