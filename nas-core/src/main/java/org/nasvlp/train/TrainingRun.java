package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.LoaderState;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.model.NasModel;
import org.nasvlp.scoring.ImageTextScorer;

/** A run under way: its steps, evaluations and checkpoints. Owns the loader only. */
final class TrainingRun implements AutoCloseable {
  /** Often enough that freed memory does not pile up, seldom enough to cost little time. */
  private static final int STEPS_BETWEEN_RELEASES = 100;

  private final RunSettings settings;
  private final Ranks ranks;
  private final NasConfig config;
  private final RunClock clock;
  private final TrainingListener listeners;
  private final Evaluator evaluator;
  private final OwnMetrics metrics;
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
  private LoaderCounts counts;
  private Map<String, Double> startMetrics;
  private boolean guardBroken;

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
    this.ranks = setup.ranks();
    this.config = settings.config();
    this.clock = setup.clock();
    this.listeners = setup.listeners();
    this.evaluator = setup.evaluator();
    this.metrics = new OwnMetrics(settings.metrics(), ranks, listeners::onWarning);
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
    this.startMetrics = from.startMetrics();
    this.checkpoint = previous;
    this.checkpointStep = from.step();
    this.counts = new LoaderCounts(from.samples(), ranks);
  }

  /** Tells what the run begins with, and makes up for an evaluation that a kill has cut off. */
  void begin() throws IOException {
    boolean keeps = config.training().keepBest();
    if (ranks.isFirst()) {
      best.restore(from.best(), from.bestSteps(), step, keeps ? checkpoint : null);
    }
    listeners.onStart(
        new TrainingStart(
            step,
            planner.steps(),
            model.parameters().count(),
            settings.dataset().size(),
            singleThingPairs,
            TorchDevice.of(model.parameters().values())
                + ", "
                + settings.threads()
                + (settings.threads() == 1 ? " thread" : " threads")
                + (ranks.isAlone() ? "" : ", %d ranks".formatted(ranks.size())),
            Kernels.describe()));
    if (from.samples() != null) {
      loader.restore(from.samples());
    }
    boolean _ = agree(false);
    takeStartMetrics();
    if (step > 0 && !evaluated) {
      boolean _ = evaluateIfDue();
    }
  }

  /** With a guard: what the metrics are before the first step. */
  private void takeStartMetrics() throws IOException {
    Guard guard = settings.guard();
    if (guard == null) {
      return;
    }
    if (step == 0) {
      Map<String, Double> metrics = new TreeMap<>(evaluate(false).metrics());
      metrics.values().removeIf(value -> !Double.isFinite(value));
      startMetrics = metrics;
    }
    double _ = guard.of(startMetrics);
  }

  /**
   * Makes the ranks go on alike: with rank 0's plan, and to a stop if one of them is asked to. A
   * collective.
   *
   * @param stop whether this rank was asked to
   * @return whether to stop
   */
  boolean agree(boolean stop) {
    if (ranks.isAlone()) {
      return stop;
    }
    double[][] all =
        ranks.gatherByRank(
            step, (double) planner.steps(), stop ? 1 : 0, (double) counts.own(loader));
    for (int rank = 1; rank < all.length; rank++) {
      if (all[rank][0] != step) {
        throw new IllegalStateException(
            "rank %d is at step %.0f, rank %d at step %d"
                .formatted(rank, all[rank][0], ranks.rank(), step));
      }
    }
    planner.follow((long) all[0][1]);
    counts.agree(Arrays.stream(all).mapToLong(of -> (long) of[3]).sum());
    return Arrays.stream(all).anyMatch(of -> of[2] > 0);
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
    if (LogListener.tellsOfCodewords(step, config.dictionary().codewords())) {
      listeners.onCodewordUse(step, model.dictionary().use());
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
              !evaluates() ? null : probing.forStep(step, planner.steps()));
    } catch (NonFiniteInputException e) {
      throw failure("the image encoder's features", batches, true, e);
    }
    if (!Double.isFinite(outcome.loss())) {
      throw failure("the loss " + outcome.losses(), batches, !outcome.isFinite(), null);
    }
    if (!Double.isFinite(outcome.gradientNorm())) {
      throw failure("the gradient", batches, true, null);
    }
    return outcome;
  }

  /** Of several ranks those tell of their samples whose own share is to blame. */
  private TrainingException failure(
      String what, List<Batch> batches, boolean isOwn, @Nullable RuntimeException cause) {
    return isOwn
        ? failedBatch.failure(what, step + 1, batches, checkpoint, cause)
        : new TrainingException(
            "%s is not finite at step %d, by samples of another rank".formatted(what, step + 1),
            cause);
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
        counts.skipped(loader));
  }

  /** Whether there is anything to evaluate. */
  private boolean evaluates() {
    return !(evaluator.isIdle() && metrics.isEmpty());
  }

  /** Whether a listener wants the run to stop, or the guard is broken. */
  boolean wantsStop() {
    return guardBroken || listeners.wantsStop();
  }

  /**
   * Evaluates if it is time to, the evaluation at the end aside.
   *
   * @return whether it was
   */
  boolean evaluateIfDue() throws IOException {
    boolean due = evaluates() && isDue(config.training().evaluateEvery());
    if (due) {
      evaluate(false);
    }
    return due;
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

  /** Evaluates, the work divided among the ranks. A collective. */
  private Evaluation evaluate(boolean last) throws IOException {
    double began = clock.seconds();
    ImageTextScorer itm = model.itmScorer();
    Evaluation evaluation;
    try (PointerScope scope = new PointerScope();
        MomentumEncoders.Borrowed average = trainingStep.evaluated()) {
      evaluation =
          evaluator
              .evaluate(
                  model.itcScorer(),
                  ranks.isAlone() ? itm : new DividedScorer(itm, ranks),
                  1 / model.temperature(),
                  last)
              .with(metrics.of(model, step));
    }
    planner.evaluationTook(clock.seconds() - began);
    LoaderState samples = counts.merged(loader);
    // Before the log has it: what is in the log is not evaluated again after a kill.
    Guard guard = step > 0 ? settings.guard() : null;
    guardBroken =
        guard != null && guard.isBroken(guard.of(startMetrics), guard.of(evaluation.metrics()));
    if (config.training().keepBest() && step > 0 && !guardBroken) {
      keepBest(evaluation, samples);
    }
    if (!ranks.isFirst()) {
      return evaluation;
    }
    listeners.onEvaluated(step, evaluation);
    if (evaluation.report() != null) {
      listeners.onEvaluation(step, evaluation.report());
    }
    evaluation.benchmarks().forEach((name, byWay) -> listeners.onBenchmark(step, name, byWay));
    if (guard != null && guardBroken) {
      listeners.onGuard(
          step, guard.metric(), guard.of(startMetrics), guard.of(evaluation.metrics()));
    }
    return evaluation;
  }

  /** Keeps what is the best so far in a metric. A collective. */
  private void keepBest(Evaluation evaluation, LoaderState samples) throws IOException {
    try (PointerScope scope = new PointerScope()) {
      AdamW.Moments moments = trainingStep.optimizer().moments();
      if (ranks.isFirst()) {
        best.keep(step, evaluation.metrics(), () -> write(samples, moments));
      }
    }
  }

  /** The checkpoint of the steps done, written unless there is one. A collective. */
  private Path save() throws IOException {
    LoaderState samples = counts.merged(loader);
    try (PointerScope scope = new PointerScope()) {
      AdamW.Moments moments = trainingStep.optimizer().moments();
      if (ranks.isFirst()) {
        Path saved = checkpoint;
        String _ =
            ranks.ofFirst(
                (saved == null || checkpointStep != step ? write(samples, moments) : saved)
                    .toString());
        return Objects.requireNonNull(checkpoint);
      }
    }
    checkpoint = Path.of(ranks.ofFirst(""));
    checkpointStep = step;
    return checkpoint;
  }

  /** A checkpoint of the steps done, in the place of one that there is. */
  private Path write(LoaderState samples, AdamW.Moments moments) throws IOException {
    Path written =
        state.save(
            settings.output(),
            new Progress(
                step,
                planner.planned(),
                clock.total(),
                clock.steps(),
                samples,
                best.values(),
                best.steps(),
                startMetrics),
            moments);
    checkpoint = written;
    checkpointStep = step;
    listeners.onCheckpoint(step, written);
    return written;
  }

  /**
   * Writes the last checkpoint and, if all steps are done, evaluates for the last time. A
   * collective.
   */
  TrainingResult end() throws IOException {
    Path last = save();
    boolean stopped = !isComplete();
    Evaluation evaluation = stopped || !evaluates() ? Evaluation.NONE : evaluate(true);
    LoaderState samples = counts.merged(loader);
    TrainingResult result =
        new TrainingResult(
            step,
            planner.steps(),
            stopped,
            last,
            evaluation.report(),
            evaluation.benchmarks(),
            evaluation.ownMetrics(),
            model.dictionary().health(),
            losses,
            clock.seconds(),
            counts.skipped(loader),
            samples.examples(),
            samples.truncatedCaptions());
    listeners.onEnd(result);
    return result;
  }

  @Override
  public void close() {
    loader.close();
  }
}
