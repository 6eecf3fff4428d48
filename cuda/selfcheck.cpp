/*
 * Compares every function of the CUDA library with the host library's scalar tier, bit for bit, on
 * awkward sizes and values; with --cpu, the host library's tiers and thread counts with its scalar
 * tier on one thread; with --bench, prints timings of the CUDA library instead. See usage().
 *
 * Exit code: 0 all equal, 1 a difference, 2 wrong usage or a library that cannot be loaded, 77 no
 * CUDA device (nothing was compared).
 */
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../cpu/tests/adversarial.h"
#include "nas_kernels.h"

namespace {

constexpr int kSkipped = 77;

[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "nas_selfcheck: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(2);
}

/* The case being run: what a kernel that never ends is told by, when a time limit ends this program. */
char running[512];

void when_ended(int) {
  (void)!write(STDOUT_FILENO, running, strlen(running));
  _exit(1);
}

void now_running(const std::string &function, const std::string &what, const std::string &side) {
  snprintf(running, sizeof running, "ended while running %s on %s: %s\n", function.c_str(),
           side.c_str(), what.c_str());
}

/* ---------------------------------------------------------------- libraries */

struct Api {
  decltype(&nas_abi_version) abi_version;
  decltype(&nas_last_error) last_error;
  decltype(&nas_describe) describe;
  decltype(&nas_best_tier) best_tier;
  decltype(&nas_tier) tier;
  decltype(&nas_set_tier) set_tier;
  decltype(&nas_threads) threads;
  decltype(&nas_set_threads) set_threads;
  decltype(&nas_codebook_create) create;
  decltype(&nas_codebook_close) close;
  decltype(&nas_codebook_shape) shape;
  decltype(&nas_codebook_read) read;
  decltype(&nas_codebook_write) write;
  decltype(&nas_lookup) lookup;
  decltype(&nas_accumulate) accumulate;
  decltype(&nas_apply) apply;
  decltype(&nas_update) update;
  decltype(&nas_restart) restart;
  decltype(&nas_neighbours) neighbours;
  decltype(&nas_swap) swap;
  decltype(&nas_codebook_reserve) reserve;
  decltype(&nas_codebook_workspace) workspace;
  decltype(&nas_lookup_enqueue) lookup_enqueue;
  decltype(&nas_update_enqueue) update_enqueue;
  decltype(&nas_swap_enqueue) swap_enqueue;
  decltype(&nas_philox4x32) philox;
};

template <class F>
void resolve(void *library, const std::string &path, const char *name, F *function) {
  *function = (F)dlsym(library, name);
  if (*function == nullptr) die("%s has no function %s", path.c_str(), name);
}

Api load(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die("cannot load %s: %s", path.c_str(), dlerror());
  Api api;
  resolve(library, path, "nas_abi_version", &api.abi_version);
  if (api.abi_version() != NAS_ABI_VERSION) {
    die("%s has ABI version %d, this program was built for %d", path.c_str(), api.abi_version(),
        NAS_ABI_VERSION);
  }
  resolve(library, path, "nas_last_error", &api.last_error);
  resolve(library, path, "nas_describe", &api.describe);
  resolve(library, path, "nas_best_tier", &api.best_tier);
  resolve(library, path, "nas_tier", &api.tier);
  resolve(library, path, "nas_set_tier", &api.set_tier);
  resolve(library, path, "nas_threads", &api.threads);
  resolve(library, path, "nas_set_threads", &api.set_threads);
  resolve(library, path, "nas_codebook_create", &api.create);
  resolve(library, path, "nas_codebook_close", &api.close);
  resolve(library, path, "nas_codebook_shape", &api.shape);
  resolve(library, path, "nas_codebook_read", &api.read);
  resolve(library, path, "nas_codebook_write", &api.write);
  resolve(library, path, "nas_lookup", &api.lookup);
  resolve(library, path, "nas_accumulate", &api.accumulate);
  resolve(library, path, "nas_apply", &api.apply);
  resolve(library, path, "nas_update", &api.update);
  resolve(library, path, "nas_restart", &api.restart);
  resolve(library, path, "nas_neighbours", &api.neighbours);
  resolve(library, path, "nas_swap", &api.swap);
  resolve(library, path, "nas_codebook_reserve", &api.reserve);
  resolve(library, path, "nas_codebook_workspace", &api.workspace);
  resolve(library, path, "nas_lookup_enqueue", &api.lookup_enqueue);
  resolve(library, path, "nas_update_enqueue", &api.update_enqueue);
  resolve(library, path, "nas_swap_enqueue", &api.swap_enqueue);
  resolve(library, path, "nas_philox4x32", &api.philox);
  return api;
}

/* ---------------------------------------------------------------- sides and their memory */

/* One of the two things compared. */
struct Side {
  std::string name;
  const Api *api = nullptr;
  bool device = false;
  int32_t tier = NAS_TIER_SCALAR;
  int32_t threads = 1;
  void *stream = nullptr;

  void prepare() const {
    if (api->set_tier(tier) != NAS_OK || (!device && api->set_threads(threads) != NAS_OK)) {
      die("%s: %s", name.c_str(), api->last_error());
    }
  }
};

void must(cudaError_t error, const char *what) {
  if (error != cudaSuccess) die("%s: %s", what, cudaGetErrorString(error));
}

/* An array in a side's memory, exactly as large as its values. */
template <class T>
class Array {
 public:
  Array(const Side &side, const std::vector<T> &values) : device_(side.device), values_(values) {
    if (!device_) return;
    size_t bytes = values.size() * sizeof(T);
    must(cudaMalloc((void **)&data_, bytes == 0 ? 1 : bytes), "cudaMalloc");
    if (bytes > 0) {
      must(cudaMemcpy(data_, values.data(), bytes, cudaMemcpyHostToDevice), "a copy");
    }
  }
  ~Array() {
    if (device_) must(cudaFree(data_), "cudaFree");
  }
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;

  T *data() { return device_ ? data_ : values_.data(); }

  /* Other values, as many, in the same place. */
  void fill(const std::vector<T> &values) {
    if (values.size() != values_.size()) die("an array filled with another number of values");
    std::copy(values.begin(), values.end(), values_.begin());
    if (!device_ || values.empty()) return;
    must(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
         "a copy");
  }

  std::vector<T> values() {
    if (device_ && !values_.empty()) {
      must(cudaStreamSynchronize(nullptr), "waiting");
      must(cudaMemcpy(values_.data(), data_, values_.size() * sizeof(T), cudaMemcpyDeviceToHost),
           "a copy");
    }
    return values_;
  }

 private:
  bool device_;
  std::vector<T> values_;
  T *data_ = nullptr;
};

/* ---------------------------------------------------------------- random input */

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return (int64_t)(next() % (uint64_t)n); }
  double uniform() { return (double)(next() >> 11) * 0x1p-53; }
  float normal() {
    double u = 1.0 - uniform();
    return (float)(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform()));
  }
  float bits() {
    for (;;) {
      uint32_t word = (uint32_t)next();
      float value;
      memcpy(&value, &word, sizeof value);
      if (std::isfinite(value)) return value;
    }
  }

 private:
  uint64_t state_;
};

enum class Kind {
  kNormal,
  kGrid,        /* whole numbers 0..2: many exact ties */
  kDuplicates,  /* every vector one of three */
  kOffset,      /* around 1e6 */
  kDenormal,
  kTiny,        /* about 1e-30 */
  kHuge,        /* about 1e30 */
  kBits,        /* any finite float */
  kOutlier,     /* normal, some vectors 1e25 times as long */
  kClustered,   /* a few centres and 1e-4 around them */
  kCount
};

const char *name_of(Kind kind) {
  static const char *const names[] = {"normal", "grid", "duplicates", "offset",  "denormal",
                                      "tiny",   "huge", "bits",       "outlier", "clustered"};
  return names[(int)kind];
}

std::vector<float> vectors(Random &random, Kind kind, int64_t count, int64_t d) {
  std::vector<float> x((size_t)(count * d));
  std::vector<float> centres((size_t)(3 * d));
  Random shared(0x5eed + (uint64_t)d); /* the same centres for rows and codewords */
  for (float &value : centres) value = shared.normal();
  for (int64_t i = 0; i < count; ++i) {
    const float *centre = &centres[(size_t)(random.below(3) * d)];
    float scale = random.below(8) == 0 ? 1e25f : 1.0f;
    for (int64_t t = 0; t < d; ++t) {
      float &value = x[(size_t)(i * d + t)];
      switch (kind) {
        case Kind::kNormal:
          value = random.normal();
          break;
        case Kind::kGrid:
          value = (float)random.below(3);
          break;
        case Kind::kDuplicates:
          value = centre[t];
          break;
        case Kind::kOffset:
          value = 1e6f + random.normal();
          break;
        case Kind::kDenormal:
          value = (float)(random.below(2001) - 1000) * 0x1p-149f;
          break;
        case Kind::kTiny:
          value = 1e-30f * random.normal();
          break;
        case Kind::kHuge:
          value = 1e30f * random.normal();
          break;
        case Kind::kBits:
          value = random.bits();
          break;
        case Kind::kOutlier:
          value = scale * random.normal();
          break;
        case Kind::kClustered:
        case Kind::kCount:
          value = centre[t] + 1e-4f * random.normal();
          break;
      }
    }
  }
  return x;
}

Kind any_kind(Random &random) { return (Kind)random.below((int64_t)Kind::kCount); }

/* ---------------------------------------------------------------- the comparison */

struct Tally {
  int64_t cases = 0;
  int64_t values = 0;
  int64_t failures = 0;
};

struct Report {
  std::vector<std::string> order;
  std::map<std::string, Tally> tallies;

  Tally &of(const std::string &function) {
    if (tallies.find(function) == tallies.end()) order.push_back(function);
    return tallies[function];
  }
};

Report report;
int64_t shown = 0;

void complain(const std::string &function, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void complain(const std::string &function, const char *format, ...) {
  report.of(function).failures++;
  if (++shown > 20) return;
  va_list arguments;
  va_start(arguments, format);
  printf("DIFFERENCE in %s: ", function.c_str());
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

/* What a function did on one side: its status, what it wrote, in a fixed order. */
struct Outcome {
  nas_status status = NAS_OK;
  int64_t bad_row = -2;
  std::string error;
  std::vector<std::pair<std::string, std::vector<unsigned char>>> outputs;

  template <class T>
  void add(const std::string &name, const std::vector<T> &values) {
    std::vector<unsigned char> bytes(values.size() * sizeof(T));
    if (!bytes.empty()) memcpy(bytes.data(), values.data(), bytes.size());
    outputs.emplace_back(name, std::move(bytes));
  }
};

void compare(const std::string &function, const std::string &what, const Side &reference,
             const Outcome &expected, const Side &subject, const Outcome &actual) {
  Tally &tally = report.of(function);
  tally.cases++;
  if (expected.status != actual.status) {
    complain(function, "%s: status %d (%s) on %s, %d (%s) on %s", what.c_str(), expected.status,
             expected.error.c_str(), reference.name.c_str(), actual.status, actual.error.c_str(),
             subject.name.c_str());
    return;
  }
  if (actual.status != NAS_OK && actual.error.empty()) {
    complain(function, "%s: a failure without a message on %s", what.c_str(),
             subject.name.c_str());
  }
  if (expected.bad_row != actual.bad_row) {
    complain(function, "%s: bad row %lld on %s, %lld on %s", what.c_str(),
             (long long)expected.bad_row, reference.name.c_str(), (long long)actual.bad_row,
             subject.name.c_str());
    return;
  }
  if (expected.outputs.size() != actual.outputs.size()) {
    complain(function, "%s: %zu outputs on %s, %zu on %s", what.c_str(), expected.outputs.size(),
             reference.name.c_str(), actual.outputs.size(), subject.name.c_str());
    return;
  }
  for (size_t i = 0; i < expected.outputs.size(); ++i) {
    const auto &a = expected.outputs[i];
    const auto &b = actual.outputs[i];
    tally.values += (int64_t)(a.second.size() / 4);
    if (a.second == b.second) continue;
    size_t at = 0;
    while (at < a.second.size() && at < b.second.size() && a.second[at] == b.second[at]) ++at;
    at = at / 4 * 4;
    uint32_t left = 0;
    uint32_t right = 0;
    if (at + 4 <= a.second.size()) memcpy(&left, &a.second[at], 4);
    if (at + 4 <= b.second.size()) memcpy(&right, &b.second[at], 4);
    complain(function, "%s: %s differs, first at byte %zu: 0x%08x on %s, 0x%08x on %s",
             what.c_str(), a.first.c_str(), at, left, reference.name.c_str(), right,
             subject.name.c_str());
  }
}

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

std::string text(const char *format, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

/* A codebook on one side, closed at the end of its life. */
class Codebook {
 public:
  Codebook(const Side &side, const std::vector<float> &codewords, int64_t K, int64_t d)
      : side_(side), K_(K), d_(d) {
    Array<float> e(side, codewords);
    side.prepare();
    if (side.api->create(e.data(), K, d, nullptr, side.stream, &handle_) != NAS_OK) {
      die("%s: %s", side.name.c_str(), side.api->last_error());
    }
  }
  ~Codebook() {
    if (side_.api->close(handle_) != NAS_OK) die("%s", side_.api->last_error());
  }
  Codebook(const Codebook &) = delete;
  Codebook &operator=(const Codebook &) = delete;

  nas_codebook *get() const { return handle_; }

  void add_state(Outcome *outcome) const {
    Array<float> e(side_, std::vector<float>((size_t)(K_ * d_), -7.0f));
    Array<float> m(side_, std::vector<float>((size_t)(K_ * d_), -7.0f));
    Array<double> n(side_, std::vector<double>((size_t)K_, -7.0));
    Array<int32_t> dead(side_, std::vector<int32_t>((size_t)K_, -7));
    if (side_.api->read(handle_, e.data(), n.data(), m.data(), dead.data(), side_.stream) !=
        NAS_OK) {
      die("%s: %s", side_.name.c_str(), side_.api->last_error());
    }
    if (side_.device) must(cudaStreamSynchronize((cudaStream_t)side_.stream), "waiting");
    outcome->add("codewords", e.values());
    outcome->add("m", m.values());
    outcome->add("n", n.values());
    outcome->add("dead_steps", dead.values());
  }

 private:
  const Side &side_;
  int64_t K_;
  int64_t d_;
  nas_codebook *handle_ = nullptr;
};

/* Runs one case on both sides and compares. */
void both(const std::string &function, const std::string &what, const Side &reference,
          const Side &subject, const std::function<Outcome(const Side &)> &run) {
  reference.prepare();
  now_running(function, what, reference.name);
  Outcome expected = run(reference);
  subject.prepare();
  now_running(function, what, subject.name);
  Outcome actual = run(subject);
  compare(function, what, reference, expected, subject, actual);
}

void finish(const Side &side, nas_status status, Outcome *outcome) {
  outcome->status = status;
  if (status != NAS_OK) outcome->error = side.api->last_error();
}

/* ---------------------------------------------------------------- the functions */

struct Options {
  std::string host;
  std::string cuda;
  uint64_t seed = 0;
  bool cpu = false;
  bool bench = false;
  double work = 2e9; /* the most rows * K * d of a case */
  int32_t tier = -1; /* of the CUDA library, or all */
};

/* The tiers of the CUDA library, by the names of Java's nas.cuda.tier. */
const struct {
  int32_t tier;
  const char *name;
} kCudaTiers[] = {
    {NAS_TIER_SCALAR, "scalar"}, {NAS_TIER_TENSOR, "tensor"}, {NAS_TIER_HOPPER, "hopper"}};

const int64_t kRows[] = {1, 2, 63, 257, 1000};
const int64_t kCodewords[] = {1, 2, 31, 512, 2048};
const int64_t kWidths[] = {1, 3, 8, 63, 192, 257, 768};

bool affordable(const Options &options, int64_t rows, int64_t K, int64_t d) {
  return (double)rows * (double)K * (double)d <= options.work;
}

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
    const Adversary problem(random.next());
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
}

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
void check_update(const Side &reference, const Side &subject, Random &random,
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

/* `live` empty: all. */
void check_neighbours_case(const Side &reference, const Side &subject, const std::string &what,
                           const std::vector<float> &codewords, int64_t K, int64_t d, int64_t R,
                           const std::vector<uint8_t> &live) {
  both("neighbours", what, reference, subject, [&](const Side &side) {
    Codebook codebook(side, codewords, K, d);
    Array<uint8_t> live_in(side, live);
    Array<int32_t> out(side, std::vector<int32_t>((size_t)(K * R), -9));
    Outcome outcome;
    finish(side,
           side.api->neighbours(codebook.get(), R, live.empty() ? nullptr : live_in.data(),
                                out.data(), side.stream),
           &outcome);
    if (side.device) must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting");
    outcome.add("lists", out.values());
    return outcome;
  });
}

/* Each code is live by `share` of 4 chances. */
std::vector<uint8_t> some_live(Random &random, int64_t K, int64_t share) {
  std::vector<uint8_t> live((size_t)K);
  for (uint8_t &value : live) {
    value = (uint8_t)(random.below(4) < share ? 1 + random.below(255) : 0);
  }
  return live;
}

/*
 * Codes 0..2 and their opposites, so that the centre is 0, on which two levels of int8 have errors of more
 * than 92 % of what a term of their bound allows: of what the two levels lose of codes 1 and 2 (term 0), of
 * what they lose of code 0 (term 1), or of the product of the second levels, which is left out (term 2). In
 * most elements what is lost is the same, and so is the other vector. Of code 0's list the opposite of code
 * 2 is the first, and code 1 the second by a hair, but it appears farther than code 2 by all of two bounds.
 */
std::vector<float> neighbours_at_bound(int64_t d, int term) {
  const float largest = 127.0f * 16.0f; /* sets a scale of 16 */
  const float lost = 0x1.fcp-2f / 16.0f;
  const float low = 127.0f / 16.0f;
  const int64_t tuned = d - 2; /* from here on two elements for the lengths */
  std::vector<float> e((size_t)(6 * d), 0.0f);
  float *const rows[3] = {&e[0], &e[(size_t)d], &e[(size_t)(2 * d)]};
  for (int i = 0; i < 3; ++i) {
    const bool coarse = term == 2 || (i == 0) == (term == 1);
    rows[i][i == 0 ? 0 : 1] = coarse ? largest : 127.0f;
    for (int64_t t = 2; t < tuned; ++t) {
      rows[i][t] = (term == 2 ? low : coarse ? lost : 127.0f) * (i == 2 ? -1.0f : 1.0f);
    }
  }
  auto distance = [&](int i) {
    double sum = 0.0;
    for (int64_t t = 0; t < d; ++t) {
      const double difference = (double)rows[0][t] - (double)rows[i][t];
      sum += difference * difference;
    }
    return sum;
  };
  for (int64_t t = tuned; t < d; ++t) { /* multiples of 1/16, which int8 holds exactly; never quite enough */
    const double missing = std::sqrt(distance(2) - distance(1));
    rows[1][t] = (float)((std::ceil(16.0 * missing) - 1.0) / 16.0);
  }
  for (size_t i = 0; i < (size_t)(3 * d); ++i) e[(size_t)(3 * d) + i] = -e[i];
  return e;
}

/*
 * The CUDA library lists the codes that its screening leaves for a row, 352 of them before it must cut the
 * list, and looks at 512 codes at a time; beyond R = 128 it does not screen.
 */
void check_screened_neighbours(const Side &reference, const Side &subject, Random &random) {
  const struct {
    Kind kind;
    int64_t K, d, R, share;
  } cases[] = {
      {Kind::kNormal, 530, 5, 128, 4},    {Kind::kNormal, 401, 129, 8, 4},
      {Kind::kNormal, 145, 2, 129, 4},    {Kind::kNormal, 100, 65, 128, 4},
      {Kind::kNormal, 560, 64, 32, 2},    {Kind::kNormal, 400, 4, 7, 1},
      {Kind::kNormal, 70, 9, 3, 0},       {Kind::kNormal, 1030, 5, 20, 4},
      {Kind::kGrid, 420, 40, 100, 4},     {Kind::kGrid, 460, 2, 20, 3},
      {Kind::kDuplicates, 390, 6, 40, 4}, {Kind::kClustered, 400, 70, 20, 4},
      {Kind::kOffset, 400, 33, 32, 4},    {Kind::kOutlier, 300, 7, 16, 4},
      {Kind::kOutlier, 358, 7, 16, 4},    {Kind::kBits, 200, 3, 32, 4},
      {Kind::kDenormal, 200, 12, 32, 4},  {Kind::kTiny, 354, 12, 4, 4},
  };
  for (const auto &of : cases) {
    check_neighbours_case(
        reference, subject,
        text("screened, K %lld, d %lld, R %lld, %s, live %lld/4", (long long)of.K, (long long)of.d,
             (long long)of.R, name_of(of.kind), (long long)of.share),
        vectors(random, of.kind, of.K, of.d), of.K, of.d, of.R,
        of.share == 4 ? std::vector<uint8_t>() : some_live(random, of.K, of.share));
  }

  /* Some rows have too many codes at one distance, others not; those codes last, or spread. */
  for (bool spread : {false, true}) {
    const int64_t K = 420;
    const int64_t d = 6;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    for (int64_t j = 0; j < K; ++j) {
      const bool same = spread ? j % 8 < 7 : j >= 52;
      if (same) std::fill_n(&codewords[(size_t)(j * d)], d, 0.75f);
    }
    check_neighbours_case(reference, subject,
                          text("screened, 368 codes the same, %s", spread ? "spread" : "last"),
                          codewords, K, d, 24, {});
  }

  /* Lengths on both sides of 2^60, from where on nothing is screened. */
  {
    const int64_t K = 400;
    const int64_t d = 5;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    for (float &value : codewords) value *= 0x1p58f;
    check_neighbours_case(reference, subject, "screened, lengths about 2^60", codewords, K, d, 16, {});
  }

  for (int64_t d : {200, 520}) {
    for (int term : {0, 1, 2}) {
      check_neighbours_case(reference, subject,
                            text("screened, term %d of the bound attained, d %lld", term, (long long)d),
                            neighbours_at_bound(d, term), 6, d, 2, {});
    }
  }
}

void check_neighbours(const Side &reference, const Side &subject, Random &random,
                      const Options &options) {
  for (int64_t K : {1, 2, 31, 200, 512, 2048}) {
    for (int64_t d : {1, 3, 8, 63, 192, 257, 768, NAS_MAX_WIDTH}) {
      if (!affordable(options, K, K, 4 * d)) continue;
      for (int64_t R : {(int64_t)1, (int64_t)32, random.below(2) == 0 ? (int64_t)1024 : K}) {
        if (R > 1024) continue;
        Kind kind = any_kind(random);
        std::vector<float> codewords = vectors(random, kind, K, d);
        std::vector<uint8_t> live = some_live(random, K, random.below(4));
        if (random.below(2) == 0) live.clear();
        check_neighbours_case(reference, subject,
                              text("K %lld, d %lld, R %lld, %s%s", (long long)K, (long long)d,
                                   (long long)R, name_of(kind),
                                   live.empty() ? "" : ", with dead codes"),
                              codewords, K, d, R, live);
      }
    }
  }
  check_screened_neighbours(reference, subject, random);
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

void check_swap(const Side &reference, const Side &subject, Random &random,
                const Options &options) {
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

void check_refusals(const Side &reference, const Side &subject) {
  const int64_t K = 4;
  const int64_t d = 3;
  std::vector<float> codewords = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
  using Call =
      std::function<nas_status(const Side &, nas_codebook *, float *, int32_t *, double *)>;
  nas_swap_params good = {1, 2, 1, 1, 0.5, 1, 1, NAS_SWAP_QUANTISED};
  const std::vector<std::pair<const char *, Call>> calls = {
      {"create: K 0",
       [&](const Side &s, nas_codebook *, float *f, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(f, 0, d, nullptr, s.stream, &made);
       }},
      {"create: d too large",
       [&](const Side &s, nas_codebook *, float *f, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(f, K, NAS_MAX_WIDTH + 1, nullptr, s.stream, &made);
       }},
      {"create: codewords NULL",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(nullptr, K, d, nullptr, s.stream, &made);
       }},
      {"lookup: codebook NULL",
       [&](const Side &s, nas_codebook *, float *f, int32_t *i, double *) {
         return s.api->lookup(nullptr, f, NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: rows -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, -1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: stride below the width",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, 1, d - 1, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: overflow",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, INT64_MAX / 2, INT64_MAX / 2, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: x NULL",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->lookup(c, nullptr, NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: x misaligned",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, (float *)((char *)f + 1), NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: indices NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, 1, d, nullptr, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: rows 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *) {
         return s.api->lookup(c, nullptr, NAS_FLOAT32, 0, d, nullptr, nullptr, nullptr, nullptr, s.stream);
       }},
      {"accumulate: counts NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return s.api->accumulate(c, f, NAS_FLOAT32, 1, d, i, nullptr, w, nullptr, s.stream);
       }},
      {"accumulate: type 3",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return s.api->accumulate(c, f, 3, 1, d, i, w, w, nullptr, s.stream);
       }},
      {"update: type -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->update(c, f, -1, 1, d, i, 0.5, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"update: gamma 1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->update(c, f, NAS_FLOAT32, 1, d, i, 1.0, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"update: codes NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *, double *) {
         return s.api->update(c, f, NAS_FLOAT32, 1, d, nullptr, 0.5, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"apply: gamma 1",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 1.0, 1e-5, 0.0, s.stream);
       }},
      {"apply: gamma NaN",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, NAN, 1e-5, 0.0, s.stream);
       }},
      {"apply: epsilon 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 0.5, 0.0, 0.0, s.stream);
       }},
      {"apply: dead_threshold -1",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 0.5, 1e-5, -1.0, s.stream);
       }},
      {"restart: count -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->restart(c, i, f, -1, s.stream);
       }},
      {"restart: count 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *) {
         return s.api->restart(c, nullptr, nullptr, 0, s.stream);
       }},
      {"neighbours: R 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->neighbours(c, 0, nullptr, i, s.stream);
       }},
      {"neighbours: R 1025",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->neighbours(c, 1025, nullptr, i, s.stream);
       }},
      {"swap: params NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return s.api->swap(c, nullptr, f, f, f, i, i, (int64_t *)w, i, i, f, nullptr, s.stream);
       }},
      {"swap: chosen above tokens",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.chosen = 3;
         return s.api->swap(c, &p, f, f, f, i, i, (int64_t *)w, i, i, f, nullptr, s.stream);
       }},
      {"swap: mode 2",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.mode = 2;
         return s.api->swap(c, &p, f, f, f, i, i, (int64_t *)w, i, i, f, nullptr, s.stream);
       }},
      {"swap: text_weight NaN",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.text_weight = NAN;
         return s.api->swap(c, &p, f, f, f, i, i, (int64_t *)w, i, i, f, nullptr, s.stream);
       }},
      {"swap: images that overflow",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.images = INT64_MAX / 2;
         return s.api->swap(c, &p, f, f, f, i, i, (int64_t *)w, i, i, f, nullptr, s.stream);
       }},
      {"set_tier: above all",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->set_tier(NAS_TIER_HOPPER + 1);
       }},
      {"set_threads: 0",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->set_threads(0);
       }},
      {"close: NULL",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->close(nullptr);
       }},
  };
  for (const auto &entry : calls) {
    both("refusals", entry.first, reference, subject, [&](const Side &side) {
      Codebook codebook(side, codewords, K, d);
      Array<float> floats(side, std::vector<float>(64, 0.25f));
      Array<int32_t> ints(side, std::vector<int32_t>(64, 1));
      Array<double> doubles(side, std::vector<double>(64, 1.0));
      Outcome outcome;
      finish(side,
             entry.second(side, codebook.get(), floats.data(), ints.data(), doubles.data()),
             &outcome);
      codebook.add_state(&outcome);
      outcome.add("floats", floats.values());
      outcome.add("ints", ints.values());
      outcome.add("doubles", doubles.values());
      return outcome;
    });
  }

  if (!subject.device) return;
  /* Host memory where device memory is wanted: refused, by name. */
  Codebook codebook(subject, codewords, K, d);
  Array<int32_t> indices(subject, std::vector<int32_t>(1, -9));
  std::vector<float> host(3, 0.0f);
  nas_status status = subject.api->lookup(codebook.get(), host.data(), NAS_FLOAT32, 1, d, indices.data(),
                                          nullptr, nullptr, nullptr, subject.stream);
  report.of("refusals").cases++;
  if (status != NAS_INVALID_ARGUMENT ||
      strstr(subject.api->last_error(), "x is not device memory") == nullptr) {
    complain("refusals", "host memory as x: status %d (%s)", status, subject.api->last_error());
  }
}

#include "selfcheck_graph.h"

void check_all(const Side &reference, const Side &subject, const Options &options) {
  Random random(options.seed);
  check_philox(reference, subject, random);
  check_refusals(reference, subject);
  check_codebook(reference, subject, random, options);
  check_lookup(reference, subject, random, options);
  check_accumulate(reference, subject, random, options);
  check_update(reference, subject, random, options);
  check_apply(reference, subject, random, options);
  check_neighbours(reference, subject, random, options);
  check_swap(reference, subject, random, options);
  check_enqueue(reference, subject, random);
  if (!subject.device) return;
  check_graphs(reference, subject, random);
  check_devices(reference, subject, random);
}

/* Problems large enough that blocks on a device of many multiprocessors come to several tiles of codewords,
 * and calls to several chunks of rows; in emulation smaller ones do. */
void check_large(const Side &reference, const Side &subject, Random &random, const Options &options) {
  if (options.work < 1e9) return;
  int multiprocessors = 0;
  must(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "an attribute");
  const int64_t rows = 128 * (int64_t)multiprocessors - 5; /* too many to split the codewords for them */
  for (Kind kind : {Kind::kNormal, Kind::kClustered, Kind::kDuplicates}) {
    for (int64_t d : {40, 300, 768, 770, 1300}) {
      check_lookup_case(reference, subject, random, rows, 1500, d, kind, kind, false);
    }
  }
  check_lookup_case(reference, subject, random, (1 << 17) + 77, 130, 8, Kind::kNormal, Kind::kNormal,
                    false);
  check_lookup_case(reference, subject, random, (1 << 17) + 77, 130, 8, Kind::kNormal, Kind::kNormal,
                    true);
}

/* ---------------------------------------------------------------- timings */

/* Median wall-clock seconds of a call, the wait for the device included. */
double median_seconds(const std::function<void()> &call) {
  call();
  std::vector<double> times;
  auto begin = std::chrono::steady_clock::now();
  const std::chrono::seconds enough(1);
  while (times.size() < 5 ||
         (times.size() < 50 && std::chrono::steady_clock::now() - begin < enough)) {
    auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/* Seconds of one of ten enqueued calls in a graph, the median of its replays. */
double replayed_seconds(const Side &side, const std::function<void()> &enqueue) {
  constexpr int kCalls = 10;
  cudaStream_t stream = (cudaStream_t)side.stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "the start of a capture");
  for (int i = 0; i < kCalls; ++i) enqueue();
  must(cudaStreamEndCapture(stream, &graph), "the end of a capture");
  must(cudaGraphInstantiate(&replay, graph, 0), "a graph");
  must(cudaGraphDestroy(graph), "a graph's end");
  const double seconds = median_seconds([&] {
    must(cudaGraphLaunch(replay, stream), "a graph's launch");
    must(cudaStreamSynchronize(stream), "waiting");
  });
  must(cudaGraphExecDestroy(replay), "a graph's end");
  return seconds / kCalls;
}

void bench(const Side &side, const Options &options) {
  const uint64_t seed = options.seed;
  Random random(seed);
  auto need = [&](nas_status status) {
    if (status != NAS_OK) die("%s", side.api->last_error());
  };
  auto wait = [&] { must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting"); };
  auto timed = [&](int32_t tier) {
    return tier <= side.api->best_tier() && (options.tier < 0 || tier <= options.tier);
  };
  printf("| function | size | median ms | rate |\n| --- | --- | --- | --- |\n");
  for (int64_t rows : {6272, 65536}) {
    const int64_t K = 2048;
    const int64_t d = 768;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    std::vector<float> x = vectors(random, Kind::kNormal, rows, d);
    Codebook codebook(side, codewords, K, d);
    Array<float> x_in(side, x);
    Array<int32_t> indices(side, std::vector<int32_t>((size_t)rows));
    Array<double> counts(side, std::vector<double>((size_t)K, 0.0));
    Array<double> sums(side, std::vector<double>((size_t)(K * d), 0.0));
    double seconds = 0.0;
    std::vector<int32_t> first;
    for (const auto &of : kCudaTiers) {
      if (!timed(of.tier)) continue;
      need(side.api->set_tier(of.tier));
      seconds = median_seconds([&] {
        need(side.api->lookup(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, indices.data(),
                              nullptr, nullptr, nullptr, side.stream));
      });
      if (first.empty()) first = indices.values();
      if (first != indices.values()) die("the tiers disagree");
      printf("| lookup, %s | rows %lld, K %lld, d %lld | %.3f | %.1f Top/s of screening |\n", of.name,
             (long long)rows, (long long)K, (long long)d, seconds * 1e3,
             2.0 * (double)(rows * K * d) / seconds * 1e-12);
    }
    need(side.api->set_tier(NAS_TIER_SCALAR));
    seconds = median_seconds([&] {
      need(side.api->accumulate(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, indices.data(),
                                counts.data(), sums.data(), nullptr, side.stream));
    });
    printf("| accumulate | rows %lld, K %lld, d %lld | %.3f | %.1f GB/s of rows |\n",
           (long long)rows, (long long)K, (long long)d, seconds * 1e3,
           4.0 * (double)(rows * d) / seconds * 1e-9);
    Array<nas_verdict> verdict(side, std::vector<nas_verdict>(1));
    need(side.api->reserve(codebook.get(), rows, NAS_FLOAT32, 0, 0));
    std::vector<int32_t> even((size_t)rows);
    for (int32_t &code : even) code = (int32_t)random.below(K);
    Array<int32_t> even_codes(side, even);
    const struct {
      const char *name;
      const int32_t *codes;
    } batches[] = {{"codes as looked up", indices.data()}, {"codes drawn evenly", even_codes.data()}};
    for (const auto &batch : batches) { /* gamma 0.9999: the codewords hardly move */
      auto line = [&](const char *how, double took) {
        printf("| update%s, %s | rows %lld, K %lld, d %lld | %.3f | %.1f GB/s of rows |\n", how,
               batch.name, (long long)rows, (long long)K, (long long)d, took * 1e3,
               4.0 * (double)(rows * d) / took * 1e-9);
      };
      line("", median_seconds([&] {
             need(side.api->update(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, batch.codes,
                                   0.9999, 1e-5, 0.0, nullptr, side.stream));
           }));
      line(" in a graph", replayed_seconds(side, [&] {
             need(side.api->update_enqueue(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d,
                                           batch.codes, 0.9999, 1e-5, 0.0, verdict.data(),
                                           side.stream));
           }));
    }
    if (rows == 6272) {
      seconds = median_seconds([&] {
        need(side.api->apply(codebook.get(), counts.data(), sums.data(), 0.99, 1e-5, 0.0,
                             side.stream));
      });
      printf("| apply | K %lld, d %lld | %.3f | |\n", (long long)K, (long long)d, seconds * 1e3);
      Array<int32_t> lists(side, std::vector<int32_t>((size_t)(K * 32)));
      for (const auto &of : kCudaTiers) {
        if (of.tier > NAS_TIER_TENSOR || !timed(of.tier)) continue;
        need(side.api->set_tier(of.tier));
        seconds = median_seconds([&] {
          need(side.api->neighbours(codebook.get(), 32, nullptr, lists.data(), side.stream));
          wait();
        });
        printf("| neighbours, %s | K %lld, d %lld, R 32 | %.3f | |\n", of.name, (long long)K,
               (long long)d, seconds * 1e3);
      }
      need(side.api->set_tier(NAS_TIER_SCALAR));
      const int64_t B = 128;
      const int64_t N = 256;
      nas_swap_params p = {B, N, 39, 32, 0.5, seed, 1, NAS_SWAP_RESIDUAL};
      Array<float> tokens(side, vectors(random, Kind::kNormal, B * N, d));
      Array<float> swapped(side, std::vector<float>((size_t)(B * N * d)));
      Array<float> text_in(side, vectors(random, Kind::kNormal, B * N, 1));
      Array<float> image_in(side, vectors(random, Kind::kNormal, B * N, 1));
      Array<int32_t> codes(side, std::vector<int32_t>((size_t)(B * N)));
      Array<int64_t> ids(side, std::vector<int64_t>((size_t)B, 5));
      Array<int32_t> positions(side, std::vector<int32_t>((size_t)(B * p.chosen)));
      Array<int32_t> substitutes(side, std::vector<int32_t>((size_t)(B * p.chosen)));
      need(side.api->lookup(codebook.get(), tokens.data(), NAS_FLOAT32, B * N, d, codes.data(), nullptr,
                            nullptr, nullptr, side.stream));
      seconds = median_seconds([&] {
        need(side.api->swap(codebook.get(), &p, text_in.data(), image_in.data(), tokens.data(),
                            codes.data(), lists.data(), ids.data(), positions.data(),
                            substitutes.data(), swapped.data(), nullptr, side.stream));
      });
      auto line = [&](const char *how, double took) {
        printf("| swap%s | images %lld, tokens %lld, chosen 39, d %lld | %.3f | %.1f GB/s of tokens |\n",
               how, (long long)B, (long long)N, (long long)d, took * 1e3,
               8.0 * (double)(B * N * d) / took * 1e-9);
      };
      line("", seconds);
      need(side.api->reserve(codebook.get(), rows, NAS_FLOAT32, B, N));
      line(" in a graph", replayed_seconds(side, [&] {
             need(side.api->swap_enqueue(codebook.get(), &p, text_in.data(), image_in.data(),
                                         tokens.data(), codes.data(), lists.data(), ids.data(),
                                         positions.data(), substitutes.data(), swapped.data(),
                                         verdict.data(), side.stream));
           }));
    }
    fflush(stdout);
  }
}

/* ---------------------------------------------------------------- the program */

void usage() {
  printf(
      "usage: nas_selfcheck [--cpu | --bench] [--host FILE] [--cuda FILE] [--seed N] [--work N]\n"
      "                     [--tier NAME]\n"
      "  --cpu       compare the host library's tiers with its scalar tier; needs no device\n"
      "  --bench     print timings of the CUDA library as a table instead of comparing\n"
      "  --host FILE the host library (default: libnas_kernels.so in ../lib or beside this "
      "program)\n"
      "  --cuda FILE the CUDA library (default: libnas_kernels_cuda.so likewise)\n"
      "  --seed N    of the random input (default: from the clock; printed)\n"
      "  --work N    leave out cases of more than N multiply-adds (default 2e9)\n"
      "  --tier NAME compare one tier of the CUDA library: scalar, tensor or hopper (default: all); with\n"
      "              --bench, no tier above it\n");
}

std::string beside(const char *library) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) die("cannot find this program's own folder; name the libraries by options");
  std::string folder(path, (size_t)length);
  folder.erase(folder.rfind('/'));
  for (const char *place : {"/../lib/", "/"}) {
    std::string candidate = folder + place + library;
    if (access(candidate.c_str(), R_OK) == 0) return candidate;
  }
  die("no %s in ../lib or beside this program; name it by an option", library);
}

Options parse(int argc, char **argv) {
  Options options;
  options.seed = (uint64_t)std::chrono::system_clock::now().time_since_epoch().count();
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      usage();
      exit(0);
    }
    if (option == "--cpu") {
      options.cpu = true;
      continue;
    }
    if (option == "--bench") {
      options.bench = true;
      continue;
    }
    if (i + 1 >= argc) {
      usage();
      die("unknown option %s, or its value is missing", option.c_str());
    }
    std::string value = argv[++i];
    char *end = nullptr;
    if (option == "--host") {
      options.host = value;
    } else if (option == "--cuda") {
      options.cuda = value;
    } else if (option == "--seed") {
      options.seed = strtoull(value.c_str(), &end, 10);
    } else if (option == "--work") {
      options.work = strtod(value.c_str(), &end);
    } else if (option == "--tier") {
      for (const auto &known : kCudaTiers) {
        if (value == known.name) options.tier = known.tier;
      }
      if (options.tier < 0) die("--tier wants scalar, tensor or hopper, not %s", value.c_str());
    } else {
      usage();
      die("unknown option %s", option.c_str());
    }
    if (end != nullptr && (*end != '\0' || value.empty())) {
      die("%s wants a number, not %s", option.c_str(), value.c_str());
    }
  }
  return options;
}

int conclude() {
  int64_t failures = 0;
  for (const std::string &function : report.order) {
    const Tally &tally = report.tallies[function];
    failures += tally.failures;
    printf("%-16s %6lld cases, %10lld words compared, %s\n", function.c_str(),
           (long long)tally.cases, (long long)tally.values,
           tally.failures == 0 ? "equal" : text("%lld DIFFERENCES", (long long)tally.failures)
                                               .c_str());
  }
  printf(failures == 0 ? "all equal\n" : "%lld differences\n", (long long)failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, BUFSIZ); /* what has been printed is there however this ends */
  signal(SIGTERM, when_ended);
  Options options = parse(argc, argv);
  printf("seed %llu\n", (unsigned long long)options.seed);
  char line[256];

  if (options.cpu) {
    Api host = load(options.host.empty() ? beside("libnas_kernels.so") : options.host);
    Side reference;
    reference.name = "host scalar, 1 thread";
    reference.api = &host;
    const char *const tiers[] = {"scalar", "avx2", "avx512", "avx512_vnni", "amx"};
    int subjects = 0;
    for (int32_t tier = 0; tier <= host.best_tier(); ++tier) {
      for (int32_t threads : {1, 3}) {
        if (tier == 0 && threads == 1) continue;
        Side subject;
        subject.name = text("host %s, %d threads", tiers[tier], threads);
        subject.api = &host;
        subject.tier = tier;
        subject.threads = threads;
        printf("comparing %s with %s\n", subject.name.c_str(), reference.name.c_str());
        check_all(reference, subject, options);
        ++subjects;
      }
    }
    printf("%d configurations\n", subjects);
    return conclude();
  }

  Api cuda = load(options.cuda.empty() ? beside("libnas_kernels_cuda.so") : options.cuda);
  int devices = 0;
  cudaError_t found = cudaGetDeviceCount(&devices);
  if (found != cudaSuccess || devices == 0) {
    /* Without a device the library must say so, and not crash. */
    nas_codebook *codebook = nullptr;
    float codeword = 0.0f;
    nas_status statuses[] = {cuda.describe(line, (int64_t)sizeof line),
                             cuda.create(&codeword, 1, 1, nullptr, nullptr, &codebook)};
    for (nas_status status : statuses) {
      if (status != NAS_DEVICE_ERROR || strstr(cuda.last_error(), "no CUDA device") == nullptr) {
        printf("without a device the CUDA library gives status %d (%s)\n", status,
               cuda.last_error());
        return 1;
      }
    }
    printf("skipped: no CUDA device (%s)\n",
           found == cudaSuccess ? "the driver reports none" : cudaGetErrorString(found));
    return kSkipped;
  }
  if (cuda.describe(line, (int64_t)sizeof line) != NAS_OK) die("%s", cuda.last_error());
  printf("%s\n", line);

  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  Side subject;
  subject.name = "cuda";
  subject.api = &cuda;
  subject.device = true;
  subject.stream = stream;
  if (options.bench) {
    bench(subject, options);
    must(cudaStreamDestroy(stream), "cudaStreamDestroy");
    return 0;
  }
  Api host = load(options.host.empty() ? beside("libnas_kernels.so") : options.host);
  Side reference;
  reference.name = "host scalar";
  reference.api = &host;
  reference.threads = host.threads();
  Side fast = reference; /* for large problems */
  fast.name = "host";
  fast.tier = host.best_tier();
  if (options.tier > cuda.best_tier()) {
    printf("skipped: the device has no such tier\n");
    return kSkipped;
  }
  for (const auto &of : kCudaTiers) {
    if (of.tier > cuda.best_tier() || (options.tier >= 0 && of.tier != options.tier)) continue;
    subject.name = text("cuda %s", of.name);
    subject.tier = of.tier;
    if (of.tier == NAS_TIER_SCALAR) {
      check_all(reference, subject, options); /* tiers differ in lookups and neighbour lists alone */
      Random random(options.seed);
      check_large(fast, subject, random, options);
      continue;
    }
    Random random(options.seed);
    printf("comparing %s with %s\n", subject.name.c_str(), reference.name.c_str());
    check_lookup(reference, subject, random, options);
    if (of.tier == NAS_TIER_TENSOR || options.tier == of.tier) {
      check_neighbours(reference, subject, random, options); /* one kernel from the tensor tier on */
    }
    check_enqueue(reference, subject, random);
    check_graphs(reference, subject, random);
    check_large(fast, subject, random, options);
  }
  must(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return conclude();
}
