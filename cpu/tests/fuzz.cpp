/*
 * Calls the C API with hostile arguments. Bytes are read as a sequence of calls on a few codebooks:
 * sizes, strides, tiers, thread counts, streams and numbers that are wrong, NULL and misaligned
 * pointers. Pointers that are right point to buffers as large as the sizes claim, between guard pages.
 * A call must be refused exactly when an argument is wrong, a refused call must write nothing but
 * *bad_row and leave the codebook as it was, and none may crash.
 *
 *   nas_fuzz [SECONDS [SEED]]   random bytes; built with NAS_FUZZER, libFuzzer's own main
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <chrono>
#include <limits>
#include <memory>
#include <random>

#include "guarded.h"
#include "naive.h"

namespace {

int64_t calls = 0, accepted = 0;

#define REQUIRE(condition)                                                                \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "line %d: %s, last error: %s\n", __LINE__, #condition, nas_last_error()); \
      abort();                                                                            \
    }                                                                                     \
  } while (0)

/* The fuzzer's bytes; zeros when they are used up. */
struct Bytes {
  const uint8_t *data;
  size_t left;

  uint8_t byte() {
    if (left == 0) return 0;
    --left;
    return *data++;
  }
  int64_t pick(int64_t low, int64_t high) {
    uint64_t value = byte();
    if (high - low > 255) value |= (uint64_t)byte() << 8;
    return low + (int64_t)(value % (uint64_t)(high - low + 1));
  }
  bool one_in(int64_t n) { return pick(1, n) == n; }

  float number() {
    static const float odd[] = {0.0f,  -0.0f,    FLT_MAX, -FLT_MAX, FLT_MIN, 1e-42f,
                                1e18f, -1e-20f, 1e38f,   1.0f};
    const uint8_t b = byte();
    return b < 10 ? odd[b] : (float)((int)b - 128) / 16.0f;
  }
};

const int64_t kHostile[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 2, INT64_MAX / 4 + 1, -4096};

/* Bits before a call, to be the same after it. */
template <typename T>
struct Watched {
  Guarded<T> memory;
  std::vector<T> before;
  explicit Watched(size_t count, bool at_end) : memory(count, at_end) {
    memset((void *)memory.get(), 0xa5, count * sizeof(T));
    before = memory.copy();
  }
  T *get() { return memory.get(); }
  bool untouched() const { return same_bits(memory.copy(), before); }
};

/* A codebook's state, bit for bit. */
struct State {
  std::vector<float> e, m;
  std::vector<double> n;
  std::vector<int32_t> dead_steps;

  explicit State(const nas_codebook *codebook) {
    int64_t K = 0, d = 0;
    REQUIRE(nas_codebook_shape(codebook, &K, &d) == NAS_OK);
    e.resize((size_t)(K * d));
    m.resize((size_t)(K * d));
    n.resize((size_t)K);
    dead_steps.resize((size_t)K);
    REQUIRE(nas_codebook_read(codebook, e.data(), n.data(), m.data(), dead_steps.data(), nullptr) ==
            NAS_OK);
  }
  bool operator==(const State &o) const {
    return same_bits(e, o.e) && same_bits(m, o.m) && same_bits(n, o.n) &&
           same_bits(dead_steps, o.dead_steps);
  }
};

class Session {
 public:
  Session(const uint8_t *data, size_t size) : in_{data, size} {
    nas_set_tier(nas_best_tier());
    nas_set_threads(1);
  }
  ~Session() {
    for (nas_codebook *codebook : books_) nas_codebook_close(codebook);
  }

  void run() {
    for (int step = 0; step < 40 && in_.left > 0; ++step) {
      wrong_ = false;
      at_end_ = in_.one_in(2);
      switch (in_.pick(0, 12)) {
        case 0: case 1: create(); break;
        case 2: settings(); break;
        case 3: close(); break;
        case 4: case 5: lookup(); break;
        case 6: accumulate(); break;
        case 7: apply(); break;
        case 8: neighbours(); break;
        case 9: swap(); break;
        case 10: write(); break;
        case 11: update(); break;
        default: restart(); break;
      }
    }
  }

 private:
  /* Now and then the wrong value instead of the right one. */
  template <typename T>
  T spoil(T right, T wrong) {
    if (!in_.one_in(24)) return right;
    wrong_ = true;
    return wrong;
  }
  int64_t hostile(int64_t right) {
    return spoil<int64_t>(right, kHostile[(size_t)in_.pick(0, 5)]);
  }
  template <typename T>
  T *pointer(T *right) {
    if (!in_.one_in(24)) return right;
    wrong_ = true;
    const size_t shift = (size_t)in_.pick(0, (int64_t)alignof(T) - 1);
    if (shift == 0) return nullptr;
    using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
    return reinterpret_cast<T *>(reinterpret_cast<Byte *>(right) + shift);
  }
  void *stream() {
    static char not_null;
    return spoil<void *>(nullptr, &not_null);
  }

  /* An accepted call has no wrong argument, a refused one has. */
  void judge(nas_status status) {
    ++calls;
    REQUIRE((status == NAS_OK) == !wrong_);
    REQUIRE(status == NAS_OK || status == NAS_INVALID_ARGUMENT || status == NAS_NON_FINITE);
    REQUIRE(status == NAS_OK || *nas_last_error() != 0);
    accepted += status == NAS_OK ? 1 : 0;
  }

  std::vector<float> numbers(int64_t count) {
    std::vector<float> values((size_t)count);
    for (float &value : values) value = in_.number();
    return values;
  }
  /* Makes one number NaN or infinite, which is wrong. */
  void poison(std::vector<float> &values, int64_t limit) {
    if (limit == 0 || !in_.one_in(16)) return;
    wrong_ = true;
    values[(size_t)(in_.pick(0, 65535) % limit)] =
        in_.one_in(2) ? NAN : in_.one_in(2) ? INFINITY : -INFINITY;
  }

  nas_codebook *&book() { return books_[(size_t)in_.pick(0, 2)]; }
  /* The codebook of a slot, made if there is none. */
  nas_codebook *open(int64_t &K, int64_t &d) {
    nas_codebook *&slot = book();
    if (slot == nullptr) {
      K = in_.pick(1, 40);
      d = in_.pick(1, 70);
      const std::vector<float> codewords = numbers(K * d);
      REQUIRE(nas_codebook_create(codewords.data(), K, d, nullptr, nullptr, &slot) == NAS_OK);
    }
    REQUIRE(nas_codebook_shape(slot, &K, &d) == NAS_OK);
    return slot;
  }

  void create() {
    const int64_t K = in_.pick(1, 90), d = in_.one_in(8) ? in_.pick(1, 600) : in_.pick(1, 40);
    std::vector<float> values = numbers(K * d);
    poison(values, K * d);
    Guarded<float> codewords(values, at_end_);
    int64_t size = hostile(K), width = hostile(d);
    if (in_.one_in(30)) {
      wrong_ = true;
      (in_.one_in(2) ? size : width) = in_.one_in(2) ? 0 : NAS_MAX_CODEWORDS + 1;
    }
    nas_codebook *made = nullptr;
    int64_t bad = -7;
    nas_codebook **out = pointer(&made);
    judge(nas_codebook_create(pointer(codewords.get()), size, width, in_.one_in(2) ? &bad : nullptr,
                              stream(), out));
    REQUIRE((made != nullptr) == !wrong_);
    if (made == nullptr) return;
    nas_codebook *&slot = book();
    nas_codebook_close(slot);
    slot = made;
  }

  void close() {
    nas_codebook *&slot = book();
    judge(nas_codebook_close(slot));
    slot = nullptr;
  }

  void settings() {
    const int32_t tier = (int32_t)in_.pick(-2, 9), threads = (int32_t)in_.pick(-1, 4);
    const int32_t kept = nas_tier();
    wrong_ = !nas_has_tier(tier);
    judge(nas_set_tier(tier));
    REQUIRE(nas_tier() == (wrong_ ? kept : tier));
    wrong_ = threads < 1;
    judge(nas_set_threads(threads));
    wrong_ = in_.one_in(2);
    judge(nas_set_threads(wrong_ ? NAS_MAX_THREADS + 1 : 2));
    wrong_ = true;
    judge(nas_set_threads(INT32_MIN));
    wrong_ = false;
    char line[8] = "1234567";
    const int64_t capacity = hostile(in_.pick(1, 7));
    if (capacity < 8) judge(nas_describe(pointer(line), capacity));
    REQUIRE(line[7] == 0);
    if (wrong_) REQUIRE(strcmp(line, "1234567") == 0);
  }

  /* Makes room for a call. What is refused adds nothing, and what is right is reserved already. */
  void reserve(nas_codebook *codebook, int64_t rows, int64_t images, int64_t tokens) {
    REQUIRE(nas_codebook_reserve(codebook, rows, NAS_FLOAT32, images, tokens) == NAS_OK);
    const bool kept = wrong_;
    wrong_ = false;
    const int64_t more = hostile(rows), width = tokens == 0 ? images : hostile(images);
    judge(nas_codebook_reserve(spoil<nas_codebook *>(codebook, nullptr), more,
                               spoil<int32_t>(NAS_FLOAT32, in_.one_in(2) ? 3 : -1), width, tokens));
    int64_t bytes[2] = {-7, -7};
    wrong_ = false;
    int64_t *state = pointer(&bytes[0]);
    judge(nas_codebook_workspace(codebook, state, &bytes[1]));
    REQUIRE((bytes[1] >= 0) == !wrong_);
    wrong_ = kept;
  }
  /* A verdict is what the call without it would return. */
  nas_status status_of(nas_status status, const nas_verdict &verdict, int64_t *bad) {
    if (status != NAS_OK) {
      REQUIRE(verdict.status == -7 && verdict.bad_row == -7);
      return status;
    }
    REQUIRE(verdict.status == NAS_OK || *nas_last_error() != 0);
    if (bad != nullptr) *bad = verdict.bad_row;
    return (nas_status)verdict.status;
  }

  void lookup() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    const int64_t rows = in_.one_in(6) ? in_.pick(0, 400) : in_.pick(0, 20);
    const int64_t stride = d + in_.pick(0, 3);
    const int64_t held = rows == 0 ? 0 : (rows - 1) * stride + d;
    std::vector<float> values = numbers(held);
    if (rows > 0 && in_.one_in(16)) {
      wrong_ = true;
      values[(size_t)(in_.pick(0, 400) % rows * stride + in_.pick(0, 255) % d)] = NAN;
    }
    const bool only_numbers = !wrong_;
    wrong_ = false;
    Guarded<float> x(values, at_end_);
    Watched<int32_t> indices((size_t)rows, at_end_);
    Watched<float> distances((size_t)rows, at_end_);
    /* Without rows the pointers are not looked at. */
    const float *from = rows == 0 ? nullptr : pointer(x.get());
    int32_t *to = rows == 0 ? nullptr : pointer(indices.get());
    float *far = in_.one_in(2) || rows == 0 ? nullptr : distances.get();
    const int64_t count = hostile(rows), step = spoil<int64_t>(stride, d - 1);
    const nas_codebook *handle = spoil<const nas_codebook *>(codebook, nullptr);
    int64_t bad = -7;
    const int32_t type = spoil<int32_t>(NAS_FLOAT32, in_.one_in(2) ? 3 : INT32_MIN);
    nas_lookup_stats stats;
    const bool refused_outright = wrong_;
    void *given = stream();
    wrong_ = wrong_ || !only_numbers;
    const bool untouched = refused_outright || given != nullptr;
    if (in_.one_in(3)) {
      reserve(codebook, rows, 0, 0);
      nas_verdict verdict{-7, -7};
      judge(status_of(nas_lookup_enqueue(const_cast<nas_codebook *>(handle), from, type, count, step,
                                         to, far, &verdict, given),
                      verdict, nullptr));
    } else {
      judge(nas_lookup(handle, from, type, count, step, to, far, in_.one_in(2) ? &bad : nullptr,
                       in_.one_in(2) ? &stats : nullptr, given));
    }
    if (untouched) REQUIRE(indices.untouched() && distances.untouched());
    if (wrong_) return;
    for (int64_t i = 0; i < rows; ++i) {
      int32_t index;
      float distance;
      const State state(codebook);
      naive_lookup(state.e, K, d, &values[(size_t)(i * stride)], &index, &distance);
      REQUIRE(indices.get()[i] == index);
      REQUIRE(far == nullptr || same_bits(far + i, &distance, 1));
      if (rows > 40) i += 37;
    }
  }

  /* Rows with codes, as accumulate and update take them. */
  struct CodedRows {
    int64_t rows, stride;
    Guarded<float> x;
    Guarded<int32_t> codes;
  };
  CodedRows coded_rows(int64_t K, int64_t d, int64_t most) {
    const int64_t rows = in_.pick(0, most), stride = d + in_.pick(0, 3);
    std::vector<float> values = numbers(rows == 0 ? 0 : (rows - 1) * stride + d);
    poison(values, rows == 0 ? 0 : d);
    std::vector<int32_t> chosen((size_t)rows);
    for (int32_t &code : chosen) code = (int32_t)in_.pick(0, K - 1);
    if (rows > 0) {
      int32_t &code = chosen[(size_t)in_.pick(0, rows - 1)];
      code = spoil<int32_t>(code, in_.one_in(2) ? (int32_t)K : in_.one_in(2) ? -1 : INT32_MIN);
    }
    return {rows, stride, Guarded<float>(values, at_end_), Guarded<int32_t>(chosen, at_end_)};
  }

  void accumulate() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    CodedRows batch = coded_rows(K, d, 60);
    const int64_t rows = batch.rows;
    Guarded<double> counts(std::vector<double>((size_t)K, 0.5), at_end_);
    Guarded<double> sums(std::vector<double>((size_t)(K * d), 0.25), at_end_);
    const std::vector<double> counts_before = counts.copy(), sums_before = sums.copy();
    const float *from = rows == 0 ? nullptr : pointer(batch.x.get());
    const int32_t *by = rows == 0 ? nullptr : pointer(batch.codes.get());
    const int64_t count = hostile(rows), step = spoil<int64_t>(batch.stride, d - 1);
    double *to_counts = pointer(counts.get()), *to_sums = pointer(sums.get());
    int64_t bad = -7;
    judge(nas_accumulate(spoil<nas_codebook *>(codebook, nullptr), from,
                         spoil<int32_t>(NAS_FLOAT32, 3), count, step, by, to_counts, to_sums,
                         in_.one_in(2) ? &bad : nullptr, stream()));
    const bool same =
        same_bits(counts.copy(), counts_before) && same_bits(sums.copy(), sums_before);
    if (wrong_) REQUIRE(same);
    if (!wrong_ && rows > 0) REQUIRE(!same);
  }

  void apply() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    std::vector<double> c((size_t)K), s((size_t)(K * d));
    for (double &value : c) value = (double)in_.pick(0, 9);
    for (double &value : s) value = (double)in_.pick(-9, 9);
    Guarded<double> counts(c, at_end_), sums(s, at_end_);
    const double odd[] = {NAN, INFINITY, -1.0, -INFINITY, 2.0};
    const double gamma = spoil(0.5, odd[in_.pick(0, 4)]);
    const double epsilon = spoil(1e-5, in_.one_in(2) ? 0.0 : odd[in_.pick(2, 3)]);
    const double threshold = spoil(1.0, odd[in_.pick(2, 3)]);
    const State before(codebook);
    const double *from_counts = pointer(counts.get()), *from_sums = pointer(sums.get());
    nas_codebook *handle = spoil<nas_codebook *>(codebook, nullptr);
    void *given = stream();
    const nas_status status =
        nas_apply(handle, from_counts, from_sums, gamma, epsilon, threshold, given);
    /* Codewords near the largest float may leave its range: then, too, nothing may change. */
    if (!wrong_ && status == NAS_NON_FINITE) wrong_ = true;
    judge(status);
    if (wrong_) REQUIRE(State(codebook) == before);
  }

  void update() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    CodedRows batch = coded_rows(K, d, 30);
    const int64_t rows = batch.rows;
    const float *from = rows == 0 ? nullptr : pointer(batch.x.get());
    const int32_t *by = rows == 0 ? nullptr : pointer(batch.codes.get());
    const int64_t count = hostile(rows), step = spoil<int64_t>(batch.stride, d - 1);
    const double gamma = spoil(0.5, in_.one_in(2) ? (double)NAN : 1.0);
    nas_codebook *handle = spoil<nas_codebook *>(codebook, nullptr);
    void *given = stream();
    const State before(codebook);
    int64_t bad = -7;
    nas_status status;
    if (in_.one_in(2)) {
      reserve(codebook, rows, 0, 0);
      nas_verdict verdict{-7, -7};
      status = status_of(nas_update_enqueue(handle, from, NAS_FLOAT32, count, step, by, gamma, 1e-5,
                                            0.5, &verdict, given),
                         verdict, &bad);
    } else {
      status = nas_update(handle, from, NAS_FLOAT32, count, step, by, gamma, 1e-5, 0.5, &bad, given);
    }
    /* Codewords near the largest float may leave its range: then, too, nothing may change. */
    if (!wrong_ && status == NAS_NON_FINITE && bad == -1) wrong_ = true;
    judge(status);
    if (wrong_) REQUIRE(State(codebook) == before);
  }

  void neighbours() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    const int64_t R = in_.one_in(9) ? in_.pick(1, NAS_MAX_NEIGHBOURS) : in_.pick(1, 12);
    std::vector<uint8_t> alive((size_t)K);
    for (uint8_t &value : alive) value = (uint8_t)in_.pick(0, 2);
    Guarded<uint8_t> live(alive, at_end_);
    Watched<int32_t> out((size_t)(K * R), at_end_);
    int64_t length = hostile(R);
    length = spoil<int64_t>(length, in_.one_in(2) ? 0 : NAS_MAX_NEIGHBOURS + 1);
    int32_t *to = pointer(out.get());
    judge(nas_neighbours(spoil<nas_codebook *>(codebook, nullptr), length,
                         in_.one_in(2) ? live.get() : nullptr, to, stream()));
    if (wrong_) {
      REQUIRE(out.untouched());
      return;
    }
    for (int64_t i = 0; i < K * R; ++i) REQUIRE(out.get()[i] >= -1 && out.get()[i] < K);
  }

  /* Every rule, of whose arrays those that are not read may be NULL. */
  void swap() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    const int64_t B = in_.pick(0, 4), N = in_.pick(1, 12), M = in_.pick(1, N), R = in_.pick(1, 6);
    const int64_t E = in_.pick(0, 3);
    nas_swap_params p = {};
    p.images = B;
    p.tokens = N;
    p.chosen = M;
    p.neighbours = R;
    p.evidence_rows = E;
    p.text_weight = 0.5;
    p.seed = in_.byte();
    p.step = in_.byte();
    p.choose = (int32_t)in_.pick(0, 1);
    p.substitute = (int32_t)in_.pick(0, 1);
    p.sign = in_.one_in(2) ? 1 : -1;
    p.write = (int32_t)in_.pick(0, 1);
    p.donors = (int32_t)in_.pick(0, 1);
    const bool relevance = p.choose == NAS_CHOOSE_RELEVANCE;
    const bool evident = !relevance || p.substitute == NAS_SUBSTITUTE_EVIDENCE;
    const bool drawn = p.substitute == NAS_SUBSTITUTE_DRAW || p.donors != 0;

    std::vector<float> t = numbers(B * N), im = numbers(B * N);
    std::vector<int32_t> z((size_t)(B * N)), l((size_t)(K * R)), of((size_t)B);
    std::vector<double> ev((size_t)(E * K));
    for (int32_t &code : z) code = (int32_t)in_.pick(0, K - 1);
    for (int32_t &code : l) code = (int32_t)in_.pick(-1, K - 1);
    for (int32_t &row : of) row = (int32_t)in_.pick(-1, E - 1);
    for (double &value : ev) value = (double)in_.number();
    if (B > 0) {
      if (relevance) poison(t, B * N);
      if (relevance) poison(im, B * N);
      int32_t &code = z[(size_t)in_.pick(0, B * N - 1)], &entry = l[(size_t)in_.pick(0, K * R - 1)];
      code = spoil<int32_t>(code, in_.one_in(2) ? (int32_t)K : -1);
      entry = spoil<int32_t>(entry, in_.one_in(2) ? (int32_t)K : -2);
      int32_t &row = of[(size_t)in_.pick(0, B - 1)];
      if (evident) row = spoil<int32_t>(row, in_.one_in(2) ? (int32_t)E : -2);
      if (evident && row >= 0 && row < E) {
        double &value = ev[(size_t)(row * K + in_.pick(0, K - 1))];
        value = spoil(value, in_.one_in(2) ? (double)NAN : -(double)INFINITY);
      }
    }
    Guarded<float> text(t, at_end_), image(im, at_end_), tokens(numbers(B * N * d), at_end_);
    Guarded<double> evidence(ev, at_end_);
    Guarded<int32_t> codes(z, at_end_), lists(l, at_end_), evidence_of(of, at_end_);
    Guarded<int64_t> ids(std::vector<int64_t>((size_t)B, (int64_t)in_.byte()), at_end_);
    Watched<int32_t> positions((size_t)(B * M), at_end_), substitutes((size_t)(B * M), at_end_);
    Watched<float> swapped((size_t)(B * N * d), at_end_);
    Watched<double> scores((size_t)(B * N), at_end_);
    Watched<uint8_t> mask((size_t)(B * N), at_end_);

    p.images = spoil<int64_t>(p.images, in_.one_in(2) ? -1 : INT64_MAX / 2);
    p.tokens = spoil<int64_t>(p.tokens, in_.one_in(2) ? 0 : INT64_MAX);
    p.chosen = spoil<int64_t>(p.chosen, in_.one_in(2) ? 0 : p.tokens == INT64_MAX ? -1 : p.tokens + 1);
    p.neighbours = spoil<int64_t>(p.neighbours, in_.one_in(2) ? 0 : 1025);
    if (relevance) p.text_weight = spoil(p.text_weight, in_.one_in(2) ? (double)NAN : 1.5);
    if (evident) p.evidence_rows = spoil<int64_t>(E, in_.one_in(2) ? -1 : INT64_MAX);
    if (p.substitute == NAS_SUBSTITUTE_EVIDENCE) p.sign = spoil<int32_t>(p.sign, 0);
    p.write = spoil<int32_t>(p.write, in_.one_in(2) ? 2 : -1);
    int32_t &rule = in_.one_in(3) ? p.choose : in_.one_in(2) ? p.substitute : p.donors;
    rule = spoil<int32_t>(rule, in_.one_in(2) ? 2 : -1);

    const bool some = B > 0;
    auto given = [&](bool read, auto *array) {
      return some && read ? pointer(array) : some && in_.one_in(2) ? array : nullptr;
    };
    const nas_swap_input input = {given(relevance, text.get()),
                                  given(relevance, image.get()),
                                  given(evident && E > 0, evidence.get()),
                                  given(evident, evidence_of.get()),
                                  given(true, tokens.get()),
                                  given(true, codes.get()),
                                  given(true, lists.get()),
                                  given(drawn, ids.get())};
    const nas_swap_output output = {given(true, positions.get()), given(true, substitutes.get()),
                                    given(true, swapped.get()), given(false, scores.get()),
                                    given(false, mask.get())};
    const nas_swap_params *params = pointer(&p);
    const nas_swap_input *in = pointer(&input);
    const nas_swap_output *out = pointer(&output);
    int64_t bad = -7;
    nas_codebook *handle = spoil<nas_codebook *>(codebook, nullptr);
    void *on = stream();
    if (in_.one_in(3)) {
      reserve(codebook, 0, B, N);
      nas_verdict verdict{-7, -7};
      judge(status_of(nas_swap_enqueue(handle, params, in, out, &verdict, on), verdict, &bad));
    } else {
      judge(nas_swap(handle, params, in, out, in_.one_in(2) ? &bad : nullptr, on));
    }
    if (wrong_) {
      REQUIRE(positions.untouched() && substitutes.untouched() && swapped.untouched() &&
              scores.untouched() && mask.untouched());
    }
  }

  void write() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    std::vector<float> e = numbers(K * d), m = numbers(K * d);
    poison(e, K * d);
    poison(m, K * d);
    std::vector<double> n((size_t)K);
    std::vector<int32_t> dead((size_t)K);
    for (double &value : n) value = (double)in_.pick(0, 5);
    for (int32_t &value : dead) value = (int32_t)in_.pick(0, 5);
    const double odd[] = {NAN, INFINITY, -1.0, -INFINITY};
    double &one_n = n[(size_t)in_.pick(0, K - 1)];
    one_n = spoil(one_n, odd[in_.pick(0, 3)]);
    int32_t &one_dead = dead[(size_t)in_.pick(0, K - 1)];
    one_dead = spoil<int32_t>(one_dead, in_.one_in(2) ? -1 : INT32_MIN);
    Guarded<float> codewords(e, at_end_), means(m, at_end_);
    Guarded<double> sizes(n, at_end_);
    Guarded<int32_t> steps(dead, at_end_);
    const State before(codebook);
    static char not_null;
    void *given = spoil<void *>(nullptr, &not_null);
    nas_codebook *handle = spoil<nas_codebook *>(codebook, nullptr);
    judge(nas_codebook_write(handle, codewords.get(), sizes.get(), means.get(), steps.get(), given));
    const State after(codebook);
    if (wrong_) {
      REQUIRE(after == before);
    } else {
      REQUIRE(same_bits(after.e, e) && same_bits(after.m, m) && same_bits(after.n, n) &&
              same_bits(after.dead_steps, dead));
    }
    wrong_ = false;
    judge(nas_codebook_write(codebook, nullptr, nullptr, nullptr, nullptr, nullptr));
    judge(nas_codebook_read(codebook, nullptr, nullptr, nullptr, nullptr, nullptr));
    wrong_ = true;
    judge(nas_codebook_read(codebook, codewords.get(), nullptr, nullptr, nullptr, &not_null));
    int64_t size = -7;
    judge(nas_codebook_shape(codebook, &size, nullptr));
    REQUIRE(size == -7);
  }

  void restart() {
    int64_t K, d;
    nas_codebook *codebook = open(K, d);
    const int64_t count = in_.pick(0, 5);
    std::vector<float> values = numbers(count * d);
    poison(values, count * d);
    std::vector<int32_t> named((size_t)count);
    for (int32_t &code : named) {
      code = (int32_t)in_.pick(0, K - 1);
      code = spoil<int32_t>(code, in_.one_in(2) ? (int32_t)K : -1);
    }
    Guarded<float> vectors(values, at_end_);
    Guarded<int32_t> codes(named, at_end_);
    const State before(codebook);
    const int32_t *by = count == 0 ? nullptr : pointer(codes.get());
    const float *from = count == 0 ? nullptr : pointer(vectors.get());
    const int64_t asked = hostile(count);
    judge(nas_restart(spoil<nas_codebook *>(codebook, nullptr), by, from, asked, stream()));
    if (wrong_) REQUIRE(State(codebook) == before);
  }

  Bytes in_;
  bool wrong_ = false, at_end_ = false;
  nas_codebook *books_[3] = {nullptr, nullptr, nullptr};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Session(data, size).run();
  return 0;
}

#if !defined(NAS_FUZZER)
int main(int argc, char **argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 10;
  const uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 10) : 1;
  std::mt19937_64 random(seed);
  const auto start = std::chrono::steady_clock::now();
  int64_t inputs = 0;
  std::vector<uint8_t> bytes;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    bytes.resize(100 + random() % 20000);
    for (uint8_t &value : bytes) value = (uint8_t)(random() >> 32);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    ++inputs;
  }
  printf("%lld inputs, %lld calls, %lld accepted, seed %llu\n", (long long)inputs, (long long)calls,
         (long long)accepted, (unsigned long long)seed);
  /* Most calls are right, and many are wrong, or the test would see one side alone. */
  return accepted * 10 > calls * 3 && accepted * 20 < calls * 19 ? 0 : 1;
}
#endif
