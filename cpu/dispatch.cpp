/* The choice of the instruction tier. */
#include <atomic>

#if defined(NAS_HAVE_X86_TIERS)
#include <cpuid.h>
#endif

#include "internal.h"

namespace nas {

#if defined(NAS_HAVE_X86_TIERS)

/* The register state that the operating system saves: XCR0. */
static uint64_t saved_state() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static int32_t detect_tier() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return NAS_TIER_SCALAR;
  const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  const uint32_t basis = fma | osxsave | avx | f16c;
  if ((c & basis) != basis) return NAS_TIER_SCALAR;
  const uint64_t ymm = 0x6, zmm = 0xe6;
  uint64_t state = saved_state();
  if ((state & ymm) != ymm) return NAS_TIER_SCALAR;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return NAS_TIER_SCALAR;
  const uint32_t avx2 = 1u << 5;
  if ((b & avx2) == 0) return NAS_TIER_SCALAR;
  const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
  return (b & avx512) == avx512 && (state & zmm) == zmm ? NAS_TIER_AVX512 : NAS_TIER_AVX2;
}

static const Tier *const kTiers[] = {&kScalarTier, &kAvx2Tier, &kAvx512Tier};

#else

static int32_t detect_tier() { return NAS_TIER_SCALAR; }

static const Tier *const kTiers[] = {&kScalarTier};

#endif

static int32_t best_tier() {
  static const int32_t best = detect_tier();
  return best;
}

static std::atomic<int32_t> &tier_setting() {
  static std::atomic<int32_t> tier{best_tier()};
  return tier;
}

const Tier &current_tier() { return *kTiers[tier_setting().load(std::memory_order_relaxed)]; }

}  // namespace nas

int32_t nas_best_tier(void) { return nas::best_tier(); }

int32_t nas_tier(void) { return nas::tier_setting().load(std::memory_order_relaxed); }

nas_status nas_set_tier(int32_t tier) {
  if (tier < NAS_TIER_SCALAR || tier > nas::best_tier()) {
    return nas::fail(NAS_INVALID_ARGUMENT,
                     "nas_set_tier: tier is %d, must be 0 to %d, the best of this machine", (int)tier,
                     (int)nas::best_tier());
  }
  nas::tier_setting().store(tier, std::memory_order_relaxed);
  return NAS_OK;
}
