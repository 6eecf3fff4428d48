package org.nasvlp.train;

import java.util.Map;
import org.nasvlp.dictionary.DictionaryHealth;

/**
 * One optimiser step.
 *
 * @param step steps done, this one included
 * @param steps planned length of the run in steps
 * @param loss the weighted sum
 * @param losses unweighted losses by name: itc, itm, nva, mirror, nta, mlm, mvm, commitment,
 *     distill, and the program's own; those that are switched off are absent
 * @param learningRate of this step
 * @param gradientNorm before clipping
 * @param temperature of the contrast, after the step
 * @param hardNegatives how many of the step's images (nva, mirror) and captions (nta) had a hard
 *     negative
 * @param pairsPerSecond over the last steps
 * @param seconds of this step by section, waiting for data first; of several ranks what they
 *     exchanged, in whichever section, is one of its own
 * @param dictionary use of the codes
 * @param skippedSamples bad samples met so far
 */
public record StepReport(
    long step,
    long steps,
    double loss,
    Map<String, Double> losses,
    double learningRate,
    double gradientNorm,
    double temperature,
    Map<String, Integer> hardNegatives,
    double pairsPerSecond,
    Map<String, Double> seconds,
    DictionaryHealth dictionary,
    long skippedSamples) {

  /**
   * Whether the run's log keeps the step: it does every one of the first 100,000, then every 10th
   * to a million, every 100th to ten million and so on. So ten times the steps are not ten times
   * the log, and which steps it holds does not depend on where a run was resumed.
   */
  public boolean logged() {
    return step % LogListener.everySteps(step) == 0;
  }
}
