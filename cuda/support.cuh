/*
 * What the device kernels' launchers share: failures, device selection, launches, scratch memory
 * and the codebook. Nothing here is visible outside the library.
 */
#ifndef NAS_CUDA_SUPPORT_CUH
#define NAS_CUDA_SUPPORT_CUH

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "../common/arithmetic.h"
#include "../common/distance.h"
#include "../common/reservation.h"
#include "nas_kernels.h"

namespace nas {
namespace device {

/* ---------------------------------------------------------------- failures */

/* Thrown inside the library and turned into a status by call(). */
struct Failure {
  nas_status status;
  std::string text;
};

[[noreturn]] void fail(nas_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Names the problem's size in the messages of device failures of this call. */
void set_shape(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Throws unless `error` is cudaSuccess, and clears CUDA's error. `what`: a kernel or an action. */
void check(cudaError_t error, const char *what);

void begin_call();
nas_status record_failure(const char *function, nas_status status, const char *text) noexcept;

/* Runs the body of one function of the interface. No exception leaves it. */
template <class Body>
nas_status call(const char *function, Body &&body) noexcept {
  try {
    begin_call();
    body();
    return NAS_OK;
  } catch (const Failure &failure) {
    return record_failure(function, failure.status, failure.text.c_str());
  } catch (const std::bad_alloc &) {
    return record_failure(function, NAS_OUT_OF_MEMORY, "out of host memory");
  } catch (...) {
    return record_failure(function, NAS_INTERNAL, "unexpected exception");
  }
}

/* ---------------------------------------------------------------- arguments */

/* a * b, or NAS_INVALID_ARGUMENT. Both at least 0. */
int64_t product(int64_t a, int64_t b, const char *what);

/* Refuses NULL. */
void require_pointer(const void *pointer, const char *name);

/* Refuses NULL, misaligned pointers and memory that is not of this device. */
void require_device(const void *pointer, const char *name, int64_t alignment, int device);

/* The device that memory belongs to; the current device for managed memory. Refuses what is neither. */
int device_of(const void *pointer, const char *name);

/* Refuses what is no element type. */
void require_type(int32_t type);

/* Refuses a negative count, a stride below the width and products that overflow. */
void require_rows(int64_t rows, int64_t row_stride, int64_t width);

/* ---------------------------------------------------------------- device */

/* The device current in this thread; NAS_DEVICE_ERROR "no CUDA device: ..." without one. */
int current_device();

/* Makes a device current for the life of the object. */
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard &) = delete;
  DeviceGuard &operator=(const DeviceGuard &) = delete;

 private:
  int previous_;
  bool changed_;
};

void synchronize(cudaStream_t stream);

/* Loads a kernel's code into the device, which must not wait until a stream is captured. */
template <class... Parameters>
void load(void (*kernel)(Parameters...)) {
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, kernel), "the loading of a kernel");
}

/* Loads all kernels that enqueued calls launch. */
void load_codebook_kernels();
void load_lookup_kernels();
void load_update_kernels();
void load_swap_kernels();
void load_neighbours_kernels();

template <class... Parameters, class... Arguments>
void launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            cudaStream_t stream, Arguments... arguments) {
#if defined(NAS_EMULATION)
  check(emulation::launch(name, grid, block, stream, [=] { kernel(arguments...); }), name);
#else
  kernel<<<grid, block, 0, stream>>>(arguments...);
  check(cudaGetLastError(), name);
#endif
}

/* The same with `shared` bytes of dynamic shared memory, which may be more than 48 KiB. */
template <class... Parameters, class... Arguments>
void launch_shared(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, int shared,
                   cudaStream_t stream, Arguments... arguments) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), name);
#if defined(NAS_EMULATION)
  check(emulation::launch(name, grid, block, stream, [=] { kernel(arguments...); },
                          (const void *)kernel, (size_t)shared),
        name);
#else
  kernel<<<grid, block, (size_t)shared, stream>>>(arguments...);
  check(cudaGetLastError(), name);
#endif
}

constexpr int kWarp = 32; /* threads */
constexpr unsigned kAllLanes = 0xffffffffu;

/* The most blocks of a kernel whose blocks take more than one piece of the work each. */
constexpr int64_t kMostBlocks = 1 << 16;

/* Blocks of `block` threads that cover `items`, at most `most`. */
inline unsigned blocks_for(int64_t items, int64_t block, int64_t most = 0x7fffffff) {
  int64_t blocks = (items + block - 1) / block;
  if (blocks < 1) blocks = 1;
  return (unsigned)(blocks < most ? blocks : most);
}

/* ---------------------------------------------------------------- copies within kernels */

/* Copies 8 or 16 bytes to shared memory, zeros instead where `real` is false, some time before wait_ahead() or
 * wait_copies() returns; the places and the size agree in alignment. cp.async keeps them out of the registers. */
template <int kBytes>
__device__ __forceinline__ void copy_ahead(void *to, const void *from, bool real = true) {
  static_assert(kBytes == 8 || kBytes == 16, "of those only the larger one can pass the first cache by");
#if defined(NAS_EMULATION)
  emulation::copy_ahead(to, from, kBytes, real ? kBytes : 0);
#else
  const unsigned place = (unsigned)__cvta_generic_to_shared(to);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from),
                 "r"(real ? 16 : 0)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(place), "l"(from),
                 "r"(real ? 8 : 0)
                 : "memory");
  }
#endif
}

/* Ends a group of copies, which may be empty. */
__device__ __forceinline__ void end_copies() {
#if defined(NAS_EMULATION)
  emulation::end_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Returns when all of this thread's groups but the last kGroups are there. */
template <int kGroups>
__device__ __forceinline__ void wait_ahead() {
#if defined(NAS_EMULATION)
  emulation::wait_ahead(kGroups);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
#endif
}

/* Returns when all of this thread's copies are there, whether in groups or not. */
__device__ __forceinline__ void wait_copies() {
#if defined(NAS_EMULATION)
  emulation::wait_copies();
#else
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

/* ---------------------------------------------------------------- memory */

/* A piece of device memory. */
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept;
  ~Buffer() { reset(); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  /* Leaves the buffer as it was if it fails. */
  void allocate(size_t bytes);
  void reset() noexcept;
  void *data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void *data_ = nullptr;
  size_t bytes_ = 0;
};

/* Buffers that calls on one codebook hand on to each other, so that a steady state allocates
 * nothing. Safe for concurrent use. */
class BufferCache {
 public:
  Buffer take(size_t bytes);
  void give(Buffer buffer) noexcept;

  /* Of all buffers, those that calls have at the moment included. */
  size_t bytes();

 private:
  std::mutex mutex_;
  std::vector<Buffer> idle_;
  size_t lent_ = 0; /* bytes */
};

/* Sizes of consecutive arrays, each starting on a boundary of kAlignment bytes. */
class Layout {
 public:
  static constexpr size_t kAlignment = 256;

  template <class T>
  size_t add(int64_t count) {
    int64_t size = product(count, (int64_t)sizeof(T), "the scratch memory's size");
    size_t offset = bytes_;
    bytes_ += ((size_t)size + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }
  size_t bytes() const { return bytes_ == 0 ? kAlignment : bytes_; }

 private:
  size_t bytes_ = 0;
};

/* A layout's arrays in memory. */
class Arrays {
 public:
  explicit Arrays(void *base) : base_((char *)base) {}

  template <class T>
  T *at(size_t offset) const {
    return (T *)(base_ + offset);
  }

 private:
  char *base_;
};

/* Scratch memory of one call. The end of its life waits for the stream, because the memory goes to
 * the next call, which may use another stream. */
class Scratch {
 public:
  Scratch(BufferCache &cache, const Layout &layout, cudaStream_t stream)
      : cache_(cache), buffer_(cache.take(layout.bytes())), stream_(stream) {}
  ~Scratch() {
    if (cudaStreamSynchronize(stream_) != cudaSuccess) (void)cudaGetLastError();
    cache_.give(std::move(buffer_));
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  template <class T>
  T *at(size_t offset) const {
    return arrays().at<T>(offset);
  }
  Arrays arrays() const { return Arrays(buffer_.data()); }

 private:
  BufferCache &cache_;
  Buffer buffer_;
  cudaStream_t stream_;
};

/* Copies `count` values from the device and waits for the stream. */
template <class T>
void fetch(T *host, const T *device, int64_t count, cudaStream_t stream) {
  check(cudaMemcpyAsync(host, device, (size_t)count * sizeof(T), cudaMemcpyDeviceToHost, stream),
        "a copy to the host");
  synchronize(stream);
}

/* One value from the device, for a message. */
template <class T>
T value_at(const T *device, unsigned long long index, cudaStream_t stream) {
  T value{};
  fetch(&value, device + index, 1, stream);
  return value;
}

template <class T>
void fill_bytes(T *device, int value, int64_t count, cudaStream_t stream) {
  check(cudaMemsetAsync(device, value, (size_t)count * sizeof(T), stream), "a memory fill");
}

template <class T>
void copy(T *to, const T *from, int64_t count, cudaStream_t stream) {
  check(cudaMemcpyAsync(to, from, (size_t)count * sizeof(T), cudaMemcpyDeviceToDevice, stream),
        "a copy on the device");
}

/* ---------------------------------------------------------------- the codebook */

/* Widths of the tiles of the lookup's screening; the screening arrays are padded to them. */
constexpr int kTileRows = 128;
constexpr int kTileCodes = 128;
constexpr int kTileDepth = 8;

/* Int8 rows and codewords lie in tiles of 128 rows x 128 columns, those side by side next to each other. In
 * a tile the 16-byte pieces of a row are permuted: piece p of row r is at p xor r % 8. */
constexpr int kInt8Columns = 128;
constexpr int kInt8Tile = kTileRows * kInt8Columns;
static_assert(kTileRows == kTileCodes, "int8 rows and codewords have tiles of one size");

/* Where element (row, t) lies. padded_d: a multiple of kInt8Columns. */
__host__ __device__ __forceinline__ int64_t int8_at(int64_t row, int64_t t, int64_t padded_d) {
  const int64_t tile = row / kTileRows * (padded_d / kInt8Columns) + t / kInt8Columns;
  const int64_t piece = (t % kInt8Columns / 16) ^ (row % 8);
  return tile * kInt8Tile + row % kTileRows * kInt8Columns + piece * 16 + t % 16;
}

inline int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/* One state of a codebook, in one piece of device memory. The screening arrays are derived from e
 * by build_screen. */
struct State {
  Buffer memory;
  size_t own_bytes = 0;        /* of e, m, n and dead, which come first; a multiple of Layout::kAlignment */
  float *e = nullptr;          /* K x d */
  float *m = nullptr;          /* K x d */
  double *n = nullptr;         /* K */
  int32_t *dead = nullptr;     /* K */
  float *centre = nullptr;     /* padded d, zero beyond d: the mean codeword */
  float *screen = nullptr;     /* padded d x padded K: e - centre, transposed; 0 beyond K, d */
  float *square = nullptr;     /* padded K: |e_j - centre|^2; infinite beyond K */
  float *length = nullptr;     /* padded K: |e_j - centre|, rounded up */
  float *slack = nullptr;      /* padded K: the part of the error bound that depends on j alone */
  /* For tensor cores: e - centre in int8, in tiles of 128 columns, and what tensor.cuh says. */
  int8_t *e8 = nullptr;        /* padded K x padded d, see int8_at(); 0 beyond K, d */
  float *scale8 = nullptr;     /* padded K */
  float *spread8 = nullptr;    /* padded K */
  float *reach8 = nullptr;     /* padded K */
  float *slack8 = nullptr;     /* padded K */
  /* For neighbour lists: what e8 left over in int8, 1/256 of its scale, and what neighbours.cu says. */
  int8_t *low8 = nullptr;      /* as e8 */
  float4 *terms8 = nullptr;    /* padded K */

  void allocate(int64_t K, int64_t d);
};

/* "No bad row" of the device's counters. */
constexpr unsigned long long kNone = ~0ull;

/* Rebuilds the screening arrays from e. */
void build_screen(const State &state, int64_t K, int64_t d, cudaStream_t stream);

/* Those but centre and screen, with the centre that is there; called by build_screen. */
void build_terms(const State &state, int64_t K, int64_t d, cudaStream_t stream);

/* A device's highest tier; those below it are there too. */
int32_t best_tier(int device);

/* The tier that lookups use: NAS_TIER_SCALAR, NAS_TIER_TENSOR or NAS_TIER_HOPPER. */
int32_t tier_in_use();

/* Makes `next` the codebook's state, and the next call's too: waits for the stream if it has to. */
void commit(nas_codebook *codebook, cudaStream_t stream);

/* What enqueued lookups, updates and swaps need of the workspace; no less for larger ones. */
size_t lookup_bytes(const nas_codebook *codebook, const Reservation &most);
size_t update_bytes(const nas_codebook *codebook, const Reservation &most);
size_t swap_bytes(const nas_codebook *codebook, const Reservation &most);

/* The workspace as the arrays of an enqueued call. */
Arrays reserved_arrays(const nas_codebook *codebook, const Layout &layout);

/* Refuse an enqueued call beyond what was reserved. */
void require_reserved_rows(const nas_codebook *codebook, int32_t type, int64_t rows);
void require_reserved_images(const nas_codebook *codebook, int64_t images, int64_t tokens);

/* Lowers *lowest to the lowest row of x (first_row + row) that holds a non-finite value. */
void find_non_finite(const char *name, const float *x, int64_t rows, int64_t row_stride, int64_t d,
                     unsigned long long *lowest, cudaStream_t stream);

}  // namespace device
}  // namespace nas

struct nas_codebook {
  int64_t K = 0;
  int64_t d = 0;
  int device = 0;
  int multiprocessors = 1;
  int32_t best_tier = NAS_TIER_SCALAR; /* of the device */
  nas::device::State state;
  nas::device::State next; /* built while `state` is still valid; empty until the first change */
  mutable nas::device::BufferCache cache;
  /* Of the enqueued calls; once there is one, `state` stays where it is, for the sake of graphs. */
  nas::device::Buffer workspace;
  nas::Reservation reserved;
};

#endif
