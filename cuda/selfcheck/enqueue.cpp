/* Enqueued calls. */
#include "steps.h"

namespace selfcheck {

void check_enqueue(const Side &reference, const Side &subject, Random &random, const Options &) {
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
  nas_swap_params p = {};
  p.images = p.tokens = 2;
  p.chosen = p.neighbours = 1;
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
    const nas_swap_input in = {f, f, (double *)f, nullptr, f, i, i, (int64_t *)f};
    const nas_swap_output out = {i, i, f, nullptr, nullptr};
    return s.api->swap_enqueue(c, q, &in, &out, v, s.stream);
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
      {"swap: donors in place", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         nas_swap_params q = p;
         q.donors = 1;
         return swap(s, c, &q, f, i, v);
       }},
      {"swap: rows of evidence NULL", false,
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, nas_verdict *v) {
         nas_swap_params q = p;
         q.choose = NAS_CHOOSE_GAIN;
         q.evidence_rows = 1;
         return swap(s, c, &q, f, i, v);
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

}  // namespace selfcheck
