/* Neighbour lists. */
#include "selfcheck.h"

namespace selfcheck {

namespace {

/* `live` empty: all. */
void check_neighbours_case(const Side &reference, const Side &subject, const std::string &what,
                           const std::vector<float> &codewords, int64_t K, int64_t d, int64_t R,
                           const std::vector<uint8_t> &live) {
  both("neighbours", what, reference, subject, [&](const Side &side) {
    Codebook codebook(side, codewords, K, d);
    Array<uint8_t> live_in(side, live);
    Array<int32_t> out(side, std::vector<int32_t>((size_t)(K * R), -9));
    Outcome outcome;
    finish(side,
           side.api->neighbours(codebook.get(), R, live.empty() ? nullptr : live_in.data(),
                                out.data(), side.stream),
           &outcome);
    if (side.device) must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting");
    outcome.add("lists", out.values());
    return outcome;
  });
}

/* Each code is live by `share` of 4 chances. */
std::vector<uint8_t> some_live(Random &random, int64_t K, int64_t share) {
  std::vector<uint8_t> live((size_t)K);
  for (uint8_t &value : live) {
    value = (uint8_t)(random.below(4) < share ? 1 + random.below(255) : 0);
  }
  return live;
}

/*
 * Codes 0..2 and their opposites, so that the centre is 0, on which two levels of int8 have errors of more
 * than 92 % of what a term of their bound allows: of what the two levels lose of codes 1 and 2 (term 0), of
 * what they lose of code 0 (term 1), or of the product of the second levels, which is left out (term 2). In
 * most elements what is lost is the same, and so is the other vector. Of code 0's list the opposite of code
 * 2 is the first, and code 1 the second by a hair, but it appears farther than code 2 by all of two bounds.
 */
std::vector<float> neighbours_at_bound(int64_t d, int term) {
  const float largest = 127.0f * 16.0f; /* sets a scale of 16 */
  const float lost = 0x1.fcp-2f / 16.0f;
  const float low = 127.0f / 16.0f;
  const int64_t tuned = d - 2; /* from here on two elements for the lengths */
  std::vector<float> e((size_t)(6 * d), 0.0f);
  float *const rows[3] = {&e[0], &e[(size_t)d], &e[(size_t)(2 * d)]};
  for (int i = 0; i < 3; ++i) {
    const bool coarse = term == 2 || (i == 0) == (term == 1);
    rows[i][i == 0 ? 0 : 1] = coarse ? largest : 127.0f;
    for (int64_t t = 2; t < tuned; ++t) {
      rows[i][t] = (term == 2 ? low : coarse ? lost : 127.0f) * (i == 2 ? -1.0f : 1.0f);
    }
  }
  auto distance = [&](int i) {
    double sum = 0.0;
    for (int64_t t = 0; t < d; ++t) {
      const double difference = (double)rows[0][t] - (double)rows[i][t];
      sum += difference * difference;
    }
    return sum;
  };
  for (int64_t t = tuned; t < d; ++t) { /* multiples of 1/16, which int8 holds exactly; never quite enough */
    const double missing = std::sqrt(distance(2) - distance(1));
    rows[1][t] = (float)((std::ceil(16.0 * missing) - 1.0) / 16.0);
  }
  for (size_t i = 0; i < (size_t)(3 * d); ++i) e[(size_t)(3 * d) + i] = -e[i];
  return e;
}

/*
 * The CUDA library lists the codes that its screening leaves for a row, 352 of them before it must cut the
 * list, and looks at 512 codes at a time; beyond R = 128 it does not screen.
 */
void check_screened_neighbours(const Side &reference, const Side &subject, Random &random) {
  const struct {
    Kind kind;
    int64_t K, d, R, share;
  } cases[] = {
      {Kind::kNormal, 530, 5, 128, 4},    {Kind::kNormal, 401, 129, 8, 4},
      {Kind::kNormal, 145, 2, 129, 4},    {Kind::kNormal, 100, 65, 128, 4},
      {Kind::kNormal, 560, 64, 32, 2},    {Kind::kNormal, 400, 4, 7, 1},
      {Kind::kNormal, 70, 9, 3, 0},       {Kind::kNormal, 1030, 5, 20, 4},
      {Kind::kGrid, 420, 40, 100, 4},     {Kind::kGrid, 460, 2, 20, 3},
      {Kind::kDuplicates, 390, 6, 40, 4}, {Kind::kClustered, 400, 70, 20, 4},
      {Kind::kOffset, 400, 33, 32, 4},    {Kind::kOutlier, 300, 7, 16, 4},
      {Kind::kOutlier, 358, 7, 16, 4},    {Kind::kBits, 200, 3, 32, 4},
      {Kind::kDenormal, 200, 12, 32, 4},  {Kind::kTiny, 354, 12, 4, 4},
  };
  for (const auto &of : cases) {
    check_neighbours_case(
        reference, subject,
        text("screened, K %lld, d %lld, R %lld, %s, live %lld/4", (long long)of.K, (long long)of.d,
             (long long)of.R, name_of(of.kind), (long long)of.share),
        vectors(random, of.kind, of.K, of.d), of.K, of.d, of.R,
        of.share == 4 ? std::vector<uint8_t>() : some_live(random, of.K, of.share));
  }

  /* Some rows have too many codes at one distance, others not; those codes last, or spread. */
  for (bool spread : {false, true}) {
    const int64_t K = 420;
    const int64_t d = 6;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    for (int64_t j = 0; j < K; ++j) {
      const bool same = spread ? j % 8 < 7 : j >= 52;
      if (same) std::fill_n(&codewords[(size_t)(j * d)], d, 0.75f);
    }
    check_neighbours_case(reference, subject,
                          text("screened, 368 codes the same, %s", spread ? "spread" : "last"),
                          codewords, K, d, 24, {});
  }

  /* Lengths on both sides of 2^60, from where on nothing is screened. */
  {
    const int64_t K = 400;
    const int64_t d = 5;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    for (float &value : codewords) value *= 0x1p58f;
    check_neighbours_case(reference, subject, "screened, lengths about 2^60", codewords, K, d, 16, {});
  }

  for (int64_t d : {200, 520}) {
    for (int term : {0, 1, 2}) {
      check_neighbours_case(reference, subject,
                            text("screened, term %d of the bound attained, d %lld", term, (long long)d),
                            neighbours_at_bound(d, term), 6, d, 2, {});
    }
  }
}

}  // namespace

void check_neighbours(const Side &reference, const Side &subject, Random &random,
                      const Options &options) {
  for (int64_t K : {1, 2, 31, 200, 512, 2048}) {
    for (int64_t d : {1, 3, 8, 63, 192, 257, 768, NAS_MAX_WIDTH}) {
      if (!affordable(options, K, K, 4 * d)) continue;
      for (int64_t R : {(int64_t)1, (int64_t)32, random.below(2) == 0 ? (int64_t)NAS_MAX_NEIGHBOURS : K}) {
        if (R > NAS_MAX_NEIGHBOURS) continue;
        Kind kind = any_kind(random);
        std::vector<float> codewords = vectors(random, kind, K, d);
        std::vector<uint8_t> live = some_live(random, K, random.below(4));
        if (random.below(2) == 0) live.clear();
        check_neighbours_case(reference, subject,
                              text("K %lld, d %lld, R %lld, %s%s", (long long)K, (long long)d,
                                   (long long)R, name_of(kind),
                                   live.empty() ? "" : ", with dead codes"),
                              codewords, K, d, R, live);
      }
    }
  }
  check_screened_neighbours(reference, subject, random);
}

}  // namespace selfcheck
