/* The choice of the instruction tier. */
#include <atomic>

#if defined(NAS_HAVE_X86_TIERS)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "failures.h"
#include "tier.h"

namespace nas {

#if defined(NAS_HAVE_X86_TIERS)

/* The register state that the operating system saves: XCR0. */
static uint64_t saved_state() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Linux gives the tile registers, 8 KiB more of state for each thread, to processes that ask. It
 * refuses, for one, if a thread has an alternate signal stack that is too small for them. */
static bool request_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  const int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

static int32_t detect_tier() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return NAS_TIER_SCALAR;
  const uint32_t needed = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29; /* FMA, OSXSAVE, AVX, F16C */
  if ((c & needed) != needed) return NAS_TIER_SCALAR;
  const uint64_t ymm = 0x6, zmm = 0xe6;
  uint64_t state = saved_state();
  if ((state & ymm) != ymm) return NAS_TIER_SCALAR;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return NAS_TIER_SCALAR;
  const uint32_t avx2 = 1u << 5;
  if ((b & avx2) == 0) return NAS_TIER_SCALAR;
  const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
  if ((b & avx512) != avx512 || (state & zmm) != zmm) return NAS_TIER_AVX2;
  const uint32_t vnni = 1u << 11, amx = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
  if ((c & vnni) == 0) return NAS_TIER_AVX512;
  const uint64_t tiles = 0x60000;
  const bool may_use_tiles = (d & amx) == amx && (state & tiles) == tiles && request_tiles();
  return may_use_tiles ? NAS_TIER_AMX : NAS_TIER_AVX512_VNNI;
}

static const Tier *const kTiers[] = {&kScalarTier, &kAvx2Tier, &kAvx512Tier, &kAvx512VnniTier,
                                     &kAmxTier};

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
