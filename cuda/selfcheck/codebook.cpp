/* Codebooks made, written and restarted. */
#include "selfcheck.h"

namespace selfcheck {

namespace {

/* Values in a side's memory that no Array owns. */
template <class T>
std::vector<T> values_at(const Side &side, const T *place, int64_t count) {
  std::vector<T> values((size_t)count);
  if (!side.device) {
    std::copy(place, place + count, values.begin());
    return values;
  }
  must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting");
  must(cudaMemcpy(values.data(), place, values.size() * sizeof(T), cudaMemcpyDeviceToHost), "a copy");
  return values;
}

/* Views follow a change from where they were, and there is none before there is a workspace. */
Outcome view_of(const Side &side, const std::vector<float> &codewords, int64_t K, int64_t d) {
  Codebook codebook(side, codewords, K, d);
  Outcome outcome;
  const float *e = nullptr, *e_later = nullptr;
  const double *n = nullptr, *n_later = nullptr;
  const int32_t *dead = nullptr;
  std::vector<nas_status> statuses = {side.api->view(codebook.get(), &e, nullptr, nullptr),
                                      side.api->reserve(codebook.get(), 1, NAS_FLOAT32, 0, 0),
                                      side.api->view(codebook.get(), &e, &n, &dead)};
  Array<float> fresh(side, std::vector<float>((size_t)d, 0.5f));
  Array<int32_t> code(side, {(int32_t)(K - 1)});
  statuses.push_back(side.api->restart(codebook.get(), code.data(), fresh.data(), 1, side.stream));
  Array<double> counts(side, std::vector<double>((size_t)K, 2.0));
  statuses.push_back(
      side.api->write(codebook.get(), nullptr, counts.data(), nullptr, nullptr, side.stream));
  statuses.push_back(side.api->view(codebook.get(), &e_later, &n_later, nullptr));
  outcome.add("statuses", statuses);
  outcome.add("stayed", std::vector<int32_t>{e == e_later, n == n_later});
  if (e != nullptr && n != nullptr && dead != nullptr) {
    outcome.add("codewords viewed", values_at(side, e, K * d));
    outcome.add("n viewed", values_at(side, n, K));
    outcome.add("dead_steps viewed", values_at(side, dead, K));
  }
  codebook.add_state(&outcome);
  return outcome;
}

}  // namespace

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

      both("codebook_view", what, reference, subject,
           [&](const Side &side) { return view_of(side, codewords, K, d); });

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
