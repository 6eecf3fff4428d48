/* The 256-bit registers of the AVX2 and AVX-VNNI tiers, as screen_kernel.h and int8_kernel.h want them. */
#ifndef NAS_CPU_YMM_H
#define NAS_CPU_YMM_H

#include <immintrin.h>
#include <math.h>

#include "../common/elements.h"
#include "screen_kernel.h"
#include "update_kernel.h"

namespace nas {
namespace {

struct Ymm {
  static const int kWidth = 8;
  /* 12 sums, 2 registers of codewords, 1 broadcast: 15 of 16 registers. */
  static const int kRows = 6, kFourRows = 6;

  using Floats = __m256;
  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats load(const float *p) { return _mm256_loadu_ps(p); }
  static __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  /* count of 1..kWidth elements, 0 for the others */
  static Floats load_first(const float *p, int count) {
    return _mm256_maskload_ps(p, first_lanes(count));
  }
  static void store(float *p, Floats a) { _mm256_storeu_ps(p, a); }
  static Floats broadcast(float a) { return _mm256_set1_ps(a); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  /* `other` in place of infinity */
  static Floats finite_or(Floats a, float other) {
    return _mm256_blendv_ps(_mm256_set1_ps(other), a,
                            _mm256_cmp_ps(a, _mm256_set1_ps(INFINITY), _CMP_LT_OQ));
  }
  static float total(Floats a) {
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
  }
  static Floats fmadd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats fnmadd(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats magnitude(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static uint32_t at_most(Floats a, Floats b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ));
  }

  using Ints = __m256i;
  static Ints load_ints(const int32_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  }
  static Ints load_bytes(const int8_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  }
  /* Four bytes, again and again */
  static Ints broadcast_bytes(const uint8_t *p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return broadcast_ints(four);
  }
  static Ints broadcast_ints(int32_t a) { return _mm256_set1_epi32(a); }
  static Ints add_ints(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints halve_ints(Ints a) { return _mm256_srai_epi32(a, 1); }
  /* Products of unsigned bytes of x by signed ones of y, added in pairs in 16 bits, with saturation */
  static Ints pair_products(Ints x, Ints y) { return _mm256_maddubs_epi16(x, y); }
  /* x + y in 16 bits, and then in pairs in 32 */
  static Ints add_pairs(Ints x, Ints y) {
    return _mm256_madd_epi16(_mm256_add_epi16(x, y), _mm256_set1_epi16(1));
  }
  static Ints to_ints(Floats a) { return _mm256_cvtps_epi32(a); }
  static Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
  /* 16 integers of 0..255 */
  static void store_bytes(uint8_t *p, const Ints a[2]) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a[0], a[1]), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p),
                     _mm_packus_epi16(_mm256_castsi256_si128(words),
                                      _mm256_extracti128_si256(words, 1)));
  }

  struct Lanes {
    __m256d low, high;
  };
  static Lanes no_distance() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static __m256d term(__m128 x, __m128 y) {
    __m256d t = _mm256_sub_pd(_mm256_cvtps_pd(x), _mm256_cvtps_pd(y));
    return _mm256_mul_pd(t, t);
  }
  static void add_terms(Lanes &a, const float *x, const float *y) {
    a.low = _mm256_add_pd(a.low, term(_mm_loadu_ps(x), _mm_loadu_ps(y)));
    a.high = _mm256_add_pd(a.high, term(_mm_loadu_ps(x + 4), _mm_loadu_ps(y + 4)));
  }
  static void add_last_terms(Lanes &a, const float *x, const float *y, int count) {
    __m256i mask = first_lanes(count);
    __m256 xs = _mm256_maskload_ps(x, mask), ys = _mm256_maskload_ps(y, mask);
    a.low = _mm256_add_pd(a.low, term(_mm256_castps256_ps128(xs), _mm256_castps256_ps128(ys)));
    a.high = _mm256_add_pd(a.high, term(_mm256_extractf128_ps(xs, 1), _mm256_extractf128_ps(ys, 1)));
  }
  static double reduce(Lanes a) {
    __m256d b = _mm256_add_pd(a.low, a.high);
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
  }

  static const int kDoubles = 4;
  using Doubles = __m256d;
  using Halves = __m128; /* kDoubles floats */
  static Doubles zero64() { return _mm256_setzero_pd(); }
  static Doubles load64(const double *p) { return _mm256_loadu_pd(p); }
  static void store64(double *p, Doubles a) { _mm256_storeu_pd(p, a); }
  static Doubles broadcast64(double a) { return _mm256_set1_pd(a); }
  static Doubles add64(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
  static Doubles mul64(Doubles a, Doubles b) { return _mm256_mul_pd(a, b); }
  static Doubles div64(Doubles a, Doubles b) { return _mm256_div_pd(a, b); }
  static Halves low(Floats a) { return _mm256_castps256_ps128(a); }
  static Halves high(Floats a) { return _mm256_extractf128_ps(a, 1); }
  static double total64(Doubles a) { return reduce({a, zero64()}); }
  static Halves narrow(Doubles a) { return _mm256_cvtpd_ps(a); }
  static void store_half(float *p, Halves a) { _mm_storeu_ps(p, a); }
  static void stream_half(float *p, Halves a) { _mm_stream_ps(p, a); }
  static Doubles widen(Halves a) { return _mm256_cvtps_pd(a); }
  static Doubles widen(Float32, const float *p) { return widen(_mm_loadu_ps(p)); }
  static __m128i load16(const uint16_t *p) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i *>(p));
  }
  static Doubles widen(Bfloat16, const uint16_t *p) {
    return widen(_mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(load16(p)), 16)));
  }
  static Doubles widen(Float16, const uint16_t *p) { return widen(_mm_cvtph_ps(load16(p))); }

  /* The greatest bits of an absolute value. */
  using Check = __m128i;
  static Check no_check() { return _mm_setzero_si128(); }
  static Check checked(Check a, Halves b) {
    return _mm_max_epi32(a, _mm_and_si128(_mm_castps_si128(b), _mm_set1_epi32(0x7fffffff)));
  }
  static bool finite(Check a) {
    return _mm_movemask_epi8(_mm_cmpgt_epi32(a, _mm_set1_epi32(0x7f7fffff))) == 0;
  }
};

/* `type` is not NAS_FLOAT32. */
inline void widen_ymm(const uint16_t *x, int32_t type, int64_t count, float *out) {
  int64_t i = 0;
  if (type == NAS_FLOAT16) {
    for (; i + 8 <= count; i += 8) {
      const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i *>(x + i));
      _mm256_storeu_ps(out + i, _mm256_cvtph_ps(narrow));
    }
    for (; i < count; ++i) out[i] = widen_float16(x[i]);
  } else {
    for (; i < count; ++i) out[i] = widen_bfloat16(x[i]);
  }
}

}  // namespace
}  // namespace nas

#endif
