/*
 * The tensor cores' product of a warp, for the screening kernels: mma.sync m16n8k32 in int8, sm_80 and
 * later.
 *
 * With g = lane / 4 and q = lane % 4, a lane holds of a the rows g (registers 0, 2) and g + 8 (1, 3), of
 * b the column g, of each the 4 bytes k = 4 q and on (registers 0, 1 of a, 0 of b) and those 16 later; of
 * c the columns 2 q and 2 q + 1 of the rows g (0, 1) and g + 8 (2, 3) (PTX ISA, "matrix fragments for
 * mma.m16n8k32").
 */
#ifndef NAS_CUDA_FRAGMENTS_CUH
#define NAS_CUDA_FRAGMENTS_CUH

#include <cuda_runtime.h>

#include <cstdint>

namespace nas {
namespace device {

/* c += a b for a warp's fragments: a 16 x 32 by rows, b 32 x 8 by columns, int8; c int32. */
__device__ __forceinline__ void multiply(int (&c)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#if defined(NAS_EMULATION)
  emulation::multiply_int8(c, a, b);
#else
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

}  // namespace device
}  // namespace nas

#endif
