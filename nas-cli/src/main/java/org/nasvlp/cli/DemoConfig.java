package org.nasvlp.cli;

import org.nasvlp.config.DataConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.TrainingConfig;

/** The demonstration's configuration: the one place where its values are. */
final class DemoConfig {
  /** Share of the minutes left for starting up, loading and the final evaluation. */
  private static final double RESERVE = 0.12;

  /** The least of it, in minutes. */
  private static final double LEAST_RESERVE = 0.4;

  private DemoConfig() {}

  /**
   * A configuration for 64 x 64 pictures on a few CPU cores.
   *
   * @param seed seed of the run
   * @param minutes wall-clock time for all of the demonstration, start-up and final evaluation
   *     included; above 0
   */
  static NasConfig create(long seed, double minutes) {
    double training = Math.max(minutes / 2, minutes - Math.max(LEAST_RESERVE, RESERVE * minutes));
    NasConfig tiny = NasConfig.tiny();
    DataConfig data = tiny.data();
    return tiny.with(
            new DataConfig(
                data.batchSize(),
                0.6,
                data.flip(),
                data.colorJitter(),
                data.background(),
                2,
                data.maxBadShare()))
        .with(new TrainingConfig(seed, 20_000, training, 250, 100, 2));
  }
}
