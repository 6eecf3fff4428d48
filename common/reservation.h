/* What nas_codebook_reserve was asked for, and whether an enqueued call keeps within it. */
#ifndef NAS_COMMON_RESERVATION_H
#define NAS_COMMON_RESERVATION_H

#include <stdint.h>

#include "nas_kernels.h"

namespace nas {

struct Reservation {
  int64_t rows = -1; /* none at first, not even calls without rows */
  int64_t images = -1;
  int64_t tokens = -1;
  bool narrow = false; /* rows narrower than float32 too */

  bool any() const { return rows >= 0; }

  /* What both hold together. */
  Reservation with(const Reservation &other) const {
    Reservation both = *this;
    if (other.rows > both.rows) both.rows = other.rows;
    if (other.images > both.images) both.images = other.images;
    if (other.tokens > both.tokens) both.tokens = other.tokens;
    both.narrow = both.narrow || other.narrow;
    return both;
  }
  bool holds_rows(int32_t type, int64_t count) const {
    return count <= rows && (narrow || (type != NAS_BFLOAT16 && type != NAS_FLOAT16));
  }
  bool holds_images(int64_t count, int64_t tokens_each) const {
    return count <= images && tokens_each <= tokens;
  }
};

}  // namespace nas

#endif
