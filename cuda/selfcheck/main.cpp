/*
 * Compares every function of the CUDA library with the host library's scalar tier, bit for bit, on
 * awkward sizes and values; with --cpu, the host library's tiers and thread counts with its scalar
 * tier on one thread; with --bench, prints timings of the CUDA library instead. See usage().
 *
 * Exit code: 0 all equal, 1 a difference, 2 wrong usage or a library that cannot be loaded, 77 no
 * CUDA device (nothing was compared).
 */
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "selfcheck.h"

namespace selfcheck {

namespace {

constexpr int kSkipped = 77;

/* The checks, and the highest tier of the CUDA library that has code of its own for what one compares. */
constexpr struct {
  const char *name;
  Check *make;
  int32_t highest_tier;
} kChecks[] = {{"arguments", check_arguments, NAS_CUDA_TIER_SCALAR},
               {"codebook", check_codebook, NAS_CUDA_TIER_SCALAR},
               {"lookup", check_lookup, NAS_CUDA_TIER_HOPPER},
               {"update", check_update, NAS_CUDA_TIER_SCALAR},
               {"neighbours", check_neighbours, NAS_CUDA_TIER_TENSOR},
               {"swap", check_swap, NAS_CUDA_TIER_SCALAR},
               {"enqueue", check_enqueue, NAS_CUDA_TIER_HOPPER},
               {"graph", check_graph, NAS_CUDA_TIER_HOPPER}};

void when_ended(int) {
  print_running();
  _exit(1);
}

/* So that a check has the same input alone and among others. */
uint64_t seed_of(const char *check, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
  for (; *check != '\0'; ++check) hash = (hash ^ (unsigned char)*check) * 0x100000001b3ull;
  return hash ^ seed;
}

/* Makes the checks that are asked for; on a device those that its tier matters to, and all in the scalar one. */
void check_all(const Side &reference, const Side &subject, const Options &options) {
  printf("comparing %s with %s\n", subject.name.c_str(), reference.name.c_str());
  for (const auto &check : kChecks) {
    if (!options.only.empty() && options.only != check.name) continue;
    /* The hopper tier has the tensor tier's neighbour lists: compared where it is the only tier. */
    const int32_t highest = check.highest_tier == NAS_CUDA_TIER_TENSOR && options.tier == NAS_CUDA_TIER_HOPPER
                                ? options.tier
                                : check.highest_tier;
    if (subject.device && subject.tier > highest) continue;
    Random random(seed_of(check.name, options.seed));
    check.make(reference, subject, random, options);
  }
}

void usage() {
  printf(
      "usage: nas_selfcheck [--cpu | --bench] [--host FILE] [--cuda FILE] [--seed N] [--work N]\n"
      "                     [--tier NAME] [--only NAME]\n"
      "  --cpu       compare the host library's tiers with its scalar tier; needs no device\n"
      "  --bench     print timings of the CUDA library as a table instead of comparing\n"
      "  --host FILE the host library (default: libnas_kernels.so in ../lib or beside this "
      "program)\n"
      "  --cuda FILE the CUDA library (default: libnas_kernels_cuda.so likewise)\n"
      "  --seed N    of the random input (default: from the clock; printed)\n"
      "  --work N    leave out cases of more than N multiply-adds (default 2e9)\n"
      "  --tier NAME compare one tier of the CUDA library: scalar, tensor or hopper (default: all); with\n"
      "              --bench, no tier above it\n"
      "  --only NAME make one check: arguments, codebook, lookup, update, neighbours, swap, enqueue or graph\n"
      "              (default: all)\n");
}

std::string beside(const char *library) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) die("cannot find this program's own folder; name the libraries by options");
  std::string folder(path, (size_t)length);
  folder.erase(folder.rfind('/'));
  for (const char *place : {"/../lib/", "/"}) {
    std::string candidate = folder + place + library;
    if (access(candidate.c_str(), R_OK) == 0) return candidate;
  }
  die("no %s in ../lib or beside this program; name it by an option", library);
}

Options parse(int argc, char **argv) {
  Options options;
  options.seed = (uint64_t)std::chrono::system_clock::now().time_since_epoch().count();
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      usage();
      exit(0);
    }
    if (option == "--cpu") {
      options.cpu = true;
      continue;
    }
    if (option == "--bench") {
      options.bench = true;
      continue;
    }
    if (i + 1 >= argc) {
      usage();
      die("unknown option %s, or its value is missing", option.c_str());
    }
    std::string value = argv[++i];
    char *end = nullptr;
    if (option == "--host") {
      options.host = value;
    } else if (option == "--cuda") {
      options.cuda = value;
    } else if (option == "--seed") {
      options.seed = strtoull(value.c_str(), &end, 10);
    } else if (option == "--work") {
      options.work = strtod(value.c_str(), &end);
    } else if (option == "--tier") {
      for (const auto &known : kCudaTiers) {
        if (value == known.name) options.tier = known.tier;
      }
      if (options.tier < 0) die("--tier wants scalar, tensor or hopper, not %s", value.c_str());
    } else if (option == "--only") {
      options.only = value;
    } else {
      usage();
      die("unknown option %s", option.c_str());
    }
    if (end != nullptr && (*end != '\0' || value.empty())) {
      die("%s wants a number, not %s", option.c_str(), value.c_str());
    }
  }
  if (options.only.empty()) return options;
  if (options.bench) die("--only is for comparing, --bench times everything");
  for (const auto &check : kChecks) {
    if (options.only != check.name) continue;
    if (!options.cpu && options.tier > NAS_CUDA_TIER_SCALAR && check.highest_tier == NAS_CUDA_TIER_SCALAR) {
      die("--only %s is compared in the scalar tier alone: no other has code of its own for it", check.name);
    }
    return options;
  }
  usage();
  die("--only knows no check %s", options.only.c_str());
}

}  // namespace

}  // namespace selfcheck

using namespace selfcheck;

int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IOLBF, BUFSIZ); /* what has been printed is there however this ends */
  signal(SIGTERM, when_ended);
  Options options = parse(argc, argv);
  printf("seed %llu\n", (unsigned long long)options.seed);
  char line[256];

  if (options.cpu) {
    Api host = load(options.host.empty() ? beside("libnas_kernels.so") : options.host);
    Side reference;
    reference.name = "host scalar, 1 thread";
    reference.api = &host;
    const char *const tiers[] = {"scalar", "avx2", "avx_vnni", "avx512", "avx512_vnni", "amx"};
    int subjects = 0;
    for (int32_t tier = 0; tier <= host.best_tier(); ++tier) {
      if (!host.has_tier(tier)) continue;
      for (int32_t threads : {1, 3}) {
        if (tier == 0 && threads == 1) continue;
        Side subject;
        subject.name = text("host %s, %d threads", tiers[tier], threads);
        subject.api = &host;
        subject.tier = tier;
        subject.threads = threads;
        check_all(reference, subject, options);
        ++subjects;
      }
    }
    printf("%d configurations\n", subjects);
    return conclude();
  }

  Api cuda = load(options.cuda.empty() ? beside("libnas_kernels_cuda.so") : options.cuda);
  int devices = 0;
  cudaError_t found = cudaGetDeviceCount(&devices);
  if (found != cudaSuccess || devices == 0) {
    /* Without a device the library must say so, and not crash. */
    nas_codebook *codebook = nullptr;
    float codeword = 0.0f;
    nas_status statuses[] = {cuda.describe(line, (int64_t)sizeof line),
                             cuda.create(&codeword, 1, 1, nullptr, nullptr, &codebook)};
    for (nas_status status : statuses) {
      if (status != NAS_DEVICE_ERROR || strstr(cuda.last_error(), "no CUDA device") == nullptr) {
        printf("without a device the CUDA library gives status %d (%s)\n", status,
               cuda.last_error());
        return 1;
      }
    }
    printf("skipped: no CUDA device (%s)\n",
           found == cudaSuccess ? "the driver reports none" : cudaGetErrorString(found));
    return kSkipped;
  }
  if (cuda.describe(line, (int64_t)sizeof line) != NAS_OK) die("%s", cuda.last_error());
  printf("%s\n", line);

  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  Side subject;
  subject.name = "cuda";
  subject.api = &cuda;
  subject.device = true;
  subject.stream = stream;
  if (options.bench) {
    bench(subject, options);
    must(cudaStreamDestroy(stream), "cudaStreamDestroy");
    return 0;
  }
  Api host = load(options.host.empty() ? beside("libnas_kernels.so") : options.host);
  Side reference;
  reference.name = "host scalar";
  reference.api = &host;
  reference.threads = host.threads();
  if (options.tier > cuda.best_tier()) {
    printf("skipped: the device has no such tier\n");
    return kSkipped;
  }
  for (const auto &of : kCudaTiers) {
    if (of.tier > cuda.best_tier() || (options.tier >= 0 && of.tier != options.tier)) continue;
    subject.name = text("cuda %s", of.name);
    subject.tier = of.tier;
    check_all(reference, subject, options);
  }
  must(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return conclude();
}
