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

/* h_j = (n_j + epsilon) / (S + K*epsilon) * S, with the new n_j and S the ascending sum of all. */
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
