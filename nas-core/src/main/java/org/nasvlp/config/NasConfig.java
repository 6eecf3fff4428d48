package org.nasvlp.config;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/**
 * Everything that decides the outcome of a pretraining run, except the data itself. Immutable; two
 * runs with equal configurations, equal data, the same device and the same number of threads end
 * with the same parameters, bit for bit.
 *
 * <p>A configuration begins with a {@link #preset}; {@code withModel} to {@code withTraining}
 * change fields of it. Every one of these methods checks the whole.
 *
 * <p>Files are JSON ({@code .json}) or YAML ({@code .yaml}, {@code .yml}); fields left out take the
 * value of the preset named by the file's {@code preset} field ({@code tiny} unless given), unknown
 * fields are errors.
 *
 * @param model sizes of the encoders and the form of the fusion encoder's input
 * @param dictionary the Visual Dictionary
 * @param nva Negative Visual Augmentation
 * @param nta Negative Textual Augmentation
 * @param objective losses and their weights
 * @param optimizer AdamW and its schedule
 * @param data batches and image augmentation
 * @param training length of the run, seed, evaluation, checkpoints, device and precision
 */
public record NasConfig(
    ModelConfig model,
    DictionaryConfig dictionary,
    NvaConfig nva,
    NtaConfig nta,
    ObjectiveConfig objective,
    OptimizerConfig optimizer,
    DataConfig data,
    TrainingConfig training) {

  /** Checks every field against its range, and fields against one another. */
  public NasConfig {
    ConfigCheck.present("model", model);
    ConfigCheck.present("dictionary", dictionary);
    ConfigCheck.present("nva", nva);
    ConfigCheck.present("nta", nta);
    ConfigCheck.present("objective", objective);
    ConfigCheck.present("optimizer", optimizer);
    ConfigCheck.present("data", data);
    ConfigCheck.present("training", training);
    ConfigCheck.that(
        objective.queue() % data.batchSize() == 0,
        "objective.queue",
        objective.queue(),
        "must be a multiple of data.batchSize (" + data.batchSize() + "), or 0 for no queue");
    ConfigCheck.that(
        !objective.itcOverAccumulation()
            || objective.queue() % ((long) data.batchSize() * optimizer.accumulation()) == 0,
        "objective.queue",
        objective.queue(),
        "must be a multiple of data.batchSize times optimizer.accumulation ("
            + (long) data.batchSize() * optimizer.accumulation()
            + ") where objective.itcOverAccumulation is true, or 0 for no queue");
    ConfigCheck.that(
        (long) training.steps() * optimizer.accumulation() <= Integer.MAX_VALUE,
        "training.steps",
        training.steps(),
        "must, times optimizer.accumulation ("
            + optimizer.accumulation()
            + "), be at most 2147483647");
    ConfigCheck.that(
        nva.neighbours() < dictionary.codewords(),
        "nva.neighbours",
        nva.neighbours(),
        "must be below dictionary.codewords (" + dictionary.codewords() + ")");
    ConfigCheck.that(
        nta.enabled() || data.singleThingSteps() == 0,
        "data.singleThingSteps",
        data.singleThingSteps(),
        "must be 0 where nta.enabled is false: their editor reads what a caption names (with"
            + " nta.weight 0 there is no loss of theirs)");
    ConfigCheck.that(
        nta.enabled() || nva.mirrorWeight() == 0,
        "nva.mirrorWeight",
        nva.mirrorWeight(),
        "must be 0 where nta.enabled is false: mirrored images are compared by hard negative"
            + " captions (with nta.weight 0 there is no loss of theirs)");
    ConfigCheck.that(
        !nta.enabled() || nta.wordShare() == 0 || objective.mlmWeight() > 0,
        "nta.wordShare",
        nta.wordShare(),
        "must be 0 where objective.mlmWeight is 0: the masked-language head proposes the words");
  }

  /**
   * The preset of that name. What differs is set with {@link #withTraining} and its like:
   *
   * <pre>{@code
   * NasConfig config =
   *     NasConfig.preset("emoji")
   *         .withTraining(training -> training.seed(7).steps(500))
   *         .withNva(nva -> nva.ratio(0.3).neighbours(16));
   * }</pre>
   *
   * <ul>
   *   <li>{@code tiny}: small enough for tests on a CPU: 64 x 64 pixels, width 192
   *   <li>{@code emoji}: for a few CPU cores and a few thousand pictures with labels: 64 x 64
   *       pixels, a convolution stem, width 128
   *   <li>{@code scenes}: the same for composed scenes, from which it learns who is where: what the
   *       demonstration trains
   *   <li>{@code base}: the size of the published method: 256 x 256 pixels, ViT-B/16 and a
   *       BERT-base split in two. Published weights of both fit: see {@code NasModel.importWeights}
   * </ul>
   *
   * @throws IllegalArgumentException for another name than those of {@link #presets}
   */
  public static NasConfig preset(String name) {
    return Presets.of(name);
  }

  /** The names of the presets, from the smallest to the largest. */
  public static List<String> presets() {
    return Presets.NAMES;
  }

  /**
   * Reads a configuration file.
   *
   * @throws IllegalArgumentException naming the file and the field, for an unknown field, a value
   *     of the wrong type or out of range
   * @throws IOException if the file cannot be read
   */
  public static NasConfig load(Path file) throws IOException {
    return ConfigFiles.load(file);
  }

  /**
   * Reads a configuration from JSON text as {@link #load} does; {@code name} stands in messages.
   *
   * @throws IllegalArgumentException as {@link #load} does
   */
  public static NasConfig fromJson(String json, String name) {
    return ConfigFiles.parse(json, name, false);
  }

  /**
   * This configuration with the fields that a JSON object names in place of its own. The object has
   * the form of a configuration file, without {@code preset}.
   *
   * @param name stands in messages
   * @throws IllegalArgumentException as {@link #load} does
   */
  public NasConfig merge(String json, String name) {
    return ConfigFiles.merge(this, json, name);
  }

  /**
   * This configuration with the fields that a file, JSON or YAML, names in place of its own.
   *
   * @throws IllegalArgumentException as {@link #load} does
   * @throws IOException if the file cannot be read
   */
  public NasConfig merge(Path file) throws IOException {
    return ConfigFiles.merge(this, file);
  }

  /**
   * The whole configuration as indented JSON, which {@link #fromJson} reads back to an equal one.
   */
  public String toJson() {
    return ConfigFiles.toJson(this);
  }

  /** Whether a moving average of the parameters is kept. */
  public boolean keepsAverage() {
    return objective.usesMomentumEncoders() || training.evaluateAverage();
  }

  /** A builder that begins with these values, for changes that hold only together. */
  public NasConfigBuilder toBuilder() {
    return new NasConfigBuilder(this);
  }

  /** The same with changes to {@link #model}. */
  public NasConfig withModel(Consumer<ModelConfigBuilder> changes) {
    return toBuilder().model(changes).build();
  }

  /** The same with changes to {@link #dictionary}. */
  public NasConfig withDictionary(Consumer<DictionaryConfigBuilder> changes) {
    return toBuilder().dictionary(changes).build();
  }

  /** The same with changes to {@link #nva}. */
  public NasConfig withNva(Consumer<NvaConfigBuilder> changes) {
    return toBuilder().nva(changes).build();
  }

  /** The same with changes to {@link #nta}. */
  public NasConfig withNta(Consumer<NtaConfigBuilder> changes) {
    return toBuilder().nta(changes).build();
  }

  /** The same with changes to {@link #objective}. */
  public NasConfig withObjective(Consumer<ObjectiveConfigBuilder> changes) {
    return toBuilder().objective(changes).build();
  }

  /** The same with changes to {@link #optimizer}. */
  public NasConfig withOptimizer(Consumer<OptimizerConfigBuilder> changes) {
    return toBuilder().optimizer(changes).build();
  }

  /** The same with changes to {@link #data}. */
  public NasConfig withData(Consumer<DataConfigBuilder> changes) {
    return toBuilder().data(changes).build();
  }

  /** The same with changes to {@link #training}. */
  public NasConfig withTraining(Consumer<TrainingConfigBuilder> changes) {
    return toBuilder().training(changes).build();
  }
}
