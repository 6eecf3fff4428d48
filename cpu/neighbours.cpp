/* Neighbour lists. */
#include <math.h>

#include <algorithm>

#include "../common/distance.h"
#include "screen.h"

namespace nas {
namespace {

const int64_t kScoreBytes = 1 << 20; /* bounds of a block of codes against all codes, about */

struct Neighbour {
  double distance;
  int32_t code;
};

struct Worker {
  Screener screener;
  Buffer<float> upper;
  Buffer<int32_t> candidates;
  Buffer<double> distances;
  Buffer<Neighbour> neighbours;
};

struct Request {
  const nas_codebook *codebook;
  const Tier *tier;
  int64_t R;
  const uint8_t *live;
  int32_t *out;

  bool allowed(int64_t j, int64_t l) const { return l != j && (live == nullptr || live[l] != 0); }

  /* Sorts the list of code j and writes it. */
  void answer(int64_t j, Neighbour *list, int64_t count) const {
    auto before = [](const Neighbour &a, const Neighbour &b) {
      return nearer(a.distance, a.code, b.distance, b.code);
    };
    const int64_t kept = count < R ? count : R;
    if (kept < count) std::nth_element(list, list + kept, list + count, before);
    std::sort(list, list + kept, before);
    for (int64_t r = 0; r < R; ++r) out[j * R + r] = r < kept ? list[r].code : -1;
  }
};

void scan_code(const Request &request, Worker &worker, int64_t j) {
  const nas_codebook &codebook = *request.codebook;
  const float *e = codebook.e.get();
  request.tier->distances(e + j * codebook.d, e, codebook.K, codebook.d, worker.distances.get());
  int64_t count = 0;
  for (int64_t l = 0; l < codebook.K; ++l) {
    if (request.allowed(j, l)) worker.neighbours[count++] = {worker.distances[l], (int32_t)l};
  }
  request.answer(j, worker.neighbours.get(), count);
}

/* An upper bound of the R-th least of the allowed codes' upper bounds, INFINITY if they are fewer: by
 * the least ones of groups of codes, if these are enough. */
float kth_upper(const Request &request, Worker &worker, int64_t i, int64_t j) {
  const int64_t K = request.codebook->K, R = request.R;
  float *upper = worker.upper.get();
  worker.screener.upper(i, upper);
  upper[j] = INFINITY;
  if (request.live != nullptr) {
    for (int64_t l = 0; l < K; ++l) {
      if (request.live[l] == 0) upper[l] = INFINITY;
    }
  }
  /* Group g holds the codes g, g + groups, g + 2*groups, ... */
  int64_t groups = K;
  while (groups % 2 == 0 && groups >= 8 * R) {
    groups /= 2;
    for (int64_t g = 0; g < groups; ++g) {
      upper[g] = upper[g + groups] < upper[g] ? upper[g + groups] : upper[g];
    }
  }
  if (groups < R) return INFINITY;
  std::nth_element(upper, upper + R - 1, upper + groups);
  return upper[R - 1];
}

/* Lists of the codes from..from+rows-1. */
void screen_codes(const Request &request, Worker &worker, Precision precision, int64_t from,
                  int64_t rows) {
  const nas_codebook &codebook = *request.codebook;
  const Tier &tier = *request.tier;
  const int64_t d = codebook.d, R = request.R, padded = codebook.panel_count() * kPanel;
  const float *e = codebook.e.get();
  Screener &screener = worker.screener;
  screener.begin(codebook, tier, precision, false, e + from * d, d, nullptr, rows);
  screener.screen(0, codebook.panel_count());
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t j = from + i;
    if (!screener.screened(i)) {
      scan_code(request, worker, j);
      continue;
    }
    /* At least R allowed codes are not farther than the R-th least upper bound. */
    const float upper = kth_upper(request, worker, i, j);
    const float *lower = screener.lower(i);
    int32_t *codes = worker.candidates.get();
    int64_t found = tier.collect(lower, padded,
                                 upper < INFINITY ? screener.threshold(i, upper) : INFINITY, 0, codes,
                                 padded);
    int64_t count = 0;
    for (int64_t c = 0; c < found; ++c) {
      if (codes[c] < codebook.K && request.allowed(j, codes[c])) codes[count++] = codes[c];
    }
    /* The distances of the R most promising ones rule out most of the others. */
    int64_t kept = count;
    double *distances = worker.distances.get();
    Neighbour *list = worker.neighbours.get();
    if (count > R) {
      std::nth_element(codes, codes + R, codes + count, [lower](int32_t a, int32_t b) {
        return lower[a] < lower[b];
      });
      tier.distances_of(e + j * d, e, codes, R, d, distances);
      const float threshold =
          screener.threshold_of(i, *std::max_element(distances, distances + R));
      kept = R;
      for (int64_t c = R; c < count; ++c) {
        if (lower[codes[c]] <= threshold) codes[kept++] = codes[c];
      }
      tier.distances_of(e + j * d, e, codes + R, kept - R, d, distances + R);
    } else {
      tier.distances_of(e + j * d, e, codes, count, d, distances);
    }
    for (int64_t c = 0; c < kept; ++c) list[c] = {distances[c], codes[c]};
    request.answer(j, list, kept);
  }
}

}  // namespace
}  // namespace nas

using namespace nas;

nas_status nas_neighbours(const nas_codebook *codebook, int64_t R, const uint8_t *live, int32_t *out,
                          void *stream) {
  static const char *const function = "nas_neighbours";
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_pointer(function, "out", out, alignof(int32_t)));
  NAS_TRY(check_stream(function, stream));
  if (R < 1 || R > 1024) {
    return fail(NAS_INVALID_ARGUMENT, "%s: R is %lld, must be 1 to 1024 neighbours", function,
                (long long)R);
  }
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  const int64_t K = codebook->K, panels = codebook->panel_count(), padded = panels * kPanel;
  int64_t packing_ns = 0;
  bool screened = false, int8 = false;
  if (tier.screen != nullptr) {
    const int64_t bytes = K * codebook->d * (int64_t)sizeof(float);
    if (!pack(*codebook, tier, kPackedNorms, &packing_ns)) return out_of_memory(function, bytes);
    screened = codebook->screening.screenable;
    int8 = screened && tier.screen_int8 != nullptr;
    if (screened && !pack(*codebook, tier, int8 ? kPackedInt8 : kPackedFloat32, &packing_ns)) {
      return out_of_memory(function, bytes);
    }
  }
  const Precision precision = int8 ? Precision::kInt8 : Precision::kFloat32;
  int64_t block = 4;
  if (screened) {
    /* Whole tiles, but as many blocks as threads where there are codes enough. */
    const int64_t tile = int8 ? tier.int8_rows_per_tile : tier.rows_per_tile;
    int64_t tiles = kScoreBytes / ((int64_t)sizeof(float) * padded * tile);
    const int64_t share = K / (2 * (int64_t)thread_limit() * tile);
    if (tiles > share) tiles = share;
    if (tiles > 8) tiles = 8;
    block = tile * (tiles > 1 ? tiles : 1);
  }
  const int64_t tasks = (K + block - 1) / block;
  const int threads = (int64_t)thread_limit() < tasks ? thread_limit() : (int)tasks;
  const int64_t bytes =
      threads * (padded * (int64_t)(sizeof(float) * (block + 1) + sizeof(Neighbour) + 12));
  PerWorker<Worker> workers;
  if (!workers.allocate(threads)) return out_of_memory(function, bytes);
  for (int i = 0; i < threads; ++i) {
    Worker &worker = workers[i];
    if (!worker.distances.allocate(K) || !worker.neighbours.allocate(padded) ||
        (screened && (!worker.screener.reserve(*codebook, tier, precision, block, panels) ||
                      !worker.upper.allocate(K) || !worker.candidates.allocate(padded)))) {
      return out_of_memory(function, bytes);
    }
  }
  Request request{codebook, &tier, R, live, out};
  auto body = [&](int64_t task, int worker) {
    const int64_t from = task * block, rows = K - from < block ? K - from : block;
    if (screened) {
      screen_codes(request, workers[worker], precision, from, rows);
    } else {
      for (int64_t j = from; j < from + rows; ++j) scan_code(request, workers[worker], j);
    }
  };
  parallel(tasks, threads, body);
  return NAS_OK;
}
