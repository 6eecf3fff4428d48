/* Quantisation, and bounds from integer products, for the tiers that screen in int8. */
#ifndef NAS_CPU_INT8_KERNEL_H
#define NAS_CPU_INT8_KERNEL_H

#include "zmm.h"

namespace nas {
namespace {

void quantise_zmm(const float *x, const float *mean, int64_t d, float *centred, uint8_t *out,
                  int64_t block_stride, Quantised *result) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  __m512 largest = _mm512_setzero_ps();
  __m512d square0 = _mm512_setzero_pd(), square1 = _mm512_setzero_pd();
  for (int64_t i = 0; i < d; i += 16) {
    const __mmask16 mask = d - i < 16 ? (__mmask16)((1u << (d - i)) - 1) : (__mmask16)0xffff;
    const __m512 a =
        _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, mean + i));
    _mm512_store_ps(centred + i, a);
    largest = _mm512_max_ps(largest, _mm512_andnot_ps(sign, a));
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1));
    square0 = _mm512_fmadd_pd(low, low, square0);
    square1 = _mm512_fmadd_pd(high, high, square1);
  }
  result->square = _mm512_reduce_add_pd(_mm512_add_pd(square0, square1));
  result->largest = _mm512_reduce_max_ps(largest);
  result->scale = result->largest / 127.0f;
  const float inverse = result->largest > 0.0f ? 127.0f / result->largest : 0.0f;
  const __m512 scale = _mm512_set1_ps(result->scale), to_integer = _mm512_set1_ps(inverse);
  const __m512i middle = _mm512_set1_epi32(128);
  __m512 residual = _mm512_setzero_ps();
  const int64_t depth = int8_depth(d);
  for (int64_t i = 0; i < depth; i += 16) {
    const __m512 a = i < d ? _mm512_load_ps(centred + i) : _mm512_setzero_ps();
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(a, to_integer));
    const __m512 lost = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(q), scale, a);
    residual = _mm512_fmadd_ps(lost, lost, residual);
    _mm_storeu_si128(
        reinterpret_cast<__m128i *>(out + i / kDepth * block_stride + i % kDepth),
        _mm512_cvtepi32_epi8(_mm512_add_epi32(q, middle)));
  }
  result->residual2 = _mm512_reduce_add_ps(residual);
}

/* The bounds of 16 codewords for one row from their integer products. */
__attribute__((always_inline)) inline void int8_bounds(__m512i product, __m512 row_scale,
                                                       __m512 row_norm, __m512 row_residual,
                                                       const Int8Panels &panels, int64_t code,
                                                       float *lower, __m512 &least) {
  const __m512 factor = _mm512_mul_ps(row_scale, _mm512_loadu_ps(panels.scale + code));
  const __m512 middle = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(product), factor,
                                         _mm512_loadu_ps(panels.base + code));
  const __m512 radius =
      _mm512_fmadd_ps(row_residual, _mm512_loadu_ps(panels.norm + code),
                      _mm512_mul_ps(row_norm, _mm512_loadu_ps(panels.residual + code)));
  _mm512_storeu_ps(lower, _mm512_sub_ps(middle, radius));
  least = _mm512_min_ps(least, _mm512_add_ps(middle, radius));
}

}  // namespace
}  // namespace nas

#endif
