package org.nasvlp.train;

import java.util.Locale;
import java.util.function.Consumer;
import org.nasvlp.config.DictionaryConfig;

/** Warns after an epoch in which too few of the dictionary's codes were in even use. */
final class CollapseWarning implements TrainingListener {
  private final DictionaryConfig config;
  private final Consumer<String> warnings;

  CollapseWarning(DictionaryConfig config, Consumer<String> warnings) {
    this.config = config;
    this.warnings = warnings;
  }

  @Override
  public void onEpoch(long step, double perplexity) {
    if (perplexity < config.collapseShare() * config.codewords()) {
      warnings.accept(
          String.format(
              Locale.ROOT,
              "the dictionary is collapsing: in the epoch that ended with step %d the tokens used"
                  + " its %d codes with a perplexity of %.1f; lower dictionary.deadSteps or"
                  + " dictionary.codewords",
              step,
              config.codewords(),
              perplexity));
    }
  }
}
