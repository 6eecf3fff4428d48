/* Enqueued calls: the bits and the verdicts of their namesakes, and what they refuse. */
#include "test.h"

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

int main() {
  test_enqueue();
  return conclude();
}
