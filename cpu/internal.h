/* What the host library's translation units share. Nothing here is visible outside of it. */
#ifndef NAS_CPU_INTERNAL_H
#define NAS_CPU_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <atomic>
#include <new>

#include "../common/reservation.h"
#include "nas_kernels.h"

namespace nas {

/* ---------------------------------------------------------------- failures */

/* Records the message for the calling thread and returns `status`. */
nas_status fail(nas_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

nas_status out_of_memory(const char *function, int64_t bytes);

/* Common argument checks; `function` and `name` go into the message. */
nas_status check_pointer(const char *function, const char *name, const void *pointer,
                         size_t alignment);
nas_status check_stream(const char *function, const void *stream);
nas_status check_type(const char *function, int32_t type);

inline size_t element_bytes(int32_t type) { return type == NAS_FLOAT32 ? 4 : 2; }

/* rows of `width` elements at a distance of row_stride elements: type, sign, stride, overflow,
 * pointer. */
nas_status check_rows(const char *function, const char *name, const void *x, int32_t type,
                      int64_t rows, int64_t row_stride, int64_t width);

/* Makes a failure that the input is to blame for the verdict of a call that otherwise succeeds. */
inline nas_status judge(nas_verdict *verdict, nas_status failure, int64_t bad_row) {
  *verdict = nas_verdict{failure, bad_row};
  return NAS_OK;
}

#define NAS_TRY(expression)                           \
  do {                                                \
    nas_status nas_try_status = (expression);         \
    if (nas_try_status != NAS_OK) return nas_try_status; \
  } while (0)

/* Gives a call the default floating-point environment (round to nearest, denormals kept, nothing
 * trapped) and the caller its own back. */
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment &) = delete;
  FloatEnvironment &operator=(const FloatEnvironment &) = delete;

 private:
  uint32_t saved_;
};

/* ---------------------------------------------------------------- memory */

/* Uninitialised, 64-byte aligned memory. allocate() is false if there is none; count 0 is fine. */
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { free(data_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  /* allocate(), unless there is room for `count` already. */
  bool reserve(int64_t count) {
    if (data_ != nullptr && count <= count_) return true;
    return allocate(count);
  }

  bool allocate(int64_t count) {
    count_ = 0;
    int64_t bytes;
    free(data_);
    data_ = nullptr;
    if (__builtin_mul_overflow(count, (int64_t)sizeof(T), &bytes) || bytes > INT64_MAX - 64) {
      return false;
    }
    bytes = (bytes + 63) / 64 * 64;
    data_ = static_cast<T *>(aligned_alloc(64, (size_t)(bytes > 0 ? bytes : 64)));
    if (data_ != nullptr) count_ = count;
    return data_ != nullptr;
  }
  T *get() const { return data_; }
  int64_t bytes() const { return data_ == nullptr ? 0 : count_ * (int64_t)sizeof(T); }
  T &operator[](int64_t i) const { return data_[i]; }

  void swap(Buffer &other) {
    T *data = data_;
    data_ = other.data_;
    other.data_ = data;
    const int64_t count = count_;
    count_ = other.count_;
    other.count_ = count;
  }

 private:
  T *data_ = nullptr;
  int64_t count_ = 0;
};

/* One T for each worker of a call. */
template <typename T>
class PerWorker {
 public:
  PerWorker() = default;
  ~PerWorker() { delete[] items_; }
  PerWorker(const PerWorker &) = delete;
  PerWorker &operator=(const PerWorker &) = delete;

  bool allocate(int count) {
    items_ = new (std::nothrow) T[(size_t)count];
    return items_ != nullptr;
  }
  T &operator[](int i) const { return items_[i]; }

 private:
  T *items_ = nullptr;
};

/* ---------------------------------------------------------------- threads */

/* Threads that one call may use. */
int thread_limit();

using Task = void (*)(void *context, int64_t task, int worker);

/* Runs task(context, t, worker) for t = 0..tasks-1, in any order, on at most `workers` threads, the
 * caller's included; worker is 0..workers-1 and no two tasks run with the same one at a time. Runs on
 * the caller's thread alone while another call has the threads. `task` must not fail. */
void run_tasks(int64_t tasks, int workers, Task task, void *context);

template <typename F>
void parallel(int64_t tasks, int workers, F &body) {
  run_tasks(
      tasks, workers,
      [](void *context, int64_t task, int worker) { (*static_cast<F *>(context))(task, worker); },
      &body);
}

/* ---------------------------------------------------------------- instruction tiers */

/* Screening works on panels of kPanel codewords and on depth blocks of kDepth elements. */
enum { kPanel = 32, kDepth = 192 };

/* The codebook as float32 screening wants it; see screen.h for the bounds. */
struct Panels {
  const float *codewords; /* [panel][element][kPanel]: fl(e - mean), 0 for padding */
  const float *base;      /* [panel][kPanel], infinity for padding */
  const float *radius;    /* [panel][kPanel] */
  const float *spread;    /* [panel][kPanel] */
};

struct ScreenBlock {
  const float *centred;  /* [tile of rows][depth block][rows_per_tile][kDepth]: fl(x - mean) */
  const float *row_slack; /* [rows] */
  int64_t rows;
  int64_t d;
  Panels panels;
  int64_t first_panel, panel_count;
  float *lower;       /* [rows][lower_stride], panel_count * kPanel of each are written */
  int64_t lower_stride;
  float *least_upper; /* [rows][16], 64-byte aligned: lowered to the least upper bounds seen */
};

/* The codebook as int8 screening wants it. */
struct Int8Panels {
  const int8_t *codewords; /* [panel][group of four elements][kPanel][4], 0 for padding */
  const int32_t *offset;   /* [panel][kPanel]: -128 times the sum of the codeword's integers */
  const float *base;       /* [panel][kPanel], infinity for padding */
  const float *scale;      /* [panel][kPanel] */
  const float *residual;   /* [panel][kPanel]: above the norm of what quantisation lost, see screen.h */
  const float *norm;       /* [panel][kPanel]: above the norm of the quantised codeword */
};

struct Int8Block {
  const uint8_t *quantised; /* [tile of rows][depth block][int8_rows_per_tile][kDepth], offset 128 */
  const float *scale, *norm, *residual; /* [rows], as for codewords; norm is the centred row's own */
  int64_t rows;
  int64_t depth; /* d up to a multiple of 64 */
  Int8Panels panels;
  int64_t first_panel, panel_count;
  float *lower;
  int64_t lower_stride;
  float *least_upper;
};

/* What int8 quantisation makes of a centred vector a = fl(x - mean). */
struct Quantised {
  double square;   /* the float64 sum of a's squares, in any order */
  float largest;   /* the largest |a| */
  float scale;     /* largest / 127 */
  float residual2; /* the float32 sum of the squares of a - scale * q, in any order */
};

/* One code's part of a momentum update: adds its rows order[begin..end) of x, in that order, and either
 * keeps the sums or turns them into m and e as nas_apply does. Arrays but x are the code's own. */
struct CodeUpdate {
  const void *x; /* NULL without rows */
  int32_t type;
  int64_t row_stride;
  const int64_t *order; /* of all codes: `rows` of them */
  int64_t begin, end, rows;
  int64_t ahead;       /* how many rows ahead to prefetch */
  const double *start; /* what the rows are added to, or NULL: 0.0 */
  double *sums;        /* where sums are kept, or NULL: they become m and e */
  const float *m;
  float *next_m, *next_e;
  bool stream; /* next_m and next_e are 64-byte aligned and too large to be kept in a cache */
  double gamma, h;
};

/* One instruction tier: functions that give the same bits in each of them, except for the screening
 * functions, which give bounds. Functions of a kind of screening that a tier lacks are NULL. */
struct Tier {
  const char *name;
  int32_t number;
  /* D(x, y) */
  double (*distance)(const float *x, const float *y, int64_t d);
  /* out[j] = D(x, y + j*d) for j = 0..count-1 */
  void (*distances)(const float *x, const float *y, int64_t count, int64_t d, double *out);
  /* out[c] = D(x, y + codes[c]*d) for c = 0..count-1 */
  void (*distances_of)(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                       double *out);
  /* About D(x, y + codes[c]*d) where that is below 2^120: see estimate_slack in screen.h. */
  void (*estimates_of)(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                       float *out);
  bool (*all_finite)(const float *x, int64_t count);
  /* out[t] = the float32 value of element t of x, which is of a type narrower than float32 */
  void (*widen)(const uint16_t *x, int32_t type, int64_t count, float *out);

  int rows_per_tile;
  /* out[t] = fl(x[t] - mean[t]); returns the float64 sum of their squares, in any order */
  double (*centre)(const float *x, const float *mean, int64_t count, float *out);
  void (*screen)(const ScreenBlock *block);
  /* Writes base + t for every t with lower[t] <= threshold, ascending, at most `capacity` of them,
   * and returns how many there are. `count` is a multiple of kPanel. */
  int64_t (*collect)(const float *lower, int64_t count, float threshold, int32_t base, int32_t *out,
                     int64_t capacity);

  /* A threshold that `wanted` of the bounds or a few more don't exceed; FLT_MAX if fewer of them are
   * finite. `count` is a multiple of kPanel, `scratch` has room for as many. */
  float (*least_threshold)(const float *lower, int64_t count, int64_t wanted, float *scratch);

  int int8_rows_per_tile;
  /* Centres d elements into `centred` and writes their integers + 128 to out, of which element t
   * lies at (t / kDepth) * block_stride + t % kDepth, up to the next multiple of 64 elements. */
  void (*quantise)(const float *x, const float *mean, int64_t d, float *centred, uint8_t *out,
                   int64_t block_stride, Quantised *result);
  void (*screen_int8)(const Int8Block *block);

  /* Columns first..last-1 of a code's update; whether all new elements of e, if any, are finite. */
  bool (*update_code)(const CodeUpdate &update, int64_t first, int64_t last);
};

extern const Tier kScalarTier;
#if defined(NAS_HAVE_X86_TIERS)
extern const Tier kAvx2Tier;
extern const Tier kAvx512Tier;
extern const Tier kAvx512VnniTier;
extern const Tier kAmxTier;
#endif

/* The tier in use. */
const Tier &current_tier();

}  // namespace nas

/* ---------------------------------------------------------------- screening */

namespace nas {

struct Group;

/* What screening needs of a codebook. Derived from the codewords when a call first asks for it after
 * they changed, so that a run of updates packs once. */
struct Screening {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  std::atomic<uint32_t> ready{0}; /* the Packing bits that are valid */

  /* kPackedNorms */
  bool screenable = false;     /* no codeword is too large */
  double largest_square = 0, far_slack = 0;
  Buffer<float> mean;          /* d */
  Buffer<double> square;       /* [K]: D(e_j, mean) */
  Buffer<uint8_t> duplicate;   /* [K]: equal to a codeword before it */

  /* kPackedFloat32: Panels; base_unique has infinity for duplicates too */
  double depth_slack = 0;
  Buffer<float> packed, base, base_unique, radius, spread;

  /* kPackedInt8: Int8Panels */
  double largest_spread = 0;
  Buffer<int8_t> packed8;
  Buffer<int32_t> offset8;
  Buffer<float> base8, base8_unique, scale8, residual8, norm8;

  /* kPackedGroups: none unless the codewords lie close around few points */
  Group *groups = nullptr;
  int64_t group_count = 0;

  Screening() = default;
  ~Screening();
  Screening(const Screening &) = delete;
  Screening &operator=(const Screening &) = delete;
};

enum Packing { kPackedNorms = 1, kPackedFloat32 = 2, kPackedInt8 = 4, kPackedGroups = 8 };

/* What neighbour lists keep for the next time that they are asked for; see neighbours.cpp. Made by the
 * first call whose shape is worth it. */
struct KeptNeighbours {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  bool valid = false;
  bool used = false;          /* since it was made */
  int wasted = 0, skip = 0;   /* how often to do without, after it was made for nothing */
  int64_t R = 0, stride = 0;
  Buffer<float> anchors;      /* [K * d]: the codewords */
  Buffer<uint8_t> live;       /* [K] */
  Buffer<int32_t> codes;      /* [K][stride]: near live codes, the R nearest first */
  Buffer<float> nearest;      /* [K][stride]: not above their distances */
  Buffer<int32_t> counts;     /* [K] */
  Buffer<double> horizon;     /* [K]: no other live code is nearer */
};

}  // namespace nas

/* ---------------------------------------------------------------- codebook */

struct nas_codebook {
  int64_t K = 0, d = 0;
  nas::Buffer<float> e, m;
  nas::Buffer<double> n;
  nas::Buffer<int32_t> dead_steps;
  mutable nas::Screening screening;
  mutable nas::KeptNeighbours kept_neighbours;
  /* Lists that the last nas_neighbours screened anew, rather than making them from kept ones. */
  mutable std::atomic<int64_t> screened_lists{0};

  /* The momentum update writes here and then swaps; made by the first one. */
  nas::Buffer<float> next_e, next_m;
  nas::Buffer<double> next_n;

  nas::Reservation reserved; /* for the enqueued calls */

  int64_t panel_count() const { return (K + nas::kPanel - 1) / nas::kPanel; }
};

namespace nas {

enum { kMostGroups = 32 };

/* Some of a codebook's codewords as a codebook to be screened by itself, without m and n. */
struct Group {
  nas_codebook codebook;
  Buffer<int32_t> codes; /* which ones, ascending */
};

inline Screening::~Screening() { delete[] groups; }

/* nas_lookup, nas_update and nas_swap, with what is wrong with their input as a verdict. `function` is
 * for messages; *verdict is NAS_OK before. */
nas_status look_up_all(const char *function, const nas_codebook *codebook, const void *x, int32_t type,
                       int64_t rows, int64_t row_stride, int32_t *indices, float *distances,
                       nas_verdict *verdict, nas_lookup_stats *stats, void *stream);
nas_status update_all(const char *function, nas_codebook *codebook, const void *x, int32_t type,
                      int64_t rows, int64_t row_stride, const int32_t *codes, double gamma,
                      double epsilon, double dead_threshold, nas_verdict *verdict, void *stream);
nas_status swap_all(const char *function, const nas_codebook *codebook, const nas_swap_params *params,
                    const nas_swap_input *input, const nas_swap_output *output, nas_verdict *verdict,
                    void *stream);

/* Makes the buffers that an update writes to; false without memory. */
bool allocate_next(nas_codebook &codebook);

}  // namespace nas

#endif
