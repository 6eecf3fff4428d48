package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;

class RunNeedsTest {
  private static final Path TOKENIZER = TestShell.home().resolve("data/noto-emoji/tokenizer.json");

  static Stream<NasConfig> configurations() {
    return Stream.of(
        NasConfig.preset("emoji"),
        NasConfig.preset("tiny").withModel(model -> model.imageSize(72).fusionLayers(1)),
        NasConfig.preset("emoji")
            .withModel(model -> model.width(40).heads(2).patchSize(16).projection(24))
            .withObjective(objective -> objective.mvmWeight(0.5)));
  }

  /** The model itself declares them. */
  @ParameterizedTest
  @MethodSource("configurations")
  void parametersAreCounted(NasConfig config) throws IOException {
    try (CaptionTokenizer tokenizer =
            CaptionTokenizer.load(TOKENIZER, config.model().textTokens());
        NasModel model = NasModel.create(config, tokenizer)) {
      assertThat(RunNeeds.of(config, tokenizer.vocabularySize(), 0, false, 1).parameters())
          .isEqualTo(model.parameters().count());
    }
  }

  /** Peaks of runs of the command with the demo's data in a heap of 512 MiB, one thread. */
  static Stream<Arguments> measured() {
    NasConfig demo = NasConfig.preset("emoji");
    return Stream.of(
        Arguments.of(demo, 1571),
        Arguments.of(demo.withData(data -> data.batchSize(16)), 921),
        Arguments.of(NasConfig.preset("tiny").withData(data -> data.batchSize(16)), 1391),
        Arguments.of(
            NasConfig.preset("base")
                .withModel(model -> model.imageSize(128))
                .withObjective(objective -> objective.queue(1024))
                .withData(data -> data.batchSize(4)),
            5453));
  }

  @ParameterizedTest
  @MethodSource("measured")
  void theEstimateIsNearWhatWasMeasured(NasConfig config, int mebibytes) {
    long told = RunNeeds.of(config, 618, 0, true, 1).bytes(512L << 20) >> 20;
    assertThat((double) told).isCloseTo(mebibytes, withinPercentage(15));
  }

  /** 4 batches of 64 images of 64 patch tokens of width 192, where contrast is over them all. */
  @Test
  void contrastOverAllBatchesOfAStepKeepsTheirPatchTokens() {
    NasConfig config =
        NasConfig.preset("tiny")
            .withOptimizer(optimizer -> optimizer.accumulation(4))
            .withData(data -> data.batchSize(64));
    assertThat(config.model().patchTokens() * config.model().width()).isEqualTo(64 * 192);
    assertThat(
            step(config.withObjective(loss -> loss.queue(0).itcOverAccumulation(true)))
                - step(config.withObjective(loss -> loss.queue(0))))
        .isEqualTo(4L * 4 * 64 * 64 * 192);
  }

  @Test
  void whatTheWarningNamesLowersTheEstimate() {
    NasConfig config = NasConfig.preset("base");
    long all = step(config);
    assertThat(step(config.withData(data -> data.batchSize(16)))).isLessThan(all / 3);
    assertThat(step(config.withTraining(training -> training.gradientCheckpointing(true))))
        .isLessThan(all * 3 / 4);
    assertThat(step(config.withModel(model -> model.imageLayers(6)))).isLessThan(all * 9 / 10);
  }

  @Test
  void ranksThatShareTheOptimizerHoldAPartOfItsMoments() {
    NasConfig config = NasConfig.preset("base");
    RunNeeds alone = RunNeeds.of(config, 30_522, 0, false, 4);
    NasConfig sharded = config.withTraining(training -> training.shardedOptimizer(true));
    RunNeeds four = RunNeeds.of(sharded, 30_522, 0, false, 4);
    // Two moments of 4 bytes, of which a quarter is left.
    assertThat(alone.stateBytes() - four.stateBytes()).isEqualTo(6 * alone.parameters());
    assertThat(four.checkpointBytes()).isEqualTo(alone.checkpointBytes());
    assertThat(RunNeeds.of(sharded, 30_522, 0, false, 1).stateBytes())
        .isEqualTo(alone.stateBytes());
  }

  @Test
  void theAverageAndTheStartAreFurtherCopiesOfTheParameters() {
    NasConfig plain = NasConfig.preset("emoji");
    assertThat(plain.objective().usesMomentumEncoders()).isFalse();
    RunNeeds none = RunNeeds.of(plain, 600, 0, false, 1);
    NasConfig average = plain.withTraining(training -> training.evaluateAverage(true));
    RunNeeds one = RunNeeds.of(average, 600, 0, false, 1);
    RunNeeds two =
        RunNeeds.of(average.withObjective(loss -> loss.distillWeight(1)), 600, 0, false, 1);
    assertThat(one.stateBytes() - none.stateBytes()).isEqualTo(4 * none.parameters());
    assertThat(two.checkpointBytes() - one.checkpointBytes()).isEqualTo(4 * none.parameters());
    // The encoders' momentum copy is the average.
    NasConfig momentum = NasConfig.preset("base");
    assertThat(
            RunNeeds.of(
                    momentum.withTraining(training -> training.evaluateAverage(true)),
                    600,
                    0,
                    false,
                    1)
                .stateBytes())
        .isEqualTo(RunNeeds.of(momentum, 600, 0, false, 1).stateBytes());
  }

  private static long step(NasConfig config) {
    return RunNeeds.of(config, 30_522, 0, false, 1).activationBytes();
  }

  @Test
  void keptCheckpointsAreCounted() {
    NasConfig config = NasConfig.preset("emoji").withTraining(training -> training.keepBest(false));
    // Two that are kept and the one being written.
    assertThat(RunNeeds.of(config, 600, 0, true, 1).checkpoints()).isEqualTo(3);
    NasConfig best = NasConfig.preset("emoji");
    // By ITC and ITM, and of the pairs by their groups as well.
    assertThat(RunNeeds.of(best, 600, 1, true, 1).checkpoints()).isEqualTo(3 + 4 + 2);
    assertThat(RunNeeds.of(best, 600, 0, false, 1).checkpoints()).isEqualTo(3);
  }

  @Test
  void warnsWhereItWillHardlyDoAndKnowsWhenItCannot() {
    RunNeeds needs = RunNeeds.of(NasConfig.preset("base"), 30_522, 0, true, 1);
    long heap = 512L << 20;
    long enough = needs.bytes(heap);
    assertThat(needs.memoryWarning(heap, enough)).isEmpty();
    assertThat(needs.memoryWarning(heap, enough - 1))
        .contains("data.batchSize", "training.gradientCheckpointing", "-Xmx", "now 512 MiB");
    assertThat(needs.isBeyond(heap, enough - 1)).isFalse();
    assertThat(needs.isBeyond(heap, enough * 86 / 100)).isFalse();
    assertThat(needs.isBeyond(heap, enough * 84 / 100)).isTrue();
    assertThat(needs.diskWarning(needs.diskBytes())).isEmpty();
    assertThat(needs.diskWarning(needs.diskBytes() - 1))
        .contains("--out", "training.keepCheckpoints", "training.keepBest");
  }
}
