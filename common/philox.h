/* Counter-based randomness: Philox4x32-10 (Salmon et al., SC 2011), see nas_kernels.h. */
#ifndef NAS_COMMON_PHILOX_H
#define NAS_COMMON_PHILOX_H

#include "arithmetic.h"

namespace nas {

/* out = Philox4x32-10(key, counter). out may equal counter. */
NAS_HD void philox4x32(uint32_t key0, uint32_t key1, const uint32_t counter[4], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0;
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
    uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* The 64-bit draw of (seed, sample_id, position, step). */
NAS_HD uint64_t draw64(uint64_t seed, int64_t sample_id, uint32_t position, uint32_t step) {
  uint64_t id = (uint64_t)sample_id;
  uint32_t counter[4] = {(uint32_t)id, (uint32_t)(id >> 32), position, step};
  uint32_t words[4];
  philox4x32((uint32_t)seed, (uint32_t)(seed >> 32), counter, words);
  return (uint64_t)words[0] | ((uint64_t)words[1] << 32);
}

/* A uniform choice among 0..n-1, n >= 1. */
NAS_HD uint64_t uniform_choice(uint64_t draw, uint64_t n) { return high_product(draw, n); }

}  // namespace nas

#endif
