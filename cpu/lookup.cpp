/* Nearest codewords. */
#include <math.h>
#include <string.h>

#include <algorithm>
#include <atomic>

#include "../common/distance.h"
#include "calls.h"
#include "codebook.h"
#include "failures.h"
#include "float_environment.h"
#include "memory.h"
#include "parallel.h"
#include "screen.h"
#include "tier.h"

namespace nas {
namespace {

const int64_t kBlockTiles = 8;      /* of rows */
const int64_t kScanRows = 16;       /* rows of a block that is not screened */
const int64_t kChunkPanels = 16;    /* codewords screened at once: 512 */
const int64_t kCandidates = 256;    /* per row; a row with more is screened more finely, or scanned */
const int64_t kScan = 256;          /* codewords of one step of a full scan */
/* Dividing the codewords into groups takes up to kMostGroups * K distances, and packing. It is tried
 * for so many rows that full scans would cost more, or that float32 screening would. */
const int64_t kGroupScans = 2 * kMostGroups;
const int64_t kGroupRows = 2048;

struct Best {
  double distance = INFINITY;
  int32_t index = 0;

  void offer(double other, int32_t other_index) {
    if (nearer(other, other_index, distance, index)) {
      distance = other;
      index = other_index;
    }
  }
};

struct Candidates {
  int32_t index[kCandidates + 1];
  float lower[kCandidates + 1];
  int64_t count;
};

struct Worker {
  Screener screener;
  Buffer<Candidates> candidates;
  Buffer<float> widened;         /* rows that are not float32 */
  Buffer<int32_t> left_over[2];  /* rows that int8 and float32 screening could not settle */
  Buffer<int32_t> grouped;       /* rows that are looked up in groups of codewords */
  Buffer<Best> best;             /* by row of the block: over the groups so far */
  Buffer<uint8_t> path;          /* by row of the block: the coarsest in any group */
  nas_lookup_stats stats;
};

/* Workers of earlier calls: a call in steady state allocates nothing. */
class WorkerCache {
 public:
  Worker *take() {
    pthread_mutex_lock(&mutex_);
    Worker *worker = count_ > 0 ? workers_[--count_] : nullptr;
    pthread_mutex_unlock(&mutex_);
    return worker != nullptr ? worker : new (std::nothrow) Worker;
  }
  void give(Worker *worker) {
    pthread_mutex_lock(&mutex_);
    const bool kept = count_ < kMost;
    if (kept) workers_[count_++] = worker;
    pthread_mutex_unlock(&mutex_);
    if (!kept) delete worker;
  }

 private:
  static const int kMost = 64;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  int count_ = 0;
  Worker *workers_[kMost];
};

WorkerCache cache;

/* The workers of one call. */
class Crew {
 public:
  ~Crew() {
    for (int i = 0; i < count_; ++i) cache.give(workers_[i]);
  }
  bool hire(int count) {
    if (!workers_.allocate(count)) return false;
    while (count_ < count) {
      workers_[count_] = cache.take();
      if (workers_[count_] == nullptr) return false;
      memset(&workers_[count_]->stats, 0, sizeof(nas_lookup_stats));
      ++count_;
    }
    return true;
  }
  Worker &operator[](int i) const { return *workers_[i]; }

 private:
  int count_ = 0;
  Buffer<Worker *> workers_;
};

/* Whether a kind of screening is worth its while, by the rows seen so far. */
struct Worth {
  std::atomic<bool> good{true};
  std::atomic<int64_t> rows{0}, cost{0};

  /* Adds what some rows cost after screening; `most` is what a row may on average. */
  void add(int64_t more_rows, int64_t more_cost, int64_t most) {
    const int64_t seen = rows.fetch_add(more_rows) + more_rows;
    if (cost.fetch_add(more_cost) + more_cost > most * seen) {
      good.store(false, std::memory_order_relaxed);
    }
  }
};

struct Request {
  const nas_codebook *codebook;
  const Tier *tier;
  const void *x;
  int32_t type;
  int64_t rows, row_stride;
  int32_t *indices;
  float *distances;
  std::atomic<int64_t> bad_row{INT64_MAX};
  std::atomic<bool> no_memory{false};
  Worth int8{}, group_int8[kMostGroups]{}; /* screening in int8, of the codebook and of its groups */
  std::atomic<bool> by_groups{false}; /* whether rows go to the groups at once */
  std::atomic<int64_t> unsettled{0};  /* rows that no screening of the whole codebook could settle */

  void refuse(int64_t row) {
    int64_t seen = bad_row.load(std::memory_order_relaxed);
    while (row < seen && !bad_row.compare_exchange_weak(seen, row, std::memory_order_relaxed)) {
    }
  }

  void answer(int64_t row, const Best &best) {
    indices[row] = best.index;
    if (distances != nullptr) distances[row] = narrow(best.distance);
  }
};

/* What rows are looked up in: the codebook, or one of its groups. */
struct Part {
  const nas_codebook *codebook;
  const int32_t *codes; /* of a group's codewords; NULL for the codebook: their own numbers */
  Worth *int8;
};

enum Path : uint8_t { kInt8Path, kFloat32Path, kScanPath };

/* Rows of a call in float32: where they are, or widened into a worker's memory. */
struct Rows {
  const float *x;
  int64_t stride, first;

  const float *row(int64_t i) const { return x + i * stride; }
};

Rows rows_of(const Request &request, Worker &worker, int64_t from, int64_t count) {
  const int64_t d = request.codebook->d;
  if (request.type == NAS_FLOAT32) {
    return {static_cast<const float *>(request.x) + from * request.row_stride, request.row_stride,
            from};
  }
  const uint16_t *x = static_cast<const uint16_t *>(request.x) + from * request.row_stride;
  for (int64_t i = 0; i < count; ++i) {
    request.tier->widen(x + i * request.row_stride, request.type, d, &worker.widened[i * d]);
  }
  return {worker.widened.get(), d, from};
}

/* Takes the best codeword of a part for row i. */
void answer(Request &request, Worker &worker, const Part &part, const Rows &rows, int64_t i,
            const Best &best) {
  if (part.codes == nullptr) {
    request.answer(rows.first + i, best);
  } else {
    worker.best[i].offer(best.distance, part.codes[best.index]);
  }
}

/* Checks one row and compares it with every codeword. */
void scan_row(Request &request, Worker &worker, const Part &part, const Rows &rows, int64_t i) {
  const nas_codebook &codebook = *part.codebook;
  const float *x = rows.row(i);
  if (!request.tier->all_finite(x, codebook.d)) {
    request.refuse(rows.first + i);
    return;
  }
  double distances[kScan];
  Best best;
  for (int64_t j = 0; j < codebook.K; j += kScan) {
    const int64_t count = codebook.K - j < kScan ? codebook.K - j : kScan;
    request.tier->distances(x, codebook.e.get() + j * codebook.d, count, codebook.d, distances);
    for (int64_t c = 0; c < count; ++c) best.offer(distances[c], (int32_t)(j + c));
  }
  answer(request, worker, part, rows, i, best);
  if (part.codes == nullptr) {
    ++worker.stats.rows_scanned;
    ++worker.stats.rows_float64;
  }
}

/* Puts the most promising of a row's candidates first, in order, up to four of them. */
void put_first(Candidates &found) {
  for (int64_t place = 0; place < 4 && place < found.count; ++place) {
    int64_t least = place;
    for (int64_t c = place + 1; c < found.count; ++c) {
      if (found.lower[c] < found.lower[least]) least = c;
    }
    std::swap(found.index[place], found.index[least]);
    std::swap(found.lower[place], found.lower[least]);
  }
}

/* Drops candidates whose float32 distance, or the distance of another, shows that they are not the
 * nearest, or are farther than `reach`. Four at a time, the most promising first, since a distance that
 * is known rules out others. Returns how many fours that took. */
int64_t rule_out(const Request &request, const Screener &screener, const nas_codebook &codebook,
                 const float *x, int64_t slot, double reach, Candidates &found) {
  put_first(found);
  const double slack = estimate_slack(codebook.d);
  float estimates[kCandidates];
  int64_t estimated = 0, fours = 0;
  for (int64_t next = 0; next < found.count;) {
    const float threshold = reach < INFINITY ? screener.threshold_of(slot, reach) : INFINITY;
    const int64_t begin = estimated;
    for (; next < found.count && estimated - begin < 4; ++next) {
      if (found.lower[next] <= threshold) found.index[estimated++] = found.index[next];
    }
    if (estimated == begin) break;
    request.tier->estimates_of(x, codebook.e.get(), found.index + begin, estimated - begin, codebook.d,
                               estimates + begin);
    ++fours;
    for (int64_t c = begin; c < estimated; ++c) {
      reach = std::min(reach, estimates[c] * (1.0 + slack) + kEstimateUnderflow);
    }
  }
  found.count = 0;
  for (int64_t c = 0; c < estimated; ++c) {
    if (estimates[c] * (1.0 - slack) - kEstimateUnderflow <= reach) {
      found.index[found.count++] = found.index[c];
    }
  }
  return fours;
}

/* Decides among the candidates of a row. Returns what that took, in quarters of a float64 distance. */
int64_t decide(Request &request, Worker &worker, const Part &part, const Rows &rows, int64_t i,
               int64_t slot) {
  const nas_codebook &codebook = *part.codebook;
  Candidates &found = worker.candidates[slot];
  const bool whole = part.codes == nullptr, index_alone = whole && request.distances == nullptr;
  worker.stats.candidates += found.count;
  const float *x = rows.row(i), *e = codebook.e.get();
  const double reach = whole ? INFINITY : worker.best[i].distance;
  int64_t cost = 0;
  if (found.count > 1 || reach < INFINITY) {
    cost += 4 * rule_out(request, worker.screener, codebook, x, slot, reach, found);
    if (found.count == 0) return cost; /* all of this group are farther */
  }
  if (found.count == 1 && index_alone) {
    request.indices[rows.first + i] = found.index[0];
    return cost;
  }
  double distances[kCandidates];
  request.tier->distances_of(x, e, found.index, found.count, codebook.d, distances);
  Best best;
  for (int64_t c = 0; c < found.count; ++c) best.offer(distances[c], found.index[c]);
  answer(request, worker, part, rows, i, best);
  worker.stats.distances += found.count;
  if (found.count > 1 && whole) ++worker.stats.rows_float64;
  return cost + 4 * found.count;
}

/* Settles rows ids[0..count) of a block, or 0..count-1 where ids is NULL, as far as this precision
 * can; returns how many it left over in `left`. */
int64_t screen_rows(Request &request, Worker &worker, const Part &part, const Rows &rows,
                    Precision precision, const int32_t *ids, int64_t count, int32_t *left) {
  const nas_codebook &codebook = *part.codebook;
  const Tier &tier = *request.tier;
  Screener &screener = worker.screener;
  screener.begin(codebook, tier, precision, true, rows.x, rows.stride, ids, count);
  for (int64_t i = 0; i < count; ++i) worker.candidates[i].count = 0;
  const int64_t panels = codebook.panel_count();
  for (int64_t first = 0; first < panels; first += kChunkPanels) {
    const int64_t chunk = panels - first < kChunkPanels ? panels - first : kChunkPanels;
    screener.screen(first, chunk);
    for (int64_t i = 0; i < count; ++i) {
      Candidates &found = worker.candidates[i];
      if (found.count > kCandidates || !screener.screened(i)) continue;
      const float threshold = screener.threshold(i, screener.least_upper(i));
      int64_t kept = 0;
      for (int64_t c = 0; c < found.count; ++c) {
        if (found.lower[c] <= threshold) {
          found.index[kept] = found.index[c];
          found.lower[kept++] = found.lower[c];
        }
      }
      const float *lower = screener.lower(i);
      const int32_t base = (int32_t)(first * kPanel);
      const int64_t room = kCandidates - kept;
      const int64_t more =
          tier.collect(lower, chunk * kPanel, threshold, base, found.index + kept, room);
      if (more > room) {
        found.count = kCandidates + 1;
        continue;
      }
      for (int64_t c = kept; c < kept + more; ++c) found.lower[c] = lower[found.index[c] - base];
      found.count = kept + more;
    }
  }
  int64_t left_over = 0, cost = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t row = ids != nullptr ? ids[i] : (int32_t)i;
    if (!screener.screened(i) || worker.candidates[i].count > kCandidates) {
      left[left_over++] = row;
    } else {
      cost += decide(request, worker, part, rows, row, i);
    }
  }
  const bool int8 = precision == Precision::kInt8;
  if (part.codes == nullptr) {
    (int8 ? worker.stats.rows_int8 : worker.stats.rows_float32) += count - left_over;
  }
  /* Quarters of a float64 distance. Float32 screening of a row takes as long as K/16 distances, and int8
   * screening less by those of int8_saving; a row left over has been screened in vain. */
  const int64_t K = codebook.K;
  if (int8) part.int8->add(count, cost + K / 4 * left_over, 4 * K / tier.int8_saving + 10);
  return left_over;
}

bool packed(Request &request, Worker &worker, const nas_codebook &codebook, uint32_t packing) {
  if (pack(codebook, *request.tier, packing, &worker.stats.packing_ns)) return true;
  request.no_memory.store(true, std::memory_order_relaxed);
  return false;
}

/* Offers every row's best codeword of a group. */
void look_up_in(Request &request, Worker &worker, const Part &part, const Rows &rows,
                const int32_t *ids, int64_t count) {
  if (!packed(request, worker, *part.codebook, kPackedNorms)) return;
  if (part.codebook->screening.screenable) {
    if (part.int8->good.load(std::memory_order_relaxed)) {
      int32_t *left = worker.left_over[0].get();
      if (!packed(request, worker, *part.codebook, int8_packing(request.tier->int8_levels))) return;
      count = screen_rows(request, worker, part, rows, Precision::kInt8, ids, count, left);
      ids = left;
    }
    if (count == 0) return;
    for (int64_t i = 0; i < count; ++i) {
      worker.path[ids[i]] = std::max<uint8_t>(worker.path[ids[i]], kFloat32Path);
    }
    int32_t *left = worker.left_over[1].get();
    if (!packed(request, worker, *part.codebook, kPackedFloat32)) return;
    count = screen_rows(request, worker, part, rows, Precision::kFloat32, ids, count, left);
    ids = left;
  }
  for (int64_t i = 0; i < count; ++i) {
    worker.path[ids[i]] = kScanPath;
    scan_row(request, worker, part, rows, ids[i]);
  }
}

/* Looks rows up in each group of codewords: by (D, index) the best of all groups is the best. */
void look_up_by_groups(Request &request, Worker &worker, const Rows &rows, const int32_t *ids,
                       int64_t count) {
  const Screening &screening = request.codebook->screening;
  int32_t *all = worker.grouped.get();
  for (int64_t i = 0; i < count; ++i) {
    all[i] = ids != nullptr ? ids[i] : (int32_t)i;
    worker.best[all[i]] = Best();
    worker.path[all[i]] = kInt8Path;
  }
  for (int64_t g = 0; g < screening.group_count; ++g) {
    const Group &group = screening.groups[g];
    const Part part{&group.codebook, group.codes.get(), &request.group_int8[g]};
    look_up_in(request, worker, part, rows, all, count);
    if (request.no_memory.load(std::memory_order_relaxed)) return;
  }
  for (int64_t i = 0; i < count; ++i) {
    request.answer(rows.first + all[i], worker.best[all[i]]);
    worker.stats.rows_int8 += worker.path[all[i]] == kInt8Path;
    worker.stats.rows_float32 += worker.path[all[i]] == kFloat32Path;
    worker.stats.rows_scanned += worker.path[all[i]] == kScanPath;
  }
  worker.stats.rows_float64 += count;
}

/* Whether the codewords lie in groups; if so, rows go there from now on. */
bool divided(Request &request, Worker &worker) {
  if (!packed(request, worker, *request.codebook, kPackedGroups) ||
      request.codebook->screening.group_count == 0) {
    return false;
  }
  request.by_groups.store(true, std::memory_order_release);
  return true;
}

void look_up(Request &request, Worker &worker, int64_t from, int64_t count) {
  const Rows rows = rows_of(request, worker, from, count);
  const int32_t *ids = nullptr;
  if (request.by_groups.load(std::memory_order_acquire)) {
    return look_up_by_groups(request, worker, rows, ids, count);
  }
  const Part whole{request.codebook, nullptr, &request.int8};
  if (request.int8.good.load(std::memory_order_relaxed)) {
    int32_t *left = worker.left_over[0].get();
    count = screen_rows(request, worker, whole, rows, Precision::kInt8, nullptr, count, left);
    ids = left;
  }
  if (count == 0) return;
  if (!request.int8.good.load(std::memory_order_relaxed) && request.rows >= kGroupRows &&
      divided(request, worker)) {
    return look_up_by_groups(request, worker, rows, ids, count);
  }
  if (!packed(request, worker, *request.codebook, kPackedFloat32)) return;
  int32_t *left = worker.left_over[1].get();
  count = screen_rows(request, worker, whole, rows, Precision::kFloat32, ids, count, left);
  if (count > 0 && request.unsettled.fetch_add(count) + count >= kGroupScans &&
      divided(request, worker)) {
    return look_up_by_groups(request, worker, rows, left, count);
  }
  for (int64_t i = 0; i < count; ++i) scan_row(request, worker, whole, rows, left[i]);
}

}  // namespace

nas_status look_up_all(const char *function, const nas_codebook *codebook, const void *x, int32_t type,
                       int64_t rows, int64_t row_stride, int32_t *indices, float *distances,
                       nas_verdict *verdict, nas_lookup_stats *stats, void *stream) {
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_rows(function, "x", x, type, rows, row_stride, codebook->d));
  NAS_TRY(check_stream(function, stream));
  if (rows > 0) NAS_TRY(check_pointer(function, "indices", indices, alignof(int32_t)));
  if (rows > 0 && distances != nullptr) {
    NAS_TRY(check_pointer(function, "distances", distances, alignof(float)));
  }
  if (stats != nullptr) {
    NAS_TRY(check_pointer(function, "stats", stats, alignof(nas_lookup_stats)));
  }
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  nas_lookup_stats total;
  memset(&total, 0, sizeof total);
  total.tier = tier.number;
  if (rows == 0) {
    if (stats != nullptr) *stats = total;
    return NAS_OK;
  }
  const int64_t d = codebook->d;
  bool screened = false, int8 = false;
  if (tier.screen != nullptr) {
    const int64_t bytes = codebook->K * d * (int64_t)sizeof(float);
    if (!pack(*codebook, tier, kPackedNorms, &total.packing_ns)) {
      return out_of_memory(function, bytes);
    }
    screened = codebook->screening.screenable;
    int8 = screened && tier.screen_int8 != nullptr;
    const uint32_t packing = int8 ? int8_packing(tier.int8_levels) : kPackedFloat32;
    if (screened && !pack(*codebook, tier, packing, &total.packing_ns)) {
      return out_of_memory(function, bytes);
    }
  }
  Request request{codebook, &tier, x, type, rows, row_stride, indices, distances};
  request.int8.good = int8;
  for (Worth &worth : request.group_int8) worth.good = int8;

  int threads = thread_limit();
  const int64_t tile = int8 ? tier.int8_rows_per_tile : screened ? tier.rows_per_tile : 1;
  const int64_t share = (rows + threads - 1) / threads;
  int64_t block = screened ? kBlockTiles * tile : kScanRows;
  if (share < block) block = share;
  block = (block + tile - 1) / tile * tile;
  const int64_t tasks = (rows + block - 1) / block;
  if (threads > tasks) threads = (int)tasks;
  const int64_t panels = codebook->panel_count();
  const int64_t chunk = panels < kChunkPanels ? panels : kChunkPanels;
  const int64_t bytes = (int64_t)sizeof(float) * threads * block * (2 * d + chunk * kPanel);
  Crew crew;
  if (!crew.hire(threads)) return out_of_memory(function, bytes);
  for (int i = 0; i < threads; ++i) {
    Worker &worker = crew[i];
    if ((type != NAS_FLOAT32 && !worker.widened.reserve(block * d)) ||
        (screened && (!worker.grouped.reserve(block) || !worker.best.reserve(block) ||
                      !worker.path.reserve(block) || !worker.candidates.reserve(block) ||
                      !worker.left_over[1].reserve(block) ||
                      !worker.screener.reserve(*codebook, tier, Precision::kFloat32, block, chunk))) ||
        (int8 && (!worker.left_over[0].reserve(block) ||
                  !worker.screener.reserve(*codebook, tier, Precision::kInt8, block, chunk)))) {
      return out_of_memory(function, bytes);
    }
  }
  auto body = [&](int64_t task, int number) {
    const int64_t from = task * block, count = rows - from < block ? rows - from : block;
    if (from > request.bad_row.load(std::memory_order_relaxed)) return;
    Worker &worker = crew[number];
    if (screened) {
      look_up(request, worker, from, count);
    } else {
      const Rows all = rows_of(request, worker, from, count);
      const Part whole{codebook, nullptr, &request.int8};
      for (int64_t i = 0; i < count; ++i) scan_row(request, worker, whole, all, i);
    }
  };
  parallel(tasks, threads, body);

  if (request.no_memory.load()) return out_of_memory(function, codebook->K * d * 4);
  const int64_t bad = request.bad_row.load();
  if (bad != INT64_MAX) {
    return judge(verdict,
                 fail(NAS_NON_FINITE, "%s: row %lld of x has a NaN or an infinity", function,
                      (long long)bad),
                 bad);
  }
  if (stats != nullptr) {
    for (int i = 0; i < threads; ++i) {
      const nas_lookup_stats &part = crew[i].stats;
      total.rows_int8 += part.rows_int8;
      total.rows_float32 += part.rows_float32;
      total.rows_scanned += part.rows_scanned;
      total.candidates += part.candidates;
      total.distances += part.distances;
      total.rows_float64 += part.rows_float64;
      total.packing_ns += part.packing_ns;
    }
    *stats = total;
  }
  return NAS_OK;
}

}  // namespace nas

using namespace nas;

nas_status nas_lookup(const nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                      int64_t row_stride, int32_t *indices, float *distances, int64_t *bad_row,
                      nas_lookup_stats *stats, void *stream) {
  if (bad_row != nullptr) *bad_row = -1;
  nas_verdict verdict{NAS_OK, -1};
  NAS_TRY(look_up_all("nas_lookup", codebook, x, type, rows, row_stride, indices, distances, &verdict,
                      stats, stream));
  if (bad_row != nullptr) *bad_row = verdict.bad_row;
  return (nas_status)verdict.status;
}
