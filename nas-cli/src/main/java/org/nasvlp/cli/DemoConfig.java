package org.nasvlp.cli;

import org.nasvlp.config.NasConfig;

/** The demonstration's preset with its seed and time budget. */
final class DemoConfig {
  /** The most steps that a budget is planned to. */
  private static final int MOST_STEPS = 20_000;

  /** Share of the minutes left for start-up and the final evaluation. */
  private static final double RESERVE = 0.08;

  /** The least of it, in minutes. */
  private static final double LEAST_RESERVE = 0.4;

  private DemoConfig() {}

  /**
   * The preset {@code scenes} for that seed and time.
   *
   * @param seed seed of the run
   * @param minutes wall-clock time for all of the demonstration, start-up and final evaluation
   *     included; above 0
   */
  static NasConfig create(long seed, double minutes) {
    double budget = Math.max(minutes / 2, minutes - Math.max(LEAST_RESERVE, RESERVE * minutes));
    return NasConfig.preset("scenes")
        .withTraining(training -> training.seed(seed).steps(MOST_STEPS).minutes(budget));
  }
}
