/* The enqueued forms of lookup, update and swap, which the host library runs at once, and what a
 * codebook holds of memory. */
#include "calls.h"
#include "codebook.h"
#include "failures.h"

namespace nas {
namespace {

nas_status refuse(const char *function) {
  return fail(NAS_INVALID_ARGUMENT,
              "%s: larger than what nas_codebook_reserve was asked for on this codebook", function);
}

nas_status check_handle(const char *function, const nas_codebook *codebook,
                        const nas_verdict *verdict) {
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  return check_pointer(function, "verdict", verdict, alignof(nas_verdict));
}

int64_t packed_bytes(const Screening &s) {
  int64_t bytes = s.mean.bytes() + s.square.bytes() + s.duplicate.bytes() + s.packed.bytes() +
                  s.base.bytes() + s.base_unique.bytes() + s.radius.bytes() + s.spread.bytes();
  for (const Int8Codewords &c : s.int8) {
    bytes += c.packed.bytes() + c.offset.bytes() + c.base.bytes() + c.base_unique.bytes() +
             c.scale.bytes() + c.residual.bytes() + c.norm.bytes();
  }
  for (int64_t g = 0; g < s.group_count; ++g) {
    const Group &group = s.groups[g];
    bytes += group.codes.bytes() + group.codebook.e.bytes() + packed_bytes(group.codebook.screening);
  }
  return bytes;
}

}  // namespace
}  // namespace nas

using namespace nas;

nas_status nas_codebook_reserve(nas_codebook *codebook, int64_t rows, int32_t type, int64_t images,
                                int64_t tokens) {
  static const char *const function = "nas_codebook_reserve";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_type(function, type));
  if (rows < 0 || images < 0 || tokens < 0) {
    return fail(NAS_INVALID_ARGUMENT,
                "%s: rows is %lld, images %lld, tokens %lld, must each be at least 0", function,
                (long long)rows, (long long)images, (long long)tokens);
  }
  int64_t size;
  if (tokens > INT32_MAX || __builtin_mul_overflow(rows, codebook->d * 8, &size) ||
      __builtin_mul_overflow(images, tokens, &size) ||
      __builtin_mul_overflow(size, codebook->d * 4, &size)) {
    return fail(NAS_INVALID_ARGUMENT, "%s: rows %lld, images %lld x tokens %lld, width %lld: too large",
                function, (long long)rows, (long long)images, (long long)tokens,
                (long long)codebook->d);
  }
  if (!allocate_next(*codebook)) {
    return out_of_memory(function, 2 * codebook->K * codebook->d * (int64_t)sizeof(float));
  }
  codebook->reserved = codebook->reserved.with({rows, images, tokens, type != NAS_FLOAT32});
  return NAS_OK;
}

nas_status nas_codebook_workspace(const nas_codebook *codebook, int64_t *state_bytes,
                                  int64_t *workspace_bytes) {
  static const char *const function = "nas_codebook_workspace";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "state_bytes", state_bytes, alignof(int64_t)));
  NAS_TRY(check_pointer(function, "workspace_bytes", workspace_bytes, alignof(int64_t)));
  *state_bytes = codebook->e.bytes() + codebook->m.bytes() + codebook->n.bytes() +
                 codebook->dead_steps.bytes() + codebook->next_e.bytes() + codebook->next_m.bytes() +
                 codebook->next_n.bytes();
  Screening &screening = codebook->screening;
  pthread_mutex_lock(&screening.mutex);
  int64_t bytes = packed_bytes(screening);
  pthread_mutex_unlock(&screening.mutex);
  KeptNeighbours &kept = codebook->kept_neighbours;
  pthread_mutex_lock(&kept.mutex);
  bytes += kept.anchors.bytes() + kept.live.bytes() + kept.codes.bytes() + kept.nearest.bytes() +
           kept.counts.bytes() + kept.horizon.bytes();
  pthread_mutex_unlock(&kept.mutex);
  *workspace_bytes = bytes;
  return NAS_OK;
}

nas_status nas_lookup_enqueue(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, int32_t *indices, float *distances,
                              nas_verdict *verdict, void *stream) {
  static const char *const function = "nas_lookup_enqueue";
  NAS_TRY(check_handle(function, codebook, verdict));
  if (!codebook->reserved.holds_rows(type, rows)) return refuse(function);
  nas_verdict found{NAS_OK, -1};
  NAS_TRY(look_up_all(function, codebook, x, type, rows, row_stride, indices, distances, &found,
                      nullptr, stream));
  *verdict = found;
  return NAS_OK;
}

nas_status nas_update_enqueue(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, const int32_t *codes, double gamma, double epsilon,
                              double dead_threshold, nas_verdict *verdict, void *stream) {
  static const char *const function = "nas_update_enqueue";
  NAS_TRY(check_handle(function, codebook, verdict));
  if (!codebook->reserved.holds_rows(type, rows)) return refuse(function);
  nas_verdict found{NAS_OK, -1};
  NAS_TRY(update_all(function, codebook, x, type, rows, row_stride, codes, gamma, epsilon,
                     dead_threshold, &found, stream));
  *verdict = found;
  return NAS_OK;
}

nas_status nas_swap_enqueue(nas_codebook *codebook, const nas_swap_params *params,
                            const nas_swap_input *input, const nas_swap_output *output,
                            nas_verdict *verdict, void *stream) {
  static const char *const function = "nas_swap_enqueue";
  NAS_TRY(check_handle(function, codebook, verdict));
  NAS_TRY(check_pointer(function, "params", params, alignof(nas_swap_params)));
  if (!codebook->reserved.holds_images(params->images, params->tokens)) return refuse(function);
  nas_verdict found{NAS_OK, -1};
  NAS_TRY(swap_all(function, codebook, params, input, output, &found, stream));
  *verdict = found;
  return NAS_OK;
}
