/*
 * Every width of 1 to 260 (or LAST), on every kernel and tier, with buffers that end at or begin
 * after a page that must not be touched. Results must be the scalar tier's bit for bit, and those of
 * a lookup the definition's.
 *
 *   nas_widths_test [LAST]
 */
#include <signal.h>
#include <stdio.h>

#include <random>
#include <string>

#include "guarded.h"
#include "naive.h"

namespace {

extern "C" void nas_screen_in_float32(int32_t yes);

int64_t checks = 0, failures = 0;
std::string where;

#define CHECK(condition)                                                                         \
  do {                                                                                           \
    ++checks;                                                                                    \
    if (!(condition) && ++failures <= 20) {                                                      \
      fprintf(stderr, "line %d: %s [%s] %s\n", __LINE__, #condition, where.c_str(),              \
              nas_last_error());                                                                 \
    }                                                                                            \
  } while (0)

std::mt19937_64 source(260);

int64_t pick(int64_t low, int64_t high) {
  return low + (int64_t)(source() % (uint64_t)(high - low + 1));
}

/* Numbers of few bits near each other, so that there are ties and near ties, or plain ones. */
std::vector<float> numbers(int64_t count, bool coarse) {
  std::normal_distribution<float> normal;
  std::vector<float> values((size_t)count);
  for (float &value : values) value = coarse ? (float)pick(-2, 2) : normal(source);
  return values;
}

/* All that the kernels give back for one problem. */
struct Results {
  std::vector<int32_t> typed, indices, lists, positions, substitutes, dead_steps;
  std::vector<float> distances, swapped[2], e, m;
  std::vector<double> counts, sums, n;

  bool operator==(const Results &o) const {
    return same_bits(typed, o.typed) && same_bits(indices, o.indices) && same_bits(lists, o.lists) &&
           same_bits(positions, o.positions) && same_bits(substitutes, o.substitutes) &&
           same_bits(dead_steps, o.dead_steps) && same_bits(distances, o.distances) &&
           same_bits(swapped[0], o.swapped[0]) && same_bits(swapped[1], o.swapped[1]) &&
           same_bits(e, o.e) && same_bits(m, o.m) && same_bits(counts, o.counts) &&
           same_bits(sums, o.sums) && same_bits(n, o.n);
  }
};

struct Case {
  int64_t K, d, rows, stride, images, tokens, chosen, R;
  std::vector<float> e, x, text, image, written;
  std::vector<uint8_t> live;
  std::vector<int64_t> ids;
  std::vector<double> n;
};

Case make_case(int64_t d) {
  Case c;
  const bool coarse = d % 3 == 0;
  c.K = pick(1, 45);
  c.d = d;
  c.images = pick(1, 3);
  c.tokens = pick(1, 9);
  c.chosen = pick(1, c.tokens);
  c.R = pick(1, 6);
  c.rows = c.images * c.tokens;
  c.stride = d + pick(0, 2);
  c.e = numbers(c.K * d, coarse);
  /* The last row ends where its numbers end, whatever the stride. */
  c.x = numbers((c.rows - 1) * c.stride + d, coarse);
  c.text = numbers(c.rows, true);
  c.image = numbers(c.rows, false);
  c.written = numbers(c.K * d, coarse);
  for (int64_t j = 0; j < c.K; ++j) c.live.push_back((uint8_t)pick(0, 3));
  for (int64_t b = 0; b < c.images; ++b) c.ids.push_back((int64_t)source());
  for (int64_t j = 0; j < c.K; ++j) c.n.push_back((double)pick(0, 9));
  return c;
}

void read(const nas_codebook *codebook, const Case &c, bool at_end, Results &r) {
  Guarded<float> e((size_t)(c.K * c.d), at_end), m((size_t)(c.K * c.d), at_end);
  Guarded<double> n((size_t)c.K, at_end);
  Guarded<int32_t> dead_steps((size_t)c.K, at_end);
  CHECK(nas_codebook_read(codebook, e.get(), n.get(), m.get(), dead_steps.get(), nullptr) == NAS_OK);
  r.e = e.copy();
  r.m = m.copy();
  r.n = n.copy();
  r.dead_steps = dead_steps.copy();
}

Results run(const Case &c, bool at_end) {
  Results r;
  const size_t rows = (size_t)c.rows, chosen = (size_t)(c.images * c.chosen);
  Guarded<float> codewords(c.e, at_end), x(c.x, at_end);
  nas_codebook *codebook = nullptr;
  CHECK(nas_codebook_create(codewords.get(), c.K, c.d, nullptr, nullptr, &codebook) == NAS_OK);

  Guarded<int32_t> indices(rows, at_end);
  Guarded<float> distances(rows, at_end);
  CHECK(lookup_float32(codebook, x.get(), c.rows, c.stride, indices.get(), distances.get(),
                       nullptr) == NAS_OK);
  r.indices = indices.copy();
  r.distances = distances.copy();
  std::fill_n(indices.get(), rows, -1);
  CHECK(lookup_float32(codebook, x.get(), c.rows, c.stride, indices.get(), nullptr, nullptr) ==
        NAS_OK);
  CHECK(same_bits(indices.copy(), r.indices));

  /* The upper halves of the features are bfloat16. */
  std::vector<uint16_t> halves(c.x.size());
  std::vector<float> widened(c.x.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    uint32_t bits;
    memcpy(&bits, &c.x[i], sizeof bits);
    halves[i] = (uint16_t)(bits >> 16);
    bits &= 0xffff0000u;
    memcpy(&widened[i], &bits, sizeof bits);
  }
  Guarded<uint16_t> narrow(halves, at_end);
  Guarded<int32_t> typed(rows, at_end);
  CHECK(nas_lookup(codebook, narrow.get(), NAS_BFLOAT16, c.rows, c.stride, typed.get(), nullptr,
                   nullptr, nullptr, nullptr) == NAS_OK);
  for (size_t i = 0; i < rows; ++i) {
    int32_t index;
    float distance;
    naive_lookup(c.e, c.K, c.d, &widened[i * (size_t)c.stride], &index, &distance);
    CHECK(typed[i] == index);
  }
  /* Any half that is a finite float16 is a test of that type. */
  for (uint16_t &half : halves) {
    if ((half & 0x7c00u) == 0x7c00u) half &= 0x83ffu;
  }
  Guarded<uint16_t> narrower(halves, at_end);
  CHECK(nas_lookup(codebook, narrower.get(), NAS_FLOAT16, c.rows, c.stride, typed.get(), nullptr,
                   nullptr, nullptr, nullptr) == NAS_OK);
  r.typed = typed.copy();

  Guarded<uint8_t> live(c.live, at_end);
  Guarded<int32_t> lists((size_t)(c.K * c.R), at_end);
  CHECK(nas_neighbours(codebook, c.R, c.K % 2 ? live.get() : nullptr, lists.get(), nullptr) ==
        NAS_OK);
  r.lists = lists.copy();

  Guarded<float> text(c.text, at_end), image(c.image, at_end);
  Guarded<int64_t> ids(c.ids, at_end);
  Guarded<int32_t> positions(chosen, at_end), substitutes(chosen, at_end);
  std::vector<float> packed;
  for (int64_t i = 0; i < c.rows; ++i) {
    packed.insert(packed.end(), c.x.begin() + i * c.stride, c.x.begin() + i * c.stride + c.d);
  }
  for (int32_t write : {NAS_WRITE_CODEWORD, NAS_WRITE_RESIDUAL}) {
    Guarded<float> tokens(packed, at_end), swapped(packed.size(), at_end);
    const nas_swap_params params = {c.images, c.tokens, c.chosen, c.R, 0, 0.5, 42, 7,
                                    NAS_CHOOSE_RELEVANCE, NAS_SUBSTITUTE_DRAW, 0, write, 0};
    const nas_swap_input in = {text.get(), image.get(), nullptr, nullptr, tokens.get(), indices.get(),
                               lists.get(), ids.get()};
    const nas_swap_output out = {positions.get(), substitutes.get(), swapped.get(), nullptr, nullptr};
    CHECK(nas_swap(codebook, &params, &in, &out, nullptr, nullptr) == NAS_OK);
    r.swapped[write] = swapped.copy();
  }
  r.positions = positions.copy();
  r.substitutes = substitutes.copy();

  Guarded<double> counts(std::vector<double>((size_t)c.K, 0.0), at_end);
  Guarded<double> sums(std::vector<double>((size_t)(c.K * c.d), 0.0), at_end);
  CHECK(nas_accumulate(codebook, x.get(), NAS_FLOAT32, c.rows, c.stride, indices.get(), counts.get(),
                       sums.get(), nullptr, nullptr) == NAS_OK);
  r.counts = counts.copy();
  r.sums = sums.copy();
  CHECK(nas_apply(codebook, counts.get(), sums.get(), 0.9, 1e-5, 1.0, nullptr) == NAS_OK);

  /* A lookup after a change must see it. */
  read(codebook, c, at_end, r);
  CHECK(lookup_float32(codebook, x.get(), c.rows, c.stride, indices.get(), nullptr, nullptr) ==
        NAS_OK);
  for (int64_t i = 0; i < c.rows; ++i) {
    int32_t index;
    float distance;
    naive_lookup(r.e, c.K, c.d, &c.x[(size_t)(i * c.stride)], &index, &distance);
    CHECK(indices[(size_t)i] == index);
  }

  /* In one call, from the same start. */
  nas_codebook *copy = nullptr;
  CHECK(nas_codebook_create(codewords.get(), c.K, c.d, nullptr, nullptr, &copy) == NAS_OK);
  Guarded<int32_t> same_codes(r.indices, at_end);
  CHECK(nas_update(copy, x.get(), NAS_FLOAT32, c.rows, c.stride, same_codes.get(), 0.9, 1e-5, 1.0,
                   nullptr, nullptr) == NAS_OK);
  Results updated;
  read(copy, c, at_end, updated);
  CHECK(same_bits(updated.e, r.e) && same_bits(updated.m, r.m) && same_bits(updated.n, r.n) &&
        updated.dead_steps == r.dead_steps);
  nas_codebook_close(copy);

  Guarded<float> written(c.written, at_end);
  Guarded<double> n(c.n, at_end);
  Guarded<int32_t> dead_steps(std::vector<int32_t>((size_t)c.K, 3), at_end);
  CHECK(nas_codebook_write(codebook, written.get(), n.get(), written.get(), dead_steps.get(),
                           nullptr) == NAS_OK);
  Results after;
  read(codebook, c, at_end, after);
  CHECK(same_bits(after.e, c.written) && same_bits(after.m, c.written) && same_bits(after.n, c.n) &&
        after.dead_steps == std::vector<int32_t>((size_t)c.K, 3));
  const std::vector<float> vector(c.e.end() - c.d, c.e.end());
  Guarded<float> restarted(vector, at_end);
  Guarded<int32_t> code(std::vector<int32_t>{(int32_t)(c.K - 1)}, at_end);
  CHECK(nas_restart(codebook, code.get(), restarted.get(), 1, nullptr) == NAS_OK);
  read(codebook, c, at_end, after);
  std::vector<float> expected = c.written;
  std::copy(vector.begin(), vector.end(), expected.end() - c.d);
  CHECK(same_bits(after.e, expected));
  nas_codebook_close(codebook);
  return r;
}

void test_width(int64_t d) {
  const Case c = make_case(d);
  std::vector<int32_t> indices((size_t)c.rows);
  std::vector<float> distances((size_t)c.rows);
  for (int64_t i = 0; i < c.rows; ++i) {
    naive_lookup(c.e, c.K, d, &c.x[(size_t)(i * c.stride)], &indices[(size_t)i],
                 &distances[(size_t)i]);
  }
  Results scalar;
  for (int32_t way = 0; way < 2 * (nas_best_tier() + 1); ++way) {
    const int32_t tier = way / 2, float32_alone = way % 2;
    if (!nas_has_tier(tier)) continue;
    CHECK(nas_set_tier(tier) == NAS_OK);
    nas_screen_in_float32(float32_alone);
    for (bool at_end : {true, false}) {
      where = "d " + std::to_string(d) + ", K " + std::to_string(c.K) + ", rows " +
              std::to_string(c.rows) + ", tier " + std::to_string(tier) +
              (float32_alone ? " without int8" : "") +
              (at_end ? ", before a page" : ", after a page");
      const Results results = run(c, at_end);
      if (way == 0 && at_end) {
        scalar = results;
        CHECK(same_bits(scalar.indices, indices));
        CHECK(same_bits(scalar.distances, distances));
      }
      CHECK(results == scalar);
    }
  }
}

#if !defined(__SANITIZE_ADDRESS__)
/* A guard page that is touched ends the program; this says where. */
void crashed(int) {
  ssize_t ignored = write(2, where.data(), where.size());
  ignored = write(2, ": a guard page was touched\n", 27);
  (void)ignored;
  _exit(3);
}
#endif

}  // namespace

int main(int argc, char **argv) {
#if !defined(__SANITIZE_ADDRESS__)
  signal(SIGSEGV, crashed);
  signal(SIGBUS, crashed);
#endif
  const int64_t last = argc > 1 ? atoll(argv[1]) : 260;
  nas_set_threads(1);
  for (int64_t d = 1; d <= last; ++d) test_width(d);
  nas_set_threads(2);
  for (int64_t d = 1; d <= last; d += 7) test_width(d);
  printf("%lld checks, %lld failures, widths 1 to %lld, best tier %d\n", (long long)checks,
         (long long)failures, (long long)last, (int)nas_best_tier());
  return failures == 0 ? 0 : 1;
}
