/* Timings. */
#include <chrono>
#include <cstdio>

#include "selfcheck.h"

namespace selfcheck {

namespace {

/* Median wall-clock seconds of a call, the wait for the device included. */
double median_seconds(const std::function<void()> &call) {
  call();
  std::vector<double> times;
  auto begin = std::chrono::steady_clock::now();
  const std::chrono::seconds enough(1);
  while (times.size() < 5 ||
         (times.size() < 50 && std::chrono::steady_clock::now() - begin < enough)) {
    auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/* Seconds of one of ten enqueued calls in a graph, the median of its replays. */
double replayed_seconds(const Side &side, const std::function<void()> &enqueue) {
  constexpr int kCalls = 10;
  cudaStream_t stream = (cudaStream_t)side.stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "the start of a capture");
  for (int i = 0; i < kCalls; ++i) enqueue();
  must(cudaStreamEndCapture(stream, &graph), "the end of a capture");
  must(cudaGraphInstantiate(&replay, graph, 0), "a graph");
  must(cudaGraphDestroy(graph), "a graph's end");
  const double seconds = median_seconds([&] {
    must(cudaGraphLaunch(replay, stream), "a graph's launch");
    must(cudaStreamSynchronize(stream), "waiting");
  });
  must(cudaGraphExecDestroy(replay), "a graph's end");
  return seconds / kCalls;
}

}  // namespace

void bench(const Side &side, const Options &options) {
  const uint64_t seed = options.seed;
  Random random(seed);
  auto need = [&](nas_status status) {
    if (status != NAS_OK) die("%s", side.api->last_error());
  };
  auto wait = [&] { must(cudaStreamSynchronize((cudaStream_t)side.stream), "waiting"); };
  auto timed = [&](int32_t tier) {
    return tier <= side.api->best_tier() && (options.tier < 0 || tier <= options.tier);
  };
  printf("| function | size | median ms | rate |\n| --- | --- | --- | --- |\n");
  for (int64_t rows : {6272, 65536}) {
    const int64_t K = 2048;
    const int64_t d = 768;
    std::vector<float> codewords = vectors(random, Kind::kNormal, K, d);
    std::vector<float> x = vectors(random, Kind::kNormal, rows, d);
    Codebook codebook(side, codewords, K, d);
    Array<float> x_in(side, x);
    Array<int32_t> indices(side, std::vector<int32_t>((size_t)rows));
    Array<double> counts(side, std::vector<double>((size_t)K, 0.0));
    Array<double> sums(side, std::vector<double>((size_t)(K * d), 0.0));
    double seconds = 0.0;
    std::vector<int32_t> first;
    for (const auto &of : kCudaTiers) {
      if (!timed(of.tier)) continue;
      need(side.api->set_tier(of.tier));
      seconds = median_seconds([&] {
        need(side.api->lookup(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, indices.data(),
                              nullptr, nullptr, nullptr, side.stream));
      });
      if (first.empty()) first = indices.values();
      if (first != indices.values()) die("the tiers disagree");
      printf("| lookup, %s | rows %lld, K %lld, d %lld | %.3f | %.1f Top/s of screening |\n", of.name,
             (long long)rows, (long long)K, (long long)d, seconds * 1e3,
             2.0 * (double)(rows * K * d) / seconds * 1e-12);
    }
    need(side.api->set_tier(NAS_TIER_SCALAR));
    seconds = median_seconds([&] {
      need(side.api->accumulate(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, indices.data(),
                                counts.data(), sums.data(), nullptr, side.stream));
    });
    printf("| accumulate | rows %lld, K %lld, d %lld | %.3f | %.1f GB/s of rows |\n",
           (long long)rows, (long long)K, (long long)d, seconds * 1e3,
           4.0 * (double)(rows * d) / seconds * 1e-9);
    Array<nas_verdict> verdict(side, std::vector<nas_verdict>(1));
    need(side.api->reserve(codebook.get(), rows, NAS_FLOAT32, 0, 0));
    std::vector<int32_t> even((size_t)rows);
    for (int32_t &code : even) code = (int32_t)random.below(K);
    Array<int32_t> even_codes(side, even);
    const struct {
      const char *name;
      const int32_t *codes;
    } batches[] = {{"codes as looked up", indices.data()}, {"codes drawn evenly", even_codes.data()}};
    for (const auto &batch : batches) { /* gamma 0.9999: the codewords hardly move */
      auto line = [&](const char *how, double took) {
        printf("| update%s, %s | rows %lld, K %lld, d %lld | %.3f | %.1f GB/s of rows |\n", how,
               batch.name, (long long)rows, (long long)K, (long long)d, took * 1e3,
               4.0 * (double)(rows * d) / took * 1e-9);
      };
      line("", median_seconds([&] {
             need(side.api->update(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d, batch.codes,
                                   0.9999, 1e-5, 0.0, nullptr, side.stream));
           }));
      line(" in a graph", replayed_seconds(side, [&] {
             need(side.api->update_enqueue(codebook.get(), x_in.data(), NAS_FLOAT32, rows, d,
                                           batch.codes, 0.9999, 1e-5, 0.0, verdict.data(),
                                           side.stream));
           }));
    }
    if (rows == 6272) {
      seconds = median_seconds([&] {
        need(side.api->apply(codebook.get(), counts.data(), sums.data(), 0.99, 1e-5, 0.0,
                             side.stream));
      });
      printf("| apply | K %lld, d %lld | %.3f | |\n", (long long)K, (long long)d, seconds * 1e3);
      Array<int32_t> lists(side, std::vector<int32_t>((size_t)(K * 32)));
      for (const auto &of : kCudaTiers) {
        if (of.tier > NAS_TIER_TENSOR || !timed(of.tier)) continue;
        need(side.api->set_tier(of.tier));
        seconds = median_seconds([&] {
          need(side.api->neighbours(codebook.get(), 32, nullptr, lists.data(), side.stream));
          wait();
        });
        printf("| neighbours, %s | K %lld, d %lld, R 32 | %.3f | |\n", of.name, (long long)K,
               (long long)d, seconds * 1e3);
      }
      need(side.api->set_tier(NAS_TIER_SCALAR));
      const int64_t B = 128;
      const int64_t N = 256;
      nas_swap_params p = {B, N, 39, 32, 0.5, seed, 1, NAS_SWAP_RESIDUAL};
      Array<float> tokens(side, vectors(random, Kind::kNormal, B * N, d));
      Array<float> swapped(side, std::vector<float>((size_t)(B * N * d)));
      Array<float> text_in(side, vectors(random, Kind::kNormal, B * N, 1));
      Array<float> image_in(side, vectors(random, Kind::kNormal, B * N, 1));
      Array<int32_t> codes(side, std::vector<int32_t>((size_t)(B * N)));
      Array<int64_t> ids(side, std::vector<int64_t>((size_t)B, 5));
      Array<int32_t> positions(side, std::vector<int32_t>((size_t)(B * p.chosen)));
      Array<int32_t> substitutes(side, std::vector<int32_t>((size_t)(B * p.chosen)));
      need(side.api->lookup(codebook.get(), tokens.data(), NAS_FLOAT32, B * N, d, codes.data(), nullptr,
                            nullptr, nullptr, side.stream));
      seconds = median_seconds([&] {
        need(side.api->swap(codebook.get(), &p, text_in.data(), image_in.data(), tokens.data(),
                            codes.data(), lists.data(), ids.data(), positions.data(),
                            substitutes.data(), swapped.data(), nullptr, side.stream));
      });
      auto line = [&](const char *how, double took) {
        printf("| swap%s | images %lld, tokens %lld, chosen 39, d %lld | %.3f | %.1f GB/s of tokens |\n",
               how, (long long)B, (long long)N, (long long)d, took * 1e3,
               8.0 * (double)(B * N * d) / took * 1e-9);
      };
      line("", seconds);
      need(side.api->reserve(codebook.get(), rows, NAS_FLOAT32, B, N));
      line(" in a graph", replayed_seconds(side, [&] {
             need(side.api->swap_enqueue(codebook.get(), &p, text_in.data(), image_in.data(),
                                         tokens.data(), codes.data(), lists.data(), ids.data(),
                                         positions.data(), substitutes.data(), swapped.data(),
                                         verdict.data(), side.stream));
           }));
    }
    fflush(stdout);
  }
}

}  // namespace selfcheck
