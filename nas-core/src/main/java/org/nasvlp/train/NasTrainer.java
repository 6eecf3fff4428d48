package org.nasvlp.train;

import java.io.IOException;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.distributed.RanksLostException;
import org.nasvlp.model.NasModel;

/**
 * Pretrains a model and leaves checkpoints and a log in an output folder.
 *
 * <pre>{@code
 * TrainingResult result =
 *     NasTrainer.builder()
 *         .config(NasConfig.preset("tiny"))
 *         .dataset(dataset)
 *         .tokenizer(tokenizer)
 *         .output(Path.of("out"))
 *         .build()
 *         .run();
 * }</pre>
 *
 * <p>A trainer runs once, on the calling thread, and one at a time in a process: threads are
 * process-wide. {@link #stop} may be called from any thread. A JVM that is asked to exit meanwhile
 * (Ctrl-C, SIGTERM, {@code System.exit}) stops the run and waits for its checkpoint. Only where a
 * listener itself calls {@code System.exit} does the JVM end at once, with the checkpoints written
 * before: {@link #stop} writes one.
 */
public final class NasTrainer {
  private final RunSettings settings;
  private volatile boolean stopRequested;
  private boolean started;

  NasTrainer(RunSettings settings) {
    this.settings = settings;
  }

  /**
   * A new builder.
   *
   * @return without any settings but defaults
   */
  public static NasTrainerBuilder builder() {
    return new NasTrainerBuilder();
  }

  /**
   * Asks a run to stop: it finishes its step, writes a checkpoint and returns. From any thread;
   * before {@link #run} it makes the run stop after its first step.
   */
  public void stop() {
    stopRequested = true;
  }

  /**
   * Trains.
   *
   * @return how it ended
   * @throws TrainingException if the run cannot start or go on, or another training is under way in
   *     this process; a checkpoint written before stays
   * @throws org.nasvlp.data.TooManyBadSamplesException if more samples are bad than allowed
   * @throws IllegalStateException if the trainer has run before
   */
  public TrainingResult run() {
    try (OneTraining one = OneTraining.begin()) {
      startOnce();
      return train();
    }
  }

  private TrainingResult train() {
    try (Ranks ranks = RanksOfRun.join(settings)) {
      try {
        return train(ranks);
      } catch (RanksLostException e) {
        throw RanksOfRun.failure(settings.output(), e);
      } catch (RuntimeException e) {
        ranks.leave(String.valueOf(e.getMessage()));
        throw e;
      }
    }
  }

  private TrainingResult train(Ranks ranks) {
    try (ExitHold hold = ExitHold.until(this::stop);
        RunLock lock = RunLock.take(settings.output(), ranks)) {
      RunSetup setup = RunSetup.of(RanksOfRun.onOwnDevice(settings), ranks);
      setup.rehearse();
      try (NasModel model = setup.model();
          TrainingStep trainingStep = setup.trainingStep(model);
          TrainingRun run = setup.run(model, trainingStep)) {
        run.begin();
        while (!run.isComplete()) {
          run.takeStep();
          if (run.agree(stopRequested || run.wantsStop())) {
            break;
          }
          if (run.evaluateIfDue() && run.agree(stopRequested || run.wantsStop())) {
            break;
          }
          run.saveIfDue();
        }
        return run.end();
      }
    } catch (IOException e) {
      throw OutputFailure.of(settings.output(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TrainingException(
          "interrupted; the run can be resumed from its last checkpoint in " + settings.output(),
          e);
    }
  }

  private synchronized void startOnce() {
    if (started) {
      throw new IllegalStateException("a trainer runs once; build another one");
    }
    started = true;
  }
}
