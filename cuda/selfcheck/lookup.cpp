/* Lookups. */
#include "../../cpu/tests/adversarial.h"

#include "selfcheck.h"

namespace selfcheck {

namespace {

void check_lookup_case(const Side &reference, const Side &subject, Random &random, int64_t rows,
                       int64_t K, int64_t d, Kind kind, Kind row_kind, bool with_bad_row) {
  int64_t stride = d + (random.below(2) == 0 ? 0 : random.below(9));
  std::vector<float> codewords = vectors(random, kind, K, d);
  std::vector<float> packed = vectors(random, row_kind, rows, d);
  if (row_kind == Kind::kNormal && random.below(2) == 0) { /* rows that are codewords */
    for (int64_t i = 0; i < rows; ++i) {
      int64_t j = random.below(K);
      std::copy_n(&codewords[(size_t)(j * d)], d, &packed[(size_t)(i * d)]);
    }
  }
  std::vector<float> x((size_t)((rows - 1) * stride + d), NAN); /* the gaps must not be read */
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(&packed[(size_t)(i * d)], d, &x[(size_t)(i * stride)]);
  }
  int64_t bad = -1;
  if (with_bad_row) {
    bad = random.below(rows);
    x[(size_t)(bad * stride + random.below(d))] = random.below(2) == 0 ? NAN : INFINITY;
    int64_t later = bad + random.below(rows - bad);
    x[(size_t)(later * stride)] = NAN;
  }
  bool with_distances = random.below(4) != 0;
  std::string what =
      text("rows %lld, K %lld, d %lld, stride %lld, codewords %s, rows %s%s", (long long)rows,
           (long long)K, (long long)d, (long long)stride, name_of(kind), name_of(row_kind),
           with_bad_row ? ", not finite" : "");
  both("lookup", what, reference, subject, [&](const Side &side) {
    Codebook codebook(side, codewords, K, d);
    Array<float> x_in(side, x);
    Array<int32_t> indices(side, std::vector<int32_t>((size_t)rows, -9));
    Array<float> distances(side, std::vector<float>((size_t)rows, -9.0f));
    Outcome outcome;
    finish(side,
           side.api->lookup(codebook.get(), x_in.data(), NAS_FLOAT32, rows, stride, indices.data(),
                            with_distances ? distances.data() : nullptr, &outcome.bad_row, nullptr,
                            side.stream),
           &outcome);
    if (outcome.bad_row != bad) {
      complain("lookup", "%s: bad row %lld instead of %lld on %s", what.c_str(),
               (long long)outcome.bad_row, (long long)bad, side.name.c_str());
    }
    if (outcome.status == NAS_OK) {
      outcome.add("indices", indices.values());
      outcome.add("distances", distances.values());
    }
    return outcome;
  });
}

/* Problems that attain the error bound of int8 screening: one too small gives a wrong answer. */
void check_adversarial(const Side &reference, const Side &subject, Random &random) {
  for (int i = 0; i < 30; ++i) {
    /* The host's tiers without VNNI round more coarsely. */
    const Adversary problem(random.next(), !subject.device && i % 2 != 0);
    both("lookup", text("problem %d at the int8 bound, K %lld, d %lld", i, (long long)problem.K,
                        (long long)problem.d),
         reference, subject, [&](const Side &side) {
           Codebook codebook(side, problem.e, problem.K, problem.d);
           Array<float> x_in(side, problem.x);
           Array<int32_t> indices(side, std::vector<int32_t>((size_t)problem.rows, -9));
           Outcome outcome;
           finish(side,
                  side.api->lookup(codebook.get(), x_in.data(), NAS_FLOAT32, problem.rows,
                                   problem.d, indices.data(), nullptr, nullptr, nullptr,
                                   side.stream),
                  &outcome);
           outcome.add("indices", indices.values());
           return outcome;
         });
  }
}

/* Problems large enough that blocks on a device of many multiprocessors come to several tiles of codewords,
 * and calls to several chunks of rows; in emulation smaller ones do. */
void check_large(const Side &reference, const Side &subject, Random &random) {
  Side fast = reference;
  fast.name = "host";
  fast.tier = reference.api->best_tier();
  int multiprocessors = 0;
  must(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "an attribute");
  const int64_t rows = 128 * (int64_t)multiprocessors - 5; /* too many to split the codewords for them */
  for (Kind kind : {Kind::kNormal, Kind::kClustered, Kind::kDuplicates}) {
    for (int64_t d : {40, 300, 768, 770, 1300}) {
      check_lookup_case(fast, subject, random, rows, 1500, d, kind, kind, false);
    }
  }
  check_lookup_case(fast, subject, random, (1 << 17) + 77, 130, 8, Kind::kNormal, Kind::kNormal,
                    false);
  check_lookup_case(fast, subject, random, (1 << 17) + 77, 130, 8, Kind::kNormal, Kind::kNormal,
                    true);
}

}  // namespace

void check_lookup(const Side &reference, const Side &subject, Random &random,
                  const Options &options) {
  check_adversarial(reference, subject, random);
  for (int64_t rows : kRows) {
    for (int64_t K : kCodewords) {
      for (int64_t d : kWidths) {
        if (!affordable(options, rows, K, d)) continue;
        Kind kind = any_kind(random);
        check_lookup_case(reference, subject, random, rows, K, d, kind, kind, false);
      }
    }
  }
  check_lookup_case(reference, subject, random, 3, NAS_MAX_CODEWORDS, 2, Kind::kNormal,
                    Kind::kNormal, false);
  check_lookup_case(reference, subject, random, 3, 5, NAS_MAX_WIDTH, Kind::kNormal,
                    Kind::kNormal, false);
  /* Few rows, so that they are cheap in emulation; many tiles of codewords, of several widths. */
  for (Kind kind : {Kind::kNormal, Kind::kClustered}) {
    check_lookup_case(reference, subject, random, 3, 1500, 300, kind, kind, false);
    check_lookup_case(reference, subject, random, 3, 1100, 768, kind, kind, false);
    check_lookup_case(reference, subject, random, 130, 700, 770, kind, kind, false);
    check_lookup_case(reference, subject, random, 3, 650, 1300, kind, kind, false);
  }
  for (int kind = 0; kind < (int)Kind::kCount; ++kind) {
    for (int64_t d : {1, 5, 40, 130}) {
      check_lookup_case(reference, subject, random, 70, 130, d, (Kind)kind, (Kind)kind, false);
    }
    check_lookup_case(reference, subject, random, 130, 300, 20, (Kind)kind, (Kind)kind, true);
    for (int row_kind = 0; row_kind < (int)Kind::kCount; ++row_kind) {
      check_lookup_case(reference, subject, random, 40, 140, 1 + random.below(30), (Kind)kind,
                        (Kind)row_kind, false);
    }
  }
  if (subject.device && options.work >= 1e9) check_large(reference, subject, random);
}

}  // namespace selfcheck
