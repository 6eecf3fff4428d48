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
  std::vector<int32_t> codes, lists;
  std::vector<int64_t> ids;
};

static void naive_swap(const Swap &s, const std::vector<float> &e, int64_t d,
                       std::vector<int32_t> &positions, std::vector<int32_t> &substitutes,
                       std::vector<float> &swapped) {
  const nas_swap_params &p = s.params;
  swapped = s.tokens;
  for (int64_t b = 0; b < p.images; ++b) {
    auto minmax = [&](const std::vector<float> &all, int64_t i) {
      auto begin = all.begin() + b * p.tokens, end = begin + p.tokens;
      const double low = *std::min_element(begin, end), high = *std::max_element(begin, end);
      return low == high ? 0.0 : ((double)begin[i] - low) / (high - low);
    };
    std::vector<std::pair<double, int32_t>> order;
    for (int64_t i = 0; i < p.tokens; ++i) {
      const double from_text = p.text_weight * minmax(s.text, i);
      const double from_image = (1 - p.text_weight) * minmax(s.image, i);
      order.emplace_back(-(from_text + from_image), (int32_t)i);
    }
    std::sort(order.begin(), order.end());
    const int32_t *codes = &s.codes[(size_t)(b * p.tokens)];
    const std::set<int32_t> present(codes, codes + p.tokens);
    for (int64_t c = 0; c < p.chosen; ++c) {
      const int32_t position = order[(size_t)c].second, z = codes[position];
      int32_t first = position;
      for (int64_t o = 0; o < p.chosen; ++o) {
        const int32_t other = order[(size_t)o].second;
        if (codes[other] == z) first = std::min(first, other);
      }
      std::vector<int32_t> candidates;
      for (int64_t r = 0; r < p.neighbours; ++r) {
        const int32_t l = s.lists[(size_t)(z * p.neighbours + r)];
        if (l != -1 && present.count(l) == 0) candidates.push_back(l);
      }
      int32_t substitute = -1;
      if (!candidates.empty()) {
        const uint64_t id = (uint64_t)s.ids[(size_t)b];
        const uint32_t key[2] = {(uint32_t)p.seed, (uint32_t)(p.seed >> 32)};
        const uint32_t counter[4] = {(uint32_t)id, (uint32_t)(id >> 32), (uint32_t)first, p.step};
        uint32_t words[4];
        naive_philox(key, counter, words);
        const uint64_t draw = words[0] | (uint64_t)words[1] << 32;
        substitute = candidates[(size_t)((unsigned __int128)draw * candidates.size() >> 64)];
        for (int64_t t = 0; t < d; ++t) {
          float &v = swapped[(size_t)((b * p.tokens + position) * d + t)];
          const float to = e[(size_t)(substitute * d + t)];
          const float difference = v - e[(size_t)(z * d + t)];
          v = p.mode == NAS_SWAP_QUANTISED ? to : difference + to;
        }
      }
      positions.push_back(position);
      substitutes.push_back(substitute);
    }
  }
}

static void test_swap() {
  int64_t substituted = 0, kept = 0;
  for (int repeat = 0; repeat < 150; ++repeat) {
    /* Every tenth has few images that are large enough to be shared out among threads. */
    const bool large = repeat % 10 == 9;
    const int64_t K = pick(1, 80), d = large ? pick(70, 130) : pick(1, 40);
    const int64_t N = large ? pick(240, 300) : pick(1, 60), M = pick(1, N);
    const int64_t B = large ? pick(1, 3) : pick(1, 9), R = pick(1, 12);
    std::vector<float> e, unused;
    make_data(kGaussian, K, d, 1, e, unused);
    Swap s;
    s.params = {B, N, M, R, repeat % 5 == 0 ? 0.0 : repeat % 5 == 1 ? 1.0 : 0.37,
                random_source(), (uint32_t)random_source(), repeat % 2};
    for (int64_t i = 0; i < B * N; ++i) {
      /* Few distinct similarities, so that there are ties; sometimes all equal. */
      s.text.push_back(repeat % 3 == 0 ? (float)pick(0, 2) * 0.25f : gaussian());
      s.image.push_back(repeat % 4 == 0 ? 0.5f : gaussian());
      s.codes.push_back((int32_t)pick(0, repeat % 6 == 0 ? std::min<int64_t>(K - 1, 3) : K - 1));
      for (int64_t t = 0; t < d; ++t) s.tokens.push_back(pick(0, 50) == 0 ? NAN : gaussian());
    }
    for (int64_t i = 0; i < K * R; ++i) s.lists.push_back((int32_t)pick(-1, K - 1));
    for (int64_t b = 0; b < B; ++b) s.ids.push_back((int64_t)random_source());
    std::vector<int32_t> positions, substitutes;
    std::vector<float> swapped;
    naive_swap(s, e, d, positions, substitutes, swapped);
    for (int32_t z : substitutes) (z < 0 ? kept : substituted) += 1;
    /* NaN tokens have to stay NaN in residual mode, with whatever payload. */
    auto comparable = [](std::vector<float> values) {
      for (float &value : values) value = value != value ? NAN : value;
      return values;
    };
    Codebook codebook(e, K, d);
    Guarded<float> text_in(s.text), image_in(s.image), tokens_in(s.tokens);
    Guarded<int32_t> codes_in(s.codes), lists_in(s.lists);
    Guarded<int64_t> ids_in(s.ids);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      nas_set_threads(large ? 3 : 1 + repeat % 3);
      context = text("swap K %d d %d N %d M %d B %d R %d tier %d", (int)K, (int)d, (int)N, (int)M,
                     (int)B, (int)R, tier);
      Guarded<int32_t> positions_out((size_t)(B * M)), substitutes_out((size_t)(B * M));
      Guarded<float> swapped_out((size_t)(B * N * d));
      int64_t bad = 8;
      auto run = [&](float *tokens, float *out) {
        return nas_swap(codebook.handle, &s.params, text_in.get(), image_in.get(), tokens,
                        codes_in.get(), lists_in.get(), ids_in.get(), positions_out.get(),
                        substitutes_out.get(), out, &bad, nullptr);
      };
      CHECK(run(tokens_in.get(), swapped_out.get()) == NAS_OK);
      CHECK(bad == -1);
      CHECK(same_bits(positions_out.copy(), positions));
      CHECK(same_bits(substitutes_out.copy(), substitutes));
      CHECK(same_bits(comparable(swapped_out.copy()), comparable(swapped)));
      CHECK(same_bits(tokens_in.copy(), s.tokens));
      Guarded<float> in_place(s.tokens);
      CHECK(run(in_place.get(), in_place.get()) == NAS_OK);
      CHECK(same_bits(comparable(in_place.copy()), comparable(swapped)));

      /* A failure writes nothing, in place or not. */
      Guarded<float> untouched(s.tokens);
      std::fill_n(positions_out.get(), B * M, -9);
      std::fill_n(substitutes_out.get(), B * M, -9);
      const std::vector<int32_t> nines((size_t)(B * M), -9);
      auto unchanged = [&] {
        return same_bits(untouched.copy(), s.tokens) && same_bits(positions_out.copy(), nines) &&
               same_bits(substitutes_out.copy(), nines);
      };
      const int64_t at = pick(0, B * N - 1);
      float &similarity = tier % 2 ? text_in[(size_t)at] : image_in[(size_t)at];
      const float kept_similarity = similarity;
      similarity = NAN;
      CHECK(run(untouched.get(), untouched.get()) == NAS_NON_FINITE);
      CHECK(bad == at / N);
      CHECK(unchanged());
      similarity = kept_similarity;
      codes_in[(size_t)at] = (int32_t)K;
      CHECK(run(untouched.get(), untouched.get()) == NAS_INVALID_ARGUMENT);
      CHECK(unchanged());
      codes_in[(size_t)at] = s.codes[(size_t)at];
      const size_t entry = (size_t)pick(0, K * R - 1);
      lists_in[entry] = tier % 2 ? -2 : (int32_t)K;
      CHECK(run(untouched.get(), untouched.get()) == NAS_INVALID_ARGUMENT);
      CHECK(unchanged());
      lists_in[entry] = s.lists[entry];
      auto refused = [&](auto change) {
        Swap wrong = s;
        change(wrong.params);
        return nas_swap(codebook.handle, &wrong.params, text_in.get(), image_in.get(),
                        untouched.get(), codes_in.get(), lists_in.get(), ids_in.get(),
                        positions_out.get(), substitutes_out.get(), untouched.get(), nullptr,
                        nullptr) == NAS_INVALID_ARGUMENT &&
               unchanged();
      };
      CHECK(refused([](nas_swap_params &p) { p.images = -1; }));
      CHECK(refused([](nas_swap_params &p) { p.images = INT64_MAX / 2; }));
      CHECK(refused([](nas_swap_params &p) { p.chosen = p.tokens + 1; }));
      CHECK(refused([](nas_swap_params &p) { p.chosen = 0; }));
      CHECK(refused([](nas_swap_params &p) { p.neighbours = 0; }));
      CHECK(refused([](nas_swap_params &p) { p.text_weight = NAN; }));
      CHECK(refused([](nas_swap_params &p) { p.text_weight = 1.5; }));
      CHECK(refused([](nas_swap_params &p) { p.mode = 2; }));
    }
  }
  context = "swap coverage";
  CHECK(substituted > 1000 && kept > 100);
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
    }
  }
}

int main() {
  test_philox();
  test_swap_arithmetic();
  test_swap();
  return conclude();
}
