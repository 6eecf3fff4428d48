package org.nasvlp.kernels;

/**
 * Parameters of one momentum update of the codebook: an exponential moving average of the features
 * assigned to each codeword (van den Oord et al., arXiv 1711.00937, appendix A.1; for a visual
 * dictionary SOHO, arXiv 2104.03135), with Laplace-smoothed counts.
 *
 * <p>With counts c and sums s of a batch, for every codeword j, in float64:
 *
 * <pre>
 *   n_j = gamma n_j + (1 - gamma) c_j
 *   m_j = gamma m_j + (1 - gamma) s_j                       (rounded to float32)
 *   h_j = (n_j + epsilon) / (S + K epsilon) S,  S = sum n
 *   e_j = m_j / h_j                                         (rounded to float32)
 *   dead steps of j: one more if n_j &lt; deadThreshold, else 0
 * </pre>
 *
 * @param gamma momentum, 0 ≤ gamma &lt; 1
 * @param epsilon smoothing of the counts, &gt; 0
 * @param deadThreshold averaged count below which a code counts as dead in this step, ≥ 0
 */
public record MomentumUpdate(double gamma, double epsilon, double deadThreshold) {
  /** Checks the ranges. */
  public MomentumUpdate {
    if (!(gamma >= 0 && gamma < 1)) {
      throw new IllegalArgumentException("gamma is " + gamma + "; it must be at least 0, below 1");
    }
    if (!(epsilon > 0 && epsilon < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("epsilon is " + epsilon + "; it must be above 0");
    }
    if (!(deadThreshold >= 0 && deadThreshold < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "deadThreshold is " + deadThreshold + "; it must be finite and at least 0");
    }
  }
}
