/* Swaps of tokens, the random words that they draw by, and their arithmetic on a device. */
#include <set>

#include "../../common/swap.h"
#include "test.h"

static void naive_philox(const uint32_t key_in[2], const uint32_t counter[4], uint32_t out[4]) {
  uint32_t key[2] = {key_in[0], key_in[1]};
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    const uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ key[0], (uint32_t)p1,
                              (uint32_t)(p0 >> 32) ^ c[3] ^ key[1], (uint32_t)p0};
    memcpy(c, next, sizeof c);
  }
  memcpy(out, c, sizeof c);
}

struct Swap {
  nas_swap_params params;
  std::vector<float> text, image, tokens;
  std::vector<double> evidence;
  std::vector<int32_t> evidence_of, codes, lists;
  std::vector<int64_t> ids;
};

struct Swapped {
  std::vector<int32_t> positions, substitutes;
  std::vector<float> tokens;
  std::vector<double> scores;
  std::vector<uint8_t> mask;
};

/* Of what the tests have met at least some. */
struct Met {
  int64_t substituted = 0, kept = 0, left = 0, without_evidence = 0, few = 0, donors = 0, no_donor = 0;
};

static int64_t naive_choice(const nas_swap_params &p, int64_t sample_id, uint32_t position, size_t n) {
  const uint64_t id = (uint64_t)sample_id;
  const uint32_t key[2] = {(uint32_t)p.seed, (uint32_t)(p.seed >> 32)};
  const uint32_t counter[4] = {(uint32_t)id, (uint32_t)(id >> 32), position, p.step};
  uint32_t words[4];
  naive_philox(key, counter, words);
  const uint64_t draw = words[0] | (uint64_t)words[1] << 32;
  return (int64_t)((unsigned __int128)draw * n >> 64);
}

/* The entry of a code's list that has most of sign * evidence, if more than `floor`; or -1. */
static int32_t naive_most(const Swap &s, const double *evidence, int32_t z, int sign, double floor) {
  int32_t best = -1;
  for (int64_t r = 0; r < s.params.neighbours; ++r) {
    const int32_t l = s.lists[(size_t)(z * s.params.neighbours + r)];
    if (l < 0 || !(sign * evidence[l] > (best < 0 ? floor : sign * evidence[best]))) continue;
    best = l;
  }
  return best;
}

/* The definition in nas_kernels.h, image by image. */
static Swapped naive_swap(const Swap &s, const std::vector<float> &e, int64_t K, int64_t d, Met &met) {
  const nas_swap_params &p = s.params;
  const int64_t N = p.tokens, M = p.chosen;
  const bool relevance = p.choose == NAS_CHOOSE_RELEVANCE, draws = p.substitute == NAS_SUBSTITUTE_DRAW;
  Swapped out;
  out.tokens = s.tokens;
  out.mask.assign((size_t)(p.images * N), 0);
  for (int64_t b = 0; b < p.images; ++b) {
    const int32_t *codes = &s.codes[(size_t)(b * N)];
    const double *v = nullptr;
    bool nothing = false;
    if (!relevance || !draws) {
      const int32_t row = s.evidence_of[(size_t)b];
      nothing = row < 0;
      v = nothing ? nullptr : s.evidence.data() + row * K;
    }
    /* Which. */
    std::vector<std::pair<double, int32_t>> order;
    double after = 0;
    for (int64_t i = 0; i < N; ++i) {
      double score = 0;
      bool eligible = !nothing;
      if (nothing) {
      } else if (relevance) {
        auto minmax = [&](const std::vector<float> &all) {
          auto begin = all.begin() + b * N, end = begin + N;
          const double low = *std::min_element(begin, end), high = *std::max_element(begin, end);
          return begin[i] == low ? 0.0 : ((double)begin[i] - low) / (high - low);
        };
        const double from_text = p.text_weight * minmax(s.text);
        score = from_text + (1 - p.text_weight) * minmax(s.image);
      } else {
        const int32_t best = naive_most(s, v, codes[i], 1, v[codes[i]]);
        after += v[codes[i]];
        eligible = best >= 0;
        score = eligible ? v[best] - v[codes[i]] : 0;
      }
      out.scores.push_back(score);
      if (eligible) order.emplace_back(-score, (int32_t)i);
    }
    std::sort(order.begin(), order.end());
    if ((int64_t)order.size() > M) order.resize((size_t)M);
    if (!relevance) {
      for (const auto &one : order) after -= one.first;
    }
    const bool leave = !relevance && !nothing && after <= 0;
    met.left += leave;
    met.without_evidence += nothing;
    met.few += (int64_t)order.size() < M;
    /* What in their place. */
    const std::set<int32_t> present(codes, codes + N);
    for (int64_t c = 0; c < M; ++c) {
      if (c >= (int64_t)order.size()) {
        out.positions.push_back(-1);
        out.substitutes.push_back(-1);
        continue;
      }
      const int32_t position = order[(size_t)c].second, z = codes[position];
      int32_t substitute = -1;
      if (leave) {
      } else if (draws) {
        int32_t first = position;
        for (const auto &one : order) {
          if (codes[one.second] == z) first = std::min(first, one.second);
        }
        std::vector<int32_t> candidates;
        for (int64_t r = 0; r < p.neighbours; ++r) {
          const int32_t l = s.lists[(size_t)(z * p.neighbours + r)];
          if (l != -1 && present.count(l) == 0) candidates.push_back(l);
        }
        if (!candidates.empty()) {
          const int64_t at = naive_choice(p, s.ids[(size_t)b], (uint32_t)first, candidates.size());
          substitute = candidates[(size_t)at];
        }
      } else {
        substitute = naive_most(s, v, z, p.sign, -INFINITY);
      }
      out.positions.push_back(position);
      out.substitutes.push_back(substitute);
      (substitute < 0 ? met.kept : met.substituted) += 1;
      if (substitute < 0) continue;
      /* How it is written. */
      out.mask[(size_t)(b * N + position)] = 1;
      std::vector<int64_t> donors;
      for (int64_t i = 0; p.donors != 0 && i < p.images * N; ++i) {
        if (i / N != b && s.codes[(size_t)i] == substitute) donors.push_back(i);
      }
      int64_t donor = -1;
      if (!donors.empty()) {
        const int64_t at =
            naive_choice(p, s.ids[(size_t)b], (uint32_t)position + (1u << 24), donors.size());
        donor = donors[(size_t)at];
      }
      if (p.donors != 0) (donor < 0 ? met.no_donor : met.donors) += 1;
      for (int64_t t = 0; t < d; ++t) {
        float &token = out.tokens[(size_t)((b * N + position) * d + t)];
        const float to = e[(size_t)(substitute * d + t)];
        const float difference = token - e[(size_t)(z * d + t)];
        token = donor >= 0                        ? s.tokens[(size_t)(donor * d + t)]
                : p.write == NAS_WRITE_CODEWORD ? to
                                                  : difference + to;
      }
    }
  }
  return out;
}

static float zero_or_one() {
  const float values[] = {0.0f, -0.0f, 1.0f};
  return values[pick(0, 19) == 0 ? 2 : pick(0, 1)];
}

static Swap random_swap(int repeat, int64_t K, int64_t d, int64_t B, int64_t N, int64_t M, int64_t R) {
  Swap s;
  nas_swap_params &p = s.params;
  p = {};
  p.images = B;
  p.tokens = N;
  p.chosen = M;
  p.neighbours = R;
  p.evidence_rows = pick(0, B);
  p.text_weight = repeat % 5 == 0 ? 0.0 : repeat % 5 == 1 ? 1.0 : 0.37;
  p.seed = random_source();
  p.step = (uint32_t)random_source();
  p.choose = (int32_t)pick(0, 1);
  p.substitute = (int32_t)pick(0, 1);
  p.sign = pick(0, 1) == 0 ? 1 : -1;
  p.write = repeat % 2;
  p.donors = pick(0, 2) == 0;
  for (int64_t i = 0; i < B * N; ++i) {
    /* Few distinct similarities, so that there are ties; sometimes all equal, or mostly zeros of both signs. */
    const bool zeros = repeat % 7 == 3;
    s.text.push_back(zeros ? zero_or_one() : repeat % 3 == 0 ? (float)pick(0, 2) * 0.25f : gaussian());
    s.image.push_back(zeros ? zero_or_one() : repeat % 4 == 0 ? 0.5f : gaussian());
    s.codes.push_back((int32_t)pick(0, repeat % 6 == 0 ? std::min<int64_t>(K - 1, 3) : K - 1));
    for (int64_t t = 0; t < d; ++t) s.tokens.push_back(pick(0, 50) == 0 ? NAN : gaussian());
  }
  /* Evidence with ties, of one sign, or so large that its sums overflow. */
  const double offset = repeat % 3 == 0 ? -2.0 : 0.0, scale = repeat % 16 == 0 ? 2e307 : 1.0;
  for (int64_t i = 0; i < p.evidence_rows * K; ++i) {
    s.evidence.push_back(repeat % 2 ? (double)pick(-2, 2) * 0.5 + offset : scale * (gaussian() + offset));
  }
  for (int64_t b = 0; b < B; ++b) s.evidence_of.push_back((int32_t)pick(-1, p.evidence_rows - 1));
  for (int64_t i = 0; i < K * R; ++i) s.lists.push_back((int32_t)pick(-1, K - 1));
  for (int64_t b = 0; b < B; ++b) s.ids.push_back((int64_t)random_source());
  return s;
}

static void test_swap() {
  Met met;
  for (int repeat = 0; repeat < 400; ++repeat) {
    /* Every tenth has few images that are large enough to be shared out among threads. */
    const bool large = repeat % 10 == 9;
    const int64_t K = pick(1, 80), d = large ? pick(70, 130) : pick(1, 40);
    const int64_t N = large ? pick(240, 300) : pick(1, 60), M = pick(1, N);
    const int64_t B = large ? pick(1, 3) : pick(1, 9), R = pick(1, 12);
    std::vector<float> e, unused;
    make_data(kGaussian, K, d, 1, e, unused);
    const Swap s = random_swap(repeat, K, d, B, N, M, R);
    const Swapped expected = naive_swap(s, e, K, d, met);
    const bool relevance = s.params.choose == NAS_CHOOSE_RELEVANCE;
    const bool evident = !relevance || s.params.substitute == NAS_SUBSTITUTE_EVIDENCE;
    const bool drawn = s.params.substitute == NAS_SUBSTITUTE_DRAW || s.params.donors != 0;
    /* NaN tokens have to stay NaN with residuals, with whatever payload. */
    auto comparable = [](std::vector<float> values) {
      for (float &value : values) value = value != value ? NAN : value;
      return values;
    };
    Codebook codebook(e, K, d);
    Guarded<float> text_in(s.text), image_in(s.image), tokens_in(s.tokens);
    Guarded<double> evidence_in(s.evidence);
    Guarded<int32_t> of_in(s.evidence_of), codes_in(s.codes), lists_in(s.lists);
    Guarded<int64_t> ids_in(s.ids);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      nas_set_threads(large ? 3 : 1 + repeat % 3);
      context = text("swap %d: K %d d %d N %d M %d B %d R %d tier %d rules %d %d %d %d %d", repeat, (int)K,
                     (int)d, (int)N, (int)M, (int)B, (int)R, tier, s.params.choose, s.params.substitute,
                     s.params.sign, s.params.write, s.params.donors);
      Guarded<int32_t> positions_out((size_t)(B * M)), substitutes_out((size_t)(B * M));
      Guarded<float> swapped_out((size_t)(B * N * d));
      Guarded<double> scores_out((size_t)(B * N));
      Guarded<uint8_t> mask_out((size_t)(B * N));
      int64_t bad = 8;
      /* What the rules do not read is not there. */
      const nas_swap_input in = {relevance ? text_in.get() : nullptr,
                                 relevance ? image_in.get() : nullptr,
                                 evident && s.params.evidence_rows > 0 ? evidence_in.get() : nullptr,
                                 evident ? of_in.get() : nullptr,
                                 tokens_in.get(),
                                 codes_in.get(),
                                 lists_in.get(),
                                 drawn ? ids_in.get() : nullptr};
      const nas_swap_output out = {positions_out.get(), substitutes_out.get(), swapped_out.get(),
                                   scores_out.get(), mask_out.get()};
      CHECK(nas_swap(codebook.handle, &s.params, &in, &out, &bad, nullptr) == NAS_OK);
      CHECK(bad == -1);
      CHECK(same_bits(positions_out.copy(), expected.positions));
      CHECK(same_bits(substitutes_out.copy(), expected.substitutes));
      CHECK(same_bits(comparable(swapped_out.copy()), comparable(expected.tokens)));
      CHECK(same_bits(scores_out.copy(), expected.scores));
      CHECK(same_bits(mask_out.copy(), expected.mask));
      CHECK(same_bits(tokens_in.copy(), s.tokens));

      /* In place, and without what may be left out. */
      Guarded<float> in_place(s.tokens);
      nas_swap_input from = in;
      from.tokens = in_place.get();
      nas_swap_output to = out;
      to.swapped = in_place.get();
      to.scores = nullptr;
      to.mask = nullptr;
      const nas_status status = nas_swap(codebook.handle, &s.params, &from, &to, &bad, nullptr);
      CHECK(status == (s.params.donors != 0 ? NAS_INVALID_ARGUMENT : NAS_OK));
      CHECK(same_bits(comparable(in_place.copy()),
                      comparable(s.params.donors != 0 ? s.tokens : expected.tokens)));

      /* A failure writes nothing. */
      Guarded<float> untouched(s.tokens);
      if (s.params.donors == 0) from.tokens = untouched.get();
      to = out;
      to.swapped = untouched.get();
      std::fill_n(positions_out.get(), B * M, -9);
      std::fill_n(substitutes_out.get(), B * M, -9);
      std::fill_n(scores_out.get(), B * N, -9.0);
      std::fill_n(mask_out.get(), B * N, 9);
      const std::vector<int32_t> nines((size_t)(B * M), -9);
      auto fails = [&](nas_status with, int64_t row) {
        return nas_swap(codebook.handle, &s.params, &from, &to, &bad, nullptr) == with && bad == row &&
               same_bits(untouched.copy(), s.tokens) && same_bits(positions_out.copy(), nines) &&
               same_bits(substitutes_out.copy(), nines) &&
               same_bits(scores_out.copy(), std::vector<double>((size_t)(B * N), -9.0)) &&
               same_bits(mask_out.copy(), std::vector<uint8_t>((size_t)(B * N), 9));
      };
      const int64_t at = pick(0, B * N - 1), b = at / N;
      if (relevance) {
        float &similarity = tier % 2 ? text_in[(size_t)at] : image_in[(size_t)at];
        const float kept_similarity = similarity;
        similarity = NAN;
        CHECK(fails(NAS_NON_FINITE, b));
        similarity = kept_similarity;
      }
      if (evident) {
        const int32_t row = s.evidence_of[(size_t)b];
        if (row >= 0) {
          double &evidence = evidence_in[(size_t)(row * K + pick(0, K - 1))];
          const double kept_evidence = evidence;
          evidence = tier % 2 ? NAN : -INFINITY;
          int64_t first = 0;
          while (s.evidence_of[(size_t)first] != row) ++first;
          CHECK(fails(NAS_NON_FINITE, first));
          evidence = kept_evidence;
        }
        of_in[(size_t)b] = tier % 2 ? -2 : (int32_t)s.params.evidence_rows;
        CHECK(fails(NAS_INVALID_ARGUMENT, -1));
        of_in[(size_t)b] = row;
      }
      codes_in[(size_t)at] = (int32_t)K;
      CHECK(fails(NAS_INVALID_ARGUMENT, -1));
      codes_in[(size_t)at] = s.codes[(size_t)at];
      const size_t entry = (size_t)pick(0, K * R - 1);
      lists_in[entry] = tier % 2 ? -2 : (int32_t)K;
      CHECK(fails(NAS_INVALID_ARGUMENT, -1));
      lists_in[entry] = s.lists[entry];
      auto refused = [&](auto change) {
        nas_swap_params wrong = s.params;
        change(wrong);
        return nas_swap(codebook.handle, &wrong, &from, &to, nullptr, nullptr) == NAS_INVALID_ARGUMENT &&
               same_bits(untouched.copy(), s.tokens) && same_bits(positions_out.copy(), nines);
      };
      CHECK(refused([](nas_swap_params &p) { p.images = -1; }));
      CHECK(refused([](nas_swap_params &p) { p.images = INT64_MAX / 2; }));
      CHECK(refused([](nas_swap_params &p) { p.chosen = p.tokens + 1; }));
      CHECK(refused([](nas_swap_params &p) { p.chosen = 0; }));
      CHECK(refused([](nas_swap_params &p) { p.neighbours = 0; }));
      CHECK(refused([](nas_swap_params &p) { p.neighbours = NAS_MAX_NEIGHBOURS + 1; }));
      CHECK(refused([](nas_swap_params &p) { p.choose = 2; }));
      CHECK(refused([](nas_swap_params &p) { p.substitute = -1; }));
      CHECK(refused([](nas_swap_params &p) { p.write = 2; }));
      CHECK(refused([](nas_swap_params &p) { p.donors = 2; }));
      if (relevance) {
        CHECK(refused([](nas_swap_params &p) { p.text_weight = NAN; }));
        CHECK(refused([](nas_swap_params &p) { p.text_weight = 1.5; }));
      }
      if (s.params.substitute == NAS_SUBSTITUTE_EVIDENCE) {
        CHECK(refused([](nas_swap_params &p) { p.sign = 0; }));
      }
      if (evident) {
        CHECK(refused([](nas_swap_params &p) { p.evidence_rows = -1; }));
        CHECK(refused([](nas_swap_params &p) { p.evidence_rows = INT64_MAX; }));
      }
      auto without = [&](auto change) {
        nas_swap_input lacking = from;
        change(lacking);
        return nas_swap(codebook.handle, &s.params, &lacking, &to, nullptr, nullptr) ==
               NAS_INVALID_ARGUMENT;
      };
      CHECK(!relevance || without([](nas_swap_input &i) { i.text = nullptr; }));
      CHECK(!evident || without([](nas_swap_input &i) { i.evidence_of = nullptr; }));
      CHECK(!evident || s.params.evidence_rows == 0 ||
            without([](nas_swap_input &i) { i.evidence = nullptr; }));
      CHECK(!drawn || without([](nas_swap_input &i) { i.sample_ids = nullptr; }));
    }
  }
  context = "swap coverage";
  CHECK(met.substituted > 1000 && met.kept > 100 && met.left > 50 && met.without_evidence > 50);
  CHECK(met.few > 50 && met.donors > 100 && met.no_donor > 20);
}

/* Known answers of the Random123 distribution. */
static void test_philox() {
  context = "philox";
  const struct {
    uint32_t counter[4], key[2], words[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto &k : known) {
    uint32_t out[4];
    nas_philox4x32(k.key, k.counter, out);
    CHECK(same_bits(out, k.words, 4));
    naive_philox(k.key, k.counter, out);
    CHECK(same_bits(out, k.words, 4));
  }
}

/* What the CUDA swap alone takes from common/swap.h: divisions by products, and buckets of scores. */
static void test_swap_arithmetic() {
  for (uint32_t value = 1; value <= 4096; ++value) {
    context = text("division by %u", value);
    const nas::Divisor by = nas::divisor(value);
    for (int i = 0; i < 40; ++i) {
      const uint64_t most = i == 0 ? ((uint64_t)1 << 51) - 1 : random_source() % ((uint64_t)1 << pick(1, 51));
      const uint64_t multiple = most / value * value;
      for (uint64_t n : {most, multiple, multiple == 0 ? 0 : multiple - 1}) {
        CHECK(nas::quotient(n, by) == n / value);
      }
      const uint32_t small_most = (uint32_t)(most % ((uint32_t)1 << 19));
      const uint32_t small_multiple = small_most / value * value;
      for (uint32_t n : {small_most, small_multiple, small_multiple == 0 ? 0 : small_multiple - 1}) {
        CHECK(nas::small_quotient(n, by) == n / value);
      }
    }
  }
  context = "buckets";
  for (int32_t buckets : {1, 2, 512}) {
    CHECK(nas::bucket_of(-0.0, buckets) == buckets - 1 && nas::bucket_of(0.0, buckets) == buckets - 1);
    CHECK(nas::bucket_of(1.0, buckets) == 0 && nas::bucket_of(nextafter(1.0, 2.0), buckets) == 0);
    for (int i = 0; i < 2000; ++i) {
      const double a = ldexp((double)(random_source() >> 11), i % 8 == 0 ? -(int)pick(53, 1053) : -53);
      const double edge = (double)pick(0, buckets) / buckets;
      const double b = i % 2 == 0 ? fabs(nextafter(edge, (double)pick(0, 1))) : a + 0x1p-30;
      const int32_t of_a = nas::bucket_of(a, buckets), of_b = nas::bucket_of(b, buckets);
      CHECK(of_a >= 0 && of_a < buckets && of_b >= 0 && of_b < buckets);
      CHECK(a > b ? of_a <= of_b : of_a >= of_b);
      /* As gains, of which the largest is 0x1p1000 or about as small as can be. */
      const double scale = i % 3 == 0 ? 0x1p1000 : 0x1p-1060, largest = scale * 1.0;
      const double share_a = nas::gain_share(a * scale, largest), share_b = nas::gain_share(b * scale, largest);
      CHECK(share_a >= 0.0 && share_a <= 1.0 && (a * scale > b * scale ? share_a >= share_b : share_a <= share_b));
      CHECK(nas::gain_share(INFINITY, largest) == 1.0 && nas::gain_share(0.0, largest) == 0.0);
    }
  }
}

int main() {
  test_philox();
  test_swap_arithmetic();
  test_swap();
  return conclude();
}
