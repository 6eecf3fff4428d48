/*
 * The instructions of compute capability 9.0 that the Hopper lookup uses, one function for each: mbarrier
 * objects, bulk copies, named barriers and warpgroup products; in emulation, their test doubles. To be
 * called only where NAS_HOPPER_CODE is defined.
 */
#ifndef NAS_CUDA_HOPPER_PTX_CUH
#define NAS_CUDA_HOPPER_PTX_CUH

#include <cuda_runtime.h>

#include <cstdint>

/* wgmma exists in code for sm_90a alone. */
#if defined(NAS_EMULATION) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define NAS_HOPPER_CODE 1
#endif

namespace nas {
namespace device {

#if defined(NAS_EMULATION)

using emulation::dynamic_shared;
using emulation::multiply_commit;
using emulation::multiply_fence;
using emulation::named_barrier;
using emulation::shared_address;

inline void barrier_init(uint64_t *barrier, unsigned count) {
  emulation::barrier_init(barrier, count);
}
inline void barrier_init_done() {}
inline void barrier_arrive(uint64_t *barrier) { emulation::barrier_arrive(barrier, 0); }
inline void barrier_expect(uint64_t *barrier, unsigned bytes) {
  emulation::barrier_arrive(barrier, bytes);
}
inline void barrier_wait(uint64_t *barrier, unsigned parity) {
  emulation::barrier_wait(barrier, parity);
}
inline void copy_bulk(void *to, const void *from, unsigned bytes, uint64_t *barrier) {
  emulation::copy_bulk(to, from, bytes, barrier);
}
inline void multiply_async(int (&d)[64], uint64_t a, uint64_t b, bool accumulate) {
  emulation::multiply_async(d, a, b, accumulate);
}
template <int kGroups>
void multiply_wait() {
  emulation::multiply_wait(kGroups);
}
inline void settle(int (&)[64]) {}
template <int kRegisters>
void lower_registers() {}
template <int kRegisters>
void raise_registers() {}

#elif defined(NAS_HOPPER_CODE)

__device__ __forceinline__ char *dynamic_shared() {
  extern __shared__ __align__(16) char nas_dynamic_shared[];
  return nas_dynamic_shared;
}

__device__ __forceinline__ uint32_t shared_address(const void *pointer) {
  return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* `count`: arrivals that end a phase. */
__device__ __forceinline__ void barrier_init(uint64_t *barrier, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count)
               : "memory");
}

/* Makes initialised barriers known to the bulk copies; then the block's threads still have to meet. */
__device__ __forceinline__ void barrier_init_done() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t *barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/* Arrives, and lets the phase wait for `bytes` of bulk copies as well. */
__device__ __forceinline__ void barrier_expect(uint64_t *barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

/* Returns once the phase of that parity has ended; of a new barrier, that of parity 1 has. */
__device__ __forceinline__ void barrier_wait(uint64_t *barrier, unsigned parity) {
  const uint32_t address = shared_address(barrier);
  uint32_t done = 0;
  do {
    asm volatile(
        "{\n"
        ".reg .pred over;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2;\n"
        "selp.u32 %0, 1, 0, over;\n"
        "}"
        : "=r"(done)
        : "r"(address), "r"(parity)
        : "memory");
  } while (done == 0);
}

/* Copies global to shared memory, addresses and size in multiples of 16 bytes; the barrier counts the
 * bytes that have arrived. */
__device__ __forceinline__ void copy_bulk(void *to, const void *from, unsigned bytes,
                                          uint64_t *barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(to)),
      "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

/* A barrier of whole warps, `threads` in all; id 1..15. */
__device__ __forceinline__ void named_barrier(int id, int threads) {
  __syncwarp();
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/* Before the first product that follows any other use of its registers. */
__device__ __forceinline__ void multiply_fence() {
  __syncwarp();
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* d = a b or, if `accumulate`, d += a b for a warpgroup: a 64 x 32, b 128 x 32 (both K-major), int8, by
 * their descriptors; d int32. A lane's d[4 i + 2 h + c] is row 16 (warp % 4) + 8 h + lane / 4, column
 * 8 i + 2 (lane % 4) + c. */
__device__ __forceinline__ void multiply_async(int (&d)[64], uint64_t a, uint64_t b,
                                               bool accumulate) {
  asm volatile(
      "{\n"
      ".reg .pred more;\n"
      "setp.ne.b32 more, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, "
      "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, "
      "%34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, "
      "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, %64, %65, more;\n"
      "}"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]),
        "+r"(d[7]), "+r"(d[8]), "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]),
        "+r"(d[13]), "+r"(d[14]), "+r"(d[15]), "+r"(d[16]), "+r"(d[17]), "+r"(d[18]),
        "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), "+r"(d[23]), "+r"(d[24]),
        "+r"(d[25]), "+r"(d[26]), "+r"(d[27]), "+r"(d[28]), "+r"(d[29]), "+r"(d[30]),
        "+r"(d[31]), "+r"(d[32]), "+r"(d[33]), "+r"(d[34]), "+r"(d[35]), "+r"(d[36]),
        "+r"(d[37]), "+r"(d[38]), "+r"(d[39]), "+r"(d[40]), "+r"(d[41]), "+r"(d[42]),
        "+r"(d[43]), "+r"(d[44]), "+r"(d[45]), "+r"(d[46]), "+r"(d[47]), "+r"(d[48]),
        "+r"(d[49]), "+r"(d[50]), "+r"(d[51]), "+r"(d[52]), "+r"(d[53]), "+r"(d[54]),
        "+r"(d[55]), "+r"(d[56]), "+r"(d[57]), "+r"(d[58]), "+r"(d[59]), "+r"(d[60]),
        "+r"(d[61]), "+r"(d[62]), "+r"(d[63])
      : "l"(a), "l"(b), "r"((int)accumulate));
}

/* Ends a group of products. */
__device__ __forceinline__ void multiply_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Returns when at most kGroups groups of this warp's products are in flight. */
template <int kGroups>
__device__ __forceinline__ void multiply_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
}

/* After the wait for the products of d: keeps the compiler from reading d before it. */
__device__ __forceinline__ void settle(int (&d)[64]) {
#pragma unroll
  for (int i = 0; i < 64; ++i) asm volatile("" : "+r"(d[i])::"memory");
}

/* Sets the registers that a thread of this warpgroup may have; raising waits for others to lower theirs. */
template <int kRegisters>
__device__ __forceinline__ void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#endif

#if defined(NAS_HOPPER_CODE)

/* The descriptor of a K-major operand in shared memory with rows of 128 bytes, swizzled by 128 bytes, from
 * its first 32 columns on; the next 32 columns are at 2 more, the next 8 rows at 64 more. `tile` is on a
 * 1024-byte boundary. Fields: bits 0..13 the address, 32..45 the distance from 8 rows to the next 8, both
 * in units of 16 bytes, 62..63 the swizzling. */
__device__ __forceinline__ uint64_t descriptor(const void *tile) {
  return (uint64_t)((shared_address(tile) & 0x3ffff) >> 4) | (uint64_t)(1024 >> 4) << 32 |
         (uint64_t)1 << 62;
}

#endif

}  // namespace device
}  // namespace nas

#endif
