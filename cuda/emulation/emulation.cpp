/* Fibers, barriers and guarded memory behind emulation/cuda_runtime.h. */
#include "cuda_runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

/* `capture` is what is recorded at the moment, or NULL; `broken` if something may not be. */
struct EmulatedStream {
  int device;
  EmulatedGraph *capture;
  bool broken;
};

struct EmulatedGraph {
  std::vector<std::function<void()>> nodes;
};

namespace {

/* ---------------------------------------------------------------- device memory */

struct Block {
  char *base;      /* of the mapping, the guard page included */
  size_t mapped;   /* bytes of the mapping */
  size_t usable;   /* bytes of the mapping before the guard page */
  size_t bytes;    /* asked for */
  int device;
};

constexpr int kDevices = 2;
thread_local int current_device = 0;

constexpr unsigned char kPattern = 0x7b;
constexpr size_t kTotalMemory = (size_t)8 << 30;

std::recursive_mutex memory_mutex;
std::map<char *, Block> blocks; /* by the pointer handed out */
size_t used_memory = 0;
int open_depth = 0;

void protect_all(int protection, int device) {
  for (auto &entry : blocks) {
    if (device >= 0 && entry.second.device != device) continue;
    mprotect(entry.second.base, entry.second.usable, protection);
  }
}

/* Memory of a device, or of all (-1), is readable and writable while one of these lives. */
class OpenMemory {
 public:
  explicit OpenMemory(int device = -1) : device_(device) {
    memory_mutex.lock();
    if (open_depth++ == 0) protect_all(PROT_READ | PROT_WRITE, device_);
  }
  ~OpenMemory() {
    if (--open_depth == 0) protect_all(PROT_NONE, device_);
    memory_mutex.unlock();
  }

 private:
  int device_;
};

bool inside(const void *pointer, size_t bytes) {
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  auto next = blocks.upper_bound((char *)pointer);
  if (next == blocks.begin()) return false;
  --next;
  return (char *)pointer + bytes <= next->first + next->second.bytes;
}

/* ---------------------------------------------------------------- fibers */

enum class Wait { kNone, kBlock, kWarp, kDone };

/* Saves the registers that a call must keep on the stack, the stack pointer in *from, and goes on
 * where the stack pointer `to` was saved. */
extern "C" void nas_emulation_switch(void **from, void *to);
asm(R"(
  .text
  .type nas_emulation_switch, @function
nas_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size nas_emulation_switch, .-nas_emulation_switch
)");

struct Fiber {
  void *stack_pointer = nullptr;
  Wait wait = Wait::kNone;
  dim3 index;
};

constexpr size_t kStackBytes = 256 << 10;
constexpr int kWarp = 32;

struct Machine {
  std::vector<Fiber> fibers;
  std::vector<std::unique_ptr<char[]>> stacks;
  std::vector<uint64_t> slots;
  std::vector<std::array<uint32_t, 6>> fragments; /* a and b of each lane */
  void *scheduler = nullptr;
  int current = 0;
  int block_value = 0;    /* OR of the values brought to the barrier being filled */
  int released_value = 0; /* that of the last barrier */
  const std::function<void()> *kernel = nullptr;
  uint64_t random = 0x9e3779b97f4a7c15ull;
};

thread_local Machine machine;

[[noreturn]] void stop(const char *kernel, const char *what) {
  fprintf(stderr, "emulation: kernel %s, block (%u, %u): %s\n", kernel, blockIdx.x, blockIdx.y,
          what);
  abort();
}

void pause(Wait wait) {
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  fiber.wait = wait;
  nas_emulation_switch(&fiber.stack_pointer, machine.scheduler);
}

void fiber_main() {
  (*machine.kernel)();
  pause(Wait::kDone);
  abort();
}

/* A stack on which nas_emulation_switch returns into fiber_main. */
void *first_stack_pointer(char *stack) {
  uintptr_t top = ((uintptr_t)stack + kStackBytes) & ~(uintptr_t)15;
  void **words = (void **)top;
  words[-1] = nullptr;
  words[-2] = (void *)&fiber_main;
  for (int i = 3; i <= 8; ++i) words[-i] = nullptr;
  return words - 8;
}

void run_block(const char *name) {
  int threads = (int)(blockDim.x * blockDim.y * blockDim.z);
  Machine &m = machine;
  m.fibers.resize((size_t)threads);
  while (m.stacks.size() < (size_t)threads) m.stacks.emplace_back(new char[kStackBytes]);
  m.slots.assign((size_t)threads, 0);
  m.fragments.assign((size_t)threads, {});
  std::vector<int> order((size_t)threads);
  for (int i = 0; i < threads; ++i) {
    Fiber &fiber = m.fibers[(size_t)i];
    fiber.wait = Wait::kNone;
    fiber.index = dim3((unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y,
                       (unsigned)i / blockDim.x / blockDim.y);
    fiber.stack_pointer = first_stack_pointer(m.stacks[(size_t)i].get());
    order[(size_t)i] = i;
  }
  m.random = m.random * 6364136223846793005ull + 1442695040888963407ull;
  for (size_t i = order.size() - 1; i > 0; --i) {
    m.random = m.random * 6364136223846793005ull + 1442695040888963407ull;
    std::swap(order[i], order[(m.random >> 33) % (i + 1)]);
  }
  m.block_value = 0;
  for (;;) {
    for (int i : order) {
      Fiber &fiber = m.fibers[(size_t)i];
      if (fiber.wait != Wait::kNone) continue;
      m.current = i;
      threadIdx = fiber.index;
      nas_emulation_switch(&m.scheduler, fiber.stack_pointer);
    }
    bool progress = false;
    int done = 0;
    int at_block = 0;
    for (int first = 0; first < threads; first += kWarp) {
      int last = first + kWarp < threads ? first + kWarp : threads;
      int at_warp = 0;
      int finished = 0;
      for (int i = first; i < last; ++i) {
        Wait wait = m.fibers[(size_t)i].wait;
        at_warp += wait == Wait::kWarp ? 1 : 0;
        at_block += wait == Wait::kBlock ? 1 : 0;
        finished += wait == Wait::kDone ? 1 : 0;
      }
      done += finished;
      if (at_warp == last - first) {
        for (int i = first; i < last; ++i) m.fibers[(size_t)i].wait = Wait::kNone;
        progress = true;
      } else if (at_warp > 0) {
        stop(name, "a shuffle over all lanes, but some lanes are elsewhere or have ended");
      }
    }
    if (done == threads) return;
    if (!progress && at_block + done == threads) {
      for (Fiber &fiber : m.fibers) {
        if (fiber.wait == Wait::kBlock) fiber.wait = Wait::kNone;
      }
      m.released_value = m.block_value;
      m.block_value = 0;
      progress = true;
    }
    if (!progress) stop(name, "its threads wait for each other");
  }
}


/* ---------------------------------------------------------------- streams */

std::mutex capture_mutex;
std::vector<EmulatedStream *> capturing;

/* What fails, and ends every capture, while there is one. */
cudaError_t outside_captures(cudaError_t error = cudaErrorStreamCaptureUnsupported) {
  std::lock_guard<std::mutex> lock(capture_mutex);
  for (EmulatedStream *stream : capturing) stream->broken = true;
  return capturing.empty() ? cudaSuccess : error;
}

/* Runs work on a stream, or records it. */
cudaError_t enqueue(cudaStream_t stream, const std::function<void()> &work) {
  if (stream == nullptr) {
    const cudaError_t error = outside_captures(cudaErrorStreamCaptureImplicit);
    if (error != cudaSuccess) return error;
  } else {
    if (stream->device != current_device) return cudaErrorInvalidResourceHandle;
    if (stream->broken) return cudaErrorStreamCaptureInvalidated;
    if (stream->capture != nullptr) {
      stream->capture->nodes.push_back(work);
      return cudaSuccess;
    }
  }
  work();
  return cudaSuccess;
}

void run_grid(const char *name, dim3 grid, dim3 block, int device,
              const std::function<void()> &kernel) {
  OpenMemory open(device);
  machine.kernel = &kernel;
  gridDim = grid;
  blockDim = block;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block(name);
      }
    }
  }
}

}  // namespace

namespace emulation {

cudaError_t launch(const char *name, dim3 grid, dim3 block, cudaStream_t stream,
                   const std::function<void()> &kernel) {
  uint64_t threads = (uint64_t)block.x * block.y * block.z;
  if (threads < 1 || threads > 1024 || grid.x < 1 || grid.x > 0x7fffffffu || grid.y < 1 ||
      grid.y > 65535 || grid.z < 1 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  const int device = current_device;
  return enqueue(stream, [=] { run_grid(name, grid, block, device, kernel); });
}

int block_barrier(int value) {
  machine.block_value |= value != 0 ? 1 : 0;
  pause(Wait::kBlock);
  return machine.released_value;
}

uint64_t exchange(unsigned lanes, uint64_t value, int mask) {
  if (lanes != 0xffffffffu) {
    fprintf(stderr, "emulation: only shuffles over all lanes are known\n");
    abort();
  }
  size_t own = (size_t)machine.current;
  machine.slots[own] = value;
  pause(Wait::kWarp);
  uint64_t result = machine.slots[own ^ (size_t)mask];
  pause(Wait::kWarp);
  return result;
}

/* Element (r, k) of a lies in lane 4 (r % 8) + k % 16 / 4, register r / 8 + 2 (k / 16), byte k % 4;
 * element (k, n) of b in lane 4 n + k % 16 / 4, register k / 16, byte k % 4; a lane holds the rows
 * lane / 4 and 8 more and the columns 2 (lane % 4) and the next of c. */
void multiply_int8(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const int own = machine.current;
  const int first = own / kWarp * kWarp;
  machine.fragments[(size_t)own] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  pause(Wait::kWarp);
  const int lane = own - first;
  for (int i = 0; i < 4; ++i) {
    const int r = lane / 4 + 8 * (i / 2);
    const int n = 2 * (lane % 4) + i % 2;
    for (int k = 0; k < 32; ++k) {
      const auto &of_a = machine.fragments[(size_t)(first + 4 * (r % 8) + k % 16 / 4)];
      const auto &of_b = machine.fragments[(size_t)(first + 4 * n + k % 16 / 4)];
      const int8_t x = (int8_t)(of_a[(size_t)(r / 8 + 2 * (k / 16))] >> (8 * (k % 4)));
      const int8_t y = (int8_t)(of_b[(size_t)(4 + k / 16)] >> (8 * (k % 4)));
      c[i] += (int)x * (int)y;
    }
  }
  pause(Wait::kWarp);
}

}  // namespace emulation

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char *cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureImplicit:
      return "operation would make the legacy stream depend on a capturing blocking stream";
    default:
      return "emulated error";
  }
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
  snprintf(properties->name, sizeof properties->name, "emulated on the host");
  properties->major = 8;
  properties->minor = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr, int) {
  *value = 2;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer) {
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  const bool known = inside(pointer, 1);
  attributes->type = known ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = known ? std::prev(blocks.upper_bound((char *)pointer))->second.device : -1;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, size_t bytes) {
  const cudaError_t error = outside_captures();
  if (error != cudaSuccess) return error;
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (bytes > kTotalMemory - used_memory) return cudaErrorMemoryAllocation;
  size_t padded = (bytes + 15) / 16 * 16;
  size_t usable = (padded + page - 1) / page * page;
  if (usable == 0) usable = page;
  void *base = mmap(nullptr, usable + page, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return cudaErrorMemoryAllocation;
  memset(base, kPattern, usable);
  mprotect(base, usable + page, PROT_NONE);
  char *given = (char *)base + usable - padded;
  blocks[given] = Block{(char *)base, usable + page, usable, bytes, current_device};
  used_memory += bytes;
  *pointer = given;
  return cudaSuccess;
}

cudaError_t cudaFree(void *pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const cudaError_t error = outside_captures();
  if (error != cudaSuccess) return error;
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  auto found = blocks.find((char *)pointer);
  if (found == blocks.end()) return cudaErrorInvalidValue;
  used_memory -= found->second.bytes;
  munmap(found->second.base, found->second.mapped);
  blocks.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  *total = kTotalMemory;
  *available = kTotalMemory - used_memory;
  return cudaSuccess;
}

namespace {

bool can_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  return (kind != cudaMemcpyDeviceToHost) == inside(to, bytes) &&
         (kind != cudaMemcpyHostToDevice) == inside(from, bytes);
}

}  // namespace

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t error = outside_captures();
  if (error != cudaSuccess) return error;
  if (bytes == 0) return cudaSuccess;
  if (!can_copy(to, from, bytes, kind)) return cudaErrorInvalidValue;
  OpenMemory open;
  memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!can_copy(to, from, bytes, kind)) return cudaErrorInvalidValue;
  /* All memory of the host is pageable here. */
  if (kind != cudaMemcpyDeviceToDevice && stream != nullptr && stream->capture != nullptr) {
    return outside_captures();
  }
  return enqueue(stream, [=] {
    OpenMemory open;
    memmove(to, from, bytes);
  });
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!inside(to, bytes)) return cudaErrorInvalidValue;
  return enqueue(stream, [=] {
    OpenMemory open;
    memset(to, value, bytes);
  });
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  *stream = new EmulatedStream{current_device, nullptr, false};
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return outside_captures(); }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
  std::lock_guard<std::mutex> lock(capture_mutex);
  if (stream->capture != nullptr) return cudaErrorInvalidValue;
  stream->capture = new EmulatedGraph;
  capturing.push_back(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  std::lock_guard<std::mutex> lock(capture_mutex);
  *graph = nullptr;
  if (stream == nullptr || stream->capture == nullptr) return cudaErrorInvalidValue;
  capturing.erase(std::find(capturing.begin(), capturing.end(), stream));
  const bool broken = stream->broken;
  if (broken) {
    delete stream->capture;
  } else {
    *graph = stream->capture;
  }
  stream->capture = nullptr;
  stream->broken = false;
  return broken ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new EmulatedGraph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return enqueue(stream, [executable] {
    for (const std::function<void()> &node : executable->nodes) node();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
