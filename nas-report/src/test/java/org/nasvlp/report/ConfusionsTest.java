package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.ScoredPair;

class ConfusionsTest {
  private static final RgbImage PICTURE = new RgbImage(1, 1, new byte[3]);

  /** A pair whose captions are told apart by a margin in one picture, and by more in the other. */
  private static ScoredPair pair(String attribute, String name, double margin) {
    return new ScoredPair(
        attribute,
        PICTURE,
        name,
        PICTURE,
        "not " + name,
        // By contrast all are right: matching is what counts.
        new ScoredPair.Scores(1, 0, 0, 1),
        new ScoredPair.Scores(margin, 0, 0, margin + 1));
  }

  private static List<String> names(List<ScoredPair> pairs) {
    return pairs.stream().map(ScoredPair::captionA).toList();
  }

  @Test
  void theWorstAreWrongAndTheClosestAreTheOthers() {
    List<ScoredPair> pairs = new ArrayList<>();
    pairs.add(pair("count", "sure", 9));
    double[] margins = {3, -0.5, -4, 0.25, 8, -1, 0, -6, 2};
    for (double margin : margins) {
      pairs.add(pair("colour", Double.toString(margin), margin));
    }
    List<Confusions> all = Confusions.of(pairs);
    assertThat(all).extracting(Confusions::attribute).containsExactly("count", "colour");
    Confusions colour = all.getLast();
    assertThat(colour.pairs()).isEqualTo(9);
    assertThat(colour.wrong()).as("a tie is wrong").isEqualTo(5);
    assertThat(names(colour.worst())).containsExactly("-6.0", "-4.0", "-1.0");
    assertThat(names(colour.closest())).containsExactly("0.0", "0.25", "-0.5");
    Confusions count = all.getFirst();
    assertThat(count.wrong()).isZero();
    assertThat(count.worst()).isEmpty();
    assertThat(names(count.closest())).containsExactly("sure");
  }

  @Test
  void probabilitiesHaveDigitsThatTell() {
    assertThat(ConfusionPart.probability(0)).isEqualTo("50.0 %");
    assertThat(ConfusionPart.probability(Math.log(9))).isEqualTo("90.0 %");
    assertThat(ConfusionPart.probability(-20)).isEqualTo("below 0.1 %");
    assertThat(ConfusionPart.probability(20)).isEqualTo("above 99.9 %");
  }
}
