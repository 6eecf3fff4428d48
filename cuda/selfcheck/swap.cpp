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

struct SwapCase {
  int64_t images, tokens, chosen, neighbours, K, d;
  Similarities similarities = Similarities::kNormal;
  bool sparse = false;               /* lists with few entries other than -1 */
  int64_t shifts[2] = {0, 0};        /* floats from a boundary to the tokens, to the swapped ones */
};

/* Faults: 4 in both similarities, 5 in one, 6 in the codes, 7 in the lists; below 4 none. */
void check_swap_case(const Side &reference, const Side &subject, Random &random, const SwapCase &of,
                     int32_t mode, bool in_place, bool enqueued, int fault) {
  const int64_t B = of.images, N = of.tokens, K = of.K, d = of.d;
  nas_swap_params p;
  p.images = B;
  p.tokens = N;
  p.chosen = of.chosen;
  p.neighbours = of.neighbours;
  p.text_weight = random.below(3) == 0 ? (double)random.below(2) : random.uniform();
  p.seed = random.next();
  p.step = (uint32_t)random.next();
  p.mode = mode;
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
    similarities[0][0] = NAN;
    message = text("neighbour_lists[%lld][%lld] is -2, ", (long long)(at / p.neighbours),
                   (long long)(at % p.neighbours));
  }
  const int64_t more[2] = {random.below(4), random.below(3) * 1000}; /* than needed is reserved */
  std::string what =
      text("images %lld, tokens %lld, chosen %lld, neighbours %lld, K %lld, d %lld, similarities %d, "
           "sparse %d, shifts %lld %lld, mode %d, %s, %s, fault %d",
           (long long)B, (long long)N, (long long)p.chosen, (long long)p.neighbours, (long long)K,
           (long long)d, (int)of.similarities, of.sparse, (long long)of.shifts[0],
           (long long)of.shifts[1], p.mode, in_place ? "in place" : "copied",
           enqueued ? "enqueued" : "waiting", fault);
  both("swap", what, reference, subject, [&](const Side &side) {
    Codebook codebook(side, codewords, K, d);
    Array<float> text_in(side, similarities[0]);
    Array<float> image_in(side, similarities[1]);
    Array<float> tokens_in(side, tokens);
    Array<int32_t> codes_in(side, codes);
    Array<int32_t> lists_in(side, lists);
    Array<int64_t> ids_in(side, ids);
    Array<int32_t> positions(side, std::vector<int32_t>((size_t)(B * p.chosen), -9));
    Array<int32_t> substitutes(side, std::vector<int32_t>((size_t)(B * p.chosen), -9));
    Array<float> swapped(side, std::vector<float>((size_t)(of.shifts[1] + B * N * d), -9.0f));
    Array<int64_t> verdict(side, {-9, -9});
    const float *from = tokens_in.data() + of.shifts[0];
    float *to = in_place ? tokens_in.data() + of.shifts[0] : swapped.data() + of.shifts[1];
    Outcome outcome;
    if (enqueued) {
      if (side.api->reserve(codebook.get(), 0, NAS_FLOAT32, B + more[0], N + more[1]) != NAS_OK ||
          side.api->swap_enqueue(codebook.get(), &p, text_in.data(), image_in.data(), from,
                                 codes_in.data(), lists_in.data(), ids_in.data(), positions.data(),
                                 substitutes.data(), to, (nas_verdict *)verdict.data(),
                                 side.stream) != NAS_OK) {
        die("%s: %s", side.name.c_str(), side.api->last_error());
      }
      if (side.device) must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting");
      outcome.status = (nas_status)verdict.values()[0];
      outcome.bad_row = verdict.values()[1];
      outcome.error = "in the verdict";
    } else {
      finish(side,
             side.api->swap(codebook.get(), &p, text_in.data(), image_in.data(), from,
                            codes_in.data(), lists_in.data(), ids_in.data(), positions.data(),
                            substitutes.data(), to, &outcome.bad_row, side.stream),
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
    }
    outcome.add("tokens", tokens_in.values());
    return outcome;
  });
}

}  // namespace

void check_swap(const Side &reference, const Side &subject, Random &random,
                const Options &options) {
  check_philox(reference, subject, random);
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
        check_swap_case(reference, subject, random, of, (int32_t)random.below(2), random.below(2) == 0,
                        random.below(2) == 0, B == 0 ? 0 : (int)random.below(8));
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
      check_swap_case(reference, subject, random, of, variant % 2, variant == 1 || variant == 2,
                      random.below(2) == 0, 0);
    }
    check_swap_case(reference, subject, random, of, (int32_t)random.below(2), random.below(2) == 0,
                    random.below(2) == 0, 4 + (int)random.below(4));
  }
  /* More words in the codes' bitmap than threads, and the bits of one image in the way of the next. */
  const SwapCase wide = {2, 1000, 1000, 4, 17000, 1};
  check_swap_case(reference, subject, random, wide, NAS_SWAP_RESIDUAL, false, false, 0);
  if (!subject.device) return;
  /* More tokens than the device handles at a time. */
  const SwapCase many = {110, 10000, 20, 5, 40, 1};
  check_swap_case(reference, subject, random, many, NAS_SWAP_RESIDUAL, false, false, 0);
  check_swap_case(reference, subject, random, many, NAS_SWAP_RESIDUAL, true, true, 0);
  check_swap_case(reference, subject, random, many, NAS_SWAP_RESIDUAL, true, false, 6);
}

}  // namespace selfcheck
