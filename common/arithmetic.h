/*
 * The elementary operations of the dictionary kernels, each rounded once to nearest even.
 *
 * Every result of nas_kernels.h is defined by a sequence of these operations, so host and device
 * code must go through them wherever a rounding is visible. Host translation units must be compiled
 * with -ffp-contract=off and without -ffast-math; device code is safe from contraction because the
 * intrinsics are used.
 */
#ifndef NAS_COMMON_ARITHMETIC_H
#define NAS_COMMON_ARITHMETIC_H

#include <stdint.h>

/* Internal linkage: translation units built for different instruction sets must not share code. */
#if defined(__CUDACC__)
#define NAS_HD static __host__ __device__ __forceinline__
#else
#define NAS_HD static inline
#endif

#if !defined(__CUDA_ARCH__) && defined(__FAST_MATH__)
#error "the dictionary kernels are defined by IEEE 754 arithmetic: compile without -ffast-math"
#endif

namespace nas {

NAS_HD double add64(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dadd_rn(a, b);
#else
  return a + b;
#endif
}

NAS_HD double sub64(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dsub_rn(a, b);
#else
  return a - b;
#endif
}

NAS_HD double mul64(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

NAS_HD double div64(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __ddiv_rn(a, b);
#else
  return a / b;
#endif
}

NAS_HD float add32(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

NAS_HD float sub32(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fsub_rn(a, b);
#else
  return a - b;
#endif
}

/* float64 to float32, to nearest even; infinity above the largest float32. */
NAS_HD float narrow(double a) {
#if defined(__CUDA_ARCH__)
  return __double2float_rn(a);
#else
  return (float)a;
#endif
}

NAS_HD uint32_t float_bits(float a) {
#if defined(__CUDA_ARCH__)
  return (uint32_t)__float_as_uint(a);
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &a, sizeof bits);
  return bits;
#endif
}

/* By bits, so that no compiler option can optimise the test away. */
NAS_HD bool is_finite(float a) { return (float_bits(a) & 0x7f800000u) != 0x7f800000u; }

NAS_HD bool is_finite(double a) {
  uint64_t bits;
#if defined(__CUDA_ARCH__)
  bits = (uint64_t)__double_as_longlong(a);
#else
  __builtin_memcpy(&bits, &a, sizeof bits);
#endif
  return (bits & 0x7ff0000000000000ull) != 0x7ff0000000000000ull;
}

/* The high 64 bits of a * b. */
NAS_HD uint64_t high_product(uint64_t a, uint64_t b) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(a, b);
#else
  uint64_t a_low = a & 0xffffffffu, a_high = a >> 32, b_low = b & 0xffffffffu, b_high = b >> 32;
  uint64_t low = a_low * b_low;
  uint64_t cross = a_high * b_low + (low >> 32);
  uint64_t middle = a_low * b_high + (cross & 0xffffffffu);
  return a_high * b_high + (cross >> 32) + (middle >> 32);
#endif
}

}  // namespace nas

#endif
