package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.FirstPairs;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;

/** Where the steps of the preset for emoji do the dictionary's work. */
class EmojiStepTest {
  /** Of them the last three make hard negative images: it begins after a quarter. */
  private static final int STEPS = 4;

  @TempDir private Path folder;

  @Test
  void swapsLookupsUpdatesAndNeighboursAreTheNativeLibrarys() throws Exception {
    assumeTrue(Kernels.isAvailable(Backend.CPU), Kernels.unavailableReason(Backend.CPU));
    NasConfig config =
        NasConfig.preset("emoji")
            .withData(data -> data.batchSize(8))
            .withTraining(training -> training.steps(STEPS));
    Shapes shapes = new Shapes();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, config.model().textTokens());
        NasModel model = NasModel.create(config, tokenizer);
        TrainingStep step =
            new TrainingStep(
                config,
                model,
                NegativeTextAugmentation.prepare(
                    shapes, tokenizer, ShapesEditor.factory(), config.nta(), List.of(), 1),
                4,
                List.of(),
                Ranks.alone());
        BatchLoader loader =
            new BatchLoader(
                shapes,
                tokenizer,
                config.model().imageSize(),
                config.data(),
                1,
                0,
                FirstPairs.NONE)) {
      model.startDictionary(step.patchTokens(loader.next()));
      int swapped = 0;
      for (int i = 0; i < STEPS; i++) {
        var outcome =
            step.take(List.of(loader.next()), i, STEPS, /* traced= */ false, /* probe= */ null);
        swapped += outcome.hardNegatives().getOrDefault("nva", 0) > 0 ? 1 : 0;
      }
      assertThat(swapped).isPositive();
      Codebook.Calls calls = model.dictionary().calls();
      assertThat(calls.backend()).isEqualTo(Backend.CPU);
      assertThat(calls.lookups()).isEqualTo(STEPS);
      assertThat(calls.updates()).isEqualTo(STEPS);
      assertThat(calls.neighbourLists()).isPositive();
      // A hard negative and its control where there was one; where there was none, the attempt.
      assertThat(calls.swaps()).isEqualTo(STEPS - 1 + swapped);
      assertThat(calls.stateReads()).isZero();
    }
  }
}
