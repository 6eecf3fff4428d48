/*
 * Token swap. A block per image scores its tokens, gives every token its rank by comparing it with
 * all others (N*N comparisons, exact order, no sort), and finds the substitutes; then the tokens
 * are copied and a warp per chosen token with a substitute rewrites it. Bound by memory: the tokens
 * are read and written once.
 */
#include "../common/swap.h"

#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kThreads = 256;
constexpr int kWords = NAS_MAX_CODEWORDS / 32;
constexpr int64_t kMostScores = 1 << 22; /* scores held at a time: bounds the scratch memory */

/* The arguments of a swap. */
struct Request {
  const float *text, *image, *tokens;
  const int32_t *codes, *neighbour_lists;
  const int64_t *sample_ids;
  int32_t *positions, *substitutes;
  float *swapped;
};

/* What the kernels are given. */
struct Inputs : Request {
  nas_swap_params params;
  int64_t K;
  int64_t d;
  const unsigned long long *lowest; /* of the checks: kNone where nothing is wrong */
};

/* What is wrong with the input, if anything: of the lists, of the codes, of the similarities. */
constexpr int kChecks = 3;

__device__ __forceinline__ bool fine(const Inputs &in) {
  for (int i = 0; i < kChecks; ++i) {
    if (in.lowest[i] != kNone) return false;
  }
  return true;
}

/* *lowest: the lowest index of a value outside least..K-1. */
__global__ void __launch_bounds__(kThreads)
    check_range_kernel(const int32_t *values, int64_t count, int32_t least, int64_t K,
                       unsigned long long *lowest) {
  const int64_t stride = (int64_t)gridDim.x * kThreads;
  for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < count; i += stride) {
    if (values[i] < least || values[i] >= K) atomicMin(lowest, (unsigned long long)i);
  }
}

/* *lowest: 2*image for a non-finite text similarity, 2*image + 1 for an image similarity. */
__global__ void __launch_bounds__(kThreads)
    check_similarities_kernel(const float *text, const float *image, int64_t count, int64_t tokens,
                              unsigned long long *lowest) {
  const int64_t stride = (int64_t)gridDim.x * kThreads;
  for (int64_t i = (int64_t)blockIdx.x * kThreads + threadIdx.x; i < count; i += stride) {
    const unsigned long long b = (unsigned long long)(i / tokens);
    if (!is_finite(text[i])) atomicMin(lowest, 2ull * b);
    if (!is_finite(image[i])) atomicMin(lowest, 2ull * b + 1ull);
  }
}

/* Least and greatest of `count` finite values, for every thread of the block. */
__device__ void find_range(const float *values, int64_t count, float *scratch, float *low,
                           float *high) {
  const int thread = (int)threadIdx.x;
  float least = values[0];
  float greatest = values[0];
  for (int64_t i = thread; i < count; i += kThreads) {
    const float value = values[i];
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  scratch[thread] = least;
  scratch[kThreads + thread] = greatest;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) {
      if (scratch[thread + half] < scratch[thread]) scratch[thread] = scratch[thread + half];
      if (scratch[kThreads + thread + half] > scratch[kThreads + thread]) {
        scratch[kThreads + thread] = scratch[kThreads + thread + half];
      }
    }
    __syncthreads();
  }
  *low = scratch[0];
  *high = scratch[kThreads];
  __syncthreads();
}

/* Block b handles image first_image + b; scores has room for the tokens of all blocks. */
__global__ void __launch_bounds__(kThreads)
    swap_choose_kernel(Inputs in, int64_t first_image, double *scores) {
  __shared__ float scratch[2 * kThreads];
  __shared__ uint32_t present[kWords];

  if (!fine(in)) return; /* codes are indices */
  const int thread = (int)threadIdx.x;
  const int64_t b = first_image + blockIdx.x;
  const int64_t N = in.params.tokens;
  const int64_t M = in.params.chosen;
  const int64_t R = in.params.neighbours;
  const float *text = in.text + b * N;
  const float *image = in.image + b * N;
  const int32_t *codes = in.codes + b * N;
  int32_t *positions = in.positions + b * M;
  double *score = scores + (int64_t)blockIdx.x * N;

  float text_low, text_high, image_low, image_high;
  find_range(text, N, scratch, &text_low, &text_high);
  find_range(image, N, scratch, &image_low, &image_high);
  for (int64_t i = thread; i < N; i += kThreads) {
    score[i] = swap_score(in.params.text_weight, text[i], text_low, text_high, image[i], image_low,
                          image_high);
  }
  const int words = (int)((in.K + 31) / 32);
  for (int w = thread; w < words; w += kThreads) present[w] = 0;
  __syncthreads();
  for (int64_t i = thread; i < N; i += kThreads) {
    atomicOr(&present[codes[i] >> 5], 1u << (codes[i] & 31));
  }
  for (int64_t i = thread; i < N; i += kThreads) {
    const double own = score[i];
    int64_t rank = 0;
    for (int64_t k = 0; k < N && rank < M; ++k) {
      if (chosen_before(score[k], (int32_t)k, own, (int32_t)i)) ++rank;
    }
    if (rank < M) positions[rank] = (int32_t)i;
  }
  __syncthreads();

  for (int64_t c = thread; c < M; c += kThreads) {
    const int32_t z = codes[positions[c]];
    int32_t first = positions[c];
    for (int64_t other = 0; other < M; ++other) {
      const int32_t position = positions[other];
      if (position < first && codes[position] == z) first = position;
    }
    const uint64_t draw =
        draw64(in.params.seed, in.sample_ids[b], (uint32_t)first, in.params.step);
    in.substitutes[b * M + c] = choose_substitute(in.neighbour_lists + z * R, R, present, draw);
  }
}

/* A warp per chosen token. `swapped` holds the tokens already. */
__global__ void __launch_bounds__(kThreads)
    swap_tokens_kernel(Inputs in, const float *e, float *swapped) {
  if (!fine(in)) return;
  const int64_t N = in.params.tokens;
  const int64_t M = in.params.chosen;
  const int64_t all = in.params.images * M;
  const int64_t warps = (int64_t)gridDim.x * (kThreads / 32);
  for (int64_t c = (int64_t)blockIdx.x * (kThreads / 32) + threadIdx.x / 32; c < all; c += warps) {
    const int32_t substitute = in.substitutes[c];
    if (substitute < 0) continue;
    const int64_t token = c / M * N + in.positions[c];
    const float *old_codeword = e + in.codes[token] * in.d;
    const float *new_codeword = e + substitute * in.d;
    float *v = swapped + token * in.d;
    for (int64_t t = threadIdx.x % 32; t < in.d; t += 32) {
      v[t] = in.params.mode == NAS_SWAP_QUANTISED
                 ? new_codeword[t]
                 : residual_swap(v[t], old_codeword[t], new_codeword[t]);
    }
  }
}

/* lowest NULL stands for no images. One thread. */
__global__ void swap_verdict_kernel(const unsigned long long *lowest, nas_verdict *verdict) {
  verdict->status = NAS_OK;
  verdict->bad_row = -1;
  if (lowest == nullptr) return;
  if (lowest[0] != kNone || lowest[1] != kNone) {
    verdict->status = NAS_INVALID_ARGUMENT;
  } else if (lowest[2] != kNone) {
    verdict->status = NAS_NON_FINITE;
    verdict->bad_row = (int64_t)(lowest[2] / 2);
  }
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
  if (p.neighbours < 1 || p.neighbours > 1024) {
    fail(NAS_INVALID_ARGUMENT, "params.neighbours is %lld, outside 1..1024",
         (long long)p.neighbours);
  }
  if (!(p.text_weight >= 0.0 && p.text_weight <= 1.0)) {
    fail(NAS_INVALID_ARGUMENT, "params.text_weight is %g, outside 0..1", p.text_weight);
  }
  if (p.mode != NAS_SWAP_QUANTISED && p.mode != NAS_SWAP_RESIDUAL) {
    fail(NAS_INVALID_ARGUMENT, "params.mode is %d, neither 0 (quantised) nor 1 (residual)",
         (int)p.mode);
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
  size_t lowest_at, scores_at;

  Plan(int64_t images, int64_t tokens) {
    chunk = kMostScores / tokens;
    if (chunk < 1) chunk = 1;
    if (chunk > images) chunk = images;
    lowest_at = layout.add<unsigned long long>(kChecks);
    int64_t scores = images > kMostScores / tokens ? kMostScores : images * tokens;
    if (scores < tokens) scores = tokens;
    scores_at = layout.add<double>(scores);
  }
};

void set_swap_shape(const nas_codebook *codebook, const nas_swap_params &p) {
  set_shape("images %lld, tokens %lld, chosen %lld, neighbours %lld, K %lld, d %lld",
            (long long)p.images, (long long)p.tokens, (long long)p.chosen, (long long)p.neighbours,
            (long long)codebook->K, (long long)codebook->d);
}

/* Launches the checks of a swap's input; at least one image. */
Inputs launch_checks(const nas_codebook *codebook, const nas_swap_params &p, const Request &request,
                     const Plan &plan, const Arrays &scratch, cudaStream_t on) {
  const int64_t K = codebook->K;
  const int64_t B = p.images;
  const int64_t N = p.tokens;
  unsigned long long *lowest = scratch.at<unsigned long long>(plan.lowest_at);
  fill_bytes(lowest, 0xff, kChecks, on);
  launch("check_neighbour_lists", check_range_kernel,
         dim3(blocks_for(K * p.neighbours, kThreads, 1 << 16)), dim3(kThreads), on,
         request.neighbour_lists, K * p.neighbours, (int32_t)-1, K, &lowest[0]);
  launch("check_codes", check_range_kernel, dim3(blocks_for(B * N, kThreads, 1 << 16)),
         dim3(kThreads), on, request.codes, B * N, (int32_t)0, K, &lowest[1]);
  launch("check_similarities", check_similarities_kernel,
         dim3(blocks_for(B * N, kThreads, 1 << 16)), dim3(kThreads), on, request.text,
         request.image, B * N, N, &lowest[2]);
  return Inputs{request, p, K, codebook->d, lowest};
}

/* Launches what follows the checks, which swaps nothing where they found something. */
void launch_swap(const nas_codebook *codebook, const Inputs &in, const Plan &plan,
                 const Arrays &scratch, cudaStream_t on) {
  const int64_t B = in.params.images;
  const int64_t N = in.params.tokens;
  double *scores = scratch.at<double>(plan.scores_at);
  if (in.swapped != in.tokens) copy(in.swapped, in.tokens, B * N * in.d, on);
  for (int64_t first = 0; first < B; first += plan.chunk) {
    const int64_t here = B - first < plan.chunk ? B - first : plan.chunk;
    launch("swap_choose", swap_choose_kernel, dim3((unsigned)here), dim3(kThreads), on, in, first,
           scores);
  }
  launch("swap_tokens", swap_tokens_kernel,
         dim3(blocks_for(B * in.params.chosen, kThreads / 32, 1 << 16)), dim3(kThreads), on, in,
         (const float *)codebook->state.e, in.swapped);
}

}  // namespace

void load_swap_kernels() {
  load(check_range_kernel);
  load(check_similarities_kernel);
  load(swap_choose_kernel);
  load(swap_tokens_kernel);
  load(swap_verdict_kernel);
}

size_t swap_bytes(const nas_codebook *, const Reservation &most) {
  return Plan(most.images < 1 ? 1 : most.images, most.tokens < 1 ? 1 : most.tokens).layout.bytes();
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params, const float *text,
                    const float *image, const float *tokens, const int32_t *codes,
                    const int32_t *neighbour_lists, const int64_t *sample_ids, int32_t *positions,
                    int32_t *substitutes, float *swapped, int64_t *bad_row, void *stream) {
  return call("nas_swap", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    require_pointer(params, "params");
    const nas_swap_params p = *params;
    const int64_t K = codebook->K;
    check_params(p, codebook->d);
    const int64_t N = p.tokens;
    if (p.images == 0) return;
    set_swap_shape(codebook, p);
    DeviceGuard guard(codebook->device);
    const Request request{text,       image,     tokens,      codes,  neighbour_lists,
                          sample_ids, positions, substitutes, swapped};
    require_request_memory(request, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    const Plan plan(p.images, N);
    Scratch scratch(codebook->cache, plan.layout, on);
    const Inputs in = launch_checks(codebook, p, request, plan, scratch.arrays(), on);
    unsigned long long found[kChecks];
    fetch(found, in.lowest, kChecks, on);
    if (found[0] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "neighbour_lists[%llu][%llu] is %d, outside -1..%lld",
           found[0] / (unsigned long long)p.neighbours, found[0] % (unsigned long long)p.neighbours,
           value_at(neighbour_lists, found[0], on), (long long)(K - 1));
    }
    if (found[1] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "the code of image %llu, token %llu is %d, outside 0..%lld",
           found[1] / (unsigned long long)N, found[1] % (unsigned long long)N,
           value_at(codes, found[1], on), (long long)(K - 1));
    }
    if (found[2] != kNone) {
      if (bad_row != nullptr) *bad_row = (int64_t)(found[2] / 2);
      fail(NAS_NON_FINITE, "the %s similarities of image %llu hold a NaN or an infinity",
           found[2] % 2 == 0 ? "text" : "image", found[2] / 2);
    }
    launch_swap(codebook, in, plan, scratch.arrays(), on);
    synchronize(on);
  });
}

nas_status nas_swap_enqueue(nas_codebook *codebook, const nas_swap_params *params,
                            const float *text, const float *image, const float *tokens,
                            const int32_t *codes, const int32_t *neighbour_lists,
                            const int64_t *sample_ids, int32_t *positions, int32_t *substitutes,
                            float *swapped, nas_verdict *verdict, void *stream) {
  return call("nas_swap_enqueue", [&] {
    require_pointer(codebook, "codebook");
    require_pointer(params, "params");
    const nas_swap_params p = *params;
    check_params(p, codebook->d);
    require_reserved_images(codebook, p.images, p.tokens);
    set_swap_shape(codebook, p);
    DeviceGuard guard(codebook->device);
    require_device(verdict, "verdict", 8, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    const unsigned long long *lowest = nullptr;
    if (p.images > 0) {
      const Request request{text,       image,     tokens,      codes,  neighbour_lists,
                            sample_ids, positions, substitutes, swapped};
      require_request_memory(request, codebook->device);
      const Plan plan(p.images, p.tokens);
      const Arrays scratch = reserved_arrays(codebook, plan.layout);
      const Inputs in = launch_checks(codebook, p, request, plan, scratch, on);
      launch_swap(codebook, in, plan, scratch, on);
      lowest = in.lowest;
    }
    launch("swap_verdict", swap_verdict_kernel, dim3(1), dim3(1), on, lowest, verdict);
  });
}

}  // extern "C"
