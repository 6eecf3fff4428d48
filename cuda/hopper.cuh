/*
 * The lookup's screening in int8 by warpgroup products (wgmma, compute capability 9.0), with the scores
 * and the error bound of tensor.cuh.
 *
 * A block takes 128 rows and a range of the codewords, 128 at a time. Rows and codewords lie in global
 * memory as tiles of 128 x 128 bytes, swizzled as wgmma reads them, so that one bulk copy brings a tile
 * into shared memory. A thread of its own, the producer, keeps a ring of such tiles filled; the rows'
 * tiles stay where they are up to d = 768 and come along with the codewords' beyond. Two warpgroups take
 * turns at the tiles of codewords, so that one decides what its products mean while the other multiplies.
 * They share nothing but their turns and the rows' bounds until the end.
 *
 * A row of the products lies in four lanes of one warp. With u_ij the score and w_ij its error bound, W_i
 * the value of w_ij for the largest terms of a tile's codewords, and b_i the least upper bound known,
 *   U_i = min (b_i, min_j u_ij + W_i) bounds the least distance, and u_ij > U_i + W_i rules j out.
 * That takes four instructions a pair. w_ij itself is computed for the others alone, which are listed, and
 * lowers b_i further. What w_ij leaves is decided in float64 when the list is full, or at the end, when all
 * scores are known: first the pair of each row that looks nearest, whose distance lowers b_i by the width of
 * its bound, and then what that leaves. The sum U_i + W_i is off by one rounding: where it matters, by less
 * than u |u_ij|, for which the bound of tensor.cuh has room.
 */
#ifndef NAS_CUDA_HOPPER_CUH
#define NAS_CUDA_HOPPER_CUH

#include <cfloat>

#include "hopper_ptx.cuh"
#include "tensor.cuh"

namespace nas {
namespace device {

constexpr int kStages = 6; /* of the ring; also how many tiles of the rows can stay */
constexpr int kGroups = 2;
constexpr int kGroupThreads = 128;
constexpr int kHopperThreads = (kGroups + 1) * kGroupThreads; /* the last group holds the producer */
constexpr int kGroupRegisters = 232; /* of a thread */
constexpr int kProducerRegisters = 40;
constexpr int kEntryRegisters = 65536 / kHopperThreads / 8 * 8; /* what a block is started with */
static_assert(kGroups * kGroupRegisters + kProducerRegisters <= (kGroups + 1) * kEntryRegisters,
              "groups can share out only what the block was started with, or they wait for ever");
constexpr int kGroupListed = 640; /* entries of a group's list, as many as there is room for */
constexpr int kAllGroupsBarrier = kGroups + 1; /* after those of the groups, 1 and 2 */

/* Of one warpgroup. */
struct GroupMemory {
  uint32_t pair[kGroupListed]; /* the list: row * kPairCodes + codeword, the row within the block */
  float lower[kGroupListed];   /* the score, then the score less its error bound */
  uint32_t kept[kGroupListed]; /* pairs to decide */
  double distance[kGroupListed];
  __align__(16) float code[kTileCodes][2]; /* squared length and scale of the tile's codewords */
  float4 most[4];              /* largest spread, reach and slack of each warp's 32 */
  Best best;                   /* best.listed: entries of the list */
  int kept_count;
};

struct HopperMemory {
  int8_t x[kStages][kInt8Tile];
  int8_t e[kStages][kInt8Tile];
  GroupMemory group[kGroups];
  float4 row[kTileRows]; /* twice_scale, twice_length, twice_residual, row_slack */
  int bound[kTileRows];  /* ordered(): what the least score is at most */
  int least[kTileRows];  /* ordered(): the least lower bound listed */
  uint64_t x_full[kStages];
  uint64_t full[kStages];
  uint64_t empty[kStages];
  uint64_t turn[kGroups]; /* a phase ends when the group may multiply its next tile */
};

/* Dynamic shared memory of a block: HopperMemory has to start on a 1024-byte boundary. */
constexpr int kHopperShared = (int)sizeof(HopperMemory) + 1024;
static_assert(kHopperShared <= 227 << 10, "a block's shared memory is limited to 227 KiB");

/* Beyond so many blocks for each multiprocessor the codewords are not split, which would even out little. */
constexpr int64_t kHopperMostWaves = 8;

/* What a block costs besides, in tiles: it knows no row's bound at first, and so has more to decide. */
constexpr int64_t kHopperBlockTiles = 6;

/* How many parts to split `code_tiles` into for `row_tiles` blocks each, on a device that runs one block
 * per multiprocessor at a time: the least time. */
inline int64_t hopper_splits(int64_t row_tiles, int64_t code_tiles, int64_t multiprocessors) {
  int64_t best = 1;
  int64_t least = INT64_MAX;
  for (int64_t splits = 1; splits <= code_tiles && splits <= multiprocessors; ++splits) {
    if (splits > 1 && splits * row_tiles > kHopperMostWaves * multiprocessors) break;
    const int64_t tiles = (code_tiles + splits - 1) / splits;
    const int64_t waves = (row_tiles * splits + multiprocessors - 1) / multiprocessors;
    if (waves * (tiles + kHopperBlockTiles) < least) {
      least = waves * (tiles + kHopperBlockTiles);
      best = splits;
    }
  }
  return best;
}

#if defined(NAS_HOPPER_CODE)

/* What the two sides of the ring agree on. */
struct Ring {
  int tiles;     /* of codewords of this block */
  int columns;   /* tiles side by side in a row: padded_d / kInt8Columns */
  bool resident; /* the rows' tiles stay */
};

/* One thread: fills the ring. */
__device__ __forceinline__ void produce(HopperMemory &memory, const Ring &ring, const int8_t *x8,
                                        const int8_t *e8) {
  int stage = 0;
  unsigned phase = 0;
  for (int tile = 0; tile < ring.tiles; ++tile) {
    for (int column = 0; column < ring.columns; ++column) {
      if (ring.resident && tile == 0) {
        barrier_expect(&memory.x_full[column], kInt8Tile);
        copy_bulk(memory.x[column], x8 + (int64_t)column * kInt8Tile, kInt8Tile,
                  &memory.x_full[column]);
      }
      barrier_wait(&memory.empty[stage], phase ^ 1);
      barrier_expect(&memory.full[stage], ring.resident ? kInt8Tile : 2 * kInt8Tile);
      copy_bulk(memory.e[stage], e8, kInt8Tile, &memory.full[stage]);
      e8 += kInt8Tile;
      if (!ring.resident) {
        copy_bulk(memory.x[stage], x8 + (int64_t)column * kInt8Tile, kInt8Tile,
                  &memory.full[stage]);
      }
      if (++stage == kStages) {
        stage = 0;
        phase ^= 1;
      }
    }
  }
}

/* One warpgroup: sum[m] = the products of the rows 64 m .. 64 m + 63 with a tile's 128 codewords.
 * The groups take turns in the order of the tiles. Besides letting one multiply while the other decides, that
 * is what the waits for a full stage rely on: they tell a phase from the next one, not from the one after
 * that, so that the stage's use before must have been seen to be full. */
__device__ __forceinline__ void multiply_tile(HopperMemory &memory, const Ring &ring, int tile,
                                              int (&sum)[2][64]) {
  const bool arrives = threadIdx.x % kWarp == 0;
  const int group = tile % kGroups;
  const bool first_use = tile < kGroups; /* of the rows' tiles, by this group */
  if (tile > 0) {
    /* The phases of turn[0] begin with the second tile of the group, there being none before the first. */
    const int phase = (tile - 1) / kGroups;
    barrier_wait(&memory.turn[group], (unsigned)phase & 1u);
  }
  int at = tile * ring.columns;
  int last_stage = 0;
  for (int column = 0; column < ring.columns; ++column, ++at) {
    const int stage = at % kStages;
    if (ring.resident && first_use) barrier_wait(&memory.x_full[column], 0);
    barrier_wait(&memory.full[stage], (unsigned)(at / kStages) & 1u);
    const uint64_t x = descriptor(memory.x[ring.resident ? column : stage]);
    const uint64_t e = descriptor(memory.e[stage]);
    multiply_fence();
#pragma unroll
    for (int k = 0; k < kInt8Columns / 32; ++k) {
      multiply_async(sum[0], x + 2 * k, e + 2 * k, column > 0 || k > 0);
      multiply_async(sum[1], x + 2 * k + 64 * 8, e + 2 * k, column > 0 || k > 0);
    }
    multiply_commit();
    if (column > 0) {
      multiply_wait<1>();
      if (arrives) barrier_arrive(&memory.empty[last_stage]);
    }
    last_stage = stage;
  }
  if (arrives) barrier_arrive(&memory.turn[(tile + 1) % kGroups]);
  multiply_wait<0>();
  settle(sum[0]);
  settle(sum[1]);
  if (arrives) barrier_arrive(&memory.empty[last_stage]);
}

/* The error bound of a pair. `row`: as in HopperMemory. */
__device__ __forceinline__ float pair_error(const float4 &row, float spread, float reach,
                                            float slack) {
  return __fmaf_rn(row.y, spread, __fmaf_rn(row.z, reach, __fadd_rn(slack, row.w)));
}

/* Puts into own.kept what the bounds leave of the first `count` entries of the group's list: of pairs with
 * the least lower bound of their row if `first`, else of the others. Returns how many. All threads of the
 * group. */
template <class Sync>
__device__ __forceinline__ int keep_pairs(HopperMemory &memory, GroupMemory &own, int count, bool first,
                                          Sync sync) {
  const int member = (int)threadIdx.x % kGroupThreads;
  if (member == 0) own.kept_count = 0;
  sync();
  for (int i = member; i < count; i += kGroupThreads) {
    const uint32_t pair = own.pair[i];
    const float lower = own.lower[i];
    const int row = (int)(pair / kPairCodes);
    const bool is_first = ordered(lower) == memory.least[row];
    if (is_first != first || lower > from_ordered(memory.bound[row])) continue;
    own.kept[atomicAdd(&own.kept_count, 1)] = pair;
  }
  sync();
  return own.kept_count;
}

/* Decides among the first `count` entries of a group's list by distance: for each row what looks nearest
 * first, as its distance rules out most of the others. All threads of the group; all_sync() is a barrier of
 * all that know of the rows. */
template <class Sync, class AllSync>
__device__ __forceinline__ void settle_list(const Tile &all, HopperMemory &memory, GroupMemory &own,
                                            int count, unsigned long long &previous, Sync sync,
                                            AllSync all_sync) {
  const int member = (int)threadIdx.x % kGroupThreads;
#pragma unroll 1
  for (int pass = 0; pass < 2; ++pass) {
    const bool first = pass == 0;
    const int kept = keep_pairs(memory, own, count, first, sync);
    decide_pairs<kPairCodes, kGroupThreads, 16>(all, own.kept, own.distance, kept, own.best, previous,
                                                member, sync);
    if (!first) break;
    if (previous != kNone) {
      const float known = score_at(__longlong_as_double((long long)previous), memory.row[member].y);
      atomicMin(&memory.bound[member], ordered(known));
    }
    all_sync();
  }
}

/* One warpgroup: its tiles of codewords. */
__device__ __forceinline__ void consume(const TensorProblem &p, HopperMemory &memory,
                                        const Ring &ring, const Tile &all, int first_tile,
                                        int rows) {
  const int group = (int)threadIdx.x / kGroupThreads;
  const int member = (int)threadIdx.x % kGroupThreads;
  const int lane = member % kWarp;
  const int quad_lane = lane % 4;
  GroupMemory &own = memory.group[group];
  const int first_row = member / kWarp * 16 + lane / 4; /* and 8, 64, 72 more */
  auto row_of = [=](int r) { return first_row + 64 * (r / 2) + 8 * (r % 2); };
  auto sync = [=] { /* constant numbers, for the compiler */
    if (group == 0) {
      named_barrier(1, kGroupThreads);
    } else {
      named_barrier(2, kGroupThreads);
    }
  };
  auto all_sync = [] { named_barrier(kAllGroupsBarrier, kGroups * kGroupThreads); };
  const float infinity = __int_as_float(0x7f800000);

  unsigned long long previous = kNone;
  for (int tile = group;; tile += kGroups) {
    const bool end = tile >= ring.tiles; /* what is listed remains */
    const int first_code = (first_tile + tile) * kTileCodes;
    int sum[2][64];
    uint32_t chosen[4] = {0, 0, 0, 0}; /* bit 2 i + c */
    int slot = 0;                      /* of this thread's first pair in the list */
    if (!end) {
      const int j = first_code + member;
      own.code[member][0] = p.square[j];
      own.code[member][1] = p.scale[j];
      float spread = p.spread[j];
      float reach = p.reach[j];
      float slack = p.slack[j];
#pragma unroll
      for (int offset = 16; offset > 0; offset /= 2) {
        spread = fmaxf(spread, __shfl_xor_sync(kAllLanes, spread, offset));
        reach = fmaxf(reach, __shfl_xor_sync(kAllLanes, reach, offset));
        slack = fmaxf(slack, __shfl_xor_sync(kAllLanes, slack, offset));
      }
      if (lane == 0) own.most[member / kWarp] = float4{spread, reach, slack, 0.0f};

      multiply_tile(memory, ring, tile, sum);
      sync(); /* for own.code, own.most and, of the tile before, best.listed */

      float4 most = own.most[0];
#pragma unroll
      for (int warp = 1; warp < 4; ++warp) {
        most.x = fmaxf(most.x, own.most[warp].x);
        most.y = fmaxf(most.y, own.most[warp].y);
        most.z = fmaxf(most.z, own.most[warp].z);
      }

      /* Scores in the place of the products. */
      float scale[4];
      float least[4][2]; /* of 64 codewords each */
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        scale[r] = memory.row[row_of(r)].x;
        least[r][0] = infinity;
        least[r][1] = infinity;
      }
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float4 code = *(const float4 *)&own.code[8 * i + 2 * quad_lane];
#pragma unroll
        for (int r = 0; r < 4; ++r) {
#pragma unroll
          for (int c = 0; c < 2; ++c) {
            int &value = sum[r / 2][4 * i + 2 * (r % 2) + c];
            const float score = __fmaf_rn(-(c == 0 ? code.y : code.w), scale[r] * (float)value,
                                          c == 0 ? code.x : code.z);
            value = __float_as_int(score);
            least[r][i / 8] = fminf(least[r][i / 8], score);
          }
        }
      }

      /* Pairs that the tile's largest error bound leaves. Scores are finite, or infinite beyond K. */
      int mine = 0;
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int row = row_of(r);
        const float error = pair_error(memory.row[row], most.x, most.y, most.z);
        const float known = from_ordered(*(volatile const int *)&memory.bound[row]);
        float upper = fminf(least[r][0], least[r][1]);
        upper = fminf(upper, __shfl_xor_sync(kAllLanes, upper, 1));
        upper = fminf(upper, __shfl_xor_sync(kAllLanes, upper, 2));
        upper = fminf(known, __fadd_rn(upper, error)); /* passes over NaN, as below */
        if (quad_lane == 0 && upper < known) atomicMin(&memory.bound[row], ordered(upper));
        const float limit = row < rows ? fminf(__fadd_rn(upper, error), FLT_MAX) : -infinity;
        chosen[r] = 0;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if (!(least[r][half] <= limit)) continue;
#pragma unroll
          for (int i = 8 * half; i < 8 * half + 8; ++i) {
#pragma unroll
            for (int c = 0; c < 2; ++c) {
              if (__int_as_float(sum[r / 2][4 * i + 2 * (r % 2) + c]) <= limit) {
                chosen[r] |= 1u << (2 * i + c);
              }
            }
          }
        }
        mine += __popc(chosen[r]);
      }
      if (mine > 0) slot = atomicAdd(&own.best.listed, mine);
      sync();
    } else {
      all_sync(); /* all pairs' scores are known */
    }

    /* Into the list, which is emptied whenever it is full, and at the end. */
    const int listed = own.best.listed;
    int base = 0; /* what has been emptied */
    for (;;) {
      int at = slot - base;
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        if (chosen[r] == 0) continue;
#pragma unroll
        for (int bit = 0; bit < 32; ++bit) {
          if ((chosen[r] >> bit & 1u) == 0) continue;
          if ((unsigned)at < kGroupListed) {
            own.pair[at] = (uint32_t)(row_of(r) * kPairCodes + first_code + bit / 2 * 8 +
                                      2 * quad_lane + bit % 2);
            own.lower[at] = __int_as_float(sum[r / 2][bit / 2 * 4 + 2 * (r % 2) + bit % 2]);
          }
          ++at;
        }
      }
      const int first = slot - base < 0 ? 0 : slot - base;
      const int behind = at < kGroupListed ? at : kGroupListed;
      for (int i = first; i < behind; ++i) { /* written by this thread */
        const uint32_t pair = own.pair[i];
        const int row = (int)(pair / kPairCodes);
        const int j = (int)(pair % kPairCodes);
        const float score = own.lower[i];
        const float error = pair_error(memory.row[row], p.spread[j], p.reach[j], p.slack[j]);
        const float upper = __fadd_rn(score, error);
        const float lower = __fsub_rn(score, error);
        own.lower[i] = lower;
        atomicMin(&memory.least[row], ordered(lower));
        if (upper < infinity) atomicMin(&memory.bound[row], ordered(upper));
      }
      const int left = listed - base;
      if (!end && left <= kGroupListed) break;
      settle_list(all, memory, own, end ? left : kGroupListed, previous, sync, [=] {
        if (end) {
          all_sync();
        } else {
          sync();
        }
      });
      base += kGroupListed;
      if (end) break;
    }
    if (end) break;
    if (base > 0 && member == 0) own.best.listed = listed - base;
  }
  all_sync();
}

#endif

__global__ void __launch_bounds__(kHopperThreads, 1) lookup_hopper_kernel(TensorProblem p) {
#if defined(NAS_HOPPER_CODE)
  char *const shared = dynamic_shared();
  HopperMemory &memory = *(HopperMemory *)(shared + ((0u - shared_address(shared)) & 1023u));

  if (*p.bad_row != kNone) return;

  const int thread = (int)threadIdx.x;
  const int64_t first_row = (int64_t)blockIdx.x * kTileRows;
  const int rows = (int)(p.rows - first_row < kTileRows ? p.rows - first_row : kTileRows);
  const int all_tiles = (int)(p.padded_K / kTileCodes);
  const int first_tile = (int)blockIdx.y * p.tiles;
  Ring ring;
  ring.tiles = all_tiles - first_tile < p.tiles ? all_tiles - first_tile : p.tiles;
  ring.columns = (int)(p.padded_d / kInt8Columns);
  ring.resident = ring.columns <= kStages;

  if (thread == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(&memory.x_full[stage], 1);
      barrier_init(&memory.full[stage], 1);
      barrier_init(&memory.empty[stage], kGroupThreads / kWarp);
    }
    for (int group = 0; group < kGroups; ++group) {
      barrier_init(&memory.turn[group], kGroupThreads / kWarp);
    }
    barrier_init_done();
  }
  if (thread < kTileRows) {
    const int64_t row = first_row + thread;
    memory.row[thread] = thread < rows ? float4{p.twice_scale[row], p.twice_length[row],
                                                p.twice_residual[row], p.row_slack[row]}
                                       : float4{0.0f, 0.0f, 0.0f, 0.0f};
    memory.bound[thread] = ordered(__int_as_float(0x7f800000));
    memory.least[thread] = ordered(__int_as_float(0x7f800000));
    for (int group = 0; group < kGroups; ++group) {
      Best &best = memory.group[group].best;
      best.distance[thread] = kNone;
      best.index[thread] = INT_MAX;
      if (thread == 0) best.listed = 0;
    }
  }
  __syncthreads();

  if (thread >= kGroups * kGroupThreads) {
    lower_registers<kProducerRegisters>();
    if (thread == kGroups * kGroupThreads) {
      produce(memory, ring, p.x8 + (int64_t)blockIdx.x * ring.columns * kInt8Tile,
              p.e8 + (int64_t)first_tile * ring.columns * kInt8Tile);
    }
    return;
  }
  raise_registers<kGroupRegisters>();
  const Tile all = {p.x + first_row * p.row_stride, p.row_stride, p.e, p.d, 0};
  consume(p, memory, ring, all, first_tile, rows);

  if (thread < rows) {
    unsigned long long distance = memory.group[0].best.distance[thread];
    int index = memory.group[0].best.index[thread];
    for (int group = 1; group < kGroups; ++group) {
      const Best &other = memory.group[group].best;
      if (other.distance[thread] < distance ||
          (other.distance[thread] == distance && other.index[thread] < index)) {
        distance = other.distance[thread];
        index = other.index[thread];
      }
    }
    const int64_t at = (int64_t)blockIdx.y * p.rows + first_row + thread;
    p.distance[at] = __longlong_as_double((long long)distance);
    p.index[at] = index;
  }
#else
  (void)p; /* never launched: the library refuses the tier where this is the code */
#if defined(__CUDA_ARCH__)
  __trap();
#endif
#endif
}

}  // namespace device
}  // namespace nas

#endif
