/* The library itself: failures, device selection, scratch memory, and calls without a codebook. */
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <atomic>
#include <thread>

#include "../common/layouts.h"
#include "../common/philox.h"
#include "support.cuh"

namespace nas {
namespace device {

namespace {

thread_local char last_error[1024];
thread_local char shape[256];

std::atomic<int32_t> threads_setting{0};
/* Not TENSOR or HOPPER, even where they would run: they have not been seen to pass the self-check on a
 * device. */
std::atomic<int32_t> tier_setting{NAS_CUDA_TIER_SCALAR};

/* True for the failures that mean there is nothing to run on, as opposed to a failed operation. */
bool means_no_device(cudaError_t error) {
  return error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
         error == cudaErrorInitializationError || error == cudaErrorDevicesUnavailable ||
         error == cudaErrorStubLibrary || error == cudaErrorSystemNotReady ||
         error == cudaErrorSystemDriverMismatch ||
         error == cudaErrorCompatNotSupportedOnDevice;
}

}  // namespace

namespace {

/* 10 * major + minor of the compute capability; 0 where the device cannot be asked. */
int compute_capability(int device) {
  int major = 0;
  int minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) {
    (void)cudaGetLastError();
    return 0;
  }
  return 10 * major + minor;
}

}  // namespace

int32_t best_tier(int device) {
  const int capability = compute_capability(device);
  /* wgmma is in no other capability, later ones included. */
  return capability == 90   ? NAS_CUDA_TIER_HOPPER
         : capability >= 80 ? NAS_CUDA_TIER_TENSOR
                            : NAS_CUDA_TIER_SCALAR;
}

int32_t tier_in_use() { return tier_setting.load(std::memory_order_relaxed); }

void fail(nas_status status, const char *format, ...) {
  char text[768];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Failure{status, text};
}

void set_shape(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(shape, sizeof shape, format, arguments);
  va_end(arguments);
}

void begin_call() { shape[0] = '\0'; }

nas_status record_failure(const char *function, nas_status status, const char *text) noexcept {
  snprintf(last_error, sizeof last_error, "%s: %s", function, text);
  return status;
}

void check(cudaError_t error, const char *what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();
  const char *text = cudaGetErrorString(error);
  if (means_no_device(error)) fail(NAS_DEVICE_ERROR, "no CUDA device: %s", text);
  const char *open = shape[0] == '\0' ? "" : " (";
  const char *close = shape[0] == '\0' ? "" : ")";
  fail(error == cudaErrorMemoryAllocation ? NAS_DEVICE_OUT_OF_MEMORY : NAS_DEVICE_ERROR,
       "%s%s%s%s: %s", what, open, shape, close, text);
}

int64_t product(int64_t a, int64_t b, const char *what) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    fail(NAS_INVALID_ARGUMENT, "%s, %lld * %lld, does not fit in 64 bits", what, (long long)a,
         (long long)b);
  }
  return result;
}

void require_pointer(const void *pointer, const char *name) {
  if (pointer == nullptr) fail(NAS_INVALID_ARGUMENT, "%s is NULL", name);
}

int device_of(const void *pointer, const char *name) {
  require_pointer(pointer, name);
  const int current = current_device();
  cudaPointerAttributes attributes;
  const cudaError_t error = cudaPointerGetAttributes(&attributes, pointer);
  if (error != cudaSuccess) {
    if (error != cudaErrorInvalidValue) check(error, "a pointer query");
    (void)cudaGetLastError();
  } else if (attributes.type == cudaMemoryTypeDevice) {
    return attributes.device;
  } else if (attributes.type == cudaMemoryTypeManaged) {
    return current;
  }
  fail(NAS_INVALID_ARGUMENT, "%s is not device memory; copy it to a CUDA device first", name);
}

void require_device(const void *pointer, const char *name, int64_t alignment, int device) {
  require_pointer(pointer, name);
  if ((uintptr_t)pointer % (uintptr_t)alignment != 0) {
    fail(NAS_INVALID_ARGUMENT, "%s is not aligned to %lld bytes", name, (long long)alignment);
  }
  cudaPointerAttributes attributes;
  cudaError_t error = cudaPointerGetAttributes(&attributes, pointer);
  bool known = error == cudaSuccess && (attributes.type == cudaMemoryTypeDevice ||
                                        attributes.type == cudaMemoryTypeManaged);
  if (error != cudaSuccess && error != cudaErrorInvalidValue) check(error, "a pointer query");
  if (error != cudaSuccess) (void)cudaGetLastError();
  if (!known) {
    fail(NAS_INVALID_ARGUMENT, "%s is not device memory; copy it to CUDA device %d first", name,
         device);
  }
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != device) {
    fail(NAS_INVALID_ARGUMENT,
         "%s is memory of CUDA device %d, but the codebook lives on CUDA device %d", name,
         attributes.device, device);
  }
}

void require_type(int32_t type) {
  if (type != NAS_FLOAT32 && type != NAS_BFLOAT16 && type != NAS_FLOAT16) {
    fail(NAS_INVALID_ARGUMENT, "type is %d, not 0 (float32), 1 (bfloat16) or 2 (float16)", (int)type);
  }
}

void require_rows(int64_t rows, int64_t row_stride, int64_t width) {
  if (rows < 0) fail(NAS_INVALID_ARGUMENT, "rows is %lld, below 0", (long long)rows);
  if (row_stride < width) {
    fail(NAS_INVALID_ARGUMENT, "row_stride is %lld, below the width %lld", (long long)row_stride,
         (long long)width);
  }
  (void)product(product(rows, row_stride, "rows * row_stride"), (int64_t)sizeof(float),
                "the size of x in bytes");
}

int current_device() {
  int device = 0;
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    (void)cudaGetLastError();
    fail(NAS_DEVICE_ERROR, "no CUDA device: %s", cudaGetErrorString(error));
  }
  if (count == 0) fail(NAS_DEVICE_ERROR, "no CUDA device: the driver reports none");
  check(cudaGetDevice(&device), "the current device");
  return device;
}

DeviceGuard::DeviceGuard(int device) : previous_(device), changed_(false) {
  check(cudaGetDevice(&previous_), "the current device");
  if (previous_ != device) {
    check(cudaSetDevice(device), "the change of the device");
    changed_ = true;
  }
}

DeviceGuard::~DeviceGuard() {
  if (changed_ && cudaSetDevice(previous_) != cudaSuccess) (void)cudaGetLastError();
}

void synchronize(cudaStream_t stream) {
  check(cudaStreamSynchronize(stream), "waiting for the kernels");
}

Buffer &Buffer::operator=(Buffer &&other) noexcept {
  if (this != &other) {
    reset();
    data_ = other.data_;
    bytes_ = other.bytes_;
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  return *this;
}

void Buffer::allocate(size_t bytes) {
  void *data = nullptr;
  cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    size_t available = 0;
    size_t total = 0;
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) (void)cudaGetLastError();
    fail(NAS_DEVICE_OUT_OF_MEMORY,
         "no room for %zu bytes of device memory (%zu of %zu are free)%s%s", bytes, available,
         total, shape[0] == '\0' ? "" : ", for ", shape);
  }
  check(error, "cudaMalloc");
  reset();
  data_ = data;
  bytes_ = bytes;
}

void Buffer::reset() noexcept {
  if (data_ != nullptr && cudaFree(data_) != cudaSuccess) (void)cudaGetLastError();
  data_ = nullptr;
  bytes_ = 0;
}

Buffer BufferCache::take(size_t bytes) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t best = idle_.size();
    for (size_t i = 0; i < idle_.size(); ++i) {
      if (idle_[i].bytes() < bytes) continue;
      if (best == idle_.size() || idle_[i].bytes() < idle_[best].bytes()) best = i;
    }
    if (best < idle_.size()) {
      Buffer found = std::move(idle_[best]);
      idle_.erase(idle_.begin() + (std::ptrdiff_t)best);
      lent_ += found.bytes();
      return found;
    }
  }
  Buffer fresh;
  try {
    fresh.allocate(bytes);
  } catch (const Failure &failure) {
    if (failure.status != NAS_DEVICE_OUT_OF_MEMORY) throw;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      idle_.clear();
    }
    fresh.allocate(bytes);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  lent_ += fresh.bytes();
  return fresh;
}

size_t BufferCache::bytes() {
  std::lock_guard<std::mutex> lock(mutex_);
  size_t all = lent_;
  for (const Buffer &buffer : idle_) all += buffer.bytes();
  return all;
}

void BufferCache::give(Buffer buffer) noexcept {
  constexpr size_t kMost = 4;
  try {
    std::lock_guard<std::mutex> lock(mutex_);
    lent_ -= buffer.bytes();
    idle_.push_back(std::move(buffer));
    if (idle_.size() <= kMost) return;
    size_t smallest = 0;
    for (size_t i = 1; i < idle_.size(); ++i) {
      if (idle_[i].bytes() < idle_[smallest].bytes()) smallest = i;
    }
    idle_.erase(idle_.begin() + (std::ptrdiff_t)smallest);
  } catch (...) {
    /* The buffer frees itself. */
  }
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

int32_t nas_abi_version(void) { return NAS_ABI_VERSION; }

const char *nas_last_error(void) { return nas::device::last_error; }

nas_status nas_describe(char *buffer, int64_t capacity) {
  return call("nas_describe", [&] {
    require_pointer(buffer, "buffer");
    if (capacity < 1) {
      fail(NAS_INVALID_ARGUMENT, "capacity is %lld, below 1", (long long)capacity);
    }
    int device = current_device();
    int driver = 0;
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "the device's properties");
    check(cudaDriverGetVersion(&driver), "the driver's version");
    const int32_t tier = tier_in_use();
    const char *lookup = tier == NAS_CUDA_TIER_HOPPER   ? "int8 by wgmma, not verified"
                         : tier == NAS_CUDA_TIER_TENSOR ? "int8 on tensor cores, not verified"
                                                        : "float32";
    snprintf(buffer, (size_t)capacity, "cuda %s sm_%d%d, driver %d.%d, lookup in %s",
             properties.name, properties.major, properties.minor, driver / 1000,
             driver % 1000 / 10, lookup);
  });
}

nas_status nas_layouts(char *buffer, int64_t capacity) {
  return call("nas_layouts", [&] {
    require_pointer(buffer, "buffer");
    if (capacity < 1 || !nas::write_layouts(buffer, (size_t)capacity)) {
      fail(NAS_INVALID_ARGUMENT, "capacity is %lld, too small; 4096 is enough", (long long)capacity);
    }
  });
}

int32_t nas_best_tier(void) {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) {
    (void)cudaGetLastError();
    return NAS_CUDA_TIER_SCALAR;
  }
  return best_tier(device);
}

int32_t nas_has_tier(int32_t tier) {
  return tier >= NAS_CUDA_TIER_SCALAR && tier <= nas_best_tier() ? 1 : 0;
}

int32_t nas_tier(void) { return tier_in_use(); }

nas_status nas_set_tier(int32_t tier) {
  return call("nas_set_tier", [&] {
    if (tier != NAS_CUDA_TIER_SCALAR && tier != NAS_CUDA_TIER_TENSOR && tier != NAS_CUDA_TIER_HOPPER) {
      fail(NAS_INVALID_ARGUMENT,
           "tier is %d; the CUDA library has NAS_CUDA_TIER_SCALAR (0), NAS_CUDA_TIER_TENSOR (%d) and "
           "NAS_CUDA_TIER_HOPPER (%d)",
           tier, NAS_CUDA_TIER_TENSOR, NAS_CUDA_TIER_HOPPER);
    }
    if (tier > nas_best_tier()) {
      fail(NAS_INVALID_ARGUMENT, "tier is %d (%s), which needs a device of compute capability %s",
           tier, tier == NAS_CUDA_TIER_HOPPER ? "NAS_CUDA_TIER_HOPPER" : "NAS_CUDA_TIER_TENSOR",
           tier == NAS_CUDA_TIER_HOPPER ? "9.0" : "8.0 or higher");
    }
    tier_setting.store(tier, std::memory_order_relaxed);
  });
}

int32_t nas_threads(void) {
  int32_t setting = threads_setting.load();
  if (setting > 0) return setting;
  unsigned processors = std::thread::hardware_concurrency();
  return processors < 1 ? 1 : processors > NAS_MAX_THREADS ? NAS_MAX_THREADS : (int32_t)processors;
}

nas_status nas_set_threads(int32_t threads) {
  return call("nas_set_threads", [&] {
    if (threads < 1 || threads > NAS_MAX_THREADS) {
      fail(NAS_INVALID_ARGUMENT, "threads is %d, outside 1..%d", threads, NAS_MAX_THREADS);
    }
    threads_setting.store(threads);
  });
}

void nas_philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  nas::philox4x32(key[0], key[1], counter, out);
}

}  // extern "C"
