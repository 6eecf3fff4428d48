package org.nasvlp.config;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Everything that decides the outcome of a pretraining run, except the data itself. Immutable; two
 * runs with equal configurations, equal data, the same device and the same number of threads end
 * with the same parameters, bit for bit.
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
        (long) training.steps() * optimizer.accumulation() <= Integer.MAX_VALUE,
        "training.steps",
        training.steps(),
        "must, times optimizer.accumulation ("
            + optimizer.accumulation()
            + "), be at most "
            + Integer.MAX_VALUE);
    ConfigCheck.that(
        nva.radius() < dictionary.codewords(),
        "nva.radius",
        nva.radius(),
        "must be below dictionary.codewords (" + dictionary.codewords() + ")");
    ConfigCheck.that(
        !nta.enabled() || nta.wordShare() == 0 || objective.mlmWeight() > 0,
        "nta.wordShare",
        nta.wordShare(),
        "needs objective.mlmWeight above 0: the masked-language head proposes the words");
  }

  /** Small enough for a demonstration and tests on a CPU: 64 x 64 pixels, width 192. */
  public static NasConfig tiny() {
    return new NasConfig(
        new ModelConfig(
            64,
            8,
            ModelConfig.Stem.PATCH,
            192,
            3,
            6,
            3,
            3,
            96,
            30,
            1e-6,
            1e-12,
            ModelConfig.FusionInput.RESIDUAL),
        DictionaryConfig.defaults(512),
        NvaConfig.defaults(),
        NtaConfig.defaults(),
        ObjectiveConfig.defaults(2048),
        new OptimizerConfig(1e-4, 1e-5, 0.05, 0, 0.02, 0.9, 0.999, 1e-8, 1, 1.0),
        DataConfig.defaults(64),
        TrainingConfig.defaults(1000));
  }

  /**
   * The size of the published method: 256 x 256 pixels, ViT-B/16 and a BERT-base split in two.
   * Published weights of both fit: see {@code NasModel.importWeights}.
   */
  public static NasConfig base() {
    return new NasConfig(
        new ModelConfig(
            256,
            16,
            ModelConfig.Stem.PATCH,
            768,
            12,
            12,
            6,
            6,
            256,
            30,
            1e-6,
            1e-12,
            ModelConfig.FusionInput.RESIDUAL),
        DictionaryConfig.defaults(2048),
        NvaConfig.defaults(),
        NtaConfig.defaults(),
        ObjectiveConfig.defaults(65_536),
        new OptimizerConfig(1e-4, 1e-5, 0, 2000, 0.02, 0.9, 0.999, 1e-8, 1, 1.0),
        DataConfig.defaults(64),
        TrainingConfig.defaults(100_000));
  }

  /**
   * The preset of that name.
   *
   * @throws IllegalArgumentException for another name than {@code tiny} and {@code base}
   */
  public static NasConfig preset(String name) {
    return switch (name) {
      case "tiny" -> tiny();
      case "base" -> base();
      default ->
          throw new IllegalArgumentException(
              "unknown preset '" + name + "': the presets are tiny and base");
    };
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
   */
  public static NasConfig fromJson(String json, String name) {
    return ConfigFiles.parse(json, name, false);
  }

  /**
   * The whole configuration as indented JSON, which {@link #fromJson} reads back to an equal one.
   */
  public String toJson() {
    return ConfigFiles.toJson(this);
  }

  public NasConfig with(ModelConfig other) {
    return new NasConfig(other, dictionary, nva, nta, objective, optimizer, data, training);
  }

  public NasConfig with(DictionaryConfig other) {
    return new NasConfig(model, other, nva, nta, objective, optimizer, data, training);
  }

  public NasConfig with(NvaConfig other) {
    return new NasConfig(model, dictionary, other, nta, objective, optimizer, data, training);
  }

  public NasConfig with(NtaConfig other) {
    return new NasConfig(model, dictionary, nva, other, objective, optimizer, data, training);
  }

  public NasConfig with(ObjectiveConfig other) {
    return new NasConfig(model, dictionary, nva, nta, other, optimizer, data, training);
  }

  public NasConfig with(OptimizerConfig other) {
    return new NasConfig(model, dictionary, nva, nta, objective, other, data, training);
  }

  public NasConfig with(DataConfig other) {
    return new NasConfig(model, dictionary, nva, nta, objective, optimizer, other, training);
  }

  public NasConfig with(TrainingConfig other) {
    return new NasConfig(model, dictionary, nva, nta, objective, optimizer, data, other);
  }
}
