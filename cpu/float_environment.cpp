#include "float_environment.h"

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif

namespace nas {

#if defined(__x86_64__) || defined(__i386__)
static const uint32_t kDefaultControl = 0x1f80;
static const uint32_t kStickyFlags = 0x3f;

FloatEnvironment::FloatEnvironment() : saved_(_mm_getcsr()) {
  if ((saved_ & ~kStickyFlags) != kDefaultControl) _mm_setcsr(kDefaultControl);
}

FloatEnvironment::~FloatEnvironment() {
  if ((saved_ & ~kStickyFlags) != kDefaultControl) _mm_setcsr(saved_);
}
#else
static thread_local fenv_t saved_environment;

FloatEnvironment::FloatEnvironment() : saved_(0) {
  fegetenv(&saved_environment);
  fesetenv(FE_DFL_ENV);
}

FloatEnvironment::~FloatEnvironment() { fesetenv(&saved_environment); }
#endif

}  // namespace nas
