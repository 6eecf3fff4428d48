/* Element types of feature rows: exact widening of bfloat16 and float16 to float32. */
#ifndef NAS_COMMON_ELEMENTS_H
#define NAS_COMMON_ELEMENTS_H

#include "arithmetic.h"

namespace nas {

NAS_HD float float_of_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float a;
  __builtin_memcpy(&a, &bits, sizeof a);
  return a;
#endif
}

/* bfloat16: the upper half of a float32. */
NAS_HD float widen_bfloat16(uint16_t bits) { return float_of_bits((uint32_t)bits << 16); }

/* IEEE 754 binary16. Integer arithmetic alone, so that no flush-to-zero mode can lose a subnormal. */
NAS_HD float widen_float16(uint16_t bits) {
#if defined(__CUDA_ARCH__)
  float a;
  asm("cvt.f32.f16 %0, %1;" : "=f"(a) : "h"(bits));
  return a;
#else
  const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0x1f) return float_of_bits(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
  if (fraction == 0) return float_of_bits(sign);
  exponent = 113;
  while ((fraction & 0x400u) == 0) {
    fraction <<= 1;
    --exponent;
  }
  return float_of_bits(sign | exponent << 23 | (fraction & 0x3ffu) << 13);
#endif
}

}  // namespace nas

#endif
