/* The AVX2 tier (AVX2, FMA, F16C). */
#include "int8_kernel.h"
#include "ymm.h"

namespace nas {

const Tier kAvx2Tier = {
    "avx2", NAS_CPU_TIER_AVX2, distance<Ymm>, distances<Ymm>, distances_of<Ymm>, estimates_of<Ymm>,
    all_finite<Ymm>, widen_ymm, Ymm::kRows, centre<Ymm>, screen<Ymm>, collect<Ymm>,
    least_threshold<Ymm>, FourProducts<Ymm>::kRows, 28, FourProducts<Ymm>::kLevels, quantise<Ymm>,
    screen_int8<Ymm, FourProducts<Ymm>>, update_code<Ymm>};

}  // namespace nas
