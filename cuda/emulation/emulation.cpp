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

enum class Wait { kNone, kBlock, kWarp, kDone, kPhase, kNamed, kProducts };

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

/* An mbarrier object. */
struct Barrier {
  unsigned count = 0;   /* arrivals of a phase */
  unsigned pending = 0; /* arrivals that this phase still waits for */
  int64_t bytes = 0;    /* bytes expected less bytes arrived */
  unsigned phase = 0;
};

struct Copy {
  char *to;
  const char *from;
  unsigned bytes;
  Barrier *barrier;
};

/* A copy of one thread's. */
struct Ahead {
  char *to;
  const char *from;
  unsigned bytes, real;
};

/* A lane's part of a warpgroup's asynchronous product. */
struct Product {
  int *d;
  uint64_t a, b;
  bool accumulate;
  bool committed;
  bool last; /* of its group */
};

struct Fiber {
  void *stack_pointer = nullptr;
  Wait wait = Wait::kNone;
  dim3 index;
  const Barrier *barrier = nullptr; /* kPhase: until its phase is not `parity` */
  unsigned parity = 0;
  int id = 0;      /* kNamed */
  int threads = 0; /* kNamed */
  size_t due = 0;  /* kProducts: how many of `products` must be done */
  bool fenced = false;
  std::vector<Product> products; /* in flight, the oldest first */
  std::vector<std::vector<Ahead>> aheads{1}; /* in flight by group, the oldest first; the last is open */
};

constexpr size_t kStackBytes = 256 << 10;
constexpr int kWarp = 32;
constexpr int kWarpgroup = 128;
constexpr size_t kSharedOffset = 528; /* of dynamic shared memory from a 1024-byte boundary */
constexpr size_t kSharedLimit = 227 << 10;
constexpr size_t kCanary = 64;

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
  std::vector<char> shared_memory;
  char *shared = nullptr; /* dynamic shared memory: kSharedOffset after a 1024-byte boundary */
  size_t shared_bytes = 0;
  std::map<uint64_t *, Barrier> barriers;
  std::vector<Copy> copies; /* in flight */
  uint64_t slowness = 1;    /* one in so many of them arrives each time that all fibers have run */

  uint64_t draw() {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    return random >> 33;
  }
};

thread_local Machine machine;
std::map<const void *, int> allowed_shared; /* by kernel */

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

/* Ends the barrier's phase if nothing is missing. */
void settle(Barrier &barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  barrier.phase ^= 1;
  barrier.pending = barrier.count;
}

/* Some of the copies in flight arrive, in any order; at least one of them if `must`. */
bool finish_copies(const char *name, bool must) {
  Machine &m = machine;
  bool any = false;
  for (size_t i = 0; i < m.copies.size();) {
    if (m.draw() % m.slowness != 0 && !(must && !any)) {
      ++i;
      continue;
    }
    const size_t chosen = i + m.draw() % (m.copies.size() - i);
    const Copy copy = m.copies[chosen];
    m.copies.erase(m.copies.begin() + (std::ptrdiff_t)chosen);
    memcpy(copy.to, copy.from, copy.bytes);
    copy.barrier->bytes -= copy.bytes;
    if (copy.barrier->bytes < 0 && copy.barrier->pending == 0) {
      stop(name, "more bytes arrived than its barrier expects");
    }
    settle(*copy.barrier);
    any = true;
  }
  return any;
}

bool release_named(const char *name) {
  Machine &m = machine;
  int waiting[16] = {};
  int wanted[16] = {};
  for (const Fiber &fiber : m.fibers) {
    if (fiber.wait != Wait::kNamed) continue;
    if (wanted[fiber.id] != 0 && wanted[fiber.id] != fiber.threads) {
      stop(name, "different numbers of threads for one named barrier");
    }
    wanted[fiber.id] = fiber.threads;
    ++waiting[fiber.id];
  }
  bool any = false;
  for (int id = 0; id < 16; ++id) {
    if (waiting[id] == 0 || waiting[id] < wanted[id]) continue;
    if (waiting[id] > wanted[id]) stop(name, "more threads at a named barrier than it takes");
    for (Fiber &fiber : m.fibers) {
      if (fiber.wait == Wait::kNamed && fiber.id == id) fiber.wait = Wait::kNone;
    }
    any = true;
  }
  return any;
}

/* The byte of dynamic shared memory at an address as instructions see it, 128-byte swizzle undone:
 * bits 4..6 of the address are taken xor bits 7..9. */
int8_t swizzled_byte(const char *name, uint32_t address) {
  address ^= address >> 3 & 0x70;
  if (address < kSharedOffset || address >= kSharedOffset + machine.shared_bytes) {
    stop(name, "a product's operand lies outside of the shared memory");
  }
  return (int8_t)machine.shared[address - kSharedOffset];
}

/* `rows` x 32 bytes of a K-major operand (PTX ISA, "matrix descriptor format"): bits 0..13 the address,
 * 32..45 the distance from 8 rows to the next 8, both in units of 16 bytes; 49..51 the offset of the
 * pattern; 62..63 the swizzling, of which 1, 128 bytes, is known here. */
void load_operand(const char *name, uint64_t descriptor, int rows, int8_t *to) {
  const uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4;
  const uint32_t stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
  if (descriptor >> 62 != 1) stop(name, "a product's operand is not swizzled by 128 bytes");
  if ((descriptor >> 49 & 7) != (start >> 7 & 7)) {
    stop(name, "a product's operand does not start where its swizzling does");
  }
  for (int r = 0; r < rows; ++r) {
    const uint32_t row = start + (uint32_t)(r / 8) * stride + (uint32_t)(r % 8) * 128;
    for (uint32_t k = 0; k < 32; ++k) to[r * 32 + (int)k] = swizzled_byte(name, row + k);
  }
}

/* c += or = a b for one warpgroup. Lane l of warp w holds of c the rows 16 w + l / 4 and 8 more, and of
 * every 8 columns those at 2 (l % 4) and the next (PTX ISA, "D fragment of wgmma .m64nNk32"). */
void multiply_group(const char *name, int first, size_t product) {
  Machine &m = machine;
  const Product &of = m.fibers[(size_t)first].products[product];
  for (int i = first + 1; i < first + kWarpgroup; ++i) {
    const Product &other = m.fibers[(size_t)i].products[product];
    if (other.a != of.a || other.b != of.b || other.accumulate != of.accumulate) {
      stop(name, "the lanes of a warpgroup disagree on a product's operands");
    }
  }
  int8_t a[64 * 32], b[128 * 32];
  int transposed[32][128];
  int c[64][128] = {};
  load_operand(name, of.a, 64, a);
  load_operand(name, of.b, 128, b);
  for (int n = 0; n < 128; ++n) {
    for (int k = 0; k < 32; ++k) transposed[k][n] = b[n * 32 + k];
  }
  for (int r = 0; r < 64; ++r) {
    for (int k = 0; k < 32; ++k) {
      const int factor = a[r * 32 + k];
      if (factor == 0) continue;
      for (int n = 0; n < 128; ++n) c[r][n] += factor * transposed[k][n];
    }
  }
  for (int thread = 0; thread < kWarpgroup; ++thread) {
    int *d = m.fibers[(size_t)(first + thread)].products[product].d;
    const int lane = thread % kWarp;
    for (int i = 0; i < 64; ++i) {
      const int r = thread / kWarp * 16 + lane / 4 + i % 4 / 2 * 8;
      const int n = i / 4 * 8 + lane % 4 * 2 + i % 2;
      d[i] = c[r][n] + (of.accumulate ? d[i] : 0);
    }
  }
}

/* Where a whole warpgroup waits for products: computes those that are due. */
bool finish_products(const char *name) {
  Machine &m = machine;
  bool any = false;
  for (size_t first = 0; first + kWarpgroup <= m.fibers.size(); first += kWarpgroup) {
    bool all = true;
    for (size_t i = first; i < first + kWarpgroup; ++i) {
      all = all && m.fibers[i].wait == Wait::kProducts;
    }
    if (!all) continue;
    const size_t due = m.fibers[first].due;
    for (size_t i = first; i < first + kWarpgroup; ++i) {
      if (m.fibers[i].due != due || m.fibers[i].products.size() < due) {
        stop(name, "the lanes of a warpgroup wait for different products");
      }
    }
    for (size_t product = 0; product < due; ++product) multiply_group(name, (int)first, product);
    for (size_t i = first; i < first + kWarpgroup; ++i) {
      auto &products = m.fibers[i].products;
      products.erase(products.begin(), products.begin() + (std::ptrdiff_t)due);
      m.fibers[i].wait = Wait::kNone;
    }
    any = true;
  }
  return any;
}

void start_shared() {
  Machine &m = machine;
  m.barriers.clear();
  m.copies.clear();
  m.slowness = (uint64_t)1 << m.draw() % 8;
  for (Fiber &fiber : m.fibers) {
    fiber.products.clear();
    fiber.fenced = false;
    fiber.aheads.assign(1, {});
  }
  m.shared_memory.resize(m.shared_bytes + kSharedOffset + kCanary + 1024);
  const uintptr_t start = (uintptr_t)m.shared_memory.data();
  m.shared = m.shared_memory.data() + ((0 - start) & 1023) + kSharedOffset;
  memset(m.shared - kSharedOffset, kPattern, m.shared_bytes + kSharedOffset + kCanary);
}

void end_shared(const char *name) {
  Machine &m = machine;
  if (!m.copies.empty()) stop(name, "ends while copies are in flight");
  for (const Fiber &fiber : m.fibers) {
    if (!fiber.products.empty()) stop(name, "ends while products are in flight");
    for (const auto &group : fiber.aheads) {
      if (!group.empty()) stop(name, "ends while copies are in flight");
    }
  }
  for (size_t i = 0; i < kCanary; ++i) {
    if (m.shared[m.shared_bytes + i] != kPattern || m.shared[-1 - (std::ptrdiff_t)i] != kPattern) {
      stop(name, "writes outside of its dynamic shared memory");
    }
  }
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
  (void)m.draw();
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[m.draw() % (i + 1)]);
  m.block_value = 0;
  start_shared();
  for (;;) {
    bool ran = false;
    for (int i : order) {
      Fiber &fiber = m.fibers[(size_t)i];
      const bool ready = fiber.wait == Wait::kNone ||
                         (fiber.wait == Wait::kPhase && fiber.barrier->phase != fiber.parity);
      if (!ready) continue;
      ran = true;
      m.current = i;
      threadIdx = fiber.index;
      fiber.wait = Wait::kNone;
      nas_emulation_switch(&m.scheduler, fiber.stack_pointer);
    }
    bool progress = finish_copies(name, false);
    progress = release_named(name) || progress;
    progress = finish_products(name) || progress;
    int done = 0;
    int at_block = 0;
    for (int first = 0; first < threads; first += kWarp) {
      int last = first + kWarp < threads ? first + kWarp : threads;
      int at_warp = 0;
      int polling = 0;
      int finished = 0;
      for (int i = first; i < last; ++i) {
        Wait wait = m.fibers[(size_t)i].wait;
        at_warp += wait == Wait::kWarp ? 1 : 0;
        polling += wait == Wait::kPhase ? 1 : 0;
        at_block += wait == Wait::kBlock ? 1 : 0;
        finished += wait == Wait::kDone ? 1 : 0;
      }
      done += finished;
      if (at_warp == last - first) {
        for (int i = first; i < last; ++i) m.fibers[(size_t)i].wait = Wait::kNone;
        progress = true;
      } else if (at_warp > 0 && polling == 0) {
        stop(name, "a shuffle over all lanes, but some lanes are elsewhere or have ended");
      }
    }
    if (done == threads) {
      end_shared(name);
      return;
    }
    if (!progress && at_block + done == threads) {
      for (Fiber &fiber : m.fibers) {
        if (fiber.wait == Wait::kBlock) fiber.wait = Wait::kNone;
      }
      m.released_value = m.block_value;
      m.block_value = 0;
      progress = true;
    }
    if (!progress && !ran) progress = finish_copies(name, true);
    if (!progress && !ran) stop(name, "its threads wait for each other");
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

void run_grid(const char *name, dim3 grid, dim3 block, int device, size_t shared,
              const std::function<void()> &kernel) {
  OpenMemory open(device);
  machine.kernel = &kernel;
  machine.shared_bytes = shared;
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

cudaError_t allow_shared(const void *identity, int bytes) {
  if (bytes < 0 || (size_t)bytes > kSharedLimit) return cudaErrorInvalidValue;
  std::lock_guard<std::recursive_mutex> lock(memory_mutex);
  allowed_shared[identity] = bytes;
  return cudaSuccess;
}

cudaError_t launch(const char *name, dim3 grid, dim3 block, cudaStream_t stream,
                   const std::function<void()> &kernel, const void *identity, size_t shared) {
  uint64_t threads = (uint64_t)block.x * block.y * block.z;
  if (shared > (48 << 10)) {
    std::lock_guard<std::recursive_mutex> lock(memory_mutex);
    auto allowed = allowed_shared.find(identity);
    if (allowed == allowed_shared.end() || shared > (size_t)allowed->second) {
      return cudaErrorInvalidValue;
    }
  }
  if (threads < 1 || threads > 1024 || grid.x < 1 || grid.x > 0x7fffffffu || grid.y < 1 ||
      grid.y > 65535 || grid.z < 1 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  const int device = current_device;
  return enqueue(stream, [=] { run_grid(name, grid, block, device, shared, kernel); });
}

int block_barrier(int value) {
  machine.block_value |= value != 0 ? 1 : 0;
  pause(Wait::kBlock);
  return machine.released_value;
}

/* Calls read(values) with what all lanes of the warp gave. */
template <class Read>
auto with_warp(unsigned lanes, uint64_t value, Read &&read) {
  if (lanes != 0xffffffffu) {
    fprintf(stderr, "emulation: only exchanges over all lanes are known\n");
    abort();
  }
  const size_t own = (size_t)machine.current;
  machine.slots[own] = value;
  pause(Wait::kWarp);
  auto result = read(&machine.slots[own / kWarp * kWarp]);
  pause(Wait::kWarp);
  return result;
}

uint64_t exchange(unsigned lanes, uint64_t value, int mask) {
  return with_warp(lanes, value,
                   [=](const uint64_t *all) { return all[machine.current % kWarp ^ mask]; });
}

uint64_t from_lane(unsigned lanes, uint64_t value, int lane) {
  return with_warp(lanes, value, [=](const uint64_t *all) { return all[lane]; });
}

unsigned match(unsigned lanes, uint64_t value) {
  return with_warp(lanes, value, [=](const uint64_t *all) {
    unsigned same = 0;
    for (int lane = 0; lane < kWarp; ++lane) same |= all[lane] == value ? 1u << lane : 0u;
    return same;
  });
}

unsigned ballot(unsigned lanes, int value) {
  return with_warp(lanes, value != 0, [](const uint64_t *all) {
    unsigned set = 0;
    for (int lane = 0; lane < kWarp; ++lane) set |= all[lane] != 0 ? 1u << lane : 0u;
    return set;
  });
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

char *dynamic_shared() { return machine.shared; }

uint32_t shared_address(const void *pointer) {
  const char *place = (const char *)pointer;
  if (place < machine.shared || place >= machine.shared + machine.shared_bytes) {
    stop("with dynamic shared memory", "an address outside of it");
  }
  return (uint32_t)(place - machine.shared + (std::ptrdiff_t)kSharedOffset);
}

void barrier_init(uint64_t *barrier, unsigned count) {
  if (shared_address(barrier) % 8 != 0) stop("with barriers", "one is not aligned to 8 bytes");
  machine.barriers[barrier] = Barrier{count, count, 0, 0};
}

namespace {

Barrier &known_barrier(uint64_t *barrier) {
  auto found = machine.barriers.find(barrier);
  if (found == machine.barriers.end()) stop("with barriers", "uses one that it did not initialise");
  return found->second;
}

}  // namespace

void barrier_arrive(uint64_t *barrier, unsigned bytes) {
  Barrier &of = known_barrier(barrier);
  if (of.pending == 0) stop("with barriers", "more arrivals than a barrier takes");
  of.bytes += bytes;
  --of.pending;
  settle(of);
}

void barrier_wait(uint64_t *barrier, unsigned parity) {
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  fiber.barrier = &known_barrier(barrier);
  fiber.parity = parity;
  if (fiber.barrier->phase == parity || machine.draw() % 64 == 0) pause(Wait::kPhase);
}

void copy_bulk(void *to, const void *from, unsigned bytes, uint64_t *barrier) {
  const uint32_t address = shared_address(to);
  const char *const kernel = "with bulk copies";
  if (address % 16 != 0 || (uintptr_t)from % 16 != 0 || bytes % 16 != 0 || bytes == 0) {
    stop(kernel, "addresses or a size that are no multiples of 16 bytes");
  }
  if (address + (size_t)bytes > kSharedOffset + machine.shared_bytes) {
    stop(kernel, "a copy beyond the shared memory");
  }
  if (!inside(from, bytes)) stop(kernel, "a copy of what is not device memory");
  memset(to, kPattern, bytes);
  machine.copies.push_back(Copy{(char *)to, (const char *)from, bytes, &known_barrier(barrier)});
}

void copy_ahead(void *to, const void *from, unsigned bytes, unsigned real) {
  const char *const kernel = "with copies ahead";
  if ((uintptr_t)to % bytes != 0 || (uintptr_t)from % bytes != 0) stop(kernel, "addresses out of line");
  if (real > 0 && !inside(from, real)) stop(kernel, "a copy of what is not device memory");
  memset(to, kPattern, bytes);
  machine.fibers[(size_t)machine.current].aheads.back().push_back(
      Ahead{(char *)to, (const char *)from, bytes, real});
}

void end_copies() { machine.fibers[(size_t)machine.current].aheads.emplace_back(); }

void wait_ahead(int groups) {
  auto &aheads = machine.fibers[(size_t)machine.current].aheads;
  while (aheads.size() > (size_t)groups + 1) {
    for (const Ahead &copy : aheads.front()) {
      memcpy(copy.to, copy.from, copy.real);
      memset(copy.to + copy.real, 0, copy.bytes - copy.real);
    }
    aheads.erase(aheads.begin());
  }
}

void wait_copies() {
  end_copies();
  wait_ahead(0);
}

void named_barrier(int id, int threads) {
  if (id < 1 || id > 15 || threads % kWarp != 0) {
    stop("with named barriers", "an id outside of 1..15, or a part of a warp");
  }
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  fiber.id = id;
  fiber.threads = threads;
  pause(Wait::kNamed);
}

void multiply_fence() {
  machine.fibers[(size_t)machine.current].fenced = true;
  pause(Wait::kWarp); /* .sync.aligned: the lanes of a warp together */
}

void multiply_async(int (&d)[64], uint64_t a, uint64_t b, bool accumulate) {
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  if (!fiber.fenced) stop("with products", "a product without a fence before it");
  for (const Copy &copy : machine.copies) {
    const uint32_t begin = shared_address(copy.to);
    for (uint64_t operand : {a, b}) {
      const uint32_t start = ((uint32_t)(operand & 0x3fff) << 4) / 128 * 128;
      const uint32_t rows = operand == a ? 64 : 128;
      if (begin < start + rows * 128 && start < begin + copy.bytes) {
        stop("with products", "a product whose operand has not all arrived");
      }
    }
  }
  fiber.products.push_back(Product{d, a, b, accumulate, false, false});
  if (!accumulate) memset(d, kPattern, sizeof d);
}

void multiply_commit() {
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  for (Product &product : fiber.products) product.committed = true;
  if (!fiber.products.empty()) fiber.products.back().last = true;
}

void multiply_wait(int groups) {
  Fiber &fiber = machine.fibers[(size_t)machine.current];
  size_t due = fiber.products.size();
  int left = 0;
  while (due > 0 && (!fiber.products[due - 1].committed || left < groups)) {
    /* Skips what is not committed, then the youngest groups that may stay in flight. */
    const bool counts = fiber.products[due - 1].committed;
    --due;
    while (due > 0 && !fiber.products[due - 1].last && counts) --due;
    if (counts) ++left;
  }
  fiber.due = due;
  fiber.fenced = false;
  pause(Wait::kProducts);
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
  properties->major = 9;
  properties->minor = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 2; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; return cudaSuccess;
  }
  return cudaErrorInvalidValue;
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
