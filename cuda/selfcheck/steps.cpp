/* The input of steps. */
#include <limits.h>

#include "steps.h"

namespace selfcheck {

StepShape step_shape(Random &random, int64_t K, int64_t d, int64_t rows) {
  StepShape shape = {K, d, rows, {}, {}};
  shape.swap.images = 1 + random.below(3);
  shape.swap.tokens = 2 + random.below(30);
  shape.swap.chosen = 1 + random.below(shape.swap.tokens);
  shape.swap.neighbours = 1 + random.below(6);
  shape.swap.text_weight = random.uniform();
  shape.swap.seed = random.next();
  shape.swap.step = (uint32_t)random.next();
  shape.swap.write = (int32_t)random.below(2);
  shape.evidence = shape.swap;
  shape.evidence.choose = (int32_t)random.below(2);
  shape.evidence.substitute =
      shape.evidence.choose == NAS_CHOOSE_GAIN ? (int32_t)random.below(2) : NAS_SUBSTITUTE_EVIDENCE;
  shape.evidence.sign = random.below(2) == 0 ? 1 : -1;
  shape.evidence.donors = (int32_t)random.below(2);
  shape.evidence.evidence_rows = 1 + random.below(shape.swap.images);
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
  for (int64_t b = 0; b < shape.swap.images; ++b) {
    step.ids.push_back((int64_t)random.next());
    step.evidence_of.push_back((int32_t)(random.below(shape.evidence.evidence_rows + 1) - 1));
  }
  for (int64_t i = 0; i < shape.evidence.evidence_rows * K; ++i) {
    step.evidence.push_back((double)random.normal());
  }
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
  if (fault == kBadEvidence) { /* of an image's row */
    step.evidence_of[0] = 0;
    step.evidence[(size_t)random.below(K)] = random.below(2) == 0 ? NAN : -INFINITY;
  }
  if (fault == kBadEvidenceRow) {
    any(step.evidence_of) = random.below(2) == 0 ? (int32_t)shape.evidence.evidence_rows : -2;
  }
  return step;
}

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

}  // namespace selfcheck
