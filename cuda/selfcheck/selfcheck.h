/*
 * What the checks share: the two sides that are compared and their memory, random input, and the comparison.
 * Each check is in the file of its name and declared at the end.
 */
#ifndef NAS_SELFCHECK_H
#define NAS_SELFCHECK_H

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nas_kernels.h"

namespace selfcheck {

/* Wrong usage, or what should have worked before anything can be compared: ends the program with 2. */
[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct Options {
  std::string host;
  std::string cuda;
  std::string only; /* the one check to make, or all */
  uint64_t seed = 0;
  bool cpu = false;
  bool bench = false;
  double work = 2e9; /* the most rows * K * d of a case */
  int32_t tier = -1; /* of the CUDA library, or all */
};

/* The tiers of the CUDA library, by the names of Java's nas.cuda.tier. */
constexpr struct {
  int32_t tier;
  const char *name;
} kCudaTiers[] = {
    {NAS_CUDA_TIER_SCALAR, "scalar"}, {NAS_CUDA_TIER_TENSOR, "tensor"}, {NAS_CUDA_TIER_HOPPER, "hopper"}};

/* ---------------------------------------------------------------- libraries */

struct Api {
  decltype(&nas_abi_version) abi_version;
  decltype(&nas_last_error) last_error;
  decltype(&nas_describe) describe;
  decltype(&nas_best_tier) best_tier;
  decltype(&nas_has_tier) has_tier;
  decltype(&nas_tier) tier;
  decltype(&nas_set_tier) set_tier;
  decltype(&nas_threads) threads;
  decltype(&nas_set_threads) set_threads;
  decltype(&nas_codebook_create) create;
  decltype(&nas_codebook_close) close;
  decltype(&nas_codebook_shape) shape;
  decltype(&nas_codebook_read) read;
  decltype(&nas_codebook_write) write;
  decltype(&nas_codebook_view) view;
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

Api load(const std::string &path);

/* ---------------------------------------------------------------- sides and their memory */

/* One of the two things compared. */
struct Side {
  std::string name;
  const Api *api = nullptr;
  bool device = false;
  int32_t tier = NAS_CUDA_TIER_SCALAR;
  int32_t threads = 1;
  void *stream = nullptr;

  void prepare() const {
    if (api->set_tier(tier) != NAS_OK || (!device && api->set_threads(threads) != NAS_OK)) {
      die("%s: %s", name.c_str(), api->last_error());
    }
  }
};

inline void must(cudaError_t error, const char *what) {
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

const char *name_of(Kind kind);
std::vector<float> vectors(Random &random, Kind kind, int64_t count, int64_t d);
Kind any_kind(Random &random);

constexpr int64_t kRows[] = {1, 2, 63, 257, 1000};
constexpr int64_t kCodewords[] = {1, 2, 31, 512, 2048};
constexpr int64_t kWidths[] = {1, 3, 8, 63, 192, 257, 768};

inline bool affordable(const Options &options, int64_t rows, int64_t K, int64_t d) {
  return (double)rows * (double)K * (double)d <= options.work;
}

/* ---------------------------------------------------------------- the comparison */

/* Counts a difference in a function, and prints it if it is one of the first. */
void complain(const std::string &function, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Counts a case of a function that no comparison counts. */
void count_case(const std::string &function);

/* Prints what was compared; the program's exit code. */
int conclude();

/* Prints the case being run, in a handler of a signal. */
void print_running();

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
             const Outcome &expected, const Side &subject, const Outcome &actual);

/* Runs one case on both sides and compares. */
void both(const std::string &function, const std::string &what, const Side &reference,
          const Side &subject, const std::function<Outcome(const Side &)> &run);

inline void finish(const Side &side, nas_status status, Outcome *outcome) {
  outcome->status = status;
  if (status != NAS_OK) outcome->error = side.api->last_error();
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

/* ---------------------------------------------------------------- the checks */

using Check = void(const Side &reference, const Side &subject, Random &random, const Options &options);
Check check_arguments, check_codebook, check_lookup, check_update, check_neighbours, check_swap,
    check_enqueue, check_graph;

/* Prints timings of the CUDA library as a table. */
void bench(const Side &side, const Options &options);

}  // namespace selfcheck

#endif
