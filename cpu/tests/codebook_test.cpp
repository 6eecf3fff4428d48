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

int main() {
  test_write_and_restart();
  return conclude();
}
