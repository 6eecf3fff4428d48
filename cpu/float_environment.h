/* The floating-point environment of a call. */
#ifndef NAS_CPU_FLOAT_ENVIRONMENT_H
#define NAS_CPU_FLOAT_ENVIRONMENT_H

#include <stdint.h>

namespace nas {

/* Gives a call the default floating-point environment (round to nearest, denormals kept, nothing
 * trapped) and the caller its own back. */
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment &) = delete;
  FloatEnvironment &operator=(const FloatEnvironment &) = delete;

 private:
  uint32_t saved_;
};

}  // namespace nas

#endif
