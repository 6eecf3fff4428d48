/*
 * Compares every tier of the host library with the definitions of nas_kernels.h, written out again
 * here as plainly as possible. Buffers end at (or begin after) a page that must not be touched.
 *
 *   nas_kernels_test               everything
 *   nas_kernels_test --low-memory  only what happens when memory and threads run out
 */
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../common/swap.h"
#include "guarded.h"
#include "naive.h"
#include "nas_kernels.h"

/* ---------------------------------------------------------------- scaffolding */

static int failures = 0;
static long checks = 0;
static std::string context;

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    ++checks;                                                                               \
    if (!(condition)) {                                                                     \
      if (++failures <= 20) {                                                               \
        fprintf(stderr, "line %d: %s [%s] last error: %s\n", __LINE__, #condition,          \
                context.c_str(), nas_last_error());                                         \
      }                                                                                     \
    }                                                                                       \
  } while (0)

static std::string text(const char *format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

static std::mt19937_64 random_source(20240607);

static int64_t pick(int64_t low, int64_t high) {
  return low + (int64_t)(random_source() % (uint64_t)(high - low + 1));
}

static float gaussian() {
  static std::normal_distribution<float> normal;
  return normal(random_source);
}

struct Codebook {
  nas_codebook *handle = nullptr;
  Codebook(const std::vector<float> &codewords, int64_t K, int64_t d) {
    Guarded<float> input(codewords);
    int64_t bad = 7;
    CHECK(nas_codebook_create(input.get(), K, d, &bad, nullptr, &handle) == NAS_OK);
    CHECK(bad == -1);
  }
  ~Codebook() { nas_codebook_close(handle); }
};

static std::vector<int> tiers() {
  std::vector<int> all;
  for (int tier = 0; tier <= nas_best_tier(); ++tier) all.push_back(tier);
  return all;
}

/* ---------------------------------------------------------------- the definitions again */

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

/* ---------------------------------------------------------------- lookup */

enum Data {
  kGaussian,
  kIntegers,   /* many exact ties */
  kOffset,     /* a common offset of 1e6 */
  kDenormal,   /* about 1e-42 */
  kHuge,       /* about 1e30 */
  kTiny,       /* about 1e-15 */
  kLargest,    /* up to the largest float */
  kNearTies,   /* pairs of codewords one unit in the last place apart */
  kDuplicates, /* few distinct codewords, rows near them */
  kScales,     /* norms over many orders of magnitude */
  kOutlier,    /* one codeword far away */
  kFarRows,    /* rows far away from all codewords */
  kFarthest,   /* so far that float64 itself cannot tell many codewords apart */
  kNearMean,   /* rows near the mean of codewords whose norms differ in the last place */
  kUnderflow,  /* about 1e-22: products vanish in float32 */
  kPermuted,   /* permutations of one codeword, a unit in the last place apart, and constant rows:
                  almost equal distances from products summed in different orders */
  kDataKinds
};

static void make_data(int kind, int64_t K, int64_t d, int64_t rows, std::vector<float> &e,
                      std::vector<float> &x) {
  e.resize((size_t)(K * d));
  x.resize((size_t)(rows * d));
  auto fill = [&](std::vector<float> &values, auto make) {
    for (float &value : values) value = make();
  };
  auto scaled = [&](float scale, float offset) {
    fill(e, [&] { return offset + scale * gaussian(); });
    fill(x, [&] { return offset + scale * gaussian(); });
  };
  switch (kind) {
    case kIntegers:
      fill(e, [] { return (float)pick(-1, 1); });
      fill(x, [] { return (float)pick(-1, 1); });
      break;
    case kOffset: scaled(1.0f, 1e6f); break;
    case kDenormal: scaled(1e-42f, 0.0f); break;
    case kHuge: scaled(1e30f, 0.0f); break;
    case kTiny: scaled(1e-15f, 0.0f); break;
    case kLargest:
      fill(e, [] { return (pick(0, 1) ? 1.0f : -1.0f) * std::numeric_limits<float>::max(); });
      fill(x, [] { return std::numeric_limits<float>::max() * (float)pick(-1, 1); });
      break;
    case kNearTies:
      scaled(1.0f, 0.0f);
      for (int64_t j = 1; j < K; j += 2) {
        std::copy_n(&e[(size_t)((j - 1) * d)], d, &e[(size_t)(j * d)]);
        float &value = e[(size_t)(j * d + pick(0, d - 1))];
        value = nextafterf(value, gaussian() * 100);
      }
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t j = pick(0, K - 1);
        const float spread = powf(10.0f, (float)pick(-3, 3));
        for (int64_t t = 0; t < d; ++t) {
          x[(size_t)(i * d + t)] = e[(size_t)(j * d + t)] + spread * gaussian();
        }
      }
      break;
    case kDuplicates:
      scaled(1.0f, 0.0f);
      for (int64_t j = 3; j < K; ++j) {
        std::copy_n(&e[(size_t)(pick(0, 2) * d)], d, &e[(size_t)(j * d)]);
      }
      for (int64_t i = 0; i < rows; ++i) {
        if (pick(0, 1)) std::copy_n(&e[(size_t)(pick(0, K - 1) * d)], d, &x[(size_t)(i * d)]);
      }
      break;
    case kScales:
      for (int64_t j = 0; j < K; ++j) {
        const float scale = powf(10.0f, (float)pick(-12, 12));
        for (int64_t t = 0; t < d; ++t) e[(size_t)(j * d + t)] = scale * gaussian();
      }
      for (int64_t i = 0; i < rows; ++i) {
        const float scale = powf(10.0f, (float)pick(-30, 30));
        for (int64_t t = 0; t < d; ++t) x[(size_t)(i * d + t)] = scale * gaussian();
      }
      break;
    case kOutlier:
      scaled(1.0f, 0.0f);
      for (int64_t t = 0; t < d; ++t) e[(size_t)(pick(0, K - 1) * d + t)] = 1e7f * gaussian();
      break;
    case kFarRows:
      scaled(1.0f, 0.0f);
      for (float &value : x) value = 3e8f + 1e2f * value;
      break;
    case kFarthest:
      fill(e, [] { return 1e-5f * gaussian(); });
      fill(x, [] { return 1e12f * gaussian(); });
      break;
    case kNearMean:
      for (int64_t j = 0; j < K; ++j) {
        for (int64_t t = 0; t < d; ++t) {
          float &value = e[(size_t)(j * d + t)];
          value = nextafterf(j == 0 ? gaussian() : fabsf(e[(size_t)t]), gaussian() * 100);
          if ((j ^ t) & 1) value = -value;
        }
      }
      fill(x, [] { return 1e-9f * gaussian(); });
      break;
    case kUnderflow: scaled(1e-22f, 0.0f); break;
    case kPermuted:
      for (int64_t t = 0; t < d; ++t) e[(size_t)t] = gaussian();
      for (int64_t j = 1; j < K; ++j) {
        float *row = &e[(size_t)(j * d)];
        std::copy_n(e.data(), d, row);
        std::shuffle(row, row + d, random_source);
        float &value = row[pick(0, d - 1)];
        value = nextafterf(value, gaussian() * 100);
      }
      for (int64_t i = 0; i < rows; ++i) {
        std::fill_n(&x[(size_t)(i * d)], d, powf(10.0f, (float)pick(-2, 3)) * gaussian());
      }
      break;
    default: scaled(1.0f, 0.0f);
  }
}

static void test_lookup_case(int kind, int64_t K, int64_t d, int64_t rows) {
  std::vector<float> e, x;
  make_data(kind, K, d, rows, e, x);
  std::vector<int32_t> indices((size_t)rows);
  std::vector<float> distances((size_t)rows);
  for (int64_t i = 0; i < rows; ++i) {
    naive_lookup(e, K, d, &x[(size_t)(i * d)], &indices[(size_t)i], &distances[(size_t)i]);
  }
  const int64_t stride = d + pick(0, 3);
  /* The last row is followed by the guard page, not by a gap. */
  std::vector<float> strided((size_t)((rows - 1) * stride + d), NAN);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(&x[(size_t)(i * d)], d, &strided[(size_t)(i * stride)]);
  }
  Guarded<float> input(strided, pick(0, 1));
  Codebook codebook(e, K, d);
  for (int tier : tiers()) {
    nas_set_tier(tier);
    for (int threads : {1, 3}) {
      nas_set_threads(threads);
      context = text("lookup kind %d K %d d %d rows %d tier %d threads %d", kind, (int)K, (int)d,
                     (int)rows, tier, threads);
      Guarded<int32_t> out((size_t)rows, pick(0, 1));
      Guarded<float> out_distances((size_t)rows, pick(0, 1));
      int64_t bad = 5;
      CHECK(nas_lookup(codebook.handle, input.get(), NAS_FLOAT32, rows, stride, out.get(), nullptr, &bad, nullptr,
                       nullptr) == NAS_OK);
      CHECK(bad == -1);
      CHECK(same_bits(out.copy(), indices));
      std::fill_n(out.get(), rows, -1);
      CHECK(lookup_float32(codebook.handle, input.get(), rows, stride, out.get(), out_distances.get(),
                       nullptr) == NAS_OK);
      CHECK(same_bits(out.copy(), indices));
      CHECK(same_bits(out_distances.copy(), distances));
    }
  }
}

static void test_lookup() {
  for (int64_t d = 1; d <= 70; ++d) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      test_lookup_case((int)pick(0, kDataKinds - 1), pick(1, 140), d, pick(1, 40));
    }
  }
  for (int64_t d : {127, 128, 129, 255, 256, 257, 511, 513, 768, 1031, 4096}) {
    for (int kind = 0; kind < kDataKinds; ++kind) {
      test_lookup_case(kind, pick(1, 70), d, pick(1, 20));
    }
  }
  for (int kind = 0; kind < kDataKinds; ++kind) {
    test_lookup_case(kind, 1, pick(1, 30), 17);
    test_lookup_case(kind, pick(500, 1100), pick(1, 24), pick(100, 300));
    test_lookup_case(kind, pick(2, 64), pick(1, 8), pick(600, 900));
  }
  for (int64_t d : {60, 250, 700, 1500}) test_lookup_case(kPermuted, 200, d, 40);
  test_lookup_case(kGaussian, NAS_MAX_CODEWORDS, 3, 5);
  test_lookup_case(kIntegers, NAS_MAX_CODEWORDS, 9, 3);
}

/* Screening must keep the nearest codeword where the margin is far below float32 resolution: the
 * codewords lie on a tiny sphere around each row. */
static void test_lookup_resolution() {
  for (int repeat = 0; repeat < 30; ++repeat) {
    const int64_t K = 97, d = pick(2, 400), rows = 11;
    std::vector<float> e((size_t)(K * d)), x((size_t)(rows * d)), centre((size_t)d);
    for (float &value : centre) value = gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = centre[(size_t)t] + 1e-5f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) x[(size_t)(i * d + t)] = centre[(size_t)t] * (float)(1 + i * i);
    }
    Codebook codebook(e, K, d);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      context = text("resolution d %d tier %d", (int)d, tier);
      std::vector<int32_t> out((size_t)rows);
      CHECK(lookup_float32(codebook.handle, x.data(), rows, d, out.data(), nullptr, nullptr) ==
            NAS_OK);
      for (int64_t i = 0; i < rows; ++i) {
        int32_t index;
        float distance;
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(out[(size_t)i] == index);
      }
    }
  }
}

static float widen_by_definition(uint16_t bits, int32_t type) {
  if (type == NAS_BFLOAT16) {
    const uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
  }
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction != 0 ? NAN : (float)(sign * INFINITY);
  return (float)(sign * (exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25)));
}

/* Rows of the narrower types: like the float32 rows that they stand for. */
static void test_lookup_types() {
  for (int32_t type : {NAS_BFLOAT16, NAS_FLOAT16}) {
    for (int64_t d : {1, 5, 16, 33, 130}) {
      const int64_t K = pick(1, 90), rows = pick(1, 150), stride = d + pick(0, 3);
      context = text("type %d, d %d, K %d, rows %d", (int)type, (int)d, (int)K, (int)rows);
      std::vector<float> e((size_t)(K * d)), wide((size_t)(rows * d));
      std::vector<uint16_t> x((size_t)((rows - 1) * stride + d), 0x7fff); /* gaps are NaN */
      for (float &value : e) value = gaussian();
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t t = 0; t < d; ++t) {
          uint16_t bits;
          do {
            bits = (uint16_t)pick(0, 65535);
            if (pick(0, 3) != 0) { /* of the order of the codewords */
              bits = (uint16_t)((bits & 0x83ff) | (type == NAS_FLOAT16 ? 0x3c00 : 0x3f80));
            }
          } while (!std::isfinite(widen_by_definition(bits, type)));
          x[(size_t)(i * stride + t)] = bits;
          wide[(size_t)(i * d + t)] = widen_by_definition(bits, type);
        }
      }
      const Codebook codebook(e, K, d);
      Guarded<uint16_t> input(x);
      for (int tier : tiers()) {
        CHECK(nas_set_tier(tier) == NAS_OK);
        Guarded<int32_t> out((size_t)rows);
        Guarded<float> distances((size_t)rows);
        CHECK(nas_lookup(codebook.handle, input.get(), type, rows, stride, out.get(),
                         distances.get(), nullptr, nullptr, nullptr) == NAS_OK);
        for (int64_t i = 0; i < rows; ++i) {
          int32_t index;
          float distance;
          naive_lookup(e, K, d, &wide[(size_t)(i * d)], &index, &distance);
          CHECK(out[(size_t)i] == index && same_bits(&distances[(size_t)i], &distance, 1));
        }
        const uint16_t kept = input[0];
        input[0] = type == NAS_FLOAT16 ? 0x7c00 : 0x7f80;
        int64_t bad = -1;
        CHECK(nas_lookup(codebook.handle, input.get(), type, rows, stride, out.get(), nullptr, &bad,
                         nullptr, nullptr) == NAS_NON_FINITE);
        CHECK(bad == 0);
        input[0] = kept;
      }
    }
  }
}

/* The path that a lookup takes, so that no fast one can vanish unseen. */
static void test_lookup_stats() {
  const int64_t K = 600, d = 128, rows = 900;
  std::vector<float> e((size_t)(K * d)), x((size_t)(rows * d));
  std::vector<int32_t> out((size_t)rows);
  nas_lookup_stats stats;
  auto look_up = [&](const Codebook &codebook) {
    CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, out.data(), nullptr, nullptr,
                     &stats, nullptr) == NAS_OK);
    CHECK(stats.rows_int8 + stats.rows_float32 + stats.rows_scanned == rows);
    for (int64_t i = 0; i < rows; i += 97) {
      int32_t index;
      float distance;
      naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
      CHECK(out[(size_t)i] == index);
    }
  };
  for (int tier : tiers()) {
    CHECK(nas_set_tier(tier) == NAS_OK);
    const bool int8 = tier >= NAS_TIER_AVX512_VNNI;
    context = text("stats, tier %d", tier);

    for (float &value : e) value = gaussian();
    for (float &value : x) value = gaussian();
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.tier == tier);
      CHECK((tier == NAS_TIER_SCALAR) == (stats.packing_ns == 0));
      CHECK(stats.rows_scanned == (tier == NAS_TIER_SCALAR ? rows : 0));
      CHECK(stats.rows_int8 == (int8 ? rows : 0));
      if (tier == NAS_TIER_SCALAR) continue;
      CHECK(stats.candidates >= rows && stats.candidates < (int8 ? 12 * rows : rows + rows / 50));
      CHECK(stats.distances <= stats.candidates);
      CHECK(stats.rows_float64 <= (int8 ? rows : rows / 50));
      look_up(codebook);
      CHECK(stats.packing_ns == 0);
      CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) ==
            NAS_OK);
      look_up(codebook);
      CHECK(stats.packing_ns > 0);
    }

    /* Repeated codewords are screened once. */
    for (int64_t j = 1; j < K; ++j) {
      if (j % 3 != 0) std::copy_n(&e[(size_t)(j / 3 * 3 * d)], d, &e[(size_t)(j * d)]);
    }
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(&e[(size_t)(pick(0, K - 1) * d)], d, &x[(size_t)(i * d)]);
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.candidates == rows && stats.rows_scanned == 0);
    }

    /* Two bundles of codewords that int8 can't tell apart, but float32 can. */
    std::vector<float> centre((size_t)d);
    for (float &value : centre) value = 10 * gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = (j % 2 == 0 ? 1.0f : -1.0f) * centre[(size_t)t] + 0.05f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) {
        x[(size_t)(i * d + t)] = e[(size_t)(i % K * d + t)] + 0.02f * gaussian();
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned == 0 && stats.rows_float32 > 0);
      if (int8) CHECK(stats.rows_int8 < rows);
    }

    /* Bundles small enough for int8's candidates, but too costly: the path changes on the way. */
    std::vector<float> centres((size_t)(4 * d));
    for (float &value : centres) value = 10 * gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = centres[(size_t)(j % 4 * d + t)] + 0.01f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) {
        x[(size_t)(i * d + t)] = e[(size_t)(i % K * d + t)] + 0.004f * gaussian();
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned == 0 && stats.rows_float32 > 0);
      if (int8) CHECK(stats.rows_int8 > 0);
    }

    /* One ulp apart: nothing but float64 can tell. */
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        const float value = (j % 2 == 0 ? 1.0f : -1.0f) * centre[(size_t)t];
        e[(size_t)(j * d + t)] = pick(0, 1) == 0 ? value : nextafterf(value, 0.0f);
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned + stats.rows_float64 > 0);
    }
  }
}

/* Codewords close around few points, which are looked up in groups. */
static void test_lookup_groups() {
  const int64_t K = 1100, d = 70, rows = 2600;
  for (int64_t centres : {2, 3, 31}) {
    for (bool ulp : {false, true}) {
      std::vector<float> middle((size_t)(centres * d)), e((size_t)(K * d)), x((size_t)(rows * d));
      for (float &value : middle) value = 20 * gaussian();
      for (int64_t j = 0; j < K; ++j) {
        /* Most of them around the first, so that there are more than a list of candidates holds. */
        const int64_t centre = j < K / 2 ? 0 : pick(0, centres - 1);
        for (int64_t t = 0; t < d; ++t) {
          const float value = middle[(size_t)(centre * d + t)];
          e[(size_t)(j * d + t)] = !ulp             ? value + 0.01f * gaussian()
                                   : pick(0, 1) == 0 ? value
                                                     : nextafterf(value, 0.0f);
        }
      }
      /* One far from all others, and one that is repeated. */
      for (int64_t t = 0; t < d; ++t) e[(size_t)(500 * d + t)] = -30.0f;
      std::copy_n(&e[(size_t)(100 * d)], d, &e[(size_t)(800 * d)]);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t near = pick(0, K - 1), other = pick(0, K - 1);
        for (int64_t t = 0; t < d; ++t) {
          x[(size_t)(i * d + t)] = i % 3 == 0   ? e[(size_t)(near * d + t)]
                                   : i % 3 == 1 ? (e[(size_t)(near * d + t)] + e[(size_t)(other * d + t)]) / 2
                                                : e[(size_t)(near * d + t)] + gaussian();
        }
      }
      std::vector<int32_t> indices((size_t)rows), without(indices), truth(indices);
      std::vector<float> distances((size_t)rows), true_distances(distances);
      for (int64_t i = 0; i < rows; ++i) {
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &truth[(size_t)i], &true_distances[(size_t)i]);
      }
      const Codebook codebook(e, K, d);
      std::vector<float> bad = x;
      for (int64_t row : {1900, 2500}) bad[(size_t)(row * d + pick(0, d - 1))] = NAN;
      for (int tier : tiers()) {
        CHECK(nas_set_tier(tier) == NAS_OK);
        context = text("groups, %d centres, ulp %d, tier %d", (int)centres, (int)ulp, tier);
        nas_lookup_stats stats;
        for (int repeat = 0; repeat < 2; ++repeat) {
          std::fill(indices.begin(), indices.end(), -1);
          CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, indices.data(),
                           distances.data(), nullptr, &stats, nullptr) == NAS_OK);
          CHECK(indices == truth && distances == true_distances);
          CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, without.data(), nullptr,
                           nullptr, nullptr, nullptr) == NAS_OK);
          CHECK(without == truth);
          CHECK(stats.rows_int8 + stats.rows_float32 + stats.rows_scanned == rows);
          /* By groups almost nothing is left to scan, and int8 does what it could not do before. */
          if (tier != NAS_TIER_SCALAR) CHECK(stats.rows_scanned < rows / 10);
          if (tier >= NAS_TIER_AVX512_VNNI) CHECK(stats.rows_int8 > rows / 2);
        }
        int64_t row = 0;
        CHECK(nas_lookup(codebook.handle, bad.data(), NAS_FLOAT32, rows, d, indices.data(),
                         nullptr, &row, nullptr, nullptr) == NAS_NON_FINITE);
        CHECK(row == 1900);
      }
      /* Groups go with the codewords they were made of. */
      for (float &value : e) value = gaussian();
      CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) == NAS_OK);
      CHECK(nas_set_tier(tiers().back()) == NAS_OK);
      CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, indices.data(), nullptr, nullptr,
                       nullptr, nullptr) == NAS_OK);
      for (int64_t i = 0; i < rows; i += 19) {
        int32_t index;
        float distance;
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(indices[(size_t)i] == index);
      }
    }
  }
}

static void test_lookup_non_finite() {
  const float bad_values[] = {NAN, -NAN, INFINITY, -INFINITY};
  for (int repeat = 0; repeat < 60; ++repeat) {
    const int64_t K = pick(1, 70), d = pick(1, 300), rows = pick(1, 400);
    std::vector<float> e, x;
    make_data(repeat % 7 == 0 ? kHuge : kGaussian, K, d, rows, e, x);
    int64_t lowest = rows;
    for (int64_t n = pick(1, 4); n > 0; --n) {
      const int64_t row = pick(0, rows - 1);
      x[(size_t)(row * d + pick(0, d - 1))] = bad_values[pick(0, 3)];
      lowest = std::min(lowest, row);
    }
    Codebook codebook(e, K, d);
    Guarded<float> input(x);
    std::vector<int32_t> out((size_t)rows);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      nas_set_threads(1 + repeat % 3);
      context = text("non-finite K %d d %d rows %d tier %d", (int)K, (int)d, (int)rows, tier);
      int64_t bad = -7;
      CHECK(lookup_float32(codebook.handle, input.get(), rows, d, out.data(), nullptr, &bad) ==
            NAS_NON_FINITE);
      CHECK(bad == lowest);
      CHECK(strstr(nas_last_error(), text("row %lld ", (long long)lowest).c_str()) != nullptr);
      CHECK(nas_lookup(codebook.handle, input.get(), NAS_FLOAT32, rows, d, out.data(), nullptr, nullptr, nullptr,
                       nullptr) == NAS_NON_FINITE);
    }
  }
}

/* ---------------------------------------------------------------- momentum update */

struct State {
  int64_t K, d;
  std::vector<float> e, m;
  std::vector<double> n;
  std::vector<int32_t> dead_steps;

  State(int64_t K_, int64_t d_, const std::vector<float> &codewords)
      : K(K_), d(d_), e(codewords), m(codewords), n((size_t)K_, 1.0), dead_steps((size_t)K_, 0) {}

  bool matches(const nas_codebook *codebook) const {
    Guarded<float> e_out((size_t)(K * d)), m_out((size_t)(K * d));
    Guarded<double> n_out((size_t)K);
    Guarded<int32_t> dead_out((size_t)K);
    return nas_codebook_read(codebook, e_out.get(), n_out.get(), m_out.get(), dead_out.get(),
                             nullptr) == NAS_OK &&
           same_bits(e_out.copy(), e) && same_bits(m_out.copy(), m) && same_bits(n_out.copy(), n) &&
           same_bits(dead_out.copy(), dead_steps);
  }

  /* What S holds of the codes that are `lane` modulo `apart`. */
  double lane_sum(size_t lane, size_t apart) const {
    if (apart < 256) return lane_sum(lane, 2 * apart) + lane_sum(lane + apart, 2 * apart);
    double sum = 0;
    for (size_t j = lane; j < n.size(); j += 256) sum += n[j];
    return sum;
  }

  void apply(const std::vector<double> &counts, const std::vector<double> &sums, double gamma,
             double epsilon, double threshold) {
    for (size_t j = 0; j < (size_t)K; ++j) {
      const double kept = gamma * n[j], added = (1 - gamma) * counts[j];
      n[j] = kept + added;
    }
    const double S = lane_sum(0, 1);
    for (size_t j = 0; j < (size_t)K; ++j) {
      const double smoothing = (double)K * epsilon;
      const double share = (n[j] + epsilon) / (S + smoothing);
      const double h = share * S;
      for (size_t t = j * (size_t)d; t < (j + 1) * (size_t)d; ++t) {
        const double kept = gamma * (double)m[t], added = (1 - gamma) * sums[t];
        m[t] = (float)(kept + added);
        e[t] = (float)((double)m[t] / h);
      }
      if (!(n[j] < threshold)) {
        dead_steps[j] = 0;
      } else if (dead_steps[j] != INT32_MAX) {
        ++dead_steps[j];
      }
    }
  }
};

static void test_update() {
  for (int repeat = 0; repeat < 120; ++repeat) {
    const int64_t K = repeat % 6 == 5 ? pick(257, 1100) : pick(1, 90);
    const int64_t d = pick(1, repeat % 5 == 0 ? 700 : 60), rows = pick(0, 600);
    std::vector<float> e, x;
    make_data(repeat % 4 == 3 ? kOffset : kGaussian, K, d, std::max<int64_t>(rows, 1), e, x);
    const int64_t stride = d + pick(0, 2);
    std::vector<float> strided((size_t)(rows == 0 ? 0 : (rows - 1) * stride + d), NAN);
    std::vector<int32_t> codes((size_t)rows);
    const int64_t popular = pick(0, K - 1);
    for (int64_t i = 0; i < rows; ++i) {
      codes[(size_t)i] = (int32_t)(repeat % 3 == 0 ? popular : pick(0, K - 1));
      std::copy_n(&x[(size_t)(i * d)], d, &strided[(size_t)(i * stride)]);
    }
    std::vector<double> counts((size_t)K), sums((size_t)(K * d));
    for (double &value : counts) value = 0.1 * (double)pick(0, 3);
    for (double &value : sums) value = gaussian();
    const std::vector<double> counts_before = counts, sums_before = sums;
    for (int64_t i = 0; i < rows; ++i) {
      const size_t z = (size_t)codes[(size_t)i];
      counts[z] += 1;
      for (int64_t t = 0; t < d; ++t) {
        sums[z * (size_t)d + (size_t)t] += (double)x[(size_t)(i * d + t)];
      }
    }
    const double gamma = repeat % 6 == 0 ? 0.0 : 0.99, epsilon = 1e-5, threshold = 1.0;
    State expected(K, d, e);
    for (int step = 0; step < 3; ++step) expected.apply(counts, sums, gamma, epsilon, threshold);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      nas_set_threads(1 + repeat % 4);
      context = text("update K %d d %d rows %d tier %d", (int)K, (int)d, (int)rows, tier);
      Codebook codebook(e, K, d);
      CHECK(State(K, d, e).matches(codebook.handle));
      Guarded<float> input(strided);
      Guarded<int32_t> input_codes(codes);
      Guarded<double> c(counts_before), s(sums_before);
      const int64_t split = pick(0, rows);
      int64_t bad = 3;
      CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, split, stride,
                           input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_OK);
      CHECK(bad == -1);
      CHECK(nas_accumulate(codebook.handle, input.get() + split * (rows == split ? 0 : stride),
                           NAS_FLOAT32, rows - split, stride, input_codes.get() + split, c.get(),
                           s.get(), nullptr, nullptr) == NAS_OK);
      CHECK(same_bits(c.copy(), counts));
      CHECK(same_bits(s.copy(), sums));
      for (int step = 0; step < 3; ++step) {
        CHECK(nas_apply(codebook.handle, c.get(), s.get(), gamma, epsilon, threshold, nullptr) ==
              NAS_OK);
      }
      CHECK(expected.matches(codebook.handle));

      /* Lookups see the new codewords. */
      const int64_t some = std::min<int64_t>(rows, 20);
      std::vector<int32_t> out((size_t)some);
      CHECK(lookup_float32(codebook.handle, x.data(), some, d, out.data(), nullptr, nullptr) ==
            NAS_OK);
      for (int64_t i = 0; i < some; ++i) {
        int32_t index;
        float distance;
        naive_lookup(expected.e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(out[(size_t)i] == index);
      }

      /* A failure changes nothing. */
      if (rows > 0) {
        const int64_t wrong = pick(0, rows - 1), later = pick(wrong, rows - 1);
        const int32_t kept_code = input_codes[(size_t)wrong];
        input_codes[(size_t)wrong] = tier % 2 ? (int32_t)K : -1;
        input_codes[(size_t)later] = later == wrong ? (int32_t)K : input_codes[(size_t)later];
        CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                             input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_INVALID_ARGUMENT);
        CHECK(bad == wrong);
        input_codes[(size_t)wrong] = kept_code;
        float &cell = input[(size_t)(wrong * stride + pick(0, d - 1))];
        const float kept = cell;
        cell = -INFINITY;
        CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                             input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_NON_FINITE);
        CHECK(bad == wrong);
        if (wrong + 1 < rows) {
          const int32_t kept_last = input_codes[(size_t)(rows - 1)];
          input_codes[(size_t)(rows - 1)] = -1;
          CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                               input_codes.get(), c.get(), s.get(), &bad, nullptr) ==
                NAS_NON_FINITE);
          CHECK(bad == wrong);
          input_codes[(size_t)(rows - 1)] = kept_last;
        }
        cell = kept;
        CHECK(same_bits(c.copy(), counts));
        CHECK(same_bits(s.copy(), sums));
      }
      std::vector<double> broken = sums;
      broken[(size_t)pick(0, K * d - 1)] = pick(0, 1) ? (double)NAN : 1e300;
      CHECK(nas_apply(codebook.handle, counts.data(), broken.data(), 0.5, epsilon, threshold,
                      nullptr) == NAS_NON_FINITE);
      CHECK(expected.matches(codebook.handle));
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 1.0, epsilon, threshold,
                      nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, 0.0, threshold, nullptr) ==
            NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), NAN, epsilon, threshold,
                      nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, epsilon, -1.0, nullptr) ==
            NAS_INVALID_ARGUMENT);
      CHECK(expected.matches(codebook.handle));
    }
  }
}

/* What IEEE 754 says of 16 bits with `exponent_bits` of exponent, as a sum of powers of two. */
static float naive_widen(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, most = (1 << exponent_bits) - 1;
  const int exponent = bits >> fraction_bits & most, bias = most / 2;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  double value = exponent == 0 ? ldexp((double)fraction, 1 - bias - fraction_bits)
                               : ldexp((double)(fraction + (1 << fraction_bits)),
                                       exponent - bias - fraction_bits);
  if (exponent == most) value = fraction == 0 ? (double)INFINITY : (double)NAN;
  return (float)(bits >> 15 ? -value : value);
}

/* How codes are spread over rows. */
enum Spread { kEven, kSkewed, kOneCode, kFewCodes, kSpreads };

/* nas_update and nas_accumulate on rows of every type against sums of naively widened elements. */
template <typename T>
static void test_update_of(int32_t type, int repeat) {
  const bool large = repeat % 8 == 7;
  const bool huge = repeat == 47; /* too much for the caches */
  const int64_t K = huge ? 1100 : repeat % 5 == 4 ? 1 : pick(2, large ? 300 : 60);
  const int64_t d = huge ? 960 : repeat % 4 == 3 ? pick(100, large ? 2300 : 300) : pick(1, 70);
  const int64_t rows = repeat == 0 ? 0 : pick(1, large ? 500 : 120);
  const int64_t stride = d + (repeat % 2 ? pick(1, 5) : 0);
  const int spread = repeat % kSpreads;
  std::vector<int32_t> codes((size_t)rows);
  for (int32_t &z : codes) {
    const double u = (double)pick(0, 999999) / 1e6;
    z = (int32_t)(spread == kEven     ? pick(0, K - 1)
                  : spread == kSkewed ? (int64_t)((double)K * u * u * u * u)
                  : spread == kOneCode ? K / 2
                                       : pick(0, 2) % K);
  }
  /* Not-a-number between the rows; nothing behind the last one. */
  T gap;
  memset(&gap, 0xff, sizeof gap);
  std::vector<T> strided((size_t)(rows == 0 ? 0 : (rows - 1) * stride + d), gap);
  std::vector<float> values((size_t)(rows * d));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t t = 0; t < d; ++t) {
      T element;
      float value;
      do {
        uint32_t bits = (uint32_t)random_source();
        if (sizeof(T) == 4 && pick(0, 3) != 0) {
          value = gaussian();
          memcpy(&bits, &value, sizeof bits);
        }
        memcpy(&element, &bits, sizeof element);
        if (type == NAS_FLOAT32) {
          memcpy(&value, &bits, sizeof value);
        } else {
          value = naive_widen((uint16_t)bits, type == NAS_BFLOAT16 ? 8 : 5);
        }
        /* Large enough for no codeword to overflow. */
      } while (!(fabsf(value) < 1e35f));
      strided[(size_t)(i * stride + t)] = element;
      values[(size_t)(i * d + t)] = value;
    }
  }
  std::vector<float> e((size_t)(K * d));
  for (float &value : e) value = gaussian();
  std::vector<double> counts((size_t)K), sums((size_t)(K * d));
  for (int64_t i = 0; i < rows; ++i) {
    const size_t z = (size_t)codes[(size_t)i];
    counts[z] += 1;
    for (int64_t t = 0; t < d; ++t) {
      sums[z * (size_t)d + (size_t)t] += (double)values[(size_t)(i * d + t)];
    }
  }
  const double gamma = repeat % 3 == 0 ? 0.5 : 0.99, epsilon = 1e-3, threshold = 1.1;
  State expected(K, d, e);
  for (int step = 0; step < 2; ++step) expected.apply(counts, sums, gamma, epsilon, threshold);
  for (int tier : tiers()) {
    nas_set_tier(tier);
    nas_set_threads(1 + (repeat + tier) % 4);
    context = text("update type %d K %d d %d rows %d spread %d tier %d", (int)type, (int)K, (int)d,
                   (int)rows, spread, tier);
    Guarded<T> input(strided, pick(0, 1));
    Guarded<int32_t> codes_in(codes, pick(0, 1));
    Codebook codebook(e, K, d);
    int64_t bad = 3;
    auto update = [&](double g) {
      return nas_update(codebook.handle, input.get(), type, rows, stride, codes_in.get(), g, epsilon,
                        threshold, &bad, nullptr);
    };
    for (int step = 0; step < 2; ++step) {
      CHECK(update(gamma) == NAS_OK);
      CHECK(bad == -1);
    }
    CHECK(expected.matches(codebook.handle));

    Codebook other(e, K, d);
    Guarded<double> c((size_t)K), s((size_t)(K * d));
    CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                         s.get(), &bad, nullptr) == NAS_OK);
    CHECK(same_bits(c.copy(), counts));
    CHECK(same_bits(s.copy(), sums));
    for (int step = 0; step < 2; ++step) {
      CHECK(nas_apply(other.handle, c.get(), s.get(), gamma, epsilon, threshold, nullptr) == NAS_OK);
    }
    CHECK(expected.matches(other.handle));

    /* Lookups see the new codewords. */
    if (K * d < 4000) {
      std::vector<int32_t> found((size_t)K);
      CHECK(lookup_float32(codebook.handle, expected.e.data(), K, d, found.data(), nullptr,
                       nullptr) == NAS_OK);
      for (int64_t j = 0; j < K; ++j) {
        int32_t index;
        float distance;
        naive_lookup(expected.e, K, d, &expected.e[(size_t)(j * d)], &index, &distance);
        CHECK(found[(size_t)j] == index);
      }
    }

    /* A failure names the lowest row and changes nothing. */
    CHECK(update(1.0) == NAS_INVALID_ARGUMENT && bad == -1);
    CHECK(nas_update(codebook.handle, input.get(), 3, rows, stride, codes_in.get(), gamma, epsilon,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_update(codebook.handle, input.get(), type, rows, d - 1, codes_in.get(), gamma, epsilon,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_update(codebook.handle, input.get(), type, rows, stride, codes_in.get(), gamma, 0.0,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_accumulate(other.handle, input.get(), -1, rows, stride, codes_in.get(), c.get(), s.get(),
                         &bad, nullptr) == NAS_INVALID_ARGUMENT);
    if (rows > 0) {
      const char *shifted = reinterpret_cast<const char *>(input.get()) + 1;
      CHECK(nas_update(codebook.handle, shifted, type, 1, stride, codes_in.get(), gamma, epsilon,
                       threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
      const int64_t first = pick(0, rows - 1), second = pick(first, rows - 1);
      const uint32_t infinity = type == NAS_FLOAT16 ? 0x7c00 : 0x7f80;
      const uint32_t bits = type == NAS_FLOAT32 ? infinity << 16 : infinity;
      T &cell = input[(size_t)(first * stride + pick(0, d - 1))];
      memcpy(&cell, &bits, sizeof(T));
      memset(&input[(size_t)(second * stride + pick(0, d - 1))], 0xff, sizeof(T));
      CHECK(update(gamma) == NAS_NON_FINITE);
      CHECK(bad == first);
      CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                           s.get(), &bad, nullptr) == NAS_NON_FINITE);
      CHECK(bad == first);
      codes_in[(size_t)second] = pick(0, 1) ? -1 : (int32_t)K;
      CHECK(update(gamma) == (first == second ? NAS_INVALID_ARGUMENT : NAS_NON_FINITE));
      CHECK(bad == first);
      codes_in[(size_t)first] = (int32_t)K;
      CHECK(update(gamma) == NAS_INVALID_ARGUMENT);
      CHECK(bad == first);
      CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                           s.get(), &bad, nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(bad == first);
      CHECK(same_bits(c.copy(), counts) && same_bits(s.copy(), sums));
    }
    CHECK(expected.matches(codebook.handle));
  }
}

static void test_update_types() {
  for (int repeat = 0; repeat < 48; ++repeat) {
    test_update_of<float>(NAS_FLOAT32, repeat);
    test_update_of<uint16_t>(NAS_BFLOAT16, repeat);
    test_update_of<uint16_t>(NAS_FLOAT16, repeat);
  }
}

/* Every bfloat16 and float16, as a codeword of one element that takes on the row's value. */
static void test_widening() {
  for (int32_t type : {NAS_BFLOAT16, NAS_FLOAT16}) {
    const int64_t d = 256;
    const std::vector<float> zeros((size_t)d, 0.0f);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      context = text("widening type %d tier %d", (int)type, tier);
      Codebook codebook(zeros, 1, d);
      std::vector<uint16_t> x((size_t)d);
      const int32_t code = 0;
      for (int high = 0; high < 256; ++high) {
        bool finite = true;
        std::vector<double> expected((size_t)d), counts(1), sums((size_t)d);
        for (int low = 0; low < 256; ++low) {
          x[(size_t)low] = (uint16_t)(high << 8 | low);
          expected[(size_t)low] = 0.0 + (double)naive_widen(x[(size_t)low], type == NAS_BFLOAT16 ? 8 : 5);
          finite = finite && fabs(expected[(size_t)low]) < (double)INFINITY;
        }
        int64_t bad = 5;
        const nas_status status = nas_accumulate(codebook.handle, x.data(), type, 1, d, &code,
                                                 counts.data(), sums.data(), &bad, nullptr);
        CHECK(status == (finite ? NAS_OK : NAS_NON_FINITE) && bad == (finite ? -1 : 0));
        CHECK(!finite || same_bits(sums, expected));
      }
    }
  }
}

/* A codeword that would overflow, from rows that are all finite. */
static void test_update_overflow() {
  const float largest = std::numeric_limits<float>::max();
  for (int tier : tiers()) {
    nas_set_tier(tier);
    context = text("update overflow tier %d", tier);
    for (int64_t d : {1, 16, 33}) {
      const std::vector<float> e((size_t)(3 * d), 1.0f);
      std::vector<float> x((size_t)(4 * d), 1.0f);
      x[(size_t)(2 * d - 1)] = x[(size_t)(4 * d - 1)] = largest;
      const int32_t codes[] = {0, 2, 1, 2};
      Codebook codebook(e, 3, d);
      int64_t bad = 5;
      CHECK(nas_update(codebook.handle, x.data(), NAS_FLOAT32, 4, d, codes, 0.0, 1e-5, 0, &bad,
                       nullptr) == NAS_NON_FINITE);
      CHECK(bad == -1);
      CHECK(strstr(nas_last_error(), "codeword 2 ") != nullptr);
      CHECK(State(3, d, e).matches(codebook.handle));
    }
  }
}

/* Numbers worked by hand: gamma = 1/2, epsilon = 1/2, all of them exact in binary. */
static void test_update_by_hand() {
  context = "update by hand";
  Codebook codebook({4.0f, 8.0f}, 2, 1);
  const double counts[] = {3.0, 0.0}, sums[] = {12.0, 0.0};
  CHECK(nas_apply(codebook.handle, counts, sums, 0.5, 0.5, 1.0, nullptr) == NAS_OK);
  /* n = (2, 1/2), m = (8, 4), S = 5/2, h = (5/2)/(7/2)*(5/2), (1)/(7/2)*(5/2). */
  float e[2], m[2];
  double n[2];
  int32_t dead[2];
  CHECK(nas_codebook_read(codebook.handle, e, n, m, dead, nullptr) == NAS_OK);
  CHECK(n[0] == 2.0 && n[1] == 0.5);
  CHECK(m[0] == 8.0f && m[1] == 4.0f);
  CHECK(fabs(e[0] - 4.48) < 1e-6 && fabs(e[1] - 5.6) < 1e-6);
  CHECK(dead[0] == 0 && dead[1] == 1);
}

static void test_write_and_restart() {
  for (int tier : tiers()) {
    nas_set_tier(tier);
    context = text("write and restart tier %d", tier);
    const int64_t K = 37, d = 21;
    std::vector<float> e, x;
    make_data(kGaussian, K, d, K, e, x);
    Codebook codebook(e, K, d);
    State state(K, d, e);
    state.e = x;
    for (size_t j = 0; j < (size_t)K; ++j) {
      state.n[j] = (double)j;
      state.dead_steps[j] = j == 0 ? INT32_MAX : (int32_t)j;
    }
    CHECK(nas_codebook_write(codebook.handle, state.e.data(), state.n.data(), nullptr,
                             state.dead_steps.data(), nullptr) == NAS_OK);
    CHECK(state.matches(codebook.handle));
    std::vector<int32_t> out((size_t)K);
    CHECK(lookup_float32(codebook.handle, x.data(), K, d, out.data(), nullptr, nullptr) ==
          NAS_OK);
    for (int32_t j = 0; j < K; ++j) CHECK(out[(size_t)j] == j);

    std::vector<float> bad_e = e;
    bad_e[5] = NAN;
    std::vector<double> bad_n((size_t)K, 1.0);
    bad_n[3] = -1e-9;
    CHECK(nas_codebook_write(codebook.handle, bad_e.data(), bad_n.data(), nullptr, nullptr,
                             nullptr) == NAS_NON_FINITE);
    CHECK(nas_codebook_write(codebook.handle, e.data(), bad_n.data(), nullptr, nullptr, nullptr) ==
          NAS_INVALID_ARGUMENT);
    bad_n[3] = INFINITY;
    CHECK(nas_codebook_write(codebook.handle, e.data(), bad_n.data(), nullptr, nullptr, nullptr) ==
          NAS_NON_FINITE);
    CHECK(nas_codebook_write(codebook.handle, nullptr, nullptr, bad_e.data(), nullptr, nullptr) ==
          NAS_NON_FINITE);
    CHECK(state.matches(codebook.handle));

    /* Dead-code counters saturate. */
    const std::vector<double> zeros((size_t)K, 0.0), zero_sums((size_t)(K * d), 0.0);
    state.apply(zeros, zero_sums, 0.5, 1e-5, 1e9);
    CHECK(nas_apply(codebook.handle, zeros.data(), zero_sums.data(), 0.5, 1e-5, 1e9, nullptr) ==
          NAS_OK);
    CHECK(state.matches(codebook.handle));
    CHECK(state.dead_steps[0] == INT32_MAX && state.dead_steps[1] == 2);

    const std::vector<int32_t> codes = {4, 36, 4};
    std::vector<float> vectors((size_t)(3 * d));
    for (float &value : vectors) value = gaussian();
    for (int64_t i = 0; i < 3; ++i) {
      const size_t j = (size_t)codes[(size_t)i];
      std::copy_n(&vectors[(size_t)(i * d)], d, &state.e[j * (size_t)d]);
      std::copy_n(&vectors[(size_t)(i * d)], d, &state.m[j * (size_t)d]);
      state.n[j] = 1;
      state.dead_steps[j] = 0;
    }
    Guarded<int32_t> guarded_codes(codes);
    Guarded<float> guarded_vectors(vectors);
    CHECK(nas_restart(codebook.handle, guarded_codes.get(), guarded_vectors.get(), 3, nullptr) ==
          NAS_OK);
    CHECK(state.matches(codebook.handle));
    int32_t found = -1;
    CHECK(lookup_float32(codebook.handle, vectors.data() + d, 1, d, &found, nullptr, nullptr) ==
          NAS_OK);
    CHECK(found == 36);
    guarded_codes[1] = 37;
    CHECK(nas_restart(codebook.handle, guarded_codes.get(), guarded_vectors.get(), 3, nullptr) ==
          NAS_INVALID_ARGUMENT);
    guarded_codes[1] = 3;
    guarded_vectors[(size_t)d] = INFINITY;
    CHECK(nas_restart(codebook.handle, guarded_codes.get(), guarded_vectors.get(), 3, nullptr) ==
          NAS_NON_FINITE);
    CHECK(nas_restart(codebook.handle, nullptr, nullptr, 0, nullptr) == NAS_OK);
    CHECK(nas_restart(codebook.handle, nullptr, nullptr, 1, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(state.matches(codebook.handle));
  }
}

/* ---------------------------------------------------------------- neighbours */

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
  for (int tier : tiers()) {
    nas_set_tier(tier);
    nas_set_threads(threads);
    context = name + text(" tier %d", tier);
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
    const std::vector<int> all = tiers();
    nas_set_tier(all[(size_t)pick(all.size() > 1 ? 1 : 0, (int64_t)all.size() - 1)]);
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
  if (nas_best_tier() > NAS_TIER_SCALAR) CHECK(gaussian_from_kept >= 100 && screened > 0);
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
  if (nas_best_tier() > NAS_TIER_SCALAR) CHECK(from_kept > 0);
}

static void test_neighbours() {
  for (int repeat = 0; repeat < 150; ++repeat) {
    const int kind = repeat % kDataKinds;
    const int64_t K = pick(1, repeat % 9 == 0 ? 500 : 80), d = pick(1, repeat % 7 == 0 ? 300 : 40);
    const int64_t R = repeat % 3 == 0 ? pick(1, 4) : repeat % 11 == 0 ? 1024 : pick(1, 60);
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
  CHECK(nas_neighbours(codebook.handle, 1025, nullptr, out, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(nas_neighbours(codebook.handle, 1, nullptr, nullptr, nullptr) == NAS_INVALID_ARGUMENT);
}

/* ---------------------------------------------------------------- token swap */

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

/* ---------------------------------------------------------------- the rest */

/* Known answers of the Random123 distribution. */
/* Enqueued calls: the bits and the verdicts of their namesakes, and what they refuse. */
static void test_enqueue() {
  struct State {
    std::vector<float> e, m;
    std::vector<double> n;
    std::vector<int32_t> dead;
    State(const Codebook &codebook, int64_t K, int64_t d)
        : e((size_t)(K * d)), m((size_t)(K * d)), n((size_t)K), dead((size_t)K) {
      CHECK(nas_codebook_read(codebook.handle, e.data(), n.data(), m.data(), dead.data(), nullptr) ==
            NAS_OK);
    }
    bool operator==(const State &o) const {
      return same_bits(e, o.e) && same_bits(m, o.m) && same_bits(n, o.n) && same_bits(dead, o.dead);
    }
  };
  for (int tier : tiers()) {
    CHECK(nas_set_tier(tier) == NAS_OK);
    for (int repeat = 0; repeat < 40; ++repeat) {
      const int64_t K = pick(1, 70), d = pick(1, 50), rows = pick(0, 90);
      const int64_t B = pick(0, 3), N = pick(1, 20), M = pick(1, N), R = pick(1, 6);
      context = text("enqueue: tier %d, K %lld, d %lld, rows %lld", tier, (long long)K, (long long)d,
                     (long long)rows);
      std::vector<float> e, x;
      make_data(kGaussian, K, d, rows, e, x);
      Codebook plain(e, K, d), enqueued(e, K, d);
      CHECK(nas_codebook_reserve(enqueued.handle, rows, NAS_FLOAT32, B, N) == NAS_OK);
      int64_t held[2] = {-1, -1};
      CHECK(nas_codebook_workspace(enqueued.handle, &held[0], &held[1]) == NAS_OK);
      CHECK(held[0] >= 2 * (K * d * 8 + K * 8) && held[1] == 0);
      /* Fine, a bad row, a bad code, rows that no codeword can follow. */
      for (int fault = 0; fault < 4; ++fault) {
        std::vector<float> values = x;
        std::vector<int32_t> codes((size_t)rows);
        for (int32_t &code : codes) code = (int32_t)pick(0, K - 1);
        if (rows > 0 && fault == 1) values[(size_t)pick(0, rows * d - 1)] = NAN;
        if (rows > 0 && fault == 2) codes[(size_t)pick(0, rows - 1)] = pick(0, 1) == 0 ? -1 : (int32_t)K;
        if (fault == 3) {
          std::fill(values.begin(), values.end(), 3e38f);
          std::fill(codes.begin(), codes.end(), 0);
        }
        std::vector<int32_t> found[2];
        std::vector<float> far[2];
        int64_t bad = -7;
        nas_verdict verdict{-7, -7};
        for (int i = 0; i < 2; ++i) {
          found[i].assign((size_t)rows, -9);
          far[i].assign((size_t)rows, -9.0f);
        }
        nas_status status = nas_lookup(plain.handle, values.data(), NAS_FLOAT32, rows, d,
                                       found[0].data(), far[0].data(), &bad, nullptr, nullptr);
        CHECK(nas_lookup_enqueue(enqueued.handle, values.data(), NAS_FLOAT32, rows, d,
                                 found[1].data(), far[1].data(), &verdict, nullptr) == NAS_OK);
        CHECK(verdict.status == status && verdict.bad_row == bad);
        CHECK(status != NAS_OK || (found[0] == found[1] && same_bits(far[0], far[1])));
        status = nas_update(plain.handle, values.data(), NAS_FLOAT32, rows, d, codes.data(), 0.5,
                            1e-5, 0.5, &bad, nullptr);
        const State before(enqueued, K, d);
        CHECK(nas_update_enqueue(enqueued.handle, values.data(), NAS_FLOAT32, rows, d, codes.data(),
                                 0.5, 1e-5, 0.5, &verdict, nullptr) == NAS_OK);
        CHECK(verdict.status == status && verdict.bad_row == bad);
        CHECK(rows == 0 || fault == 0 || fault == 3 || status != NAS_OK);
        CHECK(State(plain, K, d) == State(enqueued, K, d));
        CHECK(status == NAS_OK || State(enqueued, K, d) == before);
      }
      /* Fine, a bad code, a bad entry of a list, a bad similarity. */
      const nas_swap_params p = {B, N, M, R, 0.25, random_source(), 3, NAS_SWAP_RESIDUAL};
      for (int fault = 0; fault < 4; ++fault) {
        std::vector<float> similar[2], tokens((size_t)(B * N * d));
        for (std::vector<float> &values : similar) {
          values.resize((size_t)(B * N));
          for (float &value : values) value = gaussian();
        }
        for (float &value : tokens) value = gaussian();
        std::vector<int32_t> codes((size_t)(B * N)), lists((size_t)(K * R));
        for (int32_t &code : codes) code = (int32_t)pick(0, K - 1);
        for (int32_t &code : lists) code = (int32_t)pick(-1, K - 1);
        const std::vector<int64_t> ids((size_t)B, 77);
        if (B > 0 && fault == 1) codes[(size_t)pick(0, B * N - 1)] = (int32_t)K;
        if (B > 0 && fault == 2) lists[(size_t)pick(0, K * R - 1)] = -2;
        if (B > 0 && fault == 3) similar[pick(0, 1)][(size_t)pick(0, B * N - 1)] = INFINITY;
        std::vector<int32_t> positions[2], substitutes[2];
        std::vector<float> swapped[2];
        for (int i = 0; i < 2; ++i) {
          positions[i].assign((size_t)(B * M), -9);
          substitutes[i].assign((size_t)(B * M), -9);
          swapped[i] = tokens;
        }
        int64_t bad = -7;
        nas_verdict verdict{-7, -7};
        const nas_status status =
            nas_swap(plain.handle, &p, similar[0].data(), similar[1].data(), swapped[0].data(),
                     codes.data(), lists.data(), ids.data(), positions[0].data(),
                     substitutes[0].data(), swapped[0].data(), &bad, nullptr);
        CHECK(nas_swap_enqueue(enqueued.handle, &p, similar[0].data(), similar[1].data(),
                               swapped[1].data(), codes.data(), lists.data(), ids.data(),
                               positions[1].data(), substitutes[1].data(), swapped[1].data(),
                               &verdict, nullptr) == NAS_OK);
        CHECK(verdict.status == status && verdict.bad_row == bad);
        CHECK(B == 0 || (status == NAS_OK) == (fault == 0));
        CHECK(same_bits(swapped[0], swapped[1]));
        CHECK(status == NAS_OK ? positions[0] == positions[1] && substitutes[0] == substitutes[1]
                               : same_bits(swapped[1], tokens));
      }
    }
  }

  context = "enqueue: refusals";
  Codebook codebook({1.0f, 2.0f, 3.0f, 4.0f}, 2, 2);
  nas_codebook *c = codebook.handle;
  const float x[12] = {};
  const uint16_t narrow[4] = {};
  const int32_t codes[3] = {};
  int32_t found[3];
  nas_verdict v{-7, -7};
  auto lookup = [&](int32_t type, int64_t rows, nas_verdict *verdict) {
    return nas_lookup_enqueue(c, type == NAS_FLOAT32 ? (const void *)x : narrow, type, rows, 2, found,
                              nullptr, verdict, nullptr);
  };
  auto update = [&](int64_t rows, double gamma, nas_verdict *verdict) {
    return nas_update_enqueue(c, x, NAS_FLOAT32, rows, 2, codes, gamma, 1e-5, 0.0, verdict, nullptr);
  };
  auto beyond = [&](nas_status status) {
    return status == NAS_INVALID_ARGUMENT && v.status == -7 &&
           strstr(nas_last_error(), "nas_codebook_reserve") != nullptr;
  };
  CHECK(beyond(lookup(NAS_FLOAT32, 0, &v)));
  CHECK(beyond(update(0, 0.5, &v)));
  CHECK(nas_codebook_reserve(nullptr, 1, NAS_FLOAT32, 1, 1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_reserve(c, -1, NAS_FLOAT32, 1, 1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_reserve(c, 1, 3, 1, 1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_reserve(c, 1, NAS_FLOAT32, 1, -1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_reserve(c, INT64_MAX / 8, NAS_FLOAT32, 1, 1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_reserve(c, 1, NAS_FLOAT32, INT64_MAX / 2, 3) == NAS_INVALID_ARGUMENT);
  CHECK(beyond(lookup(NAS_FLOAT32, 1, &v)));
  CHECK(nas_codebook_reserve(c, 2, NAS_FLOAT32, 1, 2) == NAS_OK);
  CHECK(beyond(lookup(NAS_FLOAT32, 3, &v)));
  CHECK(beyond(update(3, 0.5, &v)));
  CHECK(beyond(lookup(NAS_BFLOAT16, 1, &v)));
  CHECK(lookup(NAS_FLOAT32, 2, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(update(2, 0.5, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(update(2, 1.0, &v) == NAS_INVALID_ARGUMENT && v.status == -7);
  CHECK(lookup(NAS_FLOAT32, -1, &v) == NAS_INVALID_ARGUMENT && v.status == -7);
  CHECK(lookup(NAS_FLOAT32, 2, &v) == NAS_OK && v.status == NAS_OK && v.bad_row == -1);
  v = {-7, -7};
  /* Less does not take away what was reserved, and more adds to it. */
  CHECK(nas_codebook_reserve(c, 0, NAS_FLOAT16, 0, 0) == NAS_OK);
  CHECK(lookup(NAS_BFLOAT16, 2, &v) == NAS_OK && v.status == NAS_OK);
  v = {-7, -7};
  float t[8] = {};
  int32_t out[2][2];
  const int64_t ids[2] = {};
  nas_swap_params p = {2, 2, 1, 1, 0.5, 1, 1, NAS_SWAP_QUANTISED};
  auto swap = [&](const nas_swap_params *params, nas_verdict *verdict) {
    return nas_swap_enqueue(c, params, x, x, t, codes, codes, ids, out[0], out[1], t, verdict, nullptr);
  };
  CHECK(beyond(swap(&p, &v)));
  p.images = 1;
  CHECK(swap(nullptr, &v) == NAS_INVALID_ARGUMENT && swap(&p, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(swap(&p, &v) == NAS_OK && v.status == NAS_OK && v.bad_row == -1);
  p.tokens = 3;
  v = {-7, -7};
  CHECK(beyond(swap(&p, &v)));
  int64_t bytes = -7;
  CHECK(nas_codebook_workspace(nullptr, &bytes, &bytes) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_workspace(c, nullptr, &bytes) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_workspace(c, &bytes, nullptr) == NAS_INVALID_ARGUMENT && bytes == -7);
}

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

static void test_arguments() {
  context = "arguments";
  CHECK(nas_abi_version() == NAS_ABI_VERSION);
  const float two[] = {1.0f, 2.0f};
  nas_codebook *out = nullptr;
  int64_t bad = 4;
  char line[64];
  CHECK(nas_describe(line, sizeof line) == NAS_OK && strncmp(line, "cpu ", 4) == 0);
  CHECK(nas_describe(line, 3) == NAS_OK && strcmp(line, "cp") == 0);
  CHECK(nas_describe(line, 0) == NAS_INVALID_ARGUMENT);
  CHECK(nas_describe(nullptr, 9) == NAS_INVALID_ARGUMENT);
  CHECK(nas_set_tier(-1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_set_tier(nas_best_tier() + 1) == NAS_INVALID_ARGUMENT);
  CHECK(nas_set_threads(0) == NAS_INVALID_ARGUMENT);
  CHECK(nas_set_threads(1025) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(nullptr, 1, 1, &bad, nullptr, &out) == NAS_INVALID_ARGUMENT);
  CHECK(bad == -1);
  CHECK(nas_codebook_create(two, 1, 2, &bad, nullptr, nullptr) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(two, 0, 2, &bad, nullptr, &out) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(two, NAS_MAX_CODEWORDS + 1, 2, &bad, nullptr, &out) ==
        NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(two, 1, NAS_MAX_WIDTH + 1, &bad, nullptr, &out) ==
        NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(two, 1, -1, &bad, nullptr, &out) == NAS_INVALID_ARGUMENT);
  CHECK(nas_codebook_create(two, 1, 2, &bad, line, &out) == NAS_INVALID_ARGUMENT);
  CHECK(out == nullptr);
  const float broken[] = {1.0f, 2.0f, 3.0f, INFINITY};
  CHECK(nas_codebook_create(broken, 2, 2, &bad, nullptr, &out) == NAS_NON_FINITE && bad == 1);
  CHECK(nas_codebook_create(broken, 2, 2, nullptr, nullptr, &out) == NAS_NON_FINITE);
  CHECK(nas_codebook_close(nullptr) == NAS_OK);

  Codebook codebook({1.0f, 2.0f, 3.0f, 4.0f}, 2, 2);
  int64_t K = 0, d = 0;
  CHECK(nas_codebook_shape(codebook.handle, &K, &d) == NAS_OK && K == 2 && d == 2);
  CHECK(nas_codebook_shape(nullptr, &K, &d) == NAS_INVALID_ARGUMENT);
  int32_t index = -3;
  const char *unaligned = reinterpret_cast<const char *>(two) + 1;
  auto lookup = [&](const float *x, int64_t rows, int64_t stride) {
    return lookup_float32(codebook.handle, x, rows, stride, &index, nullptr, &bad);
  };
  CHECK(lookup(two, 1, 2) == NAS_OK && index == 0);
  index = -3;
  CHECK(lookup(nullptr, 0, 2) == NAS_OK);
  CHECK(lookup(nullptr, 1, 2) == NAS_INVALID_ARGUMENT);
  CHECK(lookup(reinterpret_cast<const float *>(unaligned), 1, 2) == NAS_INVALID_ARGUMENT);
  CHECK(lookup(two, -1, 2) == NAS_INVALID_ARGUMENT);
  CHECK(lookup(two, 1, 1) == NAS_INVALID_ARGUMENT);
  CHECK(strstr(nas_last_error(), "row_stride is 1") != nullptr);
  CHECK(lookup(two, INT64_MAX / 2, 3) == NAS_INVALID_ARGUMENT);
  CHECK(lookup_float32(codebook.handle, two, 1, 2, nullptr, nullptr, &bad) ==
        NAS_INVALID_ARGUMENT);
  CHECK(lookup_float32(nullptr, two, 1, 2, &index, nullptr, &bad) == NAS_INVALID_ARGUMENT);
  CHECK(lookup_float32(codebook.handle, two, 1, 2, &index, nullptr, &bad, line) ==
        NAS_INVALID_ARGUMENT);
  CHECK(index == -3);

  /* The message belongs to the thread. */
  CHECK(nas_set_threads(0) == NAS_INVALID_ARGUMENT);
  std::string other = "?";
  std::thread([&] { other = nas_last_error(); }).join();
  CHECK(other.empty() && *nas_last_error() != '\0');
}

/* Distances above the largest float32 become infinity; the index is still right. */
static void test_overflowing_distance() {
  context = "overflowing distance";
  const float largest = std::numeric_limits<float>::max();
  for (int tier : tiers()) {
    nas_set_tier(tier);
    Codebook codebook({largest, -largest}, 2, 1);
    const float x[] = {0.0f, -1.0f};
    int32_t indices[2];
    float distances[2];
    CHECK(lookup_float32(codebook.handle, x, 2, 1, indices, distances, nullptr) == NAS_OK);
    CHECK(indices[0] == 0 && indices[1] == 0); /* |largest + 1| rounds to largest in float64 too */
    CHECK(distances[0] == INFINITY && distances[1] == INFINITY);
  }
}

#if defined(__x86_64__)
static void test_float_environment() {
  std::vector<float> e, x;
  make_data(kDenormal, 50, 19, 40, e, x);
  std::vector<int32_t> expected(40), out(40);
  std::vector<float> distances(40);
  for (size_t i = 0; i < 40; ++i) naive_lookup(e, 50, 19, &x[i * 19], &expected[i], &distances[i]);
  Codebook codebook(e, 50, 19);
  const unsigned kept = _mm_getcsr();
  for (int tier : tiers()) {
    nas_set_tier(tier);
    context = text("float environment tier %d", tier);
    /* Flush to zero, denormals are zero, round down, as a host program may have set it. */
    const unsigned odd = 0x1f80 | 0x8000 | 0x0040 | 0x2000;
    _mm_setcsr(odd);
    const nas_status status =
        lookup_float32(codebook.handle, x.data(), 40, 19, out.data(), nullptr, nullptr);
    const unsigned after = _mm_getcsr();
    _mm_setcsr(kept);
    CHECK(status == NAS_OK);
    CHECK(after == odd);
    CHECK(same_bits(out, expected));
  }
}
#endif

static void test_concurrent_callers() {
  context = "concurrent callers";
  nas_set_tier(nas_best_tier());
  nas_set_threads(4);
  const int64_t K = 300, d = 33, rows = 500, R = 7;
  std::vector<float> e, x;
  make_data(kGaussian, K, d, rows, e, x);
  std::vector<int32_t> expected((size_t)rows);
  float distance;
  for (int64_t i = 0; i < rows; ++i) {
    naive_lookup(e, K, d, &x[(size_t)(i * d)], &expected[(size_t)i], &distance);
  }
  std::vector<int32_t> codes((size_t)rows), lists((size_t)(K * R));
  for (int32_t &code : codes) code = (int32_t)pick(0, K - 1);
  std::vector<double> counts((size_t)K, 0.0), sums((size_t)(K * d), 0.0);
  {
    Codebook alone(e, K, d);
    CHECK(nas_neighbours(alone.handle, R, nullptr, lists.data(), nullptr) == NAS_OK);
    CHECK(nas_accumulate(alone.handle, x.data(), NAS_FLOAT32, rows, d, codes.data(), counts.data(),
                         sums.data(), nullptr, nullptr) == NAS_OK);
  }
  /* The first callers pack the codewords, for one tier or another, while the others wait or work. */
  Codebook codebook(e, K, d);
  std::vector<int> wrong(6, 0);
  std::vector<std::thread> callers;
  for (size_t c = 0; c < wrong.size(); ++c) {
    callers.emplace_back([&, c] {
      for (int repeat = 0; repeat < 100; ++repeat) {
        if (c == 0) nas_set_tier(repeat % (nas_best_tier() + 1));
        if (c == 1) nas_set_threads(1 + repeat % 4);
        if (c == 4 && repeat % 4 == 0) {
          std::vector<int32_t> out(lists.size(), -2);
          const nas_status status =
              nas_neighbours(codebook.handle, R, nullptr, out.data(), nullptr);
          if (status != NAS_OK || !same_bits(out, lists)) ++wrong[c];
        } else if (c == 5) {
          std::vector<double> n(counts.size(), 0.0), m(sums.size(), 0.0);
          const nas_status status =
              nas_accumulate(codebook.handle, x.data(), NAS_FLOAT32, rows, d, codes.data(),
                             n.data(), m.data(), nullptr, nullptr);
          if (status != NAS_OK || !same_bits(n, counts) || !same_bits(m, sums)) ++wrong[c];
        } else {
          std::vector<int32_t> out((size_t)rows, -1);
          nas_lookup_stats stats;
          const nas_status status =
              nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, out.data(), nullptr,
                         nullptr, &stats, nullptr);
          if (status != NAS_OK || !same_bits(out, expected)) ++wrong[c];
        }
      }
    });
  }
  for (std::thread &caller : callers) caller.join();
  for (int count : wrong) CHECK(count == 0);
  nas_set_tier(nas_best_tier());
  nas_set_threads(4);

  /* A forked child has no worker threads and must not wait for them. */
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::vector<int32_t> out((size_t)rows, -1);
    const nas_status status =
        lookup_float32(codebook.handle, x.data(), rows, d, out.data(), nullptr, nullptr);
    _exit(status == NAS_OK && same_bits(out, expected) ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static int test_low_memory() {
  context = "low memory";
  const int64_t K = 20000, d = 8;
  std::vector<float> e, x;
  make_data(kGaussian, K, d, 64, e, x);
  Codebook codebook(e, K, d);
  std::vector<int32_t> out(64), expected(64), lists((size_t)K);
  float distance;
  for (size_t i = 0; i < 64; ++i) naive_lookup(e, K, d, &x[i * 8], &expected[i], &distance);
  std::vector<double> counts((size_t)K), sums((size_t)(K * d));
  std::vector<void *> hoard;
  hoard.reserve(100000);
  FILE *statm = fopen("/proc/self/statm", "r");
  long pages = 0;
  if (statm == nullptr || fscanf(statm, "%ld", &pages) != 1) return 2;
  fclose(statm);
  /* Room for the scratch memory of a lookup, not for a thread's stack. */
  nas_set_threads(8);
  rlimit limit;
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = (rlim_t)pages * 4096 + (4 << 20);
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  CHECK(lookup_float32(codebook.handle, x.data(), 64, d, out.data(), nullptr, nullptr) ==
        NAS_OK);
  CHECK(same_bits(out, expected));
  for (size_t size = 1 << 20; size >= 64; size /= 2) {
    while (void *block = malloc(size)) hoard.push_back(block);
  }
  const nas_status lookup =
      lookup_float32(codebook.handle, x.data(), 64, d, out.data(), nullptr, nullptr);
  const nas_status neighbours = nas_neighbours(codebook.handle, 1, nullptr, lists.data(), nullptr);
  const nas_status accumulate =
      nas_accumulate(codebook.handle, x.data(), NAS_FLOAT32, 64, d, out.data(), counts.data(),
                     sums.data(), nullptr, nullptr);
  const nas_status update = nas_update(codebook.handle, x.data(), NAS_FLOAT32, 64, d, out.data(), 0.5,
                                       1e-5, 0, nullptr, nullptr);
  const nas_status apply =
      nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, 1e-5, 0, nullptr);
  nas_codebook *another = nullptr;
  const nas_status create = nas_codebook_create(e.data(), K, d, nullptr, nullptr, &another);
  for (void *block : hoard) free(block);
  CHECK(lookup == NAS_OUT_OF_MEMORY);
  CHECK(neighbours == NAS_OUT_OF_MEMORY);
  CHECK(accumulate == NAS_OUT_OF_MEMORY);
  CHECK(apply == NAS_OUT_OF_MEMORY);
  CHECK(update == NAS_OUT_OF_MEMORY);
  CHECK(create == NAS_OUT_OF_MEMORY && another == nullptr);
  CHECK(lookup_float32(codebook.handle, x.data(), 64, d, out.data(), nullptr, nullptr) ==
        NAS_OK);
  CHECK(same_bits(out, expected));
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--low-memory") == 0) {
    if (test_low_memory() != 0) return 2;
  } else {
    test_philox();
    test_swap_arithmetic();
    test_arguments();
    test_lookup();
    test_lookup_types();
    test_lookup_stats();
    test_lookup_groups();
    test_lookup_resolution();
    test_lookup_non_finite();
    test_overflowing_distance();
    test_update();
    test_update_types();
    test_widening();
    test_update_overflow();
    test_update_by_hand();
    test_write_and_restart();
    test_neighbours();
    test_neighbours_resolution();
    test_neighbours_of_moving_codes();
    test_neighbours_horizon();
    test_swap();
    test_enqueue();
#if defined(__x86_64__)
    test_float_environment();
#endif
    test_concurrent_callers();
  }
  printf("%ld checks, %d failures, best tier %d\n", checks, failures, (int)nas_best_tier());
  return failures == 0 ? 0 : 1;
}
