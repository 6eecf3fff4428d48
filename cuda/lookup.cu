/*
 * Nearest codeword.
 *
 * A block of 256 threads takes 128 rows and a range of the codewords, 128 at a time. Per step of 8
 * columns the centred rows and codewords lie in shared memory twice (double buffering); a thread
 * multiplies 8 rows by 8 codewords in registers with float32 fused multiply-adds. After each 128
 * codewords the block lowers every row's bound, min (s + w) of screen.cuh, lists the pairs with
 * s - w not above it, and decides among those by the canonical float64 distance, eight threads a
 * pair, one per lane of the definition. Bound by float32 arithmetic: rows*K*d multiply-adds; memory
 * traffic is rows*d*(K / 128 / splits of L2 reads) and K*d per 128 rows, no rows x K matrix.
 *
 * The result is the minimum by (distance, index) over all candidates, so neither the order in which
 * pairs are listed nor the split of the codewords over blocks can be seen in it.
 */
#include <climits>
#include <cmath>

#include "../common/elements.h"
#include "candidates.cuh"
#include "hopper.cuh"
#include "screen.cuh"
#include "support.cuh"
#include "tensor.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kRowPitch = kTileRows + 4; /* makes the transposing stores free of bank conflicts */
#if defined(NAS_EMULATION) /* so that small problems take several */
constexpr int64_t kChunkRows = 256;
constexpr int64_t kTensorChunkRows = 256;
#else
constexpr int64_t kChunkRows = 1 << 20; /* rows per launch: bounds the scratch memory */
constexpr int64_t kTensorChunkRows = 1 << 17;
#endif

struct Problem : Screening {
  const float *centre;
  const float *screen;
  const float *length;
  const float *row_factor; /* per row: 2 G |x'|, rounded up */
};

/* A warp per row: the row's part of the error bound, and the lowest non-finite row. */
__global__ void __launch_bounds__(kThreads)
    lookup_rows_kernel(const float *x, int64_t rows, int64_t row_stride, int64_t d,
                       const float *centre, int64_t first_row, float *row_factor,
                       float *row_slack, unsigned long long *bad_row) {
  int lane = (int)threadIdx.x % kWarp;
  int64_t row = (int64_t)blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  double sum = 0.0;
  bool bad = false;
  for (int64_t t = lane; t < d; t += kWarp) {
    float value = x[row * row_stride + t];
    bad = bad || !is_finite(value);
    double centred = (double)sub32(value, centre[t]);
    sum += centred * centred;
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
  if (bad) atomicMin(bad_row, (unsigned long long)(first_row + row));
  if (lane != 0) return;
  if (sum <= kLargestLength * kLargestLength) {
    row_factor[row] = __double2float_ru(2.0 * score_error(d) * sqrt(sum));
    row_slack[row] = __double2float_ru(kDistanceError * sum + underflow_error(d));
  } else {
    row_factor[row] = __int_as_float(0x7f800000);
    row_slack[row] = 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads, 2) lookup_screen_kernel(Problem p) {
  /* The candidates use the tiles' memory once the products are done. */
  struct Tiles {
    float x[2][kTileDepth][kRowPitch];
    float e[2][kTileDepth][kTileCodes];
  };
  __shared__ union __align__(16) Memory {
    Tiles tiles;
    Candidates candidates;
  } memory;
  __shared__ float bound[kTileRows];
  __shared__ float row_factor[kTileRows];
  __shared__ float row_slack[kTileRows];
  __shared__ Best best;

  if (*p.bad_row != kNone) return;

  const int thread = (int)threadIdx.x;
  const int tx = thread % 16; /* codes 4 tx .. 4 tx + 3 and 64 more */
  const int ty = thread / 16; /* rows likewise */
  const int64_t first_row = (int64_t)blockIdx.x * kTileRows;
  const int load_column = thread % 2 * 4;
  const int load_row = thread / 2;
  const int load_depth = thread / 32;
  const int load_code = thread % 32 * 4;
  const int d = (int)p.d;
  const int padded_K = (int)p.padded_K;
  const int rows = (int)(p.rows - first_row < kTileRows ? p.rows - first_row : kTileRows);
  const int own_columns = load_row < rows ? d - load_column : 0;
  const float *own_x = p.x + (first_row + load_row) * p.row_stride + load_column;

  unsigned long long previous = kNone;
  if (thread < kTileRows) {
    row_factor[thread] = thread < rows ? p.row_factor[first_row + thread] : 0.0f;
    row_slack[thread] = thread < rows ? p.row_slack[first_row + thread] : 0.0f;
    bound[thread] = __int_as_float(0x7f800000);
    best.distance[thread] = kNone;
    best.index[thread] = INT_MAX;
  }

  const int begin_code = (int)blockIdx.y * p.tiles * kTileCodes;
  const int end_code = begin_code + p.tiles * kTileCodes < padded_K
                           ? begin_code + p.tiles * kTileCodes
                           : padded_K;

  for (int first_code = begin_code; first_code < end_code; first_code += kTileCodes) {
    if (thread == 0) best.listed = 0;

    float sum[8][8];
#pragma unroll
    for (int r = 0; r < 8; ++r) {
#pragma unroll
      for (int c = 0; c < 8; ++c) sum[r][c] = 0.0f;
    }

    __align__(16) float next_x[4];
    auto load = [&](int column, int stage) { /* by 32-bit offsets: pointers would take the sums' registers */
      __align__(16) float centre[4];
      *(float4 *)centre = *(const float4 *)&p.centre[load_column + column];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        next_x[i] = column + i < own_columns ? sub32(own_x[column + i], centre[i]) : 0.0f;
      }
      copy_ahead<16>(&memory.tiles.e[stage][load_depth][load_code],
                 &p.screen[(unsigned)((column + load_depth) * padded_K + first_code + load_code)],
                 true);
    };
    auto store = [&](int stage) {
#pragma unroll
      for (int i = 0; i < 4; ++i) memory.tiles.x[stage][load_column + i][load_row] = next_x[i];
      wait_copies();
    };

    load(0, 0);
    store(0);
    __syncthreads();
    int stage = 0;
    for (int column = kTileDepth;; column += kTileDepth) {
      const bool more = column < d;
      if (more) load(column, stage ^ 1);
#pragma unroll
      for (int k = 0; k < kTileDepth; ++k) {
        __align__(16) float a[8];
        __align__(16) float b[8];
        *(float4 *)&a[0] = *(const float4 *)&memory.tiles.x[stage][k][4 * ty];
        *(float4 *)&a[4] = *(const float4 *)&memory.tiles.x[stage][k][64 + 4 * ty];
        *(float4 *)&b[0] = *(const float4 *)&memory.tiles.e[stage][k][4 * tx];
        *(float4 *)&b[4] = *(const float4 *)&memory.tiles.e[stage][k][64 + 4 * tx];
#pragma unroll
        for (int r = 0; r < 8; ++r) {
#pragma unroll
          for (int c = 0; c < 8; ++c) sum[r][c] = __fmaf_rn(a[r], b[c], sum[r][c]);
        }
      }
      if (more) {
        stage ^= 1;
        store(stage);
      }
      __syncthreads();
      if (!more) break;
    }

    /* Scores, their error bounds, and each row's bound. A row belongs to 16 lanes of one warp. */
    float least[8];
#pragma unroll
    for (int r = 0; r < 8; ++r) least[r] = bound[64 * (r / 4) + 4 * ty + r % 4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int j = first_code + 64 * half + 4 * tx;
      __align__(16) float square[4];
      __align__(16) float length[4];
      __align__(16) float slack[4];
      *(float4 *)square = *(const float4 *)&p.square[j];
      *(float4 *)length = *(const float4 *)&p.length[j];
      *(float4 *)slack = *(const float4 *)&p.slack[j];
#pragma unroll
      for (int r = 0; r < 8; ++r) {
        const int row = 64 * (r / 4) + 4 * ty + r % 4;
        const float factor = row_factor[row];
        const float own_slack = row_slack[row];
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const float score = __fmaf_rn(-2.0f, sum[r][4 * half + c], square[c]);
          const float error = __fadd_rn(__fmaf_rn(factor, length[c], slack[c]), own_slack);
          sum[r][4 * half + c] = __fsub_rn(score, error);
          least[r] = fminf(least[r], __fadd_rn(score, error)); /* passes over NaN */
        }
      }
    }
    uint32_t chosen[2] = {0, 0}; /* bit 8 (r % 4) + c of word r / 4 */
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      const int row = 64 * (r / 4) + 4 * ty + r % 4;
#pragma unroll
      for (int offset = 8; offset > 0; offset /= 2) {
        least[r] = fminf(least[r], __shfl_xor_sync(kAllLanes, least[r], offset));
      }
      if (tx == 0) bound[row] = least[r];
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        if (row < rows && !(sum[r][c] > least[r])) chosen[r / 4] |= 1u << (8 * (r % 4) + c);
      }
    }
    uint32_t real = 0;
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      if (first_code + 64 * (c / 4) + 4 * tx + c % 4 < p.K) real |= 0x01010101u << c;
    }
    chosen[0] &= real;
    chosen[1] &= real;

    const Tile tile = {p.x + first_row * p.row_stride, p.row_stride, p.e, p.d, first_code};
    decide(
        tile, chosen,
        [=](int bit) {
          const int row = 64 * (bit / 32) + 4 * ty + bit % 32 / 8;
          const int c = bit % 8;
          return (uint32_t)(row * kTileCodes + 64 * (c / 4) + 4 * tx + c % 4);
        },
        memory.candidates, best, previous);
  }

  if (thread < rows) {
    const int64_t at = (int64_t)blockIdx.y * p.rows + first_row + thread;
    p.distance[at] = __longlong_as_double((long long)best.distance[thread]);
    p.index[at] = best.index[thread];
  }
}

/* A thread per row: the nearest over the splits. A split without a candidate has index INT_MAX. */
__global__ void __launch_bounds__(kThreads)
    lookup_finish_kernel(const double *distance, const int32_t *index, int64_t rows, int splits,
                         const unsigned long long *bad_row, int32_t *indices, float *distances) {
  const int64_t row = (int64_t)blockIdx.x * kThreads + threadIdx.x;
  if (row >= rows || *bad_row != kNone) return;
  double least = 0.0;
  int32_t nearest = INT_MAX;
  for (int split = 0; split < splits; ++split) {
    const double candidate = distance[split * rows + row];
    const int32_t j = index[split * rows + row];
    if (j != INT_MAX && (nearest == INT_MAX || nearer(candidate, j, least, nearest))) {
      least = candidate;
      nearest = j;
    }
  }
  indices[row] = nearest;
  if (distances != nullptr) distances[row] = narrow(least);
}

/* out[row][t] = x[row][t] in float32; a warp for each row. `type` is not NAS_FLOAT32. */
__global__ void __launch_bounds__(kThreads)
    widen_rows_kernel(const uint16_t *x, int32_t type, int64_t rows, int64_t row_stride, int64_t d,
                      float *out) {
  const int64_t row = (int64_t)blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  for (int64_t t = threadIdx.x % kWarp; t < d; t += kWarp) {
    const uint16_t bits = x[row * row_stride + t];
    out[row * d + t] = type == NAS_BFLOAT16 ? widen_bfloat16(bits) : widen_float16(bits);
  }
}

/* verdict = what the lookup found; `bad_row` NULL stands for no rows. One thread. */
__global__ void lookup_verdict_kernel(const unsigned long long *bad_row, nas_verdict *verdict) {
  const bool fine = bad_row == nullptr || *bad_row == kNone;
  verdict->status = fine ? NAS_OK : NAS_NON_FINITE;
  verdict->bad_row = fine ? -1 : (int64_t)*bad_row;
}

/* The arguments of a lookup. */
struct Request {
  const void *x;
  int32_t type;
  int64_t rows, row_stride;
  int32_t *indices;
  float *distances;
};

/* How a lookup is divided, and where its scratch arrays lie. Takes no less memory for more rows. */
struct Plan {
  bool int8;   /* rows in int8, for tensor cores */
  bool hopper;
  int64_t padded_K, padded_d;
  int64_t chunk;         /* rows at a time */
  int64_t splits, tiles; /* of the codewords: blocks, and tiles of a block */
  Layout layout;
  size_t lowest_at, factor_at, slack_at, distance_at, index_at, widened_at, x8_at, scale_at,
      residual_at;
};

/* rows >= 1 */
Plan plan_lookup(const nas_codebook *codebook, int32_t tier, int32_t type, int64_t rows) {
  const int64_t d = codebook->d;
  Plan plan;
  plan.hopper = tier == NAS_TIER_HOPPER;
  plan.int8 = plan.hopper || tier == NAS_TIER_TENSOR;
  plan.padded_K = round_up(codebook->K, kTileCodes);
  plan.padded_d = round_up(d, kInt8Columns);
  const int64_t most = plan.int8 ? kTensorChunkRows : kChunkRows;
  const int64_t chunk = rows < most ? rows : most;
  plan.chunk = chunk;
  const int64_t all_tiles = plan.padded_K / kTileCodes;
  /* Enough blocks for two per multiprocessor, where the codewords can be split that far. */
  const int64_t multiprocessors = codebook->multiprocessors;
  const int64_t blocks = (plan.hopper ? kHopperMostWaves : 2) * multiprocessors;
  const int64_t row_tiles = (chunk + kTileRows - 1) / kTileRows;
  int64_t splits = plan.hopper ? hopper_splits(row_tiles, all_tiles, multiprocessors)
                               : (blocks + row_tiles - 1) / row_tiles;
  if (splits > all_tiles) splits = all_tiles;
  plan.tiles = (all_tiles + splits - 1) / splits;
  plan.splits = (all_tiles + plan.tiles - 1) / plan.tiles;

  /* Not below splits * chunk, and, other than that, no less for more rows. */
  int64_t pairs = product(all_tiles, chunk, "splits * rows");
  if (pairs > blocks * kTileRows + chunk) pairs = blocks * kTileRows + chunk;
  Layout &layout = plan.layout;
  plan.lowest_at = layout.add<unsigned long long>(1);
  plan.factor_at = layout.add<float>(chunk);
  plan.slack_at = layout.add<float>(chunk);
  plan.distance_at = layout.add<double>(pairs);
  plan.index_at = layout.add<int32_t>(pairs);
  plan.widened_at = layout.add<float>(type == NAS_FLOAT32 ? 0 : product(chunk, d, "rows * d"));
  const int64_t quantised = plan.int8 ? chunk : 0;
  plan.x8_at =
      layout.add<int8_t>(product(round_up(quantised, kTileRows), plan.padded_d, "rows * d"));
  plan.scale_at = layout.add<float>(quantised);
  plan.residual_at = layout.add<float>(quantised);
  return plan;
}

/* Launches a lookup of rows >= 1; the lowest bad row, or kNone, will be in the array at lowest_at. */
void launch_lookup(const nas_codebook *codebook, const Plan &plan, const Request &request,
                   const Arrays &scratch, cudaStream_t on) {
  const State &state = codebook->state;
  const int64_t K = codebook->K;
  const int64_t d = codebook->d;
  const int64_t padded_K = plan.padded_K;
  const int64_t padded_d = plan.padded_d;
  const int64_t chunk = plan.chunk;
  const int64_t splits = plan.splits;
  const int64_t tiles = plan.tiles;
  const void *x = request.x;
  const int32_t type = request.type;
  const bool wide = type == NAS_FLOAT32;
  const int64_t rows = request.rows;
  const int64_t row_stride = request.row_stride;
  int32_t *indices = request.indices;
  float *distances = request.distances;
  int8_t *x8 = scratch.at<int8_t>(plan.x8_at);
  float *twice_scale = scratch.at<float>(plan.scale_at);
  float *twice_residual = scratch.at<float>(plan.residual_at);
  float *widened = scratch.at<float>(plan.widened_at);
  unsigned long long *lowest = scratch.at<unsigned long long>(plan.lowest_at);
  float *row_factor = scratch.at<float>(plan.factor_at);
  float *row_slack = scratch.at<float>(plan.slack_at);
  double *distance = scratch.at<double>(plan.distance_at);
  int32_t *index = scratch.at<int32_t>(plan.index_at);
  fill_bytes(lowest, 0xff, 1, on);

  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t here = rows - first < chunk ? rows - first : chunk;
    const float *part = widened;
    int64_t part_stride = d;
    if (wide) {
      part = (const float *)x + first * row_stride;
      part_stride = row_stride;
    } else {
      launch("widen_rows", widen_rows_kernel, dim3(blocks_for(here, kThreads / kWarp)),
             dim3(kThreads), on, (const uint16_t *)x + first * row_stride, type, here, row_stride,
             d, widened);
    }
    const dim3 grid(blocks_for(here, kTileRows), (unsigned)splits);
    auto fill = [&](Screening &common) {
      common.x = part;
      common.rows = here;
      common.row_stride = part_stride;
      common.e = state.e;
      common.K = K;
      common.d = d;
      common.padded_K = padded_K;
      common.square = state.square;
      common.row_slack = row_slack;
      common.bad_row = lowest;
      common.tiles = (int)tiles;
      common.distance = distance;
      common.index = index;
    };
    if (plan.int8) {
      const bool in_fours = d % 4 == 0 && part_stride % 4 == 0 && (uintptr_t)part % 16 == 0;
      launch("quantise_rows", in_fours ? quantise_rows_kernel<true> : quantise_rows_kernel<false>, dim3(blocks_for(here, kThreads / kWarp)),
             dim3(kThreads), on, part, here, part_stride, d, padded_d,
             (const float *)state.centre, first, x8, twice_scale, row_factor, twice_residual,
             row_slack, lowest);
      TensorProblem problem;
      fill(problem);
      problem.x8 = x8;
      problem.e8 = state.e8;
      problem.padded_d = padded_d;
      problem.scale = state.scale8;
      problem.spread = state.spread8;
      problem.reach = state.reach8;
      problem.slack = state.slack8;
      problem.twice_scale = twice_scale;
      problem.twice_length = row_factor;
      problem.twice_residual = twice_residual;
      if (plan.hopper) {
        launch_shared("lookup_hopper", lookup_hopper_kernel, grid, dim3(kHopperThreads),
                      kHopperShared, on, problem);
      } else {
        launch("lookup_tensor", lookup_tensor_kernel, grid, dim3(kThreads), on, problem);
      }
    } else {
      launch("lookup_rows", lookup_rows_kernel, dim3(blocks_for(here, kThreads / kWarp)),
             dim3(kThreads), on, part, here, part_stride, d, (const float *)state.centre, first,
             row_factor, row_slack, lowest);
      Problem problem;
      fill(problem);
      problem.slack = state.slack;
      problem.centre = state.centre;
      problem.screen = state.screen;
      problem.length = state.length;
      problem.row_factor = row_factor;
      launch("lookup_screen", lookup_screen_kernel, grid, dim3(kThreads), on, problem);
    }
    launch("lookup_finish", lookup_finish_kernel, dim3(blocks_for(here, kThreads)),
           dim3(kThreads), on, (const double *)distance, (const int32_t *)index, here,
           (int)splits, (const unsigned long long *)lowest, indices + first,
           distances == nullptr ? nullptr : distances + first);
  }
}

void require_request(const nas_codebook *codebook, const Request &request) {
  require_type(request.type);
  require_rows(request.rows, request.row_stride, codebook->d);
}

/* For rows >= 1. */
void require_request_memory(const nas_codebook *codebook, const Request &request) {
  const int device = codebook->device;
  require_device(request.x, "x", request.type == NAS_FLOAT32 ? 4 : 2, device);
  require_device(request.indices, "indices", 4, device);
  if (request.distances != nullptr) require_device(request.distances, "distances", 4, device);
}

/* The tier in use, where the codebook's device has it. */
int32_t require_tier(const nas_codebook *codebook) {
  const int32_t tier = tier_in_use();
  if (tier > codebook->best_tier) {
    fail(NAS_INVALID_ARGUMENT, "the tier is %s, which the codebook's device does not have",
         tier == NAS_TIER_HOPPER ? "NAS_TIER_HOPPER" : "NAS_TIER_TENSOR");
  }
  return tier;
}

}  // namespace

void build_terms(const State &state, int64_t K, int64_t d, cudaStream_t stream) {
  const int64_t padded_K = round_up(K, kTileCodes);
  const CodeTerms terms = {state.square, state.length,  state.slack,  state.e8,   state.low8,
                           state.scale8, state.spread8, state.reach8, state.slack8, state.terms8};
  launch("codewords", codewords_kernel, dim3(blocks_for(padded_K, kThreads / kWarp)), dim3(kThreads),
         stream, (const float *)state.e, K, d, padded_K, round_up(d, kInt8Columns),
         (const float *)state.centre, terms);
}

void load_lookup_kernels() {
  load(codewords_kernel);
  load(widen_rows_kernel);
  load(quantise_rows_kernel<true>);
  load(quantise_rows_kernel<false>);
  load(lookup_hopper_kernel);
  load(lookup_tensor_kernel);
  load(lookup_rows_kernel);
  load(lookup_screen_kernel);
  load(lookup_finish_kernel);
  load(lookup_verdict_kernel);
}

size_t lookup_bytes(const nas_codebook *codebook, const Reservation &most) {
  const int64_t rows = most.rows < 1 ? 1 : most.rows;
  size_t bytes = 0;
  for (int32_t tier : {(int32_t)NAS_TIER_SCALAR, (int32_t)NAS_TIER_TENSOR, (int32_t)NAS_TIER_HOPPER}) {
    if (tier > codebook->best_tier) continue;
    const Plan plan =
        plan_lookup(codebook, tier, most.narrow ? NAS_BFLOAT16 : NAS_FLOAT32, rows);
    if (plan.layout.bytes() > bytes) bytes = plan.layout.bytes();
  }
  return bytes;
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_lookup(const nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                      int64_t row_stride, int32_t *indices, float *distances, int64_t *bad_row,
                      nas_lookup_stats *stats, void *stream) {
  return call("nas_lookup", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    const Request request{x, type, rows, row_stride, indices, distances};
    require_request(codebook, request);
    if (stats != nullptr) {
      *stats = nas_lookup_stats{tier_in_use(), 0, 0, rows, -1, -1, -1, -1, -1};
    }
    if (rows == 0) return;
    set_shape("rows %lld, K %lld, d %lld", (long long)rows, (long long)codebook->K,
              (long long)codebook->d);
    DeviceGuard guard(codebook->device);
    require_request_memory(codebook, request);
    cudaStream_t on = (cudaStream_t)stream;
    const Plan plan = plan_lookup(codebook, require_tier(codebook), type, rows);
    Scratch scratch(codebook->cache, plan.layout, on);
    launch_lookup(codebook, plan, request, scratch.arrays(), on);
    unsigned long long bad = kNone;
    fetch(&bad, scratch.at<unsigned long long>(plan.lowest_at), 1, on);
    if (bad != kNone) {
      if (bad_row != nullptr) *bad_row = (int64_t)bad;
      fail(NAS_NON_FINITE, "row %llu of x holds a NaN or an infinity", bad);
    }
  });
}

nas_status nas_lookup_enqueue(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, int32_t *indices, float *distances,
                              nas_verdict *verdict, void *stream) {
  return call("nas_lookup_enqueue", [&] {
    require_pointer(codebook, "codebook");
    const Request request{x, type, rows, row_stride, indices, distances};
    require_request(codebook, request);
    require_reserved_rows(codebook, type, rows);
    set_shape("rows %lld, K %lld, d %lld", (long long)rows, (long long)codebook->K,
              (long long)codebook->d);
    DeviceGuard guard(codebook->device);
    require_device(verdict, "verdict", 8, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    const unsigned long long *lowest = nullptr;
    if (rows > 0) {
      require_request_memory(codebook, request);
      const Plan plan = plan_lookup(codebook, require_tier(codebook), type, rows);
      const Arrays scratch = reserved_arrays(codebook, plan.layout);
      launch_lookup(codebook, plan, request, scratch, on);
      lowest = scratch.at<unsigned long long>(plan.lowest_at);
    }
    launch("lookup_verdict", lookup_verdict_kernel, dim3(1), dim3(1), on, lowest, verdict);
  });
}

}  // extern "C"
