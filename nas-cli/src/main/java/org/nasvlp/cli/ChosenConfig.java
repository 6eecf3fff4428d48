package org.nasvlp.cli;

import java.util.List;
import java.util.Locale;
import org.nasvlp.config.NasConfig;

/**
 * A configuration chosen for some data and a machine, for a training that was given none.
 *
 * @param preset its name
 * @param config the preset with what is changed in it
 * @param yaml the same as a file says it
 * @param reasons why, a line each
 */
record ChosenConfig(String preset, NasConfig config, String yaml, List<String> reasons) {
  /** Pairs from which on a larger model than the smallest has something to learn from. */
  static final long MANY = 50_000;

  /** Pairs from which on a model of ViT-B/16's and BERT-base's sizes has, on a GPU. */
  static final long VERY_MANY = 100_000;

  private static final int LEAST_BATCH = 8;
  private static final int EPOCHS = 20;
  private static final int LEAST_STEPS = 1000;
  private static final int MOST_STEPS = 20_000;

  /**
   * What a training runs on.
   *
   * @param gpu whether the user asks for one
   * @param maxHeap limit of Java's heap, in bytes
   * @param memory what the process may take of the machine's, in bytes
   */
  record Machine(boolean gpu, long maxHeap, long memory) {}

  /**
   * Chooses.
   *
   * @param pairs of the data
   * @param vocabulary tokens of the tokenizer
   * @param benchmarks published ones that are evaluated
   * @param compared whether fine-grained pairs are evaluated
   * @throws CommandFailure if there are too few pairs, or the least run does not fit the memory
   */
  static ChosenConfig of(
      long pairs, int vocabulary, int benchmarks, boolean compared, Machine machine) {
    if (pairs < LEAST_BATCH) {
      throw new CommandFailure(
          "%d pairs are too few to train on: at least %d are needed".formatted(pairs, LEAST_BATCH));
    }
    if (machine.gpu() && pairs >= VERY_MANY) {
      return of(
          "base",
          NasConfig.preset("base"),
          NasConfig.preset("base").data().batchSize(),
          NasConfig.preset("base").training().steps(),
          List.of(
              "preset base (ViT-B/16 and BERT-base sizes): %s pairs, and a GPU"
                  .formatted(Text.count(pairs))));
    }
    List<String> presets = pairs >= MANY ? List.of("tiny", "emoji") : List.of("emoji");
    String tooLarge = "";
    for (String name : presets) {
      NasConfig preset = NasConfig.preset(name);
      int batch = preset.data().batchSize();
      while (batch > pairs) {
        batch /= 2;
      }
      for (int least = Math.min(batch, LEAST_BATCH); batch >= least; batch /= 2) {
        int of = batch;
        NasConfig tried = preset.withData(data -> data.batchSize(of));
        if (machine.gpu() || fits(tried, vocabulary, benchmarks, compared, machine)) {
          return of(
              name, preset, batch, steps(pairs, batch), reasons(pairs, name, tooLarge, batch));
        }
      }
      tooLarge = name;
    }
    RunNeeds least =
        RunNeeds.of(
            NasConfig.preset("emoji").withData(data -> data.batchSize(LEAST_BATCH)),
            vocabulary,
            benchmarks,
            compared,
            1);
    throw new CommandFailure(
        least.memoryWarning(machine.maxHeap(), machine.memory())
            + "; a configuration of your own (--config) can ask for less");
  }

  private static boolean fits(
      NasConfig config, int vocabulary, int benchmarks, boolean compared, Machine machine) {
    return RunNeeds.of(config, vocabulary, benchmarks, compared, 1)
        .memoryWarning(machine.maxHeap(), machine.memory())
        .isEmpty();
  }

  private static int steps(long pairs, int batch) {
    return Math.clamp(EPOCHS * pairs / batch, LEAST_STEPS, MOST_STEPS);
  }

  private static List<String> reasons(long pairs, String name, String tooLarge, int batch) {
    String count = Text.count(pairs);
    String preset =
        name.equals("tiny")
            ? "preset tiny (6 million parameters beside the words): %s pairs, %s or more"
                .formatted(count, Text.count(MANY))
            : tooLarge.isEmpty()
                ? "preset emoji (2 million parameters, made to learn from few pictures): %s pairs,"
                        .formatted(count)
                    + " fewer than "
                    + Text.count(MANY)
                : "preset emoji (2 million parameters): preset %s would not fit into this memory"
                    .formatted(tooLarge);
    return List.of(
        preset,
        "pictures become 64 x 64: for more detail set model.imageSize in a --config of your own",
        "batches of %d, and some %d times through the data (%s to %s steps)"
            .formatted(batch, EPOCHS, Text.count(LEAST_STEPS), Text.count(MOST_STEPS)));
  }

  private static ChosenConfig of(
      String name, NasConfig preset, int batch, int steps, List<String> reasons) {
    NasConfig config =
        preset
            .withData(data -> data.batchSize(batch))
            .withTraining(training -> training.steps(steps));
    String yaml =
        String.format(
            Locale.ROOT,
            "preset: %s%ndata: {batchSize: %d}%ntraining: {steps: %d}%n",
            name,
            batch,
            steps);
    return new ChosenConfig(name, config, yaml, reasons);
  }

  /** What was chosen and why, and how to have the same again. */
  String text() {
    StringBuilder text = new StringBuilder("no --config is given; chosen for these data:\n");
    reasons.forEach(reason -> text.append("  ").append(reason).append('\n'));
    text.append("the same again, or a beginning of your own: --config with a file of\n");
    yaml.lines().forEach(line -> text.append("  ").append(line).append('\n'));
    return text.toString();
  }
}
