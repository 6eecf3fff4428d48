/*
 * Deciding among the candidates of a tile of 128 rows by 128 codewords, for the lookup's screening
 * kernels: the pairs that a block could not rule out are listed in shared memory and compared by the
 * canonical float64 distance, eight threads a pair, one per lane of the definition.
 */
#ifndef NAS_CUDA_CANDIDATES_CUH
#define NAS_CUDA_CANDIDATES_CUH

#include <climits>

#include "support.cuh"

namespace nas {
namespace device {

constexpr int kThreads = 256;
constexpr int kListed = 2048; /* candidate pairs decided at a time */
constexpr int kPairCodes = NAS_MAX_CODEWORDS; /* a pair of a longer list is row * kPairCodes + codeword */

struct Candidates {
  double distance[kListed];
  uint32_t pair[kListed]; /* row * kTileCodes + code, both within the tile */
};

/* The best codeword of each row of a block so far. */
struct Best {
  unsigned long long distance[kTileRows]; /* bits: ordered, as no D is negative */
  int index[kTileRows];
  int listed;
};

/* What every screening kernel is given. Block (b, s): rows 128 b and on, part s of the codewords. */
struct Screening {
  const float *x;
  int64_t rows;
  int64_t row_stride;
  const float *e;
  int64_t K;
  int64_t d;
  int64_t padded_K;
  const float *square;    /* padded K */
  const float *slack;     /* padded K: the part of the error bound that is the codeword's alone */
  const float *row_slack; /* rows: the part that is the row's alone */
  const unsigned long long *bad_row;
  int tiles;              /* of kTileCodes codewords, of a block */
  double *distance;       /* splits x rows: the least distance in each split */
  int32_t *index;         /* splits x rows */
};

/* The rows and codewords of a tile. */
struct Tile {
  const float *x; /* first row of the block */
  int64_t row_stride;
  const float *e;
  int64_t d;
  int first_code;
};

/*
 * Adds `count` pairs, each row * kUnit + code - tile.first_code, to what is known of their rows. kTeam
 * threads take part, of which `thread` is this one's number, and sync() is their barrier;
 * kTeam >= kTileRows.
 * kTermsAhead terms of a distance are loaded before they are added. `distance`: room for `count`.
 * `previous`: thread i's own copy of best.distance[i], kNone at first. The pairs must have been made visible
 * by a barrier; ends with one.
 */
template <int kUnit, int kTeam, int kTermsAhead, class Sync>
__device__ __forceinline__ void decide_pairs(const Tile &tile, const uint32_t *pairs,
                                             double *distance, int count, Best &best,
                                             unsigned long long &previous, int thread, Sync sync) {
  const int lane = thread % kLanes;
  for (int base = 0; base < count; base += kTeam / kLanes) {
    const int i = base + thread / kLanes;
    const uint32_t pair = pairs[i < count ? i : 0];
    const int row = (int)(pair / kUnit);
    double a = 0.0;
    if (i < count) {
      const float *x = tile.x + row * tile.row_stride + lane;
      const float *e = tile.e + (int64_t)(tile.first_code + (int)(pair % kUnit)) * tile.d + lane;
      int left = ((int)tile.d - lane + kLanes - 1) / kLanes; /* terms of this lane; at least 0 */
      for (; left >= kTermsAhead; left -= kTermsAhead) {
        float u[kTermsAhead];
        float v[kTermsAhead];
#pragma unroll
        for (int k = 0; k < kTermsAhead; ++k) {
          u[k] = x[k * kLanes];
          v[k] = e[k * kLanes];
        }
#pragma unroll
        for (int k = 0; k < kTermsAhead; ++k) a = add64(a, squared_difference(u[k], v[k]));
        x += kTermsAhead * kLanes;
        e += kTermsAhead * kLanes;
      }
      for (; left > 0; --left) {
        a = add64(a, squared_difference(*x, *e));
        x += kLanes;
        e += kLanes;
      }
    }
    a = add64(a, __shfl_xor_sync(kAllLanes, a, 4));
    a = add64(a, __shfl_xor_sync(kAllLanes, a, 2));
    a = add64(a, __shfl_xor_sync(kAllLanes, a, 1));
    if (i < count && lane == 0) {
      distance[i] = a;
      atomicMin(&best.distance[row], (unsigned long long)__double_as_longlong(a));
    }
  }
  sync();
  if (thread < kTileRows && best.distance[thread] != previous) {
    previous = best.distance[thread];
    best.index[thread] = INT_MAX;
  }
  sync();
  for (int i = thread; i < count; i += kTeam) {
    const uint32_t pair = pairs[i];
    const int row = (int)(pair / kUnit);
    if ((unsigned long long)__double_as_longlong(distance[i]) == best.distance[row]) {
      atomicMin(&best.index[row], tile.first_code + (int)(pair % kUnit));
    }
  }
  sync();
}

/*
 * Adds the chosen pairs of a tile to what is known of its rows. `chosen`: a thread's pairs as 64
 * bits; pair_of(bit): which pair a bit is. best.listed must be 0 and all threads have passed a
 * barrier since it was set. `previous`: thread i's own copy of best.distance[i], kNone at first.
 * Ends with a barrier, and begins with one before `candidates` is written.
 */
template <class PairOf>
__device__ __forceinline__ void decide(const Tile &tile, const uint32_t (&chosen)[2],
                                       PairOf pair_of, Candidates &candidates, Best &best,
                                       unsigned long long &previous) {
  const int thread = (int)threadIdx.x;
  const int mine = __popc(chosen[0]) + __popc(chosen[1]);
  const int first_slot = mine > 0 ? atomicAdd(&best.listed, mine) : 0;
  __syncthreads();
  const int all = best.listed;
  for (int begin = 0; begin < all; begin += kListed) {
    const int count = all - begin < kListed ? all - begin : kListed;
    int slot = first_slot - begin;
#pragma unroll
    for (int word = 0; word < 2; ++word) {
      uint32_t bits = chosen[word];
      while (bits != 0) {
        const int bit = __ffs((int)bits) - 1;
        bits &= bits - 1;
        if (slot >= 0 && slot < kListed) candidates.pair[slot] = pair_of(32 * word + bit);
        ++slot;
      }
    }
    __syncthreads();

    decide_pairs<kTileCodes, kThreads, 8>(tile, candidates.pair, candidates.distance, count, best,
                                          previous, thread, [] { __syncthreads(); });
  }
}

}  // namespace device
}  // namespace nas

#endif
