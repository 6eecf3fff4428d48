package org.nasvlp.cli;

import java.util.Map;
import org.nasvlp.config.DataConfig;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.config.EditType;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.config.ObjectiveConfig;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.config.TrainingConfig;

/** The demonstration's configuration: the one place where its values are. */
final class DemoConfig {
  /** Share of the minutes left for start-up and the final evaluation. */
  private static final double RESERVE = 0.08;

  /** The least of it, in minutes. */
  private static final double LEAST_RESERVE = 0.4;

  private DemoConfig() {}

  /**
   * A configuration for 64 x 64 pictures on a few CPU cores: a convolution stem, which learns from
   * a few thousand pictures, and two million parameters, so that two cores take over a thousand
   * pairs a minute through every loss.
   *
   * @param seed seed of the run
   * @param minutes wall-clock time for all of the demonstration, start-up and final evaluation
   *     included; above 0
   */
  static NasConfig create(long seed, double minutes) {
    double training = Math.max(minutes / 2, minutes - Math.max(LEAST_RESERVE, RESERVE * minutes));
    return new NasConfig(
        new ModelConfig(
            64,
            8,
            ModelConfig.Stem.CONVOLUTION,
            128,
            4,
            4,
            2,
            2,
            96,
            30,
            1e-6,
            1e-12,
            ModelConfig.FusionInput.RESIDUAL),
        // The first features are all alike, and move fast: codes that they leave behind are
        // restarted within some thirty steps, or the run would be half over with ten in use.
        new DictionaryConfig(256, 0.99, 1e-5, 0.8, 10, 0, 0.02, 5),
        NvaConfig.defaults(),
        new NtaConfig(
            true, 1, 0, 0, HardNegativeLoss.BALANCED, false, 0, true, Map.<EditType, Double>of()),
        new ObjectiveConfig(1, 1, 1, 0, 0.07, 0.001, 0.5, 0, 0.995, 0, 0, 0.25),
        new OptimizerConfig(1e-3, 1e-5, 0.08, 0, 0.05, 0.9, 0.999, 1e-8, 1, 1),
        // No mirroring: a caption that names no direction still stands beside one that does.
        new DataConfig(64, 0.6, false, 0, 0xFFFFFF, 2, 0.01),
        new TrainingConfig(
            seed, 20_000, training, 200, 100, 2, true, false, "cpu", Precision.FLOAT32));
  }
}
