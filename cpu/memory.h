/* Memory that may not be there. */
#ifndef NAS_CPU_MEMORY_H
#define NAS_CPU_MEMORY_H

#include <stdint.h>
#include <stdlib.h>

#include <new>

namespace nas {

/* Uninitialised, 64-byte aligned memory. allocate() is false if there is none; count 0 is fine. */
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { free(data_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  /* allocate(), unless there is room for `count` already. */
  bool reserve(int64_t count) {
    if (data_ != nullptr && count <= count_) return true;
    return allocate(count);
  }

  bool allocate(int64_t count) {
    count_ = 0;
    int64_t bytes;
    free(data_);
    data_ = nullptr;
    if (__builtin_mul_overflow(count, (int64_t)sizeof(T), &bytes) || bytes > INT64_MAX - 64) {
      return false;
    }
    bytes = (bytes + 63) / 64 * 64;
    data_ = static_cast<T *>(aligned_alloc(64, (size_t)(bytes > 0 ? bytes : 64)));
    if (data_ != nullptr) count_ = count;
    return data_ != nullptr;
  }
  T *get() const { return data_; }
  int64_t bytes() const { return data_ == nullptr ? 0 : count_ * (int64_t)sizeof(T); }
  T &operator[](int64_t i) const { return data_[i]; }

  void swap(Buffer &other) {
    T *data = data_;
    data_ = other.data_;
    other.data_ = data;
    const int64_t count = count_;
    count_ = other.count_;
    other.count_ = count;
  }

 private:
  T *data_ = nullptr;
  int64_t count_ = 0;
};

/* One T for each worker of a call. */
template <typename T>
class PerWorker {
 public:
  PerWorker() = default;
  ~PerWorker() { delete[] items_; }
  PerWorker(const PerWorker &) = delete;
  PerWorker &operator=(const PerWorker &) = delete;

  bool allocate(int count) {
    items_ = new (std::nothrow) T[(size_t)count];
    return items_ != nullptr;
  }
  T &operator[](int i) const { return items_[i]; }

 private:
  T *items_ = nullptr;
};

}  // namespace nas

#endif
