package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

/** Hard negative captions and images. */
class NegativeLossesTest {
  @TempDir private Path folder;

  private static NasConfig config(
      HardNegativeLoss form, NvaConfig.Control control, double startShare) {
    boolean words = control == NvaConfig.Control.CROSSED || control == NvaConfig.Control.MATCHED;
    return Shapes.config(10)
        .withNta(nta -> nta.enabled(true).startShare(startShare).loss(form))
        .withNva(
            nva ->
                nva.ratio(words ? 1 : 0.25)
                    .neighbours(12)
                    .similarity(words ? NvaConfig.Similarity.RAW : NvaConfig.Similarity.PROJECTED)
                    .choose(words ? NvaConfig.Choose.GAIN : NvaConfig.Choose.RELEVANCE)
                    .substitute(words ? NvaConfig.Substitute.EVIDENCE : NvaConfig.Substitute.DRAW)
                    .donor(NvaConfig.Donor.CODEWORD)
                    .control(control)
                    .weight(1)
                    .startShare(startShare)
                    .rampShare(0)
                    .loss(form));
  }

  @Test
  void pairLossesWorkedByHand() {
    try (PointerScope scope = new PointerScope()) {
      // [mismatch, match]: positive (0, ln 3) -> P(match) 3/4; negative (ln 4, 0) -> P(mismatch)
      // 4/5.
      var positive = Torch.floats(new float[] {0, (float) Math.log(3)}, 1, 2);
      var negative = Torch.floats(new float[] {(float) Math.log(4), 0}, 1, 2);
      assertThat(PairLoss.of(positive, negative, HardNegativeLoss.BALANCED).item_double())
          .isCloseTo(-0.5 * (Math.log(0.75) + Math.log(0.8)), Offset.offset(1e-6));
      // Match logits ln 3 against 0: softmax 3/4.
      assertThat(PairLoss.of(positive, negative, HardNegativeLoss.PAIRWISE).item_double())
          .isCloseTo(-Math.log(0.75), Offset.offset(1e-6));
      assertThat(PairLoss.of(positive, negative, HardNegativeLoss.COMBINED).item_double())
          .isCloseTo(-0.75 * Math.log(0.75) - 0.25 * Math.log(0.8), Offset.offset(1e-6));
    }
  }

  @ParameterizedTest
  @EnumSource(HardNegativeLoss.class)
  void captionsAreToldFromTheirHardNegatives(HardNegativeLoss form) {
    NasConfig config = config(form, NvaConfig.Control.NONE, 0);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      NegativeTextLoss objective = new NegativeTextLoss(config);
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      Features features = batch.features(captions);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      double loss = Objects.requireNonNull(objective.loss(plan.run())).item_double();
      double sum = 0;
      for (int b : new int[] {0, 2, 3, 4}) {
        sum +=
            Truth.pair(
                form,
                batch.matchAlone(features, b, b),
                batch.matchAlone(features, b, features.captions().negativeRow(b)));
      }
      assertThat(loss).isCloseTo(sum / 4, Offset.offset(5e-5));
    }
  }

  @Test
  void beforeTheirStartTheyAskForNothing() {
    NasConfig config = config(HardNegativeLoss.BALANCED, NvaConfig.Control.MATCHED, 0.9);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      WordCodes words = new WordCodes(List.of("red"), config.dictionary().codewords());
      for (Objective objective :
          List.of(
              new NegativeTextLoss(config), new NegativeImageLoss(config, batch.network, words))) {
        CaptionPlan captions = batch.captionPlan();
        objective.captions(captions);
        assertThat(captions.wantsHardNegatives()).isFalse();
        assertThat(batch.loss(objective, f -> f)).isNull();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "NONE, BALANCED",
    "NONE, PAIRWISE",
    "IRRELEVANT, BALANCED",
    "CROSSED, BALANCED",
    "CROSSED, PAIRWISE",
    "MATCHED, BALANCED",
    "MATCHED, PAIRWISE"
  })
  void imagesAreToldFromTheirHardNegatives(NvaConfig.Control control, HardNegativeLoss form) {
    NasConfig config = config(form, control, 0);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      CaptionPlan captions = batch.captionPlan();
      WordCodes words = null;
      if (config.nva().usesWords()) {
        words =
            new WordCodes(
                List.of("red", "blue", "green", "square", "bar", "yellow", "cross"),
                config.dictionary().codewords());
      }
      NegativeImageLoss objective = new NegativeImageLoss(config, batch.network, words);
      objective.captions(captions);
      assertThat(captions.wantsHardNegatives()).isEqualTo(words != null);
      Features features = batch.features(captions);
      for (int i = 0; i < 20; i++) {
        objective.update(features);
      }
      List<HardNegativeObserver.Observed> told = new ArrayList<>();
      objective.observer(told::add);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      double loss = Objects.requireNonNull(objective.loss(plan.run())).item_double();

      assertThat(told).hasSize(1);
      SwappedImages swapped = told.getFirst().images();
      assertThat(plan.hardNegatives()).containsEntry("nva", swapped.rows().length);
      assertThat(swapped.rows()).isNotEmpty();
      assertThat(loss)
          .isCloseTo(expected(batch, features, swapped, control, form), Offset.offset(1e-4));
      // What the observer is told are the logits of the same pairs.
      double[][] negatives =
          Truth.rows(Torch.toFloats(told.getFirst().negativeLogits()), swapped.rows().length);
      Tensor tokens = swapped.negativeTokens(features.fusionTokens());
      for (int i = 0; i < negatives.length; i++) {
        int row = swapped.rows()[i];
        assertThat(negatives[i][1])
            .isCloseTo(batch.matchAlone(features, tokens, row, i, row)[1], Offset.offset(2e-4));
      }
      assertThat(Torch.toFloats(tokens))
          .isNotEqualTo(
              Torch.toFloats(features.fusionTokens().index_select(0, Torch.index(swapped.rows()))));
    }
  }

  @Test
  void withAShareTheImagesAreComparedThatContrastIsLeastSureOf() {
    NasConfig all = config(HardNegativeLoss.PAIRWISE, NvaConfig.Control.MATCHED, 0);
    NasConfig some = all.withNva(nva -> nva.imageShare(0.5));
    List<int[]> rows = new ArrayList<>();
    double[] lead = new double[EncodedBatch.SIZE];
    for (NasConfig config : List.of(all, some)) {
      try (EncodedBatch batch = new EncodedBatch(folder, config);
          PointerScope scope = new PointerScope()) {
        WordCodes words =
            new WordCodes(
                List.of("red", "blue", "green", "square", "bar", "yellow", "cross"),
                config.dictionary().codewords());
        NegativeImageLoss objective = new NegativeImageLoss(config, batch.network, words);
        CaptionPlan captions = batch.captionPlan();
        objective.captions(captions);
        Features features = batch.features(captions);
        objective.update(features);
        objective.observer(told -> rows.add(told.images().rows()));
        FusionPlan plan = new FusionPlan(features, batch.network);
        objective.plan(plan);
        assertThat(objective.loss(plan.run())).isNotNull();
        EncodedCaptions encoded = features.captions();
        float[] projected =
            Torch.toFloats(batch.network.projectText(encoded.features().select(1, 0)));
        float[] images = Torch.toFloats(features.imageEmbeddings());
        int width = images.length / lead.length;
        for (int b = 0; b < lead.length; b++) {
          lead[b] = dot(images, b, projected, b, width);
          if (encoded.negativeRow(b) >= 0) {
            lead[b] -= dot(images, b, projected, encoded.negativeRow(b), width);
          }
        }
      }
    }
    int[] expected =
        IntStream.of(rows.getFirst())
            .boxed()
            .sorted(java.util.Comparator.comparingDouble(row -> lead[row]))
            .limit((rows.getFirst().length + 1) / 2)
            .mapToInt(Integer::intValue)
            .sorted()
            .toArray();
    assertThat(rows.getFirst().length).isGreaterThan(1);
    assertThat(rows.getLast()).isEqualTo(expected);
  }

  private static double dot(float[] one, int row, float[] two, int other, int width) {
    double sum = 0;
    for (int i = 0; i < width; i++) {
      sum += (double) one[row * width + i] * two[other * width + i];
    }
    return sum;
  }

  private static double expected(
      EncodedBatch batch,
      Features features,
      SwappedImages swapped,
      NvaConfig.Control control,
      HardNegativeLoss form) {
    EncodedCaptions captions = features.captions();
    int[] rows = swapped.rows();
    Tensor negative = swapped.negativeTokens(features.fusionTokens());
    @Nullable Tensor controls =
        swapped.control() == null ? null : swapped.controlTokens(features.fusionTokens());
    int[] all = IntStream.range(0, rows.length).toArray();
    int[] crossed = Arrays.stream(all).filter(i -> captions.negativeRow(rows[i]) >= 0).toArray();
    // Match logits of the i-th image: true or swapped, with its caption or the hard negative.
    BiFunction<@Nullable Tensor, Boolean, double[][]> match =
        (tokens, wrong) ->
            Arrays.stream(wrong ? crossed : all)
                .mapToObj(
                    i -> {
                      int caption = wrong ? captions.negativeRow(rows[i]) : rows[i];
                      return tokens == null
                          ? batch.matchAlone(features, rows[i], caption)
                          : batch.matchAlone(features, tokens, rows[i], i, caption);
                    })
                .toArray(double[][]::new);
    double[][] negatives = match.apply(negative, false);
    double plain = mean(form, match.apply(null, false), negatives);
    return switch (control) {
      case NONE -> plain;
      case IRRELEVANT -> (plain + mean(form, match.apply(controls, false), negatives)) / 2;
      case CROSSED -> {
        assertThat(crossed).isNotEmpty();
        double[][] fits = match.apply(negative, true);
        double[][] sameImage =
            Arrays.stream(crossed).mapToObj(i -> negatives[i]).toArray(double[][]::new);
        yield (plain + mean(form, fits, sameImage) + mean(form, fits, match.apply(null, true))) / 3;
      }
      case MATCHED -> {
        assertThat(crossed).isNotEmpty();
        yield (mean(form, match.apply(controls, false), negatives)
                + mean(form, match.apply(negative, true), match.apply(controls, true)))
            / 2;
      }
    };
  }

  private static double mean(HardNegativeLoss form, double[][] positives, double[][] negatives) {
    assertThat(positives.length).isEqualTo(negatives.length);
    double sum = 0;
    for (int i = 0; i < positives.length; i++) {
      sum += Truth.pair(form, positives[i], negatives[i]);
    }
    return sum / positives.length;
  }
}
