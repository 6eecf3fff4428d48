/* Neighbour lists. */
#include <float.h>
#include <math.h>
#include <string.h>

#include <algorithm>

#include "../common/arithmetic.h"
#include "../common/distance.h"
#include "codebook.h"
#include "failures.h"
#include "float_environment.h"
#include "memory.h"
#include "parallel.h"
#include "screen.h"
#include "tier.h"

namespace nas {
namespace {

const int64_t kScoreBytes = 1 << 20; /* bounds of a block of codes against all codes, about */

/* Of kept lists. */
const int64_t kKept = 8;       /* times R codes for a list */
const int64_t kMostApart = 64; /* codes that are compared with all others */
const double kFarthestMove = 0x1p50;
const double kBelow = 1.0 - 0x1p-20, kAbove = 1.0 + 0x1p-30;

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
  int64_t next;    /* of a kept list, after the first part */
};

struct Worker {
  Buffer<double> distances;     /* K */
  Buffer<Neighbour> neighbours; /* K */

  Screener screener;
  Buffer<int32_t> ids; /* the codes of a block, its rows */
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
    return ids.allocate(block) && rows.allocate(block) && codes.allocate(pairs) && pair_rows.allocate(pairs) &&
           order.allocate(pairs) && estimates.allocate(pairs) && starts.allocate(K + 1) &&
           block_codes.allocate(block) && block_estimates.allocate(block) &&
           scratch.allocate(padded) && tied.allocate(padded) && keys.allocate(padded);
  }
};

struct Request {
  const nas_codebook *codebook;
  const Tier *tier;
  Precision precision;
  int64_t R;
  const uint8_t *live;
  const int32_t *dead; /* the codes that are not live */
  int64_t dead_count;
  int32_t *out;
  KeptNeighbours *keep; /* what is to be made, or NULL */
  int64_t wanted;       /* codes to collect for a list at first, at least R */

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

/* Estimates of the pairs first..last-1. By codes, so that one that several rows of the block have found
 * is read once. */
void estimate(const Request &request, Worker &worker, int64_t first, int64_t last) {
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
      block_codes[c] = worker.ids[pair_rows[order[begin + c]]];
    }
    request.tier->estimates_of(e + code * d, e, block_codes, count, d, estimates);
    for (int64_t c = 0; c < count; ++c) worker.estimates[order[begin + c]] = estimates[c];
  }
}

/* The k-th least of the estimates of `count` pairs. */
float kth_estimate(Worker &worker, int64_t first, int64_t count, int64_t k) {
  float *values = worker.scratch.get();
  std::copy_n(&worker.estimates[first], count, values);
  std::nth_element(values, values + k - 1, values + count);
  return values[k - 1];
}

/* Makes keys of a row's pairs; returns how many are in reach, which come first. */
int64_t gather(Worker &worker, const Estimates &estimates, const Row &row, int64_t *count) {
  uint64_t *keys = worker.keys.get();
  int64_t near = 0, all = 0;
  for (int part = 0; part < 2; ++part) {
    for (int64_t p = row.first[part]; p < row.last[part]; ++p) {
      keys[all] = key_of(worker.estimates[p], worker.codes[p]);
      if (estimates.lower(worker.estimates[p]) <= row.reach) std::swap(keys[all], keys[near++]);
      ++all;
    }
  }
  *count = all;
  return near;
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

/* Keeps the `count` codes of keys, of which the first ones are the nearest, for the list of code j; all
 * other live codes are farther than `beyond`. */
void keep_list(const Request &request, const Estimates &estimates, int64_t j, const uint64_t *keys,
               int64_t count, double beyond) {
  KeptNeighbours &keep = *request.keep;
  const int64_t kept = std::min(count, keep.stride);
  for (int64_t c = 0; c < count; ++c) {
    const double lower = std::max(0.0, estimates.lower(estimate_of(keys[c])));
    if (c < kept) {
      keep.codes[j * keep.stride + c] = code_of(keys[c]);
      keep.nearest[j * keep.stride + c] = (float)(sqrt(lower) * kBelow);
    } else {
      beyond = std::min(beyond, lower);
    }
  }
  keep.counts[j] = (int32_t)kept;
  keep.horizon[j] = sqrt(std::max(0.0, beyond)) * kBelow;
}

/* Lists of the worker's rows by screening. */
void screen_codes(const Request &request, Worker &worker, int64_t rows) {
  const nas_codebook &codebook = *request.codebook;
  const Tier &tier = *request.tier;
  const int64_t d = codebook.d, R = request.R, padded = codebook.panel_count() * kPanel;
  const int32_t *ids = worker.ids.get();
  Screener &screener = worker.screener;
  screener.begin(codebook, tier, request.precision, false, codebook.e.get(), d, ids, rows);
  screener.screen(0, codebook.panel_count());
  const Estimates estimates(d);
  int32_t *codes = worker.codes.get(), *pair_rows = worker.pair_rows.get();
  Row *found = worker.rows.get();

  /* The most promising codes of each row, at least R, ... */
  int64_t pairs = 0;
  for (int64_t i = 0; i < rows; ++i) {
    found[i].first[0] = found[i].last[0] = pairs;
    if (!screener.screened(i)) continue;
    float *lower = screener.lower(i);
    lower[ids[i]] = INFINITY;
    for (int64_t c = 0; c < request.dead_count; ++c) lower[request.dead[c]] = INFINITY;
    found[i].threshold = tier.least_threshold(lower, padded, request.wanted, worker.scratch.get());
    pairs += tier.collect(lower, padded, found[i].threshold, 0, codes + pairs, padded);
    found[i].last[0] = pairs;
    for (int64_t p = found[i].first[0]; p < pairs; ++p) pair_rows[p] = (int32_t)i;
  }
  estimate(request, worker, 0, pairs);

  /* ... whose distances rule out most of the others, ... */
  const int64_t first_pairs = pairs;
  for (int64_t i = 0; i < rows; ++i) {
    found[i].first[1] = found[i].last[1] = pairs;
    found[i].reach = INFINITY;
    const int64_t count = found[i].last[0] - found[i].first[0];
    if (!screener.screened(i) || count < R) continue;
    found[i].reach = estimates.upper(kth_estimate(worker, found[i].first[0], count, R));
    const float threshold = std::min(screener.threshold_of(i, found[i].reach), FLT_MAX);
    if (threshold <= found[i].threshold) continue;
    const float *lower = screener.lower(i);
    const int64_t end = pairs + tier.collect(lower, padded, threshold, 0, codes + pairs, padded);
    for (int64_t p = pairs; p < end; ++p) {
      if (lower[codes[p]] > found[i].threshold) {
        pair_rows[pairs] = (int32_t)i;
        codes[pairs++] = codes[p];
      }
    }
    found[i].threshold = threshold;
    found[i].last[1] = pairs;
  }
  estimate(request, worker, first_pairs, pairs);

  /* ... and what is left is sorted. */
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t j = ids[i];
    if (!screener.screened(i)) {
      scan_code(request, worker, j);
      if (request.keep != nullptr) keep_list(request, estimates, j, nullptr, 0, 0.0);
      continue;
    }
    int64_t count;
    const int64_t near = gather(worker, estimates, found[i], &count);
    answer_estimated(request, worker, estimates, j, worker.keys.get(), near);
    if (request.keep != nullptr) {
      const float threshold = found[i].threshold;
      keep_list(request, estimates, j, worker.keys.get(), count,
                threshold < FLT_MAX ? screener.distance_beyond(i, threshold) : INFINITY);
    }
  }
}

/* ---------------------------------------------------------------- kept lists
 *
 * When a list is made, the codes near to it are kept, with bounds a_l of their distances from below and
 * a horizon h that all other live codes lie beyond. Once codewords have moved by m_j, a code's distance is
 * at least a_l - m_j - m_l, or h - m_j - max m, by the triangle inequality. The R nearest so far show how
 * near a code must be to matter; if that is nearer than the horizon allows, only kept codes matter.
 * Codes that moved far, or came to life, are compared with all others instead. A list that can't be
 * made so is screened. Distances are taken before squaring here; kBelow and kAbove cover the roundings
 * of D, of the roots and of sums of them. */

struct Moved {
  Buffer<double> distance;  /* [K] */
  Buffer<uint8_t> apart;    /* [K]: compared with all */
  int32_t codes[kMostApart]; /* those that are `apart` */
  int64_t count = 0;
  double most = 0;          /* the greatest distance of the others */
};

/* False if the kept lists are of no use. */
bool measure_movement(const Request &request, const KeptNeighbours &kept, Moved &moved,
                      double *scratch, int threads) {
  const nas_codebook &codebook = *request.codebook;
  const int64_t K = codebook.K, d = codebook.d, block = 128;
  auto measure = [&](int64_t task, int) {
    for (int64_t j = task * block; j < K && j < (task + 1) * block; ++j) {
      const float *e = codebook.e.get() + j * d, *anchor = kept.anchors.get() + j * d;
      moved.distance[j] = sqrt(request.tier->distance(e, anchor, d)) * kAbove;
    }
  };
  parallel((K + block - 1) / block, threads, measure);
  std::copy_n(moved.distance.get(), K, scratch);
  const int64_t rank = K - 1 - std::min<int64_t>(kMostApart / 2, K / 16);
  std::nth_element(scratch, scratch + rank, scratch + K);
  const double usual = 2 * scratch[rank];
  for (int64_t j = 0; j < K; ++j) {
    if (!(moved.distance[j] <= kFarthestMove)) return false;
    const bool live = request.live == nullptr || request.live[j] != 0;
    moved.apart[j] = moved.distance[j] > usual || (live && kept.live[j] == 0);
    if (!moved.apart[j]) {
      moved.most = std::max(moved.most, moved.distance[j]);
    } else if (live) {
      if (moved.count == kMostApart) return false;
      moved.codes[moved.count++] = (int32_t)j;
    }
  }
  return true;
}

/* Lists of the worker's rows from the kept ones; sets failed[j] for a code j that has to be screened. */
void refresh_codes(const Request &request, Worker &worker, const KeptNeighbours &kept,
                   const Moved &moved, int64_t rows, uint8_t *failed) {
  const int64_t R = request.R;
  const int32_t *ids = worker.ids.get();
  const Estimates estimates(request.codebook->d);
  int32_t *codes = worker.codes.get(), *pair_rows = worker.pair_rows.get();
  Row *found = worker.rows.get();
  int64_t pairs = 0;
  auto allowed = [&](int64_t l) {
    return !moved.apart[l] && (request.live == nullptr || request.live[l] != 0);
  };
  auto add = [&](int64_t i, int32_t code) {
    codes[pairs] = code;
    pair_rows[pairs++] = (int32_t)i;
  };
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t j = ids[i], count = kept.counts[j];
    const int32_t *list = &kept.codes[j * kept.stride];
    found[i].first[0] = pairs;
    int64_t next = 0;
    for (int64_t some = 0; next < count && some < R; ++next) {
      if (!allowed(list[next])) continue;
      add(i, list[next]);
      ++some;
    }
    for (int64_t c = 0; c < moved.count; ++c) {
      if (moved.codes[c] != j) add(i, moved.codes[c]);
    }
    found[i].last[0] = pairs;
    found[i].next = next;
  }
  estimate(request, worker, 0, pairs);

  const int64_t first_pairs = pairs;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t j = ids[i], known = found[i].last[0] - found[i].first[0];
    found[i].first[1] = pairs;
    found[i].reach =
        known < R ? INFINITY
                  : estimates.upper(kth_estimate(worker, found[i].first[0], known, R));
    const double reach = sqrt(found[i].reach) * kAbove, own = moved.distance[j];
    const double horizon = kept.horizon[j];
    failed[j] = !(horizon == INFINITY || horizon - own - moved.most > reach);
    const int64_t end = failed[j] ? 0 : kept.counts[j];
    for (int64_t c = found[i].next; c < end; ++c) {
      const int32_t l = kept.codes[j * kept.stride + c];
      if ((double)kept.nearest[j * kept.stride + c] - own - moved.distance[l] <= reach &&
          allowed(l)) {
        add(i, l);
      }
    }
    found[i].last[1] = pairs;
  }
  estimate(request, worker, first_pairs, pairs);
  for (int64_t i = 0; i < rows; ++i) {
    if (failed[ids[i]]) continue;
    int64_t count;
    const int64_t near = gather(worker, estimates, found[i], &count);
    answer_estimated(request, worker, estimates, ids[i], worker.keys.get(), near);
  }
}

/* Whether the kept lists take less memory than the codewords, and are short beside the codebook. */
bool worth_keeping(const nas_codebook &codebook, const Tier &tier, int64_t R) {
  return tier.screen != nullptr && 2 * kKept * R <= codebook.d && 2 * kKept * R <= codebook.K;
}

bool prepare(const nas_codebook &codebook, KeptNeighbours &kept, int64_t R, const uint8_t *live) {
  const int64_t K = codebook.K, d = codebook.d;
  kept.valid = false;
  kept.R = R;
  kept.stride = kKept * R * 5 / 4;
  if (!kept.anchors.reserve(K * d) || !kept.live.reserve(K) || !kept.codes.reserve(K * kept.stride) ||
      !kept.nearest.reserve(K * kept.stride) || !kept.counts.reserve(K) ||
      !kept.horizon.reserve(K)) {
    return false;
  }
  memcpy(kept.anchors.get(), codebook.e.get(), (size_t)(K * d) * sizeof(float));
  for (int64_t j = 0; j < K; ++j) kept.live[j] = live == nullptr || live[j] != 0;
  return true;
}

/* Blocks of a call and its workers. */
struct Crew {
  PerWorker<Worker> workers;
  int count = 0;
  int64_t block = 0;

  bool allocate(const nas_codebook &codebook, bool screened) {
    const int64_t padded = codebook.panel_count() * kPanel;
    if (!workers.allocate(count)) return false;
    for (int i = 0; i < count; ++i) {
      if (!workers[i].allocate(codebook.K) || !workers[i].ids.allocate(block) ||
          (screened && !workers[i].allocate_block(codebook.K, padded, block))) {
        return false;
      }
    }
    return true;
  }
  bool reserve_screeners(const Request &request) {
    for (int i = 0; i < count; ++i) {
      if (!workers[i].screener.reserve(*request.codebook, *request.tier, request.precision, block,
                                       request.codebook->panel_count())) {
        return false;
      }
    }
    return true;
  }
  /* make(worker, rows) for blocks of the codes ids[0..total), or of 0..total-1 where ids is NULL. */
  template <typename F>
  void blocks(const int32_t *ids, int64_t total, F make) {
    auto body = [&](int64_t task, int number) {
      Worker &worker = workers[number];
      const int64_t from = task * block, rows = total - from < block ? total - from : block;
      for (int64_t i = 0; i < rows; ++i) {
        worker.ids[i] = ids != nullptr ? ids[from + i] : (int32_t)(from + i);
      }
      make(worker, rows);
    };
    parallel((total + block - 1) / block, count, body);
  }
};

/* Lists from kept ones. The codes that have to be screened, at most K / 8, go to failed_codes; false if
 * they are more, or without memory. */
bool refresh(const Request &request, Crew &crew, KeptNeighbours &kept, Buffer<int32_t> &failed_codes,
             int64_t *failures) {
  const int64_t K = request.codebook->K;
  Moved moved;
  Buffer<uint8_t> failed;
  if (!moved.distance.allocate(K) || !moved.apart.allocate(K) || !failed.allocate(K) ||
      !failed_codes.allocate(K) ||
      !measure_movement(request, kept, moved, crew.workers[0].distances.get(), crew.count)) {
    return false;
  }
  std::atomic<int64_t> count{0};
  crew.blocks(nullptr, K, [&](Worker &worker, int64_t rows) {
    if (count.load(std::memory_order_relaxed) > K / 8) return;
    refresh_codes(request, worker, kept, moved, rows, failed.get());
    for (int64_t i = 0; i < rows; ++i) count.fetch_add(failed[worker.ids[i]]);
  });
  if (count.load() > K / 8) return false;
  *failures = 0;
  for (int64_t j = 0; j < K; ++j) {
    failed_codes[*failures] = (int32_t)j;
    *failures += failed[j];
  }
  return true;
}

nas_status make_lists(const nas_codebook &codebook, int64_t R, const uint8_t *live,
                      KeptNeighbours *kept, int32_t *out) {
  static const char *const function = "nas_neighbours";
  const Tier &tier = current_tier();
  const int64_t K = codebook.K, panels = codebook.panel_count(), padded = panels * kPanel;
  bool int8 = tier.screen_int8 != nullptr;
  Crew crew;
  crew.block = 4;
  if (tier.screen != nullptr) {
    /* Whole tiles, but as many blocks as threads where there are codes enough. */
    const int64_t tile = int8 ? tier.int8_rows_per_tile : tier.rows_per_tile;
    int64_t tiles = kScoreBytes / ((int64_t)sizeof(float) * padded * tile);
    const int64_t share = K / (2 * (int64_t)thread_limit() * tile);
    if (tiles > share) tiles = share;
    if (tiles > 8) tiles = 8;
    crew.block = tile * (tiles > 1 ? tiles : 1);
  }
  const int64_t tasks = (K + crew.block - 1) / crew.block;
  crew.count = (int64_t)thread_limit() < tasks ? thread_limit() : (int)tasks;
  const int64_t bytes = crew.count * padded *
                        ((tier.screen != nullptr ? crew.block * 20 + 40 : 0) +
                         (int64_t)sizeof(Neighbour) + 8);
  Buffer<int32_t> dead, failed_codes;
  if (!dead.allocate(live != nullptr ? K : 0) || !crew.allocate(codebook, tier.screen != nullptr)) {
    return out_of_memory(function, bytes);
  }
  Request request{&codebook, &tier, int8 ? Precision::kInt8 : Precision::kFloat32,
                  R,         live,  dead.get(),
                  0,         out,   nullptr,
                  R};
  for (int64_t l = 0; live != nullptr && l < K; ++l) {
    dead[request.dead_count] = (int32_t)l;
    request.dead_count += live[l] == 0;
  }

  int64_t count = K;
  const int32_t *ids = nullptr;
  if (kept != nullptr && kept->valid && kept->R == R) {
    if (refresh(request, crew, *kept, failed_codes, &count)) {
      kept->used = true;
      kept->wasted = 0;
      ids = failed_codes.get();
    } else {
      kept->valid = false;
      if (!kept->used) kept->wasted = std::min(2 * kept->wasted + 1, 15);
      kept->skip = kept->used ? 0 : kept->wasted;
      count = K;
    }
  }
  codebook.screened_lists.store(count, std::memory_order_relaxed);
  if (count == 0) return NAS_OK;

  bool screened = false;
  if (tier.screen != nullptr) {
    const int64_t packed = K * codebook.d * (int64_t)sizeof(float);
    int64_t packing_ns = 0;
    if (!pack(codebook, tier, kPackedNorms, &packing_ns)) return out_of_memory(function, packed);
    screened = codebook.screening.screenable;
    if (screened &&
        !pack(codebook, tier, int8 ? int8_packing(tier.int8_levels) : kPackedFloat32, &packing_ns)) {
      return out_of_memory(function, packed);
    }
  }
  if (!screened) {
    crew.blocks(ids, count, [&](Worker &worker, int64_t rows) {
      for (int64_t i = 0; i < rows; ++i) scan_code(request, worker, worker.ids[i]);
    });
    return NAS_OK;
  }
  if (!crew.reserve_screeners(request)) return out_of_memory(function, bytes);
  if (kept != nullptr && ids == nullptr) {
    if (kept->skip > 0) {
      --kept->skip;
    } else if (prepare(codebook, *kept, R, live)) {
      request.keep = kept;
      request.wanted = kKept * R;
    }
  }
  crew.blocks(ids, count,
              [&](Worker &worker, int64_t rows) { screen_codes(request, worker, rows); });
  if (request.keep != nullptr) {
    kept->valid = true;
    kept->used = false;
  }
  return NAS_OK;
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
  if (R < 1 || R > NAS_MAX_NEIGHBOURS) {
    return fail(NAS_INVALID_ARGUMENT, "%s: R is %lld, must be 1 to %d neighbours", function,
                (long long)R, NAS_MAX_NEIGHBOURS);
  }
  FloatEnvironment environment;
  KeptNeighbours &kept = codebook->kept_neighbours;
  /* Another call at the same time does without. */
  if (!worth_keeping(*codebook, current_tier(), R) || pthread_mutex_trylock(&kept.mutex) != 0) {
    return make_lists(*codebook, R, live, nullptr, out);
  }
  const nas_status status = make_lists(*codebook, R, live, &kept, out);
  pthread_mutex_unlock(&kept.mutex);
  return status;
}

/* Not of the interface, for tests: how many lists the last nas_neighbours screened, rather than making
 * them from kept ones. */
extern "C" NAS_API int64_t nas_screened_lists(const nas_codebook *codebook) {
  return codebook->screened_lists.load(std::memory_order_relaxed);
}
