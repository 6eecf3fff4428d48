package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.nasvlp.config.DictionaryConfig;

class CollapseWarningTest {
  @Test
  void tooFewCodesInEvenUseAreWarnedOf() {
    DictionaryConfig config = Shapes.config(1).dictionary();
    double least = config.collapseShare() * config.codewords();
    assertThat(least).isPositive();
    List<String> warnings = new ArrayList<>();
    CollapseWarning warning = new CollapseWarning(config, warnings::add);
    warning.onEpoch(4, least);
    warning.onEpoch(8, 24);
    assertThat(warnings).isEmpty();
    warning.onEpoch(12, Math.nextDown(least));
    assertThat(warnings)
        .containsExactly(
            "the dictionary is collapsing: in the epoch that ended with step 12 the tokens used its"
                + " 24 codes with a perplexity of 1.2; lower dictionary.deadSteps or"
                + " dictionary.codewords");
  }
}
