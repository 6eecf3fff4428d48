/* The codebook: life, reading and writing, restarts, and the arrays of the lookup's screening. */
#include <cmath>

#include "support.cuh"

namespace nas {
namespace device {

namespace {

constexpr int kThreads = 256; /* of a block with a thread for an element */
constexpr int kWarpsPerBlock = 8;

__global__ void __launch_bounds__(kWarp *kWarpsPerBlock)
    find_non_finite_kernel(const float *x, int64_t rows, int64_t row_stride, int64_t d,
                           unsigned long long *lowest) {
  int64_t warps = (int64_t)gridDim.x * kWarpsPerBlock;
  int lane = (int)threadIdx.x % kWarp;
  for (int64_t row = (int64_t)blockIdx.x * kWarpsPerBlock + threadIdx.x / kWarp; row < rows;
       row += warps) {
    bool bad = false;
    for (int64_t t = lane; t < d; t += kWarp) bad = bad || !is_finite(x[row * row_stride + t]);
    if (bad) atomicMin(lowest, (unsigned long long)row);
  }
}

/* lowest[0]: the lowest index of a non-finite value; lowest[1]: of a negative one. */
__global__ void check_counts_kernel(const double *n, int64_t K, unsigned long long *lowest) {
  int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= K) return;
  if (!is_finite(n[j])) {
    atomicMin(&lowest[0], (unsigned long long)j);
  } else if (n[j] < 0.0) {
    atomicMin(&lowest[1], (unsigned long long)j);
  }
}

/* *lowest: the lowest code whose counter is negative. */
__global__ void check_dead_steps_kernel(const int32_t *dead_steps, int64_t K,
                                        unsigned long long *lowest) {
  int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j < K && dead_steps[j] < 0) atomicMin(lowest, (unsigned long long)j);
}

__global__ void fill_ones_kernel(double *n, int64_t K) {
  int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (j < K) n[j] = 1.0;
}

/* A block of 32 columns x kSlices slices of rows. */
constexpr int kSlices = 32;
__global__ void __launch_bounds__(32 * kSlices)
    centre_kernel(const float *e, int64_t K, int64_t d, int64_t padded_d, float *centre) {
  __shared__ double partial[kSlices][32];
  int64_t t = (int64_t)blockIdx.x * 32 + threadIdx.x;
  double sum = 0.0;
  if (t < d) {
#pragma unroll 8
    for (int64_t j = threadIdx.y; j < K; j += kSlices) sum += (double)e[j * d + t];
  }
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || t >= padded_d) return;
  for (int slice = 1; slice < kSlices; ++slice) sum += partial[slice][threadIdx.x];
  centre[t] = (float)(sum / (double)K);
}

/* Transposes 32 x 32 elements per block of 32 x 8 threads. */
__global__ void __launch_bounds__(kThreads)
    transpose_kernel(const float *e, const float *centre, int64_t K, int64_t d, int64_t padded_K,
                     int64_t padded_d, float *screen) {
  __shared__ float tile[32][33];
  int64_t first_code = (int64_t)blockIdx.x * 32;
  int64_t first_column = (int64_t)blockIdx.y * 32;
  for (int i = (int)threadIdx.y; i < 32; i += 8) {
    int64_t j = first_code + i;
    int64_t t = first_column + threadIdx.x;
    tile[i][threadIdx.x] = j < K && t < d ? sub32(e[j * d + t], centre[t]) : 0.0f;
  }
  __syncthreads();
  for (int i = (int)threadIdx.y; i < 32; i += 8) {
    int64_t t = first_column + i;
    int64_t j = first_code + threadIdx.x;
    if (t < padded_d && j < padded_K) screen[t * padded_K + j] = tile[threadIdx.x][i];
  }
}

/* winner[j] = the last i with codes[i] = j; lowest: the lowest i whose code is out of range. */
__global__ void find_winners_kernel(const int32_t *codes, int64_t count, int64_t K,
                                    long long *winner, unsigned long long *lowest) {
  int64_t stride = (int64_t)gridDim.x * blockDim.x;
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
    int32_t code = codes[i];
    if (code < 0 || code >= K) {
      atomicMin(lowest, (unsigned long long)i);
    } else {
      atomicMax(&winner[code], (long long)i);
    }
  }
}

/* One block per code. */
__global__ void restart_kernel(const float *vectors, const long long *winner, int64_t d, float *e,
                               float *m, double *n, int32_t *dead) {
  int64_t j = blockIdx.x;
  long long i = winner[j];
  if (i < 0) return;
  for (int64_t t = threadIdx.x; t < d; t += blockDim.x) {
    float value = vectors[i * d + t];
    e[j * d + t] = value;
    m[j * d + t] = value;
  }
  if (threadIdx.x == 0) {
    n[j] = 1.0;
    dead[j] = 0;
  }
}

void copy_state(const State &to, const State &from, int64_t K, int64_t d, cudaStream_t stream) {
  copy(to.e, from.e, K * d, stream);
  copy(to.m, from.m, K * d, stream);
  copy(to.n, from.n, K, stream);
  copy(to.dead, from.dead, K, stream);
}

}  // namespace

void State::allocate(int64_t K, int64_t d) {
  int64_t padded_K = round_up(K, kTileCodes);
  int64_t padded_d = round_up(d, kTileDepth);
  Layout layout;
  size_t e_at = layout.add<float>(K * d);
  size_t m_at = layout.add<float>(K * d);
  size_t n_at = layout.add<double>(K);
  size_t dead_at = layout.add<int32_t>(K);
  own_bytes = layout.bytes();
  size_t centre_at = layout.add<float>(padded_d);
  size_t screen_at = layout.add<float>(padded_d * padded_K);
  size_t square_at = layout.add<float>(padded_K);
  size_t length_at = layout.add<float>(padded_K);
  size_t slack_at = layout.add<float>(padded_K);
  size_t e8_at = layout.add<int8_t>(padded_K * round_up(d, kInt8Columns));
  size_t scale8_at = layout.add<float>(padded_K);
  size_t spread8_at = layout.add<float>(padded_K);
  size_t reach8_at = layout.add<float>(padded_K);
  size_t slack8_at = layout.add<float>(padded_K);
  size_t low8_at = layout.add<int8_t>(padded_K * round_up(d, kInt8Columns));
  size_t terms8_at = layout.add<float4>(padded_K);
  memory.allocate(layout.bytes());
  char *base = (char *)memory.data();
  e = (float *)(base + e_at);
  m = (float *)(base + m_at);
  n = (double *)(base + n_at);
  dead = (int32_t *)(base + dead_at);
  centre = (float *)(base + centre_at);
  screen = (float *)(base + screen_at);
  square = (float *)(base + square_at);
  length = (float *)(base + length_at);
  slack = (float *)(base + slack_at);
  e8 = (int8_t *)(base + e8_at);
  scale8 = (float *)(base + scale8_at);
  spread8 = (float *)(base + spread8_at);
  reach8 = (float *)(base + reach8_at);
  slack8 = (float *)(base + slack8_at);
  low8 = (int8_t *)(base + low8_at);
  terms8 = (float4 *)(base + terms8_at);
}

void build_screen(const State &state, int64_t K, int64_t d, cudaStream_t stream) {
  int64_t padded_K = round_up(K, kTileCodes);
  int64_t padded_d = round_up(d, kTileDepth);
  launch("centre", centre_kernel, dim3(blocks_for(padded_d, 32)), dim3(32, kSlices), stream,
         state.e, K, d, padded_d, state.centre);
  launch("transpose", transpose_kernel, dim3(blocks_for(padded_K, 32), blocks_for(padded_d, 32)),
         dim3(32, 8), stream, state.e, state.centre, K, d, padded_K, padded_d, state.screen);
  build_terms(state, K, d, stream);
}

void load_codebook_kernels() {
  load(centre_kernel);
  load(transpose_kernel);
}

void commit(nas_codebook *codebook, cudaStream_t stream) {
  if (codebook->workspace.data() == nullptr) {
    std::swap(codebook->state, codebook->next);
    return;
  }
  copy((char *)codebook->state.memory.data(), (const char *)codebook->next.memory.data(),
       (int64_t)codebook->state.memory.bytes(), stream);
  synchronize(stream);
}

void find_non_finite(const char *name, const float *x, int64_t rows, int64_t row_stride, int64_t d,
                     unsigned long long *lowest, cudaStream_t stream) {
  launch(name, find_non_finite_kernel, dim3(blocks_for(rows, kWarpsPerBlock, kMostBlocks)),
         dim3(kWarp * kWarpsPerBlock), stream, x, rows, row_stride, d, lowest);
}

}  // namespace device
}  // namespace nas

using namespace nas::device;

extern "C" {

nas_status nas_codebook_create(const float *codewords, int64_t K, int64_t d, int64_t *bad_row,
                               void *stream, nas_codebook **codebook) {
  return call("nas_codebook_create", [&] {
    if (bad_row != nullptr) *bad_row = -1;
    require_pointer(codebook, "codebook");
    if (K < 1 || K > NAS_MAX_CODEWORDS) {
      fail(NAS_INVALID_ARGUMENT, "K is %lld, outside 1..%d", (long long)K, NAS_MAX_CODEWORDS);
    }
    if (d < 1 || d > NAS_MAX_WIDTH) {
      fail(NAS_INVALID_ARGUMENT, "d is %lld, outside 1..%d", (long long)d, NAS_MAX_WIDTH);
    }
    require_pointer(codewords, "codewords");
    set_shape("K %lld, d %lld", (long long)K, (long long)d);
    const int device = device_of(codewords, "codewords");
    require_device(codewords, "codewords", 4, device);
    DeviceGuard guard(device);
    cudaStream_t on = (cudaStream_t)stream;

    struct Owner {
      nas_codebook *held = new nas_codebook;
      ~Owner() { delete held; }
    } owner;
    nas_codebook *made = owner.held;
    made->K = K;
    made->d = d;
    made->device = device;
    check(cudaDeviceGetAttribute(&made->multiprocessors, cudaDevAttrMultiProcessorCount, device),
          "a query of the device");
    made->best_tier = best_tier(device);
    made->state.allocate(K, d);

    unsigned long long bad = kNone;
    {
      Layout layout;
      size_t lowest_at = layout.add<unsigned long long>(1);
      Scratch scratch(made->cache, layout, on);
      unsigned long long *lowest = scratch.at<unsigned long long>(lowest_at);
      fill_bytes(lowest, 0xff, 1, on);
      find_non_finite("find_non_finite", codewords, K, d, d, lowest, on);
      copy(made->state.e, codewords, K * d, on);
      copy(made->state.m, codewords, K * d, on);
      launch("fill_ones", fill_ones_kernel, dim3(blocks_for(K, kThreads)), dim3(kThreads), on,
             made->state.n, K);
      fill_bytes(made->state.dead, 0, K, on);
      build_screen(made->state, K, d, on);
      fetch(&bad, lowest, 1, on);
    }
    if (bad != kNone) {
      if (bad_row != nullptr) *bad_row = (int64_t)bad;
      fail(NAS_NON_FINITE, "codeword %llu holds a NaN or an infinity", bad);
    }
    *codebook = made;
    owner.held = nullptr;
  });
}

nas_status nas_codebook_close(nas_codebook *codebook) {
  return call("nas_codebook_close", [&] {
    if (codebook == nullptr) return;
    DeviceGuard guard(codebook->device);
    delete codebook;
  });
}

nas_status nas_codebook_shape(const nas_codebook *codebook, int64_t *K, int64_t *d) {
  return call("nas_codebook_shape", [&] {
    require_pointer(codebook, "codebook");
    require_pointer(K, "K");
    require_pointer(d, "d");
    *K = codebook->K;
    *d = codebook->d;
  });
}

nas_status nas_codebook_read(const nas_codebook *codebook, float *codewords, double *n, float *m,
                             int32_t *dead_steps, void *stream) {
  return call("nas_codebook_read", [&] {
    require_pointer(codebook, "codebook");
    int64_t K = codebook->K;
    int64_t d = codebook->d;
    set_shape("K %lld, d %lld", (long long)K, (long long)d);
    DeviceGuard guard(codebook->device);
    if (codewords != nullptr) require_device(codewords, "codewords", 4, codebook->device);
    if (n != nullptr) require_device(n, "n", 8, codebook->device);
    if (m != nullptr) require_device(m, "m", 4, codebook->device);
    if (dead_steps != nullptr) require_device(dead_steps, "dead_steps", 4, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    if (codewords != nullptr) copy(codewords, (const float *)codebook->state.e, K * d, on);
    if (n != nullptr) copy(n, (const double *)codebook->state.n, K, on);
    if (m != nullptr) copy(m, (const float *)codebook->state.m, K * d, on);
    if (dead_steps != nullptr) copy(dead_steps, (const int32_t *)codebook->state.dead, K, on);
  });
}

nas_status nas_codebook_write(nas_codebook *codebook, const float *codewords, const double *n,
                              const float *m, const int32_t *dead_steps, void *stream) {
  return call("nas_codebook_write", [&] {
    require_pointer(codebook, "codebook");
    int64_t K = codebook->K;
    int64_t d = codebook->d;
    set_shape("K %lld, d %lld", (long long)K, (long long)d);
    DeviceGuard guard(codebook->device);
    if (codewords != nullptr) require_device(codewords, "codewords", 4, codebook->device);
    if (n != nullptr) require_device(n, "n", 8, codebook->device);
    if (m != nullptr) require_device(m, "m", 4, codebook->device);
    if (dead_steps != nullptr) require_device(dead_steps, "dead_steps", 4, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    if (codebook->next.memory.data() == nullptr) codebook->next.allocate(K, d);
    const State &next = codebook->next;

    unsigned long long found[5];
    {
      Layout layout;
      size_t lowest_at = layout.add<unsigned long long>(5);
      Scratch scratch(codebook->cache, layout, on);
      unsigned long long *lowest = scratch.at<unsigned long long>(lowest_at);
      fill_bytes(lowest, 0xff, 5, on);
      copy_state(next, codebook->state, K, d, on);
      if (codewords != nullptr) {
        find_non_finite("find_non_finite", codewords, K, d, d, &lowest[0], on);
        copy(next.e, codewords, K * d, on);
      }
      if (n != nullptr) {
        launch("check_counts", check_counts_kernel, dim3(blocks_for(K, kThreads)), dim3(kThreads), on, n, K,
               &lowest[1]);
        copy(next.n, n, K, on);
      }
      if (m != nullptr) {
        find_non_finite("find_non_finite", m, K, d, d, &lowest[3], on);
        copy(next.m, m, K * d, on);
      }
      if (dead_steps != nullptr) {
        launch("check_dead_steps", check_dead_steps_kernel, dim3(blocks_for(K, kThreads)), dim3(kThreads),
               on, dead_steps, K, &lowest[4]);
        copy(next.dead, dead_steps, K, on);
      }
      build_screen(next, K, d, on);
      fetch(found, lowest, 5, on);
    }
    if (found[0] != kNone) {
      fail(NAS_NON_FINITE, "codeword %llu holds a NaN or an infinity", found[0]);
    }
    if (found[1] < found[2]) fail(NAS_NON_FINITE, "n of code %llu is not finite", found[1]);
    if (found[2] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "n of code %llu is %g, below 0", found[2],
           value_at(n, found[2], on));
    }
    if (found[3] != kNone) {
      fail(NAS_NON_FINITE, "m of code %llu holds a NaN or an infinity", found[3]);
    }
    if (found[4] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "dead_steps of code %llu is %d, below 0", found[4],
           value_at(dead_steps, found[4], on));
    }
    commit(codebook, on);
  });
}

nas_status nas_restart(nas_codebook *codebook, const int32_t *codes, const float *vectors,
                       int64_t count, void *stream) {
  return call("nas_restart", [&] {
    require_pointer(codebook, "codebook");
    int64_t K = codebook->K;
    int64_t d = codebook->d;
    if (count < 0) fail(NAS_INVALID_ARGUMENT, "count is %lld, below 0", (long long)count);
    (void)product(product(count, d, "count * d"), (int64_t)sizeof(float),
                  "the size of vectors in bytes");
    if (count == 0) return;
    set_shape("count %lld, K %lld, d %lld", (long long)count, (long long)K, (long long)d);
    DeviceGuard guard(codebook->device);
    require_device(codes, "codes", 4, codebook->device);
    require_device(vectors, "vectors", 4, codebook->device);
    cudaStream_t on = (cudaStream_t)stream;
    if (codebook->next.memory.data() == nullptr) codebook->next.allocate(K, d);
    const State &next = codebook->next;

    unsigned long long found[2];
    {
      Layout layout;
      size_t lowest_at = layout.add<unsigned long long>(2);
      size_t winner_at = layout.add<long long>(K);
      Scratch scratch(codebook->cache, layout, on);
      unsigned long long *lowest = scratch.at<unsigned long long>(lowest_at);
      long long *winner = scratch.at<long long>(winner_at);
      fill_bytes(lowest, 0xff, 2, on);
      fill_bytes(winner, 0xff, K, on);
      find_non_finite("find_non_finite", vectors, count, d, d, &lowest[1], on);
      launch("find_winners", find_winners_kernel, dim3(blocks_for(count, kThreads, kMostBlocks)), dim3(kThreads),
             on, codes, count, K, winner, &lowest[0]);
      copy_state(next, codebook->state, K, d, on);
      launch("restart", restart_kernel, dim3((unsigned)K), dim3(128), on, vectors,
             (const long long *)winner, d, next.e, next.m, next.n, next.dead);
      build_screen(next, K, d, on);
      fetch(found, lowest, 2, on);
    }
    if (found[0] != kNone) {
      fail(NAS_INVALID_ARGUMENT, "codes[%llu] is %d, outside 0..%lld", found[0],
           value_at(codes, found[0], on), (long long)(K - 1));
    }
    if (found[1] != kNone) {
      fail(NAS_NON_FINITE, "vector %llu holds a NaN or an infinity", found[1]);
    }
    commit(codebook, on);
  });
}

}  // extern "C"
