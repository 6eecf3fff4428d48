package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.config.ObjectiveConfig;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

class AdamWTest {
  @TempDir java.nio.file.Path folder;

  @Test
  void fiveStepsMatchTheFormulaInFloat64() {
    NasConfig config = Shapes.config(10);
    OptimizerConfig optimizer =
        config.optimizer().toBuilder()
            .learningRate(0.01)
            .finalLearningRate(0)
            .weightDecay(0.1)
            .beta2(0.98)
            .build();
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        AdamW adam = new AdamW(optimizer, model.parameters());
        PointerScope scope = new PointerScope()) {
      float[] start = Torch.toFloats(model.parameters().values());
      int count = start.length;
      double[] value = new double[count];
      double[] first = new double[count];
      double[] second = new double[count];
      for (int i = 0; i < count; i++) {
        value[i] = start[i];
      }
      long decayed = model.parameters().decayed();
      assertThat(decayed).isBetween(1L, count - 1L);
      for (int t = 1; t <= 5; t++) {
        float[] gradient = new float[count];
        for (int i = 0; i < count; i++) {
          gradient[i] = (float) Math.sin(i * 0.37 + t);
        }
        Torch.segment(model.parameters().gradients())
            .copyFrom(java.lang.foreign.MemorySegment.ofArray(gradient));
        adam.step(0.01, t);
        for (int i = 0; i < count; i++) {
          if (i < decayed) {
            value[i] *= 1 - 0.01 * 0.1;
          }
          first[i] = 0.9 * first[i] + 0.1 * gradient[i];
          second[i] = 0.98 * second[i] + 0.02 * gradient[i] * gradient[i];
          double m = first[i] / (1 - Math.pow(0.9, (double) t));
          double v = second[i] / (1 - Math.pow(0.98, (double) t));
          value[i] -= 0.01 * m / (Math.sqrt(v) + 1e-8);
        }
      }
      float[] end = Torch.toFloats(model.parameters().values());
      for (int i = 0; i < count; i++) {
        assertThat((double) end[i]).isCloseTo(value[i], Offset.offset(2e-6));
      }
      assertThat(Torch.toFloats(model.parameters().gradients())).containsOnly(0f);
    }
  }

  @Test
  void gradientsAreClippedToTheNorm() {
    NasConfig config = Shapes.config(10);
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config, tokenizer);
        AdamW adam = new AdamW(config.optimizer(), model.parameters());
        PointerScope scope = new PointerScope()) {
      model.parameters().gradients().fill_(new org.bytedeco.pytorch.Scalar(2.0));
      double norm = 2 * Math.sqrt((double) model.parameters().count());
      assertThat(adam.clip()).isCloseTo(norm, Offset.offset(1e-3 * norm));
      assertThat(adam.clip()).isCloseTo(1, Offset.offset(1e-4));
      model.parameters().gradients().zero_();
    }
  }

  @Test
  void warmUpThenCosine() {
    OptimizerConfig schedule =
        NasConfig.preset("tiny").optimizer().toBuilder()
            .learningRate(1)
            .finalLearningRate(0.1)
            .warmupShare(0.1)
            .build();
    assertThat(schedule.learningRate(0, 100)).isEqualTo(0.1);
    assertThat(schedule.learningRate(9, 100)).isEqualTo(1);
    assertThat(schedule.learningRate(10, 100)).isEqualTo(1);
    assertThat(schedule.learningRate(99, 100)).isCloseTo(0.1, Offset.offset(1e-12));
    // Half-way through the decay of 89 steps the cosine is at its mean.
    assertThat((schedule.learningRate(54, 100) + schedule.learningRate(55, 100)) / 2)
        .isCloseTo(0.55, Offset.offset(1e-3));
  }

  @Test
  void theNvaWeightStartsAndRamps() {
    NvaConfig nva =
        NvaConfig.defaults().toBuilder().weight(2).startShare(0.5).rampShare(0.25).build();
    assertThat(nva.weightAt(49, 100)).isZero();
    assertThat(nva.weightAt(50, 100)).isCloseTo(2.0 / 25, Offset.offset(1e-12));
    assertThat(nva.weightAt(74, 100)).isEqualTo(2);
    assertThat(nva.weightAt(99, 100)).isEqualTo(2);
  }

  @Test
  void theSoftTargetsRampUp() {
    // Alpha 0.4 over one epoch of 50 steps.
    ObjectiveConfig objective = ObjectiveConfig.defaults(0);
    assertThat(objective.softTargetsAt(0, 50)).isZero();
    assertThat(objective.softTargetsAt(25, 50)).isCloseTo(0.2, Offset.offset(1e-12));
    assertThat(objective.softTargetsAt(50, 50)).isEqualTo(0.4);
    assertThat(objective.softTargetsAt(5000, 50)).isEqualTo(0.4);
  }

  @Test
  void hardNegativeLossesWorkedByHand() {
    try (PointerScope scope = new PointerScope()) {
      // [mismatch, match]: positive (0, ln 3) -> P(match) 3/4; negative (ln 4, 0) -> P(mismatch)
      // 4/5.
      var positive = Torch.floats(new float[] {0, (float) Math.log(3)}, 1, 2);
      var negative = Torch.floats(new float[] {(float) Math.log(4), 0}, 1, 2);
      assertThat(TrainingStep.hardLoss(positive, negative, HardNegativeLoss.BALANCED).item_double())
          .isCloseTo(-0.5 * (Math.log(0.75) + Math.log(0.8)), Offset.offset(1e-6));
      // Match logits ln 3 against 0: softmax 3/4.
      assertThat(TrainingStep.hardLoss(positive, negative, HardNegativeLoss.PAIRWISE).item_double())
          .isCloseTo(-Math.log(0.75), Offset.offset(1e-6));
    }
  }
}
