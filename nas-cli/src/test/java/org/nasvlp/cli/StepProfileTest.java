package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.nasvlp.dictionary.DictionaryHealth;
import org.nasvlp.train.StepReport;

class StepProfileTest {
  private static StepReport step(long step, double data, double backward) {
    Map<String, Double> seconds = new LinkedHashMap<>();
    seconds.put("data", data);
    seconds.put("backward", backward);
    return new StepReport(
        step,
        9,
        1,
        Map.of(),
        1e-4,
        1,
        0.07,
        Map.of(),
        60,
        seconds,
        new DictionaryHealth(8, 8, 8, 0),
        0);
  }

  @Test
  void meansAfterTheFirstSteps() {
    StepProfile profile = new StepProfile();
    for (int i = 1; i <= 3; i++) {
      profile.add(step(i, 100, 100));
    }
    assertThat(profile.means()).isEmpty();
    assertThat(profile.table()).contains("not measured", "3 steps");
    profile.add(step(4, 0.01, 0.2));
    profile.add(step(5, 0.03, 0.6));
    assertThat(profile.means().keySet()).containsExactly("data", "backward");
    assertThat(profile.means().get("data")).isCloseTo(0.02, Offset.offset(1e-12));
    assertThat(profile.means().get("backward")).isCloseTo(0.4, Offset.offset(1e-12));
    assertThat(profile.table())
        .isEqualTo(
            """
            Time of a step               ms    share
            data                      20.00    4.8 %
            backward                 400.00   95.2 %
            all                      420.00
            """);
  }
}
