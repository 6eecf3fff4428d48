package org.nasvlp.ablation;

import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.EvaluationReport;

/**
 * Caption choice at one evaluation of a run, as shares in [0, 1].
 *
 * @param step optimiser steps done
 * @param itcMicro over all pairs, by contrast
 * @param itcMacro mean over attributes, by contrast
 * @param itmMicro over all pairs, by matching; null without a match head's scores
 * @param itmMacro mean over attributes, by matching; null likewise
 */
public record CurvePoint(
    long step,
    double itcMicro,
    double itcMacro,
    @Nullable Double itmMicro,
    @Nullable Double itmMacro) {

  static CurvePoint of(long step, EvaluationReport report) {
    return new CurvePoint(
        step,
        report.itc().all().captionChoice(),
        report.itc().macro().captionChoice(),
        report.itm() == null ? null : report.itm().all().captionChoice(),
        report.itm() == null ? null : report.itm().macro().captionChoice());
  }

  /** By matching where there is such a score, else by contrast. */
  double micro() {
    return itmMicro == null ? itcMicro : itmMicro;
  }

  double macro() {
    return itmMacro == null ? itcMacro : itmMacro;
  }
}
