/* Callers with a floating-point environment of their own, many at a time, and after a fork. */
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <thread>

#include "test.h"

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
  const std::vector<int> all = tiers();
  std::vector<std::thread> callers;
  for (size_t c = 0; c < wrong.size(); ++c) {
    callers.emplace_back([&, c] {
      for (int repeat = 0; repeat < 100; ++repeat) {
        if (c == 0) nas_set_tier(all[(size_t)repeat % all.size()]);
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

int main() {
#if defined(__x86_64__)
  test_float_environment();
#endif
  test_concurrent_callers();
  return conclude();
}
