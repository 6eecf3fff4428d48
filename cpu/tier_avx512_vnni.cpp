/*
 * The AVX-512 VNNI tier: screening in int8, all else as in AVX-512.
 *
 * A tile of kInt8Rows rows by two registers of codewords is kept in registers over the whole depth;
 * a step reads two registers of packed codewords and broadcasts four bytes of every row, and is bound
 * by the two multiply-add ports: 64 products an instruction.
 */
#include "int8_kernel.h"

namespace nas {
namespace {

const int kInt8Rows = 14;

/* sum += the products of four unsigned by four signed bytes. GCC 12 moves and spills the sums around
 * the intrinsic, which costs a factor of three. */
__attribute__((always_inline)) inline void add_products(__m512i &sum, __m512i x, __m512i codewords) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(codewords));
}

template <int R>
__attribute__((noinline)) void int8_tile(const Int8Block *block, const uint8_t *rows, int64_t row,
                                         int64_t panel, float *lower) {
  const int8_t *codewords = block->panels.codewords + panel * kPanel * block->depth;
  const int64_t code = panel * kPanel;
  __m512i sum[R][2];
  const __m512i offset0 = _mm512_loadu_si512(block->panels.offset + code);
  const __m512i offset1 = _mm512_loadu_si512(block->panels.offset + code + 16);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sum[r][0] = offset0;
    sum[r][1] = offset1;
  }
  /* One loop: with a second around it, GCC keeps the sums in memory. */
  const int64_t groups = block->depth / 4;
  for (int64_t g = 1; g <= groups; ++g) {
    const __m512i c0 = _mm512_loadu_si512(codewords);
    const __m512i c1 = _mm512_loadu_si512(codewords + 64);
    codewords += 128;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      int32_t four;
      __builtin_memcpy(&four, rows + r * kDepth, sizeof four);
      const __m512i x = _mm512_set1_epi32(four);
      add_products(sum[r][0], x, c0);
      add_products(sum[r][1], x, c1);
    }
    rows += g % (kDepth / 4) == 0 ? kInt8Rows * kDepth - kDepth + 4 : 4;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const __m512 scale = _mm512_set1_ps(block->scale[row + r]);
    const __m512 norm = _mm512_set1_ps(block->norm[row + r]);
    const __m512 residual = _mm512_set1_ps(block->residual[row + r]);
    float *out = lower + r * block->lower_stride, *least_upper = block->least_upper + (row + r) * 16;
    __m512 least = _mm512_load_ps(least_upper);
    int8_bounds(sum[r][0], scale, norm, residual, block->panels, code, out, least);
    int8_bounds(sum[r][1], scale, norm, residual, block->panels, code + 16, out + 16, least);
    _mm512_store_ps(least_upper, least);
  }
}

using Int8TileFunction = void (*)(const Int8Block *, const uint8_t *, int64_t, int64_t, float *);

/* table[r - 1] handles r rows. */
template <int R>
struct FillInt8Tiles {
  static void fill(Int8TileFunction *table) {
    table[R - 1] = int8_tile<R>;
    FillInt8Tiles<R - 1>::fill(table);
  }
};

template <>
struct FillInt8Tiles<0> {
  static void fill(Int8TileFunction *) {}
};

void screen_int8_vnni(const Int8Block *block) {
  Int8TileFunction tiles[kInt8Rows];
  FillInt8Tiles<kInt8Rows>::fill(tiles);
  const int64_t tile_bytes = (block->depth + kDepth - 1) / kDepth * kDepth * kInt8Rows;
  for (int64_t p = 0; p < block->panel_count; ++p) {
    for (int64_t row = 0, t = 0; row < block->rows; row += kInt8Rows, ++t) {
      const int64_t left = block->rows - row;
      tiles[(left < kInt8Rows ? left : (int64_t)kInt8Rows) - 1](
          block, block->quantised + t * tile_bytes, row, block->first_panel + p,
          block->lower + row * block->lower_stride + p * kPanel);
    }
  }
}

}  // namespace

const Tier kAvx512VnniTier = {
    "avx512_vnni", NAS_CPU_TIER_AVX512_VNNI, distance<Zmm>, distances<Zmm>, distances_of<Zmm>,
    estimates_of<Zmm>, all_finite<Zmm>, widen_zmm, Zmm::kRows, centre<Zmm>, screen<Zmm>, collect<Zmm>,
    least_threshold<Zmm>, kInt8Rows, quantise_zmm, screen_int8_vnni, update_code<Zmm>};

}  // namespace nas
