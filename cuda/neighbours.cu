/*
 * Neighbour lists. A block per code computes the distances to W codes at a time, eight threads a
 * pair, one per lane of the canonical distance, and merges them into the W best so far by a bitonic
 * sort of 2W (distance, index) pairs; W is R rounded up to a power of two. Bound by float64
 * arithmetic, K*K*d terms; a merge is left out where nothing improves the R-th entry.
 */
#include <climits>

#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kThreads = 256;
constexpr int kMostNeighbours = 1024;
constexpr int kLeastWidth = 128;
constexpr unsigned kAllLanes = 0xffffffffu;

__global__ void __launch_bounds__(kThreads)
    neighbours_kernel(const float *e, int64_t K, int64_t d, int R, int W, const uint8_t *live,
                      int32_t *out) {
  __shared__ float own[NAS_MAX_WIDTH];
  __shared__ unsigned long long distances[2 * kMostNeighbours]; /* bits; kNone: no entry */
  __shared__ int32_t codes[2 * kMostNeighbours];

  const int thread = (int)threadIdx.x;
  const int lane = thread % kLanes;
  const int64_t j = blockIdx.x;
  for (int t = thread; t < d; t += kThreads) own[t] = e[j * d + t];
  for (int i = thread; i < W; i += kThreads) {
    distances[i] = kNone;
    codes[i] = INT_MAX;
  }
  __syncthreads();

  for (int64_t first = 0; first < K; first += W) {
    for (int base = 0; base < W; base += kThreads / kLanes) {
      const int i = base + thread / kLanes;
      const int64_t l = first + i;
      const bool listed = l < K && l != j && (live == nullptr || live[l] != 0);
      double a = 0.0;
      if (listed) {
#pragma unroll 4
        for (int64_t t = lane; t < d; t += kLanes) {
          a = add64(a, squared_difference(own[t], e[l * d + t]));
        }
      }
      a = add64(a, __shfl_xor_sync(kAllLanes, a, 4));
      a = add64(a, __shfl_xor_sync(kAllLanes, a, 2));
      a = add64(a, __shfl_xor_sync(kAllLanes, a, 1));
      if (lane == 0) {
        distances[W + i] = listed ? (unsigned long long)__double_as_longlong(a) : kNone;
        codes[W + i] = listed ? (int32_t)l : INT_MAX;
      }
    }
    __syncthreads();

    /* Ties go to the entry already held, whose index is lower. */
    bool better = false;
    for (int i = thread; i < W; i += kThreads) {
      better = better || distances[W + i] < distances[R - 1];
    }
    if (__syncthreads_or(better ? 1 : 0) == 0) continue;

    for (int run = 2; run <= 2 * W; run *= 2) {
      for (int step = run / 2; step > 0; step /= 2) {
        for (int i = thread; i < W; i += kThreads) {
          const int low = 2 * step * (i / step) + i % step;
          const int high = low + step;
          const bool ascending = (low & run) == 0;
          const unsigned long long a = distances[low];
          const unsigned long long b = distances[high];
          const int32_t p = codes[low];
          const int32_t q = codes[high];
          const bool swapped = b < a || (b == a && q < p);
          if (swapped == ascending) {
            distances[low] = b;
            distances[high] = a;
            codes[low] = q;
            codes[high] = p;
          }
        }
        __syncthreads();
      }
    }
  }

  for (int r = thread; r < R; r += kThreads) {
    out[j * R + r] = distances[r] == kNone ? -1 : codes[r];
  }
}

}  // namespace

void load_neighbours_kernels() { load(neighbours_kernel); }

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" nas_status nas_neighbours(const nas_codebook *codebook, int64_t R, const uint8_t *live,
                                     int32_t *out, void *stream) {
  return call("nas_neighbours", [&] {
    require_pointer(codebook, "codebook");
    if (R < 1 || R > kMostNeighbours) {
      fail(NAS_INVALID_ARGUMENT, "R is %lld, outside 1..%d", (long long)R, kMostNeighbours);
    }
    const int64_t K = codebook->K;
    set_shape("K %lld, d %lld, R %lld", (long long)K, (long long)codebook->d, (long long)R);
    DeviceGuard guard(codebook->device);
    if (live != nullptr) require_device(live, "live", 1, codebook->device);
    require_device(out, "out", 4, codebook->device);
    int W = kLeastWidth;
    while (W < R) W *= 2;
    launch("neighbours", neighbours_kernel, dim3((unsigned)K), dim3(kThreads),
           (cudaStream_t)stream, (const float *)codebook->state.e, K, codebook->d, (int)R, W, live,
           out);
  });
}
