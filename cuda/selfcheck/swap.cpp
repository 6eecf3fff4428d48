/* Swaps of tokens, and the random words that they draw by. */
#include "selfcheck.h"

namespace selfcheck {

namespace {

void check_philox(const Side &reference, const Side &subject, Random &random) {
  struct Known {
    uint32_t key[2], counter[4], out[4];
  };
  /* Known answers of the authors' reference implementation, Random123. */
  static const Known known[] = {
      {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0xa4093822, 0x299f31d0},
       {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const Known &k : known) {
    both("philox", "a known answer", reference, subject, [&](const Side &side) {
      std::vector<uint32_t> out(4);
      side.api->philox(k.key, k.counter, out.data());
      if (memcmp(out.data(), k.out, sizeof k.out) != 0) {
        complain("philox", "%s does not give the known answer", side.name.c_str());
      }
      Outcome outcome;
      outcome.add("words", out);
      return outcome;
    });
  }
  for (int i = 0; i < 1000; ++i) {
    uint32_t key[2] = {(uint32_t)random.next(), (uint32_t)random.next()};
    uint32_t counter[4] = {(uint32_t)random.next(), (uint32_t)random.next(),
                           (uint32_t)random.next(), (uint32_t)random.next()};
    both("philox", "random", reference, subject, [&](const Side &side) {
      std::vector<uint32_t> out(4);
      side.api->philox(key, counter, out.data());
      Outcome outcome;
      outcome.add("words", out);
      return outcome;
    });
  }
}

enum class Similarities { kNormal, kTies, kEqual, kZeros /* of both signs, and a few other values */ };

enum class Evidence {
  kNormal,
  kTies,    /* few values, zeros of both signs among them */
  kAgainst, /* mostly below 0: images that stay as they are */
  kEqual,   /* no code has more than another */
  kHuge,    /* sums and gains overflow, to both sides */
  kTiny,    /* denormals */
  kOutlier, /* some far from the others, so that a sum depends on its order */
  kAtZero,  /* the sum of an image's evidence may become 0 and no more */
  kCount
};

std::vector<double> evidence_of_kind(Random &random, Evidence kind, int64_t count) {
  std::vector<double> values((size_t)count);
  for (double &value : values) {
    value = (double)random.normal();
    if (kind == Evidence::kTies) value = (double)(random.below(5) - 2) * (random.below(2) == 0 ? -0.5 : 0.5);
    if (kind == Evidence::kAgainst) value = 0.1 * value - 0.5;
    if (kind == Evidence::kEqual) value = -0.75;
    if (kind == Evidence::kHuge) value = std::max(-1.7e308, std::min(1.7e308, value * 1e308));
    if (kind == Evidence::kTiny) value = (double)(random.below(2000) - 1000) * 5e-324;
    if (kind == Evidence::kOutlier && random.below(30) == 0) value = random.below(2) == 0 ? 1e290 : -1e290;
    if (kind == Evidence::kAtZero) value = random.below(4) == 0 ? -1.0 : 0.0;
  }
  return values;
}

/* How tokens are chosen, substituted (`sign` is 0 by draws) and written. */
struct Rules {
  int32_t choose = NAS_CHOOSE_RELEVANCE;
  int32_t sign = 0;
  int32_t write = NAS_WRITE_CODEWORD;
  int32_t donors = 0;
};

Rules any_rules(Random &random) {
  return {(int32_t)random.below(2), (int32_t)random.below(3) - 1, (int32_t)random.below(2),
          (int32_t)random.below(2)};
}

/* What the cases met on the reference's side, so that none passes for want of any. */
struct Met {
  int64_t substituted = 0, kept = 0, left = 0 /* images that would still speak against */, few = 0,
          without_evidence = 0, donors = 0, no_donor = 0, infinite = 0;
};

struct SwapCase {
  int64_t images, tokens, chosen, neighbours, K, d;
  Similarities similarities = Similarities::kNormal;
  bool sparse = false;               /* lists with few entries other than -1 */
  int64_t shifts[2] = {0, 0};        /* floats from a boundary to the tokens, to the swapped ones */
  Evidence evidence = Evidence::kNormal;
};

/* Faults: 4 in both similarities, 5 in one, 6 in the codes, 7 in the lists, 8 in the evidence, 9 in its rows;
 * below 4 none, and none where the rules do not read what it is in. In place only without donors. */
void check_swap_case(const Side &reference, const Side &subject, Random &random, const SwapCase &of,
                     const Rules &rules, bool in_place, bool enqueued, int fault, Met *met = nullptr) {
  const int64_t B = of.images, N = of.tokens, K = of.K, d = of.d;
  nas_swap_params p = {};
  p.images = B;
  p.tokens = N;
  p.chosen = of.chosen;
  p.neighbours = of.neighbours;
  p.text_weight = random.below(3) == 0 ? (double)random.below(2) : random.uniform();
  p.seed = random.next();
  p.step = (uint32_t)random.next();
  p.choose = rules.choose;
  p.substitute = rules.sign == 0 ? NAS_SUBSTITUTE_DRAW : NAS_SUBSTITUTE_EVIDENCE;
  p.sign = rules.sign;
  p.write = rules.write;
  p.donors = rules.donors;
  p.evidence_rows = random.below(B + 2);
  const bool relevance = p.choose == NAS_CHOOSE_RELEVANCE;
  const bool evident = !relevance || p.substitute == NAS_SUBSTITUTE_EVIDENCE;
  const bool drawn = p.substitute == NAS_SUBSTITUTE_DRAW || p.donors != 0;
  if (!relevance && (fault == 4 || fault == 5)) fault = 0;
  if (!evident && (fault == 8 || fault == 9)) fault = 0;
  if (p.donors != 0) in_place = false;
  const bool told = random.below(2) == 0; /* scores and mask */
  std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
  std::vector<float> tokens = vectors(random, Kind::kBits, 1, of.shifts[0] + B * N * d);
  std::vector<float> similarities[2];
  for (auto &similarity : similarities) {
    similarity = vectors(random, of.similarities == Similarities::kTies ? Kind::kGrid : Kind::kNormal,
                         B * N, 1);
    for (float &value : similarity) {
      if (of.similarities == Similarities::kEqual) value = 0.25f;
      if (of.similarities == Similarities::kZeros && random.below(50) != 0) {
        value = random.below(2) == 0 ? -0.0f : 0.0f;
      } else if (of.similarities == Similarities::kZeros) {
        value = std::fabs(value);
      }
    }
  }
  std::vector<int32_t> codes((size_t)(B * N));
  /* Leaves codes that an image lacks. */
  int64_t distinct = K > 16 * N ? K : 1 + random.below(K);
  for (int32_t &code : codes) code = (int32_t)random.below(distinct);
  std::vector<int32_t> lists((size_t)(K * p.neighbours));
  for (int32_t &code : lists) {
    code = of.sparse && random.below(p.neighbours) != 0 ? -1 : (int32_t)(random.below(K + 1) - 1);
  }
  std::vector<int64_t> ids((size_t)B);
  for (int64_t &id : ids) id = (int64_t)random.next();
  std::vector<int32_t> rows((size_t)B);
  for (int32_t &row : rows) {
    row = random.below(6) == 0 ? -1 : (int32_t)(random.below(p.evidence_rows + 1) - 1);
  }
  std::vector<double> evidence = evidence_of_kind(random, of.evidence, p.evidence_rows * K);
  for (int64_t row = 0; row < p.evidence_rows; ++row) { /* what no image has is not read */
    if (std::find(rows.begin(), rows.end(), (int32_t)row) == rows.end()) evidence[(size_t)(row * K)] = NAN;
  }
  std::string message; /* what it must say */
  if (fault == 4 || fault == 5) {
    const int64_t which = random.below(2), image = B - 1 - random.below(std::min<int64_t>(B, 3));
    similarities[which][(size_t)(image * N + random.below(N))] = NAN;
    if (fault == 4) similarities[1 - which][(size_t)(B * N - 1 - random.below(N))] = -INFINITY;
    const char *named = which == 0 || (fault == 4 && image == B - 1) ? "text" : "image";
    message = text("the %s similarities of image %lld h", named, (long long)image);
  }
  if (fault == 6) { /* two, of which the first is named */
    const int64_t at = (B - 1) * N + random.below(N);
    codes.back() = -1;
    codes[(size_t)at] = (int32_t)K;
    message = text("code of image %lld, token %lld is %lld, ", (long long)(B - 1),
                   (long long)(at % N), (long long)K);
  }
  if (fault == 7) {
    const int64_t at = random.below(K * p.neighbours);
    lists.back() = (int32_t)K;
    lists[(size_t)at] = -2;
    codes[0] = -1;
    rows[0] = -2;
    similarities[0][0] = NAN;
    message = text("neighbour_lists[%lld][%lld] is -2, ", (long long)(at / p.neighbours),
                   (long long)(at % p.neighbours));
  }
  if (fault == 8) { /* the lowest image that has the row is named, by its similarities if those are bad too */
    const int32_t row = rows[(size_t)random.below(B)];
    if (row < 0) {
      fault = 0;
    } else {
      const double bad[] = {NAN, INFINITY, -INFINITY};
      evidence[(size_t)(row * K + random.below(K))] = bad[random.below(3)];
      const int64_t image = std::find(rows.begin(), rows.end(), row) - rows.begin();
      const bool similarity = relevance && random.below(2) == 0;
      if (similarity) similarities[1][(size_t)(image * N + random.below(N))] = NAN;
      message = text("the %s of image %lld h", similarity ? "image similarities" : "evidence", (long long)image);
    }
  }
  if (fault == 9) {
    const int64_t at = random.below(B);
    rows.back() = -2;
    rows[(size_t)at] = random.below(2) == 0 ? (int32_t)p.evidence_rows : INT32_MIN;
    if (relevance) similarities[0][0] = NAN;
    message = text("evidence_of[%lld] is %d, ", (long long)at, (int)rows[(size_t)at]);
  }
  const int64_t more[2] = {random.below(4), random.below(3) * 1000}; /* than needed is reserved */
  std::string what =
      text("images %lld, tokens %lld, chosen %lld, neighbours %lld, K %lld, d %lld, similarities %d, "
           "sparse %d, shifts %lld %lld, evidence %d in %lld rows, choose %d, sign %d, write %d, donors %d, "
           "told %d, %s, %s, fault %d",
           (long long)B, (long long)N, (long long)p.chosen, (long long)p.neighbours, (long long)K,
           (long long)d, (int)of.similarities, of.sparse, (long long)of.shifts[0],
           (long long)of.shifts[1], (int)of.evidence, (long long)p.evidence_rows, p.choose, p.sign, p.write,
           p.donors, told, in_place ? "in place" : "copied",
           enqueued ? "enqueued" : "waiting", fault);
  both("swap", what, reference, subject, [&](const Side &side) {
    Codebook codebook(side, codewords, K, d);
    Array<float> text_in(side, similarities[0]);
    Array<float> image_in(side, similarities[1]);
    Array<float> tokens_in(side, tokens);
    Array<int32_t> codes_in(side, codes);
    Array<int32_t> lists_in(side, lists);
    Array<int64_t> ids_in(side, ids);
    Array<double> evidence_in(side, evidence);
    Array<int32_t> rows_in(side, rows);
    Array<double> scores(side, std::vector<double>((size_t)(B * N), -9.0));
    Array<uint8_t> mask(side, std::vector<uint8_t>((size_t)(B * N), 9));
    Array<int32_t> positions(side, std::vector<int32_t>((size_t)(B * p.chosen), -9));
    Array<int32_t> substitutes(side, std::vector<int32_t>((size_t)(B * p.chosen), -9));
    Array<float> swapped(side, std::vector<float>((size_t)(of.shifts[1] + B * N * d), -9.0f));
    Array<int64_t> verdict(side, {-9, -9});
    const float *from = tokens_in.data() + of.shifts[0];
    float *to = in_place ? tokens_in.data() + of.shifts[0] : swapped.data() + of.shifts[1];
    /* What the rules do not read is not there. */
    const nas_swap_input in = {relevance ? text_in.data() : nullptr,
                               relevance ? image_in.data() : nullptr,
                               evident && p.evidence_rows > 0 ? evidence_in.data() : nullptr,
                               evident ? rows_in.data() : nullptr,
                               from,
                               codes_in.data(),
                               lists_in.data(),
                               drawn ? ids_in.data() : nullptr};
    const nas_swap_output out = {positions.data(), substitutes.data(), to, told ? scores.data() : nullptr,
                                 told ? mask.data() : nullptr};
    Outcome outcome;
    if (enqueued) {
      if (side.api->reserve(codebook.get(), 0, NAS_FLOAT32, B + more[0], N + more[1]) != NAS_OK ||
          side.api->swap_enqueue(codebook.get(), &p, &in, &out, (nas_verdict *)verdict.data(),
                                 side.stream) != NAS_OK) {
        die("%s: %s", side.name.c_str(), side.api->last_error());
      }
      if (side.device) must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting");
      outcome.status = (nas_status)verdict.values()[0];
      outcome.bad_row = verdict.values()[1];
      outcome.error = "in the verdict";
    } else {
      finish(side,
             side.api->swap(codebook.get(), &p, &in, &out, &outcome.bad_row, side.stream),
             &outcome);
      if (outcome.error.find(message) == std::string::npos) {
        complain("swap", "%s: \"%s\" instead of \"%s\" on %s", what.c_str(),
                 outcome.error.c_str(), message.c_str(), side.name.c_str());
      }
    }
    if (!enqueued || outcome.status == NAS_OK) {
      outcome.add("positions", positions.values());
      outcome.add("substitutes", substitutes.values());
      outcome.add("swapped", swapped.values());
      outcome.add("scores", scores.values());
      outcome.add("mask", mask.values());
    }
    if (met != nullptr && &side == &reference && outcome.status == NAS_OK) {
      const std::vector<int32_t> chosen = positions.values(), by = substitutes.values();
      for (int64_t b = 0; b < B; ++b) {
        const size_t first = (size_t)(b * p.chosen), end = first + (size_t)p.chosen;
        if (evident && rows[(size_t)b] < 0) {
          ++met->without_evidence;
          continue;
        }
        const bool some = chosen[first] >= 0;
        const bool none = std::all_of(by.begin() + (int64_t)first, by.begin() + (int64_t)end,
                                      [](int32_t code) { return code < 0; });
        if (!relevance && some && none && rules.sign != 0) ++met->left; /* each has an entry */
        if (chosen[end - 1] < 0) ++met->few;
        for (size_t c = first; c < end; ++c) {
          if (chosen[c] >= 0) ++(by[c] < 0 ? met->kept : met->substituted);
          if (by[c] < 0 || p.donors == 0) continue;
          bool held = false;
          for (int64_t i = 0; i < B * N; ++i) held = held || (i / N != b && codes[(size_t)i] == by[c]);
          ++(held ? met->donors : met->no_donor);
        }
      }
      if (told && !relevance) {
        for (double score : scores.values()) met->infinite += std::isinf(score) ? 1 : 0;
      }
    }
    outcome.add("tokens", tokens_in.values());
    return outcome;
  });
}

/* All rules with each other, over shapes and evidence of all kinds. */
void check_rules(const Side &reference, const Side &subject, Random &random, Met *met) {
  const SwapCase shapes[] = {
      {1, 1, 1, 1, 1, 1},
      {3, 7, 3, 5, 20, 4},
      {6, 33, 20, 33, 90, 3},
      {2, 65, 65, 70, 40, 8, Similarities::kNormal, true},
      {5, 20, 20, 3, 300, 5}};
  int at = 0;
  for (int32_t choose : {NAS_CHOOSE_RELEVANCE, NAS_CHOOSE_GAIN}) {
    for (int32_t sign : {0, 1, -1}) {
      for (int32_t write : {NAS_WRITE_CODEWORD, NAS_WRITE_RESIDUAL}) {
        for (int32_t donors : {0, 1}) {
          for (SwapCase of : shapes) {
            for (int turn = 0; turn < 2; ++turn, ++at) {
              of.evidence = (Evidence)(at % (int)Evidence::kCount); /* in the end each with each shape */
              check_swap_case(reference, subject, random, of, {choose, sign, write, donors},
                              random.below(2) == 0, random.below(2) == 0, 0, met);
            }
          }
          for (int fault = 4; fault < 10; ++fault) {
            check_swap_case(reference, subject, random, shapes[2], {choose, sign, write, donors},
                            random.below(2) == 0, random.below(2) == 0, fault);
          }
        }
      }
    }
  }
  /* Beyond what is chosen among in shared memory. */
  for (int kind = 0; kind < (int)Evidence::kCount; ++kind) {
    SwapCase of = {1, 1030, 400, 20, 150, 1};
    of.evidence = (Evidence)kind;
    check_swap_case(reference, subject, random, of, {NAS_CHOOSE_GAIN, kind % 3 - 1, kind % 2, 0},
                    kind % 2 == 0, false, 0, met);
  }
}

}  // namespace

void check_swap(const Side &reference, const Side &subject, Random &random,
                const Options &options) {
  check_philox(reference, subject, random);
  Met met;
  for (int64_t B : {0, 1, 2, 7}) {
    for (int64_t N : {1, 2, 63, 257, 1000}) {
      for (int64_t d : {1, 3, 63, 192}) {
        if (!affordable(options, B * N, 1, d + 40)) continue;
        SwapCase of;
        of.images = B;
        of.tokens = N;
        of.chosen = random.below(3) == 0 ? N : 1 + random.below(N);
        of.neighbours = random.below(3) == 0 ? 1 : 1 + random.below(40);
        of.K = kCodewords[random.below(5)];
        of.d = d;
        of.similarities = random.below(2) == 0 ? Similarities::kTies : Similarities::kNormal;
        Rules rules;
        rules.write = (int32_t)random.below(2);
        check_swap_case(reference, subject, random, of, rules, random.below(2) == 0, random.below(2) == 0,
                        B == 0 ? 0 : (int)random.below(8));
        of.evidence = (Evidence)random.below((int64_t)Evidence::kCount);
        check_swap_case(reference, subject, random, of, any_rules(random), random.below(2) == 0,
                        random.below(2) == 0, B == 0 ? 0 : (int)random.below(10), &met);
      }
    }
  }

  const Similarities normal = Similarities::kNormal;
  const SwapCase awkward[] = {
      /* Tokens at and beyond what is chosen among in shared memory, or all of one score. */
      {1, 1024, 1024, 33, 31, 4},
      {1, 1025, 1025, 70, 512, 8},
      {1, 1200, 1200, 32, 2048, 3, Similarities::kTies},
      {1, 3000, 450, 20, 300, 1, Similarities::kZeros},
      {1, 1100, 60, 20, 300, 2, Similarities::kEqual},
      {2, 300, 30, 20, 100, 5, Similarities::kZeros},
      {2, 600, 90, 8, 100, 4, Similarities::kEqual},
      /* Lists of several parts, of which few entries or none can be taken. */
      {3, 130, 60, 1024, 300, 12},
      {3, 130, 60, 1000, 300, 12, normal, true},
      {2, 64, 40, 45, 200, 6, normal, true},
      {2, 64, 64, 32, 200, 6, normal, true},
      /* Widths, and pointers on and off a boundary of 16 bytes. */
      {2, 21, 9, 32, 120, 768},
      {2, 21, 9, 32, 120, 768, normal, false, {4, 8}},
      {2, 21, 9, 32, 120, 768, normal, false, {1, 0}},
      {2, 21, 9, 32, 120, 768, normal, false, {0, 2}},
      {1, 5, 3, 8, 40, NAS_MAX_WIDTH},
      {1, 5, 3, 8, 40, NAS_MAX_WIDTH - 1}};
  for (const SwapCase &of : awkward) {
    for (int variant = 0; variant < (of.tokens < 1000 ? 4 : 2); ++variant) {
      Rules rules;
      rules.write = variant % 2;
      check_swap_case(reference, subject, random, of, rules, variant == 1 || variant == 2,
                      random.below(2) == 0, 0);
    }
    check_swap_case(reference, subject, random, of, {NAS_CHOOSE_GAIN, 1, (int32_t)random.below(2), 0},
                    random.below(2) == 0, random.below(2) == 0, 0, &met);
    check_swap_case(reference, subject, random, of, any_rules(random), random.below(2) == 0,
                    random.below(2) == 0, 4 + (int)random.below(6));
  }
  check_rules(reference, subject, random, &met);
  /* More words in the codes' bitmap than threads, and the bits of one image in the way of the next. */
  const SwapCase wide = {2, 1000, 1000, 4, 17000, 1};
  Rules residual;
  residual.write = NAS_WRITE_RESIDUAL;
  check_swap_case(reference, subject, random, wide, residual, false, false, 0);
  if (met.substituted < 1000 || met.kept < 50 || met.left < 10 || met.few < 50 || met.without_evidence < 50 ||
      met.donors < 100 || met.no_donor < 50 || met.infinite < 10) {
    complain("swap",
             "the cases met %lld substitutes, %lld kept, %lld left, %lld few, %lld without evidence, %lld "
             "donors, %lld none, %lld infinite gains: too few of one",
             (long long)met.substituted, (long long)met.kept, (long long)met.left, (long long)met.few,
             (long long)met.without_evidence, (long long)met.donors, (long long)met.no_donor,
             (long long)met.infinite);
  }
  if (!subject.device) return;
  /* More tokens than the device handles at a time. */
  const SwapCase many = {110, 10000, 20, 5, 40, 1};
  check_swap_case(reference, subject, random, many, residual, false, false, 0);
  check_swap_case(reference, subject, random, many, residual, true, true, 0);
  check_swap_case(reference, subject, random, many, residual, true, false, 6);
  const SwapCase one_each = {110, 10000, 1, 5, 40, 1};
  check_swap_case(reference, subject, random, one_each, {NAS_CHOOSE_RELEVANCE, 1, NAS_WRITE_RESIDUAL, 1},
                  false, true, 0);
}

}  // namespace selfcheck
