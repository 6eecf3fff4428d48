package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.BatchShare;
import org.nasvlp.data.FirstPairs;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.random.Draws;
import tools.jackson.databind.json.JsonMapper;

/** Builds a run, fresh or from its newest checkpoint, in the order in which its methods stand. */
final class RunSetup {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final RunSettings settings;
  private final Ranks ranks;
  private final NasConfig config;
  private final @Nullable Path previous;
  private final RunClock clock;
  private final RunLog log;
  private final Listeners listeners = new Listeners();
  private final Evaluator evaluator;
  private final ArtefactProbing probing;
  private @Nullable NegativeTextAugmentation textNegatives;
  private @Nullable FirstPairs firstPairs;
  private Phases phases;

  private RunSetup(RunSettings settings, Ranks ranks, @Nullable Path previous) {
    this.settings = settings;
    this.ranks = ranks;
    this.config = settings.config();
    this.previous = previous;
    this.clock = new RunClock(System::nanoTime);
    this.log = new RunLog(settings.output());
    this.evaluator =
        new Evaluator(
            settings.benchmark(),
            settings.published(),
            config.data().background(),
            listeners::onWarning);
    this.phases = Phases.of(config);
    int codewords = config.dictionary().codewords();
    this.probing = new ArtefactProbing(codewords, config.training().evaluateEvery(), listeners);
    if (ranks.isFirst()) {
      listeners.add(new LogListener(settings.output(), log, clock));
      settings.listeners().forEach(listeners::add);
      listeners.add(probing);
      listeners.add(new CollapseWarning(config.dictionary(), listeners::onWarning));
    }
  }

  /**
   * Begins, and sets the threads of LibTorch and the kernels. A collective.
   *
   * @throws TrainingException if the output holds a run that is not to be resumed
   */
  static RunSetup of(RunSettings settings, Ranks ranks) throws IOException {
    Optional<Path> previous = RanksOfRun.latest(settings.output(), ranks);
    if (previous.isPresent() && !settings.resume()) {
      throw new TrainingException(
          "%s already holds a run (%s): resume it, or choose another output"
              .formatted(settings.output(), previous.get().getFileName()));
    }
    Torch.setThreads(settings.threads());
    Kernels.setThreads(settings.threads());
    return new RunSetup(settings, ranks, previous.orElse(null));
  }

  RunSettings settings() {
    return settings;
  }

  Ranks ranks() {
    return ranks;
  }

  RunClock clock() {
    return clock;
  }

  TrainingListener listeners() {
    return listeners;
  }

  Evaluator evaluator() {
    return evaluator;
  }

  ArtefactProbing probing() {
    return probing;
  }

  /** Steps in which the data set is gone through once. */
  double stepsPerEpoch() {
    return Math.max(
        1,
        (double) settings.dataset().size()
            / config.data().batchSize()
            / config.optimizer().accumulation());
  }

  /** With a budget for the steps alone: learns how long steps take in each phase. */
  void rehearse() throws InterruptedException {
    if (config.training().stepMinutes() == 0) {
      return;
    }
    // Rates next to nothing: the model stays as it is, however soon the phase begins.
    NasConfig still =
        config.withOptimizer(
            optimizer -> optimizer.learningRate(Double.MIN_NORMAL).finalLearningRate(0));
    try (NasModel model = NasModel.create(still, settings.tokenizer());
        TrainingStep step =
            new TrainingStep(still, model, textNegatives(), stepsPerEpoch(), List.of(), ranks);
        BatchLoader loader = loader(0)) {
      startDictionary(model, step);
      phases = new Rehearsal(step, loader, config.optimizer().accumulation()).pace(phases);
    }
    Torch.releaseFreedMemory();
  }

  /** A model with fresh parameters, of a fresh run with its initial weights. */
  NasModel model() throws IOException {
    NasModel model = NasModel.create(config, settings.tokenizer());
    if (settings.initialWeights().isEmpty()) {
      if (previous == null && config.objective().distillWeight() > 0) {
        model.close();
        throw new TrainingException(
            "objective.distillWeight is %s, but the run starts with random weights: give it weights to start from, or set it to 0"
                .formatted(config.objective().distillWeight()));
      }
      return model;
    }
    if (previous != null) {
      listeners.onWarning("the initial weights are not loaded: the run goes on from " + previous);
      return model;
    }
    try {
      WeightReport report = model.importWeights(settings.initialWeights());
      if (ranks.isFirst()) {
        Files.writeString(
            settings.output().resolve("weights.json"),
            JSON.writerWithDefaultPrettyPrinter().writeValueAsString(report));
      }
      listeners.onWeights(report);
      return model;
    } catch (IOException e) {
      model.close();
      throw new TrainingException("the initial weights cannot be loaded: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** The model's training step, with hard negative captions where it needs them. */
  TrainingStep trainingStep(NasModel model) throws InterruptedException {
    return new TrainingStep(
        config, model, textNegatives(), stepsPerEpoch(), settings.objectives(), ranks);
  }

  /** Hard negative captions, where the configuration needs any; their edits are kept beside. */
  private @Nullable NegativeTextAugmentation textNegatives() throws InterruptedException {
    if (!config.nta().enabled() && !config.nva().usesWords()) {
      return null;
    }
    if (textNegatives != null) {
      return textNegatives;
    }
    // Rank 0 first: where the others see its folder they find what it has kept there.
    if (!ranks.isFirst()) {
      ranks.await();
    }
    NegativeTextAugmentation negatives = prepareTextNegatives();
    if (ranks.isFirst()) {
      ranks.await();
    }
    listeners.onCaptionEdits(negatives.preparation());
    textNegatives = negatives;
    return negatives;
  }

  private NegativeTextAugmentation prepareTextNegatives() throws InterruptedException {
    TextEditor.Factory editor = settings.textEditor();
    List<Path> folders = new ArrayList<>(List.of(settings.output().resolve("captions")));
    Path ready = settings.captionEdits();
    if (ready != null) {
      folders.add(ready);
    }
    return NegativeTextAugmentation.prepare(
        settings.dataset(),
        settings.tokenizer(),
        editor != null ? editor : TextEditor.factory("en", config.nta().exactLabels()),
        config.nta(),
        folders,
        config.training().seed());
  }

  /** The run, where it goes on from a checkpoint with all that is in it; else with a dictionary. */
  TrainingRun run(NasModel model, TrainingStep trainingStep)
      throws IOException, InterruptedException {
    TrainingState state = new TrainingState(config, model, trainingStep);
    StepPlanner planner = new StepPlanner(config.training(), phases, clock);
    Progress progress = Progress.NONE;
    boolean evaluated = false;
    if (previous != null) {
      progress = state.restore(previous);
      clock.resume(progress.seconds(), progress.stepSeconds());
      planner.restore(progress.plannedSteps());
      evaluated = rewind(progress.step(), progress.step() >= planner.steps());
    } else {
      if (config.training().stepMinutes() > 0) {
        planner.begin();
      }
      boolean _ = rewind(0, true);
      startDictionary(model, trainingStep);
    }
    BatchLoader loader = loader((long) progress.step() * config.optimizer().accumulation());
    return new TrainingRun(
        this, model, trainingStep, state, planner, loader, progress, previous, evaluated);
  }

  /** Cuts the log off after a step, on rank 0; whether the evaluation at that step stands in it. */
  private boolean rewind(int step, boolean complete) throws IOException {
    boolean evaluated = ranks.isFirst() && log.rewind(step, complete);
    return ranks.gatherByRank(evaluated ? 1.0 : 0.0)[0][0] > 0;
  }

  private void startDictionary(NasModel model, TrainingStep trainingStep)
      throws InterruptedException {
    try (BatchLoader loader = loader(0)) {
      model.startDictionary(
          DictionaryStart.tokens(
              config.dictionary().codewords(),
              config.model().width(),
              (long) config.data().batchSize() * config.model().patchTokens(),
              () -> trainingStep.patchTokens(loader.next())));
    }
  }

  private BatchLoader loader(long firstBatch) throws InterruptedException {
    return new BatchLoader(
        settings.dataset(),
        settings.tokenizer(),
        config.model().imageSize(),
        config.data(),
        Draws.DATA.seed(config.training().seed()),
        firstBatch,
        firstPairs(),
        share());
  }

  private BatchShare share() {
    int own = config.data().batchSize() / ranks.size();
    return new BatchShare(ranks.rank() * own, own);
  }

  /** How many pairs the loader's first batches are drawn from, once it is made; 0 for all. */
  int singleThingPairs() {
    return firstPairs == null ? 0 : firstPairs.count();
  }

  /** Pairs that name one thing, for a run that begins with such. */
  private FirstPairs firstPairs() throws InterruptedException {
    int steps = config.data().singleThingSteps();
    NegativeTextAugmentation negatives = steps > 0 ? textNegatives() : null;
    if (negatives == null) {
      return FirstPairs.NONE;
    }
    if (firstPairs == null) {
      int[] pairs = negatives.singleThings(settings.dataset());
      if (pairs.length < config.data().batchSize()) {
        throw new TrainingException(
            ("%d of the %d captions of %s name one thing, fewer than a batch of %d: set"
                    + " data.singleThingSteps to 0")
                .formatted(
                    pairs.length,
                    settings.dataset().size(),
                    settings.dataset().name(),
                    config.data().batchSize()));
      }
      firstPairs = new FirstPairs(pairs, (long) steps * config.optimizer().accumulation());
    }
    return firstPairs;
  }
}
