/* The calls that have an enqueued form, with their verdict. */
#ifndef NAS_CPU_CALLS_H
#define NAS_CPU_CALLS_H

#include "nas_kernels.h"

namespace nas {

/* nas_lookup, nas_update and nas_swap, with what is wrong with their input as a verdict. `function` is
 * for messages; *verdict is NAS_OK before. */
nas_status look_up_all(const char *function, const nas_codebook *codebook, const void *x, int32_t type,
                       int64_t rows, int64_t row_stride, int32_t *indices, float *distances,
                       nas_verdict *verdict, nas_lookup_stats *stats, void *stream);
nas_status update_all(const char *function, nas_codebook *codebook, const void *x, int32_t type,
                      int64_t rows, int64_t row_stride, const int32_t *codes, double gamma,
                      double epsilon, double dead_threshold, nas_verdict *verdict, void *stream);
nas_status swap_all(const char *function, const nas_codebook *codebook, const nas_swap_params *params,
                    const float *text, const float *image, const float *tokens, const int32_t *codes,
                    const int32_t *neighbour_lists, const int64_t *sample_ids, int32_t *positions,
                    int32_t *substitutes, float *swapped, nas_verdict *verdict, void *stream);

}  // namespace nas

#endif
