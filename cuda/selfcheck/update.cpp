/* Sums of rows, updates with rows, and with sums. */
#include "selfcheck.h"

namespace selfcheck {

namespace {

/* Rows, codewords and width of batches of several tiles and, in emulation, chunks; codes of one digit and of
 * two; columns taken by ones and by fours. */
struct RowsOfCodes {
  int64_t rows, K, d;
};
constexpr RowsOfCodes kManyRows[] = {
    {1300, 60, 5}, {1301, 300, 4}, {2700, 300, 7}, {2650, 20, 12}, {700, 70, 260}, {700, 3, 300}};
/* The same on a device. */
constexpr RowsOfCodes kMostRows[] = {{(1 << 20) + 5, 300, 4}, {65536, 2048, 64}, {65536, 7, 72}};

/* Calls one(rows, K, d, fault) for batches of all sizes. Faults: 3 a row that is not finite, 4 a code out of
 * range, 5 both. */
template <class One>
void for_batches(Random &random, const Options &options, One &&one) {
  for (int64_t rows : {0, 1, 2, 63, 257, 1000, 3000}) {
    for (int64_t K : {1, 2, 31, 256, 257, 512, 2048, NAS_MAX_CODEWORDS}) {
      for (int64_t d : kWidths) {
        if (!affordable(options, rows + K, 64, d)) continue;
        one(rows, K, d, rows == 0 ? 0 : (int)random.below(6));
      }
    }
  }
  for (const auto &[rows, K, d] : kManyRows) {
    for (int fault : {0, 3, 4}) one(rows, K, d, fault);
  }
  for (const auto &[rows, K, d] : kMostRows) {
    if (options.work < 1e9) continue;
    for (int fault : {0, 3}) one(rows, K, d, fault);
  }
}

/* In long batches near the end: in the last chunk. */
int64_t some_row(Random &random, int64_t rows) {
  return rows - 1 - random.below(rows > 600 ? rows / 4 : rows);
}

void check_accumulate(const Side &reference, const Side &subject, Random &random,
                      const Options &options) {
  for_batches(random, options, [&](int64_t rows, int64_t K, int64_t d, int fault) {
    /* Only a wide range of magnitudes makes float64 sums depend on their order. */
    Kind kind = random.below(2) == 0 ? Kind::kBits : any_kind(random);
    int64_t stride = d + (random.below(2) == 0 ? 0 : random.below(9));
    std::vector<float> packed = vectors(random, kind, rows, d);
    std::vector<float> x((size_t)(rows == 0 ? 0 : (rows - 1) * stride + d), NAN);
    std::vector<int32_t> codes((size_t)rows);
    bool skewed = random.below(3) == 0;
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(&packed[(size_t)(i * d)], d, &x[(size_t)(i * stride)]);
      codes[(size_t)i] =
          (int32_t)(skewed && random.below(10) != 0 ? K / 2 : random.below(K));
    }
    if (fault == 4 || fault == 5) codes[(size_t)some_row(random, rows)] = (int32_t)K;
    if (fault == 3 || fault == 5) x[(size_t)(some_row(random, rows) * stride + random.below(d))] = NAN;
    std::vector<double> counts((size_t)K);
    std::vector<double> sums((size_t)(K * d));
    bool whole = random.below(2) == 0;
    for (double &value : counts) {
      value = whole ? (double)random.below(100) : random.uniform() * 1e17;
    }
    for (double &value : sums) value = whole ? 0.0 : (double)random.normal();
    int64_t cut = fault < 3 ? random.below(rows + 1) : rows; /* in two calls */
    std::string what =
        text("rows %lld, K %lld, d %lld, stride %lld, %s, fault %d", (long long)rows,
             (long long)K, (long long)d, (long long)stride, name_of(kind), fault);
    std::vector<float> codewords((size_t)(K * d), 1.0f);
    both("accumulate", what, reference, subject, [&](const Side &side) {
      Codebook codebook(side, codewords, K, d);
      Array<float> x_in(side, x);
      Array<int32_t> codes_in(side, codes);
      Array<double> counts_out(side, counts);
      Array<double> sums_out(side, sums);
      Outcome outcome;
      finish(side,
             side.api->accumulate(codebook.get(), x_in.data(), NAS_FLOAT32, cut, stride,
                                  codes_in.data(), counts_out.data(), sums_out.data(),
                                  &outcome.bad_row, side.stream),
             &outcome);
      if (outcome.status == NAS_OK && cut < rows) {
        finish(side,
               side.api->accumulate(codebook.get(), x_in.data() + cut * stride, NAS_FLOAT32,
                                    rows - cut, stride, codes_in.data() + cut, counts_out.data(),
                                    sums_out.data(), &outcome.bad_row, side.stream),
               &outcome);
      }
      outcome.add("counts", counts_out.values());
      outcome.add("sums", sums_out.values());
      return outcome;
    });
    if (fault == 0) { /* in one call on the subject, in two on the reference */
      auto run = [&](const Side &side, int64_t first_call) {
        Codebook codebook(side, codewords, K, d);
        Array<float> x_in(side, x);
        Array<int32_t> codes_in(side, codes);
        Array<double> counts_out(side, counts);
        Array<double> sums_out(side, sums);
        Outcome outcome;
        finish(side,
               side.api->accumulate(codebook.get(), x_in.data(), NAS_FLOAT32, first_call, stride,
                                    codes_in.data(), counts_out.data(), sums_out.data(),
                                    nullptr, side.stream),
               &outcome);
        if (outcome.status == NAS_OK && first_call < rows) {
          finish(side,
                 side.api->accumulate(codebook.get(), x_in.data() + first_call * stride,
                                      NAS_FLOAT32, rows - first_call, stride, codes_in.data() + first_call,
                                      counts_out.data(), sums_out.data(), nullptr,
                                      side.stream),
                 &outcome);
        }
        outcome.add("counts", counts_out.values());
        outcome.add("sums", sums_out.values());
        return outcome;
      };
      reference.prepare();
      Outcome expected = run(reference, cut);
      subject.prepare();
      Outcome actual = run(subject, rows);
      compare("accumulate", what + ", split only on the reference", reference, expected,
              subject, actual);
    }
  });
}

/* Updates and accumulations of rows of every element type. */
void check_updates(const Side &reference, const Side &subject, Random &random,
                   const Options &options) {
  for_batches(random, options, [&](int64_t rows, int64_t K, int64_t d, int fault) {
    const int32_t type = (int32_t)random.below(3);
    const int64_t stride = d + (random.below(2) == 0 ? 0 : random.below(9));
    const int64_t elements = rows == 0 ? 0 : (rows - 1) * stride + d;
    std::vector<uint16_t> x((size_t)(elements * (type == NAS_FLOAT32 ? 2 : 1)), 0xffff);
    auto put = [&](int64_t i, int64_t t, uint32_t bits) {
      const size_t at = (size_t)(i * stride + t);
      if (type == NAS_FLOAT32) {
        memcpy(&x[2 * at], &bits, sizeof bits);
      } else {
        x[at] = (uint16_t)bits;
      }
    };
    std::vector<int32_t> codes((size_t)rows);
    for (int64_t i = 0; i < rows; ++i) {
      codes[(size_t)i] = (int32_t)(random.below(3) == 0 ? K / 2 : random.below(K));
      for (int64_t t = 0; t < d; ++t) {
        /* Any sign and fraction, exponents below the largest, zeros and subnormals included. */
        const uint32_t sign = (uint32_t)random.below(2), least = (uint32_t)random.below(128);
        put(i, t,
            type == NAS_FLOAT32    ? sign << 31 | least << 23 | (uint32_t)random.below(1 << 23)
            : type == NAS_BFLOAT16 ? sign << 15 | least << 7 | (uint32_t)random.below(128)
                                   : sign << 15 | (uint32_t)random.below(0x7c00));
      }
    }
    if (fault == 4 || fault == 5) codes[(size_t)some_row(random, rows)] = (int32_t)K;
    if (fault == 3 || fault == 5) {
      put(some_row(random, rows), random.below(d),
          type == NAS_FLOAT32 ? 0x7f800000u : type == NAS_BFLOAT16 ? 0x7f80u : 0x7c00u);
    }
    const std::string what =
        text("type %d, rows %lld, K %lld, d %lld, stride %lld, fault %d", (int)type,
             (long long)rows, (long long)K, (long long)d, (long long)stride, fault);
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    both("update", what, reference, subject, [&](const Side &side) {
      Codebook codebook(side, codewords, K, d);
      Array<uint16_t> x_in(side, x);
      Array<int32_t> codes_in(side, codes);
      Array<double> counts(side, std::vector<double>((size_t)K, 0.0));
      Array<double> sums(side, std::vector<double>((size_t)(K * d), 0.0));
      Outcome outcome;
      finish(side,
             side.api->accumulate(codebook.get(), x_in.data(), type, rows, stride,
                                  codes_in.data(), counts.data(), sums.data(),
                                  &outcome.bad_row, side.stream),
             &outcome);
      outcome.add("counts", counts.values());
      outcome.add("sums", sums.values());
      for (int step = 0; step < 2; ++step) {
        finish(side,
               side.api->update(codebook.get(), x_in.data(), type, rows, stride,
                                codes_in.data(), 0.75, 1e-3, 1.0, &outcome.bad_row,
                                side.stream),
               &outcome);
        codebook.add_state(&outcome);
      }
      return outcome;
    });
  });
}

void check_apply(const Side &reference, const Side &subject, Random &random,
                 const Options &options) {
  for (int64_t K : kCodewords) {
    for (int64_t d : kWidths) {
      if (!affordable(options, 64, K, d)) continue;
      std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
      std::vector<std::vector<double>> counts(3, std::vector<double>((size_t)K));
      std::vector<std::vector<double>> sums(3, std::vector<double>((size_t)(K * d)));
      for (int step = 0; step < 3; ++step) {
        for (int64_t j = 0; j < K; ++j) {
          counts[(size_t)step][(size_t)j] = (double)(random.below(3) == 0 ? 0 : random.below(50));
          for (int64_t t = 0; t < d; ++t) {
            sums[(size_t)step][(size_t)(j * d + t)] =
                counts[(size_t)step][(size_t)j] * (double)random.normal();
          }
        }
      }
      int fault = (int)random.below(3);
      if (fault == 1) sums[1][(size_t)random.below(K * d)] = 1e300;
      if (fault == 2) counts[1][(size_t)random.below(K)] = NAN;
      double gamma = random.below(4) == 0 ? 0.0 : random.uniform();
      double epsilon = random.below(2) == 0 ? 1e-5 : random.uniform() + 1e-300;
      double threshold = random.uniform() * 2.0;
      std::vector<float> x = vectors(random, Kind::kNormal, 100, d);
      std::string what = text("K %lld, d %lld, gamma %g, epsilon %g, fault %d", (long long)K,
                              (long long)d, gamma, epsilon, fault);
      both("apply", what, reference, subject, [&](const Side &side) {
        Codebook codebook(side, codewords, K, d);
        Outcome outcome;
        std::vector<int32_t> statuses;
        for (size_t step = 0; step < 3; ++step) {
          Array<double> counts_in(side, counts[step]);
          Array<double> sums_in(side, sums[step]);
          nas_status status = side.api->apply(codebook.get(), counts_in.data(), sums_in.data(),
                                              gamma, epsilon, threshold, side.stream);
          statuses.push_back(status);
          codebook.add_state(&outcome);
        }
        outcome.add("statuses", statuses);
        /* The lookup must use the new codewords. */
        Array<float> x_in(side, x);
        Array<int32_t> indices(side, std::vector<int32_t>(100, -9));
        finish(side,
               side.api->lookup(codebook.get(), x_in.data(), NAS_FLOAT32, 100, d, indices.data(), nullptr,
                                nullptr, nullptr, side.stream),
               &outcome);
        outcome.add("indices", indices.values());
        return outcome;
      });
    }
  }
}

}  // namespace

void check_update(const Side &reference, const Side &subject, Random &random, const Options &options) {
  check_accumulate(reference, subject, random, options);
  check_updates(reference, subject, random, options);
  check_apply(reference, subject, random, options);
}

}  // namespace selfcheck
