/* Codebooks written, updated and restarted. */
#include "state.h"

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

/* The view follows every change, in one place, and a change that fails does not show. */
static void test_view() {
  for (int tier : tiers()) {
    nas_set_tier(tier);
    nas_set_threads(1 + tier % 3);
    for (int repeat = 0; repeat < 12; ++repeat) {
      /* The last ones are large enough to be copied by several threads. */
      const int64_t K = repeat < 9 ? pick(1, 40) : pick(300, 700), d = repeat < 9 ? pick(1, 30) : 257;
      context = text("view tier %d K %d d %d", tier, (int)K, (int)d);
      std::vector<float> e, x;
      make_data(kGaussian, K, d, 6, e, x);
      Codebook codebook(e, K, d);
      const float *codewords = nullptr;
      const double *n = nullptr;
      const int32_t *dead_steps = nullptr;
      CHECK(nas_codebook_view(codebook.handle, &codewords, &n, &dead_steps) == NAS_INVALID_ARGUMENT);
      CHECK(strstr(nas_last_error(), "nas_codebook_reserve") != nullptr && codewords == nullptr);
      const std::vector<double> counts((size_t)K, 0.25), sums((size_t)(K * d), 0.5);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, 1e-5, 0.9, nullptr) == NAS_OK);
      CHECK(nas_codebook_reserve(codebook.handle, 0, NAS_FLOAT32, 0, 0) == NAS_OK);
      CHECK(nas_codebook_view(codebook.handle, nullptr, nullptr, nullptr) == NAS_OK);
      CHECK(nas_codebook_view(codebook.handle, &codewords, &n, &dead_steps) == NAS_OK);
      auto shown = [&] {
        const float *again = nullptr;
        std::vector<float> held((size_t)(K * d));
        std::vector<double> held_n((size_t)K);
        std::vector<int32_t> held_dead((size_t)K);
        return nas_codebook_view(codebook.handle, &again, nullptr, nullptr) == NAS_OK &&
               again == codewords &&
               nas_codebook_read(codebook.handle, held.data(), held_n.data(), nullptr, held_dead.data(),
                                 nullptr) == NAS_OK &&
               same_bits(held.data(), codewords, held.size()) &&
               same_bits(held_n.data(), n, held_n.size()) &&
               same_bits(held_dead.data(), dead_steps, held_dead.size());
      };
      CHECK(shown());
      std::vector<int32_t> codes(6);
      for (int32_t &code : codes) code = (int32_t)pick(0, K - 1);
      for (int step = 0; step < 3; ++step) {
        const std::vector<float> before(codewords, codewords + K * d);
        CHECK(nas_update(codebook.handle, x.data(), NAS_FLOAT32, 6, d, codes.data(), 0.5, 1e-5, 0.9,
                         nullptr, nullptr) == NAS_OK);
        CHECK(shown() && !same_bits(before.data(), codewords, before.size()));
      }
      const std::vector<float> before(codewords, codewords + K * d);
      std::vector<float> bad = x;
      bad[(size_t)(3 * d)] = NAN;
      CHECK(nas_update(codebook.handle, bad.data(), NAS_FLOAT32, 6, d, codes.data(), 0.5, 1e-5, 0.9,
                       nullptr, nullptr) == NAS_NON_FINITE);
      CHECK(shown() && same_bits(before.data(), codewords, before.size()));
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, 1e-5, 0.9, nullptr) == NAS_OK);
      CHECK(shown());
      CHECK(nas_restart(codebook.handle, codes.data(), x.data(), 1, nullptr) == NAS_OK);
      CHECK(shown());
      CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) == NAS_OK);
      CHECK(shown() && same_bits(e.data(), codewords, e.size()));
      int32_t found[6], index;
      float distance;
      CHECK(lookup_float32(codebook.handle, x.data(), 6, d, found, nullptr, nullptr) == NAS_OK);
      for (int i = 0; i < 6; ++i) {
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(found[i] == index);
      }
    }
  }
}

static void test_layouts() {
  context = "layouts";
  char text[4096];
  CHECK(nas_layouts(text, sizeof text) == NAS_OK);
  CHECK(strstr(text, "nas_verdict 16 status@0:8 bad_row@8:8") != nullptr);
  CHECK(strstr(text, "nas_swap_params 80 images@0:8 ") != nullptr);
  CHECK(nas_layouts(nullptr, sizeof text) == NAS_INVALID_ARGUMENT);
  const int64_t length = (int64_t)strlen(text);
  CHECK(nas_layouts(text, length + 1) == NAS_OK && (int64_t)strlen(text) == length);
  for (int64_t capacity : {(int64_t)-1, (int64_t)0, (int64_t)1, length}) {
    CHECK(nas_layouts(text, capacity) == NAS_INVALID_ARGUMENT);
  }
}

int main() {
  test_write_and_restart();
  test_view();
  test_layouts();
  return conclude();
}
