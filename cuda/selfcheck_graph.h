/* The part of selfcheck.cpp that compares enqueued calls, replayed graphs and codebooks of another device.
 * Included there, after what it uses. */

/* ---------------------------------------------------------------- enqueued calls */

/* The input of the graphs' and the enqueued calls' comparison. */
struct Step {
  std::vector<float> x, y, text, image, tokens;
  std::vector<int32_t> y_codes, codes, lists;
  std::vector<int64_t> ids;
};

struct StepShape {
  int64_t K, d, rows;
  nas_swap_params swap;
};

/* What is wrong with a step's input, for a replay to say and the next one to have forgotten. */
enum StepFault {
  kFine,
  kBadRow,         /* of x: nothing of it may come into the codebook */
  kBadCode,        /* of y */
  kBadRowOfY,
  kBadRowThenCode, /* of y: the lower row is the one to be told */
  kBadCodeThenRow,
  kLargeRows,      /* of y: a codeword would not be finite */
  kBadSwapCode,
  kBadList,
  kBadSimilarity,
  kStepFaults
};

StepShape step_shape(Random &random, int64_t K, int64_t d, int64_t rows) {
  StepShape shape = {K, d, rows, {}};
  shape.swap.images = 1 + random.below(3);
  shape.swap.tokens = 2 + random.below(30);
  shape.swap.chosen = 1 + random.below(shape.swap.tokens);
  shape.swap.neighbours = 1 + random.below(6);
  shape.swap.text_weight = random.uniform();
  shape.swap.seed = random.next();
  shape.swap.step = (uint32_t)random.next();
  shape.swap.mode = (int32_t)random.below(2);
  return shape;
}

Step random_step(Random &random, const StepShape &shape, StepFault fault) {
  const int64_t K = shape.K, d = shape.d, rows = shape.rows;
  const int64_t all = shape.swap.images * shape.swap.tokens;
  Step step;
  step.x = vectors(random, Kind::kNormal, rows, d);
  step.y = vectors(random, Kind::kNormal, rows, d);
  step.text = vectors(random, Kind::kNormal, all, 1);
  step.image = vectors(random, Kind::kGrid, all, 1);
  step.tokens = vectors(random, Kind::kNormal, all, d);
  step.y_codes.resize((size_t)rows);
  for (int32_t &code : step.y_codes) code = (int32_t)random.below(K);
  step.codes.resize((size_t)all);
  const int64_t distinct = 1 + random.below(K);
  for (int32_t &code : step.codes) code = (int32_t)random.below(distinct);
  step.lists.resize((size_t)(K * shape.swap.neighbours));
  for (int32_t &code : step.lists) code = (int32_t)(random.below(K + 1) - 1);
  for (int64_t b = 0; b < shape.swap.images; ++b) step.ids.push_back((int64_t)random.next());
  auto any = [&](auto &values) -> auto & {
    return values[(size_t)random.below((int64_t)values.size())];
  };
  if (fault == kBadRow) any(step.x) = random.below(2) == 0 ? NAN : INFINITY;
  if (fault == kBadCode) any(step.y_codes) = random.below(2) == 0 ? (int32_t)K : INT_MIN;
  if (fault == kBadRowOfY) any(step.y) = -INFINITY;
  if (fault == kBadRowThenCode) {
    step.y[(size_t)random.below(d)] = NAN;
    step.y_codes.back() = (int32_t)K;
  }
  if (fault == kBadCodeThenRow) {
    step.y_codes.front() = -1;
    step.y.back() = NAN;
  }
  if (fault == kLargeRows) {
    std::fill(step.y.begin(), step.y.end(), 3e38f);
    std::fill(step.y_codes.begin(), step.y_codes.end(), (int32_t)(K / 2));
  }
  if (fault == kBadSwapCode) any(step.codes) = random.below(2) == 0 ? INT_MAX : -1;
  if (fault == kBadList) any(step.lists) = random.below(2) == 0 ? INT_MAX : -2;
  if (fault == kBadSimilarity) any(random.below(2) == 0 ? step.text : step.image) = NAN;
  return step;
}

/* A step's buffers on one side, and the calls that a step makes: a lookup of x, an update with what it
 * found, one with other rows, a reading of the codewords, the neighbour lists, a swap with those and one
 * with lists given. */
class StepRunner {
 public:
  StepRunner(const Side &side, const StepShape &shape, const Step &step, int32_t type)
      : side_(side), shape_(shape), type_(type),
        x_(side, narrowed(step.x)), y_(side, narrowed(step.y)), text_(side, step.text),
        image_(side, step.image), tokens_(side, step.tokens), y_codes_(side, step.y_codes), codes_(side, step.codes),
        lists_(side, step.lists), ids_(side, step.ids),
        indices_(side, std::vector<int32_t>((size_t)shape.rows, 0)),
        distances_(side, std::vector<float>((size_t)shape.rows, -9.0f)),
        found_lists_(side, std::vector<int32_t>(step.lists.size(), -9)),
        codewords_(side, std::vector<float>((size_t)(shape.K * shape.d), -9.0f)),
        verdicts_(side, std::vector<int64_t>(2 * kCalls, -9)) {
    const size_t chosen = (size_t)(shape.swap.images * shape.swap.chosen);
    for (int i = 0; i < 2; ++i) {
      positions_[i].reset(new Array<int32_t>(side, std::vector<int32_t>(chosen, -9)));
      substitutes_[i].reset(new Array<int32_t>(side, std::vector<int32_t>(chosen, -9)));
    }
    swapped_.reset(new Array<float>(side, std::vector<float>(step.tokens.size(), -9.0f)));
  }

  void fill(const Step &step) {
    x_.fill(narrowed(step.x));
    y_.fill(narrowed(step.y));
    text_.fill(step.text);
    image_.fill(step.image);
    tokens_.fill(step.tokens);
    y_codes_.fill(step.y_codes);
    codes_.fill(step.codes);
    lists_.fill(step.lists);
    ids_.fill(step.ids);
  }

  /* Puts the calls on the side's stream; the verdicts go to its memory. */
  void enqueue(nas_codebook *codebook) {
    const Api &api = *side_.api;
    nas_verdict *verdicts = (nas_verdict *)verdicts_.data();
    need(api.lookup_enqueue(codebook, x_.data(), type_, shape_.rows, shape_.d, indices_.data(),
                            distances_.data(), &verdicts[0], side_.stream));
    need(api.update_enqueue(codebook, x_.data(), type_, shape_.rows, shape_.d, indices_.data(),
                            0.75, 1e-3, 1.0, &verdicts[1], side_.stream));
    need(api.update_enqueue(codebook, y_.data(), type_, shape_.rows, shape_.d, y_codes_.data(),
                            0.25, 1e-5, 0.5, &verdicts[2], side_.stream));
    need(api.read(codebook, codewords_.data(), nullptr, nullptr, nullptr, side_.stream));
    need(api.neighbours(codebook, shape_.swap.neighbours, nullptr, found_lists_.data(),
                        side_.stream));
    need(api.swap_enqueue(codebook, &shape_.swap, text_.data(), image_.data(), tokens_.data(),
                          codes_.data(), found_lists_.data(), ids_.data(), positions_[0]->data(),
                          substitutes_[0]->data(), swapped_->data(), &verdicts[3], side_.stream));
    need(api.swap_enqueue(codebook, &shape_.swap, text_.data(), image_.data(), tokens_.data(),
                          codes_.data(), lists_.data(), ids_.data(), positions_[1]->data(),
                          substitutes_[1]->data(), tokens_.data(), &verdicts[4], side_.stream));
  }

  /* The same by the calls that wait. */
  void call(nas_codebook *codebook) {
    const Api &api = *side_.api;
    std::vector<int64_t> verdicts(2 * kCalls, -1);
    int64_t *v = verdicts.data();
    v[0] = api.lookup(codebook, x_.data(), type_, shape_.rows, shape_.d, indices_.data(),
                      distances_.data(), &v[1], nullptr, side_.stream);
    v[2] = api.update(codebook, x_.data(), type_, shape_.rows, shape_.d, indices_.data(), 0.75,
                      1e-3, 1.0, &v[3], side_.stream);
    v[4] = api.update(codebook, y_.data(), type_, shape_.rows, shape_.d, y_codes_.data(), 0.25,
                      1e-5, 0.5, &v[5], side_.stream);
    need(api.read(codebook, codewords_.data(), nullptr, nullptr, nullptr, side_.stream));
    need(api.neighbours(codebook, shape_.swap.neighbours, nullptr, found_lists_.data(),
                        side_.stream));
    v[6] = api.swap(codebook, &shape_.swap, text_.data(), image_.data(), tokens_.data(),
                    codes_.data(), found_lists_.data(), ids_.data(), positions_[0]->data(),
                    substitutes_[0]->data(), swapped_->data(), &v[7], side_.stream);
    v[8] = api.swap(codebook, &shape_.swap, text_.data(), image_.data(), tokens_.data(),
                    codes_.data(), lists_.data(), ids_.data(), positions_[1]->data(),
                    substitutes_[1]->data(), tokens_.data(), &v[9], side_.stream);
    verdicts_.fill(verdicts);
  }

  /* What may be looked at after a step: not what a bad verdict leaves unspecified, and of the update
   * after a bad lookup no more than that it failed. */
  Outcome outcome(const Codebook &codebook) {
    if (side_.device) must(cudaStreamSynchronize((cudaStream_t)side_.stream), "waiting");
    Outcome outcome;
    std::vector<int64_t> verdicts = verdicts_.values();
    if (verdicts[0] == NAS_OK) {
      outcome.add("indices", indices_.values());
      outcome.add("distances", distances_.values());
    } else {
      verdicts[2] = verdicts[2] == NAS_OK ? NAS_OK : NAS_NON_FINITE;
      verdicts[3] = -1;
    }
    outcome.add("verdicts", verdicts);
    codebook.add_state(&outcome);
    outcome.add("codewords read", codewords_.values());
    outcome.add("lists", found_lists_.values());
    if (verdicts[6] == NAS_OK) {
      outcome.add("positions", positions_[0]->values());
      outcome.add("substitutes", substitutes_[0]->values());
      outcome.add("swapped", swapped_->values());
    }
    if (verdicts[8] == NAS_OK) {
      outcome.add("positions in place", positions_[1]->values());
      outcome.add("substitutes in place", substitutes_[1]->values());
    }
    outcome.add("tokens", tokens_.values());
    return outcome;
  }

  /* An odd number of changes by calls that wait: two exchanges of memory would cancel out. */
  void change(nas_codebook *codebook) {
    const Api &api = *side_.api;
    Array<float> fresh(side_, std::vector<float>((size_t)(2 * shape_.d), 0.5f));
    Array<int32_t> codes(side_, {0, (int32_t)(shape_.K - 1)});
    need(api.restart(codebook, codes.data(), fresh.data(), 2, side_.stream));
    Array<float> rows(side_, std::vector<float>((size_t)shape_.d, 0.25f));
    need(api.update(codebook, rows.data(), NAS_FLOAT32, 1, shape_.d, codes.data(), 0.5, 1e-5, 0.0,
                    nullptr, side_.stream));
    Array<double> n(side_, std::vector<double>((size_t)shape_.K, 1.5));
    need(api.write(codebook, nullptr, n.data(), nullptr, nullptr, side_.stream));
  }

 private:
  static constexpr int kCalls = 5;

  void need(nas_status status) const {
    if (status != NAS_OK) die("%s: %s", side_.name.c_str(), side_.api->last_error());
  }

  /* Rows as elements of type_: the upper half of a float is a bfloat16. */
  std::vector<uint16_t> narrowed(const std::vector<float> &values) const {
    std::vector<uint16_t> halves(2 * values.size());
    if (!values.empty()) memcpy(halves.data(), values.data(), values.size() * sizeof(float));
    if (type_ == NAS_FLOAT32) return halves;
    std::vector<uint16_t> upper;
    for (size_t i = 1; i < halves.size(); i += 2) upper.push_back(halves[i]);
    return upper;
  }

  const Side &side_;
  const StepShape shape_;
  const int32_t type_;
  Array<uint16_t> x_, y_;
  Array<float> text_, image_, tokens_;
  Array<int32_t> y_codes_, codes_, lists_;
  Array<int64_t> ids_;
  Array<int32_t> indices_;
  Array<float> distances_;
  Array<int32_t> found_lists_;
  Array<float> codewords_;
  Array<int64_t> verdicts_;
  std::unique_ptr<Array<int32_t>> positions_[2], substitutes_[2];
  std::unique_ptr<Array<float>> swapped_;
};

std::string name_of(const StepShape &shape, int32_t type, int64_t step, StepFault fault) {
  return text("K %lld, d %lld, rows %lld of type %d, images %lld, tokens %lld, step %lld, fault %d",
              (long long)shape.K, (long long)shape.d, (long long)shape.rows, (int)type,
              (long long)shape.swap.images, (long long)shape.swap.tokens, (long long)step,
              (int)fault);
}

void reserve(const Side &side, nas_codebook *codebook, const StepShape &shape, int32_t type,
             int64_t more) {
  if (side.api->reserve(codebook, shape.rows + more, type, shape.swap.images + more,
                        shape.swap.tokens) != NAS_OK) {
    die("%s: %s", side.name.c_str(), side.api->last_error());
  }
}

/* K, d, rows and their type. */
const int64_t kStepShapes[][4] = {
    {1, 1, 2, NAS_FLOAT32},
    {33, 20, 70, NAS_FLOAT32},
    {33, 7, 140, NAS_BFLOAT16},
    {130, 9, 50, NAS_BFLOAT16}};

/* A codebook and the buffers of its steps on one side. */
struct Stepped {
  Stepped(const Side &side, const std::vector<float> &codewords, const StepShape &shape,
          const Step &step, int32_t type)
      : codebook((side.prepare(), Codebook(side, codewords, shape.K, shape.d))),
        runner(side, shape, step, type) {}

  Outcome outcome() { return runner.outcome(codebook); }

  Codebook codebook;
  StepRunner runner;
};

void check_enqueue(const Side &reference, const Side &subject, Random &random) {
  for (const auto &sizes : kStepShapes) {
    const int32_t type = (int32_t)sizes[3];
    const StepShape shape = step_shape(random, sizes[0], sizes[1], sizes[2]);
    const std::vector<float> codewords = vectors(random, Kind::kNormal, shape.K, shape.d);
    Step step = random_step(random, shape, kFine);
    Stepped expected(reference, codewords, shape, step, type);
    Stepped actual(subject, codewords, shape, step, type);
    /* More than needed, so that what fewer rows need of memory is seen to be no more. */
    reserve(subject, actual.codebook.get(), shape, type, random.below(2) == 0 ? 0 : random.below(2000));
    for (int fault = 0; fault < kStepFaults; ++fault) {
      step = random_step(random, shape, (StepFault)fault);
      expected.runner.fill(step);
      reference.prepare();
      expected.runner.call(expected.codebook.get());
      actual.runner.fill(step);
      subject.prepare();
      actual.runner.enqueue(actual.codebook.get());
      compare("enqueue", name_of(shape, type, fault, (StepFault)fault), reference,
              expected.outcome(), subject, actual.outcome());
    }
  }

  /* What is refused, with nothing written. */
  const int64_t K = 4, d = 3;
  const nas_swap_params p = {2, 2, 1, 1, 0.5, 1, 1, NAS_SWAP_QUANTISED};
  using Call = std::function<nas_status(const Side &, nas_codebook *, float *, int32_t *,
                                        nas_verdict *)>;
  auto lookup = [](const Side &s, nas_codebook *c, float *f, int32_t type, int64_t rows, int32_t *i,
                   nas_verdict *v) {
    return s.api->lookup_enqueue(c, f, type, rows, d, i, nullptr, v, s.stream);
  };
  auto update = [](const Side &s, nas_codebook *c, float *f, int32_t type, int64_t rows, int32_t *i,
                   double gamma, nas_verdict *v) {
    return s.api->update_enqueue(c, f, type, rows, d, i, gamma, 1e-5, 0.0, v, s.stream);
  };
  auto swap = [](const Side &s, nas_codebook *c, const nas_swap_params *q, float *f, int32_t *i,
                 nas_verdict *v) {
    return s.api->swap_enqueue(c, q, f, f, f, i, i, (int64_t *)f, i, i, f, v, s.stream);
  };
  struct Refusal {
    const char *what;
    bool beyond; /* what was reserved, so that the message must say so */
    Call call;
  };
  const std::vector<Refusal> refusals = {
      {"lookup: too many rows", true,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return lookup(s, c, f, NAS_FLOAT32, 4, i, v);
       }},
      {"lookup: narrow rows", true,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return lookup(s, c, f, NAS_FLOAT16, 1, i, v);
       }},
      {"lookup: rows -1", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return lookup(s, c, f, NAS_FLOAT32, -1, i, v);
       }},
      {"lookup: verdict NULL", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *) {
         return lookup(s, c, f, NAS_FLOAT32, 1, i, nullptr);
       }},
      {"lookup: codebook NULL", false,
       [&](const Side &s, nas_codebook *, float *f, int32_t *i, nas_verdict *v) {
         return lookup(s, nullptr, f, NAS_FLOAT32, 1, i, v);
       }},
      {"update: too many rows", true,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return update(s, c, f, NAS_FLOAT32, 4, i, 0.5, v);
       }},
      {"update: gamma 1", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return update(s, c, f, NAS_FLOAT32, 1, i, 1.0, v);
       }},
      {"update: verdict misaligned", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return update(s, c, f, NAS_FLOAT32, 1, i, 0.5, (nas_verdict *)((char *)v + 4));
       }},
      {"swap: too many images", true,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         nas_swap_params q = p;
         q.images = 3;
         return swap(s, c, &q, f, i, v);
       }},
      {"swap: too many tokens", true,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         nas_swap_params q = p;
         q.tokens = 3;
         return swap(s, c, &q, f, i, v);
       }},
      {"swap: params NULL", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         return swap(s, c, nullptr, f, i, v);
       }},
      {"reserve: rows -1", false,
       [&](const Side &s, nas_codebook *c, float *, int32_t *, nas_verdict *) {
         return s.api->reserve(c, -1, NAS_FLOAT32, 1, 1);
       }},
      {"reserve: type 3", false,
       [&](const Side &s, nas_codebook *c, float *, int32_t *, nas_verdict *) {
         return s.api->reserve(c, 1, 3, 1, 1);
       }},
      {"reserve: an overflow", false,
       [&](const Side &s, nas_codebook *c, float *, int32_t *, nas_verdict *) {
         return s.api->reserve(c, 1, NAS_FLOAT32, INT64_MAX / 2, 100);
       }},
      {"workspace: NULL", false,
       [&](const Side &s, nas_codebook *c, float *, int32_t *, nas_verdict *) {
         int64_t bytes = 0;
         return s.api->workspace(c, &bytes, nullptr);
       }},
  };
  std::vector<float> codewords(K * d, 0.5f);
  for (const Refusal &refusal : refusals) {
    for (bool reserved : {true, false}) {
      if (!reserved && !refusal.beyond) continue;
      both("enqueue", text("%s, reserved %d", refusal.what, reserved), reference, subject,
           [&](const Side &side) {
             Codebook codebook(side, codewords, K, d);
             Array<float> floats(side, std::vector<float>(64, 0.25f));
             Array<int32_t> ints(side, std::vector<int32_t>(64, 1));
             Array<int64_t> verdict(side, std::vector<int64_t>(4, -9));
             if (reserved &&
                 side.api->reserve(codebook.get(), 3, NAS_FLOAT32, 2, 2) != NAS_OK) {
               die("%s", side.api->last_error());
             }
             Outcome outcome;
             finish(side,
                    refusal.call(side, codebook.get(), floats.data(), ints.data(),
                                 (nas_verdict *)verdict.data()),
                    &outcome);
             if (outcome.status != NAS_INVALID_ARGUMENT ||
                 (refusal.beyond &&
                  outcome.error.find("nas_codebook_reserve") == std::string::npos)) {
               complain("enqueue", "%s on %s: status %d (%s)", refusal.what, side.name.c_str(),
                        outcome.status, outcome.error.c_str());
             }
             codebook.add_state(&outcome);
             outcome.add("floats", floats.values());
             outcome.add("ints", ints.values());
             outcome.add("verdict", verdict.values());
             return outcome;
           });
    }
  }
}

/* ---------------------------------------------------------------- graphs */

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

/* ---------------------------------------------------------------- devices */

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
