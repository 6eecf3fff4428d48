/* The AVX-VNNI tier: screening in int8 by VNNI products of 256 bits, all else as in AVX2. */
#include "int8_kernel.h"
#include "ymm.h"

namespace nas {
namespace {

struct VnniProducts {
  static const int kRows = 6, kStep = 4;
  static const Int8Levels kLevels = kFine;

  static __m256i start(__m256i offset) { return offset; }
  /* Assembler: as in the AVX-512 VNNI tier, and for compilers that know no AVX-VNNI. */
  static void add(__m256i &sum, const uint8_t *row, const int8_t *codewords) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0"
            : "+x"(sum)
            : "x"(Ymm::broadcast_bytes(row)), "x"(Ymm::load_bytes(codewords)));
  }
};

}  // namespace

const Tier kAvxVnniTier = {
    "avx_vnni", NAS_CPU_TIER_AVX_VNNI, distance<Ymm>, distances<Ymm>, distances_of<Ymm>,
    estimates_of<Ymm>, all_finite<Ymm>, widen_ymm, Ymm::kRows, centre<Ymm>, screen<Ymm>, collect<Ymm>,
    least_threshold<Ymm>, VnniProducts::kRows, 24, VnniProducts::kLevels, quantise<Ymm>,
    screen_int8<Ymm, VnniProducts>, update_code<Ymm>};

}  // namespace nas
