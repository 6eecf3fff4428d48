package org.nasvlp.config;

import java.util.function.Consumer;

/**
 * Builds a {@link NasConfig} from another one. What is out of range within a section is refused at
 * once; sections are checked against one another by {@link #build}, so that changes that hold only
 * together can be made together. Not for several threads.
 *
 * <pre>{@code
 * NasConfig config =
 *     NasConfig.preset("tiny").toBuilder()
 *         .data(data -> data.batchSize(48))
 *         .objective(objective -> objective.queue(480))
 *         .build();
 * }</pre>
 */
public final class NasConfigBuilder {
  private ModelConfig model;
  private DictionaryConfig dictionary;
  private NvaConfig nva;
  private NtaConfig nta;
  private ObjectiveConfig objective;
  private OptimizerConfig optimizer;
  private DataConfig data;
  private TrainingConfig training;

  NasConfigBuilder(NasConfig from) {
    model = from.model();
    dictionary = from.dictionary();
    nva = from.nva();
    nta = from.nta();
    objective = from.objective();
    optimizer = from.optimizer();
    data = from.data();
    training = from.training();
  }

  /** Changes fields of {@link NasConfig#model}. */
  public NasConfigBuilder model(Consumer<ModelConfigBuilder> changes) {
    ModelConfigBuilder builder = model.toBuilder();
    changes.accept(builder);
    model = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#model}. */
  public NasConfigBuilder model(ModelConfig other) {
    model = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#dictionary}. */
  public NasConfigBuilder dictionary(Consumer<DictionaryConfigBuilder> changes) {
    DictionaryConfigBuilder builder = dictionary.toBuilder();
    changes.accept(builder);
    dictionary = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#dictionary}. */
  public NasConfigBuilder dictionary(DictionaryConfig other) {
    dictionary = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#nva}. */
  public NasConfigBuilder nva(Consumer<NvaConfigBuilder> changes) {
    NvaConfigBuilder builder = nva.toBuilder();
    changes.accept(builder);
    nva = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#nva}. */
  public NasConfigBuilder nva(NvaConfig other) {
    nva = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#nta}. */
  public NasConfigBuilder nta(Consumer<NtaConfigBuilder> changes) {
    NtaConfigBuilder builder = nta.toBuilder();
    changes.accept(builder);
    nta = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#nta}. */
  public NasConfigBuilder nta(NtaConfig other) {
    nta = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#objective}. */
  public NasConfigBuilder objective(Consumer<ObjectiveConfigBuilder> changes) {
    ObjectiveConfigBuilder builder = objective.toBuilder();
    changes.accept(builder);
    objective = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#objective}. */
  public NasConfigBuilder objective(ObjectiveConfig other) {
    objective = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#optimizer}. */
  public NasConfigBuilder optimizer(Consumer<OptimizerConfigBuilder> changes) {
    OptimizerConfigBuilder builder = optimizer.toBuilder();
    changes.accept(builder);
    optimizer = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#optimizer}. */
  public NasConfigBuilder optimizer(OptimizerConfig other) {
    optimizer = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#data}. */
  public NasConfigBuilder data(Consumer<DataConfigBuilder> changes) {
    DataConfigBuilder builder = data.toBuilder();
    changes.accept(builder);
    data = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#data}. */
  public NasConfigBuilder data(DataConfig other) {
    data = other;
    return this;
  }

  /** Changes fields of {@link NasConfig#training}. */
  public NasConfigBuilder training(Consumer<TrainingConfigBuilder> changes) {
    TrainingConfigBuilder builder = training.toBuilder();
    changes.accept(builder);
    training = builder.build();
    return this;
  }

  /** Puts another record in the place of {@link NasConfig#training}. */
  public NasConfigBuilder training(TrainingConfig other) {
    training = other;
    return this;
  }

  /**
   * The configuration.
   *
   * @throws IllegalArgumentException naming the field, where sections do not fit one another
   */
  public NasConfig build() {
    return new NasConfig(model, dictionary, nva, nta, objective, optimizer, data, training);
  }
}
