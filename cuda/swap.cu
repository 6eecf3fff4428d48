/*
 * Token swap, in three kernels, of which the last one moves nearly all bytes.
 *
 * check_swap reads the lists, codes and similarities, and keeps the lowest fault of each; the other two do
 * nothing where there is one. swap_choose handles an image a block: scores fall into buckets in their own
 * order, which a block counts, places (a prefix sum) and fills; a token's rank is where its bucket begins
 * plus the tokens of the bucket that come before it, so that its position among the chosen is exact without
 * a sort. A warp per chosen token then finds the substitute, 32 entries of a list at a time. What becomes
 * of each token goes to swap_tokens, which passes over the tokens as one stretch of float4s (floats where
 * width or pointers do not allow more) and writes each once: itself, or what takes its place.
 *
 * Bytes, B images of N tokens of width d, M chosen: tokens 4BNd read and 4BNd written, and for each swapped
 * token 4d (quantised) or 8d (residual) of codewords, which stay in the L2 cache; in place 4BMd written and
 * none or 4BMd read. Besides, 12BN for the checks, and 12BN read, 8BN written and read again for the choice.
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

/* What the kernels are given. */
struct Inputs : Request {
  nas_swap_params params;
  int64_t K;
  int64_t d;
  const unsigned long long *lowest; /* of the checks: kNone where nothing is wrong */
};

/* What is wrong with the input, if anything: of the lists, of the codes, of the similarities. */
constexpr int kChecks = 3;

__device__ __forceinline__ bool fine(const unsigned long long *lowest) {
  return (lowest[0] & lowest[1] & lowest[2]) == kNone; /* all ones; three loads at once */
}

/* lowest[0], lowest[1]: the lowest index of a list's entry outside -1..K-1, of a code outside 0..K-1.
 * lowest[2]: 2*image for a non-finite text similarity, 2*image + 1 for an image similarity. */
__global__ void __launch_bounds__(kThreads)
    check_swap_kernel(Inputs in, int64_t entries, int64_t tokens, unsigned long long *lowest) {
  const int64_t stride = (int64_t)gridDim.x * kThreads;
  const int64_t most = entries > tokens ? entries : tokens;
  for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < most; i += stride) {
    if (i < entries && (in.neighbour_lists[i] < -1 || in.neighbour_lists[i] >= in.K)) {
      atomicMin(&lowest[0], (unsigned long long)i);
    }
    if (i < tokens) {
      const int32_t code = in.codes[i];
      const bool text_fine = is_finite(in.text[i]);
      const bool image_fine = is_finite(in.image[i]);
      if (code < 0 || code >= in.K) atomicMin(&lowest[1], (unsigned long long)i);
      if (!text_fine || !image_fine) {
        const unsigned long long b = (unsigned long long)(i / in.params.tokens);
        atomicMin(&lowest[2], 2ull * b + (text_fine ? 1ull : 0ull));
      }
    }
  }
}

/* What becomes of a token: the code that it gets, or -1, and its own. */
struct alignas(8) Replacement {
  int32_t substitute, code;
};

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
  const unsigned before = (unsigned)__popc(usable & ((1u << lane) - 1u));
  const bool own = (usable >> lane & 1u) != 0 && before == wanted;
  return __shfl_sync(kAllLanes, entry, __ffs((int)__ballot_sync(kAllLanes, own)) - 1);
}

/* Block b handles image first_image + b: positions, substitutes, and what becomes of its tokens.
 * `replacements` has room for the tokens of all blocks. `scores` and `orders` have too, unless kShared: up to
 * kSharedTokens tokens need neither. Loops of a round or two are not unrolled: a block would have more code to
 * fetch than to run. */
template <bool kShared>
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

  if (!fine(in.lowest)) return; /* codes are indices */
  const int thread = (int)threadIdx.x;
  const int lane = thread % 32;
  const int64_t b = first_image + blockIdx.x;
  const int64_t N = in.params.tokens;
  const int64_t M = in.params.chosen;
  const int64_t R = in.params.neighbours;
  const float *text = in.text + b * N;
  const float *image = in.image + b * N;
  const int32_t *codes = in.codes + b * N;
  int32_t *positions = in.positions + b * M;
  Replacement *replacement = replacements + (int64_t)blockIdx.x * N;
  double *score = kShared ? shared_score : scores + (int64_t)blockIdx.x * N;
  int32_t *order = kShared ? shared_order : orders + (int64_t)blockIdx.x * N;

  const int words = (int)((in.K + 31) / 32);
#pragma unroll 1
  for (int w = thread; w < words; w += kChooseThreads) present[w] = 0;
  end_of[thread] = 0;
  const Ranges ranges = find_ranges(text, image, N, parts); /* with a barrier */

#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    const int32_t z = codes[i];
    const double own = swap_score(in.params.text_weight, text[i], ranges.text_low, ranges.text_high,
                                  image[i], ranges.image_low, ranges.image_high);
    score[i] = own;
    atomicOr(&present[z >> 5], 1u << (z & 31));
    atomicAdd(&end_of[bucket_of(own, kBuckets)], 1);
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
  for (int w = 0; w < kChooseWarps; ++w) begin += w < thread / 32 ? counted[w] : 0;
  begin_of[thread] = begin;
  end_of[thread] = begin;
  __syncthreads();

  /* Only buckets that begin below M hold chosen tokens. Their order within a bucket does not matter. */
#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    const int32_t bucket = bucket_of(score[i], kBuckets);
    if (begin_of[bucket] < M) order[atomicAdd(&end_of[bucket], 1)] = (int32_t)i;
  }
  __syncthreads();
#pragma unroll 1
  for (int64_t i = thread; i < N; i += kChooseThreads) {
    const double own = score[i];
    const int32_t bucket = bucket_of(own, kBuckets);
    int32_t rank = begin_of[bucket];
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
    }
  }
  __syncthreads();

  /* A warp per chosen token. */
  const int64_t id = in.sample_ids[b];
#pragma unroll 1
  for (int64_t c = thread / 32; c < M; c += kChooseWarps) {
    const int32_t position = kShared ? chosen_position[c] : positions[c];
    const int32_t z = kShared ? chosen_code[c] : codes[position];
    int32_t first = position; /* of the chosen ones with code z */
#pragma unroll 2
    for (int64_t other = lane; other < M; other += 32) {
      const int32_t at = kShared ? chosen_position[other] : positions[other];
      if (at < first && (kShared ? chosen_code[other] : codes[at]) == z) first = at;
    }
    for (int other = 16; other > 0; other /= 2) {
      const int32_t theirs = __shfl_sync(kAllLanes, first, lane ^ other);
      if (theirs < first) first = theirs;
    }
    const uint64_t draw = draw64(in.params.seed, id, (uint32_t)first, in.params.step);
    const int32_t substitute = draw_substitute(in.neighbour_lists + z * R, (int)R, present, draw);
    if (lane == 0) {
      in.substitutes[b * M + c] = substitute;
      replacement[position] = Replacement{substitute, z};
    }
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
  if (lowest[0] != kNone || lowest[1] != kNone) {
    verdict->status = NAS_INVALID_ARGUMENT;
  } else if (lowest[2] != kNone) {
    verdict->status = NAS_NON_FINITE;
    verdict->bad_row = (int64_t)(lowest[2] / 2);
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

/* Writes the pieces of a stretch; those of swapped tokens alone if kInPlace. `replacements` begins with the
 * stretch's first token. The verdict may be NULL. Tokens pass through the cache, codewords stay there. */
template <class Piece, bool kInPlace>
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
    if (!kInPlace && u * kThreads < left) v[u] = __ldcs(&from[u * kThreads]);
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
    if (by[u].substitute < 0) continue;
    const uint32_t on = behind + u * kThreads;
    const uint32_t at = on - small_quotient(on, of.width) * width; /* in the token */
    fresh[u] = codewords[(int64_t)by[u].substitute * width + at];
    if (residual) {
      if (kInPlace) v[u] = __ldcs(&from[u * kThreads]);
      old[u] = codewords[(int64_t)by[u].code * width + at];
    }
  }
#pragma unroll
  for (int u = 0; u < kCount; ++u) {
    const bool changed = by[u].substitute >= 0;
    if (changed) v[u] = residual ? swapped_piece(v[u], old[u], fresh[u]) : fresh[u];
    if (kInPlace ? changed : u * kThreads < left) __stcs(&to[u * kThreads], v[u]);
  }
}

/* The verdict where there are no images. One thread. */
__global__ void no_images_verdict_kernel(nas_verdict *verdict) {
  verdict->status = NAS_OK;
  verdict->bad_row = -1;
}

void check_params(const nas_swap_params &p, int64_t d) {
  if (p.images < 0) {
    fail(NAS_INVALID_ARGUMENT, "params.images is %lld, below 0", (long long)p.images);
  }
  if (p.tokens < 1 || p.tokens > INT32_MAX) {
    fail(NAS_INVALID_ARGUMENT, "params.tokens is %lld, outside 1..2147483647",
         (long long)p.tokens);
  }
  if (p.chosen < 1 || p.chosen > p.tokens) {
    fail(NAS_INVALID_ARGUMENT, "params.chosen is %lld, outside 1..params.tokens %lld",
         (long long)p.chosen, (long long)p.tokens);
  }
  if (p.neighbours < 1 || p.neighbours > NAS_MAX_NEIGHBOURS) {
    fail(NAS_INVALID_ARGUMENT, "params.neighbours is %lld, outside 1..1024",
         (long long)p.neighbours);
  }
  if (!(p.text_weight >= 0.0 && p.text_weight <= 1.0)) {
    fail(NAS_INVALID_ARGUMENT, "params.text_weight is %g, outside 0..1", p.text_weight);
  }
  if (p.write != NAS_WRITE_CODEWORD && p.write != NAS_WRITE_RESIDUAL) {
    fail(NAS_INVALID_ARGUMENT, "params.write is %d, neither 0 (codeword) nor 1 (residual)", (int)p.write);
  }
  if (p.choose != NAS_CHOOSE_RELEVANCE || p.substitute != NAS_SUBSTITUTE_DRAW || p.donors != 0) {
    fail(NAS_INVALID_ARGUMENT, "not yet: by relevance and draws, without donors alone");
  }
  (void)product(product(product(p.images, p.tokens, "images * tokens"), d, "images * tokens * d"),
                (int64_t)sizeof(float), "the size of the tokens in bytes");
}

void require_request_memory(const Request &request, int device) {
  require_device(request.text, "text", 4, device);
  require_device(request.image, "image", 4, device);
  require_device(request.tokens, "tokens", 4, device);
  require_device(request.codes, "codes", 4, device);
  require_device(request.neighbour_lists, "neighbour_lists", 4, device);
  require_device(request.sample_ids, "sample_ids", 8, device);
  require_device(request.positions, "positions", 4, device);
  require_device(request.substitutes, "substitutes", 4, device);
  require_device(request.swapped, "swapped", 4, device);
}

/* The scratch arrays of a swap of at least one image and token. Take no less memory for more. */
struct Plan {
  int64_t chunk; /* images at a time */
  Layout layout;
  size_t lowest_at, replacements_at;
  size_t scores_at = 0, orders_at = 0; /* of more than kSharedTokens tokens */

  Plan(int64_t images, int64_t tokens) {
    chunk = kMostTokens / tokens;
    if (chunk < 1) chunk = 1;
    if (chunk > images) chunk = images;
    lowest_at = layout.add<unsigned long long>(kChecks);
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
  if (in.swapped == in.tokens) {
    launch("swap_tokens", swap_tokens_kernel<Piece, true>, grid, dim3(kThreads), on, in, of,
           replacements, e, verdict);
  } else {
    launch("swap_tokens", swap_tokens_kernel<Piece, false>, grid, dim3(kThreads), on, in, of,
           replacements, e, verdict);
  }
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
  const bool wide = in.d % 4 == 0 && in_float4s(in.tokens) && in_float4s(in.swapped) && in_float4s(e);
  for (int64_t first = 0; first < B; first += plan.chunk) {
    const int64_t here = B - first < plan.chunk ? B - first : plan.chunk;
    launch("swap_choose", N > kSharedTokens ? swap_choose_kernel<false> : swap_choose_kernel<true>,
           dim3((unsigned)here), dim3(kChooseThreads), on, in, first, replacements,
           scratch.at<double>(plan.scores_at), scratch.at<int32_t>(plan.orders_at));
    (wide ? launch_tokens<float4> : launch_tokens<float>)(in, first, here, replacements, e,
                                                          first == 0 ? verdict : nullptr, on);
  }
  return lowest;
}

}  // namespace

void load_swap_kernels() {
  load(check_swap_kernel);
  load(swap_choose_kernel<true>);
  load(swap_choose_kernel<false>);
  load(swap_tokens_kernel<float4, true>);
  load(swap_tokens_kernel<float4, false>);
  load(swap_tokens_kernel<float, true>);
  load(swap_tokens_kernel<float, false>);
  load(no_images_verdict_kernel);
}

size_t swap_bytes(const nas_codebook *, const Reservation &most) {
  return Plan(most.images < 1 ? 1 : most.images, most.tokens < 1 ? 1 : most.tokens).layout.bytes();
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
    check_params(p, codebook->d);
    const int64_t N = p.tokens;
    if (p.images == 0) return;
    set_swap_shape(codebook, p);
    DeviceGuard guard(codebook->device);
    const Request request{*input, *output};
    if (request.scores != nullptr || request.mask != nullptr) {
      fail(NAS_INVALID_ARGUMENT, "not yet: scores and mask");
    }
    require_request_memory(request, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    const Plan plan(p.images, N);
    Scratch scratch(codebook->cache, plan.layout, on);
    const unsigned long long *lowest =
        launch_swap(codebook, p, request, plan, scratch.arrays(), nullptr, on);
    unsigned long long found[kChecks];
    fetch(found, lowest, kChecks, on); /* waits */
    if (found[0] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "neighbour_lists[%llu][%llu] is %d, outside -1..%lld",
           found[0] / (unsigned long long)p.neighbours, found[0] % (unsigned long long)p.neighbours,
           value_at(request.neighbour_lists, found[0], on), (long long)(K - 1));
    }
    if (found[1] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "the code of image %llu, token %llu is %d, outside 0..%lld",
           found[1] / (unsigned long long)N, found[1] % (unsigned long long)N,
           value_at(request.codes, found[1], on), (long long)(K - 1));
    }
    if (found[2] != kNone) {
      if (bad_row != nullptr) *bad_row = (int64_t)(found[2] / 2);
      fail(NAS_NON_FINITE, "the %s similarities of image %llu hold a NaN or an infinity",
           found[2] % 2 == 0 ? "text" : "image", found[2] / 2);
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
    check_params(p, codebook->d);
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
    if (request.scores != nullptr || request.mask != nullptr) {
      fail(NAS_INVALID_ARGUMENT, "not yet: scores and mask");
    }
    require_request_memory(request, codebook->device);
    const Plan plan(p.images, p.tokens);
    const Arrays scratch = reserved_arrays(codebook, plan.layout);
    (void)launch_swap(codebook, p, request, plan, scratch, verdict, on);
  });
}

}  // extern "C"
