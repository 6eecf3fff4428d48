/* Arguments that are refused, with nothing written, or that ask for nothing. */
#include "selfcheck.h"

namespace selfcheck {

void check_arguments(const Side &reference, const Side &subject, Random &, const Options &) {
  const int64_t K = 4;
  const int64_t d = 3;
  std::vector<float> codewords = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
  using Call =
      std::function<nas_status(const Side &, nas_codebook *, float *, int32_t *, double *)>;
  nas_swap_params good = {};
  good.images = good.chosen = good.neighbours = 1;
  good.tokens = 2;
  auto swap = [](const Side &s, nas_codebook *c, const nas_swap_params *p, float *f, int32_t *i, double *w) {
    const nas_swap_input in = {f, f, nullptr, nullptr, f, i, i, (int64_t *)w};
    const nas_swap_output out = {i, i, f, nullptr, nullptr};
    return s.api->swap(c, p, &in, &out, nullptr, s.stream);
  };
  /* By evidence, of which there is a row for each image. */
  nas_swap_params evident = good;
  evident.evidence_rows = 1;
  evident.choose = NAS_CHOOSE_GAIN;
  evident.substitute = NAS_SUBSTITUTE_EVIDENCE;
  evident.sign = 1;
  auto swap_by = [](const Side &s, nas_codebook *c, const nas_swap_params &p, float *f, int32_t *i, double *w,
                    auto change) {
    /* What is read lies apart from what is written. */
    nas_swap_input in = {f, f, w, i, f, i, i, (int64_t *)w};
    nas_swap_output out = {i + 8, i + 16, f + 32, w + 32, (uint8_t *)(i + 24)};
    change(in, out);
    return s.api->swap(c, &p, &in, &out, nullptr, s.stream);
  };
  struct ByEvidence {
    const char *name;
    std::function<void(nas_swap_params &, nas_swap_input &, nas_swap_output &)> change;
  };
  const ByEvidence by_evidence[] = {
      {"swap: by evidence, a row out of range", [](auto &, auto &, auto &) {}},
      {"swap: by evidence, what is not read is NULL",
       [](auto &p, auto &in, auto &out) {
         p.evidence_rows = 2; /* the images have the second one */
         in.text = in.image = nullptr;
         in.sample_ids = nullptr;
         out.scores = nullptr;
         out.mask = nullptr;
       }},
      {"swap: by evidence, rows NULL", [](auto &, auto &in, auto &) { in.evidence_of = nullptr; }},
      {"swap: by evidence, evidence NULL", [](auto &, auto &in, auto &) { in.evidence = nullptr; }},
      {"swap: by evidence, evidence misaligned",
       [](auto &, auto &in, auto &) { in.evidence = (const double *)((const char *)in.evidence + 4); }},
      {"swap: scores misaligned",
       [](auto &, auto &, auto &out) { out.scores = (double *)((char *)out.scores + 4); }},
      {"swap: choose 2", [](auto &p, auto &, auto &) { p.choose = 2; }},
      {"swap: substitute -1", [](auto &p, auto &, auto &) { p.substitute = -1; }},
      {"swap: sign 0", [](auto &p, auto &, auto &) { p.sign = 0; }},
      {"swap: donors 2", [](auto &p, auto &, auto &) { p.donors = 2; }},
      {"swap: donors in place",
       [](auto &p, auto &in, auto &out) {
         p.donors = 1;
         out.swapped = (float *)in.tokens;
       }},
      {"swap: donors, sample_ids NULL",
       [](auto &p, auto &in, auto &) {
         p.donors = 1;
         in.sample_ids = nullptr;
       }},
      {"swap: evidence_rows -1", [](auto &p, auto &, auto &) { p.evidence_rows = -1; }},
      {"swap: evidence that overflows", [](auto &p, auto &, auto &) { p.evidence_rows = INT64_MAX / 16; }}};
  std::vector<std::pair<const char *, Call>> calls = {
      {"create: K 0",
       [&](const Side &s, nas_codebook *, float *f, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(f, 0, d, nullptr, s.stream, &made);
       }},
      {"create: d too large",
       [&](const Side &s, nas_codebook *, float *f, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(f, K, NAS_MAX_WIDTH + 1, nullptr, s.stream, &made);
       }},
      {"create: codewords NULL",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         nas_codebook *made = nullptr;
         return s.api->create(nullptr, K, d, nullptr, s.stream, &made);
       }},
      {"lookup: codebook NULL",
       [&](const Side &s, nas_codebook *, float *f, int32_t *i, double *) {
         return s.api->lookup(nullptr, f, NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: rows -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, -1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: stride below the width",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, 1, d - 1, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: overflow",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, INT64_MAX / 2, INT64_MAX / 2, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: x NULL",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->lookup(c, nullptr, NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: x misaligned",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->lookup(c, (float *)((char *)f + 1), NAS_FLOAT32, 1, d, i, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: indices NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *, double *) {
         return s.api->lookup(c, f, NAS_FLOAT32, 1, d, nullptr, nullptr, nullptr, nullptr, s.stream);
       }},
      {"lookup: rows 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *) {
         return s.api->lookup(c, nullptr, NAS_FLOAT32, 0, d, nullptr, nullptr, nullptr, nullptr, s.stream);
       }},
      {"accumulate: counts NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return s.api->accumulate(c, f, NAS_FLOAT32, 1, d, i, nullptr, w, nullptr, s.stream);
       }},
      {"accumulate: type 3",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return s.api->accumulate(c, f, 3, 1, d, i, w, w, nullptr, s.stream);
       }},
      {"update: type -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->update(c, f, -1, 1, d, i, 0.5, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"update: gamma 1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->update(c, f, NAS_FLOAT32, 1, d, i, 1.0, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"update: codes NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *, double *) {
         return s.api->update(c, f, NAS_FLOAT32, 1, d, nullptr, 0.5, 1e-5, 0.0, nullptr, s.stream);
       }},
      {"apply: gamma 1",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 1.0, 1e-5, 0.0, s.stream);
       }},
      {"apply: gamma NaN",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, NAN, 1e-5, 0.0, s.stream);
       }},
      {"apply: epsilon 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 0.5, 0.0, 0.0, s.stream);
       }},
      {"apply: dead_threshold -1",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *w) {
         return s.api->apply(c, w, w, 0.5, 1e-5, -1.0, s.stream);
       }},
      {"restart: count -1",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *) {
         return s.api->restart(c, i, f, -1, s.stream);
       }},
      {"restart: count 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *, double *) {
         return s.api->restart(c, nullptr, nullptr, 0, s.stream);
       }},
      {"neighbours: R 0",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->neighbours(c, 0, nullptr, i, s.stream);
       }},
      {"neighbours: R too large",
       [&](const Side &s, nas_codebook *c, float *, int32_t *i, double *) {
         return s.api->neighbours(c, NAS_MAX_NEIGHBOURS + 1, nullptr, i, s.stream);
       }},
      {"swap: params NULL",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         return swap(s, c, nullptr, f, i, w);
       }},
      {"swap: chosen above tokens",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.chosen = 3;
         return swap(s, c, &p, f, i, w);
       }},
      {"swap: write 2",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.write = 2;
         return swap(s, c, &p, f, i, w);
       }},
      {"swap: text_weight NaN",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.text_weight = NAN;
         return swap(s, c, &p, f, i, w);
       }},
      {"swap: images that overflow",
       [&](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
         nas_swap_params p = good;
         p.images = INT64_MAX / 2;
         return swap(s, c, &p, f, i, w);
       }},
      {"set_tier: above all",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->set_tier(NAS_CPU_TIER_AMX + 1);
       }},
      {"set_threads: 0",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->set_threads(0);
       }},
      {"close: NULL",
       [&](const Side &s, nas_codebook *, float *, int32_t *, double *) {
         return s.api->close(nullptr);
       }},
  };
  for (const ByEvidence &one : by_evidence) {
    calls.push_back({one.name, [&, one](const Side &s, nas_codebook *c, float *f, int32_t *i, double *w) {
                       nas_swap_params p = evident;
                       return swap_by(s, c, p, f, i, w, [&](nas_swap_input &in, nas_swap_output &out) {
                         one.change(p, in, out);
                       });
                     }});
  }
  for (const auto &entry : calls) {
    both("refusals", entry.first, reference, subject, [&](const Side &side) {
      Codebook codebook(side, codewords, K, d);
      Array<float> floats(side, std::vector<float>(64, 0.25f));
      Array<int32_t> ints(side, std::vector<int32_t>(64, 1));
      Array<double> doubles(side, std::vector<double>(64, 1.0));
      Outcome outcome;
      finish(side,
             entry.second(side, codebook.get(), floats.data(), ints.data(), doubles.data()),
             &outcome);
      codebook.add_state(&outcome);
      outcome.add("floats", floats.values());
      outcome.add("ints", ints.values());
      outcome.add("doubles", doubles.values());
      return outcome;
    });
  }

  if (!subject.device) return;
  /* Host memory where device memory is wanted: refused, by name. */
  Codebook codebook(subject, codewords, K, d);
  Array<int32_t> indices(subject, std::vector<int32_t>(1, -9));
  std::vector<float> host(3, 0.0f);
  nas_status status = subject.api->lookup(codebook.get(), host.data(), NAS_FLOAT32, 1, d, indices.data(),
                                          nullptr, nullptr, nullptr, subject.stream);
  count_case("refusals");
  if (status != NAS_INVALID_ARGUMENT ||
      strstr(subject.api->last_error(), "x is not device memory") == nullptr) {
    complain("refusals", "host memory as x: status %d (%s)", status, subject.api->last_error());
  }
}

}  // namespace selfcheck
