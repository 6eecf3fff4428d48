package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.model.NasModel;

/** A run under way: its steps, evaluations and checkpoints. Owns the loader only. */
final class TrainingRun implements AutoCloseable {
  /** Often enough that freed memory does not pile up, seldom enough to cost little time. */
  private static final int STEPS_BETWEEN_RELEASES = 100;

  private final RunSettings settings;
  private final NasConfig config;
  private final RunClock clock;
  private final TrainingListener listeners;
  private final Evaluator evaluator;
  private final ArtefactProbing probing;
  private final NasModel model;
  private final TrainingStep trainingStep;
  private final TrainingState state;
  private final StepPlanner planner;
  private final BatchLoader loader;
  private final BestCheckpoints best;
  private final FailedBatch failedBatch;
  private final double stepsPerEpoch;
  private final int singleThingPairs;
  private final Progress from;
  private final boolean evaluated;
  private int step;
  private @Nullable Path checkpoint;
  private int checkpointStep;
  private Map<String, Double> losses = Map.of();

  /**
   * @param from where it stands
   * @param previous the checkpoint that it goes on from; null for none
   * @param evaluated whether the evaluation due at that checkpoint was done
   */
  TrainingRun(
      RunSetup setup,
      NasModel model,
      TrainingStep trainingStep,
      TrainingState state,
      StepPlanner planner,
      BatchLoader loader,
      Progress from,
      @Nullable Path previous,
      boolean evaluated) {
    this.settings = setup.settings();
    this.config = settings.config();
    this.clock = setup.clock();
    this.listeners = setup.listeners();
    this.evaluator = setup.evaluator();
    this.probing = setup.probing();
    this.model = model;
    this.trainingStep = trainingStep;
    this.state = state;
    this.planner = planner;
    this.loader = loader;
    this.best = new BestCheckpoints(settings.output());
    this.failedBatch = new FailedBatch(settings.output(), config.model().imageSize());
    this.stepsPerEpoch = setup.stepsPerEpoch();
    this.singleThingPairs = setup.singleThingPairs();
    this.from = from;
    this.evaluated = evaluated;
    this.step = from.step();
    this.checkpoint = previous;
    this.checkpointStep = from.step();
  }

  /** Tells what the run begins with, and makes up for an evaluation that a kill has cut off. */
  void begin() throws IOException {
    boolean keeps = config.training().keepBest();
    best.restore(from.best(), from.bestSteps(), step, keeps ? checkpoint : null);
    listeners.onStart(
        new TrainingStart(
            step,
            planner.steps(),
            model.parameters().count(),
            settings.dataset().size(),
            singleThingPairs,
            TorchDevice.of(model.parameters().values()) + ", " + settings.threads() + " threads",
            Kernels.describe()));
    if (from.samples() != null) {
      loader.restore(from.samples());
    }
    if (step > 0 && !evaluated) {
      evaluateIfDue();
    }
  }

  /** Whether all planned steps are done. */
  boolean isComplete() {
    return step >= planner.steps();
  }

  /** Takes a step and tells of it. */
  void takeStep() throws InterruptedException {
    double began = clock.seconds();
    List<Batch> batches = new ArrayList<>();
    for (int a = 0; a < config.optimizer().accumulation(); a++) {
      batches.add(loader.next());
    }
    double waited = clock.seconds() - began;
    TrainingStep.Outcome outcome = finite(batches);
    step++;
    if (step % STEPS_BETWEEN_RELEASES == 0) {
      Torch.releaseFreedMemory();
    }
    losses = outcome.losses();
    double took = clock.seconds() - began;
    clock.stepTook(took);
    planner.stepTook(took);
    listeners.onStep(report(outcome, waited));
    if (outcome.trace() != null) {
      listeners.onNvaTrace(step, outcome.trace());
    }
    if (Math.floor(step / stepsPerEpoch) > Math.floor((step - 1) / stepsPerEpoch)) {
      listeners.onEpoch(step, model.dictionary().endEpoch());
    }
    planner.plan(step);
  }

  /** The step's outcome, if loss and gradient are finite. */
  private TrainingStep.Outcome finite(List<Batch> batches) {
    boolean traced = settings.traceEvery() > 0 && (step + 1) % settings.traceEvery() == 0;
    TrainingStep.Outcome outcome;
    try {
      outcome =
          trainingStep.take(
              batches,
              step,
              planner.steps(),
              traced,
              evaluator.isIdle() ? null : probing.forStep(step, planner.steps()));
    } catch (NonFiniteInputException e) {
      throw failure("the image encoder's features", batches, e);
    }
    if (!Double.isFinite(outcome.loss())) {
      throw failure("the loss " + outcome.losses(), batches, null);
    }
    if (!Double.isFinite(outcome.gradientNorm())) {
      throw failure("the gradient", batches, null);
    }
    return outcome;
  }

  private TrainingException failure(
      String what, List<Batch> batches, @Nullable RuntimeException cause) {
    return failedBatch.failure(what, step + 1, batches, checkpoint, cause);
  }

  private StepReport report(TrainingStep.Outcome outcome, double waited) {
    Map<String, Double> sections = new LinkedHashMap<>();
    sections.put("data", waited);
    sections.putAll(outcome.seconds());
    double pairs = config.data().batchSize() * (double) config.optimizer().accumulation();
    return new StepReport(
        step,
        planner.steps(),
        outcome.loss(),
        outcome.losses(),
        config.optimizer().learningRate(step - 1, planner.steps()),
        outcome.gradientNorm(),
        outcome.temperature(),
        outcome.hardNegatives(),
        pairs / planner.secondsPerStep(),
        sections,
        model.dictionary().health(),
        loader.skipped().skipped());
  }

  /** Evaluates if it is time to, the evaluation at the end aside. */
  void evaluateIfDue() throws IOException {
    if (isDue(config.training().evaluateEvery()) && !evaluator.isIdle()) {
      evaluate(false);
    }
  }

  /** Writes a checkpoint if it is time to, the one at the end aside. */
  void saveIfDue() throws IOException {
    if (isDue(config.training().checkpointEvery())) {
      save();
    }
  }

  private boolean isDue(int every) {
    return every > 0 && step % every == 0 && !isComplete();
  }

  private Evaluation evaluate(boolean last) throws IOException {
    double began = clock.seconds();
    Evaluation evaluation = evaluator.evaluate(model.itcScorer(), model.itmScorer(), last);
    planner.evaluationTook(clock.seconds() - began);
    // Before the log has it: what is in the log is not evaluated again after a kill.
    if (config.training().keepBest()) {
      best.keep(step, evaluation.metrics(), this::write);
    }
    listeners.onEvaluated(step, evaluation);
    if (evaluation.report() != null) {
      listeners.onEvaluation(step, evaluation.report());
    }
    evaluation.benchmarks().forEach((name, byWay) -> listeners.onBenchmark(step, name, byWay));
    return evaluation;
  }

  /** The checkpoint of the steps done, written unless there is one. */
  private Path save() throws IOException {
    Path saved = checkpoint;
    return saved == null || checkpointStep != step ? write() : saved;
  }

  /** A checkpoint of the steps done, in the place of one that there is. */
  private Path write() throws IOException {
    Path written =
        state.save(
            settings.output(),
            new Progress(
                step,
                planner.planned(),
                clock.total(),
                clock.steps(),
                loader.state(),
                best.values(),
                best.steps()));
    checkpoint = written;
    checkpointStep = step;
    listeners.onCheckpoint(step, written);
    return written;
  }

  /** Writes the last checkpoint and, if all steps are done, evaluates for the last time. */
  TrainingResult end() throws IOException {
    Path last = save();
    boolean stopped = !isComplete();
    Evaluation evaluation = stopped || evaluator.isIdle() ? Evaluation.NONE : evaluate(true);
    TrainingResult result =
        new TrainingResult(
            step,
            planner.steps(),
            stopped,
            last,
            evaluation.report(),
            evaluation.benchmarks(),
            model.dictionary().health(),
            losses,
            clock.seconds(),
            loader.skipped().skipped(),
            loader.skipped().examples(),
            loader.truncatedCaptions());
    listeners.onEnd(result);
    return result;
  }

  @Override
  public void close() {
    loader.close();
  }
}
