/* Nearest codewords. */
#include <math.h>

#include <atomic>

#include "../common/distance.h"
#include "screen.h"

namespace nas {
namespace {

const int64_t kBlockRows = 112;     /* rows of a block, about */
const int64_t kChunkPanels = 16;    /* codewords screened at once: 512 */
const int64_t kCandidates = 64;     /* per row; a row with more is scanned in full */
const int64_t kScan = 256;          /* codewords of one step of a full scan */

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

struct Request {
  const nas_codebook *codebook;
  const Tier *tier;
  const float *x;
  int64_t rows, row_stride;
  int32_t *indices;
  float *distances;
  std::atomic<int64_t> bad_row;

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

/* Checks one row and compares it with every codeword. */
void scan_row(Request &request, int64_t row) {
  const nas_codebook &codebook = *request.codebook;
  const float *x = request.x + row * request.row_stride;
  if (!request.tier->all_finite(x, codebook.d)) {
    request.refuse(row);
    return;
  }
  double distances[kScan];
  Best best;
  for (int64_t j = 0; j < codebook.K; j += kScan) {
    const int64_t count = codebook.K - j < kScan ? codebook.K - j : kScan;
    request.tier->distances(x, codebook.e.get() + j * codebook.d, count, codebook.d, distances);
    for (int64_t c = 0; c < count; ++c) best.offer(distances[c], (int32_t)(j + c));
  }
  request.answer(row, best);
}

struct Candidates {
  int32_t index[kCandidates + 1];
  float lower[kCandidates + 1];
  int64_t count;
};

struct Worker {
  Screener screener;
  Buffer<Candidates> candidates;
};

void screen_rows(Request &request, Worker &worker, int64_t from, int64_t rows) {
  const nas_codebook &codebook = *request.codebook;
  const Tier &tier = *request.tier;
  Screener &screener = worker.screener;
  screener.begin(codebook, tier, request.x + from * request.row_stride, rows, request.row_stride);
  for (int64_t i = 0; i < rows; ++i) worker.candidates[i].count = 0;
  const int64_t panels = codebook.panel_count();
  for (int64_t first = 0; first < panels; first += kChunkPanels) {
    const int64_t count = panels - first < kChunkPanels ? panels - first : kChunkPanels;
    screener.screen(first, count);
    for (int64_t i = 0; i < rows; ++i) {
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
          tier.collect(lower, count * kPanel, threshold, base, found.index + kept, room);
      if (more > room) {
        found.count = kCandidates + 1;
        continue;
      }
      for (int64_t c = kept; c < kept + more; ++c) found.lower[c] = lower[found.index[c] - base];
      found.count = kept + more;
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    const Candidates &found = worker.candidates[i];
    if (!screener.screened(i) || found.count > kCandidates) {
      scan_row(request, from + i);
    } else if (found.count == 1 && request.distances == nullptr) {
      request.indices[from + i] = found.index[0];
    } else {
      const float *x = request.x + (from + i) * request.row_stride;
      Best best;
      for (int64_t c = 0; c < found.count; ++c) {
        const int32_t j = found.index[c];
        best.offer(tier.distance(x, codebook.e.get() + j * codebook.d, codebook.d), j);
      }
      request.answer(from + i, best);
    }
  }
}

}  // namespace
}  // namespace nas

using namespace nas;

nas_status nas_lookup(const nas_codebook *codebook, const float *x, int64_t rows,
                      int64_t row_stride, int32_t *indices, float *distances, int64_t *bad_row,
                      void *stream) {
  static const char *const function = "nas_lookup";
  if (bad_row != nullptr) *bad_row = -1;
  NAS_TRY(check_pointer(function, "codebook", codebook, alignof(nas_codebook)));
  NAS_TRY(check_rows(function, "x", x, rows, row_stride, codebook->d));
  NAS_TRY(check_stream(function, stream));
  if (rows == 0) return NAS_OK;
  NAS_TRY(check_pointer(function, "indices", indices, alignof(int32_t)));
  if (distances != nullptr) {
    NAS_TRY(check_pointer(function, "distances", distances, alignof(float)));
  }
  FloatEnvironment environment;
  const Tier &tier = current_tier();
  Request request{codebook, &tier, x, rows, row_stride, indices, distances, {INT64_MAX}};
  int threads = thread_limit();
  if (tier.screen != nullptr && codebook->screenable) {
    const int64_t tile = tier.rows_per_tile;
    const int64_t share = (rows + threads - 1) / threads;
    int64_t block = share < kBlockRows ? share : kBlockRows;
    block = (block + tile - 1) / tile * tile;
    const int64_t tasks = (rows + block - 1) / block;
    if (threads > tasks) threads = (int)tasks;
    const int64_t panels = codebook->panel_count();
    const int64_t chunk = panels < kChunkPanels ? panels : kChunkPanels;
    const int64_t bytes = (int64_t)sizeof(float) * threads * block * (codebook->d + chunk * kPanel);
    PerWorker<Worker> workers;
    if (!workers.allocate(threads)) return out_of_memory(function, bytes);
    for (int i = 0; i < threads; ++i) {
      if (!workers[i].screener.allocate(*codebook, tier, block, chunk) ||
          !workers[i].candidates.allocate(block)) {
        return out_of_memory(function, bytes);
      }
    }
    auto body = [&](int64_t task, int worker) {
      const int64_t from = task * block;
      if (from > request.bad_row.load(std::memory_order_relaxed)) return;
      screen_rows(request, workers[worker], from, rows - from < block ? rows - from : block);
    };
    parallel(tasks, threads, body);
  } else {
    const int64_t block = 16;
    auto body = [&](int64_t task, int) {
      const int64_t from = task * block;
      const int64_t to = rows - from < block ? rows : from + block;
      if (from > request.bad_row.load(std::memory_order_relaxed)) return;
      for (int64_t i = from; i < to; ++i) scan_row(request, i);
    };
    parallel((rows + block - 1) / block, threads, body);
  }
  const int64_t bad = request.bad_row.load();
  if (bad != INT64_MAX) {
    if (bad_row != nullptr) *bad_row = bad;
    return fail(NAS_NON_FINITE, "%s: row %lld of x has a NaN or an infinity", function,
                (long long)bad);
  }
  return NAS_OK;
}
