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

/* By their numbers; NULL for one that is not compiled. */
static const Tier *const kTiers[] = {&kScalarTier,
                                     &kAvx2Tier,
#if defined(NAS_HAVE_AVX_VNNI)
                                     &kAvxVnniTier,
#else
                                     nullptr,
#endif
                                     &kAvx512Tier,
                                     &kAvx512VnniTier,
                                     &kAmxTier};

/* A set of tiers: bit t for tier t. */
static uint32_t detect_tiers() {
  uint32_t tiers = 1u << NAS_CPU_TIER_SCALAR;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return tiers;
  const uint32_t needed = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29; /* FMA, OSXSAVE, AVX, F16C */
  if ((c & needed) != needed) return tiers;
  const uint64_t ymm = 0x6, zmm = 0xe6;
  uint64_t state = saved_state();
  if ((state & ymm) != ymm) return tiers;
  uint32_t subleaves;
  if (!__get_cpuid_count(7, 0, &subleaves, &b, &c, &d)) return tiers;
  const uint32_t avx2 = 1u << 5;
  if ((b & avx2) == 0) return tiers;
  tiers |= 1u << NAS_CPU_TIER_AVX2;
  if (subleaves >= 1) {
    uint32_t features, ignored;
    __cpuid_count(7, 1, features, ignored, ignored, ignored);
    const uint32_t avx_vnni = 1u << 4;
    if ((features & avx_vnni) != 0 && kTiers[NAS_CPU_TIER_AVX_VNNI] != nullptr) {
      tiers |= 1u << NAS_CPU_TIER_AVX_VNNI;
    }
  }
  const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
  if ((b & avx512) != avx512 || (state & zmm) != zmm) return tiers;
  tiers |= 1u << NAS_CPU_TIER_AVX512;
  const uint32_t vnni = 1u << 11, amx = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
  if ((c & vnni) == 0) return tiers;
  tiers |= 1u << NAS_CPU_TIER_AVX512_VNNI;
  const uint64_t tiles = 0x60000;
  if ((d & amx) == amx && (state & tiles) == tiles && request_tiles()) {
    tiers |= 1u << NAS_CPU_TIER_AMX;
  }
  return tiers;
}

#else

static uint32_t detect_tiers() { return 1u << NAS_CPU_TIER_SCALAR; }

static const Tier *const kTiers[] = {&kScalarTier};

#endif

static uint32_t tiers() {
  static const uint32_t detected = detect_tiers();
  return detected;
}

static int32_t best_tier() { return 31 - __builtin_clz(tiers()); }

static bool has_tier(int32_t tier) {
  return tier >= 0 && tier <= NAS_CPU_TIER_AMX && (tiers() >> tier & 1) != 0;
}

static std::atomic<int32_t> &tier_setting() {
  static std::atomic<int32_t> tier{best_tier()};
  return tier;
}

static std::atomic<bool> float32_alone{false};

/* The tiers as they are without int8. */
static const Tier &without_int8(int32_t tier) {
  struct Tiers {
    Tier all[sizeof kTiers / sizeof kTiers[0]] = {};
    Tiers() {
      for (size_t t = 0; t < sizeof all / sizeof all[0]; ++t) {
        if (kTiers[t] == nullptr) continue;
        all[t] = *kTiers[t];
        all[t].screen_int8 = nullptr;
      }
    }
  };
  static const Tiers tiers;
  return tiers.all[tier];
}

const Tier &current_tier() {
  const int32_t tier = tier_setting().load(std::memory_order_relaxed);
  return float32_alone.load(std::memory_order_relaxed) ? without_int8(tier) : *kTiers[tier];
}

}  // namespace nas

/* Not of the interface, for tests and timings: whether the tiers do without screening in int8. */
extern "C" NAS_API void nas_screen_in_float32(int32_t yes) { nas::float32_alone.store(yes != 0); }

int32_t nas_best_tier(void) { return nas::best_tier(); }

int32_t nas_tier(void) { return nas::tier_setting().load(std::memory_order_relaxed); }

int32_t nas_has_tier(int32_t tier) { return nas::has_tier(tier) ? 1 : 0; }

nas_status nas_set_tier(int32_t tier) {
  if (!nas::has_tier(tier)) {
    return nas::fail(NAS_INVALID_ARGUMENT,
                     "nas_set_tier: tier is %d, must be one that nas_has_tier() confirms, 0 to %d, "
                     "the best of this machine",
                     (int)tier, (int)nas::best_tier());
  }
  nas::tier_setting().store(tier, std::memory_order_relaxed);
  return NAS_OK;
}
