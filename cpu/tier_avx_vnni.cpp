/* The AVX-VNNI tier: screening in int8 by VNNI products of 256 bits, all else as in AVX2. */
#include "int8_kernel.h"
#include "ymm.h"

namespace nas {
namespace {

struct VnniProducts {
  static const int kRows = 6;
  static const int kMost = 127;

  static __m256i start(__m256i offset) { return offset; }
  /* Assembler: as in the AVX-512 VNNI tier, and for compilers that know no AVX-VNNI. */
  static void add(__m256i &sum, __m256i x, __m256i codewords) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(codewords));
  }
};

}  // namespace

const Tier kAvxVnniTier = {
    "avx_vnni", NAS_CPU_TIER_AVX_VNNI, distance<Ymm>, distances<Ymm>, distances_of<Ymm>,
    estimates_of<Ymm>, all_finite<Ymm>, widen_ymm, Ymm::kRows, centre<Ymm>, screen<Ymm>, collect<Ymm>,
    least_threshold<Ymm>, VnniProducts::kRows, 24, VnniProducts::kMost, quantise<Ymm>,
    screen_int8<Ymm, VnniProducts>, update_code<Ymm>};

}  // namespace nas
