/* A codebook's state, and what updates make of it, by the definition of nas_kernels.h. */
#ifndef NAS_TESTS_STATE_H
#define NAS_TESTS_STATE_H

#include "test.h"

struct State {
  int64_t K, d;
  std::vector<float> e, m;
  std::vector<double> n;
  std::vector<int32_t> dead_steps;

  State(int64_t K_, int64_t d_, const std::vector<float> &codewords)
      : K(K_), d(d_), e(codewords), m(codewords), n((size_t)K_, 1.0), dead_steps((size_t)K_, 0) {}

  bool matches(const nas_codebook *codebook) const {
    Guarded<float> e_out((size_t)(K * d)), m_out((size_t)(K * d));
    Guarded<double> n_out((size_t)K);
    Guarded<int32_t> dead_out((size_t)K);
    return nas_codebook_read(codebook, e_out.get(), n_out.get(), m_out.get(), dead_out.get(),
                             nullptr) == NAS_OK &&
           same_bits(e_out.copy(), e) && same_bits(m_out.copy(), m) && same_bits(n_out.copy(), n) &&
           same_bits(dead_out.copy(), dead_steps);
  }

  /* What S holds of the codes that are `lane` modulo `apart`. */
  double lane_sum(size_t lane, size_t apart) const {
    if (apart < 256) return lane_sum(lane, 2 * apart) + lane_sum(lane + apart, 2 * apart);
    double sum = 0;
    for (size_t j = lane; j < n.size(); j += 256) sum += n[j];
    return sum;
  }

  void apply(const std::vector<double> &counts, const std::vector<double> &sums, double gamma,
             double epsilon, double threshold) {
    for (size_t j = 0; j < (size_t)K; ++j) {
      const double kept = gamma * n[j], added = (1 - gamma) * counts[j];
      n[j] = kept + added;
    }
    const double S = lane_sum(0, 1);
    for (size_t j = 0; j < (size_t)K; ++j) {
      const double smoothing = (double)K * epsilon;
      const double share = (n[j] + epsilon) / (S + smoothing);
      const double h = share * S;
      for (size_t t = j * (size_t)d; t < (j + 1) * (size_t)d; ++t) {
        const double kept = gamma * (double)m[t], added = (1 - gamma) * sums[t];
        m[t] = (float)(kept + added);
        e[t] = (float)((double)m[t] / h);
      }
      if (!(n[j] < threshold)) {
        dead_steps[j] = 0;
      } else if (dead_steps[j] != INT32_MAX) {
        ++dead_steps[j];
      }
    }
  }
};

#endif
