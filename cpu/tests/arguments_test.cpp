/* Arguments that are refused, and the message of the thread that made the call. */
#include <thread>

#include "test.h"

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
  CHECK(nas_has_tier(NAS_CPU_TIER_SCALAR) == 1 && nas_has_tier(nas_best_tier()) == 1);
  for (int32_t tier : {INT32_MIN, -1, NAS_CPU_TIER_AMX + 1, 31, 32, INT32_MAX}) {
    CHECK(nas_has_tier(tier) == 0);
  }
  for (int32_t tier = NAS_CPU_TIER_SCALAR; tier <= NAS_CPU_TIER_AMX; ++tier) {
    const int32_t had = nas_has_tier(tier);
    CHECK((had == 0 || had == 1) && (tier <= nas_best_tier() || had == 0));
    CHECK(nas_set_tier(tier) == (had ? NAS_OK : NAS_INVALID_ARGUMENT));
    CHECK(nas_tier() == tier || !had);
  }
  CHECK(nas_set_tier(nas_best_tier()) == NAS_OK);
  CHECK(nas_set_threads(0) == NAS_INVALID_ARGUMENT);
  CHECK(nas_set_threads(NAS_MAX_THREADS + 1) == NAS_INVALID_ARGUMENT);
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

int main() {
  test_arguments();
  return conclude();
}
