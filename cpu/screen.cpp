#include "screen.h"

#include <math.h>

namespace nas {

static const double kLargestNorm = 0x1p50;
/* Covers the rounding of a norm computed in float64 and cut to float32. */
static const double kNormSlack = 1.0 + 1e-6;
static const double kUnderflow = 0x1p-100;

bool allocate_panels(nas_codebook &codebook) {
  const int64_t padded = codebook.panel_count() * kPanel;
  return codebook.mean.allocate(codebook.d) && codebook.packed.allocate(padded * codebook.d) &&
         codebook.base.allocate(padded) && codebook.radius.allocate(padded) &&
         codebook.spread.allocate(padded) && codebook.squared_norm.allocate(padded);
}

void pack_codebook(nas_codebook &codebook) {
  const int64_t K = codebook.K, d = codebook.d;
  const float *e = codebook.e.get();
  const int threads = K * d < 1 << 16 ? 1 : thread_limit();

  const int64_t strip = 64;
  auto average = [&](int64_t task, int) {
    const int64_t from = task * strip;
    const int64_t width = d - from < strip ? d - from : strip;
    double sum[strip] = {0};
    for (int64_t j = 0; j < K; ++j) {
      const float *row = e + j * d + from;
      for (int64_t t = 0; t < width; ++t) sum[t] += (double)row[t];
    }
    for (int64_t t = 0; t < width; ++t) codebook.mean[from + t] = (float)(sum[t] / (double)K);
  };
  parallel((d + strip - 1) / strip, threads, average);

  const double u = 0x1p-24, v = 0x1p-53;
  const double roundings =
      (double)((d < kDepth ? d : (int64_t)kDepth) + (d + kDepth - 1) / kDepth + 10);
  const double w = 1.02 * ((double)d / 8 + 8) * v;
  const double beta = 1.02 * 6 * u + w;
  codebook.depth_slack = 1.02 * (roundings * u / (1 - roundings * u));
  codebook.far_slack = w;

  auto pack = [&](int64_t panel, int) {
    float *packed = &codebook.packed[panel * d * kPanel];
    for (int64_t c = 0; c < kPanel; ++c) {
      const int64_t j = panel * kPanel + c;
      if (j >= K) {
        for (int64_t t = 0; t < d; ++t) packed[t * kPanel + c] = 0.0f;
        codebook.base[j] = INFINITY;
        codebook.radius[j] = 0.0f;
        codebook.spread[j] = 0.0f;
        codebook.squared_norm[j] = 0.0;
        continue;
      }
      const float *row = e + j * d;
      double sum[4] = {0, 0, 0, 0};
      for (int64_t t = 0; t < d; ++t) {
        double b = (double)row[t] - (double)codebook.mean[t];
        sum[t & 3] += b * b;
        packed[t * kPanel + c] = row[t] - codebook.mean[t];
      }
      const double square = (sum[0] + sum[1]) + (sum[2] + sum[3]);
      const double radius = sqrt(square) * kNormSlack;
      codebook.base[j] = (float)(0.5 * square - beta * radius * radius);
      codebook.radius[j] = (float)radius;
      codebook.spread[j] = (float)(2 * beta * radius * radius);
      codebook.squared_norm[j] = square;
    }
  };
  parallel(codebook.panel_count(), threads, pack);

  double largest = 0;
  for (int64_t j = 0; j < K; ++j) {
    if (codebook.squared_norm[j] > largest) largest = codebook.squared_norm[j];
  }
  codebook.screenable = largest <= kLargestNorm * kLargestNorm;
}

bool Screener::allocate(const nas_codebook &codebook, const Tier &tier, int64_t block_rows,
                        int64_t chunk_panels) {
  const int64_t tiles = (block_rows + tier.rows_per_tile - 1) / tier.rows_per_tile;
  const int64_t depth_blocks = (codebook.d + kDepth - 1) / kDepth;
  /* A stride off the powers of two keeps the rows of a tile out of one cache set. */
  lower_stride_ = chunk_panels * kPanel + 16;
  return centred_.allocate(tiles * tier.rows_per_tile * depth_blocks * kDepth) &&
         lower_.allocate(block_rows * lower_stride_) && least_upper_.allocate(block_rows * 16) &&
         row_slack_.allocate(block_rows) && constant_.allocate(block_rows) &&
         screened_.allocate(block_rows);
}

void Screener::begin(const nas_codebook &codebook, const Tier &tier, const float *x, int64_t rows,
                     int64_t row_stride) {
  codebook_ = &codebook;
  tier_ = &tier;
  rows_ = rows;
  const int64_t d = codebook.d, depth_blocks = (d + kDepth - 1) / kDepth;
  for (int64_t i = 0; i < rows; ++i) {
    const float *row = x + i * row_stride;
    const int64_t tile = i / tier.rows_per_tile, within = i % tier.rows_per_tile;
    double square = 0;
    for (int64_t kb = 0; kb < depth_blocks; ++kb) {
      const int64_t k0 = kb * kDepth;
      square += tier.centre(
          row + k0, codebook.mean.get() + k0, d - k0 < kDepth ? d - k0 : (int64_t)kDepth,
          &centred_[((tile * depth_blocks + kb) * tier.rows_per_tile + within) * kDepth]);
    }
    const double norm = sqrt(square) * kNormSlack;
    screened_[i] = norm <= kLargestNorm ? 1 : 0;
    row_slack_[i] = (float)(codebook.depth_slack * norm);
    constant_[i] = codebook.far_slack * norm * norm + kUnderflow;
    for (int l = 0; l < 16; ++l) least_upper_[i * 16 + l] = INFINITY;
  }
}

void Screener::screen(int64_t first_panel, int64_t panel_count) {
  const nas_codebook &codebook = *codebook_;
  ScreenBlock block;
  block.centred = centred_.get();
  block.row_slack = row_slack_.get();
  block.rows = rows_;
  block.d = codebook.d;
  block.panels = {codebook.packed.get(), codebook.base.get(), codebook.radius.get(),
                  codebook.spread.get()};
  block.first_panel = first_panel;
  block.panel_count = panel_count;
  block.lower = lower_.get();
  block.lower_stride = lower_stride_;
  block.least_upper = least_upper_.get();
  tier_->screen(&block);
}

float Screener::threshold(int64_t row, float upper) const {
  const double threshold = (double)upper + 2 * constant_[row];
  return (float)(threshold + 0x1p-23 * fabs(threshold) + 0x1p-126);
}

float Screener::least_upper(int64_t row) const {
  float least = least_upper_[row * 16];
  for (int l = 1; l < 16; ++l) {
    if (least_upper_[row * 16 + l] < least) least = least_upper_[row * 16 + l];
  }
  return least;
}

}  // namespace nas
