package org.nasvlp.config;

/**
 * The Visual Dictionary (SOHO, arXiv 2104.03135, section 3.2): K codewords refined by an
 * exponential moving average.
 *
 * @param codewords K, the number of codewords (SOHO: 2048)
 * @param momentum gamma of the moving average (SOHO: 0.99)
 * @param epsilon smoothing of the codewords' counts
 * @param deadThreshold a code whose smoothed count n lies below this is unused in that step
 * @param deadSteps after so many unused steps in a row a code is restarted from a patch token
 * @param commitmentWeight weight of the commitment loss; 0 leaves it out
 * @param collapseShare a warning is given where an epoch's tokens use the codes with a perplexity
 *     below this share of K
 * @param neighbourRefreshSteps steps between refreshes of the lists of each code's nearest codes
 */
@ConfigSection
public record DictionaryConfig(
    int codewords,
    double momentum,
    double epsilon,
    double deadThreshold,
    int deadSteps,
    double commitmentWeight,
    double collapseShare,
    int neighbourRefreshSteps) {

  /** Checks ranges. */
  public DictionaryConfig {
    ConfigCheck.range("dictionary.codewords", codewords, 2, 65_536);
    ConfigCheck.range("dictionary.momentum", momentum, 0, 0.999999);
    ConfigCheck.range("dictionary.epsilon", epsilon, 1e-12, 1);
    ConfigCheck.range("dictionary.deadThreshold", deadThreshold, 0, 1e6);
    ConfigCheck.range("dictionary.deadSteps", deadSteps, 1, 1_000_000);
    ConfigCheck.range("dictionary.commitmentWeight", commitmentWeight, 0, 100);
    ConfigCheck.range("dictionary.collapseShare", collapseShare, 0, 1);
    ConfigCheck.range("dictionary.neighbourRefreshSteps", neighbourRefreshSteps, 1, 100_000);
  }

  /** The library's defaults for K codewords. */
  public static DictionaryConfig defaults(int codewords) {
    return DictionaryConfigBuilder.builder()
        .codewords(codewords)
        .momentum(0.99)
        .epsilon(1e-5)
        .deadThreshold(0.1)
        .deadSteps(50)
        .commitmentWeight(0)
        .collapseShare(0.02)
        .neighbourRefreshSteps(10)
        .build();
  }

  /** A builder that begins with these values. */
  public DictionaryConfigBuilder toBuilder() {
    return DictionaryConfigBuilder.builder(this);
  }
}
