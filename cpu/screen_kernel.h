/*
 * The vector kernels that the AVX2 and AVX-512 tiers share, over a type V that wraps the registers.
 *
 * Everything has internal linkage: code built for one instruction set must not be merged with code
 * of the same name built for another.
 *
 * screen() is an outer-product kernel: a tile of V::kRows rows by two registers of codewords is kept
 * in registers over a depth block, reading two registers of packed codewords and V::kRows broadcast
 * elements per step, so that it is bound by the multiply-add units. Codewords stream from L2 or L3
 * once per block of rows; the block's rows and lower bounds stay in L2.
 */
#ifndef NAS_CPU_SCREEN_KERNEL_H
#define NAS_CPU_SCREEN_KERNEL_H

#include "../common/distance.h"
#include "tier.h"

namespace nas {
namespace {

/* Adds R rows x 2 registers of products over `depth` elements to the partial sums in `out`, or with
 * `last` turns them into bounds. */
template <typename V, int R>
__attribute__((always_inline)) inline void tile(const float *rows, const float *codewords,
                                                int64_t depth, bool first, bool last,
                                                const float *slack, const float *base,
                                                const float *radius, const float *spread, float *out,
                                                int64_t stride, float *least_upper) {
  typename V::Floats sum[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sum[r][0] = V::zero();
    sum[r][1] = V::zero();
  }
  for (int64_t k = 0; k < depth; ++k) {
    typename V::Floats c0 = V::load(codewords + k * kPanel);
    typename V::Floats c1 = V::load(codewords + k * kPanel + V::kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      typename V::Floats x = V::broadcast(rows[r * kDepth + k]);
      sum[r][0] = V::fmadd(x, c0, sum[r][0]);
      sum[r][1] = V::fmadd(x, c1, sum[r][1]);
    }
  }
  if (!first) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      sum[r][0] = V::add(sum[r][0], V::load(out + r * stride));
      sum[r][1] = V::add(sum[r][1], V::load(out + r * stride + V::kWidth));
    }
  }
  if (!last) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      V::store(out + r * stride, sum[r][0]);
      V::store(out + r * stride + V::kWidth, sum[r][1]);
    }
    return;
  }
  typename V::Floats base0 = V::load(base), base1 = V::load(base + V::kWidth);
  typename V::Floats radius0 = V::load(radius), radius1 = V::load(radius + V::kWidth);
  typename V::Floats spread0 = V::load(spread), spread1 = V::load(spread + V::kWidth);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    typename V::Floats row_slack = V::broadcast(slack[r]);
    typename V::Floats middle0 = V::sub(base0, sum[r][0]), middle1 = V::sub(base1, sum[r][1]);
    V::store(out + r * stride, V::fnmadd(row_slack, radius0, middle0));
    V::store(out + r * stride + V::kWidth, V::fnmadd(row_slack, radius1, middle1));
    typename V::Floats upper0 = V::fmadd(row_slack, radius0, V::add(middle0, spread0));
    typename V::Floats upper1 = V::fmadd(row_slack, radius1, V::add(middle1, spread1));
    float *least = least_upper + r * 16;
    V::store(least, V::min(V::load(least), V::min(upper0, upper1)));
  }
}

template <typename V, int R>
__attribute__((noinline)) void tile_of(const float *rows, const float *codewords, int64_t depth,
                                       bool first, bool last, const float *slack, const float *base,
                                       const float *radius, const float *spread, float *out,
                                       int64_t stride, float *least_upper) {
  tile<V, R>(rows, codewords, depth, first, last, slack, base, radius, spread, out, stride,
             least_upper);
}

using TileFunction = void (*)(const float *, const float *, int64_t, bool, bool, const float *,
                              const float *, const float *, const float *, float *, int64_t,
                              float *);

/* table[r - 1] handles r rows. */
template <typename V, int R>
struct FillTiles {
  static void fill(TileFunction *table) {
    table[R - 1] = tile_of<V, R>;
    FillTiles<V, R - 1>::fill(table);
  }
};

template <typename V>
struct FillTiles<V, 0> {
  static void fill(TileFunction *) {}
};

template <typename V>
void screen(const ScreenBlock *block) {
  TileFunction tiles[V::kRows];
  FillTiles<V, V::kRows>::fill(tiles);
  const int64_t depth_blocks = (block->d + kDepth - 1) / kDepth;
  const int64_t row_tiles = (block->rows + V::kRows - 1) / V::kRows;
  for (int64_t kb = 0; kb < depth_blocks; ++kb) {
    const int64_t k0 = kb * kDepth;
    const int64_t depth = block->d - k0 < kDepth ? block->d - k0 : (int64_t)kDepth;
    for (int64_t p = 0; p < block->panel_count; ++p) {
      const int64_t panel = block->first_panel + p;
      const float *codewords = block->panels.codewords + (panel * block->d + k0) * kPanel;
      for (int64_t t = 0; t < row_tiles; ++t) {
        const int64_t row = t * V::kRows;
        const int64_t left = block->rows - row;
        const int tall = (int)(left < V::kRows ? left : (int64_t)V::kRows);
        const float *rows = block->centred + (t * depth_blocks + kb) * V::kRows * kDepth;
        for (int c = 0; c < kPanel; c += 2 * V::kWidth) {
          const int64_t code = panel * kPanel + c;
          tiles[tall - 1](rows, codewords + c, depth, kb == 0, kb == depth_blocks - 1,
                          block->row_slack + row, block->panels.base + code,
                          block->panels.radius + code, block->panels.spread + code,
                          block->lower + row * block->lower_stride + p * kPanel + c,
                          block->lower_stride, block->least_upper + row * 16);
        }
      }
    }
  }
}

template <typename V>
int64_t collect(const float *lower, int64_t count, float threshold, int32_t base, int32_t *out,
                int64_t capacity) {
  int64_t found = 0;
  typename V::Floats bound = V::broadcast(threshold);
  for (int64_t i = 0; i < count; i += V::kWidth) {
    uint32_t mask = V::at_most(V::load(lower + i), bound);
    while (mask != 0) {
      if (found < capacity) out[found] = base + (int32_t)i + __builtin_ctz(mask);
      ++found;
      mask &= mask - 1;
    }
  }
  return found;
}

template <typename V>
double centre(const float *x, const float *mean, int64_t count, float *out) {
  double sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      float t = x[i + l] - mean[i + l];
      out[i + l] = t;
      sum[l] += (double)t * (double)t;
    }
  }
  for (; i < count; ++i) {
    float t = x[i] - mean[i];
    out[i] = t;
    sum[0] += (double)t * (double)t;
  }
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

template <typename V>
double distance(const float *x, const float *y, int64_t d) {
  typename V::Lanes a = V::no_distance();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) V::add_terms(a, x + i, y + i);
  if (i < d) V::add_last_terms(a, x + i, y + i, (int)(d - i));
  return V::reduce(a);
}

/* Four at a time: one alone waits for its own sums. */
template <typename V>
__attribute__((always_inline)) inline void four_distances(const float *x, const float *const y[4],
                                                          int64_t d, double *out) {
  typename V::Lanes a0 = V::no_distance(), a1 = V::no_distance();
  typename V::Lanes a2 = V::no_distance(), a3 = V::no_distance();
  int64_t i = 0;
  for (; i + 8 <= d; i += 8) {
    V::add_terms(a0, x + i, y[0] + i);
    V::add_terms(a1, x + i, y[1] + i);
    V::add_terms(a2, x + i, y[2] + i);
    V::add_terms(a3, x + i, y[3] + i);
  }
  if (i < d) {
    V::add_last_terms(a0, x + i, y[0] + i, (int)(d - i));
    V::add_last_terms(a1, x + i, y[1] + i, (int)(d - i));
    V::add_last_terms(a2, x + i, y[2] + i, (int)(d - i));
    V::add_last_terms(a3, x + i, y[3] + i, (int)(d - i));
  }
  out[0] = V::reduce(a0);
  out[1] = V::reduce(a1);
  out[2] = V::reduce(a2);
  out[3] = V::reduce(a3);
}

template <typename V>
void distances(const float *x, const float *y, int64_t count, int64_t d, double *out) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float *const four[4] = {y + j * d, y + (j + 1) * d, y + (j + 2) * d, y + (j + 3) * d};
    four_distances<V>(x, four, d, out + j);
  }
  for (; j < count; ++j) out[j] = distance<V>(x, y + j * d, d);
}

template <typename V>
void distances_of(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                  double *out) {
  int64_t c = 0;
  for (; c + 4 <= count; c += 4) {
    const float *const four[4] = {y + codes[c] * d, y + codes[c + 1] * d, y + codes[c + 2] * d,
                                  y + codes[c + 3] * d};
    four_distances<V>(x, four, d, out + c);
  }
  if (count - c == 1) {
    out[c] = distance<V>(x, y + codes[c] * d, d);
  } else if (c < count) {
    /* The last one again, rather than one after the other. */
    const float *four[4];
    double padded[4];
    for (int64_t k = 0; k < 4; ++k) four[k] = y + codes[c + k < count ? c + k : count - 1] * d;
    four_distances<V>(x, four, d, padded);
    for (int64_t k = 0; c + k < count; ++k) out[c + k] = padded[k];
  }
}

template <typename V>
__attribute__((always_inline)) inline void add_square(typename V::Floats &sum, typename V::Floats x,
                                                      typename V::Floats y) {
  const typename V::Floats t = V::sub(x, y);
  sum = V::fmadd(t, t, sum);
}

/* Two sums for each: a sum waits for its own last addition. */
template <typename V>
__attribute__((always_inline)) inline void four_estimates(const float *x, const float *const y[4],
                                                          int64_t d, float *out) {
  typename V::Floats sum[4][2];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) sum[c][0] = sum[c][1] = V::zero();
  int64_t i = 0;
  for (; i + 2 * V::kWidth <= d; i += 2 * V::kWidth) {
    const typename V::Floats x0 = V::load(x + i), x1 = V::load(x + i + V::kWidth);
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      add_square<V>(sum[c][0], x0, V::load(y[c] + i));
      add_square<V>(sum[c][1], x1, V::load(y[c] + i + V::kWidth));
    }
  }
  for (; i < d; i += V::kWidth) {
    const int left = d - i < V::kWidth ? (int)(d - i) : V::kWidth;
    const typename V::Floats x0 = V::load_first(x + i, left);
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) add_square<V>(sum[c][0], x0, V::load_first(y[c] + i, left));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) out[c] = V::total(V::add(sum[c][0], sum[c][1]));
}

template <typename V>
void estimates_of(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                  float *out) {
  for (int64_t c = 0; c < count; c += 4) {
    /* The last one again where there are fewer than four. */
    const int64_t last = count - 1;
    const float *const four[4] = {y + codes[c] * d, y + codes[c + 1 < last ? c + 1 : last] * d,
                                  y + codes[c + 2 < last ? c + 2 : last] * d,
                                  y + codes[c + 3 < last ? c + 3 : last] * d};
    float estimates[4];
    four_estimates<V>(x, four, d, estimates);
    for (int64_t k = 0; k < 4 && c + k < count; ++k) out[c + k] = estimates[k];
  }
}

template <typename V>
int64_t count_at_most(const float *values, int64_t count, float bound) {
  const typename V::Floats bounds = V::broadcast(bound);
  int64_t found = 0;
  for (int64_t i = 0; i < count; i += V::kWidth) {
    found += __builtin_popcount(V::at_most(V::load(values + i), bounds));
  }
  return found;
}

/* Halves an interval of thresholds. At least `wanted` of the values are finite. */
template <typename V>
float threshold_between(const float *values, int64_t count, int64_t wanted) {
  const float largest = 3.402823466e+38f;
  typename V::Floats least = V::load(values), most = V::broadcast(-largest);
  for (int64_t i = 0; i < count; i += V::kWidth) {
    const typename V::Floats value = V::load(values + i);
    least = V::min(least, value);
    most = V::max(most, V::finite_or(value, -largest));
  }
  float lanes[2][V::kWidth];
  V::store(lanes[0], least);
  V::store(lanes[1], most);
  float low = lanes[0][0], high = lanes[1][0];
  for (int l = 1; l < V::kWidth; ++l) {
    low = lanes[0][l] < low ? lanes[0][l] : low;
    high = lanes[1][l] > high ? lanes[1][l] : high;
  }
  for (int step = 0; step < 32; ++step) {
    const float middle = low + 0.5f * (high - low);
    if (!(middle > low && middle < high)) break;
    const int64_t covered = count_at_most<V>(values, count, middle);
    if (covered < wanted) {
      low = middle;
    } else {
      high = middle;
      if (covered <= wanted + wanted / 8) break;
    }
  }
  return high;
}

/* By the least bounds of groups of codes where these are enough: a group whose least bound a threshold
 * covers has a code that it covers. */
template <typename V>
float least_threshold(const float *lower, int64_t count, int64_t wanted, float *scratch) {
  int64_t groups = (8 * wanted + kPanel - 1) / kPanel * kPanel;
  if (groups > count) groups = count;
  for (int64_t i = 0; i < groups; i += V::kWidth) V::store(scratch + i, V::load(lower + i));
  for (int64_t from = groups; from < count; from += groups) {
    const int64_t width = count - from < groups ? count - from : groups;
    for (int64_t i = 0; i < width; i += V::kWidth) {
      V::store(scratch + i, V::min(V::load(scratch + i), V::load(lower + from + i)));
    }
  }
  const float largest = 3.402823466e+38f;
  if (count_at_most<V>(scratch, groups, largest) < wanted) {
    return groups < count && count_at_most<V>(lower, count, largest) >= wanted
               ? threshold_between<V>(lower, count, wanted)
               : largest;
  }
  return threshold_between<V>(scratch, groups, wanted);
}

/* Plain loops that the compiler vectorises for the tier. */
template <typename V>
bool all_finite(const float *x, int64_t count) {
  const int64_t step = 256;
  for (int64_t i = 0; i < count; i += step) {
    int64_t n = count - i < step ? count - i : step;
    uint32_t bad = 0;
    for (int64_t t = 0; t < n; ++t) bad |= (uint32_t)!is_finite(x[i + t]);
    if (bad != 0) return false;
  }
  return true;
}

}  // namespace
}  // namespace nas

#endif
