/*
 * The error bound of the lookup's float32 screening.
 *
 * With x' = fl(x - c), e' = fl(e - c) for a fixed centre c, u = 2^-24, the score of codeword j is
 *   s_j = fl(|e'_j|^2 - 2 x'.e'_j), the dot product by d fused multiply-adds in float32,
 * and it stands for |x - e_j|^2 - |x - c|^2. With X = |x'|, E = |e'_j| the parts of the error are
 *   rounding of x', e' (relative u each)   <= 3u (2XE + E^2)
 *   rounding of |e'_j|^2 and of the last addition <= 2u (2XE + E^2)
 *   rounding of the dot product            <= 2 gamma_d XE,  gamma_d = du / (1 - du)
 *                                             (Higham, Accuracy and Stability, section 3.1)
 *   rounding of the canonical distance D   <= 2^-43 (X + E)^2 <= 2^-42 (X^2 + E^2)
 *   underflow                              <= (d + 8) 2^-149
 * so that w_j = G (2XE + E^2) + H (X^2 + E^2) + T with the constants below holds more than the sum;
 * the margin, a factor of two, also covers the rounding of w_j and of s_j - w_j and s_j + w_j.
 * Every codeword that can be the nearest has s_j - w_j <= min_j (s_j + w_j). Those are compared by
 * the canonical distance, so that no result depends on the screening's rounding.
 *
 * Where X or E is above kLargestLength the float32 arithmetic could overflow. An infinite factor or
 * slack then makes s_j + w_j infinite or NaN, which bounds nothing, and !(s_j - w_j > bound) true,
 * which makes the codeword a candidate.
 */
#ifndef NAS_CUDA_SCREEN_CUH
#define NAS_CUDA_SCREEN_CUH

#include "support.cuh"

namespace nas {
namespace device {

constexpr double kLargestLength = 0x1p60;

/* G */
__host__ __device__ __forceinline__ double score_error(int64_t d) {
  return 2.0 * (double)(d + 16) * 0x1p-24;
}

/* H */
constexpr double kDistanceError = 0x1p-39;

/* T */
__host__ __device__ __forceinline__ double underflow_error(int64_t d) {
  return (double)(d + 32) * 0x1p-148;
}

}  // namespace device
}  // namespace nas

#endif
