/* Random vectors of many kinds. */
#include "selfcheck.h"

namespace selfcheck {

const char *name_of(Kind kind) {
  static const char *const names[] = {"normal", "grid", "duplicates", "offset",  "denormal",
                                      "tiny",   "huge", "bits",       "outlier", "clustered"};
  return names[(int)kind];
}

std::vector<float> vectors(Random &random, Kind kind, int64_t count, int64_t d) {
  std::vector<float> x((size_t)(count * d));
  std::vector<float> centres((size_t)(3 * d));
  Random shared(0x5eed + (uint64_t)d); /* the same centres for rows and codewords */
  for (float &value : centres) value = shared.normal();
  for (int64_t i = 0; i < count; ++i) {
    const float *centre = &centres[(size_t)(random.below(3) * d)];
    float scale = random.below(8) == 0 ? 1e25f : 1.0f;
    for (int64_t t = 0; t < d; ++t) {
      float &value = x[(size_t)(i * d + t)];
      switch (kind) {
        case Kind::kNormal:
          value = random.normal();
          break;
        case Kind::kGrid:
          value = (float)random.below(3);
          break;
        case Kind::kDuplicates:
          value = centre[t];
          break;
        case Kind::kOffset:
          value = 1e6f + random.normal();
          break;
        case Kind::kDenormal:
          value = (float)(random.below(2001) - 1000) * 0x1p-149f;
          break;
        case Kind::kTiny:
          value = 1e-30f * random.normal();
          break;
        case Kind::kHuge:
          value = 1e30f * random.normal();
          break;
        case Kind::kBits:
          value = random.bits();
          break;
        case Kind::kOutlier:
          value = scale * random.normal();
          break;
        case Kind::kClustered:
        case Kind::kCount:
          value = centre[t] + 1e-4f * random.normal();
          break;
      }
    }
  }
  return x;
}

Kind any_kind(Random &random) { return (Kind)random.below((int64_t)Kind::kCount); }

}  // namespace selfcheck
