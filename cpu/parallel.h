/* Work shared out among threads. */
#ifndef NAS_CPU_PARALLEL_H
#define NAS_CPU_PARALLEL_H

#include <stdint.h>

namespace nas {

/* Threads that one call may use. */
int thread_limit();

using Task = void (*)(void *context, int64_t task, int worker);

/* Runs task(context, t, worker) for t = 0..tasks-1, in any order, on at most `workers` threads, the
 * caller's included; worker is 0..workers-1 and no two tasks run with the same one at a time. Runs on
 * the caller's thread alone while another call has the threads. `task` must not fail. */
void run_tasks(int64_t tasks, int workers, Task task, void *context);

template <typename F>
void parallel(int64_t tasks, int workers, F &body) {
  run_tasks(
      tasks, workers,
      [](void *context, int64_t task, int worker) { (*static_cast<F *>(context))(task, worker); },
      &body);
}

}  // namespace nas

#endif
