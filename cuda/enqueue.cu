/* The workspace of the enqueued calls: its size, and what may use it. */
#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr const char *kBeyond = "larger than what nas_codebook_reserve was asked for on this codebook";

}  // namespace

Arrays reserved_arrays(const nas_codebook *codebook, const Layout &layout) {
  if (layout.bytes() > codebook->workspace.bytes()) {
    fail(NAS_INTERNAL, "a call needs %zu bytes of a workspace of %zu", layout.bytes(),
         codebook->workspace.bytes());
  }
  return Arrays(codebook->workspace.data());
}

void require_reserved_rows(const nas_codebook *codebook, int32_t type, int64_t rows) {
  if (!codebook->reserved.holds_rows(type, rows)) {
    fail(NAS_INVALID_ARGUMENT, "%s (rows %lld of type %d; reserved %lld%s)", kBeyond,
         (long long)rows, (int)type, (long long)codebook->reserved.rows,
         codebook->reserved.narrow ? "" : ", float32 alone");
  }
}

void require_reserved_images(const nas_codebook *codebook, int64_t images, int64_t tokens) {
  if (!codebook->reserved.holds_images(images, tokens)) {
    fail(NAS_INVALID_ARGUMENT, "%s (images %lld, tokens %lld; reserved %lld, %lld)", kBeyond,
         (long long)images, (long long)tokens, (long long)codebook->reserved.images,
         (long long)codebook->reserved.tokens);
  }
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_codebook_reserve(nas_codebook *codebook, int64_t rows, int32_t type, int64_t images,
                                int64_t tokens) {
  return call("nas_codebook_reserve", [&] {
    require_pointer(codebook, "codebook");
    require_type(type);
    if (rows < 0 || images < 0 || tokens < 0 || tokens > INT32_MAX) {
      fail(NAS_INVALID_ARGUMENT,
           "rows is %lld, images %lld, tokens %lld; none may be below 0, tokens not above 2147483647",
           (long long)rows, (long long)images, (long long)tokens);
    }
    const int64_t d = codebook->d;
    (void)product(product(rows, d, "rows * d"), 8, "the size of the rows in bytes");
    (void)product(product(product(images, tokens, "images * tokens"), d, "images * tokens * d"),
                  (int64_t)sizeof(float), "the size of the tokens in bytes");
    set_shape("rows %lld, images %lld, tokens %lld, K %lld, d %lld", (long long)rows,
              (long long)images, (long long)tokens, (long long)codebook->K, (long long)d);
    DeviceGuard guard(codebook->device);
    const nas::Reservation most =
        codebook->reserved.with({rows, images, tokens, type != NAS_FLOAT32});
    size_t bytes = lookup_bytes(codebook, most);
    for (size_t other : {update_bytes(codebook, most), swap_bytes(codebook, most)}) {
      if (other > bytes) bytes = other;
    }
    if (codebook->next.memory.data() == nullptr) codebook->next.allocate(codebook->K, d);
    if (codebook->workspace.bytes() < bytes) codebook->workspace.allocate(bytes);
    load_codebook_kernels();
    load_lookup_kernels();
    load_update_kernels();
    load_swap_kernels();
    load_neighbours_kernels();
    codebook->reserved = most;
  });
}

nas_status nas_codebook_workspace(const nas_codebook *codebook, int64_t *state_bytes,
                                  int64_t *workspace_bytes) {
  return call("nas_codebook_workspace", [&] {
    require_pointer(codebook, "codebook");
    require_pointer(state_bytes, "state_bytes");
    require_pointer(workspace_bytes, "workspace_bytes");
    *state_bytes =
        (int64_t)(codebook->state.memory.bytes() + codebook->next.memory.bytes());
    *workspace_bytes = (int64_t)(codebook->workspace.bytes() + codebook->cache.bytes());
  });
}

}  // extern "C"
