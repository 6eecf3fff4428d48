/* Neighbour lists: afresh, and of codewords that move. */
#include "test.h"

static std::vector<int32_t> naive_neighbours(const std::vector<float> &e, int64_t K, int64_t d,
                                             int64_t R, const uint8_t *live) {
  std::vector<int32_t> lists((size_t)(K * R), -1);
  for (int64_t j = 0; j < K; ++j) {
    std::vector<std::pair<double, int32_t>> list;
    for (int64_t l = 0; l < K; ++l) {
      if (l == j || (live != nullptr && live[l] == 0)) continue;
      list.emplace_back(naive_distance(&e[(size_t)(j * d)], &e[(size_t)(l * d)], d), (int32_t)l);
    }
    std::sort(list.begin(), list.end());
    for (int64_t r = 0; r < R && r < (int64_t)list.size(); ++r) {
      lists[(size_t)(j * R + r)] = list[(size_t)r].second;
    }
  }
  return lists;
}

static void check_neighbours(const std::vector<float> &e, int64_t K, int64_t d, int64_t R,
                             const std::vector<uint8_t> *live, int threads) {
  const std::vector<int32_t> expected =
      naive_neighbours(e, K, d, R, live != nullptr ? live->data() : nullptr);
  Codebook codebook(e, K, d);
  Guarded<uint8_t> guarded_live(live != nullptr ? *live : std::vector<uint8_t>(1));
  const std::string name = context;
  for (const Way &way : ways()) {
    way.use();
    nas_set_threads(threads);
    context = name + text(" tier %d int8 %d", way.tier, way.int8);
    Guarded<int32_t> out((size_t)(K * R));
    CHECK(nas_neighbours(codebook.handle, R, live != nullptr ? guarded_live.get() : nullptr,
                         out.get(), nullptr) == NAS_OK);
    CHECK(same_bits(out.copy(), expected));
  }
}

static std::vector<uint8_t> random_live(int64_t K) {
  std::vector<uint8_t> live((size_t)K);
  const int dead_one_in = (int)pick(1, 5);
  for (uint8_t &value : live) value = pick(1, dead_one_in) == 1 ? 0 : (uint8_t)pick(1, 255);
  return live;
}

/* Distances that float32 estimates, summed in any order, can't tell apart: from a constant vector to
 * permutations of another one with an element a unit in the last place off. */
static void test_neighbours_resolution() {
  for (int64_t d : {7, 50, 300}) {
    const int64_t K = 120;
    std::vector<float> e((size_t)(K * d), 1.0f), v((size_t)d);
    for (float &value : v) value = 3.0f + gaussian();
    for (int64_t j = 0; j < K; ++j) {
      if (j == 60) continue;
      std::shuffle(v.begin(), v.end(), random_source);
      std::copy_n(v.data(), d, &e[(size_t)(j * d)]);
      float &value = e[(size_t)(j * d + pick(0, d - 1))];
      value = nextafterf(value, gaussian() * 100);
    }
    context = text("neighbours resolution d %d", (int)d);
    check_neighbours(e, K, d, 40, nullptr, 1);
  }
}

extern "C" int64_t nas_screened_lists(const nas_codebook *codebook);

/* Lists again and again while the codewords move; how many of them were screened is added to the last two. */
struct Lists {
  Codebook &codebook;
  int64_t K, d, R;
  int64_t from_kept = 0, screened = 0;

  void check(const uint8_t *live) {
    std::vector<float> e((size_t)(K * d));
    CHECK(nas_codebook_read(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) == NAS_OK);
    std::vector<int32_t> out((size_t)(K * R));
    const std::vector<Way> all = ways();
    all[(size_t)pick(all.size() > 1 ? 1 : 0, (int64_t)all.size() - 1)].use();
    nas_set_threads((int32_t)pick(1, 3));
    CHECK(nas_neighbours(codebook.handle, R, live, out.data(), nullptr) == NAS_OK);
    CHECK(same_bits(out, naive_neighbours(e, K, d, R, live)));
    const int64_t lists = nas_screened_lists(codebook.handle);
    screened += lists;
    from_kept += K - lists;
  }
};

/* Updates, restarts and changes of who is live. */
static void test_neighbours_of_moving_codes() {
  int64_t from_kept = 0, screened = 0, gaussian_from_kept = 0;
  for (int kind : {kGaussian, kIntegers, kOffset, kNearTies, kDuplicates, kTiny, kScales, kDenormal}) {
    const int64_t R = pick(1, 4), K = pick(100, 300), d = 16 * R + pick(0, 30), rows = 3 * K;
    std::vector<float> e, x;
    make_data(kind, K, d, 1, e, x);
    x.resize((size_t)(rows * d));
    Codebook codebook(e, K, d);
    Lists lists{codebook, K, d, R};
    std::vector<uint8_t> live((size_t)K, 1);
    std::vector<int32_t> codes((size_t)rows);
    for (int step = 0; step < 16; ++step) {
      context = text("neighbours of moving codes kind %d K %d d %d R %d step %d", kind, (int)K, (int)d,
                     (int)R, step);
      for (int64_t i = 0; i < rows; ++i) {
        codes[(size_t)i] = (int32_t)(i < K ? i : pick(0, K - 1));
        const float *codeword = &e[(size_t)(codes[(size_t)i] * d)];
        for (int64_t t = 0; t < d; ++t) {
          x[(size_t)(i * d + t)] = codeword[t] * (1.0f + 0.3f * gaussian());
        }
      }
      CHECK(nas_update(codebook.handle, x.data(), NAS_FLOAT32, rows, d, codes.data(), 0.99, 1e-5, 0,
                       nullptr, nullptr) == NAS_OK);
      if (step % 4 == 2) {
        for (int64_t count = pick(1, 3); count > 0; --count) {
          const int32_t code = (int32_t)pick(0, K - 1);
          CHECK(nas_restart(codebook.handle, &code, &x[(size_t)(pick(0, rows - 1) * d)], 1, nullptr) ==
                NAS_OK);
        }
      }
      for (int64_t flips = step % 3 == 1 ? pick(1, 5) : 0; flips > 0; --flips) {
        live[(size_t)pick(0, K - 1)] ^= 1;
      }
      if (step == 12) live = random_live(K);
      lists.check(kind == kOffset ? nullptr : live.data());
    }
    from_kept += lists.from_kept;
    screened += lists.screened;
    if (kind == kGaussian) gaussian_from_kept = lists.from_kept;
  }
  context = text("neighbours from kept lists: %lld, of them gaussian %lld, screened %lld",
                 (long long)from_kept, (long long)gaussian_from_kept, (long long)screened);
  if (nas_best_tier() > NAS_CPU_TIER_SCALAR) CHECK(gaussian_from_kept >= 100 && screened > 0);
}

/* Codes on a line that move against each other: the triangle inequality is all but attained. */
static void test_neighbours_horizon() {
  int64_t from_kept = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const int64_t R = pick(1, 2), K = 160, d = 32;
    std::vector<float> e((size_t)(K * d), 0.0f);
    for (int64_t j = 0; j < K; ++j) e[(size_t)(j * d)] = (float)j + 0.3f * gaussian();
    Codebook codebook(e, K, d);
    Lists lists{codebook, K, d, R};
    context = text("neighbours horizon repeat %d", repeat);
    lists.check(nullptr);
    const float move = 0.1f * (float)pick(1, 60);
    for (int64_t j = 0; j < K; ++j) e[(size_t)(j * d)] += pick(0, 1) ? move : -move;
    CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) == NAS_OK);
    lists.check(nullptr);
    from_kept += lists.from_kept;
  }
  context = "neighbours horizon from kept lists";
  if (nas_best_tier() > NAS_CPU_TIER_SCALAR) CHECK(from_kept > 0);
}

static void test_neighbours() {
  for (int repeat = 0; repeat < 150; ++repeat) {
    const int kind = repeat % kDataKinds;
    const int64_t K = pick(1, repeat % 9 == 0 ? 500 : 80), d = pick(1, repeat % 7 == 0 ? 300 : 40);
    const int64_t R = repeat % 3 == 0 ? pick(1, 4) : repeat % 11 == 0 ? NAS_MAX_NEIGHBOURS : pick(1, 60);
    std::vector<float> e, x;
    make_data(kind, K, d, 1, e, x);
    const std::vector<uint8_t> live = random_live(K);
    context = text("neighbours kind %d K %d d %d R %d", kind, (int)K, (int)d, (int)R);
    check_neighbours(e, K, d, R, repeat % 2 == 0 ? &live : nullptr, 1 + repeat % 3);
  }
  /* Lists far shorter than the codebook, several blocks of rows. */
  for (int kind : {kGaussian, kOffset, kNearTies, kIntegers}) {
    const int64_t K = pick(900, 1100), d = pick(20, 40), R = pick(8, 33);
    std::vector<float> e, x;
    make_data(kind, K, d, 1, e, x);
    const std::vector<uint8_t> live = random_live(K);
    context = text("neighbours of many kind %d K %d d %d R %d", kind, (int)K, (int)d, (int)R);
    check_neighbours(e, K, d, R, kind == kOffset ? nullptr : &live, 2);
  }
  context = "neighbours arguments";
  Codebook codebook({1.0f, 2.0f}, 2, 1);
  int32_t out[2048];
  CHECK(nas_neighbours(codebook.handle, 0, nullptr, out, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(nas_neighbours(codebook.handle, NAS_MAX_NEIGHBOURS + 1, nullptr, out, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(nas_neighbours(codebook.handle, 1, nullptr, nullptr, nullptr) == NAS_INVALID_ARGUMENT);
}

int main() {
  test_neighbours();
  test_neighbours_resolution();
  test_neighbours_of_moving_codes();
  test_neighbours_horizon();
  return conclude();
}
