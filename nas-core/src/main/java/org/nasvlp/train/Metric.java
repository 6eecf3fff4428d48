package org.nasvlp.train;

import org.nasvlp.model.NasModel;

/**
 * A program's own measure of a model under training: see {@link NasTrainerBuilder#metric}. A higher
 * value is a better one.
 */
@FunctionalInterface
public interface Metric {
  /**
   * Measures the model as it is after a step.
   *
   * @param model the run's own; not to be closed, nor used after this returns
   * @return what is logged and compared; not finite where there is no value this time
   * @throws Exception ends the run, with the metric's name
   */
  double of(NasModel model) throws Exception;
}
