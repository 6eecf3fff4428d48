/*
 * Certified screening of codewords, in float32 or in int8.
 *
 * With the shared mean mu, A = x - mu, B_j = e_j - mu, h_j = ||B_j||^2 / 2 and t_j = h_j - A.B_j, all
 * exact, D(x, e_j) = ||A||^2 + 2 t_j up to the rounding of D. Screening computes t_j with an error of
 * at most E_j. A codeword j with t_j - E_j above the least t_k + E_k has D(x, e_j) > D(x, e_k) as
 * computed; the others are the candidates. Below, u = 2^-24, v = 2^-53, gamma_n = n*u / (1 - n*u).
 * Common to both:
 *   half the rounding of D        (d/8 + 8) v (||A||^2 + ||B_j||^2)
 *   underflow                     below 2^-100
 * (D has d/8 + 2 sums, and three roundings in each term; D <= 2||A||^2 + 2||B_j||^2.)
 *
 * Float32, from a = fl(A), b_j = fl(B_j):
 *   a.b_j against A.B_j           (2u + u^2) ||A|| ||B_j||          (Cauchy-Schwarz, as all below)
 *   the dot product, L roundings  gamma_L (1+u)^2 ||A|| ||B_j||,    L = min(d, kDepth) + ceil(d/kDepth)
 *   base_j = fl(h_j - ...)        2u h_j
 *   base_j - dot, and the two operations that give a bound of it
 *                                 3u (h_j + 1.1 ||A|| ||B_j||)
 * Together
 *   E_j = alpha ||A|| ||B_j|| + beta ||B_j||^2 + w ||A||^2 + 2^-100,
 *   alpha = 1.02 gamma_{L+10},  w = 1.02 (d/8 + 8) v,  beta = 1.02 * 6u + w,
 * where 1.02 covers the second-order terms and the rounding of the bounds themselves. The last two
 * terms of E_j do not depend on j and are added to the threshold instead.
 *
 * Int8, from a ~ A' = s q and b_j ~ B'_j = s_j q_j with integers of -127..127, or fewer levels (see
 * Int8Levels), and one scale a vector:
 *   A'.B'_j against A.B_j         ||A|| ||B_j - B'_j|| + ||A - A'|| ||B'_j||
 *   q.q_j                         exact, being below 2^31
 *   the float32 operations that make the bounds from it
 *                                 5.2u ||A'|| ||B'_j|| + 3u h_j + 4u (the line before last)
 * With r >= ||A - A'||, r_j >= ||B_j - B'_j|| and z_j >= ||B'_j|| as stored, each raised by the factor
 * 1 + 2^-18 and r_j by 2^-18 z_j besides,
 *   E_j = ||A|| r_j + r z_j + beta ||B_j||^2 + w ||A||^2 + 2^-100.
 * beta ||B_j||^2 is in base_j for the lower bounds; for the upper ones the greatest of them all is
 * added to the threshold. Residual norms are summed in float32: 1 + 2^-16 covers d/32 + 5 roundings,
 * 2^-23 ||A|| the rounding of a, and 2^-20 of the largest element what underflows. Vectors whose
 * largest element is below 2^-40 would lose too much of that: as codewords they are taken as B' = 0,
 * as rows they are left to float32.
 *
 * Norms up to 2^50 keep all of this away from overflow; other rows are not screened.
 */
#ifndef NAS_CPU_SCREEN_H
#define NAS_CPU_SCREEN_H

#include "codebook.h"
#include "memory.h"
#include "tier.h"

namespace nas {

/* Tier::estimates_of against D as computed: two roundings of each term, at most d/8 + 6 of a sum, and
 * those of D; the rest of d/8 + 16 and 1.02 cover the second order. What underflows adds up to less than
 * the second constant. */
inline double estimate_slack(int64_t d) { return 1.02 * ((double)d / 8 + 16) * 0x1p-24; }
static const double kEstimateUnderflow = 0x1p-100;

/* Declares the codebook's screening data out of date. */
inline void invalidate(nas_codebook &codebook) {
  codebook.screening.ready.store(0, std::memory_order_relaxed);
}

/* Makes the asked-for screening data valid; false if there is no memory for it. Safe to call at the
 * same time from several threads. Adds the time it took to *nanoseconds. */
bool pack(const nas_codebook &codebook, const Tier &tier, uint32_t packing, int64_t *nanoseconds);

enum class Precision { kInt8, kFloat32 };

/* The scratch memory of one worker for blocks of rows. */
class Screener {
 public:
  /* Room for blocks of up to block_rows rows and chunk_panels panels. The codebook must be packed for
   * the precision. */
  bool reserve(const nas_codebook &codebook, const Tier &tier, Precision precision,
               int64_t block_rows, int64_t chunk_panels);

  /* Takes rows i = 0..rows-1 at x + ids[i]*row_stride, or i itself where ids is NULL. With `unique`,
   * codewords that repeat an earlier one are no candidates. */
  void begin(const nas_codebook &codebook, const Tier &tier, Precision precision, bool unique,
             const float *x, int64_t row_stride, const int32_t *ids, int64_t rows);

  /* Bounds for all rows and the codewords of these panels. */
  void screen(int64_t first_panel, int64_t panel_count);

  /* False for a row that is not finite or whose scale this precision can't take. */
  bool screened(int64_t row) const { return screened_[row] != 0; }

  /* t_j - E_j less its constant part, for the panels of the last screen(). */
  float *lower(int64_t row) const { return &lower_[row * lower_stride_]; }

  /* What lower(row) must not exceed, given the least upper bound `upper` less its constant part. */
  float threshold(int64_t row, float upper) const;

  /* The same, given a distance D(x, e_k) as computed; e_k need not be of this codebook, since what
   * counts is the number. */
  float threshold_of(int64_t row, double distance) const;

  /* Codewords with a lower bound above `threshold` are farther than this. */
  double distance_beyond(int64_t row, float threshold) const;

  /* The least upper bound seen since begin(), less its constant part. */
  float least_upper(int64_t row) const;

 private:
  const nas_codebook *codebook_ = nullptr;
  const Tier *tier_ = nullptr;
  Precision precision_ = Precision::kFloat32;
  bool unique_ = false;
  int64_t rows_ = 0, lower_stride_ = 0;
  Buffer<float> centred_, lower_, least_upper_, row_slack_, scale_, norm_, residual_;
  Buffer<uint8_t> quantised_;
  Buffer<double> constant_, square_;
  Buffer<uint8_t> screened_;
};

}  // namespace nas

#endif
