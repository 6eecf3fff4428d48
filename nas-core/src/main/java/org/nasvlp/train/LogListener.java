package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.negatives.NvaTrace;

/** Writes a run's {@link RunLog}: a line for an event, whole, before other listeners are told. */
final class LogListener implements TrainingListener {
  /** Times that the codewords' use is told of while the number of steps doubles. */
  private static final int OF_AN_OCTAVE = 8;

  /** Numbers for these at most, as long as there are not more codewords. */
  private static final int MOST_OF_AN_OCTAVE = 16_384;

  private record Epoch(long step, double perplexity) {}

  private record CodewordUse(long step, long[] perMillion) {}

  private record Trace(long step, NvaTrace trace) {}

  private record Probe(long step, ArtefactProbe.Result result) {}

  private final Path output;
  private final RunLog log;
  private final RunClock clock;

  LogListener(Path output, RunLog log, RunClock clock) {
    this.output = output;
    this.log = log;
    this.clock = clock;
  }

  @Override
  public void onStep(StepReport report) {
    if (report.logged()) {
      append("step", report);
    }
  }

  /** How far apart the steps are that are logged: see {@link StepReport#logged}. */
  static long everySteps(long step) {
    long every = 1;
    for (long last = 100_000; step > last; last *= 10) {
      every *= 10;
    }
    return every;
  }

  @Override
  public void onNvaTrace(long step, NvaTrace trace) {
    append("nva_trace", new Trace(step, trace));
  }

  @Override
  public void onEpoch(long step, double perplexity) {
    append("epoch", new Epoch(step, perplexity));
  }

  @Override
  public void onCodewordUse(long step, double[] shares) {
    append(
        "codeword_use",
        new CodewordUse(
            step, Arrays.stream(shares).mapToLong(share -> Math.round(share * 1e6)).toArray()));
  }

  /** Whether the use of so many codewords is told of after a step. */
  static boolean tellsOfCodewords(long step, int codewords) {
    long inOctave =
        Math.clamp(MOST_OF_AN_OCTAVE / Integer.highestOneBit(codewords), 1, OF_AN_OCTAVE);
    return step % Math.max(1, Long.highestOneBit(step) / inOctave) == 0;
  }

  /**
   * One line for all benchmarks and metrics, so that a kill cannot leave half of an evaluation in
   * the log.
   */
  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    @Nullable EvaluationReport report = evaluation.report();
    Map<String, @Nullable Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("stepSeconds", Math.round(clock.steps() * 1000) / 1000.0);
    line.put("report", report);
    if (!evaluation.benchmarks().isEmpty()) {
      line.put("benchmarks", evaluation.benchmarks());
    }
    if (!evaluation.ownMetrics().isEmpty()) {
      line.put("metrics", evaluation.ownMetrics());
    }
    append("evaluation", line);
  }

  @Override
  public void onArtefactProbe(long step, ArtefactProbe.Result result) {
    append("artefact_probe", new Probe(step, result));
  }

  private void append(String kind, Object value) {
    try {
      log.append(kind, clock.total(), value);
    } catch (IOException e) {
      throw OutputFailure.of(output, e);
    }
  }
}
