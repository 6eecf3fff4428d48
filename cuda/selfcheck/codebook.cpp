/* Codebooks made, written and restarted. */
#include "selfcheck.h"

namespace selfcheck {

void check_codebook(const Side &reference, const Side &subject, Random &random,
                    const Options &options) {
  for (int64_t K : kCodewords) {
    for (int64_t d : kWidths) {
      if (!affordable(options, 64, K, d)) continue;
      Kind kind = any_kind(random);
      std::string what = text("K %lld, d %lld, %s", (long long)K, (long long)d, name_of(kind));
      std::vector<float> codewords = vectors(random, kind, K, d);

      both("codebook_create", what, reference, subject, [&](const Side &side) {
        Codebook codebook(side, codewords, K, d);
        Outcome outcome;
        int64_t shape[2] = {-1, -1};
        finish(side, side.api->shape(codebook.get(), &shape[0], &shape[1]), &outcome);
        outcome.add("shape", std::vector<int64_t>(shape, shape + 2));
        codebook.add_state(&outcome);
        return outcome;
      });

      std::vector<float> bad = codewords;
      int64_t bad_at = random.below(K);
      bad[(size_t)(bad_at * d + random.below(d))] = random.below(2) == 0 ? NAN : -INFINITY;
      if (bad_at + 1 < K) bad[(size_t)((bad_at + 1) * d)] = INFINITY;
      both("codebook_create", what + ", not finite", reference, subject, [&](const Side &side) {
        Array<float> e(side, bad);
        Outcome outcome;
        nas_codebook *handle = nullptr;
        finish(side, side.api->create(e.data(), K, d, &outcome.bad_row, side.stream, &handle),
               &outcome);
        if (outcome.status == NAS_OK) (void)side.api->close(handle);
        if (outcome.status != NAS_NON_FINITE || outcome.bad_row != bad_at) {
          complain("codebook_create", "%s: accepted or misnamed codeword %lld", side.name.c_str(),
                   (long long)bad_at);
        }
        return outcome;
      });

      std::vector<float> new_e = vectors(random, kind, K, d);
      std::vector<float> new_m = vectors(random, kind, K, d);
      std::vector<double> new_n((size_t)K);
      std::vector<int32_t> new_dead((size_t)K);
      for (int64_t j = 0; j < K; ++j) {
        new_n[(size_t)j] = random.uniform() * 100.0;
        new_dead[(size_t)j] = (int32_t)random.below(1000);
      }
      for (int parts = 0; parts < 16; parts += 1 + (int)random.below(5)) {
        for (int fault = 0; fault < 4; ++fault) {
          std::vector<double> n = new_n;
          std::vector<float> m = new_m;
          std::vector<float> e = new_e;
          if (fault == 1) n[(size_t)random.below(K)] = -1.0;
          if (fault == 2) m[(size_t)random.below(K * d)] = NAN;
          if (fault == 3) e[(size_t)random.below(K * d)] = INFINITY;
          both("codebook_write", text("%s, parts %d, fault %d", what.c_str(), parts, fault),
               reference, subject, [&](const Side &side) {
                 Codebook codebook(side, codewords, K, d);
                 Array<float> e_in(side, e);
                 Array<float> m_in(side, m);
                 Array<double> n_in(side, n);
                 Array<int32_t> dead_in(side, new_dead);
                 Outcome outcome;
                 finish(side,
                        side.api->write(codebook.get(), parts & 1 ? e_in.data() : nullptr,
                                        parts & 2 ? n_in.data() : nullptr,
                                        parts & 4 ? m_in.data() : nullptr,
                                        parts & 8 ? dead_in.data() : nullptr, side.stream),
                        &outcome);
                 codebook.add_state(&outcome);
                 return outcome;
               });
        }
      }

      for (int fault = 0; fault < 3; ++fault) {
        int64_t count = 1 + random.below(2 * K);
        std::vector<int32_t> codes((size_t)count);
        for (int32_t &code : codes) code = (int32_t)random.below(K);
        std::vector<float> fresh = vectors(random, kind, count, d);
        if (fault == 1) codes[(size_t)random.below(count)] = random.below(2) == 0 ? -1 : (int32_t)K;
        if (fault == 2) fresh[(size_t)random.below(count * d)] = NAN;
        both("restart", text("%s, count %lld, fault %d", what.c_str(), (long long)count, fault),
             reference, subject, [&](const Side &side) {
               Codebook codebook(side, codewords, K, d);
               Array<int32_t> codes_in(side, codes);
               Array<float> fresh_in(side, fresh);
               Outcome outcome;
               finish(side,
                      side.api->restart(codebook.get(), codes_in.data(), fresh_in.data(), count,
                                        side.stream),
                      &outcome);
               codebook.add_state(&outcome);
               return outcome;
             });
      }
    }
  }
}

}  // namespace selfcheck
