/* The token swap. */
#include "../common/swap.h"

#include <string.h>

#include <algorithm>
#include <atomic>

#include "internal.h"

namespace nas {
namespace {

struct Worker {
  Buffer<double> scores;          /* N */
  Buffer<int32_t> order;          /* N */
  Buffer<uint32_t> present;       /* a bit for each code */
  Buffer<int32_t> first_position; /* K; INT32_MAX between images */
  Buffer<int32_t> substitute;     /* K; valid for codes at chosen positions */
};

struct Request {
  const nas_codebook *codebook;
  const nas_swap_params *params;
  const float *text, *image, *tokens;
  const int32_t *codes, *neighbour_lists;
  const int64_t *sample_ids;
  int32_t *positions, *substitutes;
  float *swapped;
};

void range(const float *values, int64_t count, float *low, float *high) {
  *low = *high = values[0];
  for (int64_t i = 1; i < count; ++i) {
    if (values[i] < *low) *low = values[i];
    if (values[i] > *high) *high = values[i];
  }
}

void swap_image(const Request &request, Worker &worker, int64_t b) {
  const nas_swap_params &p = *request.params;
  const int64_t N = p.tokens, M = p.chosen, R = p.neighbours, d = request.codebook->d;
  const float *e = request.codebook->e.get();
  const float *text = request.text + b * N, *image = request.image + b * N;
  const int32_t *codes = request.codes + b * N;
  int32_t *positions = request.positions + b * M, *substitutes = request.substitutes + b * M;

  float text_low, text_high, image_low, image_high;
  range(text, N, &text_low, &text_high);
  range(image, N, &image_low, &image_high);
  double *scores = worker.scores.get();
  for (int64_t i = 0; i < N; ++i) {
    scores[i] = swap_score(p.text_weight, text[i], text_low, text_high, image[i], image_low,
                           image_high);
    worker.order[i] = (int32_t)i;
  }
  std::partial_sort(
      worker.order.get(), worker.order.get() + M, worker.order.get() + N,
      [&](int32_t a, int32_t c) { return chosen_before(scores[a], a, scores[c], c); });
  memcpy(positions, worker.order.get(), (size_t)M * sizeof(int32_t));

  for (int64_t i = 0; i < N; ++i) worker.present[codes[i] >> 5] |= 1u << (codes[i] & 31);
  for (int64_t c = 0; c < M; ++c) {
    int32_t &first = worker.first_position[codes[positions[c]]];
    if (positions[c] < first) first = positions[c];
  }
  for (int64_t c = 0; c < M; ++c) {
    const int32_t z = codes[positions[c]];
    if (positions[c] != worker.first_position[z]) continue;
    const uint64_t draw = draw64(p.seed, request.sample_ids[b], (uint32_t)positions[c], p.step);
    worker.substitute[z] = choose_substitute(request.neighbour_lists + z * R, R,
                                             worker.present.get(), draw);
  }

  const float *tokens = request.tokens + b * N * d;
  float *swapped = request.swapped + b * N * d;
  if (swapped != tokens) memcpy(swapped, tokens, (size_t)(N * d) * sizeof(float));
  for (int64_t c = 0; c < M; ++c) {
    const int32_t z = codes[positions[c]], other = worker.substitute[z];
    substitutes[c] = other;
    if (other < 0) continue;
    float *v = swapped + positions[c] * d;
    const float *old_codeword = e + z * d, *new_codeword = e + other * d;
    if (p.mode == NAS_SWAP_QUANTISED) {
      memcpy(v, new_codeword, (size_t)d * sizeof(float));
    } else {
      for (int64_t t = 0; t < d; ++t) v[t] = residual_swap(v[t], old_codeword[t], new_codeword[t]);
    }
  }

  for (int64_t i = 0; i < N; ++i) worker.present[codes[i] >> 5] = 0;
  for (int64_t c = 0; c < M; ++c) worker.first_position[codes[positions[c]]] = INT32_MAX;
}

nas_status check_params(const char *function, const nas_codebook &codebook,
                        const nas_swap_params &p) {
  if (p.images < 0) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.images is %lld, must be at least 0", function,
                (long long)p.images);
  }
  if (p.tokens < 1 || p.tokens > INT32_MAX) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.tokens is %lld, must be 1 to 2147483647", function,
                (long long)p.tokens);
  }
  if (p.chosen < 1 || p.chosen > p.tokens) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.chosen is %lld, must be 1 to params.tokens %lld",
                function, (long long)p.chosen, (long long)p.tokens);
  }
  if (p.neighbours < 1 || p.neighbours > 1024) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.neighbours is %lld, must be 1 to 1024", function,
                (long long)p.neighbours);
  }
  if (!(p.text_weight >= 0.0 && p.text_weight <= 1.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.text_weight is %g, must be 0 to 1", function,
                p.text_weight);
  }
  if (p.mode != NAS_SWAP_QUANTISED && p.mode != NAS_SWAP_RESIDUAL) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.mode is %d, must be 0 (quantised) or 1 (residual)",
                function, (int)p.mode);
  }
  int64_t size;
  if (__builtin_mul_overflow(p.images, p.tokens, &size) ||
      __builtin_mul_overflow(size, codebook.d, &size) ||
      __builtin_mul_overflow(size, (int64_t)sizeof(float), &size)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: images %lld x tokens %lld x width %lld overflows",
                function, (long long)p.images, (long long)p.tokens, (long long)codebook.d);
  }
  return NAS_OK;
}

}  // namespace
}  // namespace nas

using namespace nas;

nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params, const float *text,
                    const float *image, const float *tokens, const int32_t *codes,
                    const int32_t *neighbour_lists, const int64_t *sample_ids, int32_t *positions,
                    int32_t *substitutes, float *swapped, int64_t *bad_row, void *stream) {
  static const char *const function = "nas_swap";
  if (bad_row != nullptr) *bad_row = -1;
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "params", params, alignof(nas_swap_params)));
  NAS_TRY(check_stream(function, stream));
  NAS_TRY(check_params(function, *codebook, *params));
  if (params->images == 0) return NAS_OK;
  NAS_TRY(check_pointer(function, "text", text, alignof(float)));
  NAS_TRY(check_pointer(function, "image", image, alignof(float)));
  NAS_TRY(check_pointer(function, "tokens", tokens, alignof(float)));
  NAS_TRY(check_pointer(function, "codes", codes, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "neighbour_lists", neighbour_lists, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "sample_ids", sample_ids, alignof(int64_t)));
  NAS_TRY(check_pointer(function, "positions", positions, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "substitutes", substitutes, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "swapped", swapped, alignof(float)));
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int64_t B = params->images, N = params->tokens, R = params->neighbours, K = codebook->K;

  for (int64_t i = 0; i < K * R; ++i) {
    if (neighbour_lists[i] < -1 || neighbour_lists[i] >= K) {
      return fail(NAS_INVALID_ARGUMENT, "%s: neighbour_lists[%lld][%lld] is %d, must be -1 to %lld",
                  function, (long long)(i / R), (long long)(i % R), (int)neighbour_lists[i],
                  (long long)K - 1);
    }
  }
  for (int64_t i = 0; i < B * N; ++i) {
    if (codes[i] < 0 || codes[i] >= K) {
      return fail(NAS_INVALID_ARGUMENT, "%s: code of image %lld, token %lld is %d, must be 0 to %lld",
                  function, (long long)(i / N), (long long)(i % N), (int)codes[i],
                  (long long)K - 1);
    }
  }
  for (int64_t b = 0; b < B; ++b) {
    const bool text_finite = tier.all_finite(text + b * N, N);
    if (text_finite && tier.all_finite(image + b * N, N)) continue;
    if (bad_row != nullptr) *bad_row = b;
    return fail(NAS_NON_FINITE, "%s: the %s similarities of image %lld have a NaN or an infinity",
                function, text_finite ? "image" : "text", (long long)b);
  }

  const int threads = (int64_t)thread_limit() < B ? thread_limit() : (int)B;
  const int64_t words = (K + 31) / 32;
  PerWorker<Worker> workers;
  if (!workers.allocate(threads)) return out_of_memory(function, threads * 8 * (N + K));
  for (int i = 0; i < threads; ++i) {
    Worker &worker = workers[i];
    if (!worker.scores.allocate(N) || !worker.order.allocate(N) || !worker.present.allocate(words) ||
        !worker.first_position.allocate(K) || !worker.substitute.allocate(K)) {
      return out_of_memory(function, threads * (12 * N + 9 * K));
    }
    for (int64_t w = 0; w < words; ++w) worker.present[w] = 0;
    for (int64_t z = 0; z < K; ++z) worker.first_position[z] = INT32_MAX;
  }
  Request request{codebook,        params,     text,      image,       tokens, codes,
                  neighbour_lists, sample_ids, positions, substitutes, swapped};
  auto body = [&](int64_t b, int worker) { swap_image(request, workers[worker], b); };
  parallel(B, threads, body);
  return NAS_OK;
}
