/* A codebook and what is kept with it. */
#ifndef NAS_CPU_CODEBOOK_H
#define NAS_CPU_CODEBOOK_H

#include <pthread.h>
#include <stdint.h>

#include <atomic>

#include "../common/reservation.h"
#include "memory.h"
#include "nas_kernels.h"
#include "tier.h"

namespace nas {

struct Group;

/* Int8Panels; base_unique has infinity for duplicates too. */
struct Int8Codewords {
  double largest_spread = 0;
  Buffer<int8_t> packed;
  Buffer<int32_t> offset;
  Buffer<float> base, base_unique, scale, residual, norm;
};

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

  /* int8_packing(): by Int8Levels */
  Int8Codewords int8[2];

  /* kPackedGroups: none unless the codewords lie close around few points */
  Group *groups = nullptr;
  int64_t group_count = 0;

  Screening() = default;
  ~Screening();
  Screening(const Screening &) = delete;
  Screening &operator=(const Screening &) = delete;
};

enum Packing : uint32_t { kPackedNorms = 1, kPackedFloat32 = 2, kPackedGroups = 4, kPackedInt8 = 8 };

/* The bit of each of the levels: calls on other tiers may be at work with theirs. */
inline uint32_t int8_packing(Int8Levels levels) { return (uint32_t)kPackedInt8 << levels; }

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

/* Makes the buffers that an update writes to; false without memory. */
bool allocate_next(nas_codebook &codebook);

}  // namespace nas

#endif
