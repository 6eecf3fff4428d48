package org.nasvlp.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class FusionPlanTest {
  @TempDir private Path folder;

  private record Asked(FusionPlan.Pairs pairs, int[] images, int[] captions, boolean judged) {}

  @Test
  void pairsInAnyOrderAreWhatTheyAreAlone() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      CaptionPlan captions = batch.captionPlan();
      captions.requestHardNegatives();
      Features features = batch.features(captions);
      int captionRows = (int) features.captions().features().size(0);
      long[] lengths = Torch.toLongs(features.captions().attentionMask().sum(1));
      for (int trial = 0; trial < 12; trial++) {
        Random random = new Random(trial);
        FusionPlan plan = new FusionPlan(features, batch.network);
        Tensor made = EncodedBatch.noise(random, 1, Torch.shape(features.fusionTokens()));
        Tensor cls = EncodedBatch.noise(random, 1, Torch.shape(features.imageCls()));
        assertThat(plan.addImages(cls, made)).isEqualTo(EncodedBatch.SIZE);
        List<Asked> asked = new ArrayList<>();
        for (int group = 0; group < 5; group++) {
          int count = random.nextInt(4);
          int[] images = random.ints(count, 0, 2 * EncodedBatch.SIZE).toArray();
          int[] texts = random.ints(count, 0, captionRows).toArray();
          boolean judged = random.nextBoolean();
          asked.add(
              new Asked(
                  judged ? plan.match(images, texts) : plan.fuse(images, texts),
                  images,
                  texts,
                  judged));
        }
        FusionPlan.Pairs positives = plan.positives();
        assertThat(plan.positives()).isSameAs(positives);
        Forward forward = plan.run();
        assertThat(Torch.shape(forward.matchLogits(positives)))
            .containsExactly(EncodedBatch.SIZE, 2);
        for (Asked of : asked) {
          assertThat(of.pairs.count()).isEqualTo(of.images.length);
          Tensor clsOf = forward.cls(of.pairs);
          for (int i = 0; i < of.images.length; i++) {
            int row = of.images[i] % EncodedBatch.SIZE;
            boolean own = of.images[i] < EncodedBatch.SIZE;
            Tensor alone =
                batch.fusedAlone(
                    (own ? features.imageCls() : cls).narrow(0, row, 1),
                    (own ? features.fusionTokens() : made).narrow(0, row, 1),
                    features.captions(),
                    of.captions[i]);
            assertClose(clsOf.select(0, i), alone.select(0, 0).select(0, 0));
            if (!of.judged) {
              long tokens = lengths[of.captions[i]];
              assertClose(
                  forward.fused(of.pairs).select(0, i).narrow(0, 0, tokens),
                  alone.select(0, 0).narrow(0, 0, tokens));
            } else {
              assertClose(
                  forward.matchLogits(of.pairs).narrow(0, i, 1),
                  batch.network.matchLogits(alone.select(1, 0)));
            }
          }
        }
      }
    }
  }

  private static void assertClose(Tensor a, Tensor b) {
    float[] expected = Torch.toFloats(b);
    float[] found = Torch.toFloats(a);
    assertThat(found).hasSameSizeAs(expected);
    for (int i = 0; i < found.length; i++) {
      assertThat(found[i]).isCloseTo(expected[i], Offset.offset(2e-4f));
    }
  }

  @Test
  void theHardNegativeCaptionsArePairedWithTheirOwnImages() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      CaptionPlan captions = batch.captionPlan();
      FusionPlan without = new FusionPlan(batch.features(captions), batch.network);
      assertThat(without.negativeCaptions()).isNull();
      captions.requestHardNegatives();
      Features features = batch.features(captions);
      FusionPlan plan = new FusionPlan(features, batch.network);
      FusionPlan.Pairs pairs = plan.negativeCaptions();
      assertThat(plan.negativeCaptions()).isSameAs(pairs);
      float[] logits = Torch.toFloats(plan.run().matchLogits(pairs));
      int[] withNegative = {0, 2, 3, 4};
      assertThat(logits).hasSize(2 * withNegative.length);
      for (int i = 0; i < withNegative.length; i++) {
        double[] alone =
            batch.matchAlone(
                features, withNegative[i], features.captions().negativeRow(withNegative[i]));
        assertThat((double) logits[2 * i + 1]).isCloseTo(alone[1], Offset.offset(2e-4));
      }
      assertThat(features.captions().negativeRow(1)).isEqualTo(-1);
    }
  }

  @Test
  void noPairsGiveNoRows() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Features features = batch.features(batch.captionPlan());
      FusionPlan plan = new FusionPlan(features, batch.network);
      FusionPlan.Pairs judged = plan.match(new int[0], new int[0]);
      FusionPlan.Pairs unjudged = plan.fuse(new int[0], new int[0]);
      Forward forward = plan.run();
      long[] captions = Torch.shape(features.captions().features());
      assertThat(Torch.shape(forward.matchLogits(judged))).containsExactly(0, 2);
      assertThat(Torch.shape(forward.cls(judged))).containsExactly(0, captions[2]);
      assertThat(Torch.shape(forward.fused(unjudged))).containsExactly(0, captions[1], captions[2]);
    }
  }

  @Test
  void whatCannotBeFusedIsRefused() {
    try (EncodedBatch batch = new EncodedBatch(folder, Shapes.config(10));
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Features features = batch.features(batch.captionPlan());
      FusionPlan plan = new FusionPlan(features, batch.network);
      assertThatThrownBy(() -> plan.match(new int[] {0, 6}, new int[] {0, 0}))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("image row 6: the batch has rows 0 to 5");
      assertThatThrownBy(() -> plan.fuse(new int[] {0}, new int[] {-1}))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("caption row -1: the batch has rows 0 to 5");
      assertThatThrownBy(() -> plan.fuse(new int[] {0}, new int[0]))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("1 images were paired with 0 captions");
      FusionPlan.Pairs unjudged = plan.fuse(new int[] {0}, new int[] {1});
      plan.positives();
      Forward forward = plan.run();
      assertThatThrownBy(() -> forward.fused(plan.positives()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("plan them with fuse()");
      assertThatThrownBy(() -> forward.matchLogits(unjudged))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("plan them with match()");
      FusionPlan next = new FusionPlan(features, batch.network);
      next.positives();
      Forward later = next.run();
      assertThatThrownBy(() -> later.fused(unjudged))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("plan pairs anew");
    }
  }
}
