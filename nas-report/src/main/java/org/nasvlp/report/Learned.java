package org.nasvlp.report;

import java.util.List;
import org.nasvlp.eval.ScoredPair;

/**
 * What a run's model does with pictures, for a page on the run.
 *
 * @param imageSize pixels of a side of what the model sees; pictures are shown so
 * @param pairs test pairs that differ in one thing, scored; none to leave them out
 */
public record Learned(int imageSize, List<ScoredPair> pairs) {
  /** Copies the list. */
  public Learned {
    pairs = List.copyOf(pairs);
  }
}
