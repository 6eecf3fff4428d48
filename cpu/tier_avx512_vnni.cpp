/* The AVX-512 VNNI tier: screening in int8, all else as in AVX-512. */
#include "int8_kernel.h"
#include "zmm.h"

namespace nas {
namespace {

struct VnniProducts {
  static const int kRows = 14, kStep = 4;
  static const Int8Levels kLevels = kFine;

  static __m512i start(__m512i offset) { return offset; }
  /* GCC 12 moves and spills the sums around the intrinsic, which costs a factor of three. */
  static void add(__m512i &sum, const uint8_t *row, const int8_t *codewords) {
    __asm__("vpdpbusd %2, %1, %0"
            : "+v"(sum)
            : "v"(Zmm::broadcast_bytes(row)), "v"(Zmm::load_bytes(codewords)));
  }
};

}  // namespace

const Tier kAvx512VnniTier = {
    "avx512_vnni", NAS_CPU_TIER_AVX512_VNNI, distance<Zmm>, distances<Zmm>, distances_of<Zmm>,
    estimates_of<Zmm>, all_finite<Zmm>, widen_zmm, Zmm::kRows, centre<Zmm>, screen<Zmm>, collect<Zmm>,
    least_threshold<Zmm>, VnniProducts::kRows, 24, VnniProducts::kLevels, quantise<Zmm>,
    screen_int8<Zmm, VnniProducts>, update_code<Zmm>};

}  // namespace nas
