/*
 * The AMX tier: int8 screening by tile products, all else as in AVX-512.
 *
 * Two tiles of 16 rows by two tiles of 16 codewords, four tiles of sums; a step of 64 elements loads
 * four tiles and makes four products of 16 x 16 x 64. The bounds of the block before are made between
 * the steps, since they use other ports than the tile unit.
 */
#include "int8_kernel.h"
#include "zmm.h"

namespace nas {
namespace {

const int kAmxRows = 16;
const int kStepsOfBlock = kDepth / kInt8Step;

struct alignas(64) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

/* Sums of 32 rows x 32 codewords that have not been made into bounds yet. */
struct Pending {
  const Int8Block *block;
  int64_t row, rows, code;
  float *lower;
  const int32_t *sums; /* [32][kPanel] */

  __attribute__((always_inline)) void bounds(int64_t from, int64_t to) const {
    if (to > rows) to = rows;
    for (int64_t r = from; r < to; ++r) {
      const __m512 scale = _mm512_set1_ps(block->scale[row + r]);
      const __m512 norm = _mm512_set1_ps(block->norm[row + r]);
      const __m512 residual = _mm512_set1_ps(block->residual[row + r]);
      float *out = lower + r * block->lower_stride;
      float *least_upper = block->least_upper + (row + r) * 16;
      __m512 least = _mm512_load_ps(least_upper);
      int8_bounds<Zmm>(_mm512_load_si512(sums + r * kPanel), scale, norm, residual, block->panels, code,
                  out, least);
      int8_bounds<Zmm>(_mm512_load_si512(sums + r * kPanel + 16), scale, norm, residual, block->panels,
                  code + 16, out + 16, least);
      _mm512_store_ps(least_upper, least);
    }
  }
};

void screen_int8_amx(const Int8Block *block) {
  TileConfig config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = 16;
  }
  _tile_loadconfig(&config);
  alignas(64) int32_t sums[2][32 * kPanel];
  const int64_t depth_blocks = (block->depth + kDepth - 1) / kDepth;
  const int64_t tile_bytes = depth_blocks * kDepth * kAmxRows;
  const int64_t steps = block->depth / kInt8Step;
  const int64_t share = (2 * kAmxRows + steps - 1) / steps; /* rows of bounds for each step */
  Pending pending = {block, 0, 0, 0, nullptr, nullptr};
  int turn = 0;
  for (int64_t p = 0; p < block->panel_count; ++p) {
    const int64_t code = (block->first_panel + p) * kPanel;
    for (int64_t row = 0; row < block->rows; row += 2 * kAmxRows, turn ^= 1) {
      const int64_t rows = block->rows - row < 2 * kAmxRows ? block->rows - row : 2 * kAmxRows;
      const bool both = rows > kAmxRows;
      const int8_t *codewords = block->panels.codewords + code * block->depth;
      const uint8_t *upper = block->quantised + row / kAmxRows * tile_bytes;
      const uint8_t *lower = upper + (both ? tile_bytes : 0);
      int32_t *out = sums[turn];
      _tile_stream_loadd(0, block->panels.offset + code, 0);
      _tile_stream_loadd(1, block->panels.offset + code + 16, 0);
      if (both) {
        _tile_stream_loadd(2, block->panels.offset + code, 0);
        _tile_stream_loadd(3, block->panels.offset + code + 16, 0);
      }
      for (int64_t step = 0; step < steps; ++step) {
        const int64_t at = step / kStepsOfBlock * (kAmxRows * kDepth) + step % kStepsOfBlock * kInt8Step;
        _tile_loadd(6, codewords, 128);
        _tile_loadd(7, codewords + 64, 128);
        _tile_loadd(4, upper + at, kDepth);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        if (both) {
          _tile_loadd(5, lower + at, kDepth);
          _tile_dpbusd(2, 5, 6);
          _tile_dpbusd(3, 5, 7);
        }
        codewords += 16 * 128;
        pending.bounds(step * share, (step + 1) * share);
      }
      _tile_stored(0, out, kPanel * 4);
      _tile_stored(1, out + 16, kPanel * 4);
      if (both) {
        _tile_stored(2, out + kAmxRows * kPanel, kPanel * 4);
        _tile_stored(3, out + kAmxRows * kPanel + 16, kPanel * 4);
      }
      pending = {block, row, rows, code, block->lower + row * block->lower_stride + p * kPanel, out};
    }
  }
  pending.bounds(0, pending.rows);
  _tile_release();
}

}  // namespace

const Tier kAmxTier = {
    "amx", NAS_CPU_TIER_AMX, distance<Zmm>, distances<Zmm>, distances_of<Zmm>, estimates_of<Zmm>,
    all_finite<Zmm>, widen_zmm, Zmm::kRows, centre<Zmm>, screen<Zmm>, collect<Zmm>,
    least_threshold<Zmm>, kAmxRows, 24, kFine, quantise<Zmm>, screen_int8_amx, update_code<Zmm>};

}  // namespace nas
