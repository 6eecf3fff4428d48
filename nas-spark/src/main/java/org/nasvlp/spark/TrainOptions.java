package org.nasvlp.spark;

import java.io.Serializable;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.train.NasTrainerBuilder;

/**
 * What {@link SparkNas#train} trains, and where. Immutable. All paths are those of each executor's
 * own machine or of a file system that is mounted there.
 *
 * @param config the configuration as JSON
 * @param data folder of shards, as {@link SparkNas#prepare} makes, or what else {@code
 *     ImageTextDataset.open} reads
 * @param tokenizer a {@code tokenizer.json}
 * @param output folder of checkpoints and log, which all ranks see
 * @param ranks processes that share a batch: a divisor of {@code data.batchSize}
 * @param resume whether the call goes on from the newest checkpoint in the output
 * @param trainer what else each rank's trainer is to have; null for nothing
 */
public record TrainOptions(
    String config,
    String data,
    String tokenizer,
    String output,
    int ranks,
    boolean resume,
    @Nullable Trainer trainer)
    implements Serializable {
  /** Adds to a rank's trainer: a benchmark, an editor of captions, objectives, listeners. */
  @FunctionalInterface
  public interface Trainer extends Serializable {
    /**
     * Called once on each rank, before its trainer is built.
     *
     * @param builder has configuration, data set, tokenizer, output, threads and cluster
     * @throws Exception what it throws ends the training
     */
    void extend(NasTrainerBuilder builder) throws Exception;
  }

  /** Checks the numbers. */
  public TrainOptions {
    Objects.requireNonNull(config, "config");
    Objects.requireNonNull(data, "data");
    Objects.requireNonNull(tokenizer, "tokenizer");
    Objects.requireNonNull(output, "output");
    Columns.check("ranks", ranks, 1, 65_536);
  }

  /** One rank, and a run of its own. */
  public static TrainOptions of(NasConfig config, String data, String tokenizer, String output) {
    return new TrainOptions(config.toJson(), data, tokenizer, output, 1, false, null);
  }

  /** These with so many processes that share a batch. */
  public TrainOptions withRanks(int number) {
    return new TrainOptions(config, data, tokenizer, output, number, resume, trainer);
  }

  /** These, going on from the newest checkpoint in the output; without one the run begins. */
  public TrainOptions withResume(boolean value) {
    return new TrainOptions(config, data, tokenizer, output, ranks, value, trainer);
  }

  /** These with more for each rank's trainer. */
  public TrainOptions withTrainer(@Nullable Trainer value) {
    return new TrainOptions(config, data, tokenizer, output, ranks, resume, value);
  }
}
