/* The token swap: which tokens of an image are replaced, and by what. */
#include "swap.h"

namespace nas {
namespace {

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

/* Puts the first M of `kept` scores, or all, in front and in order; returns how many that are. */
int64_t sort_first(Scored *scores, int64_t kept, int64_t M) {
  auto before = [](const Scored &a, const Scored &b) {
    return chosen_before(a.score, a.position, b.score, b.position);
  };
  if (M < kept) std::nth_element(scores, scores + M - 1, scores + kept, before);
  const int64_t count = std::min(M, kept);
  std::sort(scores, scores + count, before);
  return count;
}

/* Leaves M tokens in front of worker.scores. Scores, which are 0 to 1, fall into buckets in their own
 * order; the chosen ones lie in the highest buckets that hold M together. This leaves few to be compared,
 * which no branch predictor likes. */
int64_t choose_by_relevance(const SwapRequest &request, SwapWorker &worker, int64_t b, double *told) {
  const int64_t N = request.params.tokens, M = request.params.chosen;
  const float *text = request.in.text + b * N, *image = request.in.image + b * N;
  float text_low, text_high, image_low, image_high;
  range(text, N, &text_low, &text_high);
  range(image, N, &image_low, &image_high);
  Scored *scores = worker.scores.get();
  const int64_t buckets = 128;
  int32_t held[buckets] = {};
  auto bucket_of = [](double score) {
    return std::min<int64_t>((int64_t)(score * (double)buckets), buckets - 1);
  };
  for (int64_t i = 0; i < N; ++i) {
    const double score = swap_score(request.params.text_weight, text[i], text_low, text_high, image[i],
                                    image_low, image_high);
    scores[i] = {score, (int32_t)i};
    ++held[bucket_of(score)];
    if (told != nullptr) told[i] = score;
  }
  int64_t lowest = buckets, highest = 0;
  while (highest < M) highest += held[--lowest];
  int64_t kept = 0;
  for (int64_t i = 0; i < N; ++i) {
    const Scored scored = scores[i];
    scores[kept] = scored;
    kept += bucket_of(scored.score) >= lowest;
  }
  return sort_first(scores, kept, M);
}

/* The entry of a list of R codes that has most of sign * v, if more than `floor`, the first of equals; -1
 * without one. Four chains of comparisons, without branches that nothing could predict. */
int32_t most_evidence(const int32_t *list, int64_t R, const double *v, double sign, double floor) {
  const int64_t lanes = 4;
  double most[lanes] = {floor, floor, floor, floor};
  int64_t at[lanes] = {R, R, R, R};
  for (int64_t r = 0; r < R; r += lanes) {
    for (int64_t l = 0; l < lanes; ++l) {
      const int64_t place = r + l < R ? r + l : R - 1; /* again: not more than itself */
      const int32_t z = list[place];
      const double known = sign * v[z < 0 ? 0 : z], evidence = z < 0 ? floor : known;
      const bool more = evidence > most[l];
      most[l] = more ? evidence : most[l];
      at[l] = more ? place : at[l];
    }
  }
  double best = floor;
  int64_t place = R;
  for (int64_t l = 0; l < lanes; ++l) {
    if (most[l] > best || (most[l] == best && at[l] < place)) {
      best = most[l];
      place = at[l];
    }
  }
  return place == R ? -1 : list[place];
}

/* Leaves the chosen tokens in front of worker.scores; returns how many. *speaks: whether the image's codes
 * would speak for the word put in, once these were replaced by what gains most. A code's gain is found
 * once. */
int64_t choose_by_gain(const SwapRequest &request, SwapWorker &worker, int64_t b, const double *v,
                       double *told, bool *speaks) {
  const int64_t N = request.params.tokens, M = request.params.chosen, R = request.params.neighbours;
  const int32_t *codes = request.in.codes + b * N;
  Scored *scores = worker.scores.get();
  int64_t kept = 0;
  double sum = 0.0;
  for (int64_t i = 0; i < N; ++i) {
    const int32_t z = codes[i];
    if (!is_present(worker.weighed.get(), z)) {
      worker.weighed[z >> 5] |= 1u << (z & 31);
      const int32_t best = most_evidence(request.in.neighbour_lists + z * R, R, v, 1.0, v[z]);
      worker.best[z] = best;
      worker.gain[z] = best < 0 ? 0.0 : v[best] - v[z];
    }
    sum += v[z];
    scores[kept] = {worker.gain[z], (int32_t)i};
    kept += worker.best[z] >= 0;
    if (told != nullptr) told[i] = worker.gain[z];
  }
  const int64_t count = sort_first(scores, kept, M);
  for (int64_t c = 0; c < count; ++c) sum += scores[c].score;
  *speaks = !(sum <= 0.0);
  return count;
}

/* The substitute: candidate number floor(draw*n / 2^64) of the n entries of `list` (R codes) that are
 * candidates; -1 if n = 0. In one pass without branches, which nothing could predict. */
int32_t draw_substitute(const int32_t *list, int64_t R, const uint32_t *present, uint64_t draw) {
  int32_t candidates[NAS_MAX_NEIGHBOURS];
  uint32_t n = 0;
  for (int64_t r = 0; r < R; ++r) {
    const int32_t z = list[r], none = z >> 31; /* all ones for -1 */
    candidates[n] = z;
    n += (uint32_t)(!is_present(present, z & ~none)) & (uint32_t)(none + 1);
  }
  return n == 0 ? -1 : candidates[uniform_choice(draw, n)];
}

/* Replacements at the chosen positions, of which there are `count`. A code's substitute is found once, at
 * its lowest chosen position. */
void substitute(const SwapRequest &request, SwapWorker &worker, int64_t b, const double *v,
                int64_t count) {
  const nas_swap_params &p = request.params;
  const int64_t N = p.tokens, R = p.neighbours;
  const int32_t *codes = request.in.codes + b * N;
  int32_t *replacements = request.replacements + b * N;
  const bool draws = p.substitute == NAS_SUBSTITUTE_DRAW;
  const bool known = p.choose == NAS_CHOOSE_GAIN && !draws && p.sign == 1;
  if (known) {
    for (int64_t c = 0; c < count; ++c) {
      const int32_t position = worker.scores[c].position;
      replacements[position] = worker.best[codes[position]];
    }
    return;
  }
  if (draws) {
    for (int64_t i = 0; i < N; ++i) worker.present[codes[i] >> 5] |= 1u << (codes[i] & 31);
  }
  for (int64_t c = 0; c < count; ++c) {
    const int32_t position = worker.scores[c].position;
    worker.chosen[position >> 5] |= 1u << (position & 31);
  }
  for (int64_t w = 0; w < SwapWorker::words(N); ++w) {
    for (uint32_t bits = worker.chosen[w]; bits != 0; bits &= bits - 1) {
      const int64_t position = w * 32 + __builtin_ctz(bits);
      const int32_t z = codes[position];
      if (!is_present(worker.drawn.get(), z)) {
        worker.drawn[z >> 5] |= 1u << (z & 31);
        const int32_t *list = request.in.neighbour_lists + z * R;
        worker.substitute[z] =
            draws ? draw_substitute(list, R, worker.present.get(),
                                    draw64(p.seed, request.in.sample_ids[b], (uint32_t)position, p.step))
                  : most_evidence(list, R, v, p.sign, -__builtin_inf());
      }
      replacements[position] = worker.substitute[z];
    }
    worker.chosen[w] = 0;
  }
}

}  // namespace

void choose_tokens(const SwapRequest &request, SwapWorker &worker, int64_t b) {
  const nas_swap_params &p = request.params;
  const int64_t N = p.tokens, M = p.chosen;
  int32_t *positions = request.out.positions + b * M, *substitutes = request.out.substitutes + b * M;
  int32_t *replacements = request.replacements + b * N;
  double *told = request.out.scores == nullptr ? nullptr : request.out.scores + b * N;
  uint8_t *mask = request.out.mask == nullptr ? nullptr : request.out.mask + b * N;
  const double *v = request.by_evidence() ? request.evidence(b) : nullptr;

  std::fill_n(replacements, N, -1);
  int64_t count = 0;
  if (request.by_evidence() && v == nullptr) {
    if (told != nullptr) std::fill_n(told, N, 0.0);
  } else {
    bool speaks = true;
    count = request.by_relevance() ? choose_by_relevance(request, worker, b, told)
                                   : choose_by_gain(request, worker, b, v, told, &speaks);
    if (speaks) substitute(request, worker, b, v, count);
    const int32_t *codes = request.in.codes + b * N;
    for (int64_t i = 0; i < N; ++i) {
      worker.present[codes[i] >> 5] = 0;
      worker.drawn[codes[i] >> 5] = 0;
    }
    if (!request.by_relevance()) {
      for (int64_t i = 0; i < N; ++i) worker.weighed[codes[i] >> 5] = 0;
    }
  }
  for (int64_t c = 0; c < count; ++c) {
    positions[c] = worker.scores[c].position;
    substitutes[c] = replacements[positions[c]];
  }
  std::fill_n(positions + count, M - count, -1);
  std::fill_n(substitutes + count, M - count, -1);
  if (mask != nullptr) {
    for (int64_t i = 0; i < N; ++i) mask[i] = replacements[i] >= 0;
  }
}

}  // namespace nas
