/* Lookups: of every kind of data and type of row, by every path, and with rows that are not finite. */
#include "test.h"

static void test_lookup_case(int kind, int64_t K, int64_t d, int64_t rows) {
  std::vector<float> e, x;
  make_data(kind, K, d, rows, e, x);
  std::vector<int32_t> indices((size_t)rows);
  std::vector<float> distances((size_t)rows);
  for (int64_t i = 0; i < rows; ++i) {
    naive_lookup(e, K, d, &x[(size_t)(i * d)], &indices[(size_t)i], &distances[(size_t)i]);
  }
  const int64_t stride = d + pick(0, 3);
  /* The last row is followed by the guard page, not by a gap. */
  std::vector<float> strided((size_t)((rows - 1) * stride + d), NAN);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(&x[(size_t)(i * d)], d, &strided[(size_t)(i * stride)]);
  }
  Guarded<float> input(strided, pick(0, 1));
  Codebook codebook(e, K, d);
  for (const Way &way : ways()) {
    way.use();
    for (int threads : {1, 3}) {
      nas_set_threads(threads);
      context = text("lookup kind %d K %d d %d rows %d tier %d int8 %d threads %d", kind, (int)K, (int)d,
                     (int)rows, way.tier, way.int8, threads);
      Guarded<int32_t> out((size_t)rows, pick(0, 1));
      Guarded<float> out_distances((size_t)rows, pick(0, 1));
      int64_t bad = 5;
      CHECK(nas_lookup(codebook.handle, input.get(), NAS_FLOAT32, rows, stride, out.get(), nullptr, &bad, nullptr,
                       nullptr) == NAS_OK);
      CHECK(bad == -1);
      CHECK(same_bits(out.copy(), indices));
      std::fill_n(out.get(), rows, -1);
      CHECK(lookup_float32(codebook.handle, input.get(), rows, stride, out.get(), out_distances.get(),
                       nullptr) == NAS_OK);
      CHECK(same_bits(out.copy(), indices));
      CHECK(same_bits(out_distances.copy(), distances));
    }
  }
}

static void test_lookup() {
  for (int64_t d = 1; d <= 70; ++d) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      test_lookup_case((int)pick(0, kDataKinds - 1), pick(1, 140), d, pick(1, 40));
    }
  }
  for (int64_t d : {127, 128, 129, 255, 256, 257, 511, 513, 768, 1031, 4096}) {
    for (int kind = 0; kind < kDataKinds; ++kind) {
      test_lookup_case(kind, pick(1, 70), d, pick(1, 20));
    }
  }
  for (int kind = 0; kind < kDataKinds; ++kind) {
    test_lookup_case(kind, 1, pick(1, 30), 17);
    test_lookup_case(kind, pick(500, 1100), pick(1, 24), pick(100, 300));
    test_lookup_case(kind, pick(2, 64), pick(1, 8), pick(600, 900));
  }
  for (int64_t d : {60, 250, 700, 1500}) test_lookup_case(kPermuted, 200, d, 40);
  test_lookup_case(kGaussian, NAS_MAX_CODEWORDS, 3, 5);
  test_lookup_case(kIntegers, NAS_MAX_CODEWORDS, 9, 3);
}

/* Screening must keep the nearest codeword where the margin is far below float32 resolution: the
 * codewords lie on a tiny sphere around each row. */
static void test_lookup_resolution() {
  for (int repeat = 0; repeat < 30; ++repeat) {
    const int64_t K = 97, d = pick(2, 400), rows = 11;
    std::vector<float> e((size_t)(K * d)), x((size_t)(rows * d)), centre((size_t)d);
    for (float &value : centre) value = gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = centre[(size_t)t] + 1e-5f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) x[(size_t)(i * d + t)] = centre[(size_t)t] * (float)(1 + i * i);
    }
    Codebook codebook(e, K, d);
    for (const Way &way : ways()) {
      way.use();
      context = text("resolution d %d tier %d int8 %d", (int)d, way.tier, way.int8);
      std::vector<int32_t> out((size_t)rows);
      CHECK(lookup_float32(codebook.handle, x.data(), rows, d, out.data(), nullptr, nullptr) ==
            NAS_OK);
      for (int64_t i = 0; i < rows; ++i) {
        int32_t index;
        float distance;
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(out[(size_t)i] == index);
      }
    }
  }
}

/* All integers of rows and codewords at their ends, so that products add up to the most there can be in
 * 16 bits, and to the least: codewords of +-1 with their opposites, so that the mean is 0, and rows of
 * +-3 that are parallel to them but for a few elements. */
static void test_lookup_corners() {
  for (int64_t d : {4, 8, 12, 33, 64, 192, 200, 768, 4096}) {
    const int64_t K = 64, rows = 40;
    std::vector<float> e((size_t)(K * d)), x((size_t)(rows * d));
    std::vector<int32_t> truth((size_t)rows);
    for (int64_t j = 0; j < K; j += 2) {
      for (int64_t t = 0; t < d; ++t) {
        float &value = e[(size_t)(j * d + t)];
        value = j == 0 || pick(0, 7) != 0 ? 1.0f : -1.0f;
        e[(size_t)((j + 1) * d + t)] = -value;
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t z = i < 2 ? i : pick(0, K - 1);
      for (int64_t t = 0; t < d; ++t) x[(size_t)(i * d + t)] = 3 * e[(size_t)(z * d + t)];
      if (i >= 2) x[(size_t)(i * d + pick(0, d - 1))] *= -1.0f;
      float distance;
      naive_lookup(e, K, d, &x[(size_t)(i * d)], &truth[(size_t)i], &distance);
    }
    Codebook codebook(e, K, d);
    for (const Way &way : ways()) {
      way.use();
      context = text("corners d %d tier %d int8 %d", (int)d, way.tier, way.int8);
      std::vector<int32_t> out((size_t)rows);
      CHECK(lookup_float32(codebook.handle, x.data(), rows, d, out.data(), nullptr, nullptr) ==
            NAS_OK);
      CHECK(out == truth);
    }
  }
}

static float widen_by_definition(uint16_t bits, int32_t type) {
  if (type == NAS_BFLOAT16) {
    const uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
  }
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction != 0 ? NAN : (float)(sign * INFINITY);
  return (float)(sign * (exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25)));
}

/* Rows of the narrower types: like the float32 rows that they stand for. */
static void test_lookup_types() {
  for (int32_t type : {NAS_BFLOAT16, NAS_FLOAT16}) {
    for (int64_t d : {1, 5, 16, 33, 130}) {
      const int64_t K = pick(1, 90), rows = pick(1, 150), stride = d + pick(0, 3);
      context = text("type %d, d %d, K %d, rows %d", (int)type, (int)d, (int)K, (int)rows);
      std::vector<float> e((size_t)(K * d)), wide((size_t)(rows * d));
      std::vector<uint16_t> x((size_t)((rows - 1) * stride + d), 0x7fff); /* gaps are NaN */
      for (float &value : e) value = gaussian();
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t t = 0; t < d; ++t) {
          uint16_t bits;
          do {
            bits = (uint16_t)pick(0, 65535);
            if (pick(0, 3) != 0) { /* of the order of the codewords */
              bits = (uint16_t)((bits & 0x83ff) | (type == NAS_FLOAT16 ? 0x3c00 : 0x3f80));
            }
          } while (!std::isfinite(widen_by_definition(bits, type)));
          x[(size_t)(i * stride + t)] = bits;
          wide[(size_t)(i * d + t)] = widen_by_definition(bits, type);
        }
      }
      const Codebook codebook(e, K, d);
      Guarded<uint16_t> input(x);
      for (const Way &way : ways()) {
        way.use();
        Guarded<int32_t> out((size_t)rows);
        Guarded<float> distances((size_t)rows);
        CHECK(nas_lookup(codebook.handle, input.get(), type, rows, stride, out.get(),
                         distances.get(), nullptr, nullptr, nullptr) == NAS_OK);
        for (int64_t i = 0; i < rows; ++i) {
          int32_t index;
          float distance;
          naive_lookup(e, K, d, &wide[(size_t)(i * d)], &index, &distance);
          CHECK(out[(size_t)i] == index && same_bits(&distances[(size_t)i], &distance, 1));
        }
        const uint16_t kept = input[0];
        input[0] = type == NAS_FLOAT16 ? 0x7c00 : 0x7f80;
        int64_t bad = -1;
        CHECK(nas_lookup(codebook.handle, input.get(), type, rows, stride, out.get(), nullptr, &bad,
                         nullptr, nullptr) == NAS_NON_FINITE);
        CHECK(bad == 0);
        input[0] = kept;
      }
    }
  }
}

/* The path that a lookup takes, so that no fast one can vanish unseen. */
static void test_lookup_stats() {
  const int64_t K = 600, d = 128, rows = 900;
  std::vector<float> e((size_t)(K * d)), x((size_t)(rows * d));
  std::vector<int32_t> out((size_t)rows);
  nas_lookup_stats stats;
  auto look_up = [&](const Codebook &codebook) {
    CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, out.data(), nullptr, nullptr,
                     &stats, nullptr) == NAS_OK);
    CHECK(stats.rows_int8 + stats.rows_float32 + stats.rows_scanned == rows);
    for (int64_t i = 0; i < rows; i += 97) {
      int32_t index;
      float distance;
      naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
      CHECK(out[(size_t)i] == index);
    }
  };
  for (const Way &way : ways()) {
    way.use();
    const bool int8 = way.int8;
    context = text("stats, tier %d int8 %d", way.tier, way.int8);

    for (float &value : e) value = gaussian();
    for (float &value : x) value = gaussian();
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.tier == way.tier);
      CHECK((way.scalar()) == (stats.packing_ns == 0));
      CHECK(stats.rows_scanned == (way.scalar() ? rows : 0));
      CHECK(stats.rows_int8 == (int8 ? rows : 0));
      if (way.scalar()) continue;
      CHECK(stats.candidates >= rows && stats.candidates < (int8 ? 12 * rows : rows + rows / 50));
      CHECK(stats.distances <= stats.candidates);
      CHECK(stats.rows_float64 <= (int8 ? rows : rows / 50));
      look_up(codebook);
      CHECK(stats.packing_ns == 0);
      CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) ==
            NAS_OK);
      look_up(codebook);
      CHECK(stats.packing_ns > 0);
    }

    /* Repeated codewords are screened once. */
    for (int64_t j = 1; j < K; ++j) {
      if (j % 3 != 0) std::copy_n(&e[(size_t)(j / 3 * 3 * d)], d, &e[(size_t)(j * d)]);
    }
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(&e[(size_t)(pick(0, K - 1) * d)], d, &x[(size_t)(i * d)]);
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.candidates == rows && stats.rows_scanned == 0);
    }

    /* Two bundles of codewords that int8 can't tell apart, but float32 can. */
    std::vector<float> centre((size_t)d);
    for (float &value : centre) value = 10 * gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = (j % 2 == 0 ? 1.0f : -1.0f) * centre[(size_t)t] + 0.07f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) {
        x[(size_t)(i * d + t)] = e[(size_t)(i % K * d + t)] + 0.02f * gaussian();
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned == 0 && stats.rows_float32 > 0);
      if (int8) CHECK(stats.rows_int8 < rows);
    }

    /* Bundles small enough for int8's candidates, but too costly: the path changes on the way. */
    std::vector<float> centres((size_t)(4 * d));
    for (float &value : centres) value = 10 * gaussian();
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        e[(size_t)(j * d + t)] = centres[(size_t)(j % 4 * d + t)] + 0.01f * gaussian();
      }
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t t = 0; t < d; ++t) {
        x[(size_t)(i * d + t)] = e[(size_t)(i % K * d + t)] + 0.004f * gaussian();
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned == 0 && stats.rows_float32 > 0);
      if (int8) CHECK(stats.rows_int8 > 0);
    }

    /* One ulp apart: nothing but float64 can tell. */
    for (int64_t j = 0; j < K; ++j) {
      for (int64_t t = 0; t < d; ++t) {
        const float value = (j % 2 == 0 ? 1.0f : -1.0f) * centre[(size_t)t];
        e[(size_t)(j * d + t)] = pick(0, 1) == 0 ? value : nextafterf(value, 0.0f);
      }
    }
    {
      const Codebook codebook(e, K, d);
      look_up(codebook);
      CHECK(stats.rows_scanned + stats.rows_float64 > 0);
    }
  }
}

/* Codewords close around few points, which are looked up in groups. */
static void test_lookup_groups() {
  const int64_t K = 1100, d = 70, rows = 2600;
  for (int64_t centres : {2, 3, 31}) {
    for (bool ulp : {false, true}) {
      std::vector<float> middle((size_t)(centres * d)), e((size_t)(K * d)), x((size_t)(rows * d));
      for (float &value : middle) value = 20 * gaussian();
      for (int64_t j = 0; j < K; ++j) {
        /* Most of them around the first, so that there are more than a list of candidates holds. */
        const int64_t centre = j < K / 2 ? 0 : pick(0, centres - 1);
        for (int64_t t = 0; t < d; ++t) {
          const float value = middle[(size_t)(centre * d + t)];
          e[(size_t)(j * d + t)] = !ulp             ? value + 0.01f * gaussian()
                                   : pick(0, 1) == 0 ? value
                                                     : nextafterf(value, 0.0f);
        }
      }
      /* One far from all others, and one that is repeated. */
      for (int64_t t = 0; t < d; ++t) e[(size_t)(500 * d + t)] = -30.0f;
      std::copy_n(&e[(size_t)(100 * d)], d, &e[(size_t)(800 * d)]);
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t near = pick(0, K - 1), other = pick(0, K - 1);
        for (int64_t t = 0; t < d; ++t) {
          x[(size_t)(i * d + t)] = i % 3 == 0   ? e[(size_t)(near * d + t)]
                                   : i % 3 == 1 ? (e[(size_t)(near * d + t)] + e[(size_t)(other * d + t)]) / 2
                                                : e[(size_t)(near * d + t)] + gaussian();
        }
      }
      std::vector<int32_t> indices((size_t)rows), without(indices), truth(indices);
      std::vector<float> distances((size_t)rows), true_distances(distances);
      for (int64_t i = 0; i < rows; ++i) {
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &truth[(size_t)i], &true_distances[(size_t)i]);
      }
      const Codebook codebook(e, K, d);
      std::vector<float> bad = x;
      for (int64_t row : {1900, 2500}) bad[(size_t)(row * d + pick(0, d - 1))] = NAN;
      for (const Way &way : ways()) {
        way.use();
        context = text("groups, %d centres, ulp %d, tier %d int8 %d", (int)centres, (int)ulp,
                       way.tier, way.int8);
        nas_lookup_stats stats;
        for (int repeat = 0; repeat < 2; ++repeat) {
          std::fill(indices.begin(), indices.end(), -1);
          CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, indices.data(),
                           distances.data(), nullptr, &stats, nullptr) == NAS_OK);
          CHECK(indices == truth && distances == true_distances);
          CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, without.data(), nullptr,
                           nullptr, nullptr, nullptr) == NAS_OK);
          CHECK(without == truth);
          CHECK(stats.rows_int8 + stats.rows_float32 + stats.rows_scanned == rows);
          /* By groups almost nothing is left to scan, and int8 does what it could not do before. */
          if (!way.scalar()) CHECK(stats.rows_scanned < rows / 10);
          if (way.int8) CHECK(stats.rows_int8 > rows / 2);
        }
        int64_t row = 0;
        CHECK(nas_lookup(codebook.handle, bad.data(), NAS_FLOAT32, rows, d, indices.data(),
                         nullptr, &row, nullptr, nullptr) == NAS_NON_FINITE);
        CHECK(row == 1900);
      }
      /* Groups go with the codewords they were made of. */
      for (float &value : e) value = gaussian();
      CHECK(nas_codebook_write(codebook.handle, e.data(), nullptr, nullptr, nullptr, nullptr) == NAS_OK);
      ways().back().use();
      CHECK(nas_lookup(codebook.handle, x.data(), NAS_FLOAT32, rows, d, indices.data(), nullptr, nullptr,
                       nullptr, nullptr) == NAS_OK);
      for (int64_t i = 0; i < rows; i += 19) {
        int32_t index;
        float distance;
        naive_lookup(e, K, d, &x[(size_t)(i * d)], &index, &distance);
        CHECK(indices[(size_t)i] == index);
      }
    }
  }
}

static void test_lookup_non_finite() {
  const float bad_values[] = {NAN, -NAN, INFINITY, -INFINITY};
  for (int repeat = 0; repeat < 60; ++repeat) {
    const int64_t K = pick(1, 70), d = pick(1, 300), rows = pick(1, 400);
    std::vector<float> e, x;
    make_data(repeat % 7 == 0 ? kHuge : kGaussian, K, d, rows, e, x);
    int64_t lowest = rows;
    for (int64_t n = pick(1, 4); n > 0; --n) {
      const int64_t row = pick(0, rows - 1);
      x[(size_t)(row * d + pick(0, d - 1))] = bad_values[pick(0, 3)];
      lowest = std::min(lowest, row);
    }
    Codebook codebook(e, K, d);
    Guarded<float> input(x);
    std::vector<int32_t> out((size_t)rows);
    for (const Way &way : ways()) {
      way.use();
      nas_set_threads(1 + repeat % 3);
      context = text("non-finite K %d d %d rows %d tier %d int8 %d", (int)K, (int)d, (int)rows,
                     way.tier, way.int8);
      int64_t bad = -7;
      CHECK(lookup_float32(codebook.handle, input.get(), rows, d, out.data(), nullptr, &bad) ==
            NAS_NON_FINITE);
      CHECK(bad == lowest);
      CHECK(strstr(nas_last_error(), text("row %lld ", (long long)lowest).c_str()) != nullptr);
      CHECK(nas_lookup(codebook.handle, input.get(), NAS_FLOAT32, rows, d, out.data(), nullptr, nullptr, nullptr,
                       nullptr) == NAS_NON_FINITE);
    }
  }
}

/* Distances above the largest float32 become infinity; the index is still right. */
static void test_overflowing_distance() {
  context = "overflowing distance";
  const float largest = std::numeric_limits<float>::max();
  for (const Way &way : ways()) {
    way.use();
    Codebook codebook({largest, -largest}, 2, 1);
    const float x[] = {0.0f, -1.0f};
    int32_t indices[2];
    float distances[2];
    CHECK(lookup_float32(codebook.handle, x, 2, 1, indices, distances, nullptr) == NAS_OK);
    CHECK(indices[0] == 0 && indices[1] == 0); /* |largest + 1| rounds to largest in float64 too */
    CHECK(distances[0] == INFINITY && distances[1] == INFINITY);
  }
}

int main() {
  test_lookup();
  test_lookup_types();
  test_lookup_stats();
  test_lookup_groups();
  test_lookup_resolution();
  test_lookup_corners();
  test_lookup_non_finite();
  test_overflowing_distance();
  return conclude();
}
