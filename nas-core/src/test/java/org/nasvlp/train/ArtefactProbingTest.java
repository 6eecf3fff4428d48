package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.eval.ArtefactProbe;

class ArtefactProbingTest {
  private final List<String> told = new ArrayList<>();
  private final TrainingListener listener =
      new TrainingListener() {
        @Override
        public void onArtefactProbe(long step, ArtefactProbe.Result result) {
          told.add(step + ": " + result.images() + " images, " + result.accuracy());
        }
      };

  @ParameterizedTest
  @CsvSource({
    // steps done, between evaluations, planned; probed
    "29, 50, 1000, false",
    "30, 50, 1000, true",
    "49, 50, 1000, true",
    "50, 50, 1000, false",
    "979, 0, 1000, false",
    "980, 0, 1000, true",
    "999, 0, 1000, true",
    "985, 1000000, 1000, true",
    "0, 0, 20, true",
    "0, 0, 21, false",
    "3, 5, 1000, true"
  })
  void theLastTwentyStepsBeforeAnEvaluationAreProbed(
      int step, int evaluateEvery, long steps, boolean probed) {
    ArtefactProbe probe = new ArtefactProbing(4, evaluateEvery, listener).forStep(step, steps);
    assertThat(probe != null).isEqualTo(probed);
  }

  /** Hard negatives of longer tokens and another code than the images they were made of. */
  private static void add(ArtefactProbing probing, int images) {
    for (int i = 0; i < images; i++) {
      probing
          .forStep(0, 1)
          .add(new float[] {1, 0, 0, 1}, new int[] {0, 1}, new float[] {3, 0, 0, 3}, new int[2]);
    }
  }

  @Test
  void anEvaluationEndsAProbeAndBeginsTheNext() {
    ArtefactProbing probing = new ArtefactProbing(2, 10, listener);
    add(probing, 19);
    probing.onEvaluated(10, Evaluation.NONE);
    assertThat(told).isEmpty();
    add(probing, 20);
    probing.onEvaluated(20, Evaluation.NONE);
    assertThat(told).containsExactly("20: 20 images, 1.0");
    probing.onEvaluated(30, Evaluation.NONE);
    assertThat(told).hasSize(1);
  }
}
