#include <stdarg.h>
#include <stdio.h>

#include "../common/philox.h"
#include "failures.h"
#include "parallel.h"
#include "tier.h"

namespace nas {

static thread_local char last_error[512];

nas_status fail(nas_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

nas_status out_of_memory(const char *function, int64_t bytes) {
  return fail(NAS_OUT_OF_MEMORY, "%s: no host memory for about %lld MiB", function,
              (long long)((bytes + (1 << 20) - 1) >> 20));
}

nas_status check_pointer(const char *function, const char *name, const void *pointer,
                         size_t alignment) {
  if (pointer == nullptr) {
    return fail(NAS_INVALID_ARGUMENT, "%s: %s is NULL", function, name);
  }
  if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
    return fail(NAS_INVALID_ARGUMENT, "%s: %s is not aligned to %d bytes", function, name,
                (int)alignment);
  }
  return NAS_OK;
}

nas_status check_stream(const char *function, const void *stream) {
  if (stream != nullptr) {
    return fail(NAS_INVALID_ARGUMENT, "%s: stream must be NULL for the host library", function);
  }
  return NAS_OK;
}

nas_status check_type(const char *function, int32_t type) {
  if (type == NAS_FLOAT32 || type == NAS_BFLOAT16 || type == NAS_FLOAT16) return NAS_OK;
  return fail(NAS_INVALID_ARGUMENT, "%s: type is %d, must be 0 (float32), 1 (bfloat16) or 2 (float16)",
              function, (int)type);
}

nas_status check_rows(const char *function, const char *name, const void *x, int32_t type,
                      int64_t rows, int64_t row_stride, int64_t width) {
  NAS_TRY(check_type(function, type));
  if (rows < 0) {
    return fail(NAS_INVALID_ARGUMENT, "%s: rows is %lld, must be at least 0", function,
                (long long)rows);
  }
  if (row_stride < width) {
    return fail(NAS_INVALID_ARGUMENT, "%s: row_stride is %lld, shorter than the width %lld", function,
                (long long)row_stride, (long long)width);
  }
  int64_t elements, bytes;
  if (__builtin_mul_overflow(rows, row_stride, &elements) ||
      __builtin_mul_overflow(elements, (int64_t)sizeof(float), &bytes)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: rows %lld times row_stride %lld overflows", function,
                (long long)rows, (long long)row_stride);
  }
  return rows == 0 ? NAS_OK : check_pointer(function, name, x, element_bytes(type));
}

}  // namespace nas

int32_t nas_abi_version(void) { return NAS_ABI_VERSION; }

const char *nas_last_error(void) { return nas::last_error; }

nas_status nas_describe(char *buffer, int64_t capacity) {
  NAS_TRY(nas::check_pointer("nas_describe", "buffer", buffer, 1));
  if (capacity < 1) {
    return nas::fail(NAS_INVALID_ARGUMENT, "nas_describe: capacity is %lld, must be at least 1",
                     (long long)capacity);
  }
  int threads = nas::thread_limit();
  snprintf(buffer, (size_t)capacity, "cpu %s, %d thread%s", nas::current_tier().name, threads,
           threads == 1 ? "" : "s");
  return NAS_OK;
}

void nas_philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  if (key == nullptr || counter == nullptr || out == nullptr) return;
  nas::philox4x32(key[0], key[1], counter, out);
}
