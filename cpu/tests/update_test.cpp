/* Momentum updates, with rows of every type and with sums of rows. */
#include "state.h"

static void test_update() {
  for (int repeat = 0; repeat < 120; ++repeat) {
    const int64_t K = repeat % 6 == 5 ? pick(257, 1100) : pick(1, 90);
    const int64_t d = pick(1, repeat % 5 == 0 ? 700 : 60), rows = pick(0, 600);
    std::vector<float> e, x;
    make_data(repeat % 4 == 3 ? kOffset : kGaussian, K, d, std::max<int64_t>(rows, 1), e, x);
    const int64_t stride = d + pick(0, 2);
    std::vector<float> strided((size_t)(rows == 0 ? 0 : (rows - 1) * stride + d), NAN);
    std::vector<int32_t> codes((size_t)rows);
    const int64_t popular = pick(0, K - 1);
    for (int64_t i = 0; i < rows; ++i) {
      codes[(size_t)i] = (int32_t)(repeat % 3 == 0 ? popular : pick(0, K - 1));
      std::copy_n(&x[(size_t)(i * d)], d, &strided[(size_t)(i * stride)]);
    }
    std::vector<double> counts((size_t)K), sums((size_t)(K * d));
    for (double &value : counts) value = 0.1 * (double)pick(0, 3);
    for (double &value : sums) value = gaussian();
    const std::vector<double> counts_before = counts, sums_before = sums;
    for (int64_t i = 0; i < rows; ++i) {
      const size_t z = (size_t)codes[(size_t)i];
      counts[z] += 1;
      for (int64_t t = 0; t < d; ++t) {
        sums[z * (size_t)d + (size_t)t] += (double)x[(size_t)(i * d + t)];
      }
    }
    const double gamma = repeat % 6 == 0 ? 0.0 : 0.99, epsilon = 1e-5, threshold = 1.0;
    State expected(K, d, e);
    for (int step = 0; step < 3; ++step) expected.apply(counts, sums, gamma, epsilon, threshold);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      nas_set_threads(1 + repeat % 4);
      context = text("update K %d d %d rows %d tier %d", (int)K, (int)d, (int)rows, tier);
      Codebook codebook(e, K, d);
      CHECK(State(K, d, e).matches(codebook.handle));
      Guarded<float> input(strided);
      Guarded<int32_t> input_codes(codes);
      Guarded<double> c(counts_before), s(sums_before);
      const int64_t split = pick(0, rows);
      int64_t bad = 3;
      CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, split, stride,
                           input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_OK);
      CHECK(bad == -1);
      CHECK(nas_accumulate(codebook.handle, input.get() + split * (rows == split ? 0 : stride),
                           NAS_FLOAT32, rows - split, stride, input_codes.get() + split, c.get(),
                           s.get(), nullptr, nullptr) == NAS_OK);
      CHECK(same_bits(c.copy(), counts));
      CHECK(same_bits(s.copy(), sums));
      for (int step = 0; step < 3; ++step) {
        CHECK(nas_apply(codebook.handle, c.get(), s.get(), gamma, epsilon, threshold, nullptr) ==
              NAS_OK);
      }
      CHECK(expected.matches(codebook.handle));

      /* Lookups see the new codewords. */
      const int64_t some = std::min<int64_t>(rows, 20);
      std::vector<int32_t> out((size_t)some);
      CHECK(lookup_float32(codebook.handle, x.data(), some, d, out.data(), nullptr, nullptr) ==
            NAS_OK);
      for (int64_t i = 0; i < some; ++i) {
        int32_t index;
        float distance;
        naive_lookup(expected.e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(out[(size_t)i] == index);
      }

      /* A failure changes nothing. */
      if (rows > 0) {
        const int64_t wrong = pick(0, rows - 1), later = pick(wrong, rows - 1);
        const int32_t kept_code = input_codes[(size_t)wrong];
        input_codes[(size_t)wrong] = tier % 2 ? (int32_t)K : -1;
        input_codes[(size_t)later] = later == wrong ? (int32_t)K : input_codes[(size_t)later];
        CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                             input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_INVALID_ARGUMENT);
        CHECK(bad == wrong);
        input_codes[(size_t)wrong] = kept_code;
        float &cell = input[(size_t)(wrong * stride + pick(0, d - 1))];
        const float kept = cell;
        cell = -INFINITY;
        CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                             input_codes.get(), c.get(), s.get(), &bad, nullptr) == NAS_NON_FINITE);
        CHECK(bad == wrong);
        if (wrong + 1 < rows) {
          const int32_t kept_last = input_codes[(size_t)(rows - 1)];
          input_codes[(size_t)(rows - 1)] = -1;
          CHECK(nas_accumulate(codebook.handle, input.get(), NAS_FLOAT32, rows, stride,
                               input_codes.get(), c.get(), s.get(), &bad, nullptr) ==
                NAS_NON_FINITE);
          CHECK(bad == wrong);
          input_codes[(size_t)(rows - 1)] = kept_last;
        }
        cell = kept;
        CHECK(same_bits(c.copy(), counts));
        CHECK(same_bits(s.copy(), sums));
      }
      std::vector<double> broken = sums;
      broken[(size_t)pick(0, K * d - 1)] = pick(0, 1) ? (double)NAN : 1e300;
      CHECK(nas_apply(codebook.handle, counts.data(), broken.data(), 0.5, epsilon, threshold,
                      nullptr) == NAS_NON_FINITE);
      CHECK(expected.matches(codebook.handle));
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 1.0, epsilon, threshold,
                      nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, 0.0, threshold, nullptr) ==
            NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), NAN, epsilon, threshold,
                      nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(nas_apply(codebook.handle, counts.data(), sums.data(), 0.5, epsilon, -1.0, nullptr) ==
            NAS_INVALID_ARGUMENT);
      CHECK(expected.matches(codebook.handle));
    }
  }
}

/* What IEEE 754 says of 16 bits with `exponent_bits` of exponent, as a sum of powers of two. */
static float naive_widen(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, most = (1 << exponent_bits) - 1;
  const int exponent = bits >> fraction_bits & most, bias = most / 2;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  double value = exponent == 0 ? ldexp((double)fraction, 1 - bias - fraction_bits)
                               : ldexp((double)(fraction + (1 << fraction_bits)),
                                       exponent - bias - fraction_bits);
  if (exponent == most) value = fraction == 0 ? (double)INFINITY : (double)NAN;
  return (float)(bits >> 15 ? -value : value);
}

/* How codes are spread over rows. */
enum Spread { kEven, kSkewed, kOneCode, kFewCodes, kSpreads };

/* nas_update and nas_accumulate on rows of every type against sums of naively widened elements. */
template <typename T>
static void test_update_of(int32_t type, int repeat) {
  const bool large = repeat % 8 == 7;
  const bool huge = repeat == 47; /* too much for the caches */
  const int64_t K = huge ? 1100 : repeat % 5 == 4 ? 1 : pick(2, large ? 300 : 60);
  const int64_t d = huge ? 960 : repeat % 4 == 3 ? pick(100, large ? 2300 : 300) : pick(1, 70);
  const int64_t rows = repeat == 0 ? 0 : pick(1, large ? 500 : 120);
  const int64_t stride = d + (repeat % 2 ? pick(1, 5) : 0);
  const int spread = repeat % kSpreads;
  std::vector<int32_t> codes((size_t)rows);
  for (int32_t &z : codes) {
    const double u = (double)pick(0, 999999) / 1e6;
    z = (int32_t)(spread == kEven     ? pick(0, K - 1)
                  : spread == kSkewed ? (int64_t)((double)K * u * u * u * u)
                  : spread == kOneCode ? K / 2
                                       : pick(0, 2) % K);
  }
  /* Not-a-number between the rows; nothing behind the last one. */
  T gap;
  memset(&gap, 0xff, sizeof gap);
  std::vector<T> strided((size_t)(rows == 0 ? 0 : (rows - 1) * stride + d), gap);
  std::vector<float> values((size_t)(rows * d));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t t = 0; t < d; ++t) {
      T element;
      float value;
      do {
        uint32_t bits = (uint32_t)random_source();
        if (sizeof(T) == 4 && pick(0, 3) != 0) {
          value = gaussian();
          memcpy(&bits, &value, sizeof bits);
        }
        memcpy(&element, &bits, sizeof element);
        if (type == NAS_FLOAT32) {
          memcpy(&value, &bits, sizeof value);
        } else {
          value = naive_widen((uint16_t)bits, type == NAS_BFLOAT16 ? 8 : 5);
        }
        /* Large enough for no codeword to overflow. */
      } while (!(fabsf(value) < 1e35f));
      strided[(size_t)(i * stride + t)] = element;
      values[(size_t)(i * d + t)] = value;
    }
  }
  std::vector<float> e((size_t)(K * d));
  for (float &value : e) value = gaussian();
  std::vector<double> counts((size_t)K), sums((size_t)(K * d));
  for (int64_t i = 0; i < rows; ++i) {
    const size_t z = (size_t)codes[(size_t)i];
    counts[z] += 1;
    for (int64_t t = 0; t < d; ++t) {
      sums[z * (size_t)d + (size_t)t] += (double)values[(size_t)(i * d + t)];
    }
  }
  const double gamma = repeat % 3 == 0 ? 0.5 : 0.99, epsilon = 1e-3, threshold = 1.1;
  State expected(K, d, e);
  for (int step = 0; step < 2; ++step) expected.apply(counts, sums, gamma, epsilon, threshold);
  for (int tier : tiers()) {
    nas_set_tier(tier);
    nas_set_threads(1 + (repeat + tier) % 4);
    context = text("update type %d K %d d %d rows %d spread %d tier %d", (int)type, (int)K, (int)d,
                   (int)rows, spread, tier);
    Guarded<T> input(strided, pick(0, 1));
    Guarded<int32_t> codes_in(codes, pick(0, 1));
    Codebook codebook(e, K, d);
    int64_t bad = 3;
    auto update = [&](double g) {
      return nas_update(codebook.handle, input.get(), type, rows, stride, codes_in.get(), g, epsilon,
                        threshold, &bad, nullptr);
    };
    for (int step = 0; step < 2; ++step) {
      CHECK(update(gamma) == NAS_OK);
      CHECK(bad == -1);
    }
    CHECK(expected.matches(codebook.handle));

    Codebook other(e, K, d);
    Guarded<double> c((size_t)K), s((size_t)(K * d));
    CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                         s.get(), &bad, nullptr) == NAS_OK);
    CHECK(same_bits(c.copy(), counts));
    CHECK(same_bits(s.copy(), sums));
    for (int step = 0; step < 2; ++step) {
      CHECK(nas_apply(other.handle, c.get(), s.get(), gamma, epsilon, threshold, nullptr) == NAS_OK);
    }
    CHECK(expected.matches(other.handle));

    /* Lookups see the new codewords. */
    if (K * d < 4000) {
      std::vector<int32_t> found((size_t)K);
      CHECK(lookup_float32(codebook.handle, expected.e.data(), K, d, found.data(), nullptr,
                       nullptr) == NAS_OK);
      for (int64_t j = 0; j < K; ++j) {
        int32_t index;
        float distance;
        naive_lookup(expected.e, K, d, &expected.e[(size_t)(j * d)], &index, &distance);
        CHECK(found[(size_t)j] == index);
      }
    }

    /* A failure names the lowest row and changes nothing. */
    CHECK(update(1.0) == NAS_INVALID_ARGUMENT && bad == -1);
    CHECK(nas_update(codebook.handle, input.get(), 3, rows, stride, codes_in.get(), gamma, epsilon,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_update(codebook.handle, input.get(), type, rows, d - 1, codes_in.get(), gamma, epsilon,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_update(codebook.handle, input.get(), type, rows, stride, codes_in.get(), gamma, 0.0,
                     threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
    CHECK(nas_accumulate(other.handle, input.get(), -1, rows, stride, codes_in.get(), c.get(), s.get(),
                         &bad, nullptr) == NAS_INVALID_ARGUMENT);
    if (rows > 0) {
      const char *shifted = reinterpret_cast<const char *>(input.get()) + 1;
      CHECK(nas_update(codebook.handle, shifted, type, 1, stride, codes_in.get(), gamma, epsilon,
                       threshold, &bad, nullptr) == NAS_INVALID_ARGUMENT);
      const int64_t first = pick(0, rows - 1), second = pick(first, rows - 1);
      const uint32_t infinity = type == NAS_FLOAT16 ? 0x7c00 : 0x7f80;
      const uint32_t bits = type == NAS_FLOAT32 ? infinity << 16 : infinity;
      T &cell = input[(size_t)(first * stride + pick(0, d - 1))];
      memcpy(&cell, &bits, sizeof(T));
      memset(&input[(size_t)(second * stride + pick(0, d - 1))], 0xff, sizeof(T));
      CHECK(update(gamma) == NAS_NON_FINITE);
      CHECK(bad == first);
      CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                           s.get(), &bad, nullptr) == NAS_NON_FINITE);
      CHECK(bad == first);
      codes_in[(size_t)second] = pick(0, 1) ? -1 : (int32_t)K;
      CHECK(update(gamma) == (first == second ? NAS_INVALID_ARGUMENT : NAS_NON_FINITE));
      CHECK(bad == first);
      codes_in[(size_t)first] = (int32_t)K;
      CHECK(update(gamma) == NAS_INVALID_ARGUMENT);
      CHECK(bad == first);
      CHECK(nas_accumulate(other.handle, input.get(), type, rows, stride, codes_in.get(), c.get(),
                           s.get(), &bad, nullptr) == NAS_INVALID_ARGUMENT);
      CHECK(bad == first);
      CHECK(same_bits(c.copy(), counts) && same_bits(s.copy(), sums));
    }
    CHECK(expected.matches(codebook.handle));
  }
}

static void test_update_types() {
  for (int repeat = 0; repeat < 48; ++repeat) {
    test_update_of<float>(NAS_FLOAT32, repeat);
    test_update_of<uint16_t>(NAS_BFLOAT16, repeat);
    test_update_of<uint16_t>(NAS_FLOAT16, repeat);
  }
}

/* Every bfloat16 and float16, as a codeword of one element that takes on the row's value. */
static void test_widening() {
  for (int32_t type : {NAS_BFLOAT16, NAS_FLOAT16}) {
    const int64_t d = 256;
    const std::vector<float> zeros((size_t)d, 0.0f);
    for (int tier : tiers()) {
      nas_set_tier(tier);
      context = text("widening type %d tier %d", (int)type, tier);
      Codebook codebook(zeros, 1, d);
      std::vector<uint16_t> x((size_t)d);
      const int32_t code = 0;
      for (int high = 0; high < 256; ++high) {
        bool finite = true;
        std::vector<double> expected((size_t)d), counts(1), sums((size_t)d);
        for (int low = 0; low < 256; ++low) {
          x[(size_t)low] = (uint16_t)(high << 8 | low);
          expected[(size_t)low] = 0.0 + (double)naive_widen(x[(size_t)low], type == NAS_BFLOAT16 ? 8 : 5);
          finite = finite && fabs(expected[(size_t)low]) < (double)INFINITY;
        }
        int64_t bad = 5;
        const nas_status status = nas_accumulate(codebook.handle, x.data(), type, 1, d, &code,
                                                 counts.data(), sums.data(), &bad, nullptr);
        CHECK(status == (finite ? NAS_OK : NAS_NON_FINITE) && bad == (finite ? -1 : 0));
        CHECK(!finite || same_bits(sums, expected));
      }
    }
  }
}

/* A codeword that would overflow, from rows that are all finite. */
static void test_update_overflow() {
  const float largest = std::numeric_limits<float>::max();
  for (int tier : tiers()) {
    nas_set_tier(tier);
    context = text("update overflow tier %d", tier);
    for (int64_t d : {1, 16, 33}) {
      const std::vector<float> e((size_t)(3 * d), 1.0f);
      std::vector<float> x((size_t)(4 * d), 1.0f);
      x[(size_t)(2 * d - 1)] = x[(size_t)(4 * d - 1)] = largest;
      const int32_t codes[] = {0, 2, 1, 2};
      Codebook codebook(e, 3, d);
      int64_t bad = 5;
      CHECK(nas_update(codebook.handle, x.data(), NAS_FLOAT32, 4, d, codes, 0.0, 1e-5, 0, &bad,
                       nullptr) == NAS_NON_FINITE);
      CHECK(bad == -1);
      CHECK(strstr(nas_last_error(), "codeword 2 ") != nullptr);
      CHECK(State(3, d, e).matches(codebook.handle));
    }
  }
}

/* Numbers worked by hand: gamma = 1/2, epsilon = 1/2, all of them exact in binary. */
static void test_update_by_hand() {
  context = "update by hand";
  Codebook codebook({4.0f, 8.0f}, 2, 1);
  const double counts[] = {3.0, 0.0}, sums[] = {12.0, 0.0};
  CHECK(nas_apply(codebook.handle, counts, sums, 0.5, 0.5, 1.0, nullptr) == NAS_OK);
  /* n = (2, 1/2), m = (8, 4), S = 5/2, h = (5/2)/(7/2)*(5/2), (1)/(7/2)*(5/2). */
  float e[2], m[2];
  double n[2];
  int32_t dead[2];
  CHECK(nas_codebook_read(codebook.handle, e, n, m, dead, nullptr) == NAS_OK);
  CHECK(n[0] == 2.0 && n[1] == 0.5);
  CHECK(m[0] == 8.0f && m[1] == 4.0f);
  CHECK(fabs(e[0] - 4.48) < 1e-6 && fabs(e[1] - 5.6) < 1e-6);
  CHECK(dead[0] == 0 && dead[1] == 1);
}

int main() {
  test_update();
  test_update_types();
  test_widening();
  test_update_overflow();
  test_update_by_hand();
  return conclude();
}
