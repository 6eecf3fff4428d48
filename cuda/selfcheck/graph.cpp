/* Captured graphs of enqueued calls, and codebooks of another device. */
#include "steps.h"

namespace selfcheck {

namespace {

/* A step is captured once, on a stream of the subject's, and replayed with one input after the other in the
 * same buffers; the reference makes the same steps by the calls that wait. */
void check_graphs(const Side &reference, const Side &subject, Random &random) {
  cudaStream_t stream = (cudaStream_t)subject.stream;
  for (const auto &sizes : kStepShapes) {
    const int32_t type = (int32_t)sizes[3];
    const StepShape shape = step_shape(random, sizes[0], sizes[1], sizes[2]);
    const std::vector<float> codewords = vectors(random, Kind::kNormal, shape.K, shape.d);
    Step step = random_step(random, shape, kFine);
    Stepped expected(reference, codewords, shape, step, type);
    Stepped actual(subject, codewords, shape, step, type);
    reserve(subject, actual.codebook.get(), shape, type, 0);
    int64_t held[2][2];
    auto measure = [&](int64_t *bytes) {
      if (subject.api->workspace(actual.codebook.get(), &bytes[0], &bytes[1]) != NAS_OK) {
        die("%s", subject.api->last_error());
      }
    };
    measure(held[0]);

    cudaGraph_t graph;
    cudaGraphExec_t replay;
    must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "the start of a capture");
    actual.runner.enqueue(actual.codebook.get());
    must(cudaStreamEndCapture(stream, &graph), "the end of a capture");
    must(cudaGraphInstantiate(&replay, graph, 0), "a graph");
    must(cudaGraphDestroy(graph), "a graph's end");
    Outcome before[2];
    expected.codebook.add_state(&before[0]);
    actual.codebook.add_state(&before[1]);
    compare("graph", "captured, not run", reference, before[0], subject, before[1]);

    /* Every fault, a good step after each, and from the middle on other calls between the steps. */
    for (int round = 0; round < 2 * kStepFaults; ++round) {
      const StepFault fault = round % 2 == 0 ? kFine : (StepFault)(round / 2);
      step = random_step(random, shape, fault);
      reference.prepare();
      expected.runner.fill(step);
      expected.runner.call(expected.codebook.get());
      subject.prepare();
      actual.runner.fill(step);
      must(cudaGraphLaunch(replay, stream), "a graph's launch");
      compare("graph", name_of(shape, type, round, fault), reference,
              expected.outcome(), subject, actual.outcome());
      if (round + 1 < kStepFaults) continue;
      if (round + 1 == kStepFaults) {
        measure(held[1]);
        if (memcmp(held[0], held[1], sizeof held[0]) != 0) {
          complain("graph", "the codebook held %lld + %lld bytes, after some replays %lld + %lld",
                   (long long)held[0][0], (long long)held[0][1], (long long)held[1][0],
                   (long long)held[1][1]);
        }
      }
      expected.runner.change(expected.codebook.get());
      actual.runner.change(actual.codebook.get());
    }
    must(cudaGraphExecDestroy(replay), "a graph's end");

#if defined(NAS_EMULATION)
    /* A call that allocates cannot be captured: it must say so, and do no harm to what follows. Not on a
     * device, where compute-sanitizer would report it. */
    must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "the start of a capture");
    const nas_status status = subject.api->reserve(actual.codebook.get(), 100 * shape.rows + 100000,
                                                   NAS_FLOAT32, 0, 0);
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) {
      must(cudaGraphDestroy(graph), "a graph's end");
    }
    (void)cudaGetLastError();
    if (status != NAS_DEVICE_ERROR) {
      complain("graph", "status %d (%s) of an allocation while a stream was captured", status,
               subject.api->last_error());
    }
    expected.runner.change(expected.codebook.get());
    actual.runner.change(actual.codebook.get());
    compare("graph", "after a capture that failed", reference, expected.outcome(), subject,
            actual.outcome());
#endif
  }
}

/* A codebook of another device than the current one; needs two. */
void check_devices(const Side &reference, const Side &subject, Random &random) {
  int devices = 0;
  must(cudaGetDeviceCount(&devices), "the devices");
  if (devices < 2) return;
  const StepShape shape = step_shape(random, 40, 12, 50);
  const std::vector<float> codewords = vectors(random, Kind::kNormal, shape.K, shape.d);
  const Step step = random_step(random, shape, kFine);
  int home = 0;
  must(cudaGetDevice(&home), "the current device");
  const int other = home == 0 ? 1 : 0;

  must(cudaSetDevice(other), "the change of the device");
  Side far = subject;
  far.name += ", another device";
  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  far.stream = stream;
  Array<float> far_codewords(far, codewords);
  StepRunner far_runner(far, shape, step, NAS_FLOAT32);
  Array<float> e(far, std::vector<float>(codewords.size()));
  must(cudaSetDevice(home), "the change of the device");

  reference.prepare();
  Codebook expected(reference, codewords, shape.K, shape.d);
  StepRunner runner(reference, shape, step, NAS_FLOAT32);
  far.prepare();
  nas_codebook *handle = nullptr;
  auto need = [&](nas_status status) {
    if (status != NAS_OK) die("%s: %s", far.name.c_str(), far.api->last_error());
  };
  need(far.api->create(far_codewords.data(), shape.K, shape.d, nullptr, far.stream, &handle));
  runner.call(expected.get());
  far_runner.call(handle);
  reserve(far, handle, shape, NAS_FLOAT32, 0);
  runner.call(expected.get());
  far_runner.enqueue(handle);
  need(far.api->read(handle, e.data(), nullptr, nullptr, nullptr, far.stream));
  must(cudaStreamSynchronize(stream), "waiting");
  Outcome outcomes[2];
  Array<float> expected_e(reference, std::vector<float>(codewords.size()));
  need(reference.api->read(expected.get(), expected_e.data(), nullptr, nullptr, nullptr, nullptr));
  outcomes[0].add("codewords", expected_e.values());
  outcomes[1].add("codewords", e.values());
  compare("devices", "a codebook of another device", reference, outcomes[0], far, outcomes[1]);

  Array<float> near(subject, step.x);
  Array<int32_t> indices(subject, std::vector<int32_t>(step.y_codes.size()));
  const nas_status status =
      far.api->lookup(handle, near.data(), NAS_FLOAT32, shape.rows, shape.d, indices.data(),
                      nullptr, nullptr, nullptr, far.stream);
  if (status != NAS_INVALID_ARGUMENT ||
      strstr(far.api->last_error(), "x is memory of CUDA device") == nullptr) {
    complain("devices", "memory of the wrong device: status %d (%s)", status,
             far.api->last_error());
  }
  int current = -1;
  must(cudaGetDevice(&current), "the current device");
  if (current != home) complain("devices", "device %d is current, not %d", current, home);
  need(far.api->close(handle));
  must(cudaStreamDestroy(stream), "cudaStreamDestroy");
}

}  // namespace

void check_graph(const Side &reference, const Side &subject, Random &random, const Options &) {
  if (!subject.device) return;
  check_graphs(reference, subject, random);
  if (subject.tier == NAS_TIER_SCALAR) check_devices(reference, subject, random);
}

}  // namespace selfcheck
