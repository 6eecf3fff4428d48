/*
 * Token swap: checks, the choice, donors where they are asked for, and the writing, which moves nearly all bytes.
 *
 * check_swap reads the lists, codes, rows of evidence and similarities, check_evidence the evidence of each
 * image; they keep the lowest fault of each kind, and the other kernels do nothing where there is one.
 *
 * swap_choose handles an image a block. By gain a warp a token first finds the best entry of its list, 32 at a
 * time. Scores, or gains as a share of the largest finite one, fall into buckets in their own order, which a
 * block counts, places (a prefix sum) and fills; a token's rank is where its bucket begins plus the tokens of
 * the bucket that come before it, so that its position among the chosen is exact without a sort. What the codes
 * speak for afterwards is a chain of float64 additions, made by one warp. A warp per chosen token then finds the
 * substitute, again 32 entries of a list at a time.
 *
 * count_codes counts the batch's codes, and swap_donors, a warp per chosen token, goes through them until it
 * meets the one that was drawn, 128 at a time. What becomes of each token goes to swap_tokens, which passes over
 * the tokens as one stretch of float4s (floats where width or pointers do not allow more) and writes each once:
 * itself, or what takes its place.
 *
 * Bytes, B images of N tokens of width d, M chosen, lists of R: tokens 4BNd read and 4BNd written, and for each
 * swapped token 4d (codeword) or 8d (residual) of codewords, which stay in the L2 cache, or 4d of a donor; in
 * place 4BMd written and none or 4BMd read. Besides, 12BN for the checks, and 12BN read, 8BN written and read
 * again for the choice. By evidence 8BK for the checks; by gain 12NR an image of lists and evidence, and for
 * substitutes by evidence 12MR, all but the first touch of which is in the L2 cache. Donors: 4BN to count, and
 * 4N and up to 4BN for each swapped token, from the L2 cache: up to 4BN * BM, which is what bounds them.
 */
#include "../common/swap.h"

#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kThreads = 256;
constexpr int kChooseThreads = 512;
constexpr int kChooseWarps = kChooseThreads / 32;
constexpr int kBuckets = kChooseThreads; /* of scores: a thread handles one */
constexpr int kSharedTokens = 1024;      /* the most tokens that are chosen among in shared memory */
constexpr int kWords = NAS_MAX_CODEWORDS / 32;
constexpr int64_t kMostTokens = 1 << 20; /* chosen among at a time: bounds the scratch memory */
constexpr unsigned kAllLanes = 0xffffffffu;

/* The arguments of a swap. */
struct Request : nas_swap_input, nas_swap_output {};

__host__ __device__ __forceinline__ bool by_relevance(const nas_swap_params &p) {
  return p.choose == NAS_CHOOSE_RELEVANCE;
}

__host__ __device__ __forceinline__ bool by_evidence(const nas_swap_params &p) {
  return p.choose == NAS_CHOOSE_GAIN || p.substitute == NAS_SUBSTITUTE_EVIDENCE;
}

__host__ __device__ __forceinline__ bool by_draws(const nas_swap_params &p) {
  return p.substitute == NAS_SUBSTITUTE_DRAW || p.donors != 0;
}

/* What the kernels are given. */
struct Inputs : Request {
  nas_swap_params params;
  int64_t K;
  int64_t d;
  const unsigned long long *lowest; /* of the checks: kNone where nothing is wrong */
};

/* What may be wrong with the input: the lowest index of a list's entry outside -1..K-1, of a code outside
 * 0..K-1, of an image whose row of evidence is none; and for values that are not finite 3*image, plus what they
 * are of. */
enum { kBadEntry, kBadCode, kBadRow, kBadValue, kChecks };
enum { kText, kImage, kEvidence };

__device__ __forceinline__ bool fine(const unsigned long long *lowest) {
  return (lowest[0] & lowest[1] & lowest[2] & lowest[3]) == kNone; /* all ones; four loads at once */
}

/* All but the evidence itself. */
__global__ void __launch_bounds__(kThreads)
    check_swap_kernel(Inputs in, int64_t entries, int64_t tokens, unsigned long long *lowest) {
  const int64_t stride = (int64_t)gridDim.x * kThreads;
  const int64_t most = entries > tokens ? entries : tokens;
  const bool similarities = by_relevance(in.params), rows = by_evidence(in.params);
  for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < most; i += stride) {
    if (i < entries && (in.neighbour_lists[i] < -1 || in.neighbour_lists[i] >= in.K)) {
      atomicMin(&lowest[kBadEntry], (unsigned long long)i);
    }
    if (i < tokens) {
      const int32_t code = in.codes[i];
      const bool text_fine = !similarities || is_finite(in.text[i]);
      const bool image_fine = !similarities || is_finite(in.image[i]);
      if (code < 0 || code >= in.K) atomicMin(&lowest[kBadCode], (unsigned long long)i);
      if (!text_fine || !image_fine) {
        const unsigned long long b = (unsigned long long)(i / in.params.tokens);
        atomicMin(&lowest[kBadValue], 3ull * b + (unsigned long long)(text_fine ? kImage : kText));
      }
    }
    if (rows && i < in.params.images) { /* no more than tokens */
      const int32_t row = in.evidence_of[i];
      if (row < -1 || row >= in.params.evidence_rows) {
        atomicMin(&lowest[kBadRow], (unsigned long long)i);
      }
    }
  }
}

/* The evidence that images have; a block an image. */
__global__ void __launch_bounds__(kThreads) check_evidence_kernel(Inputs in, unsigned long long *lowest) {
  for (int64_t b = blockIdx.x; b < in.params.images; b += gridDim.x) {
    const int32_t row = in.evidence_of[b];
    if (row < 0 || row >= in.params.evidence_rows) continue;
    const double *evidence = in.evidence + (int64_t)row * in.K;
    bool bad = false;
    for (int64_t j = threadIdx.x; j < in.K; j += kThreads) bad = bad || !is_finite(evidence[j]);
    if (bad) atomicMin(&lowest[kBadValue], 3ull * (unsigned long long)b + (unsigned long long)kEvidence);
  }
}

/* What becomes of a token: the code that it gets, or -1, and its own; or a donor. */
struct alignas(8) Replacement {
  int32_t substitute, code;
};

/* A donor, a token of the batch, in the same bits: the upper half of its index below -1, the lower one. */
__device__ __forceinline__ Replacement donated_by(int64_t token) {
  return Replacement{-2 - (int32_t)(token >> 32), (int32_t)(uint32_t)token};
}
__device__ __forceinline__ bool is_donated(const Replacement &by) { return by.substitute < -1; }
__device__ __forceinline__ int64_t donor_of(const Replacement &by) {
  return (int64_t)(-2 - by.substitute) << 32 | (int64_t)(uint32_t)by.code;
}

struct alignas(16) Ranges {
  float text_low, text_high, image_low, image_high;
};

__device__ __forceinline__ void widen(Ranges &ranges, const Ranges &by) {
  if (by.text_low < ranges.text_low) ranges.text_low = by.text_low;
  if (by.text_high > ranges.text_high) ranges.text_high = by.text_high;
  if (by.image_low < ranges.image_low) ranges.image_low = by.image_low;
  if (by.image_high > ranges.image_high) ranges.image_high = by.image_high;
}

/* The ranges of an image's similarities, for every thread of the block. `parts` holds one for each warp. */
__device__ __forceinline__ Ranges find_ranges(const float *text, const float *image, int64_t count,
                                              Ranges *parts) {
  const int thread = (int)threadIdx.x;
  Ranges ranges = {text[0], text[0], image[0], image[0]};
#pragma unroll 1
  for (int64_t i = thread; i < count; i += kChooseThreads) {
    widen(ranges, Ranges{text[i], text[i], image[i], image[i]});
  }
  for (int other = 16; other > 0; other /= 2) {
    widen(ranges, Ranges{__shfl_xor_sync(kAllLanes, ranges.text_low, other),
                         __shfl_xor_sync(kAllLanes, ranges.text_high, other),
                         __shfl_xor_sync(kAllLanes, ranges.image_low, other),
                         __shfl_xor_sync(kAllLanes, ranges.image_high, other)});
  }
  if (thread % 32 == 0) parts[thread / 32] = ranges;
  __syncthreads();
  for (int w = 0; w < kChooseWarps; ++w) widen(ranges, parts[w]);
  return ranges;
}

/* The lane of bit number n of those that are set, for a warp that agrees on both. */
__device__ __forceinline__ int lane_of(unsigned bits, unsigned n) {
  const int lane = (int)threadIdx.x % 32;
  const bool own = (bits >> lane & 1u) != 0 && (unsigned)__popc(bits & ((1u << lane) - 1u)) == n;
  return __ffs((int)__ballot_sync(kAllLanes, own)) - 1;
}

/* The substitute of a code with this list of R entries, found by a warp for all its lanes. */
__device__ __forceinline__ int32_t draw_substitute(const int32_t *list, int R, const uint32_t *present,
                                                   uint64_t draw) {
  const int lane = (int)threadIdx.x % 32;
  int32_t entry = -1;
  unsigned usable = 0;
  unsigned n = 0;
#pragma unroll 1
  for (int r = 0; r < R; r += 32) {
    entry = r + lane < R ? list[r + lane] : -1;
    usable = __ballot_sync(kAllLanes, is_candidate(present, entry));
    n += (unsigned)__popc(usable);
  }
  if (n == 0) return -1;
  unsigned wanted = (unsigned)uniform_choice(draw, n);
  if (R > 32) { /* once more, to the 32 entries that hold it */
#pragma unroll 1
    for (int r = 0;; r += 32) {
      entry = r + lane < R ? list[r + lane] : -1;
      usable = __ballot_sync(kAllLanes, is_candidate(present, entry));
      const unsigned here = (unsigned)__popc(usable);
      if (wanted < here) break;
      wanted -= here;
    }
  }
  return __shfl_sync(kAllLanes, entry, lane_of(usable, wanted));
}

/* The place in a list of R entries of the code with most of sign * v, if more than `floor`, the first of equals,
 * and how much that is; R without one. Found by a warp for all its lanes. */
struct Most {
  double evidence;
  int place;
};

__device__ __forceinline__ Most most_evidence(const int32_t *list, int R, const double *v, double sign,
                                              double floor) {
  const int lane = (int)threadIdx.x % 32;
  Most most = {floor, R};
#pragma unroll 1
  for (int r = lane; r < R; r += 32) {
    const int32_t z = list[r];
    const double evidence = z < 0 ? floor : mul64(sign, v[z]);
    if (evidence > most.evidence) most = Most{evidence, r};
  }
  for (int other = 16; other > 0; other /= 2) {
    const double evidence = __shfl_xor_sync(kAllLanes, most.evidence, other);
    const int place = __shfl_sync(kAllLanes, most.place, lane ^ other);
    if (evidence > most.evidence || (evidence == most.evidence && place < most.place)) {
      most = Most{evidence, place};
    }
  }
  return most;
}

/* Gains of an image's tokens, a warp each: 0 without a better entry. The largest finite one, or 1 without one,
 * for every thread of the block. `parts` holds a number for each warp. */
__device__ __forceinline__ double find_gains(const Inputs &in, const int32_t *codes, const double *v,
                                             double *score, double *parts) {
  const int thread = (int)threadIdx.x;
  const int R = (int)in.params.neighbours;
  double largest = 0.0;
#pragma unroll 1
  for (int64_t i = thread / 32; i < in.params.tokens; i += kChooseWarps) {
    const int32_t z = codes[i];
    const Most most = most_evidence(in.neighbour_lists + (int64_t)z * R, R, v, 1.0, v[z]);
    const double gain = most.place == R ? 0.0 : sub64(most.evidence, v[z]);
    if (thread % 32 == 0) score[i] = gain;
    if (gain > largest && is_finite(gain)) largest = gain;
  }
  if (thread % 32 == 0) parts[thread / 32] = largest;
  __syncthreads();
  for (int w = 0; w < kChooseWarps; ++w) largest = parts[w] > largest ? parts[w] : largest;
  return largest > 0.0 ? largest : 1.0;
}

/* What an image's codes speak for, summed in order by a warp for all its lanes. */
__device__ __forceinline__ double sum_evidence(const int32_t *codes, int64_t N, const double *v) {
  const int lane = (int)threadIdx.x % 32;
  double sum = 0.0;
#pragma unroll 1
  for (int64_t i = 0; i < N; i += 32) {
    const double own = i + lane < N ? v[codes[i + lane]] : 0.0;
    const int here = N - i < 32 ? (int)(N - i) : 32;
#pragma unroll 1
    for (int l = 0; l < here; ++l) sum = add64(sum, __shfl_sync(kAllLanes, own, l));
  }
  return sum;
}

/* What is written of an image in which no token is chosen. */
__device__ __forceinline__ void leave_image(const Inputs &in, int64_t b, Replacement *replacement) {
  const int64_t N = in.params.tokens, M = in.params.chosen;
  for (int64_t c = threadIdx.x; c < M; c += kChooseThreads) {
    in.positions[b * M + c] = -1;
    in.substitutes[b * M + c] = -1;
  }
  for (int64_t i = threadIdx.x; i < N; i += kChooseThreads) {
    replacement[i] = Replacement{-1, 0};
    if (in.scores != nullptr) in.scores[b * N + i] = 0.0;
    if (in.mask != nullptr) in.mask[b * N + i] = 0;
  }
}

/* Block b handles image first_image + b: positions, substitutes, scores, mask, and what becomes of its tokens.
 * `replacements` has room for the tokens of all blocks. `scores` and `orders` have too, unless kShared: up to
 * kSharedTokens tokens need neither. Loops of a round or two are not unrolled: a block would have more code to
 * fetch than to run. */
template <bool kShared, bool kGain>
__global__ void __launch_bounds__(kChooseThreads)
    swap_choose_kernel(Inputs in, int64_t first_image, Replacement *replacements, double *scores,
                       int32_t *orders) {
  constexpr int kRoom = kShared ? kSharedTokens : 1;
  __shared__ double shared_score[kRoom];
  __shared__ int32_t shared_order[kRoom];
  __shared__ int32_t chosen_position[kRoom];
  __shared__ int32_t chosen_code[kRoom];
  __shared__ uint32_t present[kWords];
  __shared__ int32_t begin_of[kBuckets];
  __shared__ int32_t end_of[kBuckets]; /* at first the count, and while a bucket is filled what is filled */
  __shared__ int32_t counted[kChooseWarps];
  __shared__ Ranges parts[kChooseWarps];
  __shared__ double largest_parts[kChooseWarps];
  __shared__ int32_t speaks; /* whether the image may be changed */

  if (!fine(in.lowest)) return; /* codes are indices */
  const int thread = (int)threadIdx.x;
  const int lane = thread % 32;
  const int64_t b = first_image + blockIdx.x;
  const int64_t N = in.params.tokens;
  const int64_t M = in.params.chosen;
  const int64_t R = in.params.neighbours;
  const int32_t *codes = in.codes + b * N;
  int32_t *positions = in.positions + b * M;
  Replacement *replacement = replacements + (int64_t)blockIdx.x * N;
  double *score = kShared ? shared_score : scores + (int64_t)blockIdx.x * N;
  int32_t *order = kShared ? shared_order : orders + (int64_t)blockIdx.x * N;
  const double *evidence = nullptr;
  if (by_evidence(in.params)) {
    const int32_t row = in.evidence_of[b];
    if (row < 0) {
      leave_image(in, b, replacement);
      return;
    }
    evidence = in.evidence + (int64_t)row * in.K;
  }

  const int words = (int)((in.K + 31) / 32);
#pragma unroll 1
  for (int w = thread; w < words; w += kChooseThreads) present[w] = 0;
  end_of[thread] = 0;
  if (thread == 0) speaks = 1;
  const float *text = in.text + b * N;
  const float *image = in.image + b * N;
  Ranges ranges;
  double largest = 1.0;
  if (kGain) { /* both with a barrier */
    largest = find_gains(in, codes, evidence, score, largest_parts);
  } else {
    ranges = find_ranges(text, image, N, parts);
  }
  /* Tokens that gain nothing are in no bucket. */
  const auto taken = [](double own) { return !kGain || own > 0.0; };
  const auto bucket_in = [largest](double own) {
    return bucket_of(kGain ? gain_share(own, largest) : own, kBuckets);
  };

#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    const int32_t z = codes[i];
    double own;
    if (kGain) {
      own = score[i];
    } else {
      own = swap_score(in.params.text_weight, text[i], ranges.text_low, ranges.text_high, image[i],
                       ranges.image_low, ranges.image_high);
      score[i] = own;
    }
    if (in.scores != nullptr) in.scores[b * N + i] = own;
    atomicOr(&present[z >> 5], 1u << (z & 31));
    if (taken(own)) atomicAdd(&end_of[bucket_in(own)], 1);
  }
  __syncthreads();

  /* A thread's bucket begins where those before it end. */
  const int32_t held = end_of[thread];
  int32_t up_to = held;
  for (int back = 1; back < 32; back *= 2) {
    const int32_t lower = __shfl_sync(kAllLanes, up_to, (lane - back) & 31);
    if (lane >= back) up_to += lower;
  }
  if (lane == 31) counted[thread / 32] = up_to;
  __syncthreads();
  int32_t begin = up_to - held;
  int32_t all = 0;
  for (int w = 0; w < kChooseWarps; ++w) {
    begin += w < thread / 32 ? counted[w] : 0;
    all += counted[w];
  }
  const int64_t count = all < M ? all : M; /* of chosen tokens */
  begin_of[thread] = begin;
  end_of[thread] = begin;
  __syncthreads();

  /* Only buckets that begin below M hold chosen tokens. Their order within a bucket does not matter. */
#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    if (!taken(score[i])) continue;
    const int32_t bucket = bucket_in(score[i]);
    if (begin_of[bucket] < M) order[atomicAdd(&end_of[bucket], 1)] = (int32_t)i;
  }
  __syncthreads();
#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    const double own = score[i];
    const int32_t bucket = bucket_in(own);
    int32_t rank = taken(own) ? begin_of[bucket] : (int32_t)M;
    if (rank < M) {
      const int32_t end = end_of[bucket];
#pragma unroll 4
      for (int32_t s = begin_of[bucket]; s < end; ++s) {
        const int32_t k = order[s];
        rank += chosen_before(score[k], k, own, (int32_t)i) ? 1 : 0;
      }
    }
    if (rank < M) {
      positions[rank] = (int32_t)i;
      if (kShared) {
        chosen_position[rank] = (int32_t)i;
        chosen_code[rank] = codes[i];
      }
    } else {
      replacement[i] = Replacement{-1, codes[i]};
      if (in.mask != nullptr) in.mask[b * N + i] = 0;
    }
  }
#pragma unroll 1
  for (int64_t c = count + thread; c < M; c += kChooseThreads) {
    positions[c] = -1;
    in.substitutes[b * M + c] = -1;
  }
  __syncthreads();

  if (kGain) {
    if (thread < 32) {
      double sum = sum_evidence(codes, N, evidence);
#pragma unroll 1
      for (int64_t c = 0; c < count; ++c) {
        sum = add64(sum, score[kShared ? chosen_position[c] : positions[c]]);
      }
      if (lane == 0) speaks = sum <= 0.0 ? 0 : 1;
    }
    __syncthreads();
  }

  /* A warp per chosen token. */
#pragma unroll 1
  for (int64_t c = thread / 32; c < count; c += kChooseWarps) {
    const int32_t position = kShared ? chosen_position[c] : positions[c];
    const int32_t z = kShared ? chosen_code[c] : codes[position];
    const int32_t *list = in.neighbour_lists + z * R;
    int32_t substitute = -1;
    if (kGain && speaks == 0) {
    } else if (in.params.substitute == NAS_SUBSTITUTE_EVIDENCE) {
      const Most most = most_evidence(list, (int)R, evidence, (double)in.params.sign,
                                      __longlong_as_double((long long)0xfff0000000000000ull));
      if (most.place < R) substitute = list[most.place];
    } else {
      int32_t first = position; /* of the chosen ones with code z */
#pragma unroll 2
      for (int64_t other = lane; other < count; other += 32) {
        const int32_t at = kShared ? chosen_position[other] : positions[other];
        if (at < first && (kShared ? chosen_code[other] : codes[at]) == z) first = at;
      }
      for (int other = 16; other > 0; other /= 2) {
        const int32_t theirs = __shfl_sync(kAllLanes, first, lane ^ other);
        if (theirs < first) first = theirs;
      }
      const uint64_t draw =
          draw64(in.params.seed, in.sample_ids[b], (uint32_t)first, in.params.step);
      substitute = draw_substitute(list, (int)R, present, draw);
    }
    if (lane == 0) {
      in.substitutes[b * M + c] = substitute;
      replacement[position] = Replacement{substitute, z};
      if (in.mask != nullptr) in.mask[b * N + position] = substitute < 0 ? 0 : 1;
    }
  }
}

/* How often each code occurs in the batch; `counts` starts at zero. */
__global__ void __launch_bounds__(kThreads) count_codes_kernel(Inputs in, int64_t tokens,
                                                               unsigned long long *counts) {
  if (!fine(in.lowest)) return;
  const int64_t stride = (int64_t)gridDim.x * kThreads;
  for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < tokens; i += stride) {
    atomicAdd(&counts[in.codes[i]], 1ull);
  }
}

/* Where in codes[begin..end) code z occurs for the time number *n, from 0, or -1, with *n less by how often it
 * does. Found by a warp for all its lanes. */
__device__ __forceinline__ int64_t find_code(const int32_t *codes, int64_t begin, int64_t end, int32_t z,
                                             uint64_t *n) {
  constexpr int kAhead = 4; /* loads in flight */
  const int lane = (int)threadIdx.x % 32;
#pragma unroll 1
  for (int64_t i = begin; i < end; i += 32 * kAhead) {
    int32_t code[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int64_t at = i + u * 32 + lane;
      code[u] = at < end ? codes[at] : -1;
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const unsigned found = __ballot_sync(kAllLanes, code[u] == z);
      const unsigned here = (unsigned)__popc(found);
      if (*n < here) return i + u * 32 + lane_of(found, (unsigned)*n);
      *n -= here;
    }
  }
  return -1;
}

/* Replacements by donors, where there are any, of chosen tokens first..first + `of` - 1 of the batch (image *
 * M + place), a warp each; `replacements` begins with the first one's image. */
__global__ void __launch_bounds__(kThreads)
    swap_donors_kernel(Inputs in, int64_t first, int64_t of, const unsigned long long *counts,
                       Replacement *replacements) {
  if (!fine(in.lowest)) return;
  const int lane = (int)threadIdx.x % 32;
  const int64_t N = in.params.tokens, M = in.params.chosen;
  const int64_t tokens = in.params.images * N;
  const int64_t warps = (int64_t)gridDim.x * (kThreads / 32);
  for (int64_t w = (int64_t)blockIdx.x * (kThreads / 32) + threadIdx.x / 32; w < of; w += warps) {
    const int64_t b = (first + w) / M;
    const int32_t position = in.positions[first + w];
    const int32_t substitute = in.substitutes[first + w];
    if (substitute < 0) continue;
    const int64_t own = b * N;
    uint64_t others = counts[substitute];
#pragma unroll 1
    for (int64_t i = own; i < own + N; i += 32) {
      const bool here = i + lane < own + N && in.codes[i + lane] == substitute;
      others -= (unsigned)__popc(__ballot_sync(kAllLanes, here));
    }
    if (others == 0) continue;
    const uint64_t draw =
        draw64(in.params.seed, in.sample_ids[b], donor_coordinate(position), in.params.step);
    uint64_t wanted = uniform_choice(draw, others);
    int64_t donor = find_code(in.codes, 0, own, substitute, &wanted);
    if (donor < 0) donor = find_code(in.codes, own + N, tokens, substitute, &wanted);
    if (lane == 0) replacements[(b - first / M) * N + position] = donated_by(donor);
  }
}

__device__ __forceinline__ float swapped_piece(float v, float codeword, float substitute) {
  return residual_swap(v, codeword, substitute);
}

__device__ __forceinline__ float4 swapped_piece(const float4 &v, const float4 &codeword,
                                                const float4 &substitute) {
  return float4{residual_swap(v.x, codeword.x, substitute.x), residual_swap(v.y, codeword.y, substitute.y),
                residual_swap(v.z, codeword.z, substitute.z), residual_swap(v.w, codeword.w, substitute.w)};
}

__device__ __forceinline__ void write_verdict(const unsigned long long *lowest, nas_verdict *verdict) {
  verdict->status = NAS_OK;
  verdict->bad_row = -1;
  if ((lowest[kBadEntry] & lowest[kBadCode] & lowest[kBadRow]) != kNone) {
    verdict->status = NAS_INVALID_ARGUMENT;
  } else if (lowest[kBadValue] != kNone) {
    verdict->status = NAS_NON_FINITE;
    verdict->bad_row = (int64_t)(lowest[kBadValue] / 3);
  }
}

/* A stretch of tokens in pieces of a float or a float4. */
struct Stretch {
  int64_t first_token;
  int64_t pieces;
  Divisor width; /* pieces of a token */
};

/* A thread's pieces: as many loads are in flight. */
template <class Piece>
constexpr int kPieces = sizeof(Piece) == 16 ? 4 : 8;

/* To where, and of what: codewords alone, or donors as well. */
enum Writing { kToOther, kInPlace, kWithDonors };

/* Writes the pieces of a stretch; those of swapped tokens alone if kInPlace. `replacements` begins with the
 * stretch's first token. The verdict may be NULL. Tokens pass through the cache, codewords stay there. */
template <class Piece, Writing kWriting>
__global__ void __launch_bounds__(kThreads, 4)
    swap_tokens_kernel(Inputs in, Stretch of, const Replacement *replacements, const float *e,
                       nas_verdict *verdict) {
  constexpr int kCount = kPieces<Piece>;
  const uint32_t width = of.width.value;
  const int64_t block = (int64_t)blockIdx.x * (kThreads * kCount); /* its first piece */
  const int64_t place = of.first_token * width + block + threadIdx.x;
  const Piece *from = (const Piece *)in.tokens + place;
  Piece *to = (Piece *)in.swapped + place;
  const int64_t rest = of.pieces - block;
  const int left = (int)(rest < kThreads * kCount ? rest : kThreads * kCount) - (int)threadIdx.x;

  /* All loads that need no other one come first, the tokens' before all. */
  Piece v[kCount] = {};
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    if (kWriting != kInPlace && u * kThreads < left) v[u] = __ldcs(&from[u * kThreads]);
  }
  const int64_t token = (int64_t)quotient((uint64_t)block, of.width);
  /* How far the thread's first piece lies behind that token's first one. */
  const uint32_t behind = (uint32_t)block - (uint32_t)token * width + threadIdx.x;
  Replacement by[kCount];
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    by[u] = Replacement{-1, 0};
    if (u * kThreads < left) by[u] = replacements[token + small_quotient(behind + u * kThreads, of.width)];
  }
  if (verdict != nullptr && blockIdx.x == 0 && threadIdx.x == 0) write_verdict(in.lowest, verdict);
  if (!fine(in.lowest)) return;

  const bool residual = in.params.write == NAS_WRITE_RESIDUAL;
  const Piece *codewords = (const Piece *)e;
  Piece fresh[kCount] = {};
  Piece old[kCount] = {};
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    if (by[u].substitute == -1) continue;
    const uint32_t on = behind + u * kThreads;
    const uint32_t at = on - small_quotient(on, of.width) * width; /* in the token */
    if (kWriting == kWithDonors && is_donated(by[u])) {
      fresh[u] = ((const Piece *)in.tokens)[donor_of(by[u]) * width + at];
      continue;
    }
    fresh[u] = codewords[(int64_t)by[u].substitute * width + at];
    if (residual) {
      if (kWriting == kInPlace) v[u] = __ldcs(&from[u * kThreads]);
      old[u] = codewords[(int64_t)by[u].code * width + at];
    }
  }
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    const bool changed = by[u].substitute != -1;
    const bool moved = residual && !(kWriting == kWithDonors && is_donated(by[u]));
    if (changed) v[u] = moved ? swapped_piece(v[u], old[u], fresh[u]) : fresh[u];
    if (kWriting == kInPlace ? changed : u * kThreads < left) __stcs(&to[u * kThreads], v[u]);
  }
}

/* The verdict where there are no images. One thread. */
__global__ void no_images_verdict_kernel(nas_verdict *verdict) {
  verdict->status = NAS_OK;
  verdict->bad_row = -1;
}

void require_choice(const char *name, int32_t value, const char *zero, const char *one) {
  if (value != 0 && value != 1) {
    fail(NAS_INVALID_ARGUMENT, "params.%s is %d, must be 0 (%s) or 1 (%s)", name, (int)value, zero, one);
  }
}

void check_params(const nas_swap_params &p, int64_t K, int64_t d) {
  if (p.images < 0) {
    fail(NAS_INVALID_ARGUMENT, "params.images is %lld, must be at least 0", (long long)p.images);
  }
  if (p.tokens < 1 || p.tokens > INT32_MAX) {
    fail(NAS_INVALID_ARGUMENT, "params.tokens is %lld, must be 1 to 2147483647", (long long)p.tokens);
  }
  if (p.chosen < 1 || p.chosen > p.tokens) {
    fail(NAS_INVALID_ARGUMENT, "params.chosen is %lld, must be 1 to params.tokens %lld",
         (long long)p.chosen, (long long)p.tokens);
  }
  if (p.neighbours < 1 || p.neighbours > NAS_MAX_NEIGHBOURS) {
    fail(NAS_INVALID_ARGUMENT, "params.neighbours is %lld, must be 1 to %d", (long long)p.neighbours,
         NAS_MAX_NEIGHBOURS);
  }
  require_choice("choose", p.choose, "relevance", "gain");
  require_choice("substitute", p.substitute, "draw", "evidence");
  require_choice("write", p.write, "codeword", "residual");
  require_choice("donors", p.donors, "none", "tokens of other images");
  if (by_relevance(p) && !(p.text_weight >= 0.0 && p.text_weight <= 1.0)) {
    fail(NAS_INVALID_ARGUMENT, "params.text_weight is %g, must be 0 to 1", p.text_weight);
  }
  if (p.substitute == NAS_SUBSTITUTE_EVIDENCE && p.sign != 1 && p.sign != -1) {
    fail(NAS_INVALID_ARGUMENT, "params.sign is %d, must be 1 or -1", (int)p.sign);
  }
  const int64_t tokens = product(p.images, p.tokens, "images * tokens");
  (void)product(product(tokens, d, "images * tokens * d"), (int64_t)sizeof(float),
                "the size of the tokens in bytes");
  (void)product(tokens, (int64_t)sizeof(double), "the size of the scores in bytes");
  if (by_evidence(p)) {
    if (p.evidence_rows < 0) {
      fail(NAS_INVALID_ARGUMENT, "params.evidence_rows is %lld, must be at least 0",
           (long long)p.evidence_rows);
    }
    (void)product(product(p.evidence_rows, K, "evidence_rows * K"), (int64_t)sizeof(double),
                  "the size of the evidence in bytes");
  }
}

void require_request_memory(const Request &request, const nas_swap_params &p, int device) {
  if (by_relevance(p)) {
    require_device(request.text, "text", 4, device);
    require_device(request.image, "image", 4, device);
  }
  if (by_evidence(p)) {
    if (p.evidence_rows > 0) require_device(request.evidence, "evidence", 8, device);
    require_device(request.evidence_of, "evidence_of", 4, device);
  }
  require_device(request.tokens, "tokens", 4, device);
  require_device(request.codes, "codes", 4, device);
  require_device(request.neighbour_lists, "neighbour_lists", 4, device);
  if (by_draws(p)) require_device(request.sample_ids, "sample_ids", 8, device);
  require_device(request.positions, "positions", 4, device);
  require_device(request.substitutes, "substitutes", 4, device);
  require_device(request.swapped, "swapped", 4, device);
  if (request.scores != nullptr) require_device(request.scores, "scores", 8, device);
  if (request.mask != nullptr) require_device(request.mask, "mask", 1, device);
  if (p.donors != 0 && request.swapped == request.tokens) {
    fail(NAS_INVALID_ARGUMENT,
         "swapped equals tokens, but donors are read from tokens while it is written");
  }
}

/* The scratch arrays of a swap of at least one image and token. Take no less memory for more, and the same by
 * every rule. */
struct Plan {
  int64_t chunk; /* images at a time */
  Layout layout;
  size_t lowest_at, counts_at, replacements_at;
  size_t scores_at = 0, orders_at = 0; /* of more than kSharedTokens tokens */

  Plan(int64_t images, int64_t tokens, int64_t K) {
    chunk = kMostTokens / tokens;
    if (chunk < 1) chunk = 1;
    if (chunk > images) chunk = images;
    lowest_at = layout.add<unsigned long long>(kChecks);
    counts_at = layout.add<unsigned long long>(K);
    int64_t held = images > kMostTokens / tokens ? kMostTokens : images * tokens;
    if (held < tokens) held = tokens;
    replacements_at = layout.add<Replacement>(held);
    if (tokens > kSharedTokens) {
      scores_at = layout.add<double>(held);
      orders_at = layout.add<int32_t>(held);
    }
  }
};

void set_swap_shape(const nas_codebook *codebook, const nas_swap_params &p) {
  set_shape("images %lld, tokens %lld, chosen %lld, neighbours %lld, K %lld, d %lld",
            (long long)p.images, (long long)p.tokens, (long long)p.chosen, (long long)p.neighbours,
            (long long)codebook->K, (long long)codebook->d);
}

/* Launches the kernels that write `here` images from first_image on; verdict may be NULL. */
template <class Piece>
void launch_tokens(const Inputs &in, int64_t first_image, int64_t here, const Replacement *replacements,
                   const float *e, nas_verdict *verdict, cudaStream_t on) {
  const int64_t width = in.d * (int64_t)sizeof(float) / (int64_t)sizeof(Piece);
  const Stretch of{first_image * in.params.tokens, here * in.params.tokens * width,
                   divisor((uint32_t)width)};
  const dim3 grid(blocks_for(of.pieces, kThreads * kPieces<Piece>)); /* 2^31 blocks: more than any memory */
  const auto kernel = in.params.donors != 0       ? swap_tokens_kernel<Piece, kWithDonors>
                      : in.swapped == in.tokens ? swap_tokens_kernel<Piece, kInPlace>
                                                : swap_tokens_kernel<Piece, kToOther>;
  launch("swap_tokens", kernel, grid, dim3(kThreads), on, in, of, replacements, e, verdict);
}

bool in_float4s(const void *pointer) { return (uintptr_t)pointer % sizeof(float4) == 0; }

/* Launches a swap of at least one image. Where the checks find something, which lies at the returned place
 * then, the kernels after them write nothing but the verdict, which may be NULL. */
const unsigned long long *launch_swap(const nas_codebook *codebook, const nas_swap_params &p,
                                      const Request &request, const Plan &plan, const Arrays &scratch,
                                      nas_verdict *verdict, cudaStream_t on) {
  const int64_t B = p.images;
  const int64_t N = p.tokens;
  const float *e = codebook->state.e;
  unsigned long long *lowest = scratch.at<unsigned long long>(plan.lowest_at);
  Replacement *replacements = scratch.at<Replacement>(plan.replacements_at);
  const Inputs in{request, p, codebook->K, codebook->d, lowest};
  fill_bytes(lowest, 0xff, kChecks, on);
  const int64_t entries = codebook->K * p.neighbours;
  launch("check_swap", check_swap_kernel,
         dim3(blocks_for(entries > B * N ? entries : B * N, kThreads, 1 << 16)), dim3(kThreads), on,
         in, entries, B * N, lowest);
  if (by_evidence(p)) {
    launch("check_evidence", check_evidence_kernel, dim3(blocks_for(B, 1, kMostBlocks)), dim3(kThreads), on,
           in, lowest);
  }
  unsigned long long *counts = scratch.at<unsigned long long>(plan.counts_at);
  if (p.donors != 0) {
    fill_bytes(counts, 0, codebook->K, on);
    launch("count_codes", count_codes_kernel, dim3(blocks_for(B * N, kThreads, kMostBlocks)), dim3(kThreads),
           on, in, B * N, counts);
  }
  const bool shared = N <= kSharedTokens;
  const auto choose = by_relevance(p) ? shared ? swap_choose_kernel<true, false> : swap_choose_kernel<false, false>
                      : shared        ? swap_choose_kernel<true, true>
                                      : swap_choose_kernel<false, true>;
  const bool wide = in.d % 4 == 0 && in_float4s(in.tokens) && in_float4s(in.swapped) && in_float4s(e);
  for (int64_t first = 0; first < B; first += plan.chunk) {
    const int64_t here = B - first < plan.chunk ? B - first : plan.chunk;
    launch("swap_choose", choose, dim3((unsigned)here), dim3(kChooseThreads), on, in, first, replacements,
           scratch.at<double>(plan.scores_at), scratch.at<int32_t>(plan.orders_at));
    if (p.donors != 0) {
      launch("swap_donors", swap_donors_kernel, dim3(blocks_for(here * p.chosen, kThreads / 32, kMostBlocks)),
             dim3(kThreads), on, in, first * p.chosen, here * p.chosen, counts, replacements);
    }
    (wide ? launch_tokens<float4> : launch_tokens<float>)(in, first, here, replacements, e,
                                                          first == 0 ? verdict : nullptr, on);
  }
  return lowest;
}

}  // namespace

void load_swap_kernels() {
  load(check_swap_kernel);
  load(check_evidence_kernel);
  load(count_codes_kernel);
  load(swap_choose_kernel<true, true>);
  load(swap_choose_kernel<true, false>);
  load(swap_choose_kernel<false, true>);
  load(swap_choose_kernel<false, false>);
  load(swap_donors_kernel);
  load(swap_tokens_kernel<float4, kToOther>);
  load(swap_tokens_kernel<float4, kInPlace>);
  load(swap_tokens_kernel<float4, kWithDonors>);
  load(swap_tokens_kernel<float, kToOther>);
  load(swap_tokens_kernel<float, kInPlace>);
  load(swap_tokens_kernel<float, kWithDonors>);
  load(no_images_verdict_kernel);
}

size_t swap_bytes(const nas_codebook *codebook, const Reservation &most) {
  return Plan(most.images < 1 ? 1 : most.images, most.tokens < 1 ? 1 : most.tokens, codebook->K)
      .layout.bytes();
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params,
                    const nas_swap_input *input, const nas_swap_output *output, int64_t *bad_row,
                    void *stream) {
  return call("nas_swap", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    require_pointer(params, "params");
    require_pointer(input, "input");
    require_pointer(output, "output");
    const nas_swap_params p = *params;
    const int64_t K = codebook->K;
    check_params(p, codebook->K, codebook->d);
    const int64_t N = p.tokens;
    if (p.images == 0) return;
    set_swap_shape(codebook, p);
    DeviceGuard guard(codebook->device);
    const Request request{*input, *output};
    require_request_memory(request, p, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    const Plan plan(p.images, N, K);
    Scratch scratch(codebook->cache, plan.layout, on);
    const unsigned long long *lowest =
        launch_swap(codebook, p, request, plan, scratch.arrays(), nullptr, on);
    unsigned long long found[kChecks];
    fetch(found, lowest, kChecks, on); /* waits */
    if (found[kBadEntry] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "neighbour_lists[%llu][%llu] is %d, must be -1 to %lld",
           found[kBadEntry] / (unsigned long long)p.neighbours,
           found[kBadEntry] % (unsigned long long)p.neighbours,
           value_at(request.neighbour_lists, found[kBadEntry], on), (long long)(K - 1));
    }
    if (found[kBadCode] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "code of image %llu, token %llu is %d, must be 0 to %lld",
           found[kBadCode] / (unsigned long long)N, found[kBadCode] % (unsigned long long)N,
           value_at(request.codes, found[kBadCode], on), (long long)(K - 1));
    }
    if (found[kBadRow] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "evidence_of[%llu] is %d, must be -1 to %lld", found[kBadRow],
           value_at(request.evidence_of, found[kBadRow], on), (long long)(p.evidence_rows - 1));
    }
    if (found[kBadValue] != kNone) {
      const char *const what[] = {"text similarities", "image similarities", "evidence"};
      const unsigned long long b = found[kBadValue] / 3;
      if (bad_row != nullptr) *bad_row = (int64_t)b;
      fail(NAS_NON_FINITE, "the %s of image %llu %s a NaN or an infinity", what[found[kBadValue] % 3], b,
           found[kBadValue] % 3 == 2 ? "has" : "have");
    }
  });
}

nas_status nas_swap_enqueue(nas_codebook *codebook, const nas_swap_params *params,
                            const nas_swap_input *input, const nas_swap_output *output,
                            nas_verdict *verdict, void *stream) {
  return call("nas_swap_enqueue", [&] {
    require_pointer(codebook, "codebook");
    require_pointer(params, "params");
    require_pointer(input, "input");
    require_pointer(output, "output");
    const nas_swap_params p = *params;
    check_params(p, codebook->K, codebook->d);
    require_reserved_images(codebook, p.images, p.tokens);
    set_swap_shape(codebook, p);
    DeviceGuard guard(codebook->device);
    require_device(verdict, "verdict", 8, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    if (p.images == 0) {
      launch("no_images_verdict", no_images_verdict_kernel, dim3(1), dim3(1), on, verdict);
      return;
    }
    const Request request{*input, *output};
    require_request_memory(request, p, codebook->device);
    const Plan plan(p.images, p.tokens, codebook->K);
    const Arrays scratch = reserved_arrays(codebook, plan.layout);
    (void)launch_swap(codebook, p, request, plan, scratch, verdict, on);
  });
}

}  // extern "C"
