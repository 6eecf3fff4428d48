package org.nasvlp.config;

/**
 * The Visual Dictionary (SOHO, arXiv 2104.03135, section 3.2): K codewords refined by an
 * exponential moving average.
 *
 * @param codewords K
 * @param momentum gamma of the moving average
 * @param epsilon smoothing of the counts
 * @param deadThreshold a code whose smoothed count n lies below this is unused in that step
 * @param deadSteps after so many unused steps in a row a code is restarted from a patch token
 * @param commitmentWeight weight of the commitment loss; 0 leaves it out
 * @param collapseShare a warning is given where an epoch's tokens use the codes with a perplexity
 *     below this share of K
 * @param neighbourSteps steps between refreshes of the lists of nearest codes
 */
public record DictionaryConfig(
    int codewords,
    double momentum,
    double epsilon,
    double deadThreshold,
    int deadSteps,
    double commitmentWeight,
    double collapseShare,
    int neighbourSteps) {

  /** Checks ranges. */
  public DictionaryConfig {
    ConfigCheck.range("dictionary.codewords", codewords, 2, 65_536);
    ConfigCheck.range("dictionary.momentum", momentum, 0, 0.999999);
    ConfigCheck.range("dictionary.epsilon", epsilon, 1e-12, 1);
    ConfigCheck.range("dictionary.deadThreshold", deadThreshold, 0, 1e6);
    ConfigCheck.range("dictionary.deadSteps", deadSteps, 1, 1_000_000);
    ConfigCheck.range("dictionary.commitmentWeight", commitmentWeight, 0, 100);
    ConfigCheck.range("dictionary.collapseShare", collapseShare, 0, 1);
    ConfigCheck.range("dictionary.neighbourSteps", neighbourSteps, 1, 100_000);
  }

  /** The library's defaults for K codewords. */
  public static DictionaryConfig defaults(int codewords) {
    return new DictionaryConfig(codewords, 0.99, 1e-5, 0.1, 50, 0, 0.02, 10);
  }
}
