/*
 * Prints the speed of the host kernels: timing [rows [K [d]]]. Not a test.
 * Lookups are given as float32 multiply-adds of the rows x K x d product, the work that a matrix
 * product followed by argmin would do.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <random>
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

template <typename F>
static double best_of(int repeats, F run) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    double start = seconds();
    run();
    best = std::min(best, seconds() - start);
  }
  return best;
}

int main(int argc, char **argv) {
  const int64_t rows = argc > 1 ? atoll(argv[1]) : 6272;
  const int64_t K = argc > 2 ? atoll(argv[2]) : 2048;
  const int64_t d = argc > 3 ? atoll(argv[3]) : 768;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> codewords((size_t)(K * d)), x((size_t)(rows * d));
  for (float &value : codewords) value = normal(random);
  for (float &value : x) value = normal(random);
  std::vector<int32_t> codes((size_t)rows), lists((size_t)(K * 32));
  std::vector<float> distances((size_t)rows);
  std::vector<double> counts((size_t)K), sums((size_t)(K * d));
  nas_codebook *codebook;
  require(nas_codebook_create(codewords.data(), K, d, nullptr, nullptr, &codebook));
  const int all = nas_threads();
  for (int tier = nas_best_tier(); tier >= 0; --tier) {
    for (int threads = all; threads >= 1; threads = threads > 1 ? 1 : 0) {
      require(nas_set_tier(tier));
      require(nas_set_threads(threads));
      char name[256];
      require(nas_describe(name, sizeof name));
      const int64_t some = tier == 0 ? std::min<int64_t>(rows, 64) : rows;
      const int repeats = tier == 0 ? 1 : 5;
      const double t = best_of(repeats, [&] {
        require(nas_lookup(codebook, x.data(), NAS_FLOAT32, some, d, codes.data(), nullptr, nullptr, nullptr,
                           nullptr));
      });
      const double td = best_of(repeats, [&] {
        require(nas_lookup(codebook, x.data(), NAS_FLOAT32, some, d, codes.data(), distances.data(), nullptr, nullptr,
                           nullptr));
      });
      const double flop = 2.0 * (double)some * (double)K * (double)d;
      printf("%-22s lookup %8.2f ms = %6.1f GFLOP/s, with distances %8.2f ms\n", name, t * 1e3,
             flop / t * 1e-9, td * 1e3);
      if (tier == 0) continue;
      const double one = best_of(20, [&] {
        require(nas_lookup(codebook, x.data(), NAS_FLOAT32, 1, d, codes.data(), nullptr, nullptr, nullptr,
                           nullptr));
      });
      require(nas_lookup(codebook, x.data(), NAS_FLOAT32, rows, d, codes.data(), nullptr, nullptr, nullptr,
                           nullptr));
      const double ta = best_of(5, [&] {
        require(nas_accumulate(codebook, x.data(), NAS_FLOAT32, rows, d, codes.data(), counts.data(),
                               sums.data(), nullptr, nullptr));
      });
      const double tn = best_of(
          2, [&] { require(nas_neighbours(codebook, 32, nullptr, lists.data(), nullptr)); });
      printf("%-22s one row %.3f ms, accumulate %.2f ms, neighbours %.2f ms", "", one * 1e3, ta * 1e3,
             tn * 1e3);
      std::vector<double> ones((size_t)K, 1.0), means(codewords.begin(), codewords.end());
      const double tu = best_of(3, [&] {
        require(nas_apply(codebook, ones.data(), means.data(), 0.99, 1e-5, 0, nullptr));
      });
      const double tb = best_of(5, [&] {
        require(nas_update(codebook, x.data(), NAS_FLOAT32, rows, d, codes.data(), 0.99, 1e-5, 0,
                           nullptr, nullptr));
      });
      printf(", apply %.2f ms, update %.2f ms\n", tu * 1e3, tb * 1e3);
    }
  }
  require(nas_codebook_close(codebook));
  return 0;
}
