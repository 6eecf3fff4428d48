/*
 * Certified float32 screening of codewords.
 *
 * With the shared mean mu, A = x - mu, B_j = e_j - mu, h_j = ||B_j||^2 / 2 and t_j = h_j - A.B_j, all
 * exact, D(x, e_j) = ||A||^2 + 2 t_j up to the rounding of D. Screening computes t_j in float32 from
 * a = fl(A), b_j = fl(B_j) and bounds the error with u = 2^-24, v = 2^-53, gamma_n = n*u / (1 - n*u):
 *   a.b_j against A.B_j           (2u + u^2) ||A|| ||B_j||          (Cauchy-Schwarz, as all below)
 *   the dot product, L roundings  gamma_L (1+u)^2 ||A|| ||B_j||,    L = min(d, kDepth) + ceil(d/kDepth)
 *   base_j = fl(h_j - ...)        2u h_j
 *   base_j - dot, and the two operations that give a bound of it
 *                                 3u (h_j + 1.1 ||A|| ||B_j||)
 *   half the rounding of D        (d/8 + 8) v (||A||^2 + ||B_j||^2)
 *   underflow                     below 2^-100
 * (D has d/8 + 2 sums, and three roundings in each term; D <= 2||A||^2 + 2||B_j||^2.) Together
 *   E_j = alpha ||A|| ||B_j|| + beta ||B_j||^2 + w ||A||^2 + 2^-100,
 *   alpha = 1.02 gamma_{L+10},  w = 1.02 (d/8 + 8) v,  beta = 1.02 * 6u + w,
 * where 1.02 covers the second-order terms and the rounding of the bounds themselves. A codeword j
 * with t_j - E_j above the least t_k + E_k has D(x, e_j) > D(x, e_k) as computed; the others are the
 * candidates. The last two terms of E_j do not depend on j and are added to the threshold instead.
 *
 * Norms up to 2^50 keep all of this away from overflow; other rows are not screened.
 */
#ifndef NAS_CPU_SCREEN_H
#define NAS_CPU_SCREEN_H

#include "internal.h"

namespace nas {

/* Allocates what pack_codebook fills. */
bool allocate_panels(nas_codebook &codebook);

/* Derives the screening data from the codewords. Cannot fail. */
void pack_codebook(nas_codebook &codebook);

/* The scratch memory of one worker for blocks of up to block_rows rows and chunk_panels panels. */
class Screener {
 public:
  bool allocate(const nas_codebook &codebook, const Tier &tier, int64_t block_rows,
                int64_t chunk_panels);

  /* Takes rows i = 0..rows-1 at x + i*row_stride. */
  void begin(const nas_codebook &codebook, const Tier &tier, const float *x, int64_t rows,
             int64_t row_stride);

  /* Bounds for all rows and the codewords of these panels. */
  void screen(int64_t first_panel, int64_t panel_count);

  /* False for a row that is not finite or too large to be screened. */
  bool screened(int64_t row) const { return screened_[row] != 0; }

  /* t_j - E_j less its constant part, for the panels of the last screen(). */
  const float *lower(int64_t row) const { return &lower_[row * lower_stride_]; }

  /* What lower(row) must not exceed, given the least upper bound `upper` less its constant part. */
  float threshold(int64_t row, float upper) const;

  /* The least upper bound seen since begin(), less its constant part. */
  float least_upper(int64_t row) const;

  /* alpha ||A|| of the row: an upper bound less its constant part is
   * lower + 2*row_slack*radius_j + spread_j. */
  float row_slack(int64_t row) const { return row_slack_[row]; }

 private:
  const nas_codebook *codebook_ = nullptr;
  const Tier *tier_ = nullptr;
  int64_t rows_ = 0, lower_stride_ = 0;
  Buffer<float> centred_, lower_, least_upper_, row_slack_;
  Buffer<double> constant_;
  Buffer<uint8_t> screened_;
};

}  // namespace nas

#endif
