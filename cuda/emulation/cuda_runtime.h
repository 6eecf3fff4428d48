/*
 * The part of CUDA that the kernels use, run on the host: a test double of cuda_runtime.h, so that
 * the kernels' logic and arithmetic can be checked where there is no device.
 *
 * A block's threads are fibers of one operating-system thread, resumed in a shuffled order, and a
 * barrier or a shuffle gives way to the others. Device memory is unreadable outside of kernels and
 * copies, is filled with a pattern, and ends at a guard page. There are two devices: a kernel cannot
 * touch the other one's memory, and a stream takes work only while its device is current. While a
 * stream is captured what it is given is recorded, not run, and what may not be captured fails, in any
 * thread (cudaStreamCaptureModeGlobal). Asynchronous copies arrive late, and asynchronous products
 * are computed as late as may be. What this cannot show: races between
 * threads that run truly at the same time, device limits, the compiler's device code, and speed.
 */
#ifndef NAS_CUDA_EMULATION_H
#define NAS_CUDA_EMULATION_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define NAS_EMULATION 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __shared__ static thread_local

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(16) float4 {
  float x, y, z, w;
};

struct alignas(8) uint2 {
  unsigned x, y;
};

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

/* ---------------------------------------------------------------- the runtime's interface */

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInitializationError = 3,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorStubLibrary = 34,
  cudaErrorInsufficientDriver = 35,
  cudaErrorDevicesUnavailable = 46,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorSystemNotReady = 802,
  cudaErrorSystemDriverMismatch = 803,
  cudaErrorCompatNotSupportedOnDevice = 804,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureImplicit = 906
};

enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost, cudaMemoryTypeDevice,
                      cudaMemoryTypeManaged };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};

struct cudaDeviceProp {
  char name[256];
  int major, minor;
};

using cudaStream_t = struct EmulatedStream *;
using cudaGraph_t = struct EmulatedGraph *;
using cudaGraphExec_t = struct EmulatedGraph *;
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal = 0 };

cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer);
cudaError_t cudaMalloc(void **pointer, size_t bytes);
cudaError_t cudaFree(void *pointer);
cudaError_t cudaMemGetInfo(size_t *available, size_t *total);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace emulation {

/* `shared`: bytes of dynamic shared memory; more than 48 KiB only where allow_shared() was called for
 * the kernel, which `identity` stands for. */
cudaError_t launch(const char *name, dim3 grid, dim3 block, cudaStream_t stream,
                   const std::function<void()> &kernel, const void *identity = nullptr,
                   size_t shared = 0);
cudaError_t allow_shared(const void *identity, int bytes);

/* Returns when all threads of the block have come to a barrier; the OR of their values. */
int block_barrier(int value);

/* Exchanges 8 bytes with the lane whose number differs by `mask` in the bits set. */
uint64_t exchange(unsigned lanes, uint64_t value, int mask);

/* The 8 bytes of another lane of the warp. */
uint64_t from_lane(unsigned lanes, uint64_t value, int lane);

/* A bit for each lane of the warp that has the same 8 bytes. */
unsigned match(unsigned lanes, uint64_t value);

/* A bit for each lane of the warp whose value is not 0. */
unsigned ballot(unsigned lanes, int value);

/* What a warp's mma.sync.m16n8k32.row.col.s32.s8.s8.s32 adds to this lane's part of c (PTX ISA, "matrix
 * fragments for mma.m16n8k32"). */
void multiply_int8(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

/* Dynamic shared memory of the block, on a 16-byte boundary and no better one. */
char *dynamic_shared();

/* The address that instructions see of a place in dynamic shared memory. */
uint32_t shared_address(const void *pointer);

/* mbarrier objects: init, arrive (after expect_tx of `bytes`), and try_wait.parity until it is true. */
void barrier_init(uint64_t *barrier, unsigned count);
void barrier_arrive(uint64_t *barrier, unsigned bytes);
void barrier_wait(uint64_t *barrier, unsigned parity);

/* cp.async.bulk to shared memory: the bytes are there, and counted by the barrier, at a random later
 * moment. Until then the destination holds a pattern. */
void copy_bulk(void *to, const void *from, unsigned bytes, uint64_t *barrier);

/* cp.async of `bytes` to shared memory, of which `real` are copied and the rest are zeros; commit_group;
 * wait_group; wait_all. The copies are made in the waits, at the last moment allowed; until then the
 * destination holds a pattern. */
void copy_ahead(void *to, const void *from, unsigned bytes, unsigned real);
void end_copies();
void wait_ahead(int groups);
void wait_copies();

/* bar.sync id, threads */
void named_barrier(int id, int threads);

/* wgmma.fence; wgmma.mma_async m64n128k32.s32.s8.s8 with both operands in shared memory; commit_group;
 * wait_group. The operands must have arrived when a product is issued, and are read at the last moment
 * allowed, in wait_group. */
void multiply_fence();
void multiply_async(int (&d)[64], uint64_t a, uint64_t b, bool accumulate);
void multiply_commit();
void multiply_wait(int groups);

template <class To, class From>
To reinterpret(From value) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}

}  // namespace emulation

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute, int value) {
  return emulation::allow_shared((const void *)kernel, value);
}

struct cudaFuncAttributes {};
template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *, Kernel *) {
  return cudaSuccess;
}

/* ---------------------------------------------------------------- what kernels call */

inline void __syncthreads() { (void)emulation::block_barrier(0); }
inline int __syncthreads_or(int value) { return emulation::block_barrier(value); }

inline void __syncwarp() { (void)emulation::exchange(0xffffffffu, 0, 0); }

inline double __shfl_xor_sync(unsigned lanes, double value, int mask) {
  uint64_t bits = emulation::exchange(lanes, emulation::reinterpret<uint64_t>(value), mask);
  return emulation::reinterpret<double>(bits);
}

inline float __shfl_xor_sync(unsigned lanes, float value, int mask) {
  uint64_t bits = emulation::exchange(lanes, emulation::reinterpret<uint32_t>(value), mask);
  return emulation::reinterpret<float>((uint32_t)bits);
}

inline unsigned __shfl_sync(unsigned lanes, unsigned value, int lane) {
  return (unsigned)emulation::from_lane(lanes, value, lane);
}
inline int __shfl_sync(unsigned lanes, int value, int lane) {
  return (int)(unsigned)emulation::from_lane(lanes, (unsigned)value, lane);
}
inline double __shfl_sync(unsigned lanes, double value, int lane) {
  const uint64_t bits = emulation::from_lane(lanes, emulation::reinterpret<uint64_t>(value), lane);
  return emulation::reinterpret<double>(bits);
}
inline unsigned __match_any_sync(unsigned lanes, unsigned value) {
  return emulation::match(lanes, value);
}
inline unsigned __reduce_add_sync(unsigned lanes, unsigned value) {
  for (int mask = 16; mask > 0; mask /= 2) value += (unsigned)emulation::exchange(lanes, value, mask);
  return value;
}
inline unsigned __ballot_sync(unsigned lanes, int value) { return emulation::ballot(lanes, value); }

template <class T>
T __ldcs(const T *address) {
  return *address;
}

template <class T>
void __stcs(T *address, T value) {
  *address = value;
}

template <class T>
T atomicMin(T *address, T value) {
  T old = *address;
  if (value < old) *address = value;
  return old;
}

template <class T>
T atomicMax(T *address, T value) {
  T old = *address;
  if (old < value) *address = value;
  return old;
}

inline int atomicAdd(int *address, int value) {
  int old = *address;
  *address += value;
  return old;
}

inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long value) {
  const unsigned long long old = *address;
  *address += value;
  return old;
}

inline unsigned atomicOr(unsigned *address, unsigned value) {
  unsigned old = *address;
  *address |= value;
  return old;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline float __int_as_float(int value) { return emulation::reinterpret<float>(value); }
inline int __float_as_int(float value) { return emulation::reinterpret<int>(value); }
inline long long __double_as_longlong(double value) {
  return emulation::reinterpret<long long>(value);
}
inline double __longlong_as_double(long long value) {
  return emulation::reinterpret<double>(value);
}
inline float __fmaf_rn(float a, float b, float c) { return std::fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __double2float_ru(double value) {
  float result = (float)value;
  return (double)result < value ? std::nextafter(result, INFINITY) : result;
}

#endif
