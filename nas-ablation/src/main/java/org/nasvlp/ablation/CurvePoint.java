package org.nasvlp.ablation;

import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.LargeTypes;

/**
 * Caption choice at one evaluation of a run, as shares in [0, 1].
 *
 * @param step optimiser steps done
 * @param samples pairs seen in them; null if not known
 * @param stepSeconds wall-clock seconds of those steps, waiting for data included, start-up,
 *     evaluations and checkpoints not; null if not known
 * @param itcMicro over all pairs, by contrast
 * @param itcMacro mean over all attributes, by contrast
 * @param itcMacroLarge mean over the attributes of {@link LargeTypes}, by contrast; null without
 *     such
 * @param itmMicro over all pairs, by matching; null without a match head's scores
 * @param itmMacro mean over all attributes, by matching; null likewise
 * @param itmMacroLarge mean over the attributes of {@link LargeTypes}, by matching; null likewise,
 *     and without such
 */
public record CurvePoint(
    long step,
    @Nullable Long samples,
    @Nullable Double stepSeconds,
    double itcMicro,
    double itcMacro,
    @Nullable Double itcMacroLarge,
    @Nullable Double itmMicro,
    @Nullable Double itmMacro,
    @Nullable Double itmMacroLarge) {

  static CurvePoint of(
      long step, @Nullable Long samples, @Nullable Double stepSeconds, EvaluationReport report) {
    FineGrainedReport itm = report.itm();
    return new CurvePoint(
        step,
        samples,
        stepSeconds,
        report.itc().all().captionChoice(),
        report.itc().macro().captionChoice(),
        macroLarge(report.itc()),
        itm == null ? null : itm.all().captionChoice(),
        itm == null ? null : itm.macro().captionChoice(),
        itm == null ? null : macroLarge(itm));
  }

  private static @Nullable Double macroLarge(FineGrainedReport report) {
    return LargeTypes.macro(report).map(macro -> macro.captionChoice()).orElse(null);
  }

  /** By matching where there is such a score, else by contrast. */
  double micro() {
    return itmMicro == null ? itcMicro : itmMicro;
  }

  /** The mean over all attributes, likewise. */
  double macro() {
    return itmMacro == null ? itcMacro : itmMacro;
  }

  /** The mean over attributes of {@link LargeTypes}, likewise; null without such. */
  @Nullable Double macroLarge() {
    return itmMicro == null ? itcMacroLarge : itmMacroLarge;
  }

  /** The larger of both scorers'. */
  double betterMicro() {
    return itmMicro == null ? itcMicro : Math.max(itcMicro, itmMicro);
  }

  /** The same of the mean over attributes of {@link LargeTypes}; null without such. */
  @Nullable Double betterMacroLarge() {
    return itcMacroLarge == null || itmMacroLarge == null
        ? itcMacroLarge
        : Double.valueOf(Math.max(itcMacroLarge, itmMacroLarge));
  }
}
