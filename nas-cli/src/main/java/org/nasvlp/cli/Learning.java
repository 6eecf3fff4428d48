package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.ScoredPair;
import org.nasvlp.model.NasModel;
import org.nasvlp.report.Learned;

/** Has a run's model look at pictures, for the run's page. */
final class Learning {
  private Learning() {}

  /**
   * What a model does with pictures.
   *
   * @param checkpoint of the model, or the run's folder
   * @param device where it computes
   * @param benchmark test pairs that differ in one thing; null without such
   */
  static Learned of(Path checkpoint, String device, @Nullable FineGrainedBenchmark benchmark)
      throws IOException {
    try (NasModel model = NasModel.load(checkpoint, device)) {
      List<ScoredPair> pairs =
          benchmark == null ? List.of() : benchmark.scored(model.itcScorer(), model.itmScorer());
      return new Learned(model.config().model().imageSize(), pairs);
    }
  }
}
