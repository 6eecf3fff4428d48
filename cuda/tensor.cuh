/*
 * The lookup's screening in int8 on tensor cores (mma.sync m16n8k32, sm_80 and later).
 *
 * With A = x - c, B_j = e_j - c for the fixed centre c, exact, and A' = s q, B'_j = s_j q_j with
 * integers of -127..127 and one scale for a vector,
 *   |A.B_j - A'.B'_j| <= |A| |B_j - B'_j| + |A - A'| |B'_j|           (Cauchy-Schwarz)
 * and q.q_j is exact in int32, being below 2^26. So the score
 *   s_j = fl(|B_j|^2 - 2 s s_j (q.q_j)), which stands for |x - e_j|^2 - |x - c|^2,
 * is wrong by at most
 *   2 X r_j + 2 r z_j + 32u (2 X E_j + E_j^2) + H (X^2 + E_j^2) + T
 * with u = 2^-24, X >= |A|, E_j >= |B_j|, r >= |A - A'|, r_j >= |B_j - B'_j|, z_j >= |B'_j|. The
 * first two terms are what rounding to integers lost, which is measured for each vector. The third
 * holds twice the roundings of |B_j|^2 (4u), of the two scales' product, of q.q_j as float32 and of
 * their product (3u of 2 |A'| |B'_j| <= 2 * 1.26^2 X E_j, as d <= 4096 keeps |A'| below 1.26 X) and of
 * the last subtraction. H and T are those of screen.cuh.
 *
 * The residuals are measured from x' = fl(x - c), which differs from A by u |A| at most, those of codewords
 * in float64. A vector with an element above kLargestLength is a candidate everywhere; one whose largest
 * element is below 2^-40 is taken as q = 0, which costs nothing but candidates.
 *
 * A block of 8 warps takes 128 rows and 128 codewords at a time, a warp 64 rows by 32 codewords; 64
 * columns at a time lie in shared memory twice, the next ones arriving by cp.async while the tensor cores
 * work on the others, with 16 bytes between the rows so that the loads of the fragments are free of bank
 * conflicts.
 */
#ifndef NAS_CUDA_TENSOR_CUH
#define NAS_CUDA_TENSOR_CUH

#include "candidates.cuh"
#include "fragments.cuh"
#include "screen.cuh"

namespace nas {
namespace device {

constexpr int kTensorDepth = 64; /* bytes of a row in shared memory at a time */
constexpr int kTensorPitch = 20; /* words from one row to the next */
constexpr double kUp = 1.0 + 0x1p-20;
constexpr double kLeastScaled = 0x1p-40;

/* What the bound needs of a vector. */
struct Quantised {
  double square;   /* |x'|^2 with x' = fl(x - c) */
  double scale;    /* s, a float32 */
  double length;   /* at least |A| */
  double residual; /* at least |A - A'| */
  double reach;    /* at least |A'| */
  double low;      /* at least |A''|, A'' being the second level */
  double rest;     /* at least |A - A' - A''| */
  bool usable;     /* false: too long to be bounded */
};

__device__ __forceinline__ double warp_sum(double value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

/* One warp quantises one codeword x, less the centre, and writes it as row `row` of q, padded_d bytes, zero
 * beyond d; what that leaves over likewise, in integers of 1/256 of the scale, as row `row` of p. */
__device__ __forceinline__ Quantised quantise(const float *x, const float *centre, int64_t d,
                                              int64_t row, int64_t padded_d, int8_t *q, int8_t *p) {
  const int lane = (int)threadIdx.x % kWarp;
  double sum = 0.0;
  float largest = 0.0f;
  for (int64_t t = lane; t < d; t += kWarp) {
    const float centred = sub32(x[t], centre[t]);
    sum += (double)centred * (double)centred;
    largest = fmaxf(largest, fabsf(centred));
  }
  sum = warp_sum(sum);
  for (int offset = 16; offset > 0; offset /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, offset));
  }
  Quantised result;
  result.square = sum;
  result.usable = sum <= kLargestLength * kLargestLength; /* false for NaN as well */
  const bool zero = !result.usable || !((double)largest >= kLeastScaled);
  const float scale = zero ? 0.0f : largest / 127.0f;
  const float inverse = zero ? 0.0f : 127.0f / largest;
  double lost = 0.0;
  double kept = 0.0;
  double lost_twice = 0.0;
  double kept_low = 0.0;
  for (int64_t t = lane; t < padded_d; t += kWarp) {
    int value = 0;
    int low = 0;
    if (t < d && !zero) {
      const float centred = sub32(x[t], centre[t]);
      value = (int)rintf(centred * inverse);
      value = value > 127 ? 127 : value < -127 ? -127 : value;
      const double difference = (double)centred - (double)scale * (double)value;
      lost += difference * difference;
      kept += (double)(value * value);
      low = (int)rintf((float)difference * (256.0f * inverse));
      low = low > 127 ? 127 : low < -127 ? -127 : low;
      const double left = difference - (double)scale * 0x1p-8 * (double)low;
      lost_twice += left * left;
      kept_low += (double)(low * low);
    }
    q[int8_at(row, t, padded_d)] = (int8_t)value;
    p[int8_at(row, t, padded_d)] = (int8_t)low;
  }
  lost = warp_sum(lost);
  kept = warp_sum(kept);
  lost_twice = warp_sum(lost_twice);
  kept_low = warp_sum(kept_low);
  const double length = sqrt(sum) * (1.0 + 0x1p-22);
  result.scale = (double)scale;
  result.length = length;
  result.residual = zero ? length : sqrt(lost) * (1.0 + 0x1p-40) + length * 0x1p-23;
  result.reach = (double)scale * sqrt(kept) * (1.0 + 0x1p-40);
  result.low = (double)scale * 0x1p-8 * sqrt(kept_low) * (1.0 + 0x1p-40);
  result.rest = zero ? length : sqrt(lost_twice) * (1.0 + 0x1p-40) + length * 0x1p-23;
  return result;
}

/* What the screening kernels read of codewords; all padded to whole tiles of them. */
struct CodeTerms {
  float *square, *length, *slack; /* in float32 */
  int8_t *q, *p;                  /* in int8, and its second level */
  float *scale, *spread, *reach, *slack8;
  float4 *terms; /* of neighbours.cu */
};

/* A warp per codeword. */
__global__ void __launch_bounds__(kThreads)
    codewords_kernel(const float *e, int64_t K, int64_t d, int64_t padded_K, int64_t padded_d,
                     const float *centre, CodeTerms out) {
  const int64_t j = (int64_t)blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (j >= padded_K) return;
  const Quantised of =
      quantise(j < K ? e + j * d : e, centre, j < K ? d : 0, j, padded_d, out.q, out.p);
  if (threadIdx.x % kWarp != 0) return;
  const float infinity = __int_as_float(0x7f800000);
  out.scale[j] = (float)of.scale;
  if (of.usable) {
    const double square = of.length * of.length;
    out.square[j] = j < K ? (float)of.square : infinity;
    out.length[j] = __double2float_ru(sqrt(of.square));
    out.slack[j] = __double2float_ru((score_error(d) + kDistanceError) * of.square);
    out.spread[j] = __double2float_ru((of.residual + 0x1p-19 * of.length) * kUp);
    out.reach[j] = __double2float_ru(of.reach * kUp);
    out.slack8[j] = __double2float_ru((0x1p-19 + kDistanceError) * square * kUp);
    const double both = of.length + of.rest;
    out.terms[j] = float4{__double2float_ru(both * kUp),
                          __double2float_ru((of.rest + 0x1p-19 * both) * kUp),
                          __double2float_ru(of.low * kUp), out.slack8[j]};
  } else {
    out.square[j] = 0.0f;
    out.length[j] = 0.0f;
    out.slack[j] = infinity;
    out.spread[j] = 0.0f;
    out.reach[j] = 0.0f;
    out.slack8[j] = infinity;
    out.terms[j] = float4{0.0f, 0.0f, 0.0f, infinity};
  }
}

/* value = elements t .. t + 3 of a row less the centre, 0 beyond d; whether all are finite. */
template <bool kWide>
__device__ __forceinline__ bool load_centred(const float *x, const float *centre, int64_t t, int64_t d,
                                             float (&value)[4]) {
  __align__(16) float from[4] = {};
  __align__(16) float mean[4] = {};
  if (t < d) { /* the centre is padded */
    *(float4 *)mean = *(const float4 *)&centre[t];
    if (kWide) *(float4 *)from = *(const float4 *)&x[t];
  }
  bool fine = true;
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    if (!kWide && t + c < d) from[c] = x[t + c];
    fine = fine && is_finite(from[c]);
    value[c] = t + c < d ? sub32(from[c], mean[c]) : 0.0f;
  }
  return fine;
}

/*
 * A warp per row: the row in int8, its part of the error bound, and the lowest non-finite row. kWide: rows
 * that can be loaded by 16 bytes.
 *
 * In float32, as float64 would take longer than reading the rows: with at most d / 32 + 8 roundings, at most
 * 136 for d <= 4096, the sums of squares are off by less than 2^-16 of them, which the bounds are raised by.
 * Squares lost to underflow are below 2^-137 in all, those of a row of at least 2^-40 are not.
 */
template <bool kWide>
__global__ void __launch_bounds__(kThreads)
    quantise_rows_kernel(const float *x, int64_t rows, int64_t row_stride, int64_t d,
                         int64_t padded_d, const float *centre, int64_t first_row, int8_t *q,
                         float *twice_scale, float *twice_length, float *twice_residual,
                         float *row_slack, unsigned long long *bad_row) {
  const int lane = (int)threadIdx.x % kWarp;
  const int64_t row = (int64_t)blockIdx.x * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  x += row * row_stride;
  float sum = 0.0f;
  float largest = 0.0f;
  bool bad = false;
  for (int64_t t = 4 * lane; t < d; t += 4 * kWarp) {
    float value[4];
    bad = !load_centred<kWide>(x, centre, t, d, value) || bad;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      sum = __fmaf_rn(value[c], value[c], sum);
      largest = fmaxf(largest, fabsf(value[c]));
    }
  }
  if (bad) atomicMin(bad_row, (unsigned long long)(first_row + row));
  for (int offset = 16; offset > 0; offset /= 2) {
    sum = __fadd_rn(sum, __shfl_xor_sync(kAllLanes, sum, offset));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, offset));
  }
  const bool usable = (double)sum <= kLargestLength * kLargestLength; /* false for NaN as well */
  const bool zero = !usable || !((double)largest >= kLeastScaled);
  const float scale = zero ? 0.0f : largest / 127.0f;
  const float inverse = zero ? 0.0f : 127.0f / largest;
  const float round = 0x1.8p23f; /* adding it rounds to integers, which its low bits then are */
  float lost = 0.0f;
  for (int64_t t = 4 * lane; t < padded_d; t += 4 * kWarp) {
    float value[4];
    (void)load_centred<kWide>(x, centre, t, d, value);
    uint32_t bytes = 0;
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (zero) value[c] = 0.0f;
      const float shifted = __fmaf_rn(value[c], inverse, round); /* +-127 at most, up to a rounding */
      const float integer = fminf(fmaxf(__fsub_rn(shifted, round), -127.0f), 127.0f);
      const float difference = __fmaf_rn(-scale, integer, value[c]);
      lost = __fmaf_rn(difference, difference, lost);
      bytes |= ((uint32_t)__float_as_int(__fadd_rn(integer, round)) & 0xffu) << 8 * c;
    }
    *(uint32_t *)&q[int8_at(row, t, padded_d)] = bytes;
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    lost = __fadd_rn(lost, __shfl_xor_sync(kAllLanes, lost, offset));
  }
  if (lane != 0) return;
  twice_scale[row] = 2.0f * scale;
  if (usable) {
    const double length = sqrt((double)sum * (1.0 + 0x1p-16) + 0x1p-136);
    const double residual =
        zero ? length : sqrt((double)lost * (1.0 + 0x1p-16) + 0x1p-136) + length * 0x1p-22;
    twice_length[row] = __double2float_ru(2.0 * length * kUp);
    twice_residual[row] = __double2float_ru(2.0 * residual * kUp);
    row_slack[row] =
        __double2float_ru((kDistanceError * length * length + underflow_error(d)) * kUp);
  } else {
    twice_length[row] = __int_as_float(0x7f800000);
    twice_residual[row] = 0.0f;
    row_slack[row] = 0.0f;
  }
}

/* Float32 as an integer of the same order, so that atomicMin finds the least; not NaN. */
__device__ __forceinline__ int ordered(float value) {
  const int bits = __float_as_int(value);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

__device__ __forceinline__ float from_ordered(int key) {
  return __int_as_float(key < 0 ? key ^ 0x7fffffff : key);
}

/* A score that a codeword at the distance D of a row has at most, twice_length as in TensorProblem: D less
 * |A|^2 as it is at least. That rules out all codewords with s - w above it: their D is larger, not equal,
 * as w has room for the roundings of D. Infinite where the row is too long. */
__device__ __forceinline__ float score_at(double distance, float twice_length) {
  const double length = 0.5 * (double)twice_length; /* above |A| by less than 2^-16 of it */
  if (!(length <= 2.0 * kLargestLength)) return __int_as_float(0x7f800000);
  return __double2float_ru(distance * (1.0 + 0x1p-40) - length * length * (1.0 - 0x1p-14) + 0x1p-134);
}

struct TensorProblem : Screening {
  const int8_t *x8; /* rows x padded_d, see int8_at() */
  const int8_t *e8; /* padded_K x padded_d likewise */
  int64_t padded_d;
  const float *scale;
  const float *spread;
  const float *reach;
  const float *twice_scale;
  const float *twice_length;
  const float *twice_residual;
};

__global__ void __launch_bounds__(kThreads, 2) lookup_tensor_kernel(TensorProblem p) {
  struct Tiles {
    uint32_t x[2][kTileRows][kTensorPitch];
    uint32_t e[2][kTileCodes][kTensorPitch];
  };
  __shared__ union __align__(16) Memory {
    Tiles tiles;
    Candidates candidates;
  } memory;
  __shared__ float4 row_terms[kTileRows]; /* twice_scale, twice_length, twice_residual, row_slack */
  __shared__ int bound[kTileRows];        /* ordered() */
  __shared__ Best best;

  if (*p.bad_row != kNone) return;

  const int thread = (int)threadIdx.x;
  const int group = thread % kWarp / 4;
  const int member = thread % 4;
  const int warp_row = thread / kWarp / 4 * 64;
  const int warp_code = thread / kWarp % 4 * 32;
  const int64_t first_row = (int64_t)blockIdx.x * kTileRows;
  const int rows = (int)(p.rows - first_row < kTileRows ? p.rows - first_row : kTileRows);
  const int load_row = thread / 4; /* and 64 more */
  const int load_part = thread % 4;
  const int64_t tiles_apart = p.padded_d * kTileRows; /* from the rows of a tile to the next */
  const int chunks = (int)((p.d + kTensorDepth - 1) / kTensorDepth);

  unsigned long long previous = kNone;
  if (thread < kTileRows) {
    const int64_t row = first_row + thread;
    row_terms[thread] = thread < rows ? float4{p.twice_scale[row], p.twice_length[row],
                                               p.twice_residual[row], p.row_slack[row]}
                                      : float4{0.0f, 0.0f, 0.0f, 0.0f};
    bound[thread] = ordered(__int_as_float(0x7f800000));
    best.distance[thread] = kNone;
    best.index[thread] = INT_MAX;
  }

  const int begin_code = (int)blockIdx.y * p.tiles * kTileCodes;
  const int end_code = begin_code + p.tiles * kTileCodes < (int)p.padded_K
                           ? begin_code + p.tiles * kTileCodes
                           : (int)p.padded_K;

  for (int first_code = begin_code; first_code < end_code; first_code += kTileCodes) {
    if (thread == 0) best.listed = 0;

    int sum[4][4][4]; /* 16 rows x 8 codewords each */
#pragma unroll
    for (int m = 0; m < 4; ++m) {
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int c = 0; c < 4; ++c) sum[m][n][c] = 0;
      }
    }

    const int8_t *x8 = p.x8 + (int64_t)blockIdx.x * tiles_apart + load_row * kInt8Columns;
    const int8_t *e8 = p.e8 + first_code / kTileCodes * tiles_apart + load_row * kInt8Columns;
    auto load = [&](int chunk, int stage) { /* as int8_at() says */
      const int piece = (chunk % 2 * (kTensorDepth / 16) + load_part) ^ (load_row % 8);
      const int at = chunk / 2 * kInt8Tile + piece * 16;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = load_row + 64 * half;
        copy_ahead<16>(&memory.tiles.x[stage][row][4 * load_part], x8 + at + 64 * half * kInt8Columns,
                   row < rows);
        copy_ahead<16>(&memory.tiles.e[stage][row][4 * load_part], e8 + at + 64 * half * kInt8Columns,
                   true);
      }
    };

    load(0, 0);
    wait_copies();
    __syncthreads();
    int stage = 0;
    for (int chunk = 1;; ++chunk) {
      const bool more = chunk < chunks;
      if (more) load(chunk, stage ^ 1);
#pragma unroll
      for (int k = 0; k < kTensorDepth / 4; k += 8) {
        uint32_t b[4][2];
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const uint32_t *e = memory.tiles.e[stage][warp_code + 8 * n + group];
          b[n][0] = e[k + member];
          b[n][1] = e[k + 4 + member];
        }
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          const uint32_t *low = memory.tiles.x[stage][warp_row + 16 * m + group];
          const uint32_t *high = memory.tiles.x[stage][warp_row + 16 * m + 8 + group];
          const uint32_t a[4] = {low[k + member], high[k + member], low[k + 4 + member],
                                 high[k + 4 + member]};
#pragma unroll
          for (int n = 0; n < 4; ++n) multiply(sum[m][n], a, b[n]);
        }
      }
      wait_copies();
      __syncthreads();
      stage ^= 1;
      if (!more) break;
    }

    /* Lower bounds in the place of the sums; each row's least upper bound. */
    float least[8];
#pragma unroll
    for (int r = 0; r < 8; ++r) least[r] = __int_as_float(0x7f800000);
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const int j = first_code + warp_code + 8 * n + 2 * member; /* and the next */
      float square[2], code_scale[2], spread[2], reach[2], slack[2];
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        square[c] = p.square[j + c];
        code_scale[c] = p.scale[j + c];
        spread[c] = p.spread[j + c];
        reach[c] = p.reach[j + c];
        slack[c] = p.slack[j + c];
      }
#pragma unroll
      for (int r = 0; r < 8; ++r) {
        if (r % 4 == 0) __syncwarp(); /* or the compiler loads all rows' terms first, and spills */
        const float4 row = row_terms[warp_row + 8 * r + group];
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          int &value = sum[r / 2][n][2 * (r % 2) + c];
          const float score = __fsub_rn(square[c], (row.x * code_scale[c]) * (float)value);
          const float error =
              __fmaf_rn(row.y, spread[c],
                        __fmaf_rn(row.z, reach[c], __fadd_rn(slack[c], row.w)));
          value = __float_as_int(__fsub_rn(score, error));
          least[r] = fminf(least[r], __fadd_rn(score, error));
        }
      }
    }
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      least[r] = fminf(least[r], __shfl_xor_sync(kAllLanes, least[r], 1));
      least[r] = fminf(least[r], __shfl_xor_sync(kAllLanes, least[r], 2));
      if (member == 0) atomicMin(&bound[warp_row + 8 * r + group], ordered(least[r]));
    }
    __syncthreads();

    uint32_t chosen[2] = {0, 0}; /* bit 16 m + 4 n + 2 half + c, of 64 */
#pragma unroll
    for (int r = 0; r < 8; ++r) {
      const int row = warp_row + 8 * r + group;
      const float least_upper = from_ordered(bound[row]);
      if (row >= rows) continue;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          const int bit = 16 * (r / 2) + 4 * n + 2 * (r % 2) + c;
          const float lower = __int_as_float(sum[r / 2][n][2 * (r % 2) + c]);
          if (!(lower > least_upper)) chosen[bit / 32] |= 1u << (bit % 32);
        }
      }
    }
    uint32_t real = 0; /* codewords below K */
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        if (first_code + warp_code + 8 * n + 2 * member + c < (int)p.K) {
          real |= 0x00050005u << (4 * n + c);
        }
      }
    }
    chosen[0] &= real;
    chosen[1] &= real;
    const Tile tile = {p.x + first_row * p.row_stride, p.row_stride, p.e, p.d, first_code};
    decide(
        tile, chosen,
        [=](int bit) {
          const int row = warp_row + bit / 16 * 16 + bit % 4 / 2 * 8 + group;
          const int code = warp_code + bit % 16 / 4 * 8 + 2 * member + bit % 2;
          return (uint32_t)(row * kTileCodes + code);
        },
        memory.candidates, best, previous);
    if (thread < kTileRows && previous != kNone) { /* what is known by now bounds the next tiles' scores */
      const float known = score_at(__longlong_as_double((long long)previous), row_terms[thread].y);
      atomicMin(&bound[thread], ordered(known));
    }
  }

  if (thread < rows) {
    const int64_t at = (int64_t)blockIdx.y * p.rows + first_row + thread;
    p.distance[at] = __longlong_as_double((long long)best.distance[thread]);
    p.index[at] = best.index[thread];
  }
}

}  // namespace device
}  // namespace nas

#endif
