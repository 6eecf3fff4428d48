/*
 * Prints the speed of the host kernels. Not a test.
 *
 *   nas_timing [rows [K [d [rounds]]]]        lookups by tier, packing, update, neighbours, swap
 *   nas_timing worst [rows [K [d [rounds]]]]  lookups in codebooks that screening can do little with
 *
 * Lookups are given as an effective rate, the float32 multiply-adds of the rows x K x d product that
 * a matrix product followed by argmin would need, beside the machine's own float32 multiply-add peak,
 * measured in turn with them; updates beside reading memory, swaps beside a copy. All figures are
 * medians over the rounds.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "nas_kernels.h"

static double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void require(nas_status status) {
  if (status != NAS_OK) {
    fprintf(stderr, "%s\n", nas_last_error());
    exit(1);
  }
}

static double time_of(const std::function<void()> &run) {
  const double start = seconds();
  run();
  return seconds() - start;
}

static double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/* ---------------------------------------------------------------- the machine's peak */

#if defined(__x86_64__)
static const int kSums = 12; /* more than latency x ports */

__attribute__((target("avx512f"))) static float fma_avx512(int64_t steps) {
  __m512 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps((float)i);
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) static float fma_avx2(int64_t steps) {
  __m256 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm256_set1_ps((float)i);
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}
#endif

/* The float32 peak in FLOP/s of `threads` threads with the registers of the tier, for about 20 ms. */
static double peak(int32_t tier, int32_t threads) {
#if defined(__x86_64__)
  if (tier == NAS_CPU_TIER_SCALAR) return 0;
  const bool wide = tier >= NAS_CPU_TIER_AVX512;
  const int64_t steps = 4000000;
  static std::atomic<float> sink;
  std::vector<std::thread> others;
  const double start = seconds();
  auto run = [&] { sink = wide ? fma_avx512(steps) : fma_avx2(steps); };
  for (int i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  for (std::thread &other : others) other.join();
  const double time = seconds() - start;
  return 2.0 * kSums * (wide ? 16 : 8) * (double)steps * threads / time;
#else
  (void)tier;
  (void)threads;
  return 0;
#endif
}

/* ---------------------------------------------------------------- neighbour lists */

extern "C" int64_t nas_screened_lists(const nas_codebook *codebook);
extern "C" void nas_screen_in_float32(int32_t yes);

/* Refreshes of the lists while momentum updates move the codewords: `steps` updates between two, each
 * from rows of its own near Gaussian centres, all alike or in families of K / 64. */
static void time_neighbours(int64_t rows, int64_t K, int64_t d, bool families, int steps,
                            int refreshes) {
  std::mt19937_64 random(2);
  std::normal_distribution<float> normal;
  const int64_t R = 32, spare = 1 << 20;
  std::vector<float> noise((size_t)(spare + d)), centres((size_t)(K * d)), x((size_t)(rows * d));
  for (float &value : noise) value = normal(random);
  for (float &value : centres) value = normal(random);
  if (families) {
    for (int64_t j = 64; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        float &value = centres[(size_t)(j * d + t)];
        value = centres[(size_t)(j % 64 * d + t)] + 0.5f * value;
      }
    }
  }
  nas_codebook *codebook;
  require(nas_codebook_create(centres.data(), K, d, nullptr, nullptr, &codebook));
  std::vector<int32_t> codes((size_t)rows), lists((size_t)(K * R)), again(lists);
  std::vector<float> e((size_t)(K * d));
  auto step = [&] {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t z = (int64_t)(random() % (uint64_t)K);
      const float *from = &noise[(size_t)(random() % (uint64_t)spare)];
      codes[(size_t)i] = (int32_t)z;
      for (int64_t t = 0; t < d; ++t) {
        x[(size_t)(i * d + t)] = centres[(size_t)(z * d + t)] + 0.3f * from[t];
      }
    }
    require(nas_update(codebook, x.data(), NAS_FLOAT32, rows, d, codes.data(), 0.99, 1e-5, 0, nullptr,
                       nullptr));
  };
  auto look_up = [&](nas_codebook *other) {
    require(nas_lookup(other, x.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr, nullptr,
                       nullptr, nullptr));
  };
  for (int i = 0; i < 60; ++i) step();
  std::vector<double> all, screened, first, lookups;
  for (int refresh = 0; refresh <= refreshes; ++refresh) {
    if (refresh > 0) {
      for (int i = 0; i < steps; ++i) step();
    }
    look_up(codebook); /* packs */
    const double time = time_of(
        [&] { require(nas_neighbours(codebook, R, nullptr, lists.data(), nullptr)); });
    if (refresh > 0) {
      all.push_back(time);
      screened.push_back((double)nas_screened_lists(codebook));
    }
    lookups.push_back(time_of([&] { look_up(codebook); }));
    /* Lists of a codebook that has none yet. */
    nas_codebook *other;
    require(nas_codebook_read(codebook, e.data(), nullptr, nullptr, nullptr, nullptr));
    require(nas_codebook_create(e.data(), K, d, nullptr, nullptr, &other));
    look_up(other);
    first.push_back(
        time_of([&] { require(nas_neighbours(other, R, nullptr, again.data(), nullptr)); }));
    require(nas_codebook_close(other));
    if (again != lists) {
      fprintf(stderr, "lists made from kept ones differ\n");
      exit(1);
    }
  }
  double total = 0, lists_screened = 0;
  for (double time : all) total += time;
  for (double count : screened) lists_screened += count;
  printf("neighbours (R = 32), %-8s refreshed after %2d updates: median %6.2f ms, mean %6.2f ms, %4.0f of "
         "%d lists screened on average; first lists %6.2f ms, lookup %6.2f ms\n",
         families ? "families" : "gaussian", steps, median(all) * 1e3, total / refreshes * 1e3,
         lists_screened / refreshes, (int)K, median(first) * 1e3, median(lookups) * 1e3);
}

/* ---------------------------------------------------------------- memory */

/* Runs run(part) for part = 0..threads-1, each in a thread of its own. */
static void on_threads(int32_t threads, const std::function<void(int32_t)> &run) {
  std::vector<std::thread> others;
  for (int32_t i = 1; i < threads; ++i) others.emplace_back([&run, i] { run(i); });
  run(0);
  for (std::thread &other : others) other.join();
}

/* Seconds that `threads` threads take to read all of `data` once. */
static double reading(const std::vector<uint64_t> &data, int32_t threads) {
  static std::atomic<uint64_t> sink;
  const int passes = 8;
  const size_t share = data.size() / (size_t)threads / 16 * 16;
  return time_of([&] {
           on_threads(threads, [&](int32_t part) {
             for (int p = 0; p < passes; ++p) {
               const uint64_t *values = data.data() + (size_t)part * share;
               uint64_t sum[16] = {0};
               for (size_t i = 0; i < share; i += 16) {
                 for (size_t l = 0; l < 16; ++l) sum[l] ^= values[i + l];
               }
               for (size_t l = 0; l < 16; ++l) sink ^= sum[l];
             }
           });
         }) /
         passes;
}

/* ---------------------------------------------------------------- the program */

static const char *name_of(int32_t tier) {
  switch (tier) {
    case NAS_CPU_TIER_AVX2: return "avx2";
    case NAS_CPU_TIER_AVX_VNNI: return "avx_vnni";
    case NAS_CPU_TIER_AVX512: return "avx512";
    case NAS_CPU_TIER_AVX512_VNNI: return "avx512_vnni";
    case NAS_CPU_TIER_AMX: return "amx";
    default: return "scalar";
  }
}

/* The vector tiers, the best first. */
static std::vector<int32_t> vector_tiers() {
  std::vector<int32_t> tiers;
  for (int32_t tier = nas_best_tier(); tier >= NAS_CPU_TIER_AVX2; --tier) {
    if (nas_has_tier(tier)) tiers.push_back(tier);
  }
  return tiers;
}

/* Codewords around few centres, and rows near codewords: by a little that a float32 product cannot
 * tell apart, or by one unit in the last place. */
static int worst_cases(int64_t rows, int64_t K, int64_t d, int rounds) {
  struct Problem {
    const char *name;
    int64_t centres; /* 0: Gaussian codewords */
    bool ulp;
    nas_codebook *codebook;
    std::vector<float> x;
  };
  /* The first one without int8: what the others are compared with. */
  std::vector<Problem> problems = {{"float32 alone", 0, false, nullptr, {}},
                                   {"gaussian", 0, false, nullptr, {}},
                                   {"0.02 around 1", 1, false, nullptr, {}},
                                   {"0.02 around 2", 2, false, nullptr, {}},
                                   {"0.02 around 16", 16, false, nullptr, {}},
                                   {"1 ulp around 1", 1, true, nullptr, {}},
                                   {"1 ulp around 2", 2, true, nullptr, {}},
                                   {"1 ulp around 4", 4, true, nullptr, {}},
                                   {"1 ulp around 16", 16, true, nullptr, {}}};
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (Problem &p : problems) {
    std::vector<float> centres((size_t)((p.centres + 1) * d)), e((size_t)(K * d));
    for (float &value : centres) value = 10 * normal(random);
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        const float centre = centres[(size_t)((p.centres == 0 ? 0 : j % p.centres) * d + t)];
        float &value = e[(size_t)(j * d + t)];
        if (p.centres == 0) {
          value = normal(random);
        } else if (p.ulp) {
          const int64_t side = (int64_t)(random() % 3) - 1;
          value = side == 0 ? centre : nextafterf(centre, side < 0 ? -INFINITY : INFINITY);
        } else {
          value = centre + 0.02f * (2 * (float)(random() >> 40) * 0x1p-24f - 1);
        }
      }
    }
    p.x.resize((size_t)(rows * d));
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t z = (int64_t)(random() % (uint64_t)K);
      for (int64_t t = 0; t < d; ++t) {
        p.x[(size_t)(i * d + t)] =
            (p.centres == 0 ? 0 : e[(size_t)(z * d + t)]) + normal(random);
      }
    }
    require(nas_codebook_create(e.data(), K, d, nullptr, nullptr, &p.codebook));
  }
  std::vector<int32_t> codes((size_t)rows);
  const std::vector<int32_t> tiers = vector_tiers();
  std::vector<std::vector<double>> times(problems.size() * tiers.size());
  std::vector<nas_lookup_stats> stats(times.size());
  for (int round = 0; round <= rounds; ++round) {
    for (size_t c = 0; c < times.size(); ++c) {
      const Problem &p = problems[c / tiers.size()];
      require(nas_set_tier(tiers[c % tiers.size()]));
      nas_screen_in_float32(c < tiers.size());
      const double time = time_of([&] {
        require(nas_lookup(p.codebook, p.x.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr,
                           nullptr, &stats[c], nullptr));
      });
      if (round > 0) times[c].push_back(time);
    }
  }
  for (size_t c = 0; c < times.size(); ++c) {
    const size_t tier = c % tiers.size();
    printf("%-16s %-11s lookup %9.2f ms, %5.2f of float32's on gaussian; rows by int8 %lld, by float32 "
           "%lld, scanned %lld; candidates %.1f, distances %.1f a row\n",
           problems[c / tiers.size()].name, name_of(tiers[tier]), median(times[c]) * 1e3,
           median(times[c]) / median(times[tier]), (long long)stats[c].rows_int8,
           (long long)stats[c].rows_float32, (long long)stats[c].rows_scanned,
           (double)stats[c].candidates / (double)rows, (double)stats[c].distances / (double)rows);
  }
  for (Problem &p : problems) require(nas_codebook_close(p.codebook));
  return 0;
}

int main(int argc, char **argv) {
  const bool worst = argc > 1 && strcmp(argv[1], "worst") == 0;
  if (worst) {
    --argc;
    ++argv;
  }
  const int64_t rows = argc > 1 ? atoll(argv[1]) : 6272;
  const int64_t K = argc > 2 ? atoll(argv[2]) : 2048;
  const int64_t d = argc > 3 ? atoll(argv[3]) : 768;
  const int rounds = argc > 4 ? atoi(argv[4]) : 7;
  if (worst) return worst_cases(rows, K, d, rounds);
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> codewords((size_t)(K * d)), gaussian((size_t)(rows * d)), clustered(gaussian);
  for (float &value : codewords) value = normal(random);
  for (float &value : gaussian) value = normal(random);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t z = (int64_t)(random() % (uint64_t)K);
    for (int64_t t = 0; t < d; ++t) {
      clustered[(size_t)(i * d + t)] = codewords[(size_t)(z * d + t)] + 0.3f * normal(random);
    }
  }
  std::vector<int32_t> codes((size_t)rows);
  nas_codebook *codebook;
  require(nas_codebook_create(codewords.data(), K, d, nullptr, nullptr, &codebook));

  struct Case {
    int32_t tier, threads;
    bool float32, clusters;
    std::vector<double> times, peaks, shares;
    nas_lookup_stats stats;
  };
  std::vector<Case> cases;
  const int32_t all = nas_threads();
  for (int32_t tier : vector_tiers()) {
    for (int32_t threads = 1; threads <= all; threads += all > 1 ? all - 1 : 1) {
      for (bool float32 : {false, true}) {
        for (bool clusters : {false, true}) {
          cases.push_back({tier, threads, float32, clusters, {}, {}, {}, {}});
        }
      }
    }
  }
  const double flop = 2.0 * (double)rows * (double)K * (double)d;
  for (int round = 0; round <= rounds; ++round) {
    for (Case &c : cases) {
      require(nas_set_tier(c.tier));
      require(nas_set_threads(c.threads));
      nas_screen_in_float32(c.float32);
      const std::vector<float> &x = c.clusters ? clustered : gaussian;
      const double before = peak(c.tier, c.threads);
      const double time = time_of([&] {
        require(nas_lookup(codebook, x.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr, nullptr,
                           &c.stats, nullptr));
      });
      const double after = peak(c.tier, c.threads);
      if (round == 0) continue; /* packs, and wakes the threads */
      c.times.push_back(time);
      c.peaks.push_back(std::max(before, after));
      c.shares.push_back(flop / time / std::max(before, after));
    }
  }
  for (const Case &c : cases) {
    char name[256];
    require(nas_set_tier(c.tier));
    require(nas_set_threads(c.threads));
    require(nas_describe(name, sizeof name));
    printf("%-28s %-7s %-9s lookup %8.2f ms, %6.0f GFLOP/s, peak %5.0f, share %.2f; candidates %.2f, "
           "distances %.2f a row\n",
           name, c.float32 ? "float32" : "int8", c.clusters ? "clustered" : "gaussian", median(c.times) * 1e3,
           flop / median(c.times) * 1e-9, median(c.peaks) * 1e-9, median(c.shares),
           (double)c.stats.candidates / (double)rows, (double)c.stats.distances / (double)rows);
  }

  require(nas_set_tier(nas_best_tier()));
  require(nas_set_threads(all));
  nas_screen_in_float32(false);
  /* Images of 196 tokens, of which 15 % are swapped. */
  const int64_t tokens = rows < 196 ? rows : 196, images = rows / tokens;
  const int64_t chosen = (tokens * 15 + 99) / 100, swapped_floats = images * tokens * d;
  std::vector<float> text((size_t)(images * tokens)), image(text), swapped(gaussian.size());
  for (float &value : text) value = normal(random);
  for (float &value : image) value = normal(random);
  std::vector<int64_t> sample_ids((size_t)images);
  for (int64_t b = 0; b < images; ++b) sample_ids[(size_t)b] = b;
  std::vector<int32_t> positions((size_t)(images * chosen)), substitutes(positions);
  std::vector<int32_t> lists((size_t)(K * 32));
  require(nas_neighbours(codebook, 32, nullptr, lists.data(), nullptr));
  nas_swap_params params{};
  params.images = images;
  params.tokens = tokens;
  params.chosen = chosen;
  params.neighbours = 32;
  params.text_weight = 0.5;
  params.write = NAS_WRITE_RESIDUAL;
  const nas_swap_input swap_input = {text.data(),  image.data(), nullptr,          nullptr, clustered.data(),
                                     codes.data(), lists.data(), sample_ids.data()};
  const nas_swap_output swap_output = {positions.data(), substitutes.data(), swapped.data(), nullptr,
                                       nullptr};
  /* An update reads x and m, and writes m and e. */
  const double update_bytes = 4.0 * (double)((rows + 3 * K) * d);
  std::vector<uint64_t> memory((size_t)(update_bytes / 8), 1);
  std::vector<double> lookups, updates, packing, reads, swaps, copies;
  for (int round = 0; round <= rounds; ++round) {
    nas_lookup_stats stats;
    /* Twice: what other kernels left in the caches is not the update's. */
    for (int i = 0; i < 2; ++i) {
      const double time = time_of([&] {
        require(nas_update(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), 0.99, 1e-5,
                           0, nullptr, nullptr));
      });
      if (i == 1 && round > 0) updates.push_back(time);
    }
    const double read = reading(memory, all);
    require(nas_lookup(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr,
                       nullptr, &stats, nullptr));
    const double lookup = time_of([&] {
      require(nas_lookup(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr,
                         nullptr, nullptr, nullptr));
    });
    double swap = 0, copy = 0;
    for (int i = 0; i < 2; ++i) {
      swap = time_of([&] {
        params.step = (uint32_t)round;
        require(nas_swap(codebook, &params, &swap_input, &swap_output, nullptr, nullptr));
      });
    }
    const int64_t part = swapped_floats / all;
    for (int i = 0; i < 2; ++i) {
      copy = time_of([&] {
               on_threads(all, [&](int32_t t) {
                 for (int pass = 0; pass < 4; ++pass) {
                   memcpy(swapped.data() + t * part, clustered.data() + t * part,
                          (size_t)part * sizeof(float));
                 }
               });
             }) /
             4;
    }
    if (round == 0) continue; /* packs, and makes the buffers */
    reads.push_back(read);
    packing.push_back((double)stats.packing_ns * 1e-9);
    lookups.push_back(lookup);
    swaps.push_back(swap);
    copies.push_back(copy);
  }
  printf("packing %.2f ms, lookup %.2f ms\n", median(packing) * 1e3, median(lookups) * 1e3);
  printf("update %.3f ms, %.1f GB/s, %.2f of reading's %.1f GB/s\n", median(updates) * 1e3,
         update_bytes / median(updates) * 1e-9, median(reads) / median(updates),
         update_bytes / median(reads) * 1e-9);
  printf("swap of %lld x %lld tokens %.3f ms, %.2f of a copy's %.3f ms\n", (long long)images,
         (long long)tokens, median(swaps) * 1e3, median(swaps) / median(copies),
         median(copies) * 1e3);
  require(nas_codebook_close(codebook));
  for (bool families : {false, true}) {
    for (int steps : {1, 10, 50}) time_neighbours(rows, K, d, families, steps, steps > 10 ? 6 : 15);
  }
  return 0;
}
