/* The canonical float64 distance D of nas_kernels.h. Scalar twin of every faster form. */
#ifndef NAS_COMMON_DISTANCE_H
#define NAS_COMMON_DISTANCE_H

#include "arithmetic.h"

namespace nas {

enum { kLanes = 8 };

/* One term of D: p_i. */
NAS_HD double squared_difference(float x, float y) {
  double t = sub64((double)x, (double)y);
  return mul64(t, t);
}

/* The sum over the eight lanes in the order of the interface. */
NAS_HD double reduce_lanes(const double a[kLanes]) {
  return add64(add64(add64(a[0], a[4]), add64(a[2], a[6])),
               add64(add64(a[1], a[5]), add64(a[3], a[7])));
}

/* D(x, y). Lane l takes the terms l, l+8, l+16, ... in ascending order. A lane may start from 0.0,
 * because no term is negative or -0. */
NAS_HD double canonical_distance(const float *x, const float *y, int64_t d) {
  double a[kLanes] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) a[l] = add64(a[l], squared_difference(x[i + l], y[i + l]));
  }
  for (int l = 0; l < kLanes; ++l) {
    if (i + l < d) a[l] = add64(a[l], squared_difference(x[i + l], y[i + l]));
  }
  return reduce_lanes(a);
}

/* Whether (distance_a, index_a) comes before (distance_b, index_b): the lower index wins ties. */
NAS_HD bool nearer(double distance_a, int32_t index_a, double distance_b, int32_t index_b) {
  return distance_a < distance_b || (distance_a == distance_b && index_a < index_b);
}

}  // namespace nas

#endif
