/*
 * What the tests of the host library share: checks, random numbers, codebooks and data. Each test compares
 * every tier with the definitions of nas_kernels.h, written out again as plainly as possible. Buffers end at
 * (or begin after) a page that must not be touched.
 */
#ifndef NAS_TESTS_TEST_H
#define NAS_TESTS_TEST_H

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "guarded.h"
#include "naive.h"
#include "nas_kernels.h"

inline int failures = 0;
inline long checks = 0;
inline std::string context;

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    ++checks;                                                                               \
    if (!(condition)) {                                                                     \
      if (++failures <= 20) {                                                               \
        fprintf(stderr, "%s:%d: %s [%s] last error: %s\n", __FILE__, __LINE__,              \
                #condition, context.c_str(), nas_last_error());                             \
      }                                                                                     \
    }                                                                                       \
  } while (0)

inline std::string text(const char *format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

inline std::mt19937_64 random_source(20240607);

inline int64_t pick(int64_t low, int64_t high) {
  return low + (int64_t)(random_source() % (uint64_t)(high - low + 1));
}

inline float gaussian() {
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

inline std::vector<int> tiers() {
  std::vector<int> all;
  for (int tier = 0; tier <= nas_best_tier(); ++tier) {
    if (nas_has_tier(tier)) all.push_back(tier);
  }
  return all;
}

extern "C" void nas_screen_in_float32(int32_t yes);

/* A tier, and which of its kinds of screening lookups begin with. */
struct Way {
  int tier;
  bool int8;

  bool scalar() const { return tier == NAS_CPU_TIER_SCALAR; }
  void use() const {
    CHECK(nas_set_tier(tier) == NAS_OK);
    nas_screen_in_float32(int8 ? 0 : 1);
  }
};

inline std::vector<Way> ways() {
  std::vector<Way> all;
  for (int tier : tiers()) {
    all.push_back({tier, false});
    if (tier != NAS_CPU_TIER_SCALAR) all.push_back({tier, true});
  }
  return all;
}

/* Prints what was checked; the program's exit code. */
inline int conclude() {
  printf("%ld checks, %d failures, best tier %d\n", checks, failures, (int)nas_best_tier());
  return failures == 0 && checks > 0 ? 0 : 1;
}

/* ---------------------------------------------------------------- codewords and rows */

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

inline void make_data(int kind, int64_t K, int64_t d, int64_t rows, std::vector<float> &e,
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

#endif
