/*
 * The AVX2 tier (AVX2, FMA, F16C).
 *
 * It has no product of bytes that adds up in 32 bits. Products of unsigned by signed bytes are added in
 * pairs in 16 bits, where they would saturate beyond 32,767. Rows therefore have integers of -63..63,
 * and 64 added to them; a codeword's are -127..127. A pair is then at most 2 * 127 * 127 = 32,258.
 */
#include "int8_kernel.h"
#include "ymm.h"

namespace nas {
namespace {

struct PairProducts {
  static const int kRows = 6;
  static const int kMost = 63;
  static_assert(2 * (2 * kMost + 1) * 127 <= INT16_MAX, "a pair of products must not saturate");

  static __m256i start(__m256i offset) { return _mm256_srai_epi32(offset, 1); }
  static void add(__m256i &sum, __m256i x, __m256i codewords) {
    const __m256i pairs = _mm256_maddubs_epi16(x, codewords);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace

const Tier kAvx2Tier = {
    "avx2", NAS_CPU_TIER_AVX2, distance<Ymm>, distances<Ymm>, distances_of<Ymm>, estimates_of<Ymm>,
    all_finite<Ymm>, widen_ymm, Ymm::kRows, centre<Ymm>, screen<Ymm>, collect<Ymm>,
    least_threshold<Ymm>, PairProducts::kRows, 36, PairProducts::kMost, quantise<Ymm>,
    screen_int8<Ymm, PairProducts>, update_code<Ymm>};

}  // namespace nas
