/* What happens when memory and threads run out. */
#include <stdlib.h>
#include <sys/resource.h>

#include "test.h"

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

int main() {
  const int status = test_low_memory();
  return status != 0 ? status : conclude();
}
