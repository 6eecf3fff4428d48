package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.objective.FeatureQueue;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.HardNegativeObserver;
import org.nasvlp.objective.Objective;
import org.nasvlp.random.Draws;

/**
 * One pretraining step: forward and backward pass of its batches, clipping, AdamW, and what follows
 * the parameters: momentum encoders, dictionary, queue and word counts. Where ranks share a batch a
 * step is a collective, and ends with the same bits on all of them.
 */
final class TrainingStep implements AutoCloseable {
  private final NasConfig config;
  private final NasModel model;
  private final AdamW optimizer;
  private final @Nullable MomentumEncoders momentum;
  private final NasModel.@Nullable MomentumCopy start;
  private final Objectives objectives;
  private final boolean together;
  private final List<Objective> perBatch;
  private final ForwardPass forward;
  private final Ranks ranks;
  private final GradientSum gradientSum;
  private final long restartSeed;

  /**
   * @param textNegatives hard negative captions; null exactly if the configuration asks for none
   * @param stepsPerEpoch steps in which the data set is gone through once
   * @param further objectives besides those of the configuration
   * @param ranks who shares a batch
   */
  TrainingStep(
      NasConfig config,
      NasModel model,
      @Nullable NegativeTextAugmentation textNegatives,
      double stepsPerEpoch,
      List<Objective> further,
      Ranks ranks) {
    this.config = config;
    this.ranks = ranks;
    this.model = model;
    this.optimizer =
        config.training().shardedOptimizer()
            ? AdamW.sharded(config.optimizer(), model.parameters(), ranks)
            : new AdamW(config.optimizer(), model.parameters());
    this.momentum =
        config.keepsAverage() ? new MomentumEncoders(config, model, stepsPerEpoch) : null;
    this.start = config.objective().distillWeight() > 0 ? model.momentumCopy() : null;
    this.objectives = Objectives.of(config, model, textNegatives, start, further);
    this.together =
        config.objective().itcOverAccumulation() && config.optimizer().accumulation() > 1;
    this.perBatch = together ? objectives.withoutContrast() : objectives.all();
    this.forward =
        new ForwardPass(
            config,
            model,
            perBatch,
            config.objective().usesMomentumEncoders() ? momentum : null,
            textNegatives,
            ranks);
    this.gradientSum =
        new GradientSum(model.parameters(), ranks, config.training().gradientExchange());
    this.restartSeed = Draws.DICTIONARY_RESTART.seed(config.training().seed());
  }

  AdamW optimizer() {
    return optimizer;
  }

  NasModel.@Nullable MomentumCopy momentum() {
    return momentum == null ? null : momentum.copy();
  }

  /** The model that the run started with, part of a checkpoint; null where it is not needed. */
  NasModel.@Nullable MomentumCopy start() {
    return start;
  }

  /**
   * Gives the model its average parameters until it is closed, if those are to be evaluated.
   *
   * @return to be closed before the next step or checkpoint
   */
  MomentumEncoders.Borrowed evaluated() {
    return momentum != null && config.training().evaluateAverage()
        ? momentum.lend()
        : MomentumEncoders.Borrowed.NOTHING;
  }

  @Nullable FeatureQueue queue() {
    return objectives.contrast().queue();
  }

  @Nullable WordCodes words() {
    return objectives.negativeImages().words();
  }

  /**
   * What a step yields.
   *
   * @param loss weighted sum, mean over the step's batches
   * @param losses by name, unweighted, mean over the batches that have them
   * @param hardNegatives how many images ("nva", "mirror") and captions ("nta") had a hard negative
   * @param gradientNorm before clipping; not finite exactly if the step was not taken
   * @param temperature after the step
   * @param seconds by section of the step
   * @param isFinite whether the losses of this rank's own share are
   * @param trace of the first hard negative image, if asked for and if there was one
   */
  record Outcome(
      double loss,
      Map<String, Double> losses,
      Map<String, Integer> hardNegatives,
      double gradientNorm,
      double temperature,
      Map<String, Double> seconds,
      boolean isFinite,
      @Nullable NvaTrace trace) {}

  /** B·N·d patch tokens of a batch of all ranks, to start the dictionary from. A collective. */
  float[] patchTokens(Batch batch) {
    return forward.images().patchTokens(batch);
  }

  /**
   * {@link #take(List, int, long, HardNegativeObserver)} with the observers of a run.
   *
   * @param traced whether the outcome should have a trace
   * @param probe gets the images and their hard negatives
   */
  Outcome take(
      List<Batch> batches, int step, long steps, boolean traced, @Nullable ArtefactProbe probe) {
    List<HardNegativeObserver> observers = new ArrayList<>();
    HardNegativeTracer tracer = new HardNegativeTracer();
    if (traced) {
      observers.add(tracer);
    }
    if (probe != null) {
      observers.add(new ProbedNegatives(probe));
    }
    Outcome o =
        take(
            batches,
            step,
            steps,
            observed -> observers.forEach(observer -> observer.onHardNegatives(observed)));
    return new Outcome(
        o.loss,
        o.losses,
        o.hardNegatives,
        o.gradientNorm,
        o.temperature,
        o.seconds,
        o.isFinite,
        tracer.trace());
  }

  /**
   * Takes one step. The parameters are left as they were if loss or gradients are not finite; the
   * step must not be used further then.
   *
   * @param batches {@code optimizer.accumulation} of them
   * @param step 0-based
   * @param steps planned
   * @param observer told of hard negative images
   */
  Outcome take(List<Batch> batches, int step, long steps, HardNegativeObserver observer) {
    objectives.negativeImages().observer(observer);
    StepClock clock = new StepClock(ranks);
    BatchSums sums = new BatchSums(batches.size());
    try (PointerScope scope = new PointerScope()) {
      CachedContrast contrast = null;
      if (together) {
        contrast =
            new CachedContrast(
                objectives.contrast(),
                model,
                forward,
                ranks,
                batches,
                step,
                steps,
                step * batches.size(),
                clock);
        sums.add(contrast);
      }
      double norm = pass(batches, step, steps, contrast, sums, clock);
      return outcome(sums, norm, clock);
    }
  }

  /**
   * Each batch forward and back, and the step; the gradient's norm, not finite if none was taken.
   */
  private double pass(
      List<Batch> batches,
      int step,
      long steps,
      @Nullable CachedContrast contrast,
      BatchSums sums,
      StepClock clock) {
    double norm = Double.NaN;
    if (contrast != null && !Double.isFinite(contrast.loss())) {
      return norm;
    }
    for (int a = 0; a < batches.size(); a++) {
      try (PointerScope scope = new PointerScope()) {
        int draw = step * batches.size() + a;
        ForwardPass.Result pass =
            forward.run(
                batches.get(a),
                step,
                steps,
                draw,
                contrast == null ? null : contrast.share(a),
                clock);
        sums.add(pass);
        boolean finite = Double.isFinite(pass.loss());
        if (finite) {
          boolean last = a == batches.size() - 1;
          pass.backward(1.0 / batches.size(), last ? gradientSum::begin : () -> {});
          clock.mark("backward");
        }
        if (finite && a == batches.size() - 1) {
          gradientSum.finish();
          clock.mark(StepClock.EXCHANGE);
          norm = optimizer.clip();
          finite = Double.isFinite(norm);
          if (finite) {
            updateParameters(step, steps);
            clock.mark("optimizer");
          }
        }
        if (!finite) {
          norm = Double.NaN;
          break;
        }
        update(pass.features(), a, contrast);
        if (contrast != null && a == batches.size() - 1) {
          contrast.update(restartSeed, step);
        }
        clock.mark("dictionary update");
      }
    }
    return norm;
  }

  private Outcome outcome(BatchSums sums, double norm, StepClock clock) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      double temperature = model.network().temperature().item_double();
      return new Outcome(
          sums.loss(),
          sums.losses(),
          sums.hardNegatives(),
          norm,
          temperature,
          clock.seconds(),
          sums.isFinite(),
          null);
    }
  }

  private void updateParameters(int step, long steps) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      optimizer.step(config.optimizer().learningRate(step, steps), step + 1L);
      model
          .network()
          .clampTemperature(
              config.objective().minTemperature(), config.objective().maxTemperature());
      if (momentum != null) {
        momentum.follow();
      }
    }
  }

  /**
   * Moves objectives and dictionary on by a batch, of several that are one the objectives alone.
   */
  private void update(Features features, int a, @Nullable CachedContrast contrast) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      perBatch.forEach(objective -> objective.update(features));
      if (contrast != null) {
        contrast.keep(a, features);
        return;
      }
      features
          .dictionary()
          .update(
              features.patchTokens().detach(),
              features.codes().tensor(),
              restartSeed,
              features.draw(),
              ranks);
    }
  }

  @Override
  public void close() {
    optimizer.close();
    if (momentum != null) {
      momentum.close();
    }
    if (start != null) {
      start.close();
    }
    objectives.contrast().close();
  }
}
