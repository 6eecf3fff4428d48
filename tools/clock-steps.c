/* Preloaded into a process (LD_PRELOAD), makes its wall clock jump to and fro by up to 100 days, twice
   a second, by a course that NAS_CLOCK_SEED decides. Monotonic clocks stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static clock_function true_clock(void) {
  static clock_function found;
  if (!found) {
    found = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
  }
  return found;
}

/* Seconds that the wall clock is wrong by. */
static int64_t shift(void) {
  struct timespec now;
  true_clock()(CLOCK_MONOTONIC, &now);
  const char *seed = getenv("NAS_CLOCK_SEED");
  uint64_t x = (uint64_t)now.tv_sec * 2 + (now.tv_nsec >= 500000000) + (seed ? strtoull(seed, NULL, 10) << 32 : 0);
  /* splitmix64 */
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  const int64_t most = 100 * 86400;
  int64_t seconds = (int64_t)(x % (uint64_t)(2 * most)) - most;
  return seconds >= 0 ? seconds + 86400 : seconds - 86400;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int status = true_clock()(clock, time);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    time->tv_sec += shift();
  }
  return status;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  int status = clock_gettime(CLOCK_REALTIME, &now);
  if (status == 0) {
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
  }
  return status;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place) {
    *place = now.tv_sec;
  }
  return now.tv_sec;
}
