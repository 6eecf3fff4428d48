/* The 512-bit registers of the AVX-512 tiers, as screen_kernel.h and int8_kernel.h want them. */
#ifndef NAS_CPU_ZMM_H
#define NAS_CPU_ZMM_H

#include <immintrin.h>
#include <math.h>

#include "screen_kernel.h"
#include "update_kernel.h"

namespace nas {
namespace {

struct Zmm {
  static const int kWidth = 16;
  /* 28 sums, 2 registers of codewords, 1 broadcast: 31 of 32 registers. */
  static const int kRows = 14, kFourRows = 12;

  using Floats = __m512;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load(const float *p) { return _mm512_loadu_ps(p); }
  /* count of 1..kWidth elements, 0 for the others */
  static Floats load_first(const float *p, int count) {
    return _mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - count)), p);
  }
  static void store(float *p, Floats a) { _mm512_storeu_ps(p, a); }
  static Floats broadcast(float a) { return _mm512_set1_ps(a); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  /* `other` in place of infinity */
  static Floats finite_or(Floats a, float other) {
    return _mm512_mask_mov_ps(_mm512_set1_ps(other),
                              _mm512_cmp_ps_mask(a, _mm512_set1_ps(INFINITY), _CMP_LT_OQ), a);
  }
  static float total(Floats a) { return _mm512_reduce_add_ps(a); }
  static Floats fmadd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats fnmadd(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats magnitude(Floats a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
  static uint32_t at_most(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }

  using Ints = __m512i;
  static Ints load_ints(const int32_t *p) { return _mm512_loadu_si512(p); }
  static Ints load_bytes(const int8_t *p) { return _mm512_loadu_si512(p); }
  /* Four bytes, again and again */
  static Ints broadcast_bytes(const uint8_t *p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return broadcast_ints(four);
  }
  static Ints broadcast_ints(int32_t a) { return _mm512_set1_epi32(a); }
  static Ints add_ints(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints halve_ints(Ints a) { return _mm512_srai_epi32(a, 1); }
  /* Products of unsigned bytes of x by signed ones of y, added in pairs in 16 bits, with saturation */
  static Ints pair_products(Ints x, Ints y) { return _mm512_maddubs_epi16(x, y); }
  /* x + y in 16 bits, and then in pairs in 32 */
  static Ints add_pairs(Ints x, Ints y) {
    return _mm512_madd_epi16(_mm512_add_epi16(x, y), _mm512_set1_epi16(1));
  }
  static Ints to_ints(Floats a) { return _mm512_cvtps_epi32(a); }
  static Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
  /* 16 integers of 0..255 */
  static void store_bytes(uint8_t *p, const Ints a[1]) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtepi32_epi8(a[0]));
  }

  using Lanes = __m512d;
  static Lanes no_distance() { return _mm512_setzero_pd(); }
  static void add_terms(Lanes &a, const float *x, const float *y) {
    __m512d t = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_loadu_ps(x)),
                              _mm512_cvtps_pd(_mm256_loadu_ps(y)));
    a = _mm512_add_pd(a, _mm512_mul_pd(t, t));
  }
  static void add_last_terms(Lanes &a, const float *x, const float *y, int count) {
    __mmask8 mask = (__mmask8)((1u << count) - 1);
    __m512d t = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x)),
                              _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, y)));
    a = _mm512_add_pd(a, _mm512_mul_pd(t, t));
  }
  static double reduce(Lanes a) {
    /* (a0+a4, a1+a5, a2+a6, a3+a7), then (.. + .., .. + ..), then their sum. */
    __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
  }

  static const int kDoubles = 8;
  using Doubles = __m512d;
  using Halves = __m256; /* kDoubles floats */
  static Doubles zero64() { return _mm512_setzero_pd(); }
  static Doubles load64(const double *p) { return _mm512_loadu_pd(p); }
  static void store64(double *p, Doubles a) { _mm512_storeu_pd(p, a); }
  static Doubles broadcast64(double a) { return _mm512_set1_pd(a); }
  static Doubles add64(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static Doubles mul64(Doubles a, Doubles b) { return _mm512_mul_pd(a, b); }
  static Doubles div64(Doubles a, Doubles b) { return _mm512_div_pd(a, b); }
  static Halves low(Floats a) { return _mm512_castps512_ps256(a); }
  static Halves high(Floats a) { return _mm512_extractf32x8_ps(a, 1); }
  static double total64(Doubles a) { return reduce(a); }
  static Halves narrow(Doubles a) { return _mm512_cvtpd_ps(a); }
  static void store_half(float *p, Halves a) { _mm256_storeu_ps(p, a); }
  static void stream_half(float *p, Halves a) { _mm256_stream_ps(p, a); }
  static Doubles widen(Halves a) { return _mm512_cvtps_pd(a); }
  static Doubles widen(Float32, const float *p) { return widen(_mm256_loadu_ps(p)); }
  static __m128i load16(const uint16_t *p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
  }
  static Doubles widen(Bfloat16, const uint16_t *p) {
    return widen(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(p)), 16)));
  }
  static Doubles widen(Float16, const uint16_t *p) { return widen(_mm256_cvtph_ps(load16(p))); }

  /* The greatest bits of an absolute value. */
  using Check = __m256i;
  static Check no_check() { return _mm256_setzero_si256(); }
  static Check checked(Check a, Halves b) {
    return _mm256_max_epi32(a,
                            _mm256_and_si256(_mm256_castps_si256(b), _mm256_set1_epi32(0x7fffffff)));
  }
  static bool finite(Check a) {
    return _mm256_cmpgt_epi32_mask(a, _mm256_set1_epi32(0x7f7fffff)) == 0;
  }
};

/* `type` is not NAS_FLOAT32. */
inline void widen_zmm(const uint16_t *x, int32_t type, int64_t count, float *out) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : (__mmask16)0xffff;
    const __m256i narrow = _mm256_maskz_loadu_epi16(mask, x + i);
    const __m512 wide =
        type == NAS_BFLOAT16
            ? _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16))
            : _mm512_cvtph_ps(narrow);
    _mm512_mask_storeu_ps(out + i, mask, wide);
  }
}

}  // namespace
}  // namespace nas

#endif
