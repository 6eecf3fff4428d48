/* Neighbour lists. */
#include <float.h>
#include <math.h>
#include <string.h>

#include <algorithm>

#include "../common/arithmetic.h"
#include "../common/distance.h"
#include "screen.h"

namespace nas {
namespace {

const int64_t kScoreBytes = 1 << 20; /* bounds of a block of codes against all codes, about */

struct Neighbour {
  double distance;
  int32_t code;
};

bool before(const Neighbour &a, const Neighbour &b) {
  return nearer(a.distance, a.code, b.distance, b.code);
}

/* A row of a block that is screened, and its two parts of the block's pairs. */
struct Row {
  int64_t first[2], last[2];
  float threshold; /* of the first part */
  double reach;    /* R codes are not farther */
};

struct Worker {
  Buffer<double> distances;     /* K */
  Buffer<Neighbour> neighbours; /* K */

  Screener screener;
  Buffer<Row> rows;
  /* The candidates of a block as pairs of a row and a code. */
  Buffer<int32_t> codes, pair_rows, order; /* [(rows + 1) * padded K] */
  Buffer<float> estimates;
  Buffer<int32_t> starts;          /* K + 1 */
  Buffer<int32_t> block_codes;     /* rows */
  Buffer<float> block_estimates;   /* rows */
  Buffer<float> scratch;           /* padded K */
  Buffer<int32_t> tied;            /* padded K */
  Buffer<uint64_t> keys;           /* padded K */

  bool allocate(int64_t K) { return distances.allocate(K) && neighbours.allocate(K); }
  bool allocate_block(int64_t K, int64_t padded, int64_t block) {
    const int64_t pairs = (block + 1) * padded;
    return rows.allocate(block) && codes.allocate(pairs) && pair_rows.allocate(pairs) &&
           order.allocate(pairs) && estimates.allocate(pairs) && starts.allocate(K + 1) &&
           block_codes.allocate(block) && block_estimates.allocate(block) &&
           scratch.allocate(padded) && tied.allocate(padded) && keys.allocate(padded);
  }
};

struct Request {
  const nas_codebook *codebook;
  const Tier *tier;
  int64_t R;
  const uint8_t *live;
  const int32_t *dead; /* the codes that are not live */
  int64_t dead_count;
  int32_t *out;

  bool allowed(int64_t j, int64_t l) const { return l != j && (live == nullptr || live[l] != 0); }

  /* Sorts the list of code j and writes it. */
  void answer(int64_t j, Neighbour *list, int64_t count) const {
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

/* What an estimate says of a distance as computed. */
class Estimates {
 public:
  explicit Estimates(int64_t d) : slack_(estimate_slack(d)) {}
  double lower(float estimate) const { return estimate * (1.0 - slack_) - kEstimateUnderflow; }
  double upper(float estimate) const { return estimate * (1.0 + slack_) + kEstimateUnderflow; }

 private:
  double slack_;
};

/* Sorts estimates, which are not negative, and their codes. */
uint64_t key_of(float estimate, int32_t code) {
  return (uint64_t)float_bits(estimate) << 32 | (uint32_t)code;
}
float estimate_of(uint64_t key) {
  const uint32_t bits = (uint32_t)(key >> 32);
  float estimate;
  memcpy(&estimate, &bits, sizeof estimate);
  return estimate;
}
int32_t code_of(uint64_t key) { return (int32_t)(uint32_t)key; }

/* Estimates of the pairs first..last-1. By codes, so that one that several rows of the block have found is read once. */
void estimate(const Request &request, Worker &worker, int64_t from, int64_t first,
              int64_t last) {
  const nas_codebook &codebook = *request.codebook;
  const int64_t K = codebook.K, d = codebook.d;
  const float *e = codebook.e.get();
  int32_t *starts = worker.starts.get(), *order = worker.order.get();
  const int32_t *codes = worker.codes.get(), *pair_rows = worker.pair_rows.get();
  memset(starts, 0, (size_t)(K + 1) * sizeof(int32_t));
  for (int64_t p = first; p < last; ++p) ++starts[codes[p] + 1];
  for (int64_t l = 0; l < K; ++l) starts[l + 1] += starts[l];
  for (int64_t p = first; p < last; ++p) order[starts[codes[p]]++] = (int32_t)p;
  int32_t *block_codes = worker.block_codes.get();
  float *estimates = worker.block_estimates.get();
  for (int64_t begin = 0, end; begin < last - first; begin = end) {
    const int32_t code = codes[order[begin]];
    end = starts[code];
    const int64_t count = end - begin;
    for (int64_t c = 0; c < count; ++c) {
      block_codes[c] = (int32_t)from + pair_rows[order[begin + c]];
    }
    request.tier->estimates_of(e + code * d, e, block_codes, count, d, estimates);
    for (int64_t c = 0; c < count; ++c) worker.estimates[order[begin + c]] = estimates[c];
  }
}

/* Puts the `count` nearest by estimate in their true order and writes the list of code j. */
void answer_estimated(const Request &request, Worker &worker, const Estimates &estimates, int64_t j,
                      uint64_t *keys, int64_t count) {
  const nas_codebook &codebook = *request.codebook;
  const int64_t d = codebook.d, R = request.R;
  const float *e = codebook.e.get();
  std::sort(keys, keys + count);
  int32_t *out = request.out + j * R;
  for (int64_t begin = 0, end; begin < count && begin < R; begin = end) {
    /* Estimates that leave the order open, in a chain. */
    for (end = begin + 1; end < count; ++end) {
      if (estimates.upper(estimate_of(keys[end - 1])) < estimates.lower(estimate_of(keys[end]))) break;
    }
    if (end == begin + 1) {
      out[begin] = code_of(keys[begin]);
      continue;
    }
    int32_t *codes = worker.tied.get();
    double *distances = worker.distances.get();
    Neighbour *list = worker.neighbours.get();
    for (int64_t c = begin; c < end; ++c) codes[c - begin] = code_of(keys[c]);
    request.tier->distances_of(e + j * d, e, codes, end - begin, d, distances);
    for (int64_t c = 0; c < end - begin; ++c) list[c] = {distances[c], codes[c]};
    const int64_t kept = std::min(end, R) - begin;
    std::partial_sort(list, list + kept, list + (end - begin), before);
    for (int64_t c = 0; c < kept; ++c) out[begin + c] = list[c].code;
  }
  for (int64_t r = count; r < R; ++r) out[r] = -1;
}

/* Lists of the codes from..from+rows-1. */
void screen_codes(const Request &request, Worker &worker, Precision precision, int64_t from,
                  int64_t rows) {
  const nas_codebook &codebook = *request.codebook;
  const Tier &tier = *request.tier;
  const int64_t d = codebook.d, R = request.R, padded = codebook.panel_count() * kPanel;
  Screener &screener = worker.screener;
  screener.begin(codebook, tier, precision, false, codebook.e.get() + from * d, d, nullptr, rows);
  screener.screen(0, codebook.panel_count());
  const Estimates estimates(d);
  int32_t *codes = worker.codes.get(), *pair_rows = worker.pair_rows.get();
  Row *found = worker.rows.get();

  /* The R most promising codes of each row, or a few more, ... */
  int64_t pairs = 0;
  for (int64_t i = 0; i < rows; ++i) {
    found[i].first[0] = found[i].last[0] = pairs;
    if (!screener.screened(i)) continue;
    float *lower = screener.lower(i);
    lower[from + i] = INFINITY;
    for (int64_t c = 0; c < request.dead_count; ++c) lower[request.dead[c]] = INFINITY;
    found[i].threshold = tier.least_threshold(lower, padded, R, worker.scratch.get());
    pairs += tier.collect(lower, padded, found[i].threshold, 0, codes + pairs, padded);
    found[i].last[0] = pairs;
    for (int64_t p = found[i].first[0]; p < pairs; ++p) pair_rows[p] = (int32_t)i;
  }
  estimate(request, worker, from, 0, pairs);

  /* ... whose distances rule out most of the others, ... */
  const int64_t first_pairs = pairs;
  for (int64_t i = 0; i < rows; ++i) {
    found[i].first[1] = found[i].last[1] = pairs;
    found[i].reach = INFINITY;
    const int64_t count = found[i].last[0] - found[i].first[0];
    if (!screener.screened(i) || count < R) continue;
    float *near = worker.scratch.get();
    std::copy_n(&worker.estimates[found[i].first[0]], count, near);
    std::nth_element(near, near + R - 1, near + count);
    found[i].reach = estimates.upper(near[R - 1]);
    const float threshold = screener.threshold_of(i, found[i].reach);
    if (threshold <= found[i].threshold) continue;
    const float *lower = screener.lower(i);
    const int64_t all =
        tier.collect(lower, padded, std::min(threshold, FLT_MAX), 0, codes + pairs, padded);
    const int64_t end = pairs + all;
    for (int64_t p = pairs; p < end; ++p) {
      if (lower[codes[p]] > found[i].threshold) {
        pair_rows[pairs] = (int32_t)i;
        codes[pairs++] = codes[p];
      }
    }
    found[i].last[1] = pairs;
  }
  estimate(request, worker, from, first_pairs, pairs);

  /* ... and what is left is sorted. */
  for (int64_t i = 0; i < rows; ++i) {
    if (!screener.screened(i)) {
      scan_code(request, worker, from + i);
      continue;
    }
    uint64_t *keys = worker.keys.get();
    int64_t count = 0;
    for (int part = 0; part < 2; ++part) {
      for (int64_t p = found[i].first[part]; p < found[i].last[part]; ++p) {
        const float value = worker.estimates[p];
        keys[count] = key_of(value, codes[p]);
        count += estimates.lower(value) <= found[i].reach;
      }
    }
    answer_estimated(request, worker, estimates, from + i, keys, count);
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
      threads * padded * ((screened ? block * 20 + 40 : 0) + (int64_t)sizeof(Neighbour) + 8);
  PerWorker<Worker> workers;
  Buffer<int32_t> dead;
  if (!workers.allocate(threads) || !dead.allocate(live != nullptr ? K : 0)) {
    return out_of_memory(function, bytes);
  }
  for (int i = 0; i < threads; ++i) {
    Worker &worker = workers[i];
    if (!worker.allocate(K) ||
        (screened && (!worker.screener.reserve(*codebook, tier, precision, block, panels) ||
                      !worker.allocate_block(K, padded, block)))) {
      return out_of_memory(function, bytes);
    }
  }
  Request request{codebook, &tier, R, live, dead.get(), 0, out};
  for (int64_t l = 0; live != nullptr && l < K; ++l) {
    dead[request.dead_count] = (int32_t)l;
    request.dead_count += live[l] == 0;
  }
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
