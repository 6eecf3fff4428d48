/* Steps of enqueued calls, with every fault of their input, beside the same steps by the calls that wait. */
#ifndef NAS_SELFCHECK_STEPS_H
#define NAS_SELFCHECK_STEPS_H

#include <memory>

#include "selfcheck.h"

namespace selfcheck {

/* The input of the graphs' and the enqueued calls' comparison. */
struct Step {
  std::vector<float> x, y, text, image, tokens;
  std::vector<int32_t> y_codes, codes, lists, evidence_of;
  std::vector<double> evidence;
  std::vector<int64_t> ids;
};

struct StepShape {
  int64_t K, d, rows;
  nas_swap_params swap;     /* by relevance and draws */
  nas_swap_params evidence; /* by evidence, in whatever other way */
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
  kBadEvidence,
  kBadEvidenceRow,
  kStepFaults
};

StepShape step_shape(Random &random, int64_t K, int64_t d, int64_t rows);
Step random_step(Random &random, const StepShape &shape, StepFault fault);
std::string name_of(const StepShape &shape, int32_t type, int64_t step, StepFault fault);

/* Reserves what the steps need, with `more` rows and images. */
void reserve(const Side &side, nas_codebook *codebook, const StepShape &shape, int32_t type,
             int64_t more);

/* A step's buffers on one side, and the calls that a step makes: a lookup of x, an update with what it
 * found, one with other rows, a reading of the codewords, the neighbour lists, a swap with those, and with
 * lists given one in place and one by evidence. */
class StepRunner {
 public:
  StepRunner(const Side &side, const StepShape &shape, const Step &step, int32_t type)
      : side_(side), shape_(shape), type_(type),
        x_(side, narrowed(step.x)), y_(side, narrowed(step.y)), text_(side, step.text),
        image_(side, step.image), tokens_(side, step.tokens), y_codes_(side, step.y_codes), codes_(side, step.codes),
        lists_(side, step.lists), evidence_of_(side, step.evidence_of), evidence_(side, step.evidence),
        ids_(side, step.ids),
        indices_(side, std::vector<int32_t>((size_t)shape.rows, 0)),
        distances_(side, std::vector<float>((size_t)shape.rows, -9.0f)),
        found_lists_(side, std::vector<int32_t>(step.lists.size(), -9)),
        codewords_(side, std::vector<float>((size_t)(shape.K * shape.d), -9.0f)),
        verdicts_(side, std::vector<int64_t>(2 * kCalls, -9)) {
    const size_t chosen = (size_t)(shape.swap.images * shape.swap.chosen);
    const size_t tokens = (size_t)(shape.swap.images * shape.swap.tokens);
    for (int i = 0; i < kSwaps; ++i) {
      positions_[i].reset(new Array<int32_t>(side, std::vector<int32_t>(chosen, -9)));
      substitutes_[i].reset(new Array<int32_t>(side, std::vector<int32_t>(chosen, -9)));
    }
    for (auto &swapped : swapped_) {
      swapped.reset(new Array<float>(side, std::vector<float>(step.tokens.size(), -9.0f)));
    }
    scores_.reset(new Array<double>(side, std::vector<double>(tokens, -9.0)));
    mask_.reset(new Array<uint8_t>(side, std::vector<uint8_t>(tokens, 9)));
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
    evidence_of_.fill(step.evidence_of);
    evidence_.fill(step.evidence);
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
    for (int i = 0; i < kSwaps; ++i) {
      const nas_swap_input in = swap_input(i);
      const nas_swap_output out = swap_output(i);
      need(api.swap_enqueue(codebook, &swap_params(i), &in, &out, &verdicts[3 + i], side_.stream));
    }
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
    for (int i = 0; i < kSwaps; ++i) {
      const nas_swap_input in = swap_input(i);
      const nas_swap_output out = swap_output(i);
      v[6 + 2 * i] = api.swap(codebook, &swap_params(i), &in, &out, &v[7 + 2 * i], side_.stream);
    }
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
      outcome.add("swapped", swapped_[0]->values());
    }
    if (verdicts[8] == NAS_OK) {
      outcome.add("positions in place", positions_[1]->values());
      outcome.add("substitutes in place", substitutes_[1]->values());
    }
    if (verdicts[10] == NAS_OK) {
      outcome.add("positions by evidence", positions_[2]->values());
      outcome.add("substitutes by evidence", substitutes_[2]->values());
      outcome.add("swapped by evidence", swapped_[1]->values());
      outcome.add("scores by evidence", scores_->values());
      outcome.add("mask by evidence", mask_->values());
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
  static constexpr int kSwaps = 3;
  static constexpr int kCalls = 3 + kSwaps;

  /* Of the first swap, with the lists that were found, of the one after it, in place, and of the one by
   * evidence. */
  const nas_swap_params &swap_params(int i) const { return i < 2 ? shape_.swap : shape_.evidence; }
  nas_swap_input swap_input(int i) {
    return {text_.data(),   image_.data(), evidence_.data(),
            evidence_of_.data(), tokens_.data(), codes_.data(),
            i == 0 ? found_lists_.data() : lists_.data(), ids_.data()};
  }
  nas_swap_output swap_output(int i) {
    return {positions_[i]->data(), substitutes_[i]->data(),
            i == 1 ? tokens_.data() : swapped_[i / 2]->data(), i == 2 ? scores_->data() : nullptr,
            i == 2 ? mask_->data() : nullptr};
  }

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
  Array<int32_t> y_codes_, codes_, lists_, evidence_of_;
  Array<double> evidence_;
  Array<int64_t> ids_;
  Array<int32_t> indices_;
  Array<float> distances_;
  Array<int32_t> found_lists_;
  Array<float> codewords_;
  Array<int64_t> verdicts_;
  std::unique_ptr<Array<int32_t>> positions_[kSwaps], substitutes_[kSwaps];
  std::unique_ptr<Array<float>> swapped_[2];
  std::unique_ptr<Array<double>> scores_;
  std::unique_ptr<Array<uint8_t>> mask_;
};

/* K, d, rows and their type. */
constexpr int64_t kStepShapes[][4] = {
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

}  // namespace selfcheck

#endif
