/* What the parts of the token swap share: swap.cpp checks and shares the work out, swap_choose.cpp decides
 * which tokens are replaced and by what, swap_write.cpp writes them. */
#ifndef NAS_CPU_SWAP_H
#define NAS_CPU_SWAP_H

#include <algorithm>

#include "../common/swap.h"
#include "codebook.h"
#include "memory.h"
#include "nas_kernels.h"

namespace nas {

/* Where in the batch each code occurs. */
struct Holders {
  Buffer<int64_t> start;  /* K + 1 */
  Buffer<int64_t> tokens; /* B*N: tokens with code z, ascending, from start[z] on */

  bool build(const int32_t *codes, int64_t count, int64_t K);
};

struct SwapRequest {
  const nas_codebook *codebook;
  nas_swap_params params;
  nas_swap_input in;
  nas_swap_output out;
  int32_t *replacements; /* B x N: the new code of every token, or -1 */
  const Holders *holders; /* with donors, else NULL */

  bool by_relevance() const { return params.choose == NAS_CHOOSE_RELEVANCE; }
  bool by_evidence() const {
    return params.choose == NAS_CHOOSE_GAIN || params.substitute == NAS_SUBSTITUTE_EVIDENCE;
  }
  bool by_draws() const { return params.substitute == NAS_SUBSTITUTE_DRAW || params.donors != 0; }
  /* An image's row of evidence, or NULL. */
  const double *evidence(int64_t b) const {
    const int32_t row = in.evidence_of[b];
    return row < 0 ? nullptr : in.evidence + (int64_t)row * codebook->K;
  }
};

struct Scored {
  double score;
  int32_t position;
};

/* What a thread works in. The bitmaps are zero between images, so that no image has to set up more than
 * bits. */
struct SwapWorker {
  Buffer<Scored> scores;       /* N */
  Buffer<uint32_t> chosen;     /* a bit for each position */
  Buffer<uint32_t> present;    /* a bit for each code */
  Buffer<uint32_t> drawn;      /* a bit for each code */
  Buffer<uint32_t> weighed;    /* a bit for each code */
  Buffer<int32_t> substitute;  /* K; valid for codes in `drawn` */
  Buffer<int32_t> best;        /* K; valid for codes in `weighed` */
  Buffer<double> gain;         /* K; likewise */

  bool allocate(int64_t N, int64_t K, bool by_gain) {
    if (!scores.allocate(N) || !chosen.allocate(words(N)) || !present.allocate(words(K)) ||
        !drawn.allocate(words(K)) || !substitute.allocate(K)) {
      return false;
    }
    std::fill_n(chosen.get(), words(N), 0);
    std::fill_n(present.get(), words(K), 0);
    std::fill_n(drawn.get(), words(K), 0);
    if (!by_gain) return true;
    if (!weighed.allocate(words(K)) || !best.allocate(K) || !gain.allocate(K)) return false;
    std::fill_n(weighed.get(), words(K), 0);
    return true;
  }
  static int64_t words(int64_t bits) { return (bits + 31) / 32; }
  static int64_t bytes(int64_t N, int64_t K) { return 17 * N + 17 * K; } /* about */
};

/* Positions, substitutes, scores, mask and replacements of an image. */
void choose_tokens(const SwapRequest &request, SwapWorker &worker, int64_t b);

/* Writes tokens first..last-1 of the batch. */
void write_tokens(const SwapRequest &request, int64_t first, int64_t last);

}  // namespace nas

#endif
