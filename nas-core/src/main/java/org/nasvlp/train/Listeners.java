package org.nasvlp.train;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;

/** Several listeners as one: each is told of every event, in the order in which they were added. */
final class Listeners implements TrainingListener {
  private final List<TrainingListener> all = new ArrayList<>();

  void add(TrainingListener listener) {
    all.add(listener);
  }

  @Override
  public void onWeights(WeightReport report) {
    all.forEach(listener -> listener.onWeights(report));
  }

  @Override
  public void onStart(TrainingStart start) {
    all.forEach(listener -> listener.onStart(start));
  }

  @Override
  public void onCaptionEdits(NegativeTextAugmentation.Preparation preparation) {
    all.forEach(listener -> listener.onCaptionEdits(preparation));
  }

  @Override
  public void onStep(StepReport report) {
    all.forEach(listener -> listener.onStep(report));
  }

  @Override
  public void onNvaTrace(long step, NvaTrace trace) {
    all.forEach(listener -> listener.onNvaTrace(step, trace));
  }

  @Override
  public void onEpoch(long step, double perplexity) {
    all.forEach(listener -> listener.onEpoch(step, perplexity));
  }

  @Override
  public void onCodewordUse(long step, double[] shares) {
    all.forEach(listener -> listener.onCodewordUse(step, shares.clone()));
  }

  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    all.forEach(listener -> listener.onEvaluated(step, evaluation));
  }

  @Override
  public void onEvaluation(long step, EvaluationReport report) {
    all.forEach(listener -> listener.onEvaluation(step, report));
  }

  @Override
  public void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {
    all.forEach(listener -> listener.onBenchmark(step, name, byWay));
  }

  @Override
  public void onArtefactProbe(long step, ArtefactProbe.Result result) {
    all.forEach(listener -> listener.onArtefactProbe(step, result));
  }

  @Override
  public void onGuard(long step, String metric, double start, double value) {
    all.forEach(listener -> listener.onGuard(step, metric, start, value));
  }

  @Override
  public void onCheckpoint(long step, Path directory) {
    all.forEach(listener -> listener.onCheckpoint(step, directory));
  }

  @Override
  public void onWarning(String message) {
    all.forEach(listener -> listener.onWarning(message));
  }

  @Override
  public void onEnd(TrainingResult result) {
    all.forEach(listener -> listener.onEnd(result));
  }

  @Override
  public boolean wantsStop() {
    return all.stream().anyMatch(TrainingListener::wantsStop);
  }
}
