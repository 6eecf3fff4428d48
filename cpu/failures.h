/* Failures and their messages, and the checks of arguments that calls have in common. */
#ifndef NAS_CPU_FAILURES_H
#define NAS_CPU_FAILURES_H

#include <stddef.h>
#include <stdint.h>

#include "nas_kernels.h"

namespace nas {

/* Records the message for the calling thread and returns `status`. */
nas_status fail(nas_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

nas_status out_of_memory(const char *function, int64_t bytes);

/* Common argument checks; `function` and `name` go into the message. */
nas_status check_pointer(const char *function, const char *name, const void *pointer,
                         size_t alignment);
nas_status check_stream(const char *function, const void *stream);
nas_status check_type(const char *function, int32_t type);

inline size_t element_bytes(int32_t type) { return type == NAS_FLOAT32 ? 4 : 2; }

/* rows of `width` elements at a distance of row_stride elements: type, sign, stride, overflow,
 * pointer. */
nas_status check_rows(const char *function, const char *name, const void *x, int32_t type,
                      int64_t rows, int64_t row_stride, int64_t width);

/* Makes a failure that the input is to blame for the verdict of a call that otherwise succeeds. */
inline nas_status judge(nas_verdict *verdict, nas_status failure, int64_t bad_row) {
  *verdict = nas_verdict{failure, bad_row};
  return NAS_OK;
}

#define NAS_TRY(expression)                           \
  do {                                                \
    nas_status nas_try_status = (expression);         \
    if (nas_try_status != NAS_OK) return nas_try_status; \
  } while (0)

}  // namespace nas

#endif
