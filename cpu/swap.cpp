/* The token swap: its checks, and how its work is shared out. */
#include "swap.h"

#include "calls.h"
#include "failures.h"
#include "float_environment.h"
#include "parallel.h"
#include "tier.h"

namespace nas {
namespace {

/* Whether all are `low`..`high`; written so that the compiler vectorises it. */
bool in_range(const int32_t *values, int64_t count, int32_t low, int32_t high) {
  const int64_t block = 4096;
  for (int64_t i = 0; i < count; i += block) {
    const int64_t end = count - i < block ? count : i + block;
    /* The differences are negative as int32 if a value is out of range, and if they overflow too,
     * since low is at least -1 and high at least -1. */
    uint32_t sign = 0;
    for (int64_t k = i; k < end; ++k) {
      sign |= ((uint32_t)values[k] - (uint32_t)low) | ((uint32_t)high - (uint32_t)values[k]);
    }
    if (sign >> 31 != 0) return false;
  }
  return true;
}

/* The first that is not `low`..`high`, or -1. */
int64_t first_outside(const int32_t *values, int64_t count, int32_t low, int32_t high) {
  if (in_range(values, count, low, high)) return -1;
  int64_t i = 0;
  while (values[i] >= low && values[i] <= high) ++i;
  return i;
}

/* Whether all are finite; likewise. */
bool all_finite(const double *values, int64_t count) {
  uint64_t infinite = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits;
    __builtin_memcpy(&bits, &values[i], sizeof bits);
    infinite |= (bits & 0x7ff0000000000000u) + 0x0010000000000000u; /* carries into the sign */
  }
  return infinite >> 63 == 0;
}

nas_status check_choice(const char *function, const char *name, int32_t value, const char *zero,
                        const char *one) {
  if (value == 0 || value == 1) return NAS_OK;
  return fail(NAS_INVALID_ARGUMENT, "%s: params.%s is %d, must be 0 (%s) or 1 (%s)", function, name,
              (int)value, zero, one);
}

nas_status check_params(const char *function, const SwapRequest &request) {
  const nas_swap_params &p = request.params;
  const int64_t K = request.codebook->K, d = request.codebook->d;
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
  if (p.neighbours < 1 || p.neighbours > NAS_MAX_NEIGHBOURS) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.neighbours is %lld, must be 1 to %d", function,
                (long long)p.neighbours, NAS_MAX_NEIGHBOURS);
  }
  NAS_TRY(check_choice(function, "choose", p.choose, "relevance", "gain"));
  NAS_TRY(check_choice(function, "substitute", p.substitute, "draw", "evidence"));
  NAS_TRY(check_choice(function, "write", p.write, "codeword", "residual"));
  NAS_TRY(check_choice(function, "donors", p.donors, "none", "tokens of other images"));
  if (request.by_relevance() && !(p.text_weight >= 0.0 && p.text_weight <= 1.0)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.text_weight is %g, must be 0 to 1", function,
                p.text_weight);
  }
  if (p.substitute == NAS_SUBSTITUTE_EVIDENCE && p.sign != 1 && p.sign != -1) {
    return fail(NAS_INVALID_ARGUMENT, "%s: params.sign is %d, must be 1 or -1", function, (int)p.sign);
  }
  int64_t size;
  const int64_t widest = std::max<int64_t>(d * (int64_t)sizeof(float), sizeof(double));
  if (__builtin_mul_overflow(p.images, p.tokens, &size) ||
      __builtin_mul_overflow(size, widest, &size)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: images %lld x tokens %lld x width %lld overflows",
                function, (long long)p.images, (long long)p.tokens, (long long)d);
  }
  if (request.by_evidence()) {
    if (p.evidence_rows < 0 || __builtin_mul_overflow(p.evidence_rows, K * (int64_t)sizeof(double), &size)) {
      return fail(NAS_INVALID_ARGUMENT,
                  "%s: params.evidence_rows is %lld, must be at least 0 and evidence_rows * K in range",
                  function, (long long)p.evidence_rows);
    }
  }
  return NAS_OK;
}

nas_status check_arrays(const char *function, const SwapRequest &request) {
  const nas_swap_input &in = request.in;
  const nas_swap_output &out = request.out;
  if (request.by_relevance()) {
    NAS_TRY(check_pointer(function, "text", in.text, alignof(float)));
    NAS_TRY(check_pointer(function, "image", in.image, alignof(float)));
  }
  if (request.by_evidence()) {
    if (request.params.evidence_rows > 0) {
      NAS_TRY(check_pointer(function, "evidence", in.evidence, alignof(double)));
    }
    NAS_TRY(check_pointer(function, "evidence_of", in.evidence_of, alignof(int32_t)));
  }
  NAS_TRY(check_pointer(function, "tokens", in.tokens, alignof(float)));
  NAS_TRY(check_pointer(function, "codes", in.codes, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "neighbour_lists", in.neighbour_lists, alignof(int32_t)));
  if (request.by_draws()) {
    NAS_TRY(check_pointer(function, "sample_ids", in.sample_ids, alignof(int64_t)));
  }
  NAS_TRY(check_pointer(function, "positions", out.positions, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "substitutes", out.substitutes, alignof(int32_t)));
  NAS_TRY(check_pointer(function, "swapped", out.swapped, alignof(float)));
  if (out.scores != nullptr) NAS_TRY(check_pointer(function, "scores", out.scores, alignof(double)));
  if (request.params.donors != 0 && out.swapped == in.tokens) {
    return fail(NAS_INVALID_ARGUMENT,
                "%s: swapped equals tokens, but donors are read from tokens while it is written",
                function);
  }
  return NAS_OK;
}

/* The lowest image whose similarities or evidence are not finite, with what they are of; -1 without one. */
int64_t first_non_finite(const SwapRequest &request, const Tier &tier, const char **what) {
  const int64_t B = request.params.images, N = request.params.tokens, K = request.codebook->K;
  const nas_swap_input &in = request.in;
  const bool similarities =
      request.by_relevance() && !(tier.all_finite(in.text, B * N) && tier.all_finite(in.image, B * N));
  if (!similarities && !request.by_evidence()) return -1;
  const double *known = nullptr; /* images one after the other may share a row */
  for (int64_t b = 0; b < B; ++b) {
    if (similarities) {
      *what = "text similarities";
      if (!tier.all_finite(in.text + b * N, N)) return b;
      *what = "image similarities";
      if (!tier.all_finite(in.image + b * N, N)) return b;
    }
    const double *evidence = request.by_evidence() ? request.evidence(b) : nullptr;
    if (evidence != nullptr && evidence != known) {
      *what = "evidence";
      if (!all_finite(evidence, K)) return b;
      known = evidence;
    }
  }
  return -1;
}

/* What is wrong with the values, if anything, as a verdict. */
nas_status check_values(const char *function, const SwapRequest &request, nas_verdict *verdict) {
  const nas_swap_params &p = request.params;
  const nas_swap_input &in = request.in;
  const int64_t K = request.codebook->K, N = p.tokens, R = p.neighbours;
  int64_t bad = first_outside(in.neighbour_lists, K * R, -1, (int32_t)K - 1);
  if (bad >= 0) {
    return judge(verdict,
                 fail(NAS_INVALID_ARGUMENT, "%s: neighbour_lists[%lld][%lld] is %d, must be -1 to %lld",
                      function, (long long)(bad / R), (long long)(bad % R),
                      (int)in.neighbour_lists[bad], (long long)K - 1),
                 -1);
  }
  bad = first_outside(in.codes, p.images * N, 0, (int32_t)K - 1);
  if (bad >= 0) {
    return judge(verdict,
                 fail(NAS_INVALID_ARGUMENT, "%s: code of image %lld, token %lld is %d, must be 0 to %lld",
                      function, (long long)(bad / N), (long long)(bad % N), (int)in.codes[bad],
                      (long long)K - 1),
                 -1);
  }
  if (request.by_evidence()) {
    const int64_t rows = std::min<int64_t>(p.evidence_rows, INT32_MAX);
    bad = first_outside(in.evidence_of, p.images, -1, (int32_t)(rows - 1));
    if (bad >= 0) {
      return judge(verdict,
                   fail(NAS_INVALID_ARGUMENT, "%s: evidence_of[%lld] is %d, must be -1 to %lld", function,
                        (long long)bad, (int)in.evidence_of[bad], (long long)rows - 1),
                   -1);
    }
  }
  const char *what = nullptr;
  bad = first_non_finite(request, current_tier(), &what);
  if (bad >= 0) {
    return judge(verdict,
                 fail(NAS_NON_FINITE, "%s: the %s of image %lld %s a NaN or an infinity", function, what,
                      (long long)bad, what[0] == 'e' ? "has" : "have"),
                 bad);
  }
  return NAS_OK;
}

}  // namespace
}  // namespace nas

using namespace nas;

nas_status nas::swap_all(const char *function, const nas_codebook *codebook,
                         const nas_swap_params *params, const nas_swap_input *input,
                         const nas_swap_output *output, nas_verdict *verdict, void *stream) {
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "params", params, alignof(nas_swap_params)));
  NAS_TRY(check_pointer(function, "input", input, alignof(nas_swap_input)));
  NAS_TRY(check_pointer(function, "output", output, alignof(nas_swap_output)));
  NAS_TRY(check_stream(function, stream));
  SwapRequest request{codebook, *params, *input, *output, nullptr, nullptr};
  NAS_TRY(check_params(function, request));
  if (params->images == 0) return NAS_OK;
  NAS_TRY(check_arrays(function, request));
  FloatEnvironment environment;
  NAS_TRY(check_values(function, request, verdict));
  if (verdict->status != NAS_OK) return NAS_OK;

  const int64_t B = params->images, N = params->tokens, K = codebook->K;
  const int threads = B * N * codebook->d < 1 << 14 ? 1 : thread_limit();
  const int choosers = (int)std::min<int64_t>(threads, B);
  Buffer<int32_t> replacements;
  PerWorker<SwapWorker> workers;
  Holders holders;
  bool allocated = replacements.allocate(B * N) && workers.allocate(choosers);
  for (int i = 0; i < choosers && allocated; ++i) {
    allocated = workers[i].allocate(N, K, params->choose == NAS_CHOOSE_GAIN);
  }
  if (allocated && params->donors != 0) {
    allocated = holders.build(request.in.codes, B * N, K);
    request.holders = &holders;
  }
  if (!allocated) {
    return out_of_memory(function, 12 * B * N + 8 * K + choosers * SwapWorker::bytes(N, K));
  }
  request.replacements = replacements.get();
  if (B >= 4 * threads) {
    /* A thread that chooses leaves the memory to one that copies. */
    auto swap_image = [&](int64_t b, int worker) {
      choose_tokens(request, workers[worker], b);
      write_tokens(request, b * N, (b + 1) * N);
    };
    parallel(B, choosers, swap_image);
    return NAS_OK;
  }
  auto choose_image = [&](int64_t b, int worker) { choose_tokens(request, workers[worker], b); };
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

nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params,
                    const nas_swap_input *input, const nas_swap_output *output, int64_t *bad_row,
                    void *stream) {
  if (bad_row != nullptr) *bad_row = -1;
  nas_verdict verdict{NAS_OK, -1};
  NAS_TRY(swap_all("nas_swap", codebook, params, input, output, &verdict, stream));
  if (bad_row != nullptr) *bad_row = verdict.bad_row;
  return (nas_status)verdict.status;
}
