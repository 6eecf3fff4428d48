/*
 * Neighbour lists. From NAS_TIER_TENSOR on, those of R <= 128 are screened on tensor cores; a list that
 * screening leaves undecided, and every other list, is made from all K distances.
 *
 * Screening. With A = e_j - c and B = e_l - c for the codebook's centre c, A' + A'' what the two levels
 * of int8 hold of A, A' = s q and A'' = s p / 256, B' and B'' likewise,
 *   A.B = A'.B' + A'.B'' + A''.B' + A''.B'' + (A - A' - A'').B + (A' + A'').(B - B' - B''),
 * and the first three products are exact in int32, each below 2^28. So the score
 *   fl(|B|^2 - 2 s_j s_l (q_j.q_l + (q_j.p_l + p_j.q_l) / 256)), for |e_j - e_l|^2 - |A|^2,
 * is wrong by at most
 *   w_jl = 2 (Z_j y_l + y_j Z_l + z_j z_l) + v_j + v_l + T      (Cauchy-Schwarz)
 * with r_l >= |B - B' - B''|, which is measured, Z_l >= |B| + r_l, z_l >= |B''|, y_l = r_l + 32u Z_l,
 * u = 2^-24, and v_l = (32u + H) |B|^2. Of Z, r and z the bracket holds what the score leaves out; 32u
 * twice 2 Z_j Z_l, and v, hold more than twice the roundings, as in tensor.cuh: of the two sums as
 * float32, of their sum, of the scales' product and of the product with it (5u of 2 |A'| |B'| and of twice
 * 2 |A'| |B''|, where |A'| <= 1.26 |A| and |A''| <= 0.26 |A|), of |B|^2 (4u), of the last subtraction
 * and of w and its use. H and T are those of screen.cuh; H is for the rounding of D.
 * Codes with score - w above the R-th smallest score + w of a row have R nearer ones, and are out. A code
 * that is too long has v = infinity: it is never out, and nothing is out of its own list.
 *
 * A block of 16 warps takes 16 rows and 512 codes at a time, a warp 16 rows x 32 codes, its products'
 * operands straight from memory to registers, since no other warp of the block wants the same codes. Then
 * each warp goes through the scores of one row and lists what may be among its R nearest; a list that is
 * full is cut to what its own R-th upper bound leaves in, and if that is too much, by ties or
 * differences too small for int8, the row is undecided: a mark in the row's list, for the other kernel.
 * At last the warp computes the distances of what is listed, eight threads a pair, one per lane of the
 * canonical distance, and puts each at its rank by (distance, index). Bound by reading the codes, 2 K d
 * bytes a block, from the L2 cache; nothing is kept in memory but the lists, so that calls may overlap.
 *
 * From all distances: a block per code computes the distances to W codes at a time, eight threads a
 * pair, and merges them into the W best so far by a bitonic sort of 2W (distance, index) pairs; W is R
 * rounded up to a power of two. Bound by float64 arithmetic, K*d terms a list; a merge is left out where
 * nothing improves the R-th entry.
 */
#include <climits>

#include "fragments.cuh"
#include "screen.cuh"
#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kMostNeighbours = NAS_MAX_NEIGHBOURS;
constexpr int32_t kUndecided = -2; /* in the first place of a list */

/* ---------------------------------------------------------------- screened */

constexpr int kMostScreened = 128;
constexpr int kRows = 16; /* of a block, and its warps */
constexpr int kScreenThreads = kRows * kWarp;
constexpr int kWarpCodes = 32;
constexpr int kChunk = kRows * kWarpCodes;
constexpr int kLowerPitch = kChunk + 8; /* makes the products' stores free of bank conflicts */
constexpr int kListed = 384;            /* codes listed for a row */
constexpr int kFull = kListed - kWarp;    /* more than these, and a warp's next ones may not fit */
constexpr int kDepth = 64;              /* columns at a time */

static_assert(kMostScreened <= kFull, "a full list has an R-th bound");
static_assert(NAS_MAX_CODEWORDS <= 1 << 16, "codes fit in 16 bits");
static_assert(kTileRows % kRows == 0 && kTileCodes % kWarpCodes == 0, "tiles hold whole parts");

struct ScreenMemory {
  unsigned long long entries[kRows][kListed]; /* the bits of upper and lower bound; then of D */
  float lower[kRows][kLowerPitch];
  uint16_t codes[kRows][kListed];
};

/* The least of the cards that sm_80 code runs on has 99 KiB for a block. */
static_assert(sizeof(ScreenMemory) <= 96 << 10, "the lists fit in shared memory");

struct Neighbourhood {
  const float *e;
  const int8_t *e8;
  const int8_t *low8;
  const float *scale;
  const float4 *terms;
  const float *square;
  const uint8_t *live;
  int32_t *out;
  int64_t d;
  int64_t padded_d; /* of int8 */
  int K;
  int padded_K;
  int R;
  float underflow; /* T */
};

__device__ __forceinline__ ScreenMemory &screen_memory() {
#if defined(NAS_EMULATION)
  return *(ScreenMemory *)emulation::dynamic_shared();
#else
  extern __shared__ __align__(16) char nas_neighbours_memory[];
  return *(ScreenMemory *)nas_neighbours_memory;
#endif
}

/* A row's side of w. */
__device__ __forceinline__ float4 own_terms(const Neighbourhood &p, int j) {
  const float4 terms = p.terms[j];
  return float4{2.0f * terms.x, 2.0f * terms.y, 2.0f * terms.z, __fadd_rn(terms.w, p.underflow)};
}

/* w */
__device__ __forceinline__ float pair_error(const float4 &own, const float4 &code) {
  return __fmaf_rn(own.x, code.y,
                   __fmaf_rn(own.y, code.x,
                             __fmaf_rn(own.z, code.z, __fadd_rn(own.w, code.w))));
}

/* A warp's products of 16 rows by 32 codes: q.q, and q.p + p.q. */
__device__ __forceinline__ void multiply_levels(const Neighbourhood &p, int first_row, int first_code,
                                                int (&high)[4][4], int (&cross)[4][4]) {
  const int lane = (int)threadIdx.x % kWarp;
  const int group = lane / 4;
  /* A lane takes 16 bytes where a product wants 4 and 4 more, for two products: which columns meet in a
   * product is all the same, as long as those of rows and codes do. The pieces lie as int8_at() says. */
  const int piece = (lane % 4 ^ group) * 16;
  auto begin = [&](int row) {
    return row / kTileRows * (p.padded_d * kTileRows) + (row % kTileRows + group) * kInt8Columns;
  };
  const int64_t of_rows = begin(first_row);
  const int64_t of_codes = begin(first_code);
#pragma unroll
  for (int n = 0; n < 4; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) high[n][i] = cross[n][i] = 0;
  }
  const int d = (int)p.d;
#pragma unroll 1
  for (int column = 0; column < d; column += kDepth) {
    const int at = column / kInt8Columns * kInt8Tile + (piece ^ column % kInt8Columns);
    __align__(16) uint32_t a[2][2][4]; /* level, rows g and g + 8, word */
    __align__(16) uint32_t b[2][4][4]; /* level, codes g + 8 n, word */
#pragma unroll
    for (int level = 0; level < 2; ++level) {
      const int8_t *rows = (level == 0 ? p.e8 : p.low8) + of_rows + at;
      const int8_t *codes = (level == 0 ? p.e8 : p.low8) + of_codes + at;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        *(uint4 *)b[level][n] = *(const uint4 *)(codes + 8 * n * kInt8Columns);
      }
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        *(uint4 *)a[level][m] = *(const uint4 *)(rows + 8 * m * kInt8Columns);
      }
    }
#pragma unroll
    for (int word = 0; word < 4; word += 2) {
      uint32_t row[2][4];
#pragma unroll
      for (int level = 0; level < 2; ++level) {
        row[level][0] = a[level][0][word];
        row[level][1] = a[level][1][word];
        row[level][2] = a[level][0][word + 1];
        row[level][3] = a[level][1][word + 1];
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const uint32_t code_high[2] = {b[0][n][word], b[0][n][word + 1]};
        const uint32_t code_low[2] = {b[1][n][word], b[1][n][word + 1]};
        multiply(high[n], row[0], code_high);
        multiply(cross[n], row[0], code_low);
        multiply(cross[n], row[1], code_high);
      }
    }
  }
}

/* Writes score - w of a warp's 16 rows by 32 codes, those codes being `column` and on of the chunk. */
__device__ __forceinline__ void write_lower(const Neighbourhood &p, int first_row, int first_code,
                                            const int (&high)[4][4], const int (&cross)[4][4],
                                            int column, float (*lower)[kLowerPitch]) {
  const int lane = (int)threadIdx.x % kWarp;
  const int group = lane / 4;
  const int member = lane % 4;
  float twice_scale[2];
  float4 own[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int j = first_row + 8 * r + group;
    twice_scale[r] = 2.0f * p.scale[j];
    own[r] = own_terms(p, j);
  }
#pragma unroll
  for (int n = 0; n < 4; ++n) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int in_warp = 8 * n + 2 * member + c;
      const int l = first_code + in_warp;
      const float4 terms = p.terms[l];
      const float scale = p.scale[l];
      const float square = p.square[l];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float product =
            __fmaf_rn((float)cross[n][2 * r + c], 0x1p-8f, (float)high[n][2 * r + c]);
        const float score = __fsub_rn(square, (twice_scale[r] * scale) * product);
        lower[8 * r + group][column + in_warp] = __fsub_rn(score, pair_error(own[r], terms));
      }
    }
  }
}

/* Float32 as an unsigned integer of the same order; not NaN. */
__device__ __forceinline__ uint32_t order_of(float value) {
  const uint32_t bits = (uint32_t)__float_as_int(value);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float of_order(uint32_t order) {
  return __int_as_float((int)((order >> 31) != 0 ? order & 0x7fffffffu : ~order));
}

/* A row's list, kept by one warp. */
struct List {
  unsigned long long *entries; /* order_of(upper bound), order_of(lower bound) */
  uint16_t *codes;
  int count;
  float bound; /* at least the R-th smallest D - |A|^2 of the row */
};

/* Lowers the bound to the R-th smallest upper bound that is listed, and drops what is above it. At
 * least R codes are listed. */
__device__ __forceinline__ void cut(List &list, int R) {
  const int lane = (int)threadIdx.x % kWarp;
  __syncwarp();
  uint32_t upper[kListed / kWarp];
#pragma unroll
  for (int i = 0; i < kListed / kWarp; ++i) {
    const int at = kWarp * i + lane;
    upper[i] = at < list.count ? (uint32_t)(list.entries[at] >> 32) : 0xffffffffu;
  }
  /* The largest value that fewer than R are below. */
  uint32_t least = 0;
#pragma unroll 1
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    const uint32_t trial = least | bit;
    unsigned below = 0;
#pragma unroll
    for (int i = 0; i < kListed / kWarp; ++i) below += upper[i] < trial ? 1 : 0;
    if ((int)__reduce_add_sync(kAllLanes, below) < R) least = trial;
  }
  list.bound = of_order(least);

  int kept = 0;
#pragma unroll 1
  for (int base = 0; base < list.count; base += kWarp) {
    const int at = base + lane;
    const bool real = at < list.count;
    const unsigned long long entry = real ? list.entries[at] : 0;
    const uint16_t code = real ? list.codes[at] : (uint16_t)0;
    const bool stays = real && (uint32_t)entry <= least;
    const unsigned staying = __ballot_sync(kAllLanes, stays);
    __syncwarp(); /* all have read what is written over now */
    if (stays) {
      const int to = kept + __popc(staying & ((1u << lane) - 1));
      list.entries[to] = entry;
      list.codes[to] = code;
    }
    kept += __popc(staying);
  }
  __syncwarp();
  list.count = kept;
}

/* Lists those of a chunk's codes that may be among the R nearest to code j; false: too many may. */
__device__ __forceinline__ bool list_codes(const Neighbourhood &p, int j, int first_code,
                                           const float *lower, List &list) {
  const int lane = (int)threadIdx.x % kWarp;
  const float4 own = own_terms(p, j);
  const int codes = p.K - first_code < kChunk ? p.K - first_code : kChunk;
#pragma unroll 1
  for (int base = 0; base < codes; base += kWarp) {
    const int l = first_code + base + lane;
    const float least = lower[base + lane];
    const bool listed = base + lane < codes && l != j && !(least > list.bound) &&
                        (p.live == nullptr || p.live[l] != 0);
    const unsigned listing = __ballot_sync(kAllLanes, listed);
    if (listing == 0) continue;
    if (listed) {
      const float most = __fmaf_rn(2.0f, pair_error(own, p.terms[l]), least);
      /* Where w is infinite that is NaN. */
      const uint32_t upper = order_of(most <= 0x1p127f ? most : __int_as_float(0x7f800000));
      const int at = list.count + __popc(listing & ((1u << lane) - 1));
      list.entries[at] = (unsigned long long)upper << 32 | order_of(least);
      list.codes[at] = (uint16_t)l;
    }
    list.count += __popc(listing);
    if (list.count > kFull) {
      cut(list, p.R);
      if (list.count > kFull) return false;
    }
  }
  return true;
}

/* Puts the distances from code j in the place of the bounds of `first` and on, 4 kEach of them. */
template <int kEach>
__device__ __forceinline__ void measure(const Neighbourhood &p, int j, const List &list, int first) {
  const int lane = (int)threadIdx.x % kLanes;
  const int group = (int)threadIdx.x % kWarp / kLanes;
  const float *x = p.e + j * p.d + lane;
  const float *y[kEach];
  double a[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int at = first + 4 * i + group;
    y[i] = p.e + list.codes[at < list.count ? at : list.count - 1] * p.d + lane;
    a[i] = 0.0;
  }
#pragma unroll 8
  for (int t = (int)p.d - lane; t > 0; t -= kLanes) {
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      a[i] = add64(a[i], squared_difference(*x, *y[i]));
      y[i] += kLanes;
    }
    x += kLanes;
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    a[i] = add64(a[i], __shfl_xor_sync(kAllLanes, a[i], 4));
    a[i] = add64(a[i], __shfl_xor_sync(kAllLanes, a[i], 2));
    a[i] = add64(a[i], __shfl_xor_sync(kAllLanes, a[i], 1));
    const int at = first + 4 * i + group;
    if (lane == 0 && at < list.count) {
      list.entries[at] = (unsigned long long)__double_as_longlong(a[i]);
    }
  }
}

__global__ void __launch_bounds__(kScreenThreads, 1) neighbours_screen_kernel(Neighbourhood p) {
  ScreenMemory &memory = screen_memory();
  const int lane = (int)threadIdx.x % kWarp;
  const int warp = (int)threadIdx.x / kWarp;
  const int first_row = (int)blockIdx.x * kRows;
  const int j = first_row + warp;
  List list = {memory.entries[warp], memory.codes[warp], 0, __int_as_float(0x7f800000)};
  bool decided = true;

  for (int chunk = 0; chunk < p.K; chunk += kChunk) {
    const int first_code = chunk + warp * kWarpCodes;
    int high[4][4];
    int cross[4][4];
    const bool real = first_code < p.padded_K;
    if (real) multiply_levels(p, first_row, first_code, high, cross);
    __syncthreads(); /* the scores before these have been read */
    if (real) {
      write_lower(p, first_row, first_code, high, cross, warp * kWarpCodes, memory.lower);
    }
    __syncthreads();
    if (j < p.K && decided) decided = list_codes(p, j, chunk, memory.lower[warp], list);
  }

  if (j >= p.K) return;
  int32_t *const out = p.out + (int64_t)j * p.R;
  if (!decided) {
    if (lane == 0) out[0] = kUndecided;
    return;
  }
  if (list.count > p.R) cut(list, p.R);
  __syncwarp();
  for (int first = 0; first < list.count;) {
    if (list.count - first > 4) {
      measure<2>(p, j, list, first);
      first += 8;
    } else {
      measure<1>(p, j, list, first);
      first += 4;
    }
  }
  __syncwarp();
  for (int i = lane; i < list.count; i += kWarp) {
    const unsigned long long distance = list.entries[i];
    const uint16_t code = list.codes[i];
    int rank = 0;
    for (int k = 0; k < list.count; ++k) {
      const unsigned long long other = list.entries[k];
      rank += other < distance || (other == distance && list.codes[k] < code) ? 1 : 0;
    }
    if (rank < p.R) out[rank] = code;
  }
  for (int r = list.count + lane; r < p.R; r += kWarp) out[r] = -1;
}

/* ---------------------------------------------------------------- from all distances */

constexpr int kThreads = 256;
constexpr int kLeastWidth = 128;
constexpr int kBlocks = 5; /* per multiprocessor, to look for undecided lists */

/* `undecided`: makes only the lists that are marked so. */
__global__ void __launch_bounds__(kThreads)
    neighbours_kernel(const float *e, int64_t K, int64_t d, int R, int W, const uint8_t *live,
                      bool undecided, int32_t *out) {
  __shared__ float own[NAS_MAX_WIDTH];
  __shared__ unsigned long long distances[2 * kMostNeighbours]; /* bits; kNone: no entry */
  __shared__ int32_t codes[2 * kMostNeighbours];

  const int thread = (int)threadIdx.x;
  const int lane = thread % kLanes;
  for (int64_t j = blockIdx.x; j < K; j += gridDim.x) {
    if (undecided && out[j * R] != kUndecided) continue;
    for (int t = thread; t < d; t += kThreads) own[t] = e[j * d + t];
    for (int i = thread; i < W; i += kThreads) {
      distances[i] = kNone;
      codes[i] = INT_MAX;
    }
    __syncthreads();

    for (int64_t first = 0; first < K; first += W) {
      for (int base = 0; base < W; base += kThreads / kLanes) {
        const int i = base + thread / kLanes;
        const int64_t l = first + i;
        const bool listed = l < K && l != j && (live == nullptr || live[l] != 0);
        double a = 0.0;
        if (listed) {
#pragma unroll 4
          for (int64_t t = lane; t < d; t += kLanes) {
            a = add64(a, squared_difference(own[t], e[l * d + t]));
          }
        }
        a = add64(a, __shfl_xor_sync(kAllLanes, a, 4));
        a = add64(a, __shfl_xor_sync(kAllLanes, a, 2));
        a = add64(a, __shfl_xor_sync(kAllLanes, a, 1));
        if (lane == 0) {
          distances[W + i] = listed ? (unsigned long long)__double_as_longlong(a) : kNone;
          codes[W + i] = listed ? (int32_t)l : INT_MAX;
        }
      }
      __syncthreads();

      /* Ties go to the entry already held, whose index is lower. */
      bool better = false;
      for (int i = thread; i < W; i += kThreads) {
        better = better || distances[W + i] < distances[R - 1];
      }
      if (__syncthreads_or(better ? 1 : 0) == 0) continue;

      for (int run = 2; run <= 2 * W; run *= 2) {
        for (int step = run / 2; step > 0; step /= 2) {
          for (int i = thread; i < W; i += kThreads) {
            const int low = 2 * step * (i / step) + i % step;
            const int high = low + step;
            const bool ascending = (low & run) == 0;
            const unsigned long long a = distances[low];
            const unsigned long long b = distances[high];
            const int32_t p = codes[low];
            const int32_t q = codes[high];
            const bool swapped = b < a || (b == a && q < p);
            if (swapped == ascending) {
              distances[low] = b;
              distances[high] = a;
              codes[low] = q;
              codes[high] = p;
            }
          }
          __syncthreads();
        }
      }
    }

    /* A thread begins the next list in the entries that it reads here, so no barrier is needed. */
    for (int r = thread; r < R; r += kThreads) {
      out[j * R + r] = distances[r] == kNone ? -1 : codes[r];
    }
  }
}

}  // namespace

void load_neighbours_kernels() {
  load(neighbours_screen_kernel);
  load(neighbours_kernel);
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" nas_status nas_neighbours(const nas_codebook *codebook, int64_t R, const uint8_t *live,
                                     int32_t *out, void *stream) {
  return call("nas_neighbours", [&] {
    require_pointer(codebook, "codebook");
    if (R < 1 || R > kMostNeighbours) {
      fail(NAS_INVALID_ARGUMENT, "R is %lld, outside 1..%d", (long long)R, kMostNeighbours);
    }
    const int64_t K = codebook->K;
    set_shape("K %lld, d %lld, R %lld", (long long)K, (long long)codebook->d, (long long)R);
    DeviceGuard guard(codebook->device);
    if (live != nullptr) require_device(live, "live", 1, codebook->device);
    require_device(out, "out", 4, codebook->device);
    const State &state = codebook->state;
    cudaStream_t on = (cudaStream_t)stream;
    const bool screened = R <= kMostScreened && tier_in_use() >= NAS_TIER_TENSOR &&
                          codebook->best_tier >= NAS_TIER_TENSOR;
    if (screened) {
      Neighbourhood problem;
      problem.e = state.e;
      problem.e8 = state.e8;
      problem.low8 = state.low8;
      problem.scale = state.scale8;
      problem.terms = state.terms8;
      problem.square = state.square;
      problem.live = live;
      problem.out = out;
      problem.d = codebook->d;
      problem.padded_d = round_up(codebook->d, kInt8Columns);
      problem.K = (int)K;
      problem.padded_K = (int)round_up(K, kTileCodes);
      problem.R = (int)R;
      problem.underflow = (float)underflow_error(codebook->d);
      launch_shared("neighbours_screen", neighbours_screen_kernel, dim3(blocks_for(K, kRows)),
                    dim3(kScreenThreads), (int)sizeof(ScreenMemory), on, problem);
    }
    int W = kLeastWidth;
    while (W < R) W *= 2;
    const int64_t most = screened ? kBlocks * (int64_t)codebook->multiprocessors : K;
    launch("neighbours", neighbours_kernel, dim3(blocks_for(K, 1, most)), dim3(kThreads), on,
           (const float *)state.e, K, codebook->d, (int)R, W, live, screened, out);
  });
}
