package org.nasvlp.train;

import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.ArtefactProbe;

/**
 * Probes the hard negative images of the last steps before each evaluation for artefacts, and after
 * it tells the listeners what was found.
 */
final class ArtefactProbing implements TrainingListener {
  /** Steps before an evaluation that are probed, and the least images for a result. */
  static final int PROBED_STEPS = 20;

  private final int codewords;
  private final int evaluateEvery;
  private final TrainingListener listeners;
  private ArtefactProbe probe;

  /**
   * @param codewords K
   * @param evaluateEvery steps between evaluations; 0 for one at the end only
   * @param listeners to tell
   */
  ArtefactProbing(int codewords, int evaluateEvery, TrainingListener listeners) {
    this.codewords = codewords;
    this.evaluateEvery = evaluateEvery;
    this.listeners = listeners;
    this.probe = new ArtefactProbe(codewords);
  }

  /**
   * Where a step's hard negative images go.
   *
   * @param step steps done before it
   * @param steps planned
   * @return null unless it is one of the last before an evaluation
   */
  @Nullable ArtefactProbe forStep(int step, long steps) {
    boolean beforeOne = evaluateEvery > 0 && evaluateEvery - step % evaluateEvery <= PROBED_STEPS;
    return beforeOne || steps - step <= PROBED_STEPS ? probe : null;
  }

  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    ArtefactProbe full = probe;
    probe = new ArtefactProbe(codewords);
    if (full.images() >= PROBED_STEPS) {
      listeners.onArtefactProbe(step, full.result());
    }
  }
}
