/*
 * Prints the speed of the host kernels: nas_timing [rows [K [d [rounds]]]]. Not a test.
 *
 * Lookups are given as an effective rate, the float32 multiply-adds of the rows x K x d product that
 * a matrix product followed by argmin would need, beside the machine's own float32 multiply-add peak,
 * measured in turn with them: medians over the rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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
  if (tier == NAS_TIER_SCALAR) return 0;
  const bool wide = tier >= NAS_TIER_AVX512;
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

/* ---------------------------------------------------------------- the program */

int main(int argc, char **argv) {
  const int64_t rows = argc > 1 ? atoll(argv[1]) : 6272;
  const int64_t K = argc > 2 ? atoll(argv[2]) : 2048;
  const int64_t d = argc > 3 ? atoll(argv[3]) : 768;
  const int rounds = argc > 4 ? atoi(argv[4]) : 7;
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
  std::vector<int32_t> codes((size_t)rows), lists((size_t)(K * 32));
  nas_codebook *codebook;
  require(nas_codebook_create(codewords.data(), K, d, nullptr, nullptr, &codebook));

  struct Case {
    int32_t tier, threads;
    bool clusters;
    std::vector<double> times, peaks, shares;
    nas_lookup_stats stats;
  };
  std::vector<Case> cases;
  const int32_t all = nas_threads();
  for (int32_t tier = nas_best_tier(); tier >= NAS_TIER_AVX2; --tier) {
    for (int32_t threads = 1; threads <= all; threads += all > 1 ? all - 1 : 1) {
      for (bool clusters : {false, true}) cases.push_back({tier, threads, clusters, {}, {}, {}, {}});
    }
  }
  const double flop = 2.0 * (double)rows * (double)K * (double)d;
  for (int round = 0; round <= rounds; ++round) {
    for (Case &c : cases) {
      require(nas_set_tier(c.tier));
      require(nas_set_threads(c.threads));
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
    printf("%-28s %-9s lookup %8.2f ms, %6.0f GFLOP/s, peak %5.0f, share %.2f; candidates %.2f, "
           "distances %.2f a row\n",
           name, c.clusters ? "clustered" : "gaussian", median(c.times) * 1e3,
           flop / median(c.times) * 1e-9, median(c.peaks) * 1e-9, median(c.shares),
           (double)c.stats.candidates / (double)rows, (double)c.stats.distances / (double)rows);
  }

  require(nas_set_tier(nas_best_tier()));
  require(nas_set_threads(all));
  std::vector<double> lookups, neighbours, updates, packing;
  for (int round = 0; round <= rounds; ++round) {
    nas_lookup_stats stats;
    updates.push_back(time_of([&] {
      require(nas_update(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), 0.99, 1e-5, 0,
                         nullptr, nullptr));
    }));
    require(nas_lookup(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr,
                       nullptr, &stats, nullptr));
    packing.push_back((double)stats.packing_ns * 1e-9);
    lookups.push_back(time_of([&] {
      require(nas_lookup(codebook, clustered.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr,
                         nullptr, nullptr, nullptr));
    }));
    neighbours.push_back(
        time_of([&] { require(nas_neighbours(codebook, 32, nullptr, lists.data(), nullptr)); }));
  }
  printf("packing %.2f ms, update %.2f ms, neighbours (R = 32) %.2f ms, lookup %.2f ms\n",
         median(packing) * 1e3, median(updates) * 1e3, median(neighbours) * 1e3,
         median(lookups) * 1e3);
  require(nas_codebook_close(codebook));
  return 0;
}
