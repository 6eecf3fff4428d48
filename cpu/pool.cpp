/*
 * The process-wide worker threads.
 *
 * Workers are created when a call first wants them, sleep on a condition variable between calls and
 * are never joined: the process may exit while they sleep. The library is linked so that it stays
 * loaded.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <atomic>
#include <new>

#include "failures.h"
#include "float_environment.h"
#include "parallel.h"

#if defined(__x86_64__) || defined(__i386__)
#define NAS_SPIN_PAUSE() __builtin_ia32_pause()
#else
#define NAS_SPIN_PAUSE() ((void)0)
#endif

namespace nas {

static const int kMostThreads = NAS_MAX_THREADS;
static const int kSpins = 2000;

static int available_processors() {
  for (int size = 1024; size <= (1 << 20); size *= 4) {
    cpu_set_t *set = CPU_ALLOC(size);
    if (set == nullptr) return 1;
    size_t bytes = CPU_ALLOC_SIZE(size);
    int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count < kMostThreads ? count : kMostThreads;
  }
  return 1;
}

static std::atomic<int> &threads_setting() {
  static std::atomic<int> threads{available_processors()};
  return threads;
}

int thread_limit() { return threads_setting().load(std::memory_order_relaxed); }

namespace {

struct Job {
  Task task;
  void *context;
  int64_t tasks;
  std::atomic<int64_t> next;
};

struct Pool {
  std::atomic<bool> busy{false};
  std::atomic<uint64_t> generation{0};
  std::atomic<bool> forked{false};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
  pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
  /* Under the mutex: */
  int created = 0;
  bool open = false;
  int seats = 0;    /* workers that may still join the job */
  int joined = 0;   /* the next worker number to give out */
  int inside = 0;   /* workers that joined and are not done */
  Job job{};
};

/* Never destroyed, for workers may outlive static destructors. */
Pool &pool() {
  static Pool *const instance = [] {
    alignas(Pool) static char memory[sizeof(Pool)];
    return new (static_cast<void *>(memory)) Pool;
  }();
  return *instance;
}

void drain(Job &job, int worker) {
  for (;;) {
    int64_t task = job.next.fetch_add(1, std::memory_order_relaxed);
    if (task >= job.tasks) return;
    job.task(job.context, task, worker);
  }
}

void *worker_main(void *) {
  FloatEnvironment environment;
  Pool &p = pool();
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < kSpins && p.generation.load(std::memory_order_acquire) == seen; ++i) {
      NAS_SPIN_PAUSE();
    }
    pthread_mutex_lock(&p.mutex);
    while (p.generation.load(std::memory_order_relaxed) == seen) {
      pthread_cond_wait(&p.wake, &p.mutex);
    }
    seen = p.generation.load(std::memory_order_relaxed);
    if (p.open && p.seats > 0) {
      --p.seats;
      ++p.inside;
      int number = p.joined++;
      pthread_mutex_unlock(&p.mutex);
      drain(p.job, number);
      pthread_mutex_lock(&p.mutex);
      if (--p.inside == 0) pthread_cond_signal(&p.finished);
    }
    pthread_mutex_unlock(&p.mutex);
  }
  return nullptr;
}

/* Called with the mutex held. Fewer workers than wanted is no failure. */
void create_workers(Pool &p, int wanted) {
  if (p.created >= wanted) return;
  if (p.created == 0) {
    /* A forked child has the pool's memory but none of its threads. */
    pthread_atfork(nullptr, nullptr, [] { pool().forked.store(true); });
  }
  /* Signals sent to the process are for the host program's threads. */
  sigset_t all, before;
  sigfillset(&all);
  bool masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  while (p.created < wanted) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, worker_main, nullptr) != 0) break;
    pthread_detach(thread);
    ++p.created;
  }
  if (masked) pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

void run_tasks(int64_t tasks, int workers, Task task, void *context) {
  if (workers > tasks) workers = (int)tasks;
  Pool &p = pool();
  bool alone = workers <= 1 || p.forked.load(std::memory_order_relaxed) ||
               p.busy.exchange(true, std::memory_order_acquire);
  if (alone) {
    for (int64_t t = 0; t < tasks; ++t) task(context, t, 0);
    return;
  }
  pthread_mutex_lock(&p.mutex);
  create_workers(p, workers - 1);
  p.job.task = task;
  p.job.context = context;
  p.job.tasks = tasks;
  p.job.next.store(0, std::memory_order_relaxed);
  p.open = true;
  p.seats = workers - 1;
  p.joined = 1;
  p.generation.fetch_add(1, std::memory_order_release);
  pthread_cond_broadcast(&p.wake);
  pthread_mutex_unlock(&p.mutex);

  drain(p.job, 0);

  pthread_mutex_lock(&p.mutex);
  p.open = false;
  while (p.inside > 0) pthread_cond_wait(&p.finished, &p.mutex);
  pthread_mutex_unlock(&p.mutex);
  p.busy.store(false, std::memory_order_release);
}

}  // namespace nas

int32_t nas_threads(void) { return nas::thread_limit(); }

nas_status nas_set_threads(int32_t threads) {
  if (threads < 1 || threads > nas::kMostThreads) {
    return nas::fail(NAS_INVALID_ARGUMENT, "nas_set_threads: threads is %d, must be 1 to %d",
                     (int)threads, nas::kMostThreads);
  }
  nas::threads_setting().store(threads, std::memory_order_relaxed);
  return NAS_OK;
}
