/* The token swap: writing the tokens. */
#include <string.h>

#include "swap.h"

namespace nas {

bool Holders::build(const int32_t *codes, int64_t count, int64_t K) {
  if (!start.allocate(K + 1) || !tokens.allocate(count)) return false;
  std::fill_n(start.get(), K + 1, 0);
  for (int64_t i = 0; i < count; ++i) ++start[codes[i] + 1];
  for (int64_t z = 0; z < K; ++z) start[z + 1] += start[z];
  /* start[z] runs to where code z ends, which is where the next one began. */
  for (int64_t i = 0; i < count; ++i) tokens[start[codes[i]]++] = i;
  for (int64_t z = K; z > 0; --z) start[z] = start[z - 1];
  start[0] = 0;
  return true;
}

namespace {

/* The token of another image that comes in the place of token i, or -1. */
int64_t donor_of(const SwapRequest &request, int64_t i, int32_t code) {
  const nas_swap_params &p = request.params;
  const int64_t b = i / p.tokens;
  const int64_t *tokens = request.holders->tokens.get();
  const int64_t *begin = tokens + request.holders->start[code];
  const int64_t *end = tokens + request.holders->start[code + 1];
  const int64_t *own = std::lower_bound(begin, end, b * p.tokens);
  const int64_t *after_own = std::lower_bound(own, end, (b + 1) * p.tokens);
  const int64_t donors = (own - begin) + (end - after_own);
  if (donors == 0) return -1;
  const uint64_t draw = draw64(p.seed, request.in.sample_ids[b],
                               donor_coordinate((int32_t)(i - b * p.tokens)), p.step);
  const int64_t index = (int64_t)uniform_choice(draw, (uint64_t)donors);
  return index < own - begin ? begin[index] : after_own[index - (own - begin)];
}

}  // namespace

/* Runs of unchanged tokens by one copy each. */
void write_tokens(const SwapRequest &request, int64_t first, int64_t last) {
  const int64_t d = request.codebook->d;
  const size_t bytes = (size_t)d * sizeof(float);
  const float *e = request.codebook->e.get(), *tokens = request.in.tokens;
  float *swapped = request.out.swapped;
  const bool in_place = swapped == tokens;
  const bool codeword_alone = request.params.write == NAS_WRITE_CODEWORD;
  for (int64_t i = first; i < last;) {
    const int32_t code = request.replacements[i];
    if (code < 0) {
      const int64_t begin = i;
      while (i < last && request.replacements[i] < 0) ++i;
      if (!in_place) memcpy(swapped + begin * d, tokens + begin * d, (size_t)(i - begin) * bytes);
      continue;
    }
    const int64_t donor = request.holders == nullptr ? -1 : donor_of(request, i, code);
    const float *substitute = e + code * d;
    float *out = swapped + i * d;
    if (donor >= 0) {
      memcpy(out, tokens + donor * d, bytes);
    } else if (codeword_alone) {
      memcpy(out, substitute, bytes);
    } else {
      const float *v = tokens + i * d, *codeword = e + request.in.codes[i] * d;
      for (int64_t t = 0; t < d; ++t) out[t] = residual_swap(v[t], codeword[t], substitute[t]);
    }
    ++i;
  }
}

}  // namespace nas
