/* The instruction tiers: what each of them has to offer, and the layouts that it works on. */
#ifndef NAS_CPU_TIER_H
#define NAS_CPU_TIER_H

#include <stddef.h>
#include <stdint.h>

#include "nas_kernels.h"

namespace nas {

/* Screening works on panels of kPanel codewords and on depth blocks of kDepth elements. */
enum { kPanel = 32, kDepth = 192 };

/* The codebook as float32 screening wants it; see screen.h for the bounds. */
struct Panels {
  const float *codewords; /* [panel][element][kPanel]: fl(e - mean), 0 for padding */
  const float *base;      /* [panel][kPanel], infinity for padding */
  const float *radius;    /* [panel][kPanel] */
  const float *spread;    /* [panel][kPanel] */
};

struct ScreenBlock {
  const float *centred;  /* [tile of rows][depth block][rows_per_tile][kDepth]: fl(x - mean) */
  const float *row_slack; /* [rows] */
  int64_t rows;
  int64_t d;
  Panels panels;
  int64_t first_panel, panel_count;
  float *lower;       /* [rows][lower_stride], panel_count * kPanel of each are written */
  int64_t lower_stride;
  float *least_upper; /* [rows][16], 64-byte aligned: lowered to the least upper bounds seen */
};

/* How finely int8 screening rounds: to integers of -levels..levels. kCoarse is for products of bytes
 * that are added in 16 bits. */
enum Int8Levels { kFine = 0, kCoarse = 1 };
constexpr int kRowLevels[] = {127, 63}, kCodewordLevels[] = {127, 64};

/* Int8 products work on steps of kInt8Step elements; a row or codeword is 0 from d up to the next step. */
enum { kInt8Step = 64 };

static inline int64_t int8_depth(int64_t d) { return (d + kInt8Step - 1) / kInt8Step * kInt8Step; }

/* The codebook as int8 screening wants it. */
struct Int8Panels {
  const int8_t *codewords; /* [panel][group of four elements][kPanel][4], 0 for padding */
  const int32_t *offset;   /* [panel][kPanel]: -128 times the sum of the codeword's integers */
  const float *base;       /* [panel][kPanel], infinity for padding */
  const float *scale;      /* [panel][kPanel] */
  const float *residual;   /* [panel][kPanel]: above the norm of what quantisation lost, see screen.h */
  const float *norm;       /* [panel][kPanel]: above the norm of the quantised codeword */
};

struct Int8Block {
  /* [tile of rows][depth block][int8_rows_per_tile][kDepth], kRowLevels + 1 added */
  const uint8_t *quantised;
  const float *scale, *norm, *residual; /* [rows], as for codewords; norm is the centred row's own */
  int64_t rows;
  int64_t depth; /* int8_depth(d) */
  Int8Panels panels;
  int64_t first_panel, panel_count;
  float *lower;
  int64_t lower_stride;
  float *least_upper;
};

/* What int8 quantisation makes of a centred vector a = fl(x - mean). */
struct Quantised {
  double square;   /* the float64 sum of a's squares, in any order */
  float largest;   /* the largest |a| */
  float scale;     /* largest / levels */
  float residual2; /* the float32 sum of the squares of a - scale * q, in any order */
};

/* One code's part of a momentum update: adds its rows order[begin..end) of x, in that order, and either
 * keeps the sums or turns them into m and e as nas_apply does. Arrays but x are the code's own. */
struct CodeUpdate {
  const void *x; /* NULL without rows */
  int32_t type;
  int64_t row_stride;
  const int64_t *order; /* of all codes: `rows` of them */
  int64_t begin, end, rows;
  int64_t ahead;       /* how many rows ahead to prefetch */
  const double *start; /* what the rows are added to, or NULL: 0.0 */
  double *sums;        /* where sums are kept, or NULL: they become m and e */
  const float *m;
  float *next_m, *next_e;
  bool stream; /* next_m and next_e are 64-byte aligned and too large to be kept in a cache */
  double gamma, h;
};

/* One instruction tier: functions that give the same bits in each of them, except for the screening
 * functions, which give bounds. Functions of a kind of screening that a tier lacks are NULL. */
struct Tier {
  const char *name;
  int32_t number;
  /* D(x, y) */
  double (*distance)(const float *x, const float *y, int64_t d);
  /* out[j] = D(x, y + j*d) for j = 0..count-1 */
  void (*distances)(const float *x, const float *y, int64_t count, int64_t d, double *out);
  /* out[c] = D(x, y + codes[c]*d) for c = 0..count-1 */
  void (*distances_of)(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                       double *out);
  /* About D(x, y + codes[c]*d) where that is below 2^120: see estimate_slack in screen.h. */
  void (*estimates_of)(const float *x, const float *y, const int32_t *codes, int64_t count, int64_t d,
                       float *out);
  bool (*all_finite)(const float *x, int64_t count);
  /* out[t] = the float32 value of element t of x, which is of a type narrower than float32 */
  void (*widen)(const uint16_t *x, int32_t type, int64_t count, float *out);

  int rows_per_tile;
  /* out[t] = fl(x[t] - mean[t]); returns the float64 sum of their squares, in any order */
  double (*centre)(const float *x, const float *mean, int64_t count, float *out);
  void (*screen)(const ScreenBlock *block);
  /* Writes base + t for every t with lower[t] <= threshold, ascending, at most `capacity` of them,
   * and returns how many there are. `count` is a multiple of kPanel. */
  int64_t (*collect)(const float *lower, int64_t count, float threshold, int32_t base, int32_t *out,
                     int64_t capacity);

  /* A threshold that `wanted` of the bounds or a few more don't exceed; FLT_MAX if fewer of them are
   * finite. `count` is a multiple of kPanel, `scratch` has room for as many. */
  float (*least_threshold)(const float *lower, int64_t count, int64_t wanted, float *scratch);

  int int8_rows_per_tile;
  int int8_saving; /* of a row, beside float32: what K / int8_saving float64 distances take */
  Int8Levels int8_levels;
  /* Centres d elements into `centred` and writes their integers of -levels..levels to out, levels + 1
   * added to them; element t lies at (t / kDepth) * block_stride + t % kDepth, up to int8_depth(d) of
   * them. */
  void (*quantise)(const float *x, const float *mean, int64_t d, int levels, float *centred,
                   uint8_t *out, int64_t block_stride, Quantised *result);
  void (*screen_int8)(const Int8Block *block);

  /* Columns first..last-1 of a code's update; whether all new elements of e, if any, are finite. */
  bool (*update_code)(const CodeUpdate &update, int64_t first, int64_t last);
};

extern const Tier kScalarTier;
#if defined(NAS_HAVE_X86_TIERS)
extern const Tier kAvx2Tier;
#if defined(NAS_HAVE_AVX_VNNI)
extern const Tier kAvxVnniTier;
#endif
extern const Tier kAvx512Tier;
extern const Tier kAvx512VnniTier;
extern const Tier kAmxTier;
#endif

/* The tier in use. */
const Tier &current_tier();

}  // namespace nas

#endif
