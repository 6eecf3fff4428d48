/* The momentum update of nas_apply, element by element. */
#ifndef NAS_COMMON_UPDATE_H
#define NAS_COMMON_UPDATE_H

#include "arithmetic.h"

namespace nas {

/* gamma*old + (1-gamma)*value, the new n_j. */
NAS_HD double momentum(double gamma, double old_value, double value) {
  return add64(mul64(gamma, old_value), mul64(sub64(1.0, gamma), value));
}

/* The new m_j element. */
NAS_HD float momentum_sum(double gamma, float old_m, double sum) {
  return narrow(momentum(gamma, (double)old_m, sum));
}

/* Lanes of the sum S of all new n_j: lane l adds those of l, l + 256, ... ascending, from 0; then lane l
 * adds that of l + h, for h = 128, 64, ..., 1, and S is lane 0. */
enum { kSumLanes = 256 };

/* S. */
NAS_HD double sum_counts(const double *n, int64_t K) {
  double lane[kSumLanes];
  for (int l = 0; l < kSumLanes; ++l) lane[l] = l < K ? n[l] : 0.0;
  int64_t j = kSumLanes;
  for (; j + kSumLanes <= K; j += kSumLanes) {
    for (int l = 0; l < kSumLanes; ++l) lane[l] = add64(lane[l], n[j + l]);
  }
  for (int l = 0; j + l < K; ++l) lane[l] = add64(lane[l], n[j + l]);
  for (int h = kSumLanes / 2; h > 0; h /= 2) {
    for (int l = 0; l < h; ++l) lane[l] = add64(lane[l], lane[l + h]);
  }
  return lane[0];
}

/* h_j = (n_j + epsilon) / (S + K*epsilon) * S, with the new n_j and their sum S. */
NAS_HD double smoothed_count(double n, double S, int64_t K, double epsilon) {
  return mul64(div64(add64(n, epsilon), add64(S, mul64((double)K, epsilon))), S);
}

/* The new codeword element m / h_j. */
NAS_HD float codeword_element(float m, double h) { return narrow(div64((double)m, h)); }

/* The new dead-code counter, with the new n_j. */
NAS_HD int32_t next_dead_steps(double n, double dead_threshold, int32_t dead_steps) {
  if (!(n < dead_threshold)) return 0;
  return dead_steps == INT32_MAX ? INT32_MAX : dead_steps + 1;
}

}  // namespace nas

#endif
