package org.nasvlp.eval;

import java.util.Collection;
import java.util.Optional;

/**
 * How a scorer takes true rewordings: captions that say the same as the true one in another way,
 * each held against the false caption of its pair. A model that was trained on hard negatives alone
 * may take every change for false (arXiv 2409.17958). Shares in [0, 1]; a tie counts as wrong.
 *
 * @param rewordings how many were counted
 * @param choice given an image, the rewording scores higher than the false caption; chance 1/2
 * @param both given an image, its caption and the rewording both score higher than the false
 *     caption (SugarCrepe++'s choice by image, arXiv 2406.11171); chance 1/3
 */
public record RewordedScores(int rewordings, double choice, double both) {

  /** What random scores reach on average; its {@code rewordings} is 0. */
  public static RewordedScores chance() {
    return new RewordedScores(0, 0.5, 1.0 / 3);
  }

  /** Every one counts alike; empty for none. */
  static Optional<RewordedScores> macro(Collection<RewordedScores> types) {
    if (types.isEmpty()) {
      return Optional.empty();
    }
    int rewordings = 0;
    double choice = 0;
    double both = 0;
    for (RewordedScores scores : types) {
      rewordings += scores.rewordings();
      choice += scores.choice();
      both += scores.both();
    }
    return Optional.of(new RewordedScores(rewordings, choice / types.size(), both / types.size()));
  }
}
