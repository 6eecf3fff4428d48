package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.train.Shapes;

class MirroredImageLossTest {
  /** By the batch's captions; the fifth has a hard negative that no mirror makes true. */
  private static final Map<String, Mirror> MIRRORS =
      Map.of(
          "red square left", Mirror.TOP_BOTTOM,
          "green cross right", Mirror.LEFT_RIGHT,
          "red square", Mirror.TOP_BOTTOM);

  @TempDir private Path folder;

  private static @Nullable Mirror mirror(String caption, CaptionEdit edit) {
    return MIRRORS.get(caption);
  }

  private static NasConfig config(HardNegativeLoss form, double startShare) {
    return Shapes.config(10)
        .withNta(nta -> nta.enabled(true).startShare(startShare))
        .withNva(nva -> nva.enabled(false).mirrorWeight(1).loss(form));
  }

  /** Each pair judged by itself, of tokens that were put in their places one by one. */
  @ParameterizedTest
  @EnumSource(HardNegativeLoss.class)
  void mirroredImagesAreToldApartByBothCaptions(HardNegativeLoss form) {
    NasConfig config = config(form, 0);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      MirroredImageLoss objective = new MirroredImageLoss(config, MirroredImageLossTest::mirror);
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      Features features = batch.features(captions);
      FusionPlan plan = new FusionPlan(features, batch.network);
      objective.plan(plan);
      Forward forward = plan.run();
      double loss = Objects.requireNonNull(objective.loss(forward)).item_double();
      double own = 0;
      double crossed = 0;
      for (int b : new int[] {0, 2, 3}) {
        Tensor mirrored = mirrored(features.fusionTokens(), b, b == 2);
        int negative = features.captions().negativeRow(b);
        own +=
            Truth.pair(
                form,
                batch.matchAlone(features, b, b),
                batch.matchAlone(features, mirrored, b, 0, b));
        crossed +=
            Truth.pair(
                form,
                batch.matchAlone(features, mirrored, b, 0, negative),
                batch.matchAlone(features, b, negative));
      }
      assertThat(loss).isCloseTo(own / 6 + crossed / 6, Offset.offset(5e-5));
      List<LossPart> parts = objective.parts(forward);
      assertThat(parts).extracting(LossPart::items).containsExactly(3, 3);
    }
  }

  /** 1 x N x d: the tokens of an image, exchanged by columns or by rows. */
  private static Tensor mirrored(Tensor tokens, int image, boolean leftRight) {
    int side = (int) Math.sqrt((double) tokens.size(1));
    int d = (int) tokens.size(2);
    float[] from = Torch.toFloats(tokens.detach().narrow(0, image, 1).contiguous());
    float[] to = new float[from.length];
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int other = leftRight ? y * side + (side - 1 - x) : (side - 1 - y) * side + x;
        System.arraycopy(from, other * d, to, (y * side + x) * d, d);
      }
    }
    return Torch.floats(to, 1, (long) side * side, d);
  }

  /** The image encoder learns from both images: the slope is that of the loss itself. */
  @Test
  void theGradientGoesThroughTheMirror() {
    NasConfig config = config(HardNegativeLoss.PAIRWISE, 0);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      CaptionPlan captions = batch.captionPlan();
      captions.requestHardNegatives();
      Features features = batch.features(captions);
      Tensor tokens = features.fusionTokens().detach().set_requires_grad(true);
      Objects.requireNonNull(loss(batch, features, tokens)).backward();
      Tensor slope = tokens.grad().detach();
      double square = slope.mul(slope).sum().item_double();
      assertThat(square).isPositive();
      try (AutoGradMode off = new AutoGradMode(false)) {
        Scalar little = new Scalar(1e-2 / Math.sqrt(square));
        Tensor by = slope.mul(little);
        double up = loss(batch, features, tokens.detach().add(by)).item_double();
        double down = loss(batch, features, tokens.detach().sub(by)).item_double();
        assertThat((up - down) / (2 * little.toDouble()))
            .isCloseTo(square, Percentage.withPercentage(2));
      }
    }
  }

  private static Tensor loss(EncodedBatch batch, Features f, Tensor tokens) {
    MirroredImageLoss objective =
        new MirroredImageLoss(batch.config, MirroredImageLossTest::mirror);
    FusionPlan plan = new FusionPlan(EncodedBatch.withTokens(f, tokens), batch.network);
    objective.plan(plan);
    return objective.loss(plan.run());
  }

  @Test
  void withoutADirectionThereIsNoLoss() {
    NasConfig config = config(HardNegativeLoss.PAIRWISE, 0);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      MirroredImageLoss objective = new MirroredImageLoss(config, (caption, edit) -> null);
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      FusionPlan plan = new FusionPlan(batch.features(captions), batch.network);
      objective.plan(plan);
      Forward forward = plan.run();
      assertThat(objective.loss(forward)).isNull();
      assertThat(objective.parts(forward)).containsExactly(LossPart.NONE, LossPart.NONE);
    }
  }

  @Test
  void itSetsInWithHardNegativeCaptions() {
    NasConfig config = config(HardNegativeLoss.PAIRWISE, 0.9);
    MirroredImageLoss objective = new MirroredImageLoss(config, MirroredImageLossTest::mirror);
    assertThat(objective.weight(8, 10)).isZero();
    assertThat(objective.weight(9, 10)).isEqualTo(1);
    try (EncodedBatch batch = new EncodedBatch(folder, config);
        PointerScope scope = new PointerScope()) {
      CaptionPlan captions = batch.captionPlan();
      objective.captions(captions);
      assertThat(captions.wantsHardNegatives()).isFalse();
      FusionPlan plan = new FusionPlan(batch.features(captions), batch.network);
      objective.plan(plan);
      assertThat(objective.loss(plan.run())).isNull();
    }
  }
}
