/*
 * The momentum update of one code, shared by the AVX2 and AVX-512 tiers over a type V that wraps the
 * registers. Internal linkage throughout, as in screen_kernel.h.
 *
 * Up to kRowsAtOnce rows are added in one pass over a strip of the width, so that the float64
 * accumulators, which stay in the first-level cache, are read and written once for several rows. The
 * last pass turns sums into m and e on the way. Rows of the next passes are prefetched meanwhile: they
 * are gathered, which no hardware prefetcher foresees.
 */
#ifndef NAS_CPU_UPDATE_KERNEL_H
#define NAS_CPU_UPDATE_KERNEL_H

#include "../common/elements.h"
#include "../common/update.h"
#include "tier.h"

namespace nas {
namespace {

const int64_t kRowsAtOnce = 4, kStrip = 1024, kStep = 16;

struct Float32 {
  using Type = float;
  static double widen(float a) { return (double)a; }
};
struct Bfloat16 {
  using Type = uint16_t;
  static double widen(uint16_t a) { return (double)widen_bfloat16(a); }
};
struct Float16 {
  using Type = uint16_t;
  static double widen(uint16_t a) { return (double)widen_float16(a); }
};

/* What one pass reads and writes, all pointers at its first column. */
template <typename T>
struct Pass {
  const T *rows[kRowsAtOnce];
  const T *ahead[kRowsAtOnce];
  const double *start; /* or NULL: 0.0 */
  double *sums;        /* or NULL: on to m and e */
  const float *m;
  float *next_m, *next_e;
  bool stream;
  double gamma, h;
};

template <typename V, typename E, int R, bool kFromZero, bool kToSums>
bool pass(const Pass<typename E::Type> &p, int64_t width) {
  const typename V::Doubles gamma = V::broadcast64(p.gamma),
                            rest = V::broadcast64(sub64(1.0, p.gamma)), h = V::broadcast64(p.h);
  typename V::Check check = V::no_check();
  /* Copies, which the stores below cannot be taken to change. */
  const typename E::Type *rows[R + 1], *ahead[R + 1];
  for (int r = 0; r < R; ++r) {
    rows[r] = p.rows[r];
    ahead[r] = p.ahead[r];
  }
  const double *start = p.start;
  double *sums = p.sums;
  const float *old_m = p.m;
  float *next_m = p.next_m, *next_e = p.next_e;
  const bool stream = p.stream;
  int64_t t = 0;
  for (; t + kStep <= width; t += kStep) {
    typename V::Doubles sum[kStep / V::kDoubles];
#pragma GCC unroll 4
    for (int i = 0; i < kStep / V::kDoubles; ++i) {
      sum[i] = kFromZero ? V::zero64() : V::load64(start + t + i * V::kDoubles);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      __builtin_prefetch(ahead[r] + t);
#pragma GCC unroll 4
      for (int i = 0; i < kStep / V::kDoubles; ++i) {
        sum[i] = V::add64(sum[i], V::widen(E(), rows[r] + t + i * V::kDoubles));
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < kStep / V::kDoubles; ++i) {
      const int64_t at = t + i * V::kDoubles;
      if (kToSums) {
        V::store64(sums + at, sum[i]);
      } else {
        typename V::Halves m = V::narrow(
            V::add64(V::mul64(gamma, V::widen(Float32(), old_m + at)), V::mul64(rest, sum[i])));
        typename V::Halves e = V::narrow(V::div64(V::widen(m), h));
        if (stream) {
          V::stream_half(next_m + at, m);
          V::stream_half(next_e + at, e);
        } else {
          V::store_half(next_m + at, m);
          V::store_half(next_e + at, e);
        }
        check = V::checked(check, e);
      }
    }
  }
  bool finite = V::finite(check);
  for (; t < width; ++t) {
    double sum = kFromZero ? 0.0 : start[t];
    for (int r = 0; r < R; ++r) sum = add64(sum, E::widen(rows[r][t]));
    if (kToSums) {
      sums[t] = sum;
    } else {
      next_m[t] = momentum_sum(p.gamma, old_m[t], sum);
      next_e[t] = codeword_element(next_m[t], p.h);
      finite &= is_finite(next_e[t]);
    }
  }
  return finite;
}

template <typename V, typename E, int R>
bool pass_of(const Pass<typename E::Type> &p, int64_t width) {
  if (p.sums != nullptr) {
    return p.start == nullptr ? pass<V, E, R, true, true>(p, width)
                              : pass<V, E, R, false, true>(p, width);
  }
  return p.start == nullptr ? pass<V, E, R, true, false>(p, width)
                            : pass<V, E, R, false, false>(p, width);
}

template <typename V, typename E>
bool update_code_of(const CodeUpdate &u, int64_t first, int64_t last) {
  using T = typename E::Type;
  const T *x = static_cast<const T *>(u.x);
  alignas(64) double strip[kStrip];
  bool finite = true;
  for (int64_t t = first; t < last; t += kStrip) {
    const int64_t width = last - t < kStrip ? last - t : kStrip;
    Pass<T> p;
    p.start = u.start == nullptr ? nullptr : u.start + t;
    p.m = u.m == nullptr ? nullptr : u.m + t;
    p.next_m = u.next_m == nullptr ? nullptr : u.next_m + t;
    p.next_e = u.next_e == nullptr ? nullptr : u.next_e + t;
    p.stream = u.stream;
    p.gamma = u.gamma;
    p.h = u.h;
    int64_t r = u.begin;
    do {
      const int64_t here = u.end - r < kRowsAtOnce ? u.end - r : kRowsAtOnce;
      for (int i = 0; i < here; ++i) {
        const int64_t later = r + i + u.ahead < u.rows ? r + i + u.ahead : u.rows - 1;
        p.rows[i] = x + u.order[r + i] * u.row_stride + t;
        p.ahead[i] = x + u.order[later] * u.row_stride + t;
      }
      r += here;
      p.sums = r < u.end ? strip : u.sums == nullptr ? nullptr : u.sums + t;
      switch (here) {
        case 0: finite &= pass_of<V, E, 0>(p, width); break;
        case 1: finite &= pass_of<V, E, 1>(p, width); break;
        case 2: finite &= pass_of<V, E, 2>(p, width); break;
        case 3: finite &= pass_of<V, E, 3>(p, width); break;
        default: finite &= pass_of<V, E, 4>(p, width); break;
      }
      p.start = strip;
    } while (r < u.end);
  }
  if (u.stream) _mm_sfence();
  return finite;
}

template <typename V>
bool update_code(const CodeUpdate &update, int64_t first, int64_t last) {
  switch (update.type) {
    case NAS_BFLOAT16: return update_code_of<V, Bfloat16>(update, first, last);
    case NAS_FLOAT16: return update_code_of<V, Float16>(update, first, last);
    default: return update_code_of<V, Float32>(update, first, last);
  }
}

}  // namespace
}  // namespace nas

#endif
