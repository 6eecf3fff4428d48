/* The AVX-512 tier (F, DQ, BW, VL). */
#include "int8_kernel.h"
#include "zmm.h"

namespace nas {

const Tier kAvx512Tier = {
    "avx512", NAS_CPU_TIER_AVX512, distance<Zmm>, distances<Zmm>, distances_of<Zmm>, estimates_of<Zmm>,
    all_finite<Zmm>, widen_zmm, Zmm::kRows, centre<Zmm>, screen<Zmm>, collect<Zmm>,
    least_threshold<Zmm>, FourProducts<Zmm>::kRows, 28, FourProducts<Zmm>::kLevels, quantise<Zmm>,
    screen_int8<Zmm, FourProducts<Zmm>>, update_code<Zmm>};

}  // namespace nas
