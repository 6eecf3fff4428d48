/* Nearest codewords by the definition of nas_kernels.h, as plainly as possible, and the one call of
 * the kernel that the newer test programs share. */
#ifndef NAS_TESTS_NAIVE_H
#define NAS_TESTS_NAIVE_H

#include <stdint.h>

#include <vector>

#include "nas_kernels.h"

inline double naive_distance(const float *x, const float *y, int64_t d) {
  double lanes[8];
  for (int l = 0; l < 8; ++l) {
    lanes[l] = 0.0;
    for (int64_t i = l; i < d; i += 8) {
      const double t = (double)x[i] - (double)y[i];
      const double p = t * t;
      lanes[l] = i == l ? p : lanes[l] + p;
    }
  }
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

inline void naive_lookup(const std::vector<float> &e, int64_t K, int64_t d, const float *x,
                         int32_t *index, float *distance) {
  double best = naive_distance(x, e.data(), d);
  *index = 0;
  for (int64_t j = 1; j < K; ++j) {
    const double other = naive_distance(x, e.data() + j * d, d);
    if (other < best) {
      best = other;
      *index = (int32_t)j;
    }
  }
  *distance = (float)best;
}

/* nas_lookup of float32 rows. */
inline nas_status lookup_float32(const nas_codebook *codebook, const float *x, int64_t rows,
                                 int64_t row_stride, int32_t *indices, float *distances,
                                 int64_t *bad_row, void *stream = nullptr) {
  return nas_lookup(codebook, x, NAS_FLOAT32, rows, row_stride, indices, distances, bad_row, nullptr,
                    stream);
}

#endif
