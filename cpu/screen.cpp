#include "screen.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include <algorithm>

#include "../common/arithmetic.h"
#include "memory.h"
#include "parallel.h"
#include "tier.h"

/* Tests build mutants with lower values, which must be found out. */
#ifndef NAS_INT8_BOUND_SCALE
#define NAS_INT8_BOUND_SCALE 1.0
#endif
#ifndef NAS_FLOAT32_BOUND_SCALE
#define NAS_FLOAT32_BOUND_SCALE 1.0
#endif

namespace nas {

static const double kLargestNorm = 0x1p50;
/* Covers the rounding of a norm computed in float64 and cut to float32. */
static const double kNormSlack = 1.0 + 1e-6;
static const double kUnderflow = 0x1p-100;
/* What int8 quantisation can take; see screen.h. */
static const float kSmallestElement = 0x1p-40f;
static const double kInt8Slack = 1.0 + 0x1p-18;
static const double kResidualSlack = 1.0 + 0x1p-16;

/* ---------------------------------------------------------------- packing */

namespace {

struct Key {
  uint64_t hash;
  int32_t code;
};

/* Equal for vectors that are equal element by element; -0 equals 0. */
uint64_t hash_vector(const float *x, int64_t d) {
  uint32_t lanes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int64_t i = 0; i < d; i += 8) {
    const int64_t width = d - i < 8 ? d - i : 8;
    for (int64_t l = 0; l < width; ++l) {
      const uint32_t word = float_bits(x[i + l] + 0.0f);
      lanes[l] = ((lanes[l] << 5 | lanes[l] >> 27) ^ word) + 0x9e3779b9u;
    }
  }
  uint64_t hash = 0;
  for (int l = 0; l < 8; ++l) hash = (hash ^ lanes[l]) * 0x9e3779b97f4a7c15ull;
  return hash;
}

bool equal_vectors(const float *x, const float *y, int64_t d) {
  for (int64_t i = 0; i < d; ++i) {
    if (!(x[i] == y[i])) return false;
  }
  return true;
}

double rounding_of_distance(int64_t d) { return 1.02 * ((double)d / 8 + 8) * 0x1p-53; }
double slack_of_square(int64_t d) { return 1.02 * 6 * 0x1p-24 + rounding_of_distance(d); }

bool pack_norms(const nas_codebook &codebook, const Tier &tier, int threads) {
  const int64_t K = codebook.K, d = codebook.d;
  const float *e = codebook.e.get();
  Screening &s = codebook.screening;
  Buffer<Key> keys;
  if (!s.mean.reserve(d) || !s.square.reserve(K) || !s.duplicate.reserve(K) || !keys.allocate(K)) {
    return false;
  }

  const int64_t strip = 64;
  auto average = [&](int64_t task, int) {
    const int64_t from = task * strip;
    const int64_t width = d - from < strip ? d - from : strip;
    double sum[strip] = {0};
    for (int64_t j = 0; j < K; ++j) {
      const float *row = e + j * d + from;
      for (int64_t t = 0; t < width; ++t) sum[t] += (double)row[t];
    }
    for (int64_t t = 0; t < width; ++t) s.mean[from + t] = (float)(sum[t] / (double)K);
  };
  parallel((d + strip - 1) / strip, threads, average);

  const int64_t block = 64;
  auto measure = [&](int64_t task, int) {
    for (int64_t j = task * block; j < K && j < (task + 1) * block; ++j) {
      s.square[j] = tier.distance(e + j * d, s.mean.get(), d);
      s.duplicate[j] = 0;
      keys[j] = {hash_vector(e + j * d, d), (int32_t)j};
    }
  };
  parallel((K + block - 1) / block, threads, measure);

  std::sort(keys.get(), keys.get() + K, [](const Key &a, const Key &b) {
    return a.hash < b.hash || (a.hash == b.hash && a.code < b.code);
  });
  int64_t first = 0; /* of the keys with this hash */
  for (int64_t i = 1; i < K; ++i) {
    if (keys[i].hash != keys[first].hash) {
      first = i;
    } else if (equal_vectors(e + keys[first].code * d, e + keys[i].code * d, d)) {
      s.duplicate[keys[i].code] = 1;
    }
  }

  s.far_slack = rounding_of_distance(d);
  s.largest_square = 0;
  for (int64_t j = 0; j < K; ++j) {
    if (s.square[j] > s.largest_square) s.largest_square = s.square[j];
  }
  s.screenable = s.largest_square <= kLargestNorm * kLargestNorm;
  return true;
}

bool pack_float32(const nas_codebook &codebook, int threads) {
  const int64_t K = codebook.K, d = codebook.d, padded = codebook.panel_count() * kPanel;
  const float *e = codebook.e.get();
  Screening &s = codebook.screening;
  if (!s.packed.reserve(padded * d) || !s.base.reserve(padded) || !s.base_unique.reserve(padded) ||
      !s.radius.reserve(padded) || !s.spread.reserve(padded)) {
    return false;
  }
  const double u = 0x1p-24;
  const double roundings =
      (double)((d < kDepth ? d : (int64_t)kDepth) + (d + kDepth - 1) / kDepth + 10);
  const double beta = slack_of_square(d);
  s.depth_slack = 1.02 * (roundings * u / (1 - roundings * u)) * NAS_FLOAT32_BOUND_SCALE;

  auto body = [&](int64_t panel, int) {
    float *packed = &s.packed[panel * d * kPanel];
    for (int64_t c = 0; c < kPanel; ++c) {
      const int64_t j = panel * kPanel + c;
      if (j >= K) {
        s.base[j] = s.base_unique[j] = INFINITY;
        s.radius[j] = s.spread[j] = 0.0f;
        continue;
      }
      const double radius = sqrt(s.square[j]) * kNormSlack;
      s.base[j] = (float)(0.5 * s.square[j] - beta * radius * radius);
      s.base_unique[j] = s.duplicate[j] ? INFINITY : s.base[j];
      s.radius[j] = (float)radius;
      s.spread[j] = (float)(2 * beta * radius * radius);
    }
    const int64_t codes = K - panel * kPanel < kPanel ? K - panel * kPanel : (int64_t)kPanel;
    for (int64_t t0 = 0; t0 < d; t0 += 16) {
      const int64_t t1 = d - t0 < 16 ? d : t0 + 16;
      for (int64_t c = 0; c < codes; ++c) {
        const float *row = e + (panel * kPanel + c) * d;
        for (int64_t t = t0; t < t1; ++t) packed[t * kPanel + c] = row[t] - s.mean[t];
      }
      for (int64_t c = codes; c < kPanel; ++c) {
        for (int64_t t = t0; t < t1; ++t) packed[t * kPanel + c] = 0.0f;
      }
    }
  };
  parallel(codebook.panel_count(), threads, body);
  return true;
}

/* An upper bound of ||v - v'|| for a vector of norm `norm`, less kInt8Slack. */
double residual_of(const Quantised &quantised, double norm) {
  return sqrt((double)quantised.residual2) * kResidualSlack + 0x1p-20 * quantised.largest +
         0x1p-23 * norm;
}

struct Packer {
  Buffer<float> centred;
  Buffer<uint8_t> quantised; /* [kPanel][depth] */
};

bool pack_int8(const nas_codebook &codebook, const Tier &tier, Int8Levels levels, int threads) {
  const int64_t K = codebook.K, d = codebook.d, depth = int8_depth(d);
  const int64_t padded = codebook.panel_count() * kPanel;
  const float *e = codebook.e.get();
  Screening &s = codebook.screening;
  Int8Codewords &packed = s.int8[levels];
  PerWorker<Packer> packers;
  if (!packed.packed.reserve(padded * depth) || !packed.offset.reserve(padded) ||
      !packed.base.reserve(padded) || !packed.base_unique.reserve(padded) ||
      !packed.scale.reserve(padded) || !packed.residual.reserve(padded) ||
      !packed.norm.reserve(padded) || !packers.allocate(threads)) {
    return false;
  }
  for (int i = 0; i < threads; ++i) {
    if (!packers[i].centred.allocate(depth) || !packers[i].quantised.allocate(kPanel * depth)) {
      return false;
    }
  }
  const int middle = kCodewordLevels[levels] + 1;
  const double beta = slack_of_square(d);
  packed.largest_spread = 2 * beta * s.largest_square * kInt8Slack;

  auto body = [&](int64_t panel, int worker) {
    float *centred = packers[worker].centred.get();
    uint8_t *quantised = packers[worker].quantised.get();
    for (int64_t c = 0; c < kPanel; ++c) {
      const int64_t j = panel * kPanel + c;
      uint8_t *integers = quantised + c * depth;
      if (j >= K) {
        memset(integers, 0, (size_t)depth);
        packed.base[j] = packed.base_unique[j] = INFINITY;
        packed.scale[j] = packed.residual[j] = packed.norm[j] = 0.0f;
        packed.offset[j] = 0;
        continue;
      }
      Quantised q;
      tier.quantise(e + j * d, s.mean.get(), d, kCodewordLevels[levels], centred, integers, kDepth,
                    &q);
      const double norm = sqrt(s.square[j]) * kNormSlack;
      double residual = residual_of(q, norm);
      if (!(q.largest >= kSmallestElement)) {
        memset(integers, middle, (size_t)depth);
        q.scale = 0.0f;
        residual = norm;
      }
      int64_t sum = 0, sum2 = 0;
      for (int64_t t = 0; t < depth; ++t) {
        const int value = (int)integers[t] - middle;
        sum += value;
        sum2 += value * value;
        integers[t] = (uint8_t)value;
      }
      const double quantised_norm = (double)q.scale * sqrt((double)sum2) * kInt8Slack;
      packed.offset[j] = (int32_t)(-128 * sum);
      packed.scale[j] = q.scale;
      packed.norm[j] = (float)(quantised_norm * NAS_INT8_BOUND_SCALE);
      packed.residual[j] = (float)((residual * kInt8Slack + 0x1p-18 * quantised_norm + kUnderflow) *
                               NAS_INT8_BOUND_SCALE);
      packed.base[j] = (float)(0.5 * s.square[j] - beta * norm * norm);
      packed.base_unique[j] = s.duplicate[j] ? INFINITY : packed.base[j];
    }
    /* Groups of four bytes, side by side for the panel's codewords. */
    uint32_t *out = reinterpret_cast<uint32_t *>(packed.packed.get() + panel * kPanel * depth);
    for (int64_t g0 = 0; g0 < depth / 4; g0 += 16) {
      for (int64_t c = 0; c < kPanel; ++c) {
        uint32_t words[16];
        memcpy(words, quantised + c * depth + g0 * 4, sizeof words);
        for (int64_t g = 0; g < 16; ++g) out[(g0 + g) * kPanel + c] = words[g];
      }
    }
  };
  parallel(codebook.panel_count(), threads, body);
  return true;
}

/* Divides the codewords by the nearest of some of them, each the one farthest from all before it
 * (farthest-first traversal; Gonzalez 1985), until none is farther from its own than 1/32 of the
 * largest norm. What rounding costs a bound shrinks with the codewords' distance from their mean. */
bool pack_groups(const nas_codebook &codebook, const Tier &tier, int threads) {
  const int64_t K = codebook.K, d = codebook.d;
  const float *e = codebook.e.get();
  Screening &s = codebook.screening;
  delete[] s.groups;
  s.groups = nullptr;
  s.group_count = 0;
  Buffer<double> distance;
  Buffer<int32_t> group;
  if (!distance.allocate(K) || !group.allocate(K)) return false;
  std::fill_n(distance.get(), K, INFINITY);
  const double close = s.largest_square * 0x1p-10;
  const int64_t most = std::min<int64_t>(kMostGroups, K / kPanel);
  int64_t count = 0, sizes[kMostGroups];
  for (int64_t leader = 0; !(distance[leader] <= close);) {
    if (count == most) return true;
    const int64_t block = 64;
    auto measure = [&](int64_t task, int) {
      for (int64_t j = task * block; j < K && j < (task + 1) * block; ++j) {
        const double other = tier.distance(e + j * d, e + leader * d, d);
        if (!(other < distance[j])) continue;
        distance[j] = other;
        group[j] = (int32_t)count;
      }
    };
    parallel((K + block - 1) / block, threads, measure);
    ++count;
    leader = std::max_element(distance.get(), distance.get() + K) - distance.get();
  }
  if (count < 2) return true;
  std::fill_n(sizes, count, 0);
  for (int64_t j = 0; j < K; ++j) ++sizes[group[j]];
  s.groups = new (std::nothrow) Group[(size_t)count];
  if (s.groups == nullptr) return false;
  for (int64_t g = 0; g < count; ++g) {
    Group &part = s.groups[g];
    part.codebook.d = d;
    if (!part.codebook.e.allocate(sizes[g] * d) || !part.codes.allocate(sizes[g])) return false;
  }
  for (int64_t j = 0; j < K; ++j) {
    Group &part = s.groups[group[j]];
    memcpy(&part.codebook.e[part.codebook.K * d], e + j * d, (size_t)d * sizeof(float));
    part.codes[part.codebook.K++] = (int32_t)j;
  }
  s.group_count = count;
  return true;
}

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

}  // namespace

bool pack(const nas_codebook &codebook, const Tier &tier, uint32_t packing, int64_t *nanoseconds) {
  Screening &s = codebook.screening;
  packing |= kPackedNorms;
  if ((s.ready.load(std::memory_order_acquire) & packing) == packing) return true;
  const int64_t start = now();
  pthread_mutex_lock(&s.mutex);
  uint32_t ready = s.ready.load(std::memory_order_relaxed);
  const uint32_t due = packing & ~ready;
  const int threads = codebook.K * codebook.d < 1 << 16 ? 1 : thread_limit();
  bool done = true;
  if (done && (due & kPackedNorms) != 0) done = pack_norms(codebook, tier, threads);
  if (done && (due & kPackedFloat32) != 0) done = pack_float32(codebook, threads);
  for (Int8Levels levels : {kFine, kCoarse}) {
    if (done && (due & int8_packing(levels)) != 0) done = pack_int8(codebook, tier, levels, threads);
  }
  if (done && (due & kPackedGroups) != 0) done = pack_groups(codebook, tier, threads);
  if (done) s.ready.store(ready | due, std::memory_order_release);
  pthread_mutex_unlock(&s.mutex);
  *nanoseconds += now() - start;
  return done;
}

/* ---------------------------------------------------------------- screening */

bool Screener::reserve(const nas_codebook &codebook, const Tier &tier, Precision precision,
                       int64_t block_rows, int64_t chunk_panels) {
  const bool int8 = precision == Precision::kInt8;
  const int64_t tile = int8 ? tier.int8_rows_per_tile : tier.rows_per_tile;
  const int64_t tiles = (block_rows + tile - 1) / tile;
  const int64_t depth = (codebook.d + kDepth - 1) / kDepth * kDepth;
  /* A stride off the powers of two keeps the rows of a tile out of one cache set. */
  lower_stride_ = chunk_panels * kPanel + 16;
  if (!lower_.reserve(block_rows * lower_stride_) || !least_upper_.reserve(block_rows * 16) ||
      !constant_.reserve(block_rows) || !square_.reserve(block_rows) ||
      !screened_.reserve(block_rows)) {
    return false;
  }
  if (!int8) return centred_.reserve(tiles * tile * depth) && row_slack_.reserve(block_rows);
  return quantised_.reserve(tiles * tile * depth) && centred_.reserve(depth) &&
         scale_.reserve(block_rows) && norm_.reserve(block_rows) && residual_.reserve(block_rows);
}

void Screener::begin(const nas_codebook &codebook, const Tier &tier, Precision precision,
                     bool unique, const float *x, int64_t row_stride, const int32_t *ids,
                     int64_t rows) {
  codebook_ = &codebook;
  tier_ = &tier;
  precision_ = precision;
  unique_ = unique;
  rows_ = rows;
  const Screening &s = codebook.screening;
  const int64_t d = codebook.d, depth_blocks = (d + kDepth - 1) / kDepth;
  for (int64_t i = 0; i < rows; ++i) {
    const float *row = x + (ids != nullptr ? ids[i] : i) * row_stride;
    double square = 0;
    if (precision == Precision::kInt8) {
      const int64_t tile = i / tier.int8_rows_per_tile, within = i % tier.int8_rows_per_tile;
      const int64_t block_stride = (int64_t)tier.int8_rows_per_tile * kDepth;
      Quantised q;
      tier.quantise(row, s.mean.get(), d, kRowLevels[tier.int8_levels], centred_.get(),
                    &quantised_[tile * depth_blocks * block_stride + within * kDepth], block_stride,
                    &q);
      square = q.square;
      const double norm = sqrt(square) * kNormSlack;
      scale_[i] = q.scale;
      norm_[i] = (float)(norm * kInt8Slack);
      residual_[i] = (float)(residual_of(q, norm) * kInt8Slack * NAS_INT8_BOUND_SCALE);
      screened_[i] = norm <= kLargestNorm && (q.largest >= kSmallestElement || q.largest == 0.0f);
    } else {
      const int64_t tile = i / tier.rows_per_tile, within = i % tier.rows_per_tile;
      for (int64_t kb = 0; kb < depth_blocks; ++kb) {
        const int64_t k0 = kb * kDepth;
        square += tier.centre(
            row + k0, s.mean.get() + k0, d - k0 < kDepth ? d - k0 : (int64_t)kDepth,
            &centred_[((tile * depth_blocks + kb) * tier.rows_per_tile + within) * kDepth]);
      }
      const double norm = sqrt(square) * kNormSlack;
      row_slack_[i] = (float)(s.depth_slack * norm);
      screened_[i] = norm <= kLargestNorm;
    }
    const double norm = sqrt(square) * kNormSlack;
    square_[i] = square;
    constant_[i] = s.far_slack * norm * norm + kUnderflow +
                   (precision == Precision::kInt8 ? 0.5 * s.int8[tier.int8_levels].largest_spread : 0.0);
    for (int l = 0; l < 16; ++l) least_upper_[i * 16 + l] = INFINITY;
  }
}

void Screener::screen(int64_t first_panel, int64_t panel_count) {
  const Screening &s = codebook_->screening;
  if (precision_ == Precision::kInt8) {
    Int8Block block;
    block.quantised = quantised_.get();
    block.scale = scale_.get();
    block.norm = norm_.get();
    block.residual = residual_.get();
    block.rows = rows_;
    block.depth = int8_depth(codebook_->d);
    const Int8Codewords &c = s.int8[tier_->int8_levels];
    block.panels = {c.packed.get(), c.offset.get(), unique_ ? c.base_unique.get() : c.base.get(),
                    c.scale.get(), c.residual.get(), c.norm.get()};
    block.first_panel = first_panel;
    block.panel_count = panel_count;
    block.lower = lower_.get();
    block.lower_stride = lower_stride_;
    block.least_upper = least_upper_.get();
    tier_->screen_int8(&block);
    return;
  }
  ScreenBlock block;
  block.centred = centred_.get();
  block.row_slack = row_slack_.get();
  block.rows = rows_;
  block.d = codebook_->d;
  block.panels = {s.packed.get(), unique_ ? s.base_unique.get() : s.base.get(), s.radius.get(),
                  s.spread.get()};
  block.first_panel = first_panel;
  block.panel_count = panel_count;
  block.lower = lower_.get();
  block.lower_stride = lower_stride_;
  block.least_upper = least_upper_.get();
  tier_->screen(&block);
}

/* Up to the next float32 and a little more. */
static float raise(double value) { return (float)(value + 0x1p-23 * fabs(value) + 0x1p-126); }

float Screener::threshold(int64_t row, float upper) const {
  return raise((double)upper + 2 * constant_[row]);
}

float Screener::threshold_of(int64_t row, double distance) const {
  /* ||A||^2 is known to 2u and the rounding of its own float64 sum. */
  const double least_square = square_[row] * (1.0 - 0x1p-22);
  return raise(0.5 * (distance - least_square) + 2 * constant_[row]);
}

double Screener::distance_beyond(int64_t row, float threshold) const {
  /* The inverse of threshold_of, with twice the slack of raise(). */
  const double value = (double)threshold - 0x1p-22 * fabs((double)threshold) - 0x1p-124;
  return 2 * (value - 2 * constant_[row]) + square_[row] * (1.0 - 0x1p-22);
}

float Screener::least_upper(int64_t row) const {
  float least = least_upper_[row * 16];
  for (int l = 1; l < 16; ++l) {
    if (least_upper_[row * 16 + l] < least) least = least_upper_[row * 16 + l];
  }
  return least;
}

}  // namespace nas
