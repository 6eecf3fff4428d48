/* The token swap. */
#include "../common/swap.h"

#include <string.h>

#include <algorithm>

#include "calls.h"
#include "codebook.h"
#include "failures.h"
#include "float_environment.h"
#include "memory.h"
#include "parallel.h"
#include "tier.h"

namespace nas {
namespace {

struct Scored {
  double score;
  int32_t position;
};

/* The bitmaps are zero between images, so that no call has to set up more than bits. */
struct Worker {
  Buffer<Scored> scores;       /* N */
  Buffer<uint32_t> chosen;     /* a bit for each position */
  Buffer<uint32_t> present;    /* a bit for each code */
  Buffer<uint32_t> drawn;      /* a bit for each code */
  Buffer<int32_t> substitute;  /* K; valid for codes in `drawn` */

  bool allocate(int64_t N, int64_t K) {
    if (!scores.allocate(N) || !chosen.allocate(words(N)) || !present.allocate(words(K)) ||
        !drawn.allocate(words(K)) || !substitute.allocate(K)) {
      return false;
    }
    std::fill_n(chosen.get(), words(N), 0);
    std::fill_n(present.get(), words(K), 0);
    std::fill_n(drawn.get(), words(K), 0);
    return true;
  }
  static int64_t words(int64_t bits) { return (bits + 31) / 32; }
};

struct Request {
  const nas_codebook *codebook;
  const nas_swap_params *params;
  const float *text, *image, *tokens;
  const int32_t *codes, *neighbour_lists;
  const int64_t *sample_ids;
  int32_t *positions, *substitutes;
  float *swapped;
  int32_t *replacements; /* B x N: the new code of every token, or -1 */
};

/* The least and the greatest of finite values, in lanes that the compiler vectorises. */
void range(const float *values, int64_t count, float *low, float *high) {
  const int64_t lanes = 16;
  float least[lanes], most[lanes];
  for (int64_t l = 0; l < lanes; ++l) least[l] = most[l] = values[l < count ? l : 0];
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int64_t l = 0; l < lanes; ++l) {
      least[l] = values[i + l] < least[l] ? values[i + l] : least[l];
      most[l] = values[i + l] > most[l] ? values[i + l] : most[l];
    }
  }
  for (; i < count; ++i) {
    least[0] = std::min(least[0], values[i]);
    most[0] = std::max(most[0], values[i]);
  }
  *low = *std::min_element(least, least + lanes);
  *high = *std::max_element(most, most + lanes);
}

/* Whether all are `low`..`high`; written so that the compiler vectorises it. */
bool in_range(const int32_t *values, int64_t count, int32_t low, int32_t high) {
  const int64_t block = 4096;
  for (int64_t i = 0; i < count; i += block) {
    const int64_t end = count - i < block ? count : i + block;
    /* The differences are negative as int32 if a value is out of range, and if they overflow too,
     * since low is at least -1 and high at least 0. */
    uint32_t sign = 0;
    for (int64_t k = i; k < end; ++k) {
      sign |= ((uint32_t)values[k] - (uint32_t)low) | ((uint32_t)high - (uint32_t)values[k]);
    }
    if (sign >> 31 != 0) return false;
  }
  return true;
}

/* The substitute: candidate number floor(draw*n / 2^64) of the n entries of `list` (R codes) that are candidates; -1 if
 * n = 0. In one pass without branches, which nothing could predict. `candidates` holds R. */
int32_t draw_substitute(const int32_t *list, int64_t R, const uint32_t *present, uint64_t draw,
                        int32_t *candidates) {
  uint32_t n = 0;
  for (int64_t r = 0; r < R; ++r) {
    const int32_t z = list[r], none = z >> 31; /* all ones for -1 */
    candidates[n] = z;
    n += (uint32_t)(!is_present(present, z & ~none)) & (uint32_t)(none + 1);
  }
  return n == 0 ? -1 : candidates[uniform_choice(draw, n)];
}

/* Positions, substitutes and replacements of an image. */
void choose(const Request &request, Worker &worker, int64_t b) {
  const nas_swap_params &p = *request.params;
  const int64_t N = p.tokens, M = p.chosen, R = p.neighbours;
  const float *text = request.text + b * N, *image = request.image + b * N;
  const int32_t *codes = request.codes + b * N;
  int32_t *positions = request.positions + b * M, *substitutes = request.substitutes + b * M;
  int32_t *replacements = request.replacements + b * N;

  float text_low, text_high, image_low, image_high;
  range(text, N, &text_low, &text_high);
  range(image, N, &image_low, &image_high);
  Scored *scores = worker.scores.get();
  /* Scores, which are 0 to 1, fall into buckets in their own order; the chosen ones lie in the highest
   * buckets that hold M together. This leaves few to be compared, which no branch predictor likes. */
  const int64_t buckets = 128;
  int32_t held[buckets] = {};
  auto bucket_of = [](double score) {
    return std::min<int64_t>((int64_t)(score * (double)buckets), buckets - 1);
  };
  for (int64_t i = 0; i < N; ++i) {
    const double score = swap_score(p.text_weight, text[i], text_low, text_high, image[i], image_low,
                                    image_high);
    scores[i] = {score, (int32_t)i};
    ++held[bucket_of(score)];
  }
  int64_t lowest = buckets, highest = 0;
  while (highest < M) highest += held[--lowest];
  int64_t kept = 0;
  for (int64_t i = 0; i < N; ++i) {
    const Scored scored = scores[i];
    scores[kept] = scored;
    kept += bucket_of(scored.score) >= lowest;
  }
  auto before = [](const Scored &a, const Scored &c) {
    return chosen_before(a.score, a.position, c.score, c.position);
  };
  if (M < kept) std::nth_element(scores, scores + M - 1, scores + kept, before);
  std::sort(scores, scores + M, before);

  for (int64_t i = 0; i < N; ++i) {
    worker.present[codes[i] >> 5] |= 1u << (codes[i] & 31);
    replacements[i] = -1;
  }
  for (int64_t c = 0; c < M; ++c) {
    positions[c] = scores[c].position;
    worker.chosen[positions[c] >> 5] |= 1u << (positions[c] & 31);
  }
  int32_t candidates[1024];
  /* Ascending, so that the first position met with a code is the lowest. */
  for (int64_t w = 0; w < Worker::words(N); ++w) {
    for (uint32_t bits = worker.chosen[w]; bits != 0; bits &= bits - 1) {
      const int64_t position = w * 32 + __builtin_ctz(bits);
      const int32_t z = codes[position];
      if (!is_present(worker.drawn.get(), z)) {
        worker.drawn[z >> 5] |= 1u << (z & 31);
        const uint64_t draw = draw64(p.seed, request.sample_ids[b], (uint32_t)position, p.step);
        worker.substitute[z] = draw_substitute(request.neighbour_lists + z * R, R,
                                               worker.present.get(), draw, candidates);
      }
      replacements[position] = worker.substitute[z];
    }
    worker.chosen[w] = 0;
  }
  for (int64_t c = 0; c < M; ++c) substitutes[c] = replacements[positions[c]];
  for (int64_t i = 0; i < N; ++i) {
    worker.present[codes[i] >> 5] = 0;
    worker.drawn[codes[i] >> 5] = 0;
  }
}

/* Writes tokens first..last-1 of all images: runs of unchanged ones by one copy each. */
void write_tokens(const Request &request, int64_t first, int64_t last) {
  const int64_t d = request.codebook->d;
  const float *e = request.codebook->e.get();
  const bool in_place = request.swapped == request.tokens;
  const bool quantised = request.params->mode == NAS_SWAP_QUANTISED;
  for (int64_t i = first; i < last;) {
    const int32_t other = request.replacements[i];
    if (other < 0) {
      const int64_t begin = i;
      while (i < last && request.replacements[i] < 0) ++i;
      if (!in_place) {
        memcpy(request.swapped + begin * d, request.tokens + begin * d,
               (size_t)((i - begin) * d) * sizeof(float));
      }
      continue;
    }
    const float *substitute = e + other * d;
    float *out = request.swapped + i * d;
    if (quantised) {
      memcpy(out, substitute, (size_t)d * sizeof(float));
    } else {
      const float *v = request.tokens + i * d, *codeword = e + request.codes[i] * d;
      for (int64_t t = 0; t < d; ++t) out[t] = residual_swap(v[t], codeword[t], substitute[t]);
    }
    ++i;
  }
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

nas_status nas::swap_all(const char *function, const nas_codebook *codebook,
                         const nas_swap_params *params, const float *text, const float *image,
                         const float *tokens, const int32_t *codes, const int32_t *neighbour_lists,
                         const int64_t *sample_ids, int32_t *positions, int32_t *substitutes,
                         float *swapped, nas_verdict *verdict, void *stream) {
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

  if (!in_range(neighbour_lists, K * R, -1, (int32_t)K - 1)) {
    int64_t i = 0;
    while (neighbour_lists[i] >= -1 && neighbour_lists[i] < K) ++i;
    return judge(verdict,
                 fail(NAS_INVALID_ARGUMENT,
                      "%s: neighbour_lists[%lld][%lld] is %d, must be -1 to %lld", function,
                      (long long)(i / R), (long long)(i % R), (int)neighbour_lists[i],
                      (long long)K - 1),
                 -1);
  }
  if (!in_range(codes, B * N, 0, (int32_t)K - 1)) {
    int64_t i = 0;
    while (codes[i] >= 0 && codes[i] < K) ++i;
    return judge(verdict,
                 fail(NAS_INVALID_ARGUMENT,
                      "%s: code of image %lld, token %lld is %d, must be 0 to %lld", function,
                      (long long)(i / N), (long long)(i % N), (int)codes[i], (long long)K - 1),
                 -1);
  }
  if (!tier.all_finite(text, B * N) || !tier.all_finite(image, B * N)) {
    int64_t b = 0;
    while (tier.all_finite(text + b * N, N) && tier.all_finite(image + b * N, N)) ++b;
    const bool text_finite = tier.all_finite(text + b * N, N);
    return judge(verdict,
                 fail(NAS_NON_FINITE, "%s: the %s similarities of image %lld have a NaN or an infinity",
                      function, text_finite ? "image" : "text", (long long)b),
                 b);
  }

  const int threads = B * N * codebook->d < 1 << 14 ? 1 : thread_limit();
  const int choosers = (int)std::min<int64_t>(threads, B);
  Buffer<int32_t> replacements;
  PerWorker<Worker> workers;
  bool allocated = replacements.allocate(B * N) && workers.allocate(choosers);
  for (int i = 0; i < choosers && allocated; ++i) allocated = workers[i].allocate(N, K);
  if (!allocated) return out_of_memory(function, 4 * B * N + choosers * (16 * N + 5 * K));
  Request request{codebook,   params,    text,        image,   tokens,
                  codes,      neighbour_lists, sample_ids, positions, substitutes,
                  swapped,    replacements.get()};
  if (B >= 4 * threads) {
    /* A thread that chooses leaves the memory to one that copies. */
    auto swap_image = [&](int64_t b, int worker) {
      choose(request, workers[worker], b);
      write_tokens(request, b * N, (b + 1) * N);
    };
    parallel(B, choosers, swap_image);
    return NAS_OK;
  }
  auto choose_image = [&](int64_t b, int worker) { choose(request, workers[worker], b); };
  parallel(B, choosers, choose_image);
  /* Few images: by tokens. */
  const int64_t all = B * N;
  const int64_t tasks = std::min<int64_t>(all, threads == 1 ? 1 : 8 * threads);
  auto write = [&](int64_t task, int) {
    const int64_t share = all / tasks, rest = all % tasks;
    const int64_t first = task * share + std::min(task, rest);
    write_tokens(request, first, first + share + (task < rest ? 1 : 0));
  };
  parallel(tasks, threads, write);
  return NAS_OK;
}

nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params, const float *text,
                    const float *image, const float *tokens, const int32_t *codes,
                    const int32_t *neighbour_lists, const int64_t *sample_ids, int32_t *positions,
                    int32_t *substitutes, float *swapped, int64_t *bad_row, void *stream) {
  if (bad_row != nullptr) *bad_row = -1;
  nas_verdict verdict{NAS_OK, -1};
  NAS_TRY(swap_all("nas_swap", codebook, params, text, image, tokens, codes, neighbour_lists, sample_ids,
                   positions, substitutes, swapped, &verdict, stream));
  if (bad_row != nullptr) *bad_row = verdict.bad_row;
  return (nas_status)verdict.status;
}
