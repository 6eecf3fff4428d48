/* Arrays beside pages that must not be touched. */
#ifndef NAS_TESTS_GUARDED_H
#define NAS_TESTS_GUARDED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

/* An array between two pages without access, close to the one or to the other. */
template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t count, bool at_end = true) : count_(count) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = count * sizeof(T), body = (bytes + page - 1) / page * page;
    size_ = body + 2 * page;
    base_ = static_cast<char *>(
        mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || (body > 0 && mprotect(base_ + page, body, PROT_READ | PROT_WRITE))) {
      perror("guarded buffer");
      exit(2);
    }
    data_ = reinterpret_cast<T *>(at_end ? base_ + page + body - bytes : base_ + page);
  }
  Guarded(const std::vector<T> &values, bool at_end = true) : Guarded(values.size(), at_end) {
    std::copy(values.begin(), values.end(), data_);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded &) = delete;
  Guarded &operator=(const Guarded &) = delete;

  T *get() { return data_; }
  T &operator[](size_t i) { return data_[i]; }
  std::vector<T> copy() const { return std::vector<T>(data_, data_ + count_); }

 private:
  size_t count_, size_;
  char *base_;
  T *data_;
};

template <typename T>
inline bool same_bits(const T *a, const T *b, size_t count) {
  return count == 0 || memcmp(a, b, count * sizeof(T)) == 0;
}

template <typename T>
inline bool same_bits(const std::vector<T> &a, const std::vector<T> &b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

#endif
