/*
 * Quantisation, and screening in int8, for the tiers that have it: over a type V that wraps the
 * registers, as in screen_kernel.h, and a type Product that multiplies bytes with them.
 *
 * A tile of Product::kRows rows by two registers of codewords is kept in registers over the whole
 * depth; a step reads two registers of packed codewords, or two pairs, and broadcasts four bytes of every
 * row, or eight, and is bound by the multiply-add units.
 */
#ifndef NAS_CPU_INT8_KERNEL_H
#define NAS_CPU_INT8_KERNEL_H

#include "screen_kernel.h"
#include "tier.h"

namespace nas {
namespace {

/* Elements of a step of quantisation, and lanes of its sums: their rounding is in the bound. */
enum { kLanes = 16 };

template <typename V>
void quantise(const float *x, const float *mean, int64_t d, int levels, float *centred, uint8_t *out,
              int64_t block_stride, Quantised *result) {
  const int parts = kLanes / V::kWidth;
  typename V::Floats largest = V::zero();
  typename V::Doubles square0 = V::zero64(), square1 = V::zero64();
  for (int64_t i = 0; i < d; i += V::kWidth) {
    const int64_t left = d - i;
    const typename V::Floats a =
        left >= V::kWidth ? V::sub(V::load(x + i), V::load(mean + i))
                          : V::sub(V::load_first(x + i, (int)left), V::load_first(mean + i, (int)left));
    V::store(centred + i, a);
    largest = V::max(largest, V::magnitude(a));
    const typename V::Doubles low = V::widen(V::low(a)), high = V::widen(V::high(a));
    square0 = V::add64(square0, V::mul64(low, low));
    square1 = V::add64(square1, V::mul64(high, high));
  }
  result->square = V::total64(V::add64(square0, square1));
  float lanes[V::kWidth];
  V::store(lanes, largest);
  result->largest = lanes[0];
  for (int l = 1; l < V::kWidth; ++l) {
    result->largest = lanes[l] > result->largest ? lanes[l] : result->largest;
  }
  result->scale = result->largest / (float)levels;
  const float inverse = result->largest > 0.0f ? (float)levels / result->largest : 0.0f;
  const typename V::Floats scale = V::broadcast(result->scale), to_integer = V::broadcast(inverse);
  const typename V::Ints middle = V::broadcast_ints(levels + 1);
  typename V::Floats residual[parts];
  for (int p = 0; p < parts; ++p) residual[p] = V::zero();
  const int64_t depth = int8_depth(d);
  for (int64_t i = 0; i < depth; i += kLanes) {
    typename V::Ints q[parts];
    for (int p = 0; p < parts; ++p) {
      const int64_t at = i + p * V::kWidth;
      const typename V::Floats a = at < d ? V::load(centred + at) : V::zero();
      const typename V::Ints integer = V::to_ints(V::mul(a, to_integer));
      const typename V::Floats lost = V::fnmadd(V::to_floats(integer), scale, a);
      residual[p] = V::fmadd(lost, lost, residual[p]);
      q[p] = V::add_ints(integer, middle);
    }
    V::store_bytes(out + i / kDepth * block_stride + i % kDepth, q);
  }
  for (int p = 1; p < parts; ++p) residual[0] = V::add(residual[0], residual[p]);
  result->residual2 = V::total(residual[0]);
}

/* The bounds of a register of codewords for one row from their integer products. */
template <typename V>
__attribute__((always_inline)) inline void int8_bounds(typename V::Ints product,
                                                       typename V::Floats row_scale,
                                                       typename V::Floats row_norm,
                                                       typename V::Floats row_residual,
                                                       const Int8Panels &panels, int64_t code,
                                                       float *lower, typename V::Floats &least) {
  const typename V::Floats factor = V::mul(row_scale, V::load(panels.scale + code));
  const typename V::Floats middle =
      V::fnmadd(V::to_floats(product), factor, V::load(panels.base + code));
  const typename V::Floats radius =
      V::fmadd(row_residual, V::load(panels.norm + code),
               V::mul(row_norm, V::load(panels.residual + code)));
  V::store(lower, V::sub(middle, radius));
  least = V::min(least, V::add(middle, radius));
}

/*
 * Products for processors without VNNI: of unsigned by signed bytes, added in pairs in 16 bits, where
 * they would saturate beyond 32,767, and two pairs added there too, which saves every other
 * multiplication by one. Rows therefore have integers of -63..63, to which 64 is added, and codewords
 * of -64..64: four products add up to 4 * 127 * 64 = 32,512 at most, either way.
 */
template <typename V>
struct FourProducts {
  static const int kRows = V::kFourRows, kStep = 8;
  static const Int8Levels kLevels = kCoarse;
  static_assert(4 * (2 * kRowLevels[kCoarse] + 1) * kCodewordLevels[kCoarse] <= INT16_MAX,
                "four products must not saturate");

  /* From -128 times the sum of a codeword's integers to -64 times. */
  static typename V::Ints start(typename V::Ints offset) { return V::halve_ints(offset); }
  static void add(typename V::Ints &sum, const uint8_t *row, const int8_t *codewords) {
    const typename V::Ints first = V::pair_products(V::broadcast_bytes(row), V::load_bytes(codewords));
    const typename V::Ints second =
        V::pair_products(V::broadcast_bytes(row + 4), V::load_bytes(codewords + 4 * kPanel));
    sum = V::add_ints(sum, V::add_pairs(first, second));
  }
};

template <typename V, typename Product, int R>
__attribute__((noinline)) void int8_tile(const Int8Block *block, const uint8_t *rows, int64_t row,
                                         int64_t code, const int8_t *codewords, float *lower) {
  typename V::Ints sum[R][2];
  const typename V::Ints offset0 = Product::start(V::load_ints(block->panels.offset + code));
  const typename V::Ints offset1 =
      Product::start(V::load_ints(block->panels.offset + code + V::kWidth));
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sum[r][0] = offset0;
    sum[r][1] = offset1;
  }
  /* One loop: with a second around it, GCC keeps the sums in memory. */
  const int64_t steps = block->depth / Product::kStep;
  for (int64_t step = 1; step <= steps; ++step) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      Product::add(sum[r][0], rows + r * kDepth, codewords);
      Product::add(sum[r][1], rows + r * kDepth, codewords + 4 * V::kWidth);
    }
    codewords += Product::kStep * kPanel;
    rows += Product::kStep;
    if (step % (kDepth / Product::kStep) == 0) rows += (Product::kRows - 1) * kDepth;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const typename V::Floats scale = V::broadcast(block->scale[row + r]);
    const typename V::Floats norm = V::broadcast(block->norm[row + r]);
    const typename V::Floats residual = V::broadcast(block->residual[row + r]);
    float *out = lower + r * block->lower_stride, *least_upper = block->least_upper + (row + r) * 16;
    typename V::Floats least = V::load(least_upper);
    int8_bounds<V>(sum[r][0], scale, norm, residual, block->panels, code, out, least);
    int8_bounds<V>(sum[r][1], scale, norm, residual, block->panels, code + V::kWidth,
                   out + V::kWidth, least);
    V::store(least_upper, least);
  }
}

using Int8TileFunction = void (*)(const Int8Block *, const uint8_t *, int64_t, int64_t,
                                  const int8_t *, float *);

/* table[r - 1] handles r rows. */
template <typename V, typename Product, int R>
struct FillInt8Tiles {
  static void fill(Int8TileFunction *table) {
    table[R - 1] = int8_tile<V, Product, R>;
    FillInt8Tiles<V, Product, R - 1>::fill(table);
  }
};

template <typename V, typename Product>
struct FillInt8Tiles<V, Product, 0> {
  static void fill(Int8TileFunction *) {}
};

template <typename V, typename Product>
void screen_int8(const Int8Block *block) {
  const int64_t tall = Product::kRows;
  Int8TileFunction tiles[Product::kRows];
  FillInt8Tiles<V, Product, Product::kRows>::fill(tiles);
  const int64_t tile_bytes = (block->depth + kDepth - 1) / kDepth * kDepth * tall;
  for (int64_t p = 0; p < block->panel_count; ++p) {
    const int64_t panel = block->first_panel + p;
    const int8_t *codewords = block->panels.codewords + panel * kPanel * block->depth;
    for (int64_t row = 0, t = 0; row < block->rows; row += tall, ++t) {
      const int64_t left = block->rows - row;
      for (int64_t c = 0; c < kPanel; c += 2 * V::kWidth) {
        tiles[(left < tall ? left : tall) - 1](
            block, block->quantised + t * tile_bytes, row, panel * kPanel + c, codewords + 4 * c,
            block->lower + row * block->lower_stride + p * kPanel + c);
      }
    }
  }
}

}  // namespace
}  // namespace nas

#endif
